#include "base/memory.h"

#ifdef FLUXKV_JEMALLOC
#include <mutex>
#include <vector>

#include <sys/mman.h>

namespace fluxkv {

namespace {

unsigned NewArena(extent_hooks_t* hooks) {
  unsigned arena = 0;
  size_t size = sizeof(arena);
  if (mallctl("arenas.create", &arena, &size, hooks == nullptr ? nullptr : &hooks,
              hooks == nullptr ? 0 : sizeof(hooks)) != 0)
    std::abort();
  return arena;
}

// ---- Arenas on huge pages (jemalloc's manual, "arena.<i>.extent_hooks")

// Smaller extents, an arena's first ones, are on small pages: a server with few keys is small.
constexpr size_t kHugeExtentLeast = size_t{4} << 20;

extent_hooks_t* DefaultHooks() {
  static extent_hooks_t* const hooks = [] {
    extent_hooks_t* found = nullptr;
    size_t size = sizeof(found);
    if (mallctl("arena.0.extent_hooks", &found, &size, nullptr, 0) != 0) std::abort();
    return found;
  }();
  return hooks;
}

void* AllocateExtent(extent_hooks_t*, void* address, size_t size, size_t alignment, bool* zero,
                     bool* commit, unsigned arena) {
  extent_hooks_t* hooks = DefaultHooks();
  void* extent = hooks->alloc(hooks, address, size, alignment, zero, commit, arena);
  // Without huge pages it is slower, and that is all.
  if (extent != nullptr && size >= kHugeExtentLeast)
    static_cast<void>(madvise(extent, size, MADV_HUGEPAGE));
  return extent;
}

unsigned NewHugeArena() {
  static extent_hooks_t hooks = [] {
    extent_hooks_t own = *DefaultHooks();
    own.alloc = AllocateExtent;
    return own;
  }();
  return NewArena(&hooks);
}

void* OrAbort(void* memory) {
  if (memory == nullptr) [[unlikely]]
    std::abort();
  return memory;
}

}  // namespace

void UseDataArena(size_t number) {
  static std::mutex mutex;
  static std::vector<unsigned> arenas;  // guarded by mutex
  const std::lock_guard lock(mutex);
  while (arenas.size() <= number) arenas.push_back(NewArena(nullptr));
  unsigned arena = arenas[number];
  if (mallctl("thread.arena", nullptr, nullptr, &arena, sizeof(arena)) != 0) std::abort();
}

void* AllocateNode(size_t size) {
  static const int flags = MALLOCX_ARENA(NewHugeArena()) | MALLOCX_TCACHE_NONE;
  return OrAbort(mallocx(size, flags));
}

void* AllocatePlace(size_t size, size_t alignment) {
  static const int flags = MALLOCX_ARENA(NewHugeArena()) | MALLOCX_TCACHE_NONE;
  return OrAbort(mallocx(size, alignment <= 16 ? flags : flags | MALLOCX_ALIGN(alignment)));
}

}  // namespace fluxkv
#endif
