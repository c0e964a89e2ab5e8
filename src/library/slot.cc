#include "library/slot.h"

#include "base/limits.h"
#include "base/memory.h"
#include "engine/store.h"
#include "library/transaction_state.h"

namespace fluxkv::library {

Slot::Parts::Parts(Core& core)
    : handle(core.database().Attach()),
      evictor(*handle),
      single(*handle),
      waiter(core.database().store().log, handle->number()) {}

Slot::Slot(Core& core) : core_(&core), parts_(std::make_unique<Parts>(core)) {}

void Slot::Close() {
  std::unique_lock lock(mutex_);
  if (core_ == nullptr) {
    // Another one closes it just now, and may still be in the engine.
    idle_.wait(lock, [this] { return parts_ == nullptr; });
    return;
  }
  {
    engine::Handle::Scope in_epoch(*parts_->handle);
    for (TransactionState* transaction : opened_) transaction->EndWithSlot();
  }
  opened_.clear();
  Core& core = *core_;
  core_ = nullptr;
  idle_.wait(lock, [this] { return waiting_ == 0; });  // S4
  parts_.reset();
  core.SlotClosed();
  idle_.notify_all();
}

void Slot::Collect() {
  std::lock_guard lock(mutex_);
  if (core_ == nullptr) return;
  engine::Handle& handle = *parts_->handle;
  handle.reclaimer().Collect();
  handle.shared().retired_bytes.store(handle.reclaimer().retired_bytes(),
                                      std::memory_order_relaxed);
}

Slot::Use::Use(Slot& slot) : slot_(slot), lock_(slot.mutex_) {
  if (open()) core().clock().Tick();
}

Status Slot::Use::Closed() {
  return Status::Error(ErrorKind::kClosed, "the database or the handle is closed");
}

void Slot::Use::Add(TransactionState* transaction) {
  transaction->set_place(slot_.opened_.size());
  slot_.opened_.push_back(transaction);
}

void Slot::Use::Remove(TransactionState* transaction) {
  TransactionState* last = slot_.opened_.back();
  slot_.opened_[transaction->place()] = last;
  last->set_place(transaction->place());
  slot_.opened_.pop_back();
}

// S4, whether the wait comes to an end or throws.
class Slot::Use::Waiting {
 public:
  explicit Waiting(Use& use) : use_(use) {
    ++use_.slot_.waiting_;
    use_.lock_.unlock();
  }
  ~Waiting() {
    use_.lock_.lock();
    if (--use_.slot_.waiting_ == 0) use_.slot_.idle_.notify_all();
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  Use& use_;
};

template <class Wait>
Status Slot::Use::Unlocked(Wait wait) {
  const Waiting waiting(*this);
  return wait();
}

Status Slot::Use::Admit() {
  using Admission = engine::CommitLog::Admission;
  if (core().database().store().log.admission() == Admission::kOpen) [[likely]]
    return {};
  LogWaiter& waiter = slot_.parts_->waiter;
  Status status = Unlocked([&] { return waiter.WaitOpen(); });
  return status.ok() && !open() ? Closed() : status;
}

Status Slot::Use::MakeRoom(uint64_t bytes) {
  if (NodeRangeHasLess(limits::kNodeBytesLeast)) [[unlikely]]
    return Status::Error(ErrorKind::kOutOfMemory, "no addresses are left for keys");
  const auto limit = static_cast<uint64_t>(core().memory_limit().load(std::memory_order_relaxed));
  if (limit == 0) return {};
  engine::Handle::Scope in_epoch(handle());
  if (evictor().MakeRoom(limit, bytes) != engine::Evictor::Room::kNone) return {};
  return Status::Error(ErrorKind::kOutOfMemory,
                       "the memory limit is reached, and nothing may be evicted");
}

Status Slot::Use::AwaitSafe(engine::Stamp stamp) {
  if (core().database().store().log.IsSafe(stamp)) return {};
  persist::Persistence* persistence = core().persistence();
  LogWaiter& waiter = slot_.parts_->waiter;
  return Unlocked([&] {
    if (persistence != nullptr) persistence->WriteLog();  // saves waking a thread (relaxed)
    return waiter.WaitSafe(stamp);
  });
}

}  // namespace fluxkv::library
