// What the queues of LRU, ARC and LFU are ordered by, and which of a policy's two lists a node
// says it belongs to.
//
// O1. By tick: the key is the tick of the last use (A2), which rises. A node belongs to the list
//     of keys that were used again if it is marked kSeenAgain.
// O2. By frequency: the key is the age at the last use plus kAgeStep for each of the counter. As
//     all counters decay alike, it does not change while a key is not used, and rises when it
//     is. A node belongs to the list of keys that were used again once its counter is another than
//     a new key's; it never leaves.
//
// Threads: under the lock of Eviction; races with readers that store into the field (A1).
#pragma once

#include "engine/eviction/access.h"
#include "engine/eviction/lazy_queue.h"

namespace fluxkv::engine {

class TickOrder : public LazyQueue::Order {
 public:
  // For one of two lists, of keys used once or of keys used again.
  TickOrder(const AccessClock& clock, bool again) : clock_(clock), again_(again) {}
  // Brings the node's tick forward when it is too old to stay (A3).
  uint64_t KeyOf(Node& node) const override;
  bool Belongs(const Node& node) const override { return UsedAgain(node) == again_; }

  static bool UsedAgain(const Node& node) { return (node.access_s() & kSeenAgain) != 0; }
  static void MarkUsedAgain(Node& node) {
    const uint32_t field = node.access_s();
    node.ReplaceAccess(field, field | kSeenAgain);
  }

 private:
  const AccessClock& clock_;
  const bool again_;
};

class FrequencyOrder : public LazyQueue::Order {
 public:
  FrequencyOrder(const AccessClock& clock, bool again) : clock_(clock), again_(again) {}
  // Brings the node's age forward when it is too old to stay (A3).
  uint64_t KeyOf(Node& node) const override;
  bool Belongs(const Node& node) const override { return again_ || !UsedAgain(node); }

  static bool UsedAgain(const Node& node) { return (node.access_s() & 0xff) != kFrequencyInitial; }
  static void MarkUsedAgain(Node& node) {
    const uint32_t field = node.access_s();
    if (!UsedAgain(node)) node.ReplaceAccess(field, (field & ~0xffu) | (kFrequencyInitial + 1));
  }

 private:
  const AccessClock& clock_;
  const bool again_;
};

}  // namespace fluxkv::engine
