// A transactional, ordered, multi-version store of bytes to bytes, inside a program. What it writes
// to its directory a fluxkv server reads, and the other way round (one of them at a time): values
// are Redis's strings.
//
//   Result<Database> opened = Database::Open({.directory = "data"});
//   if (!opened.ok()) return Complain(opened.message());
//   Database& db = *opened;
//   Status status = db.transaction([&](Transaction& t) -> Status {
//     auto stock = t.Get("stock");
//     if (!stock.ok()) return stock.status();
//     return t.Insert("stock", Less(*stock));
//   });
//
// Threads: all methods from any thread (Handle is faster for a thread that works hard); Close waits
//          for calls that run.
// Owns:    engine, files, threads, the lock on the directory; all of it until Close.
// Errors:  values; of exceptions only a closure's own leave the library. Open: kInvalid, kLocked,
//          kDamaged, kIo, kOutOfMemory, kTooMany (threads of the process). Memory that the system
//          refuses is an error of Open alone: elsewhere it is std::bad_alloc, after which all that
//          the call has not said is as it was, or the end of the process.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fluxkv/handle.h"

namespace fluxkv {

struct MemoryFigures {
  uint64_t used_bytes = 0;   // what the limit is about
  uint64_t limit_bytes = 0;  // 0: none
  uint64_t old_bytes = 0;    // besides: deleted keys, and versions that snapshots hold back
  uint64_t keys = 0;         // of this database; those past their deadline until they are reclaimed
  uint64_t old_versions = 0;
  uint64_t evicted_keys = 0;  // since it was opened
  uint64_t expired_keys = 0;
  uint64_t open_transactions = 0;         // scans that have not ended included, snapshot files not
  int64_t oldest_transaction_age_ms = 0;  // 0: there is none
};

struct VacuumFigures {
  uint64_t versions = 0;  // that nobody could read any more
  uint64_t keys = 0;      // dead keys that left the structures
  int64_t bytes = 0;
  int64_t milliseconds = 0;
};

class Database {
 public:
  // Loads what the directory holds; that may take a while.
  static Result<Database> Open(const Options& options = {});
  Database(Database&&) noexcept;
  Database& operator=(Database&&) noexcept;
  ~Database();  // closes
  // Rolls back what is open, writes and syncs what was committed, ends the threads, lets go of the
  // directory. Every call afterwards answers kClosed.
  Status Close();

  // A thread's own way in; kTooMany when all places are taken.
  Result<Handle> Attach();

  // ---- As Handle.
  Result<std::optional<std::string>> Get(std::string_view key);
  Result<bool> Contains(std::string_view key);
  Status Insert(std::string_view key, std::string_view value, Ttl ttl = kForever);
  Result<std::optional<std::string>> Remove(std::string_view key);
  Cursor Scan(const Range& range = {});
  Result<std::vector<Entry>> List(const Range& range = {});
  Result<std::vector<KeyMetadata>> Metadata(const Range& range = {});
  Result<Transaction> Begin();
  Result<Transaction> Begin(Level level);
  template <class Closure>
  auto transaction(Closure&& closure, Retry retry = {}) {
    return internal::RunTransaction([&] { return retry.level ? Begin(*retry.level) : Begin(); },
                                    std::forward<Closure>(closure), retry.tries_max);
  }
  Result<uint64_t> Evict(uint64_t target_bytes, uint64_t keys_max = UINT64_MAX);

  // ---- Memory
  Result<MemoryFigures> memory() const;
  // Writers keep to it from now on; with a policy the background gets down to it, without one what
  // is above it stays. 0: none, only without a policy.
  Status SetMemoryLimit(uint64_t bytes);
  // Reclaims everything that nobody can read any more, and waits for that.
  Result<VacuumFigures> Vacuum();

  // ---- Files
  // A snapshot of all is on disk when it returns; also without a log (Durability::kNone).
  Status Save();
  // All that was committed is on disk when it returns. kInvalid without a log.
  Status Sync();

 private:
  class Body;
  explicit Database(std::unique_ptr<Body> body);
  static Result<Database> OpenOrThrow(const Options& options);
  Body& Alive() const;   // Requires: not moved from
  Handle& Here() const;  // the calling thread's

  std::unique_ptr<Body> body_;
};

}  // namespace fluxkv
