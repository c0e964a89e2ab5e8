// CHECK(condition) stops the process when an invariant of ours is broken, in release builds too: a
// server that no longer knows its own state must not go on answering. DCHECK is for the hot path
// and vanishes with NDEBUG. What input, disk or network can cause is never a CHECK; it is a Status.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace fluxkv::internal {
[[noreturn]] inline void CheckFailed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "%s:%d: invariant broken: %s\n", file, line, condition);
  std::fflush(stderr);
  std::abort();
}
}  // namespace fluxkv::internal

#define CHECK(condition)                             \
  (__builtin_expect(static_cast<bool>(condition), 1) \
       ? static_cast<void>(0)                        \
       : ::fluxkv::internal::CheckFailed(__FILE__, __LINE__, #condition))

#ifdef NDEBUG
#define DCHECK(condition) static_cast<void>(sizeof(condition))
#else
#define DCHECK(condition) CHECK(condition)
#endif
