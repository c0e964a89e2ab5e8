// When the logical clock stood where: OBJECT IDLETIME asks for seconds, nodes have ticks. Points
// (tick, second), close together for what was lately and ever farther apart before.
//
// M1. Ticks and seconds of the points rise. Where the clock stood still, both ends of that time
//     are points.
// M2. The gap before a point is at most a few hundredths of its age, or that and the time for
//     which the clock stood still there.
//
// Threads: under the lock of Eviction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fluxkv::engine {

class TickTimes {
 public:
  static constexpr size_t kPointsMax = 256;

  // At `second` the clock stands at `tick`. Called at least each second, or the gaps are larger.
  void Note(uint64_t tick, uint32_t second);
  // When the clock came to this tick, between points by their distance; 0 with no points.
  uint32_t SecondOf(uint64_t tick) const;
  uint64_t TickOf(uint32_t second) const;
  size_t points() const { return points_.size(); }

 private:
  struct Point {
    uint64_t tick;
    uint32_t second;
  };
  std::vector<Point> points_;
};

}  // namespace fluxkv::engine
