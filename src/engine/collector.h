// The collector: one thread that does what writers leave. It buries dead keys (tombstones that
// nobody can see past, nodes that never got a version), frees versions that a snapshot held back,
// settles range deletes (range_deletes.h),
// deletes expired keys in order of their deadline (in batches, within which the order is another),
// frees keyspaces that FLUSHDB dropped, changes
// the eviction policy and files keys with a new one.
//
// It works in turns of a few milliseconds: what is due comes first, then range deletes, then
// burying, then the sweep of the expiry queue. Keys are handled in batches: the cache lines of all
// are asked for, their stripes are latched in order, and one commit (or one visit of the ordered
// list) does for all.
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
// G5. A node may be closed while it is on its list, together with a neighbour; it is retired when
//     its own turn comes, and the list is the last to know it.
// G6. A batch holds the latches of at most kBatch keys, and waits under them only for what a writer
//     waits for under its own: the mutexes of watches and commits, latches inside list and index.
//
// G7. A keyspace with a range delete that is not settled is not destroyed: clients wait for it.
//
// Files: collector.cc (the thread, dropped keyspaces), collector_expiry.cc, collector_ranges.cc,
// collector_bury.cc, collector_eviction.cc.
//
// Threads: the public methods from any thread; the rest is the collector's own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "engine/database.h"
#include "engine/deadlines.h"
#include "engine/evictor.h"
#include "engine/handle.h"
#include "engine/keyspace.h"
#include "engine/range_deletes.h"
#include "engine/transaction.h"

namespace fluxkv::engine {

class Store;

class Collector {
 public:
  static constexpr size_t kWakeEntries = 1024;  // an inbox that grew to this wakes the collector

  explicit Collector(Store& store);
  ~Collector();  // joins the thread

  void Wake();
  // `before` is the root that a commit with this stamp replaced.
  void DropRoot(uint32_t db, RootVersion* before, Stamp replaced_at);
  Vacuumed Vacuum();  // waits
  // A range delete that has just been committed. Requires: every latch held.
  void SettleRange(Keyspace* keyspace, std::shared_ptr<RangeDelete> deleted);
  size_t range_deletes() const { return range_deletes_.load(std::memory_order_acquire); }
  void LimitSettling(std::optional<uint64_t> nodes);
  uint64_t RequestVacuum();  // a ticket
  bool VacuumEnded(uint64_t ticket, Vacuumed* result) const;
  VacuumStats figures() const;  // without what others know
  void set_active_expiry(bool on) {
    active_expiry_.store(on);
    Wake();
  }
  // Asks for another eviction policy; it is in force soon (AwaitPolicy).
  void SetPolicy(PolicyKind kind, bool volatile_only);
  // Waits for that, and for the first keys to be filed; false if there was nothing to wait for.
  // Requires: no key latched.
  bool AwaitPolicy();
  bool policy_pending() const { return policy_wanted_.load(std::memory_order_relaxed); }
  void set_may_evict(bool on) { may_evict_.store(on, std::memory_order_relaxed); }
  // Whether the collector has not got down to the limit yet.
  bool evicting() const { return more_to_evict_.load(std::memory_order_relaxed); }
  // Dead nodes that it has taken from the inboxes and could look at now.
  size_t backlog() const { return backlog_.load(std::memory_order_relaxed); }
  // Whether keys are still to be filed with the policy.
  bool walking() const { return walking_.load(std::memory_order_acquire); }
  PolicyFigures policy_figures() const;
  size_t filed_deadlines() const { return filed_deadlines_.load(std::memory_order_relaxed); }

 private:
  static constexpr size_t kBatch = 64;  // keys that are handled together, between two epochs
  // Nodes that wait to be buried; when there are more, what is due does not come first any more.
  static constexpr size_t kWaitingMost = 1 << 20;

  using Garbage = HandleShared::Garbage;
  struct DroppedRoot {
    uint32_t db;
    RootVersion* root;
    Stamp replaced_at;
  };
  struct Gone {
    int64_t at_ms;
    const Node* node;
  };
  enum class Verdict : uint8_t {
    kDone,  // it is off the list
    kHeld,  // it is to be looked at again
    kDead,  // it can be buried if nobody is in the way
  };

