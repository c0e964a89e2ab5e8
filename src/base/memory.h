// Allocation with the size that the allocator really takes, so that used_memory counts what is used
// and not what was asked for.
//
// What holds a key's place lives longer than its versions, which every overwrite replaces, and
// comes from arenas of its own, on huge pages: one for nodes, which live as long as their key, one
// for the segments and blocks of index and list, which outlive many keys. Versions come from the
// arenas of the event loops, one each, on small pages: they come and go, and a huge page of which
// a part was given back is paid for whole (measured after a churn in 255 MB of data: 303 MB
// resident with versions on huge pages, 287 without; CPU a request the same within the noise).
// Whatever other threads allocate is in jemalloc's first arena. So each leaves whole ranges behind
// when it goes, and not holes between others that stay.
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

// The same for nodes, and for index and list; FreePlace is for both. `alignment` is a power of two.
#ifdef FLUXKV_JEMALLOC
// The calling thread allocates from the data arena of this number from now on. Threads of one
// number share it.
void UseDataArena(size_t number);
void* AllocateNode(size_t size);
void* AllocatePlace(size_t size, size_t alignment = 16);
inline void FreePlace(void* memory, size_t size) {
  sdallocx(memory, size, MALLOCX_TCACHE_NONE);
}
#else
inline void UseDataArena(size_t) {}
inline void* AllocateNode(size_t size) {
  return Allocate(size);
}
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

// A base for classes of index and list whose objects are made by new.
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
