// The public Transaction and Cursor.
#include "fluxkv/transaction.h"

#include <utility>

#include "library/cursor_state.h"
#include "library/transaction_state.h"

namespace fluxkv {

using library::CursorState;

// ---- Cursor

Cursor::Cursor(std::unique_ptr<CursorState> state) : state_(std::move(state)) {}
Cursor::Cursor(Cursor&&) noexcept = default;
Cursor& Cursor::operator=(Cursor&&) noexcept = default;
Cursor::~Cursor() = default;

const Entry* Cursor::Next() {
  return state_ == nullptr ? nullptr : state_->Next();
}

Cursor::Iterator Cursor::begin() {
  return Iterator(state_.get(), Next());
}

Cursor::Iterator& Cursor::Iterator::operator++() {
  entry_ = state_->Next();
  return *this;
}

const Status& Cursor::status() const {
  static const Status moved = Status::Error(ErrorKind::kClosed, "the cursor was moved from");
  return state_ == nullptr ? moved : state_->status();
}

// ---- Transaction

namespace {
Status MovedFromTransaction() {
  return Status::Error(ErrorKind::kClosed, "the transaction was moved from");
}
}  // namespace

Transaction::Transaction(std::shared_ptr<library::TransactionState> state)
    : state_(std::move(state)) {}

Transaction& Transaction::operator=(Transaction&& other) noexcept {
  if (this == &other) return *this;
  Rollback();
  state_ = std::move(other.state_);
  return *this;
}

Transaction::~Transaction() {
  Rollback();
}

Result<std::optional<std::string>> Transaction::Get(std::string_view key) {
  return state_ == nullptr ? MovedFromTransaction() : state_->Get(key);
}

Result<bool> Transaction::Contains(std::string_view key) {
  return state_ == nullptr ? MovedFromTransaction() : state_->Contains(key);
}

Status Transaction::Insert(std::string_view key, std::string_view value, Ttl ttl) {
  return state_ == nullptr ? MovedFromTransaction() : state_->Insert(key, value, ttl);
}

Result<std::optional<std::string>> Transaction::Remove(std::string_view key) {
  return state_ == nullptr ? MovedFromTransaction() : state_->Remove(key);
}

Cursor Transaction::Scan(const Range& range) {
  if (state_ == nullptr) return Cursor(std::make_unique<CursorState>(MovedFromTransaction()));
  return Cursor(std::make_unique<CursorState>(state_, range, /*owns_transaction=*/false));
}

Result<std::vector<Entry>> Transaction::List(const Range& range) {
  if (state_ == nullptr) return MovedFromTransaction();
  CursorState cursor(state_, range, /*owns_transaction=*/false);
  return library::ListOf(cursor);
}

Status Transaction::Commit() {
  return state_ == nullptr ? MovedFromTransaction() : state_->Commit();
}

void Transaction::Rollback() {
  if (state_ != nullptr) state_->Rollback();
}

bool Transaction::is_open() const {
  return state_ != nullptr && state_->is_open();
}

bool Transaction::ended() const {
  return state_ == nullptr || state_->ended();
}

uint64_t Transaction::stamp() const {
  return state_ == nullptr ? 0 : state_->stamp();
}

}  // namespace fluxkv