  void Run();
  // A few milliseconds of what there is to do.
  void Turn();
  // Turns until everything is done that could be done when it was called; what they gave back.
  Vacuumed TurnsForVacuum();
  void TakeInboxes();
  void FreeDroppedRoots();
  // What the collector has given back so far, and since an earlier answer of Given.
  Vacuumed Given() const;
  Vacuumed GivenSince(const Vacuumed& before) const;
  int64_t WaitMs() const;
  bool expiring() const;
  // The number of a keyspace's database, nullopt when it is dropped. Requires: inside an epoch.
  std::optional<uint32_t> NumberOf(uint64_t keyspace_id);

  // ---- Expiry (collector_expiry.cc)
  // Deletes some of what is past its deadline, the earliest first. True when more is.
  bool Expire();
  // What is to be done with entries of one keyspace.
  void ExpireBatch(std::span<const Deadlines::Entry> batch);
  // Latches the keys of the entries; null, and nothing latched, when their keyspace has just been
  // swapped away. `db` is where it was.
  Keyspace* LatchBatch(uint32_t db, std::span<const Deadlines::Entry> batch);
  // Goes on with the sweep that takes stale entries out of the queue, or begins one if it is time.
  void Sweep();
  // The next sweep comes at once; if one is under way, another after it.
  void LookAtAllDeadlines() {
    sweep_at_ = 0;
    sweep_again_ = deadlines_.sweeping();
  }
  void SweepEntries(std::vector<Deadlines::Entry>* entries);
  // Whether the entry is to stay. Requires: its key is latched.
  bool StillWanted(const Deadlines::Entry& entry, const Keyspace& keyspace);

  // ---- Range deletes (collector_ranges.cc)
  struct RangeWalk {
    Keyspace* keyspace;  // G7
    uint64_t keyspace_id;
    std::shared_ptr<RangeDelete> deleted;
    std::string position;  // the keys below it are settled
  };
  void TakeWalks();
  // Settles some of what is not settled. True when there is more.
  bool SettleRanges();
  bool settling() const { return !walks_.empty() && settle_left_.load() != 0; }
  // One block of the list; true when the walk has ended.
  bool SettlePage(RangeWalk* walk);
  // False when the keyspace was swapped away meanwhile.
  bool SettleBatch(RangeWalk* walk, std::span<Node* const> nodes);
  void EndWalk(const RangeWalk& walk);

  // ---- Burying (collector_bury.cc)
  // Begins a pass over everything that is on the list now, and looks at what is held if it is time.
  void BeginPass(bool look_at_held);
  bool PassIsDue() const;
  // Goes on with the pass for some of its nodes.
  void Bury();
  void BuryBatch();
  Verdict LookAt(const Garbage& item);
  // Frees what no snapshot needs behind the newest version.
  Verdict Prune(const Garbage& item);
  void PruneHistory(Version* head);
  // Buries the node, and with it the dead ones beside it in the ordered list.
  Verdict BuryWithNeighbours(const Garbage& item);
  // The item and the nodes of `page_` near it that look dead, kBatch at most, into `candidates_`.
  void FindCandidates(uint32_t db, const Node* item);
  // Closes and unlinks `closed_`. Requires: latched, and each may be buried.
  void Unlink(Keyspace* keyspace);
  // Whether a crash could not bring back what this dead node stood for (D4).
  bool IsSafe(const Version* head) const;
  bool MayBury(const Version* head, uint64_t hash) const;
  void RetireClosed(Node* node);
  // Takes nodes of a keyspace that is about to be freed off the list.
  void ForgetNodesOf(const Keyspace* keyspace);

  // ---- Eviction (collector_eviction.cc)
  // Puts the policy that was asked for in force.
  void FollowPolicy();
  // Files some of the keys that the policy does not know yet: after a change of policy, and of a
  // database that was loaded.
  void WalkForPolicy();
  bool NumberSpace(uint32_t db);  // false when its number is still to come
  void FilePage(uint32_t db);     // of one that has a number
  void TidyPolicy();
  // Evicts some while the limit is below what is used.
  void EvictToLimit();

