#include "base/free_pages.h"

#include <algorithm>
#include <cstring>

#include <sys/mman.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/planted.h"

namespace fluxkv {

namespace {

uintptr_t AddressOf(const char* at) {
  return reinterpret_cast<uintptr_t>(at);
}

size_t PageOf(uintptr_t address) {
  return address % FreePages::kChunkBytes / FreePages::kPageBytes;
}

}  // namespace

size_t FreePages::Chunk::RunEnd(size_t begin, size_t end) const {
  const bool wanted = waits[begin];
  while (begin < end && waits[begin] == wanted) ++begin;
  return begin;
}

FreePages::Chunk* FreePages::Find(uintptr_t address) {
  const uintptr_t number = address / kChunkBytes;
  if (number >> kLeafBits >= leaves_.size()) return nullptr;
  Leaf* const leaf = leaves_[number >> kLeafBits];
  return leaf == nullptr ? nullptr : &(*leaf)[number % leaf->size()];
}

// Of the 600 KB the system gives those that are touched.
bool FreePages::MakeLeaf(uintptr_t address) {
  const uintptr_t number = address / kChunkBytes;
  if (number >> kLeafBits >= leaves_.size()) return false;
  void* const memory = mmap(nullptr, sizeof(Leaf), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  // A chunk of zeros is one of which nothing waits.
  leaves_[number >> kLeafBits] = static_cast<Leaf*>(memory);
  return true;
}

void FreePages::SetWaiting(Chunk& chunk, size_t begin, size_t end, bool waits) {
  for (size_t i = begin; i < end; ++i) {
    DEBUG_ASSERT(chunk.waits[i] != waits);
    chunk.waits[i] = waits;
  }
  const size_t count = end - begin;
  chunk.waiting = static_cast<uint32_t>(waits ? chunk.waiting + count : chunk.waiting - count);
  const size_t before = bytes_.load(std::memory_order_relaxed), change = count * kPageBytes;
  bytes_.store(waits ? before + change : before - change, std::memory_order_relaxed);
}

bool FreePages::Add(char* pages, size_t size) {
  const std::lock_guard lock(mutex_);
  const uintptr_t begin = AddressOf(pages), end = begin + size;
  if (begin < kChunkBytes) return false;  // 0 is no chunk
  for (uintptr_t at = begin; at < end; at = (at / kChunkBytes + 1) * kChunkBytes) {
    if (Find(at) == nullptr && !MakeLeaf(at)) return false;
  }
  for (uintptr_t at = begin; at < end;) {
    const uintptr_t next = std::min(end, (at / kChunkBytes + 1) * kChunkBytes);
    Chunk& chunk = *Find(at);
    SetWaiting(chunk, PageOf(at), PageOf(at) + (next - at) / kPageBytes, true);
    if (!chunk.queued) {
      const auto number = static_cast<uint32_t>(at / kChunkBytes);
      (last_ == 0 ? first_ : Find(uintptr_t{last_} * kChunkBytes)->next) = number;
      last_ = number;
      chunk.queued = true;
    }
    at = next;
  }
  return true;
}

FreePages::Run FreePages::TakeRun(char* at, char* end) {
  std::unique_lock lock(mutex_);
  const auto is_leaving = [&] {
    const uintptr_t leaving = AddressOf(leaving_.pages);
    return AddressOf(at) < leaving + leaving_.size && leaving < AddressOf(end);
  };
  while (is_leaving() && !PLANTED(TAKE_LEAVING)) {  // F2
    const uint32_t seen = left_.load(std::memory_order_relaxed);
    lock.unlock();
    const int64_t began = MonotonicNs();
    left_.wait(seen);
    waited_ns_.fetch_add(static_cast<uint64_t>(MonotonicNs() - began), std::memory_order_relaxed);
    lock.lock();
  }
  const uintptr_t begin = AddressOf(at);
  const uintptr_t next = std::min(AddressOf(end), (begin / kChunkBytes + 1) * kChunkBytes);
  Chunk* const chunk = Find(begin);
  if (chunk == nullptr) return {at, next - begin, false};
  const size_t first = PageOf(begin);
  const size_t last = chunk->RunEnd(first, first + (next - begin) / kPageBytes);
  const bool waits = chunk->waits[first];
  if (waits) SetWaiting(*chunk, first, last, false);
  return {at, (last - first) * kPageBytes, waits};
}

void FreePages::Take(char* pages, size_t size) {
  for (char* const end = pages + size; pages < end;) {
    const Run run = TakeRun(pages, end);
    if (run.waits) {
      std::memset(run.pages, 0, run.size);
    } else {
      take_(run.pages, run.size);
    }
    pages += run.size;
  }
}

FreePages::Run FreePages::NextToGive() {
  while (first_ != 0) {
    const uintptr_t address = uintptr_t{first_} * kChunkBytes;
    Chunk& chunk = *Find(address);
    if (chunk.waiting != 0) {
      size_t begin = 0;
      if (!chunk.waits[0]) begin = chunk.RunEnd(0, kChunkPages);
      const size_t end = chunk.RunEnd(begin, kChunkPages);
      SetWaiting(chunk, begin, end, false);
      return {reinterpret_cast<char*>(address) + begin * kPageBytes, (end - begin) * kPageBytes};
    }
    first_ = chunk.next;
    if (first_ == 0) last_ = 0;
    chunk.next = 0;
    chunk.queued = false;
  }
  return {};
}

bool FreePages::GiveBack(size_t runs_most) {
  const std::unique_lock giving(giving_, std::try_to_lock);
  if (!giving.owns_lock()) return false;
  for (size_t i = 0; i < runs_most; ++i) {
    Run run;
    {
      const std::lock_guard lock(mutex_);
      run = leaving_ = NextToGive();
    }
    if (run.size == 0) return false;
    give_(run.pages, run.size);
    {
      const std::lock_guard lock(mutex_);
      leaving_ = {};
      left_.fetch_add(1, std::memory_order_relaxed);
    }
    left_.notify_all();
  }
  return bytes() != 0;
}

}  // namespace fluxkv
