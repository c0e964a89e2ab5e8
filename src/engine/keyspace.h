// One keyspace: the keys that a database number stands for. FLUSHDB puts a fresh one in its place,
// SWAPDB exchanges two; old ones stay for the snapshots that still read them.
//
// A database number names its keyspace through a chain of RootVersions, newest first, read like a
// key's versions.
//
// K1. A root changes only while its committer holds every latch, so a writer that holds a latch
//     sees a root that stays.
// K2. A keyspace lives until no RootVersion names it; the collector alone unlinks RootVersions
//     and destroys keyspaces.
//
// Threads: as HashIndex and OrderedList; the counters by any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/limits.h"
#include "engine/eviction/eviction.h"
#include "engine/hash_index.h"
#include "engine/ordered_list.h"
#include "engine/range_deletes.h"

namespace fluxkv::engine {

class Keyspace {
 public:
  explicit Keyspace(uint64_t id) : id(id) {}
  ~Keyspace() { delete range_deletes(); }
  Keyspace(const Keyspace&) = delete;
  Keyspace& operator=(const Keyspace&) = delete;

  const uint64_t id;  // never used again

 private:
  // Beside what a look-up needs anyhow.
  std::atomic<const RangeDeletes*> range_deletes_{nullptr};

 public:
  HashIndex index;
  OrderedList list;
  // Nodes closed so far. A reader that found no node compares it to know
  // that none was there in between.
  std::atomic<uint64_t> buried{0};
  // Those under way, null if there are none; ordered after a reader's mark (conflicts.h, C1).
  const RangeDeletes* range_deletes() const {
    return range_deletes_.load(std::memory_order_seq_cst);
  }
  // R5. Whether `before` was still the list.
  bool ExchangeRangeDeletes(const RangeDeletes* before, const RangeDeletes* after) {
    return range_deletes_.compare_exchange_strong(before, after, std::memory_order_seq_cst);
  }
  // RootVersions that name it. Changed with all latches held, and by the collector.
  std::atomic<uint32_t> roots{0};
  // What the eviction policy knows of it (eviction.h, V2); SetEviction with all latches held, or
  // before anybody sees the keyspace.
  EvictionSpace eviction() const {
    EvictionSpace space = eviction_;
    space.filed_below = filed_below_.load(std::memory_order_relaxed);
    return space;
  }
  // With the latches of all keys held that it covers from now on.
  void RaiseFiledBelow(uint64_t scan_hash) {
    filed_below_.store(scan_hash, std::memory_order_relaxed);
  }
  void SetEviction(const EvictionSpace& space) {
    eviction_ = space;
    filed_below_.store(space.filed_below, std::memory_order_relaxed);
    space_.store(space.numbered ? int32_t{space.number} : -1, std::memory_order_relaxed);
  }
  // Whether it has this number. A guess without a latch.
  bool IsSpace(SpaceNumber number) const {
    return space_.load(std::memory_order_relaxed) == int32_t{number};
  }

  // Counts are striped by thread so that writers share no line; a count is the sum.
  void AddKeys(size_t thread, int64_t keys, int64_t with_expiry) {
    Stripe& s = stripes_[thread % kStripes];
    if (keys != 0) s.keys.fetch_add(keys, std::memory_order_relaxed);
    if (with_expiry != 0) s.with_expiry.fetch_add(with_expiry, std::memory_order_relaxed);
  }
  // Of its live keys: nodes and newest versions. Exact with all latches held.
  void AddLiveBytes(size_t thread, int64_t bytes) {
    stripes_[thread % kStripes].live_bytes.fetch_add(bytes, std::memory_order_relaxed);
  }
  int64_t live_bytes() const {
    int64_t sum = 0;
    for (const Stripe& s : stripes_) sum += s.live_bytes.load(std::memory_order_relaxed);
    return sum;
  }
  // Keys that a range delete ended count until they are settled.
  uint64_t keys() const {
    int64_t sum = 0;
    for (const Stripe& s : stripes_) sum += s.keys.load(std::memory_order_relaxed);
    return sum < 0 ? 0 : static_cast<uint64_t>(sum);
  }
  uint64_t keys_with_expiry() const {
    int64_t sum = 0;
    for (const Stripe& s : stripes_) sum += s.with_expiry.load(std::memory_order_relaxed);
    return sum < 0 ? 0 : static_cast<uint64_t>(sum);
  }

 private:
  static constexpr size_t kStripes = 8;
  struct alignas(limits::kCacheLineBytes) Stripe {
    std::atomic<int64_t> keys{0}, with_expiry{0}, live_bytes{0};
  };
  std::array<Stripe, kStripes> stripes_;
  EvictionSpace eviction_;
  std::atomic<uint64_t> filed_below_{0};  // what counts of it
  std::atomic<int32_t> space_{-1};        // its number, -1 for none
};

struct RootVersion {
  Keyspace* keyspace;
  std::atomic<Stamp> stamp{kStampPending};
  std::atomic<RootVersion*> older{nullptr};
  // Stamp, and so pi, of the commit that replaced it: those in between may have been unlinked.
  std::atomic<Stamp> replaced_at{kStampPending};
};

}  // namespace fluxkv::engine
