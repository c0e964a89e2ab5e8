// When the logical clock stood where: OBJECT IDLETIME asks for seconds, nodes have ticks. Points
// (tick, second), close together for what was lately and ever farther apart before.
//
// M1. Ticks and seconds of the points rise. When a point is noted, both ends of a time for which
//     the clock stands still are points.
// M2. A gap in which there were other points is at most 1 / kGapShare of its age, so that no
//     answer is farther off than that. (If the clock stopped and went on hundreds of times, twice
//     that or more, as kPointsMax demands.)
//
// Threads: under the lock of Eviction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fluxkv::engine {

class TickTimes {
 public:
  static constexpr size_t kPointsMax = 512;
  static constexpr uint32_t kGapShare = 16;

  // At `second` the clock stands at `tick`. Called at least each second, or the gaps are larger.
  void Note(uint64_t tick, uint32_t second);
  // When the clock came to this tick, between points by their distance; 0 with no points.
  uint32_t SecondOf(uint64_t tick) const;
  uint64_t TickOf(uint32_t second) const;
  size_t points() const { return points_.size(); }
  uint32_t last_second() const { return points_.empty() ? 0 : points_.back().second; }

 private:
  struct Point {
    uint64_t tick;
    uint32_t second;
  };
  void Thin(uint32_t share);

  std::vector<Point> points_;
};

}  // namespace fluxkv::engine
