// Earliest deadline first. Unlike what the other policies go by, a deadline changes only by a
// write, which tells (V1: unfiled with the old deadline, filed with the new one); so items can be
// found by what they are, and none becomes void but by dropping its space.
//
// D1. Buckets are in order: every item is at or after its bucket's first, and before the next
//     one's. In a bucket there is no order; it has at most kBucketMax items.
// D2. Items are told apart by deadline and entry, and equal ones are alike. An unfiled event
//     that finds no item waits in early_: for the filed event that it was read before, or for the
//     victim that it was read of, to be put back.
//
// Memory: 16 bytes a key with a deadline, and the slack of vectors.
// Threads: under the lock of Eviction.
#pragma once

#include <compare>
#include <optional>

#include "engine/eviction/books.h"
#include "engine/eviction/policy.h"

namespace fluxkv::engine {

class TtlPolicy : public Policy {
 public:
  TtlPolicy(VoidEntries& voids, AccessClock& clock) : Policy(voids, clock) {}

  void File(Entry entry, uint64_t deadline_ms) override;
  void Unfile(Entry entry, uint64_t deadline_ms) override;
  std::optional<Victim> Pick() override;
  void PutBack(const Victim& victim) override { File(victim.entry, victim.key); }
  bool Sweep(size_t budget, bool look) override;
  size_t entries() const override { return size_; }
  size_t early() const override { return early_count_; }
  void AddFigures(PolicyFigures* figures) const override;

 private:
  static constexpr size_t kBucketMax = 512;
  static constexpr size_t kLooksMax = 64;  // each passes over a bucket

  struct Item {
    uint64_t deadline_ms;
    Entry entry;
    friend auto operator<=>(const Item& a, const Item& b) {
      if (a.deadline_ms != b.deadline_ms) return a.deadline_ms <=> b.deadline_ms;
      return a.entry.bits() <=> b.entry.bits();
    }
    friend bool operator==(const Item& a, const Item& b) = default;
  };
  using Items = books::Vector<Item>;
  using Buckets = books::Map<Item, Items>;

  Buckets::iterator BucketOf(const Item& item);  // Requires: there are buckets
  void Put(const Item& item);
  bool TakeOut(const Item& item);
  static size_t BytesOf(const Items& items);

  Buckets buckets_;  // none is empty
  books::Map<Item, size_t> early_;
  size_t early_count_ = 0;
  size_t size_ = 0;
  size_t bytes_ = 0;           // that the buckets take
  std::optional<Item> swept_;  // buckets before this have been swept
};

}  // namespace fluxkv::engine
