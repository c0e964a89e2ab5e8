// Allocation with the size that the allocator really takes, so that used_memory counts what is used
// and not what was asked for.
// Threads: any.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

#ifdef FLUXKV_JEMALLOC
#include <jemalloc/jemalloc.h>
#endif

namespace fluxkv {

// Bytes that a request of `size` bytes takes: jemalloc's size class; without jemalloc (sanitizer
// builds) the next 16.
inline size_t AllocatedBytes(size_t size) {
#ifdef FLUXKV_JEMALLOC
  return nallocx(size, 0);
#else
  return (size + 15) & ~size_t{15};
#endif
}

// Memory aligned for any object of ours up to 16 bytes. Out of memory ends the process: nothing
// sane can follow it.
inline void* Allocate(size_t size) {
  void* memory = std::malloc(size);
  if (memory == nullptr) [[unlikely]]
    std::abort();
  return memory;
}

inline void Free(void* memory, size_t size) {
#ifdef FLUXKV_JEMALLOC
  sdallocx(memory, size, 0);
#else
  static_cast<void>(size);
  std::free(memory);
#endif
}

}  // namespace fluxkv
