#include "engine/eviction/arc_policy.h"

#include <algorithm>

namespace fluxkv::engine {

void ArcPolicy::NoteGhost(Ghosts::List list, double once, double again) {
  const double step =
      list == Ghosts::kOnce ? std::max(1.0, again / once) : -std::max(1.0, once / again);
#ifdef FLUXKV_PLANT_EVICTION_NO_ADAPTATION
  target_ = std::min(target_, step);
#else
  target_ = std::clamp(target_ + step, 0.0, static_cast<double>(entries() + 1));
#endif
}

}  // namespace fluxkv::engine
