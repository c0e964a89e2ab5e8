// Allocation with the size that the allocator really takes, so that used_memory counts what is used
// and not what was asked for.
//
// What holds a key's place lives longer than its versions, which every overwrite replaces, and
// comes from arenas of its own, on huge pages (huge_range.h): one for nodes, which live as long as
// their key, one for the segments and blocks of index and list, which outlive many keys. Versions
// come from the arenas of the event loops, one each, on small pages: they come and go, and a huge
// page of which a part was given back is paid for whole (measured after a churn in 255 MB of data:
// 303 MB resident with versions on huge pages, 287 without; CPU a request the same within the
// noise). Whatever other threads allocate is in jemalloc's first arena, and with it books: what is
// kept of keys beside nodes and versions, whoever allocates it. So each leaves whole ranges behind
// when it goes, and not holes between others that stay.
//
// Values of whole pages (kLargeBytes) have an arena whose pages are given back more slowly, some
// ten seconds after they became free, as Redis's allocator does with all. To have a page given anew
// costs as much as to copy a value into it, and more where a host has to find it for a guest first.
// But pages that are kept so take no memory that was not in use in those seconds: as other data
// grows, they go (ReturnFreePages).
//
// Nodes lie in one range of addresses, so that index, list and eviction policy name a node by four
// bytes (AddressBits) and not by eight. The range is as large as four bytes can tell: 64 GiB of
// nodes (12 bytes and the key, each), whatever else the data takes. Near its end the server refuses
// commands that add data (the flag kDenyOom), and a load ends with an error.
//
// Threads: any.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

#ifdef FLUXKV_JEMALLOC
#include <jemalloc/jemalloc.h>

#include "base/huge_range.h"
#endif

namespace fluxkv {

// Bytes that a request of `size` bytes takes: jemalloc's size class; without jemalloc (sanitizer
// builds) the next 16.
inline size_t AllocatedBytes(size_t size) {
#ifdef FLUXKV_JEMALLOC
  // As nallocx tells (tests/base/memory_test.cc) of more than 8 bytes, without the call, which was
  // a hundredth of what a new key costs: multiples of 16, and from 128 on four classes between a
  // power of two and the next.
  const int bits = std::bit_width(size - 1);
  const size_t step = size_t{1} << std::max(bits - 3, 4);
  return (size + step - 1) & ~(step - 1);
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

// From this size on, AllocateLarge for what lives as long as a value.
inline constexpr size_t kLargeBytes = 16384;

// Pages of keys, index, list and a server's values that have been free for as long as the allocator
// is told to keep them (dirty_decay_ms) wait for GiveBackFreePages (base/free_pages.h). Threads
// find out about them only while they allocate or free: what was freed last before they went idle
// would stay, and ReturnFreePages does it for them. Books and large values, which have arenas that
// give back what is free themselves, it treats in the same way.
//
// Any thread. ReturnFreePages: some tens of times a second; some microseconds an arena, and a tenth
// of a millisecond for each MB of large values. GiveBackFreePages: so many runs of pages at the
// most, a microsecond each, or as long as it takes to interrupt other processors; whether some are
// left. A store's collector calls both; what is freed when there is no store any more waits for the
// next one's.
inline constexpr size_t kFreePagesMany = size_t{1} << 20;  // so many should not be left to wait
struct FreePagesFigures {
  size_t waiting = 0;       // bytes
  uint32_t runs_given = 0;  // modulo 2^32
  uint64_t waited_ns = 0;   // for pages that were on their way back, all threads
};
#ifdef FLUXKV_JEMALLOC
void ReturnFreePages();
bool GiveBackFreePages(size_t runs_most);
FreePagesFigures FreePagesNow();  // without a lock
#else
inline void ReturnFreePages() {}
inline bool GiveBackFreePages(size_t) {
  return false;
}
inline FreePagesFigures FreePagesNow() {
  return {};
}
#endif

// Makes memory that keys, index and list will need soon resident, two huge pages a call at most
// (HugeRange::MakeReady), so that nobody waits for it who answers a client. Any thread; often.
#ifdef FLUXKV_JEMALLOC
void MakePagesReady();
#else
inline void MakePagesReady() {}
#endif

inline constexpr const char* kNoAddresses =
    "no 128 GiB of addresses for the keys: is there a limit (ulimit -v)?";

// The same for nodes, for index and list, and for books; FreePlace is for all three. `alignment` is
// a power of two.
#ifdef FLUXKV_JEMALLOC
// The range of the nodes. Low addresses are free on Linux: programs, heaps and stacks are far above
// or within the first gigabytes; and they exist where addresses have 39 bits alone.
inline constexpr int kNodeRangeBits = HugeRange::kBits;
inline constexpr uintptr_t kNodeRange = HugeRange::kBytes;  // and as many bytes
inline constexpr int kNodeAlignmentBits = 4;
// False if the ranges cannot be had. Without them the first AllocateNode or AllocatePlace aborts.
[[nodiscard]] bool ReserveAddresses();
// True when so many bytes more of nodes may not find room in the range, as far as is known (what
// was freed or used counts after ten milliseconds).
bool NodeRangeHasLess(size_t bytes);
// A node's address as the range's offset; 0 is null.
using AddressBits = uint32_t;
inline AddressBits BitsOf(const void* node) {
  return static_cast<AddressBits>(reinterpret_cast<uintptr_t>(node) >> kNodeAlignmentBits);
}
inline void* AddressOf(AddressBits bits) {  // Requires: not 0
  return reinterpret_cast<void*>(kNodeRange | uintptr_t{bits} << kNodeAlignmentBits);
}
static_assert(kNodeRangeBits - kNodeAlignmentBits == 32);
// The calling thread allocates from the data arena of this number from now on. Threads of one
// number share it.
void UseDataArena(size_t number);
void* AllocateNode(size_t size);
void* AllocatePlace(size_t size, size_t alignment = 16);
void* AllocateBooks(size_t size);
void* AllocateLarge(size_t size);        // Free is for it
HugeRange::Figures PlaceRangeFigures();  // of index and list
inline void FreePlace(void* memory, size_t size) {
  sdallocx(memory, size, MALLOCX_TCACHE_NONE);
}
#else
// Sanitizers watch their own allocator's memory: there a node is named by its whole address.
[[nodiscard]] inline bool ReserveAddresses() {
  return true;
}
inline bool NodeRangeHasLess(size_t) {
  return false;
}
using AddressBits = uint64_t;
inline AddressBits BitsOf(const void* node) {
  return reinterpret_cast<uintptr_t>(node);
}
inline void* AddressOf(AddressBits bits) {
  return reinterpret_cast<void*>(bits);
}
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
inline void* AllocateBooks(size_t size) {
  return Allocate(size);
}
inline void* AllocateLarge(size_t size) {
  return Allocate(size);
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

// For containers of books.
template <class T>
struct BooksAllocator {
  using value_type = T;
  static_assert(alignof(T) <= 16);
  BooksAllocator() = default;
  template <class U>
  BooksAllocator(const BooksAllocator<U>&) {}
  T* allocate(size_t n) { return static_cast<T*>(AllocateBooks(n * sizeof(T))); }
  void deallocate(T* memory, size_t n) { FreePlace(memory, n * sizeof(T)); }
  friend bool operator==(BooksAllocator, BooksAllocator) { return true; }
};

}  // namespace fluxkv
