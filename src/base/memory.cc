#include "base/memory.h"

#ifdef FLUXKV_JEMALLOC
namespace fluxkv {

namespace {

unsigned NewPlaceArena() {
  unsigned arena = 0;
  size_t size = sizeof(arena);
  if (mallctl("arenas.create", &arena, &size, nullptr, 0) != 0) std::abort();
  return arena;
}

}  // namespace

void* AllocatePlace(size_t size, size_t alignment) {
  static const int flags = MALLOCX_ARENA(NewPlaceArena()) | MALLOCX_TCACHE_NONE;
  void* memory = mallocx(size, alignment <= 16 ? flags : flags | MALLOCX_ALIGN(alignment));
  if (memory == nullptr) [[unlikely]]
    std::abort();
  return memory;
}

}  // namespace fluxkv
#endif
