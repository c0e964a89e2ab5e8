// The inside of Database: what transactions, handles and the collector share.
//
// The order of everything is one counter, the stamp. A commit is: latch its keys, publish a floor
// in its commit slot, install its versions pending, take a stamp, link what old snapshots need,
// publish the stamp in each version, clear the slot, unlatch.
//
// T1. Versions are installed before the stamp is taken. So whoever saw a later stamp's effect
//     finds an earlier commit's versions at least pending, waits the moment, and cannot miss
//     them: reads of the newest are in stamp order without any lock.
// T2. A snapshot S is handed out only when no commit slot is at or below S: every commit up to S
//     is published then.
// T3. After its stamp is taken a commit cannot fail.
//
// Order of what is taken: latches by number, mutex of the watches, commit mutex, a Session of the
// eviction policy, then (inside list and index) block or segment latch, structure or directory
// mutex; the mutexes of collector and handles are leaves.
//
// Threads: any.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/limits.h"
#include "engine/commit_log.h"
#include "engine/conflicts.h"
#include "engine/database.h"
#include "engine/epoch.h"
#include "engine/eviction/eviction.h"
#include "engine/handle.h"
#include "engine/keyspace.h"
#include "engine/latch.h"
#include "engine/snapshots.h"
#include "engine/watches.h"

namespace fluxkv::engine {

class Collector;

class Store {
 public:
  Store(Options options, Clock& clock);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  std::unique_ptr<Handle> Attach();
  void Detach(size_t number);

  // The newest published root of a database; waits the moment while one is pending.
  RootVersion* Root(uint32_t db) const;
  RootVersion* RootAt(uint32_t db, Stamp snapshot) const;
  // The database number whose newest root names this keyspace; nullopt when none does, however
  // roots change meanwhile. Requires: inside an epoch.
  std::optional<uint32_t> DatabaseOf(uint64_t keyspace_id) const;
  // The same by the eviction policy's number. A guess: look again with a latch held.
  std::optional<uint32_t> DatabaseOf(SpaceNumber space) const;

  // T2.
  void WaitPublished(Stamp snapshot) const;
  // Waits for every commit that is in flight now.
  void WaitInFlight() const;

  // Whether keys past their deadline are left where they are for now.
  bool ExpiryPaused() const {
    return clock.now_ms() < expiry_paused_until_ms.load(std::memory_order_relaxed);
  }
  uint64_t NextKeyspaceId() { return next_keyspace_id_.fetch_add(1, std::memory_order_relaxed); }
  int64_t used_bytes() const;
  int64_t garbage_bytes() const;

  const Options options;
  Clock& clock;
  alignas(limits::kCacheLineBytes) std::atomic<Stamp> stamp{0};  // newest taken
  alignas(limits::kCacheLineBytes) LatchTable latches;
  Snapshots snapshots;
  Snapshots writing_snapshots;  // those among them that may write (collector.h, G4)
  Conflicts conflicts;
  Watches watches;
  Epochs epochs;
  CommitLog log;
  Eviction eviction;
  std::atomic<uint64_t> eviction_bytes{0};  // that the policy takes, as the collector last saw it
  std::atomic<uint64_t> evicted_keys{0};
  std::atomic<int64_t> expiry_paused_until_ms{0};
  std::atomic<uint64_t> expired_keys{0};  // removed because their deadline passed
  std::vector<std::atomic<RootVersion*>> roots;
  std::atomic<uint64_t> root_changes{0};  // odd while a commit stores roots
  std::unique_ptr<Collector> collector;

  // Visits what every handle that ever was shares.
  template <class Visit>
  void VisitShared(Visit visit) const {
    size_t used = shared_used_.load(std::memory_order_acquire);
    for (size_t i = 0; i < used; ++i) {
      if (HandleShared* shared = shared_[i].load(std::memory_order_acquire); shared != nullptr)
        visit(*shared);
    }
  }

 private:
  std::array<std::atomic<HandleShared*>, limits::kThreadsMax>
      shared_{};  // by handle number; made once, reused, owned
  std::atomic<size_t> shared_used_{0};
  std::mutex attach_mutex_;
  std::array<bool, limits::kThreadsMax> attached_{};  // guarded by attach_mutex_
  std::atomic<uint64_t> next_keyspace_id_{1};
};

// Frees a keyspace with all nodes and versions. Requires: nobody can reach it any more.
struct FreedKeyspace {
  size_t bytes = 0;          // of nodes and versions: garbage, since no root names it
  size_t versions_kept = 0;  // history entries among them
};
FreedKeyspace DestroyKeyspace(Keyspace* keyspace);

// The newest version of a key as the newest committed state has it: waits the moment while a commit
// is pending, looks again when the node was closed. Null when there is none; may be a tombstone,
// that of a range delete too, or expired. `node` is set as well.
const Version* Newest(const Keyspace& keyspace, const Key& key, Node** node);
// Of a node; null as well when it is closed.
const Version* NewestOf(const Keyspace& keyspace, const Node& node);
// A newest version as the eviction policy sees it; null: absent.
KeyState StateOf(const Version* newest);
// The version of a node that a snapshot sees; null when the key was absent.
const Version* VisibleAt(const Keyspace& keyspace, const Node& node, Stamp snapshot);
// The pi of the commit that overwrote what VisibleAt returned, kStampPending if nobody did. A
// pending version hides those behind it: OverwriterPi waits for it, OverwriterPiLocked is for who
// holds the commit mutex.
Stamp OverwriterPi(const Keyspace& keyspace, const Node& node, Stamp snapshot);
Stamp OverwriterPiLocked(const Keyspace& keyspace, const Node& node, Stamp snapshot);

}  // namespace fluxkv::engine
