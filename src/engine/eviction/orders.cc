#include "engine/eviction/orders.h"

#include "base/planted.h"

namespace fluxkv::engine {

uint64_t TickOrder::KeyOf(Node& node) const {
  const uint32_t field = node.access_s();
  const uint64_t tick = clock_.TickOf(field);
  const uint64_t oldest = AccessClock::kBase + clock_.ticks() - kOldestTicks;
  if (tick >= oldest || (PLANTED(EVICTION_LET_TICKS_WRAP) && tick > 0)) return tick;
  node.ReplaceAccess(field, (static_cast<uint32_t>(oldest) & kTickMask) | (field & kSeenAgain));
  return oldest;
}

uint64_t FrequencyOrder::KeyOf(Node& node) const {
  const uint32_t field = node.access_s();
  const uint64_t age = clock_.age();
  uint64_t behind = AgeBehind(field, age);
  if (behind > kOldestAge) {
    behind = kOldestAge;
    node.ReplaceAccess(field, FrequencyField(field & 0xff, age - kOldestAge));
  }
  return AccessClock::kBase + age - behind + (field & 0xff) * uint64_t{kAgeStep};
}

}  // namespace fluxkv::engine
