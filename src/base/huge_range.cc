#include "base/huge_range.h"

#include <algorithm>
#include <cstring>

#include <sys/mman.h>

#include "base/check.h"
#include "base/planted.h"

namespace fluxkv {

bool HugeRange::Reserve(uintptr_t wanted) {
  ASSERT(wanted % kBlockBytes == 0);
  auto* const at = reinterpret_cast<void*>(wanted);
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  // Room for the begin to be moved up to a block's.
  const size_t size = wanted == 0 ? kBytes + kBlockBytes : kBytes;
  void* got = mmap(at, size, PROT_NONE, wanted == 0 ? kFlags : kFlags | MAP_FIXED_NOREPLACE, -1, 0);
  if (got == MAP_FAILED) return false;
  if (wanted != 0 && got != at) {  // a kernel before 4.17, which takes the address as a wish
    munmap(got, size);
    return false;
  }
  static_cast<void>(madvise(got, size, MADV_NOHUGEPAGE));  // H4
  begin_ = (reinterpret_cast<uintptr_t>(got) + kBlockBytes - 1) & ~(kBlockBytes - 1);
  used_.store(kBlockBytes);  // not from the begin itself on: an address that means nothing must be
  return true;
}

void* HugeRange::Allocate(void* wanted, size_t size, size_t alignment) {
  const bool large = size >= kLargeExtent;
  if (large) alignment = std::max(alignment, kBlockBytes);
  const std::lock_guard lock(mutex_);
  const uintptr_t next = (begin_ + used_.load() + alignment - 1) & ~(alignment - 1);
  const size_t before = next - begin_;
  auto* const extent = reinterpret_cast<void*>(next);
  if (wanted != nullptr && wanted != extent) return nullptr;
  if (before >= kBytes || kBytes - before < size) return nullptr;
  if (mprotect(extent, size, PROT_READ | PROT_WRITE) != 0) return nullptr;
  used_.store(before + size);
  newest_large_.store(large ? before : 0);
  if (large) {
    static_cast<void>(madvise(extent, size, MADV_HUGEPAGE));
    for (size_t i = 0; i < size / kBlockBytes; ++i) blocks_[before / kBlockBytes + i].large = true;
  }
  return extent;
}

void HugeRange::MakeReady() {
  const std::unique_lock ready_lock(ready_mutex_, std::try_to_lock);
  if (!ready_lock.owns_lock()) return;
  const size_t in_use = in_use_.load(std::memory_order_relaxed);
  const size_t from = newest_large_.load();
  if (in_use < kReadyFrom || from == 0) return;
  constexpr size_t kMask = kBlockBytes - 1;
  const size_t next = std::max({(in_use + kMask) & ~kMask, ready_, from});
  const size_t ahead = std::min(in_use / kReadyShare, kReadyMost);
  if (next >= in_use + std::max(ahead, kBlockBytes) || next + kBlockBytes > kBytes) return;
  ready_ = next + kBlockBytes;  // whatever comes of it: once is enough
  char* const block = AddressOf(next / kBlockBytes);
  {
    const std::lock_guard lock(mutex_);
    const size_t end = used_.load();
    if (newest_large_.load() != from || (next < end && next + kBlockBytes > end)) return;
    if (next >= end) {  // the next extent will begin there
      if (mprotect(block, kBlockBytes, PROT_READ | PROT_WRITE) != 0) return;
      static_cast<void>(madvise(block, kBlockBytes, MADV_HUGEPAGE));
    }
  }
  // By a write that changes nothing, since somebody may use the block by now. MADV_POPULATE_WRITE
  // would keep everybody else from changing mappings for as long as it takes.
  for (size_t at = 0; at < kBlockBytes; at += kPageBytes)
    std::atomic_ref<char>(block[at]).fetch_add(0, std::memory_order_relaxed);
}

// Calls change(number of a block, first page of it, end) for each block that has some of the pages.
template <class Change>
void HugeRange::ForBlocks(void* pages, size_t size, Change change) {
  const size_t first = (reinterpret_cast<uintptr_t>(pages) - begin_) / kPageBytes;
  const size_t end = first + size / kPageBytes;
  for (size_t at = first; at < end;) {
    const size_t number = at / kBlockPages, begin = number * kBlockPages;
    const size_t block_end = std::min(begin + kBlockPages, end);
    change(number, at - begin, block_end - begin);
    at = block_end;
  }
}

void HugeRange::GiveBack(void* pages, size_t size) {
  if (madvise(pages, size, MADV_DONTNEED) != 0) std::memset(pages, 0, size);
  const std::lock_guard lock(mutex_);
  ForBlocks(pages, size, [this](size_t number, size_t begin, size_t end) {
    Block& block = blocks_[number];
    for (size_t i = begin; i < end; ++i) {
      DEBUG_ASSERT(!block.missing[i]);
      block.missing.set(i);
    }
    block.missing_count = static_cast<uint16_t>(block.missing_count + end - begin);
    figures_.missing_pages += end - begin;
    if (!block.large) return;
    if (block.missing_count == kBlockPages) {
      SetSmall(number, false);
    } else if (block.missing_count > kMissingMost && !PLANTED(HUGE_ALWAYS)) {
      SetSmall(number, true);
    }
  });
}

void HugeRange::Take(void* pages, size_t size) {
  const std::lock_guard lock(mutex_);
  ForBlocks(pages, size, [this](size_t number, size_t begin, size_t end) {
    Block& block = blocks_[number];
    for (size_t i = begin; i < end; ++i) {
      DEBUG_ASSERT(block.missing[i]);
      block.missing.reset(i);
    }
    block.missing_count = static_cast<uint16_t>(block.missing_count - (end - begin));
    figures_.missing_pages -= end - begin;
    if (block.large && block.missing_count <= kMissingFew) SetSmall(number, false);
  });
}

void HugeRange::SetSmall(size_t number, bool small) {
  Block& block = blocks_[number];
  if (block.small == small) return;
  const bool before = number > 0 && IsSmall(number - 1), after = IsSmall(number + 1);
  const size_t own = (before != block.small) + (after != block.small);
  const size_t wanted = (before != small) + (after != small);
  if (small && borders_ - own + wanted > kBordersMost) return;
  if (madvise(AddressOf(number), kBlockBytes, small ? MADV_NOHUGEPAGE : MADV_HUGEPAGE) != 0) return;
  borders_ = borders_ - own + wanted;
  block.small = small;
  small ? ++figures_.small_blocks : --figures_.small_blocks;
  if (small) DropMissing(number);
}

// A huge page may have come under what was missing.
void HugeRange::DropMissing(size_t number) {
  const std::bitset<kBlockPages>& missing = blocks_[number].missing;
  for (size_t at = 0; at < kBlockPages;) {
    size_t end = at;
    while (end < kBlockPages && missing[end]) ++end;
    if (end > at) {
      static_cast<void>(
          madvise(AddressOf(number) + at * kPageBytes, (end - at) * kPageBytes, MADV_DONTNEED));
    }
    at = end + 1;
  }
}

HugeRange::Figures HugeRange::figures() const {
  const std::lock_guard lock(mutex_);
  return figures_;
}

}  // namespace fluxkv
