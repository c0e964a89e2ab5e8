#include "library/cursor_state.h"

#include <algorithm>
#include <utility>

#include "types/string_value.h"

namespace fluxkv::library {

CursorState::CursorState(std::shared_ptr<TransactionState> transaction, const Range& range,
                         bool owns_transaction)
    : transaction_(std::move(transaction)),
      owns_transaction_(owns_transaction),
      whole_{range.low(), range.high()},
      left_(whole_),
      reverse_(range.reverse()),
      keys_left_(range.limit()),
      writes_(transaction_->write_calls()) {}

CursorState::~CursorState() {
  if (owns_transaction_) transaction_->Rollback();
}

std::unique_ptr<CursorState> CursorState::OfSlot(std::shared_ptr<Slot> slot, const Range& range) {
  Result<std::shared_ptr<TransactionState>> begun =
      TransactionState::Begin(std::move(slot), Level::kReadOnly);
  if (!begun.ok()) return std::make_unique<CursorState>(begun.status());
  Status status = (*begun)->AwaitReads();
  if (!status.ok()) return std::make_unique<CursorState>(std::move(status));
  return std::make_unique<CursorState>(std::move(*begun), range, /*owns_transaction=*/true);
}

Entry* CursorState::Next() {
  if (transaction_ != nullptr && transaction_->write_calls() != writes_) DropPage();
  if (next_ == page_.size() && !Fill()) return nullptr;
  last_key_ = page_[next_].key;
  returned_any_ = true;
  return &page_[next_++];
}

// The next page is short: a loop that writes at each step reads one entry a step.
void CursorState::DropPage() {
  writes_ = transaction_->write_calls();
  keys_left_ += page_.size() - next_;
  page_.clear();
  next_ = 0;
  page_keys_ = 1;
  at_end_ = !status_.ok();
  if (!returned_any_) {
    left_ = whole_;
  } else if (reverse_) {
    left_ = {whole_.low, last_key_};
  } else {
    left_ = {last_key_ + '\0', whole_.high};
  }
}

bool CursorState::Fill() {
  page_.clear();
  next_ = 0;
  while (page_.empty() && !at_end_ && keys_left_ > 0) {
    const auto keys = static_cast<size_t>(std::min<uint64_t>(keys_left_, page_keys_));
    page_keys_ = std::min(2 * page_keys_, kPageMost);
    Result<bool> at_end = transaction_->WalkPage(
        &left_, reverse_, keys,
        [&](engine::Transaction&, uint32_t, std::string_view key, const engine::Version& version) {
          if (version.type() != types::kTypeString) return size_t{0};
          page_.push_back({std::string(key), std::string(types::StringView(version).bytes())});
          return key.size() + page_.back().value.size();
        });
    if (at_end.ok()) {
      at_end_ = *at_end;
    } else {
      at_end_ = true;
      status_ = at_end.status();
    }
    keys_left_ -= page_.size();
  }
  if (at_end_ || keys_left_ == 0) Finish();
  return !page_.empty();
}

// The snapshot is not needed any more.
void CursorState::Finish() {
  at_end_ = true;
  if (std::exchange(owns_transaction_, false) && status_.ok())
    static_cast<void>(transaction_->Commit());  // it has read, and told, already
}

Result<std::vector<Entry>> ListOf(CursorState& cursor) {
  std::vector<Entry> list;
  while (Entry* entry = cursor.Next()) list.push_back(std::move(*entry));
  if (!cursor.status().ok()) return cursor.status();
  return list;
}

}  // namespace fluxkv::library
