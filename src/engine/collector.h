// The collector: one thread that does what writers leave. It buries dead keys (tombstones that
// nobody can see past, nodes that never got a version), frees versions that a snapshot held back,
// deletes expired keys in order of their deadline, and frees keyspaces that FLUSHDB dropped.
//
// G1. Only the collector closes and unlinks nodes, under the key's latch (N2), and unlinks
//     RootVersions (K2).
// G2. A node with kQueued set is on its list exactly once, in an inbox,
//     in `garbage_` or in `held_`.
// G3. A node with kFiled set and a deadline has an entry at or before that deadline, in an inbox
//     or in `deadlines_`. Entries name keys by keyspace and hash, so that a key may go before its
//     entry does.
// G4. No tombstone above a live snapshot that may write is buried: without it the snapshot would
//     not learn at its commit that somebody wrote the key since, when the key was absent before.
//
// Threads: Wake, DropRoot, Vacuum, set_active_expiry from any thread;
//          the rest is the collector's own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/handle.h"
#include "engine/keyspace.h"

namespace fluxkv::engine {

class Store;
class Transaction;

class Collector {
 public:
  static constexpr size_t kWakeEntries = 1024;  // an inbox that grew to this wakes the collector

  explicit Collector(Store& store);
  ~Collector();  // joins the thread

  void Wake();
  // `before` is the root that a commit with this stamp replaced.
  void DropRoot(uint32_t db, RootVersion* before, Stamp replaced_at);
  void Vacuum();
  void set_active_expiry(bool on) {
    active_expiry_.store(on);
    Wake();
  }
  size_t filed_deadlines() const { return filed_deadlines_.load(std::memory_order_relaxed); }

 private:
  struct DroppedRoot {
    uint32_t db;
    RootVersion* root;
    Stamp replaced_at;
  };
  enum class Verdict { kDone, kHeld };

  void Run();
  void Round(bool look_at_held);
  void TakeInboxes();
  void Bury(std::vector<HandleShared::Garbage>* list, std::vector<HandleShared::Garbage>* held);
  Verdict BuryOne(const HandleShared::Garbage& item);
  // Frees what no snapshot needs behind the newest version. Requires: the key latched.
  void PruneHistory(Version* head);
  void Expire();
  void ExpireHash(const HandleShared::Deadline& due);
  void File(const HandleShared::Deadline& deadline);
  void CompactDeadlines();
  bool HasDeadline(const HandleShared::Deadline& entry);
  void FreeDroppedRoots();
  int64_t WaitMs();

  Store& store_;
  std::unique_ptr<Handle> handle_;
  std::unique_ptr<Transaction> txn_;
  std::vector<HandleShared::Garbage> garbage_, held_;
  std::vector<HandleShared::Deadline> deadlines_;  // a heap, earliest first
  size_t compact_at_ = 4096;
  Stamp oldest_seen_ = 0;
  bool held_for_log_ = false;  // something in held_ waits for the log
  int64_t held_looked_at_ms_ = 0;
  std::atomic<bool> active_expiry_{true};
  std::atomic<size_t> filed_deadlines_{0};  // a figure

  std::mutex mutex_;
  std::condition_variable wake_, vacuumed_;
  bool stop_ = false, woken_ = false;               // guarded by mutex_
  uint64_t vacuums_wanted_ = 0, vacuums_done_ = 0;  // guarded by mutex_
  std::vector<DroppedRoot> dropped_;                // guarded by mutex_
  std::thread thread_;
};

}  // namespace fluxkv::engine
