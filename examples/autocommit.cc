// The shortest program: a store in memory, each call a transaction of its own.
//
// Prints:
// > user:1 is ada
// > user:1 was ada
// > user:1 is gone
#include <cstdio>
#include <optional>
#include <string>

#include "fluxkv/fluxkv.h"

namespace {

int Fail(const fluxkv::Status& status) {
  std::fprintf(stderr, "%s\n", status.message().c_str());
  return 1;
}

}  // namespace

int main() {
  fluxkv::Result<fluxkv::Database> opened = fluxkv::Database::Open();
  if (!opened.ok()) return Fail(opened.status());
  fluxkv::Database& db = *opened;

  const fluxkv::Status inserted = db.Insert("user:1", "ada");
  if (!inserted.ok()) return Fail(inserted);
  const fluxkv::Result<std::optional<std::string>> name = db.Get("user:1");
  if (!name.ok()) return Fail(name.status());
  std::printf("user:1 is %s\n", name->value_or("unknown").c_str());

  const fluxkv::Result<std::optional<std::string>> removed = db.Remove("user:1");
  if (!removed.ok()) return Fail(removed.status());
  std::printf("user:1 was %s\n", removed->value_or("unknown").c_str());

  const fluxkv::Result<bool> there = db.Contains("user:1");
  if (!there.ok()) return Fail(there.status());
  std::printf("user:1 is %s\n", *there ? "there" : "gone");
  return 0;
}
