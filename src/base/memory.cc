#include "base/memory.h"

#ifdef FLUXKV_JEMALLOC
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <mutex>
#include <string>
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
constexpr size_t kHugePageBytes = size_t{2} << 20;

// Without huge pages it is slower, and that is all.
void AskForHugePages(void* extent, size_t size) {
  if (size >= kHugeExtentLeast) static_cast<void>(madvise(extent, size, MADV_HUGEPAGE));
}

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
  if (extent != nullptr) AskForHugePages(extent, size);
  return extent;
}

unsigned NewPlaceArena() {
  static extent_hooks_t hooks = [] {
    extent_hooks_t own = *DefaultHooks();
    own.alloc = AllocateExtent;
    return own;
  }();
  return NewArena(&hooks);
}

// ---- The range of the nodes: its arena is given one extent behind the other and keeps them

// Where the next extent begins. Not at the beginning of the range, which means null.
std::atomic<uintptr_t>& NextExtent() {
  static std::atomic<uintptr_t> next{kNodeRange + kHugePageBytes};
  return next;
}

void* AllocateNodeExtent(extent_hooks_t*, void* address, size_t size, size_t alignment, bool* zero,
                         bool* commit, unsigned) {
  std::atomic<uintptr_t>& next = NextExtent();
  if (size >= kHugeExtentLeast) alignment = std::max(alignment, kHugePageBytes);
  uintptr_t end = next.load();
  uintptr_t begin = 0;
  do {
    begin = (end + alignment - 1) & ~(alignment - 1);
    if (address != nullptr && reinterpret_cast<uintptr_t>(address) != begin) return nullptr;
    if (2 * kNodeRange - begin < size) return nullptr;
  } while (!next.compare_exchange_weak(end, begin + size));
  auto* extent = reinterpret_cast<void*>(begin);
  if (mprotect(extent, size, PROT_READ | PROT_WRITE) != 0) return nullptr;
  AskForHugePages(extent, size);
  *zero = *commit = true;
  return extent;
}

bool KeepExtent(extent_hooks_t*, void*, size_t, bool, unsigned) {
  return true;  // no: it stays the arena's, its pages are given back
}

unsigned NewNodeArena() {
  if (!ReserveNodeRange()) {
    std::fputs("fluxkv: no 64 GiB of addresses for the keys; is there a limit (ulimit -v)?\n",
               stderr);
    std::abort();
  }
  static extent_hooks_t hooks = [] {
    extent_hooks_t own = *DefaultHooks();
    own.alloc = AllocateNodeExtent;
    own.dalloc = KeepExtent;
    own.destroy = nullptr;
    return own;
  }();
  return NewArena(&hooks);
}

unsigned NodeArena() {
  static const unsigned arena = NewNodeArena();
  return arena;
}

void* OrAbort(void* memory) {
  if (memory == nullptr) [[unlikely]]
    std::abort();
  return memory;
}

}  // namespace

bool ReserveNodeRange() {
  static const bool reserved = [] {
    auto* wanted = reinterpret_cast<void*>(kNodeRange);
    void* got = mmap(wanted, kNodeRange, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (got == MAP_FAILED) return false;
    if (got == wanted) return true;
    munmap(got, kNodeRange);  // a kernel before 4.17, which takes the address as a wish
    return false;
  }();
  return reserved;
}

bool NodeRangeHasLess(size_t bytes) {
  if (2 * kNodeRange - NextExtent().load(std::memory_order_relaxed) >= bytes) [[likely]]
    return false;
  // No extent may follow, but what was freed inside those that are there counts.
  uint64_t epoch = 1;
  size_t size = sizeof(epoch), pages = 0, pages_size = sizeof(pages), page = 0;
  const std::string active = "stats.arenas." + std::to_string(NodeArena()) + ".pactive";
  if (mallctl("epoch", &epoch, &size, &epoch, size) != 0 ||
      mallctl(active.c_str(), &pages, &pages_size, nullptr, 0) != 0 ||
      mallctl("arenas.page", &page, &pages_size, nullptr, 0) != 0)
    std::abort();
  return kNodeRange - kHugePageBytes - std::min(kNodeRange - kHugePageBytes, pages * page) < bytes;
}

void UseDataArena(size_t number) {
  static std::mutex mutex;
  static std::vector<unsigned> arenas;  // guarded by mutex
  const std::lock_guard lock(mutex);
  while (arenas.size() <= number) arenas.push_back(NewArena(nullptr));
  unsigned arena = arenas[number];
  if (mallctl("thread.arena", nullptr, nullptr, &arena, sizeof(arena)) != 0) std::abort();
}

void* AllocateNode(size_t size) {
  static const int flags = MALLOCX_ARENA(NodeArena()) | MALLOCX_TCACHE_NONE;
  return OrAbort(mallocx(size, flags));
}

void* AllocatePlace(size_t size, size_t alignment) {
  static const int flags = MALLOCX_ARENA(NewPlaceArena()) | MALLOCX_TCACHE_NONE;
  return OrAbort(mallocx(size, alignment <= 16 ? flags : flags | MALLOCX_ALIGN(alignment)));
}

}  // namespace fluxkv
#endif
