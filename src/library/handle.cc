// The public Handle, and what a repeated transaction needs.
#include "fluxkv/handle.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "library/cursor_state.h"
#include "library/single_calls.h"
#include "library/slot.h"
#include "library/transaction_state.h"

namespace fluxkv {

using library::CursorState;
using library::TransactionState;

namespace {

Status MovedFromHandle() {
  return Status::Error(ErrorKind::kClosed, "the handle was moved from");
}

Result<Transaction> Opened(Result<std::shared_ptr<TransactionState>> begun) {
  if (!begun.ok()) return begun.status();
  return Transaction(std::move(*begun));
}

}  // namespace

Handle::Handle(std::shared_ptr<library::Slot> slot) : slot_(std::move(slot)) {}

Handle& Handle::operator=(Handle&& other) noexcept {
  if (this == &other) return *this;
  if (slot_ != nullptr) slot_->Close();
  slot_ = std::move(other.slot_);
  return *this;
}

// Its transactions and cursors may outlive it, and are over.
Handle::~Handle() {
  if (slot_ != nullptr) slot_->Close();
}

Result<std::optional<std::string>> Handle::Get(std::string_view key) {
  return slot_ == nullptr ? MovedFromHandle() : library::Get(*slot_, key);
}

Result<bool> Handle::Contains(std::string_view key) {
  return slot_ == nullptr ? MovedFromHandle() : library::Contains(*slot_, key);
}

Status Handle::Insert(std::string_view key, std::string_view value, Ttl ttl) {
  return slot_ == nullptr ? MovedFromHandle() : library::Insert(*slot_, key, value, ttl);
}

Result<std::optional<std::string>> Handle::Remove(std::string_view key) {
  return slot_ == nullptr ? MovedFromHandle() : library::Remove(*slot_, key);
}

Cursor Handle::Scan(const Range& range) {
  if (slot_ == nullptr) return Cursor(std::make_unique<CursorState>(MovedFromHandle()));
  return Cursor(CursorState::OfSlot(slot_, range));
}

Result<std::vector<Entry>> Handle::List(const Range& range) {
  if (slot_ == nullptr) return MovedFromHandle();
  return library::ListOf(*CursorState::OfSlot(slot_, range));
}

Result<std::vector<KeyMetadata>> Handle::Metadata(const Range& range) {
  if (slot_ == nullptr) return MovedFromHandle();
  return library::Metadata(slot_, range);
}

Result<Transaction> Handle::Begin() {
  if (slot_ == nullptr) return MovedFromHandle();
  return Opened(TransactionState::Begin(slot_));
}

Result<Transaction> Handle::Begin(Level level) {
  if (slot_ == nullptr) return MovedFromHandle();
  return Opened(TransactionState::Begin(slot_, level));
}

Result<uint64_t> Handle::Evict(uint64_t target_bytes, uint64_t keys_max) {
  return slot_ == nullptr ? MovedFromHandle() : library::Evict(*slot_, target_bytes, keys_max);
}

namespace internal {

void PauseBeforeTry(int tries) {
  constexpr int kDoublings = 7;
  constexpr int64_t kFirstNs = 20'000;
  const int64_t most_ns = kFirstNs << std::min(tries, kDoublings);
  // The clock's last digits are as good as dice here.
  const int64_t pause_ns = MonotonicNs() % most_ns;
  std::this_thread::sleep_for(std::chrono::nanoseconds(pause_ns));
}

Status GaveUp(int tries, const Status& last) {
  return Status::Error(
      ErrorKind::kConflict,
      std::to_string(tries) + " tries ended in a conflict, the last because " + last.message());
}

}  // namespace internal
}  // namespace fluxkv
