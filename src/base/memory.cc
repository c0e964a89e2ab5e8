#include "base/memory.h"

#ifdef FLUXKV_JEMALLOC
namespace fluxkv {

namespace {

unsigned NewArena() {
  unsigned arena = 0;
  size_t size = sizeof(arena);
  if (mallctl("arenas.create", &arena, &size, nullptr, 0) != 0) std::abort();
  return arena;
}

void* OrAbort(void* memory) {
  if (memory == nullptr) [[unlikely]]
    std::abort();
  return memory;
}

}  // namespace

void* AllocateNode(size_t size) {
  static const int flags = MALLOCX_ARENA(NewArena()) | MALLOCX_TCACHE_NONE;
  return OrAbort(mallocx(size, flags));
}

void* AllocatePlace(size_t size, size_t alignment) {
  static const int flags = MALLOCX_ARENA(NewArena()) | MALLOCX_TCACHE_NONE;
  return OrAbort(mallocx(size, alignment <= 16 ? flags : flags | MALLOCX_ALIGN(alignment)));
}

}  // namespace fluxkv
#endif
