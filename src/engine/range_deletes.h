// Range deletes that are under way. DELRANGE deletes an interval of keys by one commit that touches
// none of them: what it leaves here says that they are gone, until each has its tombstone.
//
// A range delete D with stamp d *ends* a version of a key when the key is in its interval, the
// version's stamp is below d, and its deadline was not past at D's time (that one has ended by
// itself). Of several that could it is the oldest that ends it. To *settle* a key is to put the
// tombstone that D's stamp stands for on top of the version that D ended; what anybody sees at any
// moment is the same before and after.
//
// R1. A range delete joins the list of its keyspace, pending, while its committer holds every
//     latch, and gets its stamp then (T1). So who holds a latch sees a list that nothing joins,
//     with nothing pending on it; and every version that is older was published before it joined.
// R2. Who reads a version loads the list before the node's head. A range delete that is not on
//     that list either has no stamp yet, and the read comes before it, or has left (R4), and the
//     head that is loaded next has the tombstone.
// R3. Who replaces the head of a node settles the key first, under its latch: no version that was
//     ended lies behind a newer one without the tombstone between them. So a range delete counts
//     each key that it deleted once, and may leave when newest versions alone were looked at.
// R4. It leaves the list when every key of its interval is settled: the collector has walked them
//     all, and a node that came meanwhile has newer versions only (R1). In a keyspace that was
//     dropped it stays: nobody replaces heads there, and old snapshots go on reading by the list.
// R5. Lists never change. They are exchanged by compare-and-swap inside an epoch, retired by epoch.
// R6. A tombstone that settles is published before it becomes the head. It takes no stamp of its
//     own and is not logged: the range delete was.
//
// Threads: any.
// Owns: a list shares its range deletes with who waits for them.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/key_interval.h"
#include "engine/version.h"

namespace fluxkv::engine {

class RangeDelete {
 public:
  // `time_ms`: its commit's.
  RangeDelete(KeyInterval interval, int64_t time_ms)
      : interval_(std::move(interval)), time_ms_(time_ms), tombstone_(Version::NewTombstone()) {}

  const KeyInterval& interval() const { return interval_; }
  // kStampPending until it is committed. It is its pi as well (conflicts.h).
  Stamp stamp() const { return tombstone_->stamp(); }
  void Publish(Stamp stamp) { tombstone_->Publish(stamp); }
  // What a reader gets in the place of a version that it ended.
  const Version& tombstone() const { return *tombstone_; }
  bool Ends(std::string_view key, const Version& version) const {
    return version.stamp() < stamp() && interval_.Holds(key) && !version.ExpiredAt(time_ms_);
  }

  // Keys that it deleted, as far as they are settled.
  uint64_t keys() const { return keys_.load(std::memory_order_relaxed); }
  void CountKeys(uint64_t n) { keys_.fetch_add(n, std::memory_order_relaxed); }
  // Whether all are, and keys() says how many they were.
  bool settled() const { return settled_.load(std::memory_order_acquire); }
  void SetSettled() { settled_.store(true, std::memory_order_release); }

 private:
  const KeyInterval interval_;
  const int64_t time_ms_;
  const VersionPtr tombstone_;
  std::atomic<uint64_t> keys_{0};
  std::atomic<bool> settled_{false};
};

// A list of them.
class RangeDeletes {
 public:
  // `before` may be null.
  static const RangeDeletes* With(const RangeDeletes* before, std::shared_ptr<RangeDelete> added);
  // Null when nothing is left.
  static const RangeDeletes* Without(const RangeDeletes& before, const RangeDelete& gone);

  // The one that ended this version, if its stamp is at most `until` (kStampPending: pending ones
  // too); null: none. A tombstone, and a null version, is never ended.
  RangeDelete* EndOf(std::string_view key, const Version* version, Stamp until) const;
  // What stands for the version at `until`.
  const Version* Seen(std::string_view key, const Version* version, Stamp until) const {
    const RangeDelete* end = EndOf(key, version, until);
    return end == nullptr ? version : &end->tombstone();
  }
  bool settled() const;  // all of them
  size_t size() const { return deletes_.size(); }

 private:
  std::vector<std::shared_ptr<RangeDelete>> deletes_;  // oldest first
};

}  // namespace fluxkv::engine
