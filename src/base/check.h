// ASSERT(condition) stops the process when an invariant of ours is broken, in release builds too: a
// server that no longer knows its own state must not go on answering. DEBUG_ASSERT is for the hot
// path and vanishes with NDEBUG. What input, disk or network can cause is never an ASSERT; it is a
// Status.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace fluxkv::internal {
[[noreturn]] inline void AssertFailed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "%s:%d: invariant broken: %s\n", file, line, condition);
  std::fflush(stderr);
  std::abort();
}
}  // namespace fluxkv::internal

#define ASSERT(condition)                            \
  (__builtin_expect(static_cast<bool>(condition), 1) \
       ? static_cast<void>(0)                        \
       : ::fluxkv::internal::AssertFailed(__FILE__, __LINE__, #condition))

#ifdef NDEBUG
#define DEBUG_ASSERT(condition) static_cast<void>(sizeof(condition))
#else
#define DEBUG_ASSERT(condition) ASSERT(condition)
#endif
