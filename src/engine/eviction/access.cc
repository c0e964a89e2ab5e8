#include "engine/eviction/access.h"

#include <algorithm>

namespace fluxkv::engine {

namespace {
constexpr size_t kTicksPerTurnover = size_t{1} << 16;  // ticks while each key is used once
constexpr size_t kCloseShare = 1024;  // an error of this part of the keys' places is nothing
}  // namespace

void AccessClock::Resize(size_t keys) {
  const size_t accesses_a_tick = std::max<size_t>(1, keys / kTicksPerTurnover);
  const size_t step = std::max<size_t>(1, (size_t{1} << kFraction) / accesses_a_tick);
  step_.store(static_cast<uint32_t>(step), std::memory_order_relaxed);
  const size_t close = keys / kCloseShare / accesses_a_tick;
  close_.store(static_cast<uint32_t>(close), std::memory_order_relaxed);
}

void AccessRecorder::Sync(uint32_t now_s) {
  now_s_ = now_s;
  kind_ = clock_.kind();
  if (kind_ == AccessKind::kSeconds) return;
  if (unpublished_ > 0) {
    now_ = clock_.accesses_.fetch_add(unpublished_, std::memory_order_relaxed) + unpublished_;
    unpublished_ = 0;
  } else {
    now_ = clock_.accesses_.load(std::memory_order_relaxed);
  }
  step_ = clock_.step_.load(std::memory_order_relaxed);
  close_ = clock_.close_.load(std::memory_order_relaxed);
  age_ = clock_.age();
  log_factor_ = clock_.log_factor_.load(std::memory_order_relaxed);
}

}  // namespace fluxkv::engine
