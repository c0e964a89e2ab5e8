#include "base/memory.h"

#ifdef FLUXKV_JEMALLOC
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <sys/mman.h>

#include "base/free_pages.h"
#include "base/huge_range.h"

namespace fluxkv {

namespace {

unsigned NewArena() {
  unsigned arena = 0;
  size_t size = sizeof(arena);
  if (mallctl("arenas.create", &arena, &size, nullptr, 0) != 0) std::abort();
  return arena;
}

// ---- Pages that are free

FreePages& PagesToGive();

// The allocator's free pages go back through FreePages. True would be a failure, after which it
// gives them back itself.
bool TakePages(extent_hooks_t*, void* extent, size_t, size_t offset, size_t length, unsigned) {
  PagesToGive().Take(static_cast<char*>(extent) + offset, length);
  return false;
}

bool LeavePages(extent_hooks_t*, void* extent, size_t, size_t offset, size_t length, unsigned) {
  return !PagesToGive().Add(static_cast<char*>(extent) + offset, length);
}

// To the allocator's own ones. What it is given stays the arena's own.
void SetHooks(extent_hooks_t* hooks) {
  extent_hooks_t* own = nullptr;
  size_t size = sizeof(own);
  if (mallctl("arena.0.extent_hooks", &own, &size, nullptr, 0) != 0) std::abort();
  *hooks = *own;
  hooks->dalloc = nullptr;
  hooks->destroy = nullptr;
  hooks->commit = TakePages;
  hooks->decommit = LeavePages;
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

// ---- Arenas on huge pages, each in a range (jemalloc's manual, "arena.<i>.extent_hooks")

// An arena asks for steps that grow with it; larger ones than this would use up its range long
// before it is full.
constexpr size_t kStepMost = size_t{256} << 20;

struct RangeHooks : extent_hooks_t {
  HugeRange range;
};

HugeRange& RangeOf(extent_hooks_t* hooks) {
  return static_cast<RangeHooks*>(hooks)->range;
}

void* AllocateExtent(extent_hooks_t* hooks, void* address, size_t size, size_t alignment,
                     bool* zero, bool* commit, unsigned) {
  void* extent = RangeOf(hooks).Allocate(address, size, alignment);
  if (extent != nullptr) *zero = *commit = true;
  return extent;
}

// The first part is about to be used. True would be a failure.
bool SplitExtent(extent_hooks_t* hooks, void* extent, size_t, size_t first, size_t, bool,
                 unsigned) {
  RangeOf(hooks).NoteUsed(static_cast<char*>(extent) + first);
  return false;
}

unsigned NewRangeArena(RangeHooks* hooks) {
  if (!ReserveAddresses()) {
    std::fprintf(stderr, "%s\n", kNoAddresses);
    std::abort();
  }
  // Given its hooks when it exists already, the arena keeps its books outside of the range.
  const unsigned arena = NewArena();
  size_t step = kStepMost;
  Set(arena, "retain_grow_limit", &step, sizeof(step));
  SetHooks(hooks);
  hooks->alloc = AllocateExtent;
  hooks->split = SplitExtent;
  extent_hooks_t* wanted = hooks;
  Set(arena, "extent_hooks", &wanted, sizeof(wanted));
  return arena;
}

// Threads may free memory until the process is gone.
static_assert(std::is_trivially_destructible_v<RangeHooks>);

RangeHooks& NodeHooks() {
  static constinit RangeHooks hooks{};
  return hooks;
}

RangeHooks& PlaceHooks() {
  static constinit RangeHooks hooks{};
  return hooks;
}

HugeRange* RangeWith(const char* pages) {
  if (NodeHooks().range.Has(pages)) return &NodeHooks().range;
  return PlaceHooks().range.Has(pages) ? &PlaceHooks().range : nullptr;
}

void GiveToSystem(char* pages, size_t size) {
  if (HugeRange* range = RangeWith(pages)) return range->GiveBack(pages, size);
  if (madvise(pages, size, MADV_DONTNEED) != 0) std::memset(pages, 0, size);  // mlockall
}

void TakeFromSystem(char* pages, size_t size) {
  if (HugeRange* range = RangeWith(pages)) range->Take(pages, size);
}

FreePages& PagesToGive() {
  static constinit FreePages pages(GiveToSystem, TakeFromSystem);
  return pages;
}

static_assert(std::is_trivially_destructible_v<FreePages>);

unsigned NodeArena() {
  static const unsigned arena = NewRangeArena(&NodeHooks());
  return arena;
}

unsigned PlaceArena() {
  static const unsigned arena = [] {
    const unsigned made = NewRangeArena(&PlaceHooks());
    // What the index gives up where it grows, it soon takes again somewhere else.
    ssize_t decay_ms = 500;
    Set(made, "dirty_decay_ms", &decay_ms, sizeof(decay_ms));
    return made;
  }();
  return arena;
}

constexpr ssize_t kLargeDecayMs = 10'000;
// Free pages for large values that are kept without a look at anything else.
constexpr size_t kLargeKeptBytes = size_t{16} << 20;

// For versions.
unsigned NewDataArena() {
  static constinit extent_hooks_t hooks{};
  const unsigned arena = NewArena();
  if (hooks.alloc == nullptr) SetHooks(&hooks);
  extent_hooks_t* wanted = &hooks;
  Set(arena, "extent_hooks", &wanted, sizeof(wanted));
  return arena;
}

unsigned LargeArena() {
  static const unsigned arena = [] {
    const unsigned made = NewArena();
    ssize_t decay_ms = kLargeDecayMs;
    Set(made, "dirty_decay_ms", &decay_ms, sizeof(decay_ms));
    return made;
  }();
  return arena;
}

void* OrAbort(void* memory, size_t size, const char* what) {
  if (memory == nullptr) [[unlikely]] {
    std::fprintf(stderr, "no memory for %zu bytes of %s, or no address for them\n", size, what);
    std::abort();
  }
  return memory;
}

}  // namespace

bool ReserveAddresses() {
  static const bool reserved =
      NodeHooks().range.Reserve(kNodeRange) && PlaceHooks().range.Reserve(0);
  return reserved;
}

namespace {

// Has figures made anew; bytes of a page.
size_t RefreshFigures() {
  uint64_t epoch = 1;
  size_t size = sizeof(epoch), page = 0, page_size = sizeof(page);
  if (mallctl("epoch", &epoch, &size, &epoch, size) != 0 ||
      mallctl("arenas.page", &page, &page_size, nullptr, 0) != 0)
    std::abort();
  return page;
}

// What the arena has besides what is in use, besides what it was not given yet.
size_t FreeInNodeArena() {
  const unsigned arena = NodeArena();  // an arena younger than the figures has none
  const size_t page = RefreshFigures();
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
  const size_t left = NodeHooks().range.left();
  if (left >= bytes) [[likely]]
    return false;
  return left + FreeInNodeArenaOfLate() < bytes;
}

HugeRange::Figures PlaceRangeFigures() {
  return PlaceHooks().range.figures();
}

namespace {

// Arenas for versions, by the number that UseDataArena is given. Never destroyed: threads may run
// until the process is gone.
struct DataArenas {
  std::mutex mutex;
  std::vector<unsigned> arenas;  // guarded by mutex

