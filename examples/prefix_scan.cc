// Keys are in byte order: those with a prefix stand together, as a list or as a range that is read
// page by page.
//
// Prints:
// > fruit:apple fruit:banana fruit:cherry
// > the last two: fruit:cherry fruit:banana
// > with an e: fruit:apple=green fruit:cherry=red
#include <cstdio>
#include <ranges>
#include <string>
#include <vector>

#include "fluxkv/fluxkv.h"

using fluxkv::Entry;
using fluxkv::Range;

int main() {
  fluxkv::Result<fluxkv::Database> opened = fluxkv::Database::Open();
  if (!opened.ok()) return 1;
  fluxkv::Database& db = *opened;
  const std::vector<Entry> stock = {{"fruit:cherry", "red"},
                                    {"fruit:apple", "green"},
                                    {"tree:oak", "tall"},
                                    {"fruit:banana", "yellow"}};
  for (const Entry& e : stock) {
    if (!db.Insert(e.key, e.value).ok()) return 1;
  }

  const fluxkv::Result<std::vector<Entry>> fruits = db.List(Range::Prefix("fruit:"));
  if (!fruits.ok()) return 1;
  std::string text;
  for (const Entry& e : *fruits) text += (text.empty() ? "" : " ") + e.key;
  std::printf("%s\n", text.c_str());

  std::printf("the last two:");
  fluxkv::Cursor last = db.Scan(Range::Prefix("fruit:").Reverse().Limit(2));
  for (const Entry& e : last) std::printf(" %s", e.key.c_str());
  if (!last.status().ok()) return 1;

  std::printf("\nwith an e:");
  fluxkv::Cursor cursor = db.Scan(Range::Prefix("fruit:"));
  for (const Entry& e : cursor | std::views::filter([](const Entry& entry) {
                          return entry.value.find('e') != std::string::npos &&
                                 entry.key.find('e') != std::string::npos;
                        }))
    std::printf(" %s=%s", e.key.c_str(), e.value.c_str());
  std::printf("\n");
  return cursor.status().ok() ? 0 : 1;
}
