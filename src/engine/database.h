// The store: numbered databases of keys to versions, with its collector. One Database a process or
// test; a Handle a thread.
//
//   Database database(options, clock);
//   std::unique_ptr<Handle> handle = database.Attach();
//   { Handle::Scope in_epoch(*handle);  Transaction txn(*handle); ... }
//
// Threads: Attach, stats and the watch calls from any thread; a Handle is its thread's alone.
// Owns:    all nodes and versions. Handles and transactions must be gone before it is.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "base/clock.h"
#include "engine/eviction/policy.h"
#include "engine/key.h"
#include "engine/snapshots.h"
#include "engine/version.h"

namespace fluxkv::engine {

class Handle;  // engine/handle.h
class Store;

struct Options {
  uint32_t databases = 16;
  // The collector buries what is dead at least this often; earlier when much waits. Expiry does not
  // wait for it.
  std::atomic<int64_t>* vacuum_interval_ms = nullptr;  // null: 100 ms
  // Called after a key was removed because its deadline passed (keyspace notifications), by the
  // thread that removed it: the collector, or one that met the key.
  // `stamp` is the removal's (commit_log.h, D4).
  std::function<void(uint32_t db, std::string_view key, Stamp stamp)> on_expired = {};
  // The same for a key that was evicted.
  std::function<void(uint32_t db, std::string_view key, Stamp stamp)> on_evicted = {};
  // The same for a key that a range delete of many keys ended, by the thread that settled it
  // (range_deletes.h); `stamp` is the range delete's.
  std::function<void(uint32_t db, std::string_view key, Stamp stamp)> on_deleted = {};
  // Whether anybody listens to that now, if it is set; the keys need not be kept when nobody does.
  std::function<bool()> wants_deleted = {};
  // Bytes that used_bytes is kept at or below, 0 or null: no limit. Writers make room first
  // (evictor.h); the collector does when the limit falls.
  const std::atomic<int64_t>* memory_limit = nullptr;
};

// What was given back in one vacuum, or since the start.
struct Vacuumed {
  uint64_t versions = 0;  // that nobody could read any more, tombstones included
  uint64_t keys = 0;      // dead keys that left index and list, and those of dropped databases
  int64_t bytes = 0;      // as used_bytes counts them, less what tombstones took; below 0 if more
                          // keys expired than could be buried
  int64_t took_ms = 0;
  int64_t ended_at_ms = 0;  // since 1970; 0: there was none yet
};

struct VacuumStats {
  Vacuumed last;  // the last one that was asked for or gave something back
  Vacuumed since_start;
  uint64_t nodes_waiting = 0;  // to be looked at
  uint64_t nodes_held = 0;     // looked at, and held by a snapshot, a watch or the log
  uint64_t watched_keys = 0;
  std::optional<SnapshotFigure> oldest_snapshot;
};

struct DatabaseStats {
  uint64_t keys = 0;  // as CountKeys, but for what range deletes have not settled
  uint64_t keys_with_expiry = 0;
};

struct EngineStats {
  uint64_t used_bytes = 0;  // keys, newest versions, index, list and policy as the allocator rounds
  uint64_t garbage_bytes = 0;    // dead nodes to be unlinked, versions that snapshots hold back
  uint64_t eviction_bytes = 0;   // of used_bytes: the policy's
  uint64_t evicted_keys = 0;     // removed to make room
  uint64_t retired_bytes = 0;    // unlinked, not yet freed
  uint64_t expired_keys = 0;     // removed because their deadline passed
  uint64_t filed_deadlines = 0;  // entries of the expiry queue
  uint64_t range_deletes = 0;    // that are not settled
  uint64_t versions_kept = 0;    // behind newest versions, held by snapshots
  uint64_t live_snapshots = 0;
  Stamp stamp = 0;             // newest
  Stamp oldest_snapshot = 0;   // 0: none
  uint64_t latch_wait_ns = 0;  // time spent waiting for latches
  uint64_t page_wait_ns = 0;   // and for free pages to go back to the system
  uint64_t conflicts = 0;      // transactions that ended with a conflict
  uint64_t index_bytes = 0;
  uint64_t list_bytes = 0;
};

struct WatchedKey;  // engine/watches.h

// A watch on a key, from Watch to Unwatch.
struct WatchToken {
  uint32_t db = 0;
  uint64_t hash = 0;
  WatchedKey* watched = nullptr;
};

class Database {
 public:
  Database(Options options, Clock& clock);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Requires: fewer than limits::kThreadsMax handles.
  std::unique_ptr<Handle> Attach();

  uint32_t databases() const;
  DatabaseStats database_stats(uint32_t db) const;
  EngineStats stats() const;
  uint64_t used_bytes() const;  // cheap enough for every write
  void ResetCounts();           // expired_keys and evicted_keys, for CONFIG RESETSTAT
  // What the policy makes of its keys; not cheap. Requires: inside an epoch.
  PolicyFigures policy_figures() const;
  // Asks for another eviction policy; it is in force soon (AwaitPolicy). From any thread.
  void SetPolicy(PolicyKind kind, bool volatile_only);
  bool policy_pending() const;
  // Waits until the policy that was asked for is in force. Requires: no key latched.
  void AwaitPolicy();
  // Whether the collector evicts down to memory_limit (true). Not while data is loaded: the log
  // does not hear of it then.
  void set_background_eviction(bool on);
  // Whether the collector has not got down to memory_limit yet, with keys left that may go.
  bool evicting() const;
  // As Redis means them; any thread.
  void SetLfuLogFactor(uint32_t factor);
  void SetLfuDecayTime(uint32_t minutes);
  uint64_t versions_kept() const;  // EngineStats::versions_kept alone, without an epoch

  // WATCH: pins the key's history from now on, until Unwatch; call it inside an epoch. Unwatch with
  // the token it returned.
  WatchToken Watch(uint32_t db, const Key& key);
  void Unwatch(const WatchToken& token);
  // Whether the watched key was written since, for EXEC: the same value, an expiry and an eviction
  // count as written; a key that was already expired at Watch counts as absent. Requires: inside an
  // epoch, and the key (or everything) latched.
  bool Changed(const WatchToken& token) const;

  // Keys past their deadline are absent for everybody at once; they are removed by the collector in
  // order of deadline, and by whoever meets one. The collector's part can be switched off for tests
  // (DEBUG SET-ACTIVE-EXPIRE), both until a time (CLIENT PAUSE; 0: not any more).
  void set_active_expiry(bool on);
  void PauseExpiry(int64_t until_ms);
  // The collector settles so many nodes more (for tests), nullopt: all that there are.
  void LimitSettling(std::optional<uint64_t> nodes);
  uint64_t range_deletes() const;  // EngineStats::range_deletes alone
  // Waits until everything that could be reclaimed now has been. Requires: outside an epoch.
  Vacuumed Vacuum();
  // The same without waiting: a ticket, and whether that vacuum has ended.
  uint64_t RequestVacuum();
  bool VacuumEnded(uint64_t ticket, Vacuumed* result) const;
  VacuumStats vacuum_stats() const;

  Store& store() { return *store_; }

 private:
  std::unique_ptr<Store> store_;
};

}  // namespace fluxkv::engine
