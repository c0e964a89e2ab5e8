#include "base/huge_range.h"

#include <algorithm>

#include <sys/mman.h>

namespace fluxkv {

bool HugeRange::Reserve(uintptr_t wanted) {
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
  begin_ = (reinterpret_cast<uintptr_t>(got) + kBlockBytes - 1) & ~(kBlockBytes - 1);
  // Not at the begin itself: an address that means nothing must exist.
  next_.store(begin_ + kBlockBytes);
  return true;
}

void* HugeRange::Allocate(void* wanted, size_t size, size_t alignment) {
  const bool large = size >= kLargeExtent;
  if (large) alignment = std::max(alignment, kBlockBytes);
  const std::lock_guard lock(mutex_);
  const uintptr_t begin = (next_.load() + alignment - 1) & ~(alignment - 1), end = begin_ + kBytes;
  auto* const extent = reinterpret_cast<void*>(begin);
  if (wanted != nullptr && wanted != extent) return nullptr;
  if (begin >= end || end - begin < size) return nullptr;
  if (mprotect(extent, size, PROT_READ | PROT_WRITE) != 0) return nullptr;
  next_.store(begin + size);
  if (large) {
    static_cast<void>(madvise(extent, size, MADV_HUGEPAGE));
    for (size_t i = 0; i < size / kBlockBytes; ++i)
      blocks_[(begin - begin_) / kBlockBytes + i].huge = true;
  }
  return extent;
}

template <class Change>
void HugeRange::ChangeMissing(void* pages, size_t size, Change change) {
  uintptr_t at = reinterpret_cast<uintptr_t>(pages) - begin_;
  const uintptr_t end = at + size;
  const std::lock_guard lock(mutex_);
  while (at < end) {
    const size_t number = at / kBlockBytes;
    const uintptr_t block_end = std::min<uintptr_t>((number + 1) * kBlockBytes, end);
    change(&blocks_[number], static_cast<uint16_t>((block_end - at) / kPageBytes));
    Settle(number);
    at = block_end;
  }
}

bool HugeRange::GiveBack(void* pages, size_t size) {
  if (madvise(pages, size, MADV_DONTNEED) != 0) return false;
  ChangeMissing(pages, size, [](Block* block, uint16_t count) { block->missing += count; });
  return true;
}

void HugeRange::Take(void* pages, size_t size) {
  ChangeMissing(pages, size, [](Block* block, uint16_t count) { block->missing -= count; });
}

void HugeRange::Settle(size_t number) {
  Block& block = blocks_[number];
  if (!block.huge) return;
  const bool to_small = !block.small && block.missing > kMissingMost;
  const bool to_huge = block.small && block.missing == 0;
  if (!to_small && !to_huge) return;
  if (to_small && small_blocks_ >= kSmallBlocksMost) return;
#ifndef FLUXKV_PLANT_HUGE_ALWAYS
  auto* const at = reinterpret_cast<void*>(begin_ + number * kBlockBytes);
  if (madvise(at, kBlockBytes, to_small ? MADV_NOHUGEPAGE : MADV_HUGEPAGE) != 0) return;
#endif
  block.small = to_small;
  small_blocks_ += to_small ? 1 : size_t{0} - 1;
}

}  // namespace fluxkv
