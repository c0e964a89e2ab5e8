// A transaction by hand: begin, read, write, commit or not. One that is left rolls back.
//
// Prints:
// > moved 30: ada 70, bob 30
// > not moved: ada has only 70
// > ada 70, bob 30
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

#include "fluxkv/fluxkv.h"

namespace {

using fluxkv::Result;
using fluxkv::Status;
using Accounts = fluxkv::TypedTransaction<std::string, int64_t>;

int Fail(const Status& status) {
  std::fprintf(stderr, "%s\n", status.message().c_str());
  return 1;
}

// False: there is not enough; then nothing was committed.
Result<bool> Transfer(fluxkv::Database& db, const char* from, const char* to, int64_t amount) {
  Result<fluxkv::Transaction> begun = db.Begin(fluxkv::Level::kSerializable);
  if (!begun.ok()) return begun.status();
  Accounts accounts(*begun);

  Result<std::optional<int64_t>> has = accounts.Get(from), had = accounts.Get(to);
  if (!has.ok()) return has.status();
  if (!had.ok()) return had.status();
  Status status = accounts.Insert(to, had->value_or(0) + amount);
  if (!status.ok()) return status;
  if (has->value_or(0) < amount) return false;  // what was inserted is gone with the transaction
  status = accounts.Insert(from, has->value_or(0) - amount);
  if (status.ok()) status = begun->Commit();
  if (!status.ok()) return status;  // bank.cc repeats it after a conflict
  return true;
}

Result<std::string> Show(fluxkv::Database& db) {
  fluxkv::TypedDatabase<std::string, int64_t> accounts(db);
  std::string text;
  fluxkv::TypedCursor<std::string, int64_t> cursor = accounts.Scan();
  for (const auto& [owner, amount] : cursor)
    text += (text.empty() ? "" : ", ") + owner + " " + std::to_string(amount);
  if (!cursor.status().ok()) return cursor.status();
  return text;
}

}  // namespace

int main() {
  Result<fluxkv::Database> db = fluxkv::Database::Open();
  if (!db.ok()) return Fail(db.status());
  const Status status = db->Insert("ada", "100");
  if (!status.ok()) return Fail(status);

  const Result<bool> first = Transfer(*db, "ada", "bob", 30);
  if (!first.ok()) return Fail(first.status());
  const Result<std::string> moved = Show(*db);
  if (!moved.ok()) return Fail(moved.status());
  std::printf("moved 30: %s\n", moved->c_str());

  const Result<bool> second = Transfer(*db, "ada", "bob", 90);
  if (!second.ok()) return Fail(second.status());
  if (!*second) std::printf("not moved: ada has only 70\n");
  const Result<std::string> after = Show(*db);
  if (!after.ok()) return Fail(after.status());
  std::printf("%s\n", after->c_str());
  return 0;
}
