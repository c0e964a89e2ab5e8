#include "base/memory.h"

#ifdef FLUXKV_JEMALLOC
#include <algorithm>
#include <atomic>
#include <chrono>
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

// The arena asks for steps that grow with it; larger ones than this would use up the range long
// before it is full.
constexpr size_t kNodeStepMost = size_t{256} << 20;

struct NodeExtents {
  std::mutex mutex;
  // Where the next extent begins. Not at the beginning of the range, which means null. Written with
  // the mutex held.
  std::atomic<uintptr_t> next{kNodeRange + kHugePageBytes};
  size_t left() const { return 2 * kNodeRange - next.load(std::memory_order_relaxed); }
};

NodeExtents& Extents() {
  static NodeExtents extents;
  return extents;
}

void* AllocateNodeExtent(extent_hooks_t*, void* address, size_t size, size_t alignment, bool* zero,
                         bool* commit, unsigned) {
  if (size >= kHugeExtentLeast) alignment = std::max(alignment, kHugePageBytes);
  NodeExtents& extents = Extents();
  const std::lock_guard lock(extents.mutex);
  const uintptr_t begin = (extents.next.load() + alignment - 1) & ~(alignment - 1);
  auto* extent = reinterpret_cast<void*>(begin);
  if (address != nullptr && address != extent) return nullptr;
  if (begin >= 2 * kNodeRange || 2 * kNodeRange - begin < size) return nullptr;
  if (mprotect(extent, size, PROT_READ | PROT_WRITE) != 0) return nullptr;
  extents.next.store(begin + size);
  AskForHugePages(extent, size);
  *zero = *commit = true;
  return extent;
}

void Set(unsigned arena, const char* what, void* value, size_t size) {
  const std::string name = "arena." + std::to_string(arena) + "." + what;
  if (mallctl(name.c_str(), nullptr, nullptr, value, size) != 0) std::abort();
}

size_t Figure(unsigned arena, const char* what) {
  const std::string name = "stats.arenas." + std::to_string(arena) + "." + what;
  size_t value = 0, size = sizeof(value);
  if (mallctl(name.c_str(), &value, &size, nullptr, 0) != 0) std::abort();
  return value;
}

unsigned NewNodeArena() {
  if (!ReserveNodeRange()) {
    std::fputs("no 64 GiB of addresses for the keys: is there a limit (ulimit -v)?\n", stderr);
    std::abort();
  }
  // Given its hooks when it exists already, the arena keeps its books outside of the range.
  const unsigned arena = NewArena(nullptr);
  size_t step = kNodeStepMost;
  Set(arena, "retain_grow_limit", &step, sizeof(step));
  static extent_hooks_t hooks = [] {
    extent_hooks_t own = *DefaultHooks();
    own.alloc = AllocateNodeExtent;
    own.dalloc = nullptr;  // what it was given stays its own
    own.destroy = nullptr;
    return own;
  }();
  extent_hooks_t* wanted = &hooks;
  Set(arena, "extent_hooks", &wanted, sizeof(wanted));
  return arena;
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

namespace {

// What the arena has besides what is in use, besides what it was not given yet.
size_t FreeInNodeArena() {
  uint64_t epoch = 1;
  size_t size = sizeof(epoch), page = 0, page_size = sizeof(page);
  if (mallctl("epoch", &epoch, &size, &epoch, size) != 0 ||
      mallctl("arenas.page", &page, &page_size, nullptr, 0) != 0)
    std::abort();
  const unsigned arena = NodeArena();
  return Figure(arena, "retained") + (Figure(arena, "pdirty") + Figure(arena, "pmuzzy")) * page;
}

// The figure at most ten milliseconds old: making it is slow, and each command would want it.
size_t FreeInNodeArenaOfLate() {
  using std::chrono::steady_clock;
  static std::atomic<int64_t> made_at{0};
  static std::atomic<size_t> figure{0};
  const int64_t now = steady_clock::now().time_since_epoch() / std::chrono::milliseconds(1);
  int64_t seen = made_at.load(std::memory_order_acquire);
  if (now - seen >= 10 && made_at.compare_exchange_strong(seen, now)) figure = FreeInNodeArena();
  return figure;
}

}  // namespace

bool NodeRangeHasLess(size_t bytes) {
  const size_t left = Extents().left();
  if (left >= bytes) [[likely]]
    return false;
  return left + FreeInNodeArenaOfLate() < bytes;
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
  void* node = mallocx(size, flags);
  if (node == nullptr) [[unlikely]] {
    std::fprintf(stderr, "no memory for a key of %zu bytes, or no address for it\n", size);
    std::abort();
  }
  return node;
}

void* AllocatePlace(size_t size, size_t alignment) {
  static const int flags = MALLOCX_ARENA(NewPlaceArena()) | MALLOCX_TCACHE_NONE;
  return OrAbort(mallocx(size, alignment <= 16 ? flags : flags | MALLOCX_ALIGN(alignment)));
}

}  // namespace fluxkv
#endif
