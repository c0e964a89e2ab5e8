// ARC: both lists in the order of last use, and it learns from the ghosts how many keys used once
// to keep. After N. Megiddo and D. Modha, "ARC: A Self-Tuning, Low Overhead Replacement Cache",
// FAST 2003. That a hit only leaves a mark, which is looked at later, is from S. Bansal and D.
// Modha, "CAR: Clock with Adaptive Replacement", FAST 2004.
//
// The paper's T1 and T2 are once and again, B1 and B2 their ghosts, c the number of keys there
// are.
//
// R1. The target (p) moves up for a ghost of B1 and down for one of B2, by the ratio of the
//     lists' sizes or 1, between 0 and c.
//     At |T1| = p the victim is from T1, as CAR does it; in the paper that depends on what is
//     filed.
// R2. |T1| + |B1| <= c and |T1| + |T2| + |B1| + |B2| <= 2c, as C4.
//
// Threads: under the lock of Eviction.
#pragma once

#include <algorithm>

#include "engine/eviction/two_list_policy.h"

namespace fluxkv::engine {

class ArcPolicy : public TwoListPolicy<TickOrder> {
 public:
  using TwoListPolicy::TwoListPolicy;

 private:
  double Target() const override {
    return std::min(target_, static_cast<double>(entries()));  // keys may have become fewer
  }
  void NoteGhost(Ghosts::List list, double once, double again) override;
  // R2.
  size_t GhostsOnceMax() const override { return again_.size(); }
  size_t GhostsAgainMax() const override {
    const size_t once = ghosts_.size(Ghosts::kOnce);
    return entries() > once ? entries() - once : 0;
  }

  double target_ = 0;
};

}  // namespace fluxkv::engine
