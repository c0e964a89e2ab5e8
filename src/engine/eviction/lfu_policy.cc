#include "engine/eviction/lfu_policy.h"

#include <algorithm>

#include "base/planted.h"

namespace fluxkv::engine {

void LfuPolicy::NoteEvicted(const Victim& victim) {
  TwoListPolicy::NoteEvicted(victim);
  if (!clock_.ageing()) return;
  age_parts_ += (uint64_t{kAgeUnits} << 32) / std::max<size_t>(1, entries());
  if (!PLANTED(EVICTION_NO_AGEING)) clock_.AddAge(age_parts_ >> 32);
  age_parts_ &= 0xffffffff;
}

}  // namespace fluxkv::engine
