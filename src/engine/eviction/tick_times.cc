#include "engine/eviction/tick_times.h"

#include <algorithm>

namespace fluxkv::engine {

namespace {
// y at x on the line through (x0, y0) and (x1, y1), x0 < x <= x1 and y0 <= y1.
uint64_t Between(uint64_t x, uint64_t x0, uint64_t x1, uint64_t y0, uint64_t y1) {
  return y0 + static_cast<uint64_t>(static_cast<double>(x - x0) / static_cast<double>(x1 - x0) *
                                    static_cast<double>(y1 - y0));
}
}  // namespace

void TickTimes::Note(uint64_t tick, uint32_t second) {
  if (!points_.empty()) {
    Point& last = points_.back();
    if (second <= last.second || tick < last.tick) return;
    if (points_.size() > 1 && tick == last.tick && points_[points_.size() - 2].tick == tick) {
      last.second = second;
      return;
    }
  }
  points_.push_back({tick, second});
  for (uint32_t share = kGapShare; points_.size() > kPointsMax; share /= 2) Thin(share);
}

// Drops each inner point without which the gap is no more than that share of its age. With share
// 1 the age doubles with every second point that stays, so that they are few enough at last.
void TickTimes::Thin(uint32_t share) {
  size_t kept = 1;
  for (size_t i = 1; i + 1 < points_.size(); ++i) {
    const uint32_t gap = points_[i + 1].second - points_[kept - 1].second;
    const uint32_t age = points_.back().second - points_[i + 1].second;
    if (gap > age / share) points_[kept++] = points_[i];
  }
  points_[kept++] = points_.back();
  points_.resize(kept);
}

uint32_t TickTimes::SecondOf(uint64_t tick) const {
  auto after = std::lower_bound(points_.begin(), points_.end(), tick,
                                [](const Point& p, uint64_t t) { return p.tick < t; });
  if (points_.empty()) return 0;
  if (after == points_.end()) return points_.back().second;
  if (after == points_.begin()) return after->second;
  const Point& before = *(after - 1);
  return static_cast<uint32_t>(
      Between(tick, before.tick, after->tick, before.second, after->second));
}

uint64_t TickTimes::TickOf(uint32_t second) const {
  auto after = std::lower_bound(points_.begin(), points_.end(), second,
                                [](const Point& p, uint32_t s) { return p.second < s; });
  if (points_.empty()) return 0;
  if (after == points_.end()) return points_.back().tick;
  if (after == points_.begin()) return after->tick;
  const Point& before = *(after - 1);
  return Between(second, before.second, after->second, before.tick, after->tick);
}

}  // namespace fluxkv::engine
