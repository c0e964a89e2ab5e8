// A range of addresses that one of the allocator's arenas takes its extents from, on huge pages as
// far as it is full.
//
// Where huge pages are asked for, the kernel's khugepaged puts one under every block of 2 MB of
// which a page is in use, and so takes back what was given up around it (measured: 200,000 keys
// left of a million, and 30 MB of nodes that were free resident again half a minute later). So a
// block that has given up many pages is taken off huge pages until it is full again.
//
// H1. A block's `missing` is how many of its pages were given back and not taken again.
// H2. Huge pages are asked for in a block that lies in a large extent, from when it is handed out
//     until more than kMissingMost are missing, and again once none is.
// H3. What was given back reads as zeros when it is taken again.
//
// Source: madvise(2), Linux's Documentation/admin-guide/mm/transhuge.rst (max_ptes_none).
// Threads: any. Without huge pages in the kernel it is slower, and that is all.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace fluxkv {

class HugeRange {
 public:
  static constexpr int kBits = 36;
  static constexpr size_t kBytes = size_t{1} << kBits;
  static constexpr size_t kBlockBytes = size_t{2} << 20;
  static constexpr size_t kPageBytes = 4096;
  // Smaller extents, an arena's first ones, are on small pages: a server with few keys is small.
  static constexpr size_t kLargeExtent = size_t{4} << 20;
  static constexpr uint32_t kMissingMost = 32;
  // Each may cost the kernel two mappings of the 65530 that a process can have.
  static constexpr size_t kSmallBlocksMost = 8192;

  HugeRange() = default;
  HugeRange(const HugeRange&) = delete;
  HugeRange& operator=(const HugeRange&) = delete;

  // Takes the addresses, from `wanted` on or, if that is 0, where there is room; nothing else of
  // the class may be used before. False if they cannot be had (`ulimit -v`).
  [[nodiscard]] bool Reserve(uintptr_t wanted);

  // Memory that reads as zeros, behind what was handed out before; null at the end of the range, or
  // if it cannot be at `wanted` and that is not null. It is never returned, only given back.
  void* Allocate(void* wanted, size_t size, size_t alignment);
  // Whole pages of one extent. False: the kernel would not, nothing has changed.
  bool GiveBack(void* pages, size_t size);
  void Take(void* pages, size_t size);

  // Bytes that were not handed out yet. Without a lock.
  size_t left() const { return begin_ + kBytes - next_.load(std::memory_order_relaxed); }

 private:
  struct Block {
    uint16_t missing;
    bool huge;   // it is in a large extent
    bool small;  // and on small pages for now
  };
  template <class Change>
  void ChangeMissing(void* pages, size_t size, Change change);
  void Settle(size_t number);

  uintptr_t begin_ = 0;
  std::atomic<uintptr_t> next_{0};  // written with mutex_ held
  std::mutex mutex_;
  std::array<Block, kBytes / kBlockBytes> blocks_{};  // guarded by mutex_
  size_t small_blocks_ = 0;                           // guarded by mutex_
};

}  // namespace fluxkv
