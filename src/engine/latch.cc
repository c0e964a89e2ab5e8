#include "engine/latch.h"

#include <ctime>

#include <sched.h>

#include "base/clock.h"

namespace fluxkv::engine {

namespace {
constexpr uint32_t kSpins = 200;
constexpr uint32_t kYields = 8;
constexpr int64_t kSleepNsMin = 5'000;
constexpr int64_t kSleepNsMax = 500'000;

inline void CpuRelax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}
}  // namespace

void Backoff::Pause() {
  ++rounds_;
  if (rounds_ <= kSpins) return CpuRelax();
  if (rounds_ <= kSpins + kYields) {
    sched_yield();
    return;
  }
  uint32_t doublings = rounds_ - kSpins - kYields;
  int64_t ns = doublings < 7 ? kSleepNsMin << doublings : kSleepNsMax;
  timespec t{0, ns};
  nanosleep(&t, nullptr);
}

uint64_t Latch::LockSlow() {
  int64_t start = MonotonicNs();
  Backoff backoff;
  do {
    while (locked()) backoff.Pause();
  } while (!TryLock());
  return static_cast<uint64_t>(MonotonicNs() - start) + 1;
}

}  // namespace fluxkv::engine
