#include "engine/eviction/arc_policy.h"

#include <algorithm>

#include "base/planted.h"

namespace fluxkv::engine {

void ArcPolicy::NoteGhost(Ghosts::List list, double once, double again) {
  const double step =
      list == Ghosts::kOnce ? std::max(1.0, again / once) : -std::max(1.0, once / again);
  if (PLANTED(EVICTION_NO_ADAPTATION)) return;
  target_ = std::clamp(target_ + step, 0.0, static_cast<double>(entries() + 1));
}

}  // namespace fluxkv::engine
