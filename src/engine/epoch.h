// Epoch-based reclamation (Fraser, "Practical lock-freedom", 2004): memory that was unlinked is
// freed when no thread can still hold a pointer to it.
//
//   Epochs epochs;
//   Reclaimer mine(epochs);                 // one a thread
//   mine.Enter();  ... read shared structures ...  mine.Leave();
//   // after old was unlinked
//   mine.Retire(old, bytes, [](void* p) { delete static_cast<Thing*>(p); });
//
// E1. The global epoch moves from g to g+1 only when every thread inside an epoch has published g.
// E2. What a thread retires is stamped with the global epoch read after the unlinking, and freed
//     when the global epoch has moved at least kGrace (3) past it.
// E3. A thread touches shared memory only between Enter and Leave.
// E4. Leave frees kFreesAtLeave objects at most, or twice as many as were retired since it last
//     tried if that is more; it tries when 64 objects or 64 KB wait. Who could not free for long,
//     because another thread stayed inside an epoch without a processor, makes up for it in small
//     pieces and not in one long turn. (Who enters no more has to call CollectSome while behind();
//     a library's threads do not, and keep the rest until they enter again or VACUUM.)
// Why kGrace is 3 and not the usual 2: the unlinking store may still be in the store buffer when
// the epoch is read. While the unlinker is inside epoch e the global epoch is at most e+1, so a
// reader that still found the object entered at e+1 or before, and while it stays the global epoch
// is at most e+2. The object's stamp is at least e; e+3 is out of reach.
//
// Threads: Epochs from any; a Reclaimer is its thread's own.
// Owns:    what was retired. Epochs must outlive its Reclaimers; a Reclaimer that goes leaves
//          what it could not free to Epochs, for another to adopt.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include "base/limits.h"

namespace fluxkv::engine {

struct Retired {
  void* object;
  void (*free)(void*);
  uint64_t epoch;
  size_t bytes;
};

class Epochs {
 public:
  static constexpr uint64_t kOutside = 0;

  Epochs() = default;
  ~Epochs();  // Requires: no Reclaimer is left
  Epochs(const Epochs&) = delete;
  Epochs& operator=(const Epochs&) = delete;

  uint64_t current() const { return global_.load(std::memory_order_seq_cst); }

 private:
  friend class Reclaimer;
  struct alignas(limits::kCacheLineBytes) Slot {
    std::atomic<uint64_t> epoch{kOutside};  // the epoch its thread is inside, or kOutside
    std::atomic<bool> taken{false};
  };

  size_t TakeSlot();
  // Moves the global epoch on by one if E1 allows.
  bool TryAdvance();

  std::atomic<uint64_t> global_{1};
  std::atomic<size_t> slots_used_{0};  // slots at and above were never taken
  std::array<Slot, limits::kThreadsMax> slots_;
  std::mutex orphans_mutex_;
  std::vector<Retired> orphans_;  // guarded by orphans_mutex_
};

class Reclaimer {
 public:
  static constexpr size_t kFreesAtLeave = 256;  // some tens of microseconds

  explicit Reclaimer(Epochs& epochs);
  ~Reclaimer();
  Reclaimer(const Reclaimer&) = delete;
  Reclaimer& operator=(const Reclaimer&) = delete;

  void Enter();
  void Leave();
  bool inside() const { return inside_; }

  // Requires: inside an epoch; `object` can no longer be found by a thread that enters now.
  void Retire(void* object, size_t bytes, void (*free)(void*));
  // Takes over what Reclaimers that are gone could not free.
  void AdoptOrphans();
  // Frees all that may be freed; tries to move the epoch on first.
  void Collect();
  // The same as far as E4 lets it, if enough is there to be worth it.
  void CollectSome();
  // Whether that left objects which could have been freed.
  bool behind() const { return behind_; }
  // Readable by any thread.
  size_t retired_bytes() const { return retired_bytes_.load(std::memory_order_relaxed); }
  size_t pending() const { return retired_.size(); }
  size_t slot() const { return slot_; }

 private:
  void Free(size_t most);

  Epochs& epochs_;
  const size_t slot_;
  bool inside_ = false;
  bool behind_ = false;
  size_t retired_lately_ = 0;             // since CollectSome last tried
  std::deque<Retired> retired_;           // oldest first
  std::atomic<size_t> retired_bytes_{0};  // written by the owner only
};

}  // namespace fluxkv::engine
