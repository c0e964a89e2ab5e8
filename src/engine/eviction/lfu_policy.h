// LFU: keys used again are in the order of Redis's counter, which OBJECT FREQ shows (access.h).
//
// On its own that counter does badly in a hurry: nothing ages before a minute has passed, new
// keys, all at the same low counter, push each other out, and what was popular once stays. Two
// things are added, neither of which changes what FREQ answers while nothing is evicted:
//
// F1. Ageing by evictions: when twice as many keys were evicted as there are, each counter counts
//     for one less (A4; cf. the dynamic ageing of LFU-DA, M. Arlitt et al., 1999).
// F2. Keys that were used once have a twentieth of the places, in the order in which they came,
//     and half as many ghosts as there are keys give those that come back another chance (cf.
//     S3-FIFO, J. Yang et al., SOSP 2023).
//
// Threads: under the lock of Eviction.
#pragma once

#include "engine/eviction/two_list_policy.h"

namespace fluxkv::engine {

class LfuPolicy : public TwoListPolicy<FrequencyOrder> {
 public:
  using TwoListPolicy::TwoListPolicy;
  void NoteEvicted(const Victim& victim) override;

 private:
  // F2.
  double Target() const override { return static_cast<double>(entries()) / 20; }
  size_t GhostsOnceMax() const override { return entries() / 2; }
  size_t GhostsAgainMax() const override { return 0; }

  uint64_t age_parts_ = 0;  // of a unit of age, in 2^-32
};

}  // namespace fluxkv::engine
