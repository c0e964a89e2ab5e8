#include "engine/epoch.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/planted.h"

namespace fluxkv::engine {

namespace {
constexpr uint64_t kGrace = 3;  // epoch.h says why
// So much retired is worth a look at what may be freed.
constexpr size_t kWorthObjects = limits::kEpochCommandsMax;
constexpr size_t kWorthBytes = 65536;
uint64_t Grace() {
  return PLANTED(EPOCH_SHORT_GRACE) ? 1 : kGrace;
}
}  // namespace

Epochs::~Epochs() {
  for (const Slot& slot : slots_) ASSERT(!slot.taken.load(std::memory_order_relaxed));
  for (const Retired& r : orphans_) r.free(r.object);
}

size_t Epochs::TakeSlot() {
  for (size_t i = 0; i < slots_.size(); ++i) {
    bool expected = false;
    if (!slots_[i].taken.compare_exchange_strong(expected, true)) continue;
    size_t used = slots_used_.load();
    while (used < i + 1 && !slots_used_.compare_exchange_weak(used, i + 1)) {
    }
    return i;
  }
  ASSERT(false && "more threads than limits::kThreadsMax");
  return 0;
}

bool Epochs::TryAdvance() {
  uint64_t epoch = global_.load(std::memory_order_seq_cst);
  size_t used = slots_used_.load(std::memory_order_seq_cst);
  for (size_t i = 0; i < used; ++i) {
    uint64_t inside = slots_[i].epoch.load(std::memory_order_seq_cst);
    if (inside != kOutside && inside != epoch) return false;
  }
  return global_.compare_exchange_strong(epoch, epoch + 1, std::memory_order_seq_cst);
}

Reclaimer::Reclaimer(Epochs& epochs) : epochs_(epochs), slot_(epochs.TakeSlot()) {}

Reclaimer::~Reclaimer() {
  ASSERT(!inside_);
  for (int i = 0; i < 4 && pending() > 0; ++i) Collect();
  {
    std::lock_guard lock(epochs_.orphans_mutex_);
    epochs_.orphans_.insert(epochs_.orphans_.end(), retired_.begin(), retired_.end());
  }
  epochs_.slots_[slot_].taken.store(false);
}

void Reclaimer::Enter() {
  DEBUG_ASSERT(!inside_);
  inside_ = true;
  // seq_cst: what is loaded after this cannot be older than what was unlinked before another thread
  // saw us outside.
  epochs_.slots_[slot_].epoch.store(epochs_.global_.load(std::memory_order_seq_cst),
                                    std::memory_order_seq_cst);
}

void Reclaimer::Leave() {
  DEBUG_ASSERT(inside_);
  inside_ = false;
  epochs_.slots_[slot_].epoch.store(Epochs::kOutside, std::memory_order_release);
  CollectSome();
}

void Reclaimer::Retire(void* object, size_t bytes, void (*free)(void*)) {
  DEBUG_ASSERT(inside_);
  retired_.push_back({object, free, epochs_.current(), bytes});
  ++retired_lately_;
  retired_bytes_.store(retired_bytes() + bytes, std::memory_order_relaxed);
}

void Reclaimer::AdoptOrphans() {
  std::lock_guard lock(epochs_.orphans_mutex_);
  const uint64_t epoch = epochs_.current();  // later than their own: they only wait longer
  for (const Retired& r : epochs_.orphans_) {
    retired_.push_back({r.object, r.free, epoch, r.bytes});
    retired_bytes_.store(retired_bytes() + r.bytes, std::memory_order_relaxed);
  }
  epochs_.orphans_ = {};
}

void Reclaimer::Collect() {
  Free(pending());
}

void Reclaimer::CollectSome() {
  behind_ = false;
  if (pending() < kWorthObjects && retired_bytes() < kWorthBytes) return;
  const size_t most = std::max(kFreesAtLeave, 2 * std::exchange(retired_lately_, 0));
  Free(PLANTED(EPOCH_FREE_ALL) ? pending() : most);
}

void Reclaimer::Free(size_t most) {
  // A thread that is alone moves the epoch through the whole grace at once;
  // others go one step a visit.
  for (uint64_t i = 0; i < Grace() && epochs_.TryAdvance(); ++i) {
  }
  uint64_t epoch = epochs_.current();
  const auto may_free = [&] {
    return !retired_.empty() && retired_.front().epoch + Grace() <= epoch;
  };
  size_t freed_bytes = 0;
  for (; most > 0 && may_free(); --most) {
    const Retired r = retired_.front();
    retired_.pop_front();
    freed_bytes += r.bytes;
    r.free(r.object);
  }
  behind_ = may_free();
  retired_bytes_.store(retired_bytes() - freed_bytes, std::memory_order_relaxed);
}

}  // namespace fluxkv::engine
