// A walk over keys in order, as a C++20 input range: one moment's state, read page by page, so that
// a program may take its time between two steps and hold nothing up but the reclaiming of versions
// that it may still read.
//
//   Cursor users = db.Scan(Range::Prefix("user:"));
//   for (const Entry& user : users) Print(user.key, user.value);
//   if (!users.status().ok()) ...
//   for (const Entry& e : db.Scan() | std::views::take(3)) ...
//
// Of a transaction: it sees the transaction's own writes, those too that are made ahead of it while
// it walks (so a loop that inserts ahead of itself goes on for ever), and ends with an error when
// the transaction does.
// Threads: one at a time.
// Owns:    its page; without a transaction also a snapshot, until its end.
// Errors:  the walk ends early, and status() says why.
#pragma once

#include <cstddef>
#include <iterator>
#include <memory>

#include "fluxkv/range.h"
#include "fluxkv/result.h"

namespace fluxkv {

namespace library {
class CursorState;
}

class Cursor {
 public:
  class Iterator {
   public:
    using value_type = Entry;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    Iterator() = default;
    const Entry& operator*() const { return *entry_; }
    const Entry* operator->() const { return entry_; }
    Iterator& operator++();
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return entry_ == nullptr; }

   private:
    friend class Cursor;
    Iterator(library::CursorState* state, const Entry* entry) : state_(state), entry_(entry) {}
    library::CursorState* state_ = nullptr;
    const Entry* entry_ = nullptr;
  };

  explicit Cursor(std::unique_ptr<library::CursorState> state);  // for Scan
  Cursor(Cursor&&) noexcept;
  Cursor& operator=(Cursor&&) noexcept;
  ~Cursor();

  // The next entry, valid until the next call; null at the end.
  const Entry* Next();
  // From where it stands: a second loop goes on where the first one stopped.
  Iterator begin();
  std::default_sentinel_t end() const { return {}; }
  // Good unless the walk ended early.
  const Status& status() const;

 private:
  std::unique_ptr<library::CursorState> state_;
};

}  // namespace fluxkv
