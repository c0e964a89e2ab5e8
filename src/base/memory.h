// Allocation with the size that the allocator really takes, so that used_memory counts what is used
// and not what was asked for.
//
// What holds a key's place (node, index, list) lives as long as the key and comes from an arena of
// its own; versions, which every overwrite replaces, come from the threads' arenas. So old values
// leave whole ranges behind when they go, not holes between the nodes: giving back a hole breaks
// up its huge page, and what lives in the rest of it pays for that at every access (measured after
// a million keys were overwritten at another length: 18 of 200 MB on huge pages, now 165 of 185).
//
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

// The same for what holds a key's place . `alignment` is a power of two.
#ifdef FLUXKV_JEMALLOC
void* AllocatePlace(size_t size, size_t alignment = 16);
inline void FreePlace(void* memory, size_t size) {
  sdallocx(memory, size, MALLOCX_TCACHE_NONE);
}
#else
inline void* AllocatePlace(size_t size, size_t alignment = 16) {
  void* memory = std::aligned_alloc(alignment, (size + alignment - 1) & ~(alignment - 1));
  if (memory == nullptr) [[unlikely]]
    std::abort();
  return memory;
}
inline void FreePlace(void* memory, size_t size) {
  Free(memory, size);
}
#endif

// A base for classes whose objects are made by new and hold keys' places.
struct InPlaceArena {
  static void* operator new(size_t size) { return AllocatePlace(size); }
  static void operator delete(void* memory, size_t size) { FreePlace(memory, size); }
  static void* operator new(size_t size, std::align_val_t alignment) {
    return AllocatePlace(size, static_cast<size_t>(alignment));
  }
  static void operator delete(void* memory, size_t size, std::align_val_t) {
    FreePlace(memory, size);
  }
};

}  // namespace fluxkv
