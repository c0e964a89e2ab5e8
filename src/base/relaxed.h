// The memory order of what only has to be a whole value: counters, settings, flags that are looked
// at again.
#pragma once

#include <atomic>

namespace fluxkv {

inline constexpr auto kRelaxed = std::memory_order_relaxed;

}  // namespace fluxkv