  static DataArenas& All() {
    static auto* const all = new DataArenas;
    return *all;
  }
};

void GiveBack(unsigned arena, const char* how) {
  char name[32];
  std::snprintf(name, sizeof(name), "arena.%u.%s", arena, how);
  mallctl(name, nullptr, nullptr, nullptr, 0);  // it is no harm if it does not
}

void Decay(unsigned arena) {
  GiveBack(arena, "decay");
}

// The most that was in use of late: in the last kLargeDecayMs, and up to as long before.
class RecentPeak {
 public:
  // Ten times a second: figures take longer to make than pages to give back.
  bool IsDue() {
    const std::lock_guard lock(mutex_);
    if (NowMs() - noted_ms_ < kEveryMs) return false;
    noted_ms_ = NowMs();
    return true;
  }
  size_t Note(size_t bytes) {
    const std::lock_guard lock(mutex_);
    if (NowMs() - began_ms_ >= kLargeDecayMs) {
      before_ = std::exchange(peak_, 0);
      began_ms_ = NowMs();
    }
    peak_ = std::max(peak_, bytes);
    return std::max(peak_, before_);
  }

 private:
  static constexpr int64_t kEveryMs = 100;
  static int64_t NowMs() {
    using std::chrono::steady_clock;
    return steady_clock::now().time_since_epoch() / std::chrono::milliseconds(1);
  }
  std::mutex mutex_;
  int64_t noted_ms_ = 0, began_ms_ = 0;
  size_t peak_ = 0, before_ = 0;
};

// As RangeHooks: a collector may run until the process is gone.
static_assert(std::is_trivially_destructible_v<RecentPeak>);

// Of the free pages for large values at most so much is kept that all together is no more than was
// in use of late.
void TrimLarge() {
  static constinit RecentPeak peak;
  if (!peak.IsDue()) return;
  const size_t page = RefreshFigures();
  size_t used = 0, size = sizeof(used);
  if (mallctl("stats.active", &used, &size, nullptr, 0) != 0) std::abort();
  const size_t kept = kLargeKeptBytes + peak.Note(used) - used;
  if (Figure(LargeArena(), "pdirty") * page > kept) GiveBack(LargeArena(), "purge");
}

}  // namespace

void ReturnFreePages() {
  Decay(0);  // where books are
  Decay(NodeArena());
  Decay(PlaceArena());
  Decay(LargeArena());
  TrimLarge();
  DataArenas& data = DataArenas::All();
  const std::lock_guard lock(data.mutex);
  for (const unsigned arena : data.arenas) Decay(arena);
}

bool GiveBackFreePages(size_t runs_most) {
  return PagesToGive().GiveBack(runs_most);
}

FreePagesFigures FreePagesNow() {
  const FreePages& pages = PagesToGive();
  return {pages.bytes(), pages.runs_given(), pages.waited_ns()};
}

void MakePagesReady() {
  if (!ReserveAddresses()) return;
  NodeHooks().range.MakeReady();
  PlaceHooks().range.MakeReady();
}

void UseDataArena(size_t number) {
  DataArenas& data = DataArenas::All();
  const std::lock_guard lock(data.mutex);
  while (data.arenas.size() <= number) data.arenas.push_back(NewDataArena());
  unsigned arena = data.arenas[number];
  if (mallctl("thread.arena", nullptr, nullptr, &arena, sizeof(arena)) != 0) std::abort();
}

void* AllocateNode(size_t size) {
  static const int flags = MALLOCX_ARENA(NodeArena()) | MALLOCX_TCACHE_NONE;
  return OrAbort(mallocx(size, flags), size, "a key");
}

void* AllocatePlace(size_t size, size_t alignment) {
  static const int flags = MALLOCX_ARENA(PlaceArena()) | MALLOCX_TCACHE_NONE;
  void* place = mallocx(size, alignment <= 16 ? flags : flags | MALLOCX_ALIGN(alignment));
  return OrAbort(place, size, "index or list");
}

void* AllocateLarge(size_t size) {
  static const int flags = MALLOCX_ARENA(LargeArena()) | MALLOCX_TCACHE_NONE;
  return OrAbort(mallocx(size, flags), size, "a value");
}

void* AllocateBooks(size_t size) {
  // Past the thread's cache, which would hand it on as a version's memory.
  return OrAbort(mallocx(size, MALLOCX_ARENA(0) | MALLOCX_TCACHE_NONE), size, "books");
}

}  // namespace fluxkv
#endif
