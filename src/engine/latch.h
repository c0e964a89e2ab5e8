// Latches: held for the few hundred nanoseconds of an install, waited for by spinning briefly and
// then sleeping.
// Threads: any. Not recursive. A latch is held across no file or socket call.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/hash.h"

namespace fluxkv::engine {

class Latch {
 public:
  bool TryLock() {
    uint32_t free = 0;
    return word_.compare_exchange_strong(free, 1, std::memory_order_acquire,
                                         std::memory_order_relaxed);
  }
  // Returns the nanoseconds it had to wait, 0 when it was free.
  uint64_t Lock() { return TryLock() ? 0 : LockSlow(); }
  void Unlock() { word_.store(0, std::memory_order_release); }
  bool locked() const { return word_.load(std::memory_order_relaxed) != 0; }

 private:
  uint64_t LockSlow();
  std::atomic<uint32_t> word_{0};
};

// For waiting on something that another thread finishes within nanoseconds unless it was
// descheduled: spins, then yields, then sleeps.
class Backoff {
 public:
  void Pause();

 private:
  uint32_t rounds_ = 0;
};

// One latch for every key that is or could be: striped by the hash of database and key. Several are
// taken in order of their number. A hash's stripe follows from its highest bits, so that keys that
// are neighbours in hash order share few latches.
class LatchTable {
 public:
  static constexpr int kBits = 10;
  static constexpr size_t kSize = size_t{1} << kBits;
  static constexpr int kPartShift = 64 - kBits;
  // The hashes of one part have one latch in each database.
  static uint64_t PartOf(uint64_t hash) { return hash >> kPartShift; }
  static uint64_t LastOfPart(uint64_t hash) { return hash | ((uint64_t{1} << kPartShift) - 1); }
  static size_t IndexOfPart(uint32_t db, uint64_t part) {
    return (part + db * 0x9e3779b9u) % kSize;
  }
  static size_t IndexOf(uint32_t db, uint64_t hash) { return IndexOfPart(db, PartOf(hash)); }
  Latch& at(size_t index) { return latches_[index]; }

 private:
  std::array<Latch, kSize> latches_;
};

}  // namespace fluxkv::engine
