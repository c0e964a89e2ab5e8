// A walk at a transaction's snapshot: a page of copies, and what is left of the range.
// Threads: one at a time. Owns: its page, and the transaction if that is its own: that ends with
// the walk. Errors: as Cursor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/transaction.h"
#include "fluxkv/range.h"
#include "library/transaction_state.h"

namespace fluxkv::library {

class CursorState {
 public:
  explicit CursorState(Status failed) : at_end_(true), status_(std::move(failed)) {}
  CursorState(std::shared_ptr<TransactionState> transaction, const Range& range,
              bool owns_transaction);
  ~CursorState();
  CursorState(const CursorState&) = delete;
  CursorState& operator=(const CursorState&) = delete;

  // Null at the end. Its bytes may be taken.
  Entry* Next();
  const Status& status() const { return status_; }

  // Of a range, each with a snapshot of its own.
  static std::unique_ptr<CursorState> OfSlot(std::shared_ptr<Slot> slot, const Range& range);

 private:
  static constexpr size_t kPageFirst = 16, kPageMost = 256;
  // What is left of the page is from before the transaction's last write: it is read again.
  void DropPage();
  bool Fill();
  void Finish();

  std::shared_ptr<TransactionState> transaction_;
  bool owns_transaction_ = false;
  engine::KeyInterval whole_, left_;
  bool reverse_ = false;
  uint64_t keys_left_ = 0;
  bool at_end_ = false;  // nothing behind the page
  size_t page_keys_ = kPageFirst;
  std::vector<Entry> page_;
  size_t next_ = 0;
  std::string last_key_;  // that was returned
  bool returned_any_ = false;
  uint64_t writes_ = 0;  // of the transaction, when the page was read
  Status status_;
};

// All that is left of a walk.
Result<std::vector<Entry>> ListOf(CursorState& cursor);

}  // namespace fluxkv::library
