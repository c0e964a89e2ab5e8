// Measures how long commands take, at a few nanoseconds a reading: the processor's time stamp
// counter where it runs at a constant rate, the monotonic clock elsewhere.
//
//   uint64_t start = stopwatch.Read();
//   Run();
//   uint64_t ns = stopwatch.Nanoseconds(stopwatch.Read() - start);
//
// Threads: constant after construction, which takes about a millisecond to measure the rate.
// Units: Read counts ticks, whose length only Nanoseconds knows.
#pragma once

#include <cstdint>

#include "base/clock.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace fluxkv::command {

class Stopwatch {
 public:
  Stopwatch() {
#if defined(__x86_64__)
    constexpr unsigned kPowerLeaf = 0x80000007;  // bit 8 of edx: the counter's rate is constant
    constexpr int64_t kMeasureNs = 1000000;
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    if (__get_cpuid(kPowerLeaf, &eax, &ebx, &ecx, &edx) == 0 || (edx & (1u << 8)) == 0) return;
    int64_t ns_begin = MonotonicNs();
    uint64_t ticks_begin = __builtin_ia32_rdtsc();
    int64_t ns = 0;
    while ((ns = MonotonicNs() - ns_begin) < kMeasureNs) {
    }
    uint64_t ticks = __builtin_ia32_rdtsc() - ticks_begin;
    if (ticks == 0) return;
    scale_ = (static_cast<uint64_t>(ns) << kScaleBits) / ticks;
#endif
  }

  uint64_t Read() const {
#if defined(__x86_64__)
    if (scale_ != 0) [[likely]]
      return __builtin_ia32_rdtsc();
#endif
    return static_cast<uint64_t>(MonotonicNs());
  }

  // A counter that differs between processors may seem to run backwards; that is no time at all.
  uint64_t Nanoseconds(uint64_t ticks) const {
    if (static_cast<int64_t>(ticks) < 0) return 0;
    if (scale_ == 0) return ticks;
    __extension__ using Wide = unsigned __int128;
    return static_cast<uint64_t>((static_cast<Wide>(ticks) * scale_) >> kScaleBits);
  }

 private:
  static constexpr int kScaleBits = 32;
  uint64_t scale_ = 0;  // nanoseconds a tick, in 2^-32; 0: ticks are nanoseconds
};

}  // namespace fluxkv::command
