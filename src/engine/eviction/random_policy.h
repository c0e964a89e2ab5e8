// Any key is as likely to go as any other: all entries in an array, and a victim is replaced by
// the last of them.
//
// R1. The array holds each entry once; its order means nothing.
//
// Threads: under the lock of Eviction.
#pragma once

#include "engine/eviction/books.h"
#include "engine/eviction/policy.h"

namespace fluxkv::engine {

class RandomPolicy : public Policy {
 public:
  RandomPolicy(VoidEntries& voids, AccessClock& clock) : Policy(voids, clock) {}

  void File(Entry entry, uint64_t) override { entries_.push_back(entry); }
  std::optional<Victim> Pick() override;
  void PutBack(const Victim& victim) override { entries_.push_back(victim.entry); }
  bool Sweep(size_t budget, bool look) override;
  size_t entries() const override { return entries_.size(); }
  void AddFigures(PolicyFigures* figures) const override {
    figures->allocated_bytes += entries_.size() * (sizeof(Entry) + 1);
  }

 private:
  static constexpr size_t kLooksMax = 4096;
  void TakeOut(size_t at);

  books::Deque<Entry> entries_;
  size_t swept_ = 0;
  uint64_t random_ = 0x9e3779b97f4a7c15ULL;
};

}  // namespace fluxkv::engine
