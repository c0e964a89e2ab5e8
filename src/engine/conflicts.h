// Serializability of transactions that read at a snapshot: the Serial Safety Net (Wang, Johnson,
// Fekete, Pandis, "Efficiently making (almost) any concurrency control mechanism serializable",
// VLDB Journal 26, 2017) over snapshot isolation.
//
// For a committing transaction T with snapshot S and stamp c:
//   eta(T)  the newest stamp among what must come before T: S (everything acknowledged before it
//           began: real-time order), and the readers of what T overwrites;
//   pi(T)   the oldest stamp reached from T by overwriters: the least pi(U) over all U that
//           overwrote what T read; c if none.
// T commits when pi(T) > eta(T). Every cycle in the dependency graph of a history has a
// transaction that fails this.
// A transaction that reads the newest under latches has pi = its own stamp and never fails; it
// only leaves its marks.
//
// C1. tracking() counts the live read-write serializable transactions. Begin raises it before it
//     chooses its snapshot, and waits for the commits in flight, which may not have seen it, in
//     between. Whoever sees it raised leaves its marks before it reads, and commits under
//     commit_mutex().
// C2. Under commit_mutex(): install pending, check, stamp, publish. Two commits never pass their
//     checks side by side.
// C3. A read mark of a key is at least the position of every committed reader of it that matters
//     to a live transaction. Marks share a fixed table by hash: a collision makes a mark too new,
//     which may cost an abort and never an anomaly.
// C4. A range is registered before it is read. A commit under commit_mutex() that writes into a
//     live transaction's range lowers that transaction's pi; a committed range is remembered
//     until no live transaction is older.
// C5. A read-only snapshot is registered before it chooses its stamp; a transaction with
//     pi <= that stamp < c aborts instead of it.
//
// Threads: any, as each method says.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "engine/key_interval.h"
#include "engine/version.h"

namespace fluxkv::engine {

// Keys of one database from `low`, included, to `high`, not included, or to the end; `whole` is the
// whole database.
struct KeyRange {
  uint32_t db = 0;
  bool whole = false;
  std::string low, high;
  bool to_end = false;
  // The interval, or somewhat more: bounds may be as long as keys, and are kept for long.
  static KeyRange Around(uint32_t db, const KeyInterval& interval);
  bool Meets(const KeyRange& other) const {
    return db == other.db && (whole || other.whole ||
                              ((to_end || other.low < high) && (other.to_end || low < other.high)));
  }
  bool Holds(uint32_t in_db, std::string_view key) const {
    return db == in_db && (whole || (low <= key && (to_end || key < high)));
  }
  bool Covers(const KeyRange& other) const {
    if (db != other.db) return false;
    return whole ||
           (!other.whole && low <= other.low && (to_end || (!other.to_end && other.high <= high)));
  }
  friend bool operator==(const KeyRange&, const KeyRange&) = default;
};

// The tracked side of a live read-write serializable transaction.
struct TrackedTransaction {
  std::vector<KeyRange> ranges;  // guarded by the commit mutex
  Stamp range_pi =
      kStampPending;   // guarded by the commit mutex: least pi of those who wrote into the ranges
  Stamp snapshot = 0;  // set once, under the commit mutex
};

class Conflicts {
 public:
  static constexpr size_t kMarks = 1 << 16;
  static constexpr size_t kRangesPerTransactionMax = 64;  // more: the whole database
  static constexpr size_t kCommittedRangesMax = 256;      // more: the whole database, newest stamp

  bool tracking() const { return tracking_.load(std::memory_order_seq_cst) != 0; }
  std::mutex& commit_mutex() { return commit_mutex_; }

  // C1, C5. Between Begin/BeginReadOnly and SetSnapshot the transaction counts
  // as older than everything.
  void Begin(TrackedTransaction* transaction);
  void SetSnapshot(TrackedTransaction* transaction, Stamp snapshot);
  void End(TrackedTransaction* transaction);
  using ReadOnly = std::list<Stamp>::iterator;
  ReadOnly BeginReadOnly();
  void SetReadOnlySnapshot(ReadOnly reader, Stamp snapshot);
  void EndReadOnly(ReadOnly reader);

  // C3. Raises the key's mark to at least `position`; ordered before the caller's later loads.
  void Mark(uint32_t db, uint64_t hash, Stamp position);
  Stamp MarkOf(uint32_t db, uint64_t hash) const {
    return marks_[MarkIndex(db, hash)].load(std::memory_order_seq_cst);
  }

  // C4. Registers a range of a live transaction, before it is read.
  void AddRange(TrackedTransaction* transaction, KeyRange range);
  // A range read by someone who is not tracked, or by a committed transaction.
  void MarkRange(KeyRange range, Stamp position);

  // The rest Requires: commit_mutex() held.
  void MarkRangeLocked(KeyRange range, Stamp position);
  Stamp RangeMarkOf(uint32_t db, std::string_view key) const;
  // A commit with this pi wrote the key: live transactions other than `self` that read a range with
  // it get an rw-edge.
  void NoteWrite(const TrackedTransaction* self, uint32_t db, std::string_view key, Stamp pi);
  void NoteWholeWrite(uint32_t db, Stamp pi);  // cleared or swapped
  // A range delete with this pi. Who read single keys of it finds it as their overwriter.
  void NoteRangeWrite(const KeyRange& range, Stamp pi);
  // Whether a live read-only snapshot is at or past `pi` (C5).
  bool ReadOnlyReaches(Stamp pi) const;

 private:
  struct CommittedRange {
    KeyRange range;
    Stamp position;
  };
  static size_t MarkIndex(uint32_t db, uint64_t hash) { return MixHash(hash, db) % kMarks; }
  void DropOldRanges();

  std::atomic<size_t> tracking_{0};
  std::mutex commit_mutex_;
  std::vector<TrackedTransaction*> live_;  // guarded by commit_mutex_
  std::list<Stamp> read_only_;             // guarded by commit_mutex_
  std::vector<CommittedRange> committed_;  // guarded by commit_mutex_
  std::vector<std::atomic<Stamp>> marks_ = std::vector<std::atomic<Stamp>>(kMarks);
};

}  // namespace fluxkv::engine
