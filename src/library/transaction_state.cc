#include "library/transaction_state.h"

#include <utility>

#include "base/limits.h"
#include "types/string_value.h"

namespace fluxkv::library {
namespace {

constexpr size_t kPageBytes = 64 << 10;

}  // namespace

// ---- Begin and end

Result<std::shared_ptr<TransactionState>> TransactionState::Begin(std::shared_ptr<Slot> slot,
                                                                  Level level) {
  if (level > Level::kReadOnly)
    return Status::Error(ErrorKind::kInvalid, "a level that stands for none");
  std::shared_ptr<TransactionState> state(new TransactionState(std::move(slot), level));
  Slot::Use use(*state->slot_);
  if (!use.open()) return Slot::Use::Closed();
  engine::Handle::Scope in_epoch(use.handle());
  engine::Transaction& txn = state->txn_.emplace(use.handle());
  const auto isolation = level == Level::kSerializable ? engine::Isolation::kSerializable
                                                       : engine::Isolation::kSnapshot;
  if (!txn.BeginSnapshot(isolation, /*read_only=*/level == Level::kReadOnly)) {
    state->txn_.reset();
    return Status::Error(ErrorKind::kTooMany, "there are " + std::to_string(limits::kSnapshotsMax) +
                                                  " open transactions already");
  }
  use.Add(state.get());
  return state;
}

Result<std::shared_ptr<TransactionState>> TransactionState::Begin(std::shared_ptr<Slot> slot) {
  Level level;
  {
    Slot::Use use(*slot);
    if (!use.open()) return Slot::Use::Closed();
    level = use.core().options().level;
  }
  return Begin(std::move(slot), level);
}

void TransactionState::End(Slot::Use& use, std::string_view why) {
  use.Remove(this);
  engine::Handle::Scope in_epoch(use.handle());
  txn_.reset();
  over_because_ = why;
  ended_ = true;
}

void TransactionState::EndWithSlot() {
  txn_.reset();
  over_because_ = "its database or its handle was closed";
}

Status TransactionState::Over() const {
  return Status::Error(ErrorKind::kClosed,
                       "the transaction is over: " + std::string(over_because_));
}

void TransactionState::Rollback() {
  Slot::Use use(*slot_);
  if (txn_) End(use, "it was rolled back");
  ended_ = true;  // what Close has ended too: nothing of it is wanted
}

bool TransactionState::is_open() {
  Slot::Use use(*slot_);
  return txn_.has_value();
}

bool TransactionState::ended() {
  Slot::Use use(*slot_);
  return ended_;
}

engine::Stamp TransactionState::stamp() {
  Slot::Use use(*slot_);
  return stamp_;
}

Status TransactionState::Commit() {
  Slot::Use use(*slot_);
  if (!txn_) return Over();
  if (txn_->writes() != 0) {
    Status status = use.Admit();
    if (!status.ok()) return status;
    if (!txn_) return Over();  // it waited
    if (adds_data_) status = use.MakeRoom(txn_->write_bytes());
    if (!status.ok()) return status;
  }
  bool committed;
  {
    engine::Handle::Scope in_epoch(use.handle());
    committed = txn_->Commit();
  }
  const engine::Stamp told = txn_->depends_on();
  Status conflict;
  if (committed) {
    stamp_ = txn_->commit_stamp();
  } else {
    conflict = Status::Error(ErrorKind::kConflict, txn_->conflict_reason());
  }
  End(use, committed ? "it was committed" : "it ended with a conflict");
  return committed ? use.AwaitSafe(told) : conflict;
}

// ---- Reads and writes

Result<std::optional<std::string>> TransactionState::Get(std::string_view key) {
  Slot::Use use(*slot_);
  if (!txn_) return Over();
  engine::Handle::Scope in_epoch(use.handle());
  return BytesOf(txn_->Get(use.core().db(), engine::Key(key)));
}

Result<bool> TransactionState::Contains(std::string_view key) {
  Slot::Use use(*slot_);
  if (!txn_) return Over();
  engine::Handle::Scope in_epoch(use.handle());
  return txn_->Get(use.core().db(), engine::Key(key)) != nullptr;
}

Status TransactionState::CheckWrite(Slot::Use& use, std::string_view key) const {
  if (!txn_) return Over();
  if (level_ == Level::kReadOnly)
    return Status::Error(ErrorKind::kReadOnly, "the transaction only reads");
  if (txn_->write_bytes() + txn_->note_bytes() > use.core().options().transaction_bytes)
    return Status::Error(ErrorKind::kOutOfMemory,
                         "the transaction's writes and reads take more than transaction_bytes");
  return CheckKey(key);
}

Status TransactionState::Insert(std::string_view key, std::string_view value, Ttl ttl) {
  Slot::Use use(*slot_);
  Status status = CheckWrite(use, key);
  if (status.ok()) status = CheckValue(value);
  if (!status.ok()) return status;
  const Result<int64_t> deadline_ms = DeadlineOf(ttl, txn_->now_ms());
  if (!deadline_ms.ok()) return deadline_ms.status();
  engine::Handle::Scope in_epoch(use.handle());
  txn_->Put(use.core().db(), engine::Key(key), types::NewString(value, *deadline_ms));
  adds_data_ = true;
  write_calls_.fetch_add(1, std::memory_order_relaxed);
  return {};
}

Result<std::optional<std::string>> TransactionState::Remove(std::string_view key) {
  Slot::Use use(*slot_);
  Status status = CheckWrite(use, key);
  if (!status.ok()) return status;
  engine::Handle::Scope in_epoch(use.handle());
  const engine::Key name(key);
  Result<std::optional<std::string>> before = BytesOf(txn_->Peek(use.core().db(), name));
  if (before.ok() && before->has_value()) {
    txn_->Delete(use.core().db(), name);
    write_calls_.fetch_add(1, std::memory_order_relaxed);
  }
  return before;
}

Result<bool> TransactionState::WalkPage(engine::KeyInterval* left, bool reverse, size_t keys_max,
                                        const Visit& visit) {
  using Direction = engine::Transaction::Direction;
  Slot::Use use(*slot_);
  if (!txn_) return Over();
  engine::Handle::Scope in_epoch(use.handle());
  const uint32_t db = use.core().db();
  size_t keys = 0, bytes = 0;
  std::string last;
  const bool at_end = txn_->WalkInterval(db, *left, reverse ? Direction::kDown : Direction::kUp,
                                         [&](std::string_view key, const engine::Version& version) {
                                           bytes += visit(*txn_, db, key, version);
                                           if (++keys < keys_max && bytes < kPageBytes) return true;
                                           last = key;
                                           return false;
                                         });
  if (at_end) return true;
  if (reverse) {
    left->high = std::move(last);
  } else {
    left->low = std::move(last);
    left->low.push_back('\0');  // the next key that there can be
  }
  return false;
}

Status TransactionState::AwaitReads() {
  Slot::Use use(*slot_);
  return txn_ ? use.AwaitSafe(txn_->depends_on()) : Over();
}

// ---- Keys and values

Status CheckKey(std::string_view key) {
  if (key.size() <= limits::kKeyBytesMax) [[likely]]
    return {};
  return Status::Error(ErrorKind::kInvalid, "a key of a gigabyte or more");
}

Status CheckValue(std::string_view value) {
  if (value.size() <= limits::kValueBytesMax) [[likely]]
    return {};
  return Status::Error(ErrorKind::kInvalid, "a value of four gigabytes or more");
}

Result<int64_t> DeadlineOf(Ttl ttl, int64_t now_ms) {
  if (ttl == kForever) return engine::kNoExpiry;
  if (ttl.count() <= 0 || ttl.count() > INT64_MAX - now_ms)
    return Status::Error(ErrorKind::kInvalid, "a time to live of nothing, or beyond all time");
  return now_ms + ttl.count();
}

Result<std::optional<std::string>> BytesOf(const engine::Version* version) {
  if (version == nullptr) return std::optional<std::string>();
  if (version->type() != types::kTypeString)
    return Status::Error(ErrorKind::kInvalid, "the key holds a value that is no string");
  return std::optional<std::string>(types::StringView(*version).bytes());
}

}  // namespace fluxkv::library
