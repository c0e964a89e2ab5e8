// Pages that the allocator has no use for, until somebody gives them back to the system.
//
// To take pages back the kernel interrupts every processor that runs a thread of the process, and
// waits for it. In a guest that takes from some microseconds to milliseconds, for each piece
// (measured: a `free` of one object that gave back 4 KB took up to 3.6 ms). So who frees memory
// only notes which pages are free now (Add), and a thread that nobody waits for gives them back
// (GiveBack), neighbours in one piece. Who needs them before that has them without a page fault
// (Take).
//
// F1. A page waits from Add until Take or GiveBack chooses it; nobody adds what waits.
// F2. What GiveBack has chosen, one run of pages at a time, is leaving until the system has it. Who
//     takes a leaving page waits for that: no page is given back that is in use again.
// F3. What Take returns reads as zeros, whether it had been given back or not.
// F4. A chunk of which a page waits is in the queue. It may be there without one.
//
// Threads: any. Add and Take hold a mutex, for a microsecond a megabyte and, once in 16 GiB of
//          addresses, for a call of mmap. They call no allocator, so that one can call them
//          (jemalloc's manual, "arena.<i>.extent_hooks").
#pragma once

#include <array>
#include <atomic>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace fluxkv {

class FreePages {
 public:
  static constexpr size_t kPageBytes = 4096;
  static constexpr size_t kChunkBytes = size_t{2} << 20;  // of one run at the most
  // Whole pages: they are the system's from now on, and read as zeros.
  using GiveToSystem = void (*)(char* pages, size_t size);
  // Such pages are about to be used again.
  using TakeFromSystem = void (*)(char* pages, size_t size);

  constexpr FreePages(GiveToSystem give, TakeFromSystem take) : give_(give), take_(take) {}
  FreePages(const FreePages&) = delete;
  FreePages& operator=(const FreePages&) = delete;

  // Whole pages that nobody uses. False if there is no room for the note, or some have addresses
  // of more than 48 bits: nothing has changed.
  [[nodiscard]] bool Add(char* pages, size_t size);
  // Whole pages, each of which was added, or not since it was taken or given back.
  void Take(char* pages, size_t size);
  // Gives back so many runs at the most, of the chunk that has been in the queue longest first;
  // whether something is left. If another thread is at it, it does nothing: false.
  bool GiveBack(size_t runs_most);
  // Without a lock: bytes that wait, runs that were given back so far (modulo 2^32), and how long
  // Take waited for leaving pages, all together.
  size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  uint32_t runs_given() const { return left_.load(std::memory_order_relaxed); }
  uint64_t waited_ns() const { return waited_ns_.load(std::memory_order_relaxed); }

 private:
  static constexpr size_t kChunkPages = kChunkBytes / kPageBytes;
  static constexpr size_t kLeafBits = 13, kRootBits = 14, kAddressBits = 48;
  static_assert((kChunkBytes << kLeafBits << kRootBits) == size_t{1} << kAddressBits);

  struct Chunk {
    size_t RunEnd(size_t begin, size_t end) const;  // of equal pages
    std::bitset<kChunkPages> waits;
    uint32_t waiting = 0;
    uint32_t next = 0;  // in the queue; 0: none
    bool queued = false;
  };
  using Leaf = std::array<Chunk, size_t{1} << kLeafBits>;
  struct Run {
    char* pages = nullptr;
    size_t size = 0;
    bool waits = false;
  };

  // All with mutex_ held.
  Chunk* Find(uintptr_t address);
  bool MakeLeaf(uintptr_t address);
  void SetWaiting(Chunk& chunk, size_t begin, size_t end, bool waits);
  Run NextToGive();

  // The equal pages from `at` on, as far as `end` and the chunk's end; they wait no longer.
  Run TakeRun(char* at, char* end);

  const GiveToSystem give_;
  const TakeFromSystem take_;
  std::mutex giving_;  // one gives at a time; taken before mutex_
  std::mutex mutex_;
  std::array<Leaf*, size_t{1} << kRootBits> leaves_{};  // guarded by mutex_, as what follows
  uint32_t first_ = 0, last_ = 0;                       // the queue, by number of chunk
  Run leaving_;
  std::atomic<uint32_t> left_{0};  // runs that were given back; written with mutex_ held
  std::atomic<size_t> bytes_{0};
  std::atomic<uint64_t> waited_ns_{0};
};

}  // namespace fluxkv