  struct WantedPolicy {
    PolicyKind kind = PolicyKind::kNone;
    bool volatile_only = false;
    friend bool operator==(const WantedPolicy&, const WantedPolicy&) = default;
  };
  struct Candidate {
    Node* node;
    uint64_t hash;
  };

  Store& store_;
  std::unique_ptr<Handle> handle_;
  std::unique_ptr<Transaction> txn_;
  uint32_t last_db_ = 0;  // where NumberOf found the last one
  std::atomic<bool> active_expiry_{true};

  Deadlines deadlines_;
  size_t sweep_at_ = 0;                     // so many entries begin a sweep
  bool sweep_again_ = false;                // as soon as this sweep ends
  size_t filed_in_turn_ = 0;                // entries that came in since the last turn
  std::atomic<size_t> filed_deadlines_{0};  // a figure

  std::vector<RangeWalk> walks_;  // oldest first
  uint64_t walks_ended_ = 0;
  bool more_to_settle_ = false;
  std::atomic<size_t> range_deletes_{0};           // that are not settled
  std::atomic<uint64_t> settle_left_{kSettleAll};  // nodes (LimitSettling)
  static constexpr uint64_t kSettleAll = ~uint64_t{0};

  std::vector<Garbage> garbage_;  // done with up to `buried_`, of this pass up to `pass_end_`
  size_t buried_ = 0, pass_end_ = 0;
  std::vector<Garbage> held_;
  Stamp oldest_seen_ = 0, safe_seen_ = 0;
  bool held_for_log_ = false;  // something in held_ waits for the log
  bool passing_ = false;       // between BeginPass and the end of it
  int64_t passed_at_ms_ = 0;
  int64_t return_next_us_ = 0;
  bool returning_ = false;        // free pages, until few wait
  bool looking_at_held_ = false;  // in this pass
  int64_t held_look_next_ms_ = 0;
  bool more_is_due_ = false;
  bool vacuuming_ = false;  // no pass begins but the one that was asked for

  std::unique_ptr<Evictor> evictor_;
  WantedPolicy policy_;         // in force
  bool evictors_come_ = false;  // they waited for the policy in this turn or in the last one
  bool policy_is_tidy_ = true;
  int64_t policy_measured_at_ms_ = 0;

  uint64_t versions_freed_ = 0, keys_buried_ = 0;
  Vacuumed before_pass_, passed_;  // the last pass that gave something back

  // Scratch.
  std::vector<Deadlines::Entry> due_, moved_, inbox_deadlines_;
  std::vector<Garbage> inbox_garbage_;
  std::vector<Node*> nodes_;
  std::vector<LatchKey> latch_keys_;
  std::vector<Gone> gone_;
  std::vector<Candidate> candidates_, closed_;
  OrderedList::Page page_;
  std::vector<HashIndex::Entry> unfiled_;

  std::atomic<size_t> backlog_{0};
  std::atomic<bool> may_evict_{true}, more_to_evict_{false};
  std::atomic<bool> walking_{false};
  std::atomic<bool> policy_wanted_{false};  // another than that in force; set with mutex_ held
  mutable std::mutex mutex_;
  std::condition_variable wake_, vacuumed_;
  std::atomic<bool> stop_{false};                   // set with mutex_ held
  bool woken_ = false;                              // guarded by mutex_
  uint64_t vacuums_wanted_ = 0, vacuums_done_ = 0;  // guarded by mutex_
  std::vector<DroppedRoot> dropped_;                // guarded by mutex_
  std::vector<RangeWalk> new_walks_;                // guarded by mutex_
  WantedPolicy wanted_policy_;                      // guarded by mutex_
  std::condition_variable policy_set_;
  Vacuumed vacuumed_last_;  // guarded by mutex_
  VacuumStats figures_;     // guarded by mutex_
  std::thread thread_;
};

}  // namespace fluxkv::engine
