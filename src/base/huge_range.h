// A range of addresses that one of the allocator's arenas takes its extents from, on huge pages as
// far as it is full.
//
// Where huge pages are asked for, the kernel's khugepaged puts one under every block of 2 MB of
// which a page is in use, and so takes back what was given up around it (measured: 200,000 keys
// left of a million, and 16 MB of nodes that were free resident again within half a minute). So a
// block that has given up many pages is taken off huge pages until it is nearly full again.
//
// H1. A block's `missing` are its pages that were given back and not taken again.
// H2. Huge pages are asked for in a block that lies in a large extent, from when it is handed out
//     until more than kMissingMost are missing; then no longer, until kMissingFew are or all are:
//     who takes pages of an empty block will take the rest, and gets them in one. (A block stays
//     what it is while the kernel says no, or has too many mappings.)
// H3. What was given back reads as zeros when it is taken again. In a block that is off huge pages
//     nothing that is missing is resident, unless the kernel would not have it.
// H4. Everywhere else huge pages are asked not to be used, whatever the system's default.
// H5. Blocks a little above everything in use are made resident ahead of their use (MakeReady): the
//     kernel clears 2 MB where a huge page is first touched, which takes from a tenth of a
//     millisecond to tens (in a guest whose host has to find the memory first), and no request
//     should wait for that. An extent is used from below, and the next one lies behind it. What was
//     made ready (kReadyMost) stays resident when everything that was in use is freed.
//
// Source: madvise(2), Linux's Documentation/admin-guide/mm/transhuge.rst (max_ptes_none).
// Threads: any. Without huge pages in the kernel it is slower, and that is all. Pages are counted
//          in units of 4 KiB; where they are larger, several come and go together.
#pragma once

#include <array>
#include <atomic>
#include <bitset>
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
  static constexpr size_t kBlockPages = kBlockBytes / kPageBytes;
  static constexpr uint32_t kMissingMost = 32, kMissingFew = 8;
  // Neighbours that differ are two mappings of the 65530 that a process can have.
  static constexpr size_t kBordersMost = 16384;
  // Made ready is a share of what is in use, up to some blocks; nothing while that is little.
  static constexpr size_t kReadyFrom = size_t{16} << 20, kReadyShare = 16;
  static constexpr size_t kReadyMost = size_t{8} << 20;

  constexpr HugeRange() = default;
  HugeRange(const HugeRange&) = delete;
  HugeRange& operator=(const HugeRange&) = delete;

  // Takes the addresses, from `wanted` on or, if that is 0, where there is room; nothing else of
  // the class may be used before. False if they cannot be had (`ulimit -v`).
  [[nodiscard]] bool Reserve(uintptr_t wanted);

  // Memory that reads as zeros, behind what was handed out before; null at the end of the range, or
  // if it cannot be at `wanted` and that is not null. It is never returned, only given back.
  void* Allocate(void* wanted, size_t size, size_t alignment);
  // Whole pages of one extent. Where the kernel would not have them (mlockall) they are cleared.
  void GiveBack(void* pages, size_t size);
  void Take(void* pages, size_t size);
  bool Has(const void* address) const {
    return reinterpret_cast<uintptr_t>(address) - begin_ < kBytes;
  }

  // H5. The extent's first bytes, up to here, are in use from now on. Without a lock.
  void NoteUsed(const void* end) {
    const size_t at = reinterpret_cast<uintptr_t>(end) - begin_;
    size_t seen = in_use_.load(std::memory_order_relaxed);
    while (at > seen && !in_use_.compare_exchange_weak(seen, at, std::memory_order_relaxed)) {
    }
  }
  // H5. Makes one block resident if it is time for that; little is done if it is not.
  void MakeReady();

  // Bytes that were not handed out yet. Without a lock.
  size_t left() const { return kBytes - used_.load(std::memory_order_relaxed); }
  struct Figures {
    size_t missing_pages = 0;
    size_t small_blocks = 0;  // of large extents, off huge pages
  };
  Figures figures() const;

 private:
  struct Block {
    std::bitset<kBlockPages> missing;
    uint16_t missing_count = 0;
    bool large = false;  // it is in a large extent
    bool small = false;  // and off huge pages for now
  };
  template <class Change>
  void ForBlocks(void* pages, size_t size, Change change);
  void SetSmall(size_t number, bool small);
  bool IsSmall(size_t number) const { return number < blocks_.size() && blocks_[number].small; }
  void DropMissing(size_t number);
  char* AddressOf(size_t block) const {
    return reinterpret_cast<char*>(begin_ + block * kBlockBytes);
  }

  uintptr_t begin_ = 0;                  // set by Reserve
  std::atomic<size_t> used_{0};          // from the begin on; written with mutex_ held
  std::atomic<size_t> in_use_{0};        // from the begin on: what was noted, at most
  std::atomic<size_t> newest_large_{0};  // where the newest extent begins; 0: it is a small one
  std::mutex ready_mutex_;
  size_t ready_ = 0;  // up to here blocks were made resident; guarded by ready_mutex_
  mutable std::mutex mutex_;
  std::array<Block, kBytes / kBlockBytes> blocks_{};  // guarded by mutex_, as what follows
  Figures figures_;
  size_t borders_ = 0;
};

}  // namespace fluxkv
