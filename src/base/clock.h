// The clock that all loops share: milliseconds since 1970 that never go back, so that a key which
// expired for one client is not seen again by another. A loop calls Tick() once a turn; everyone
// reads now_ms(), a plain load.
// Threads: all methods from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <ctime>

namespace fluxkv {

inline constexpr int64_t kMsPerSecond = 1000;

class Clock {
 public:
  Clock() { Tick(); }
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;

  // Reads the system's clock and moves now_ms() forward to it; a system clock that was set back
  // leaves now_ms() standing.
  int64_t Tick() {
    timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    int64_t ms = static_cast<int64_t>(t.tv_sec) * 1000 + t.tv_nsec / 1000000;
    int64_t seen = now_ms_.load(std::memory_order_relaxed);
    while (seen < ms && !now_ms_.compare_exchange_weak(seen, ms, std::memory_order_relaxed)) {
    }
    return seen < ms ? ms : seen;
  }
  // Relaxed is enough: whoever passed a reply from one client to another ticked after the time it
  // depends on.
  int64_t now_ms() const { return now_ms_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> now_ms_{0};
};

// Monotonic nanoseconds, for measuring how long something took.
inline int64_t MonotonicNs() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<int64_t>(t.tv_sec) * 1000000000 + t.tv_nsec;
}
inline int64_t MonotonicUs() {
  return MonotonicNs() / 1000;
}

// CPU time of the calling thread in nanoseconds.
inline int64_t ThreadCpuNs() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<int64_t>(t.tv_sec) * 1000000000 + t.tv_nsec;
}

// Microseconds since 1970 (TIME, SLOWLOG).
inline int64_t RealtimeUs() {
  timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return static_cast<int64_t>(t.tv_sec) * 1000000 + t.tv_nsec / 1000;
}

}  // namespace fluxkv
