// LRU: one queue in the order of the last use. Exact as far as LazyQueue and the clock are (L2,
// A2). Threads: under the lock of Eviction.
#pragma once

#include "engine/eviction/orders.h"
#include "engine/eviction/policy.h"

namespace fluxkv::engine {

class LruPolicy : public Policy {
 public:
  LruPolicy(VoidEntries& voids, AccessClock& clock)
      : Policy(voids, clock), order_(clock), queue_(voids, order_) {}

  void File(Entry entry, uint64_t) override { queue_.File(entry, order_.KeyOf(*entry.node())); }
  std::optional<Victim> Pick() override {
    const std::optional<LazyQueue::Item> item = queue_.Pop();
    if (!item) return std::nullopt;
    return Victim{.entry = item->entry, .key = item->key};
  }
  void PutBack(const Victim& victim) override { queue_.File(victim.entry, victim.key); }
  bool Sweep(size_t budget, bool look) override { return queue_.Sweep(budget, look); }
  size_t entries() const override { return queue_.size(); }
  void AddFigures(PolicyFigures* figures) const override {
    figures->allocated_bytes += queue_.allocated_bytes();
  }

 private:
  // One list holds all keys.
  class AnyOrder : public TickOrder {
   public:
    explicit AnyOrder(const AccessClock& clock) : TickOrder(clock, false) {}
    bool Belongs(const Node&) const override { return true; }
  };

  const AnyOrder order_;
  LazyQueue queue_;
};

}  // namespace fluxkv::engine
