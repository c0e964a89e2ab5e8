#include "resp/output.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>

#include "base/check.h"

namespace fluxkv::resp {
namespace {

constexpr size_t kBufferBytesMin = 1024;
// Sent pins are removed from the front of their vector in batches of at least this many.
constexpr size_t kPinsDroppedMin = 64;

}  // namespace

Output::~Output() {
  std::free(text_);
}

// Makes room by moving the unsent text to the front if that is cheap (no more than what it frees),
// else by doubling.
void Output::Grow(size_t size) {
  size_t live = text_end_ - text_begin_;
  char* target = text_;
  size_t capacity = capacity_;
  if (text_begin_ < live || capacity_ - live < size) {
    capacity = std::max({kBufferBytesMin, capacity_ * 2, live + size});
    target = static_cast<char*>(std::malloc(capacity));
    ASSERT(target != nullptr);
  }
  if (live > 0) std::memmove(target, text_ + text_begin_, live);
  if (target != text_) std::free(text_);
  text_ = target;
  capacity_ = capacity;
  text_dropped_ += text_begin_;
  text_begin_ = 0;
  text_end_ = live;
}

void Output::AppendPinned(const char* data, size_t size, Pin pin) {
  if (size == 0) return;
  pins_.push_back({text_dropped_ + text_end_, Mark(), data, size, std::move(pin)});
  pinned_ += size;
}

void Output::AppendPrefix(Output&& other, size_t bytes) {
  ASSERT(&other != this && bytes <= other.size());
  size_t text = other.text_begin_;
  size_t skip = other.first_pin_sent_;
  size_t left = bytes;
  for (size_t i = other.pins_begin_; i < other.pins_.size(); ++i) {
    Pinned& pinned = other.pins_[i];
    size_t until = std::min(pinned.text_at - other.text_dropped_, text + left);
    Append(std::string_view(other.text_ + text, until - text));
    left -= until - text;
    text = until;
    if (left == 0) break;
    ASSERT(pinned.size - skip <= left);
    left -= pinned.size - skip;
    AppendPinned(pinned.data + skip, pinned.size - skip, std::move(pinned.pin));
    skip = 0;
  }
  Append(std::string_view(other.text_ + text, left));
  other.Consume(bytes);
}

void Output::Truncate(size_t mark) {
  ASSERT(mark >= sent_ && mark <= Mark());
  while (pins_.size() > pins_begin_ && pins_.back().mark >= mark) {
    pinned_ -= pins_.back().size;
    pins_.pop_back();
  }
  text_end_ = mark - pinned_ - text_dropped_;
}

void Output::InsertAt(size_t mark, std::string_view text) {
  ASSERT(mark >= sent_ && mark <= Mark());
  size_t place = mark - pinned_;
  for (size_t i = pins_.size(); i > pins_begin_ && pins_[i - 1].mark >= mark; --i) {
    Pinned& behind = pins_[i - 1];
    place += behind.size;
    behind.mark += text.size();
    behind.text_at += text.size();
  }
  if (text.empty()) return;
  Reserve(text.size());
  char* at = text_ + (place - text_dropped_);
  std::memmove(at + text.size(), at, static_cast<size_t>(text_ + text_end_ - at));
  std::memcpy(at, text.data(), text.size());
  Commit(text.size());
}

int Output::FillIovecs(iovec* pieces, int count_max) const {
  int count = 0;
  size_t text = text_begin_;
  size_t skip = first_pin_sent_;
  for (size_t i = pins_begin_; i < pins_.size() && count < count_max; ++i) {
    const Pinned& pinned = pins_[i];
    size_t until = pinned.text_at - text_dropped_;
    if (until > text) {
      pieces[count++] = {text_ + text, until - text};
      text = until;
      if (count == count_max) return count;
    }
    pieces[count++] = {const_cast<char*>(pinned.data) + skip, pinned.size - skip};
    skip = 0;
  }
  if (count < count_max && text < text_end_) pieces[count++] = {text_ + text, text_end_ - text};
  return count;
}

void Output::Consume(size_t bytes) {
  ASSERT(bytes <= size());
  sent_ += bytes;
  while (bytes > 0) {
    bool has_pin = pins_begin_ < pins_.size();
    size_t until = has_pin ? pins_[pins_begin_].text_at - text_dropped_ : text_end_;
    size_t text = std::min(bytes, until - text_begin_);
    text_begin_ += text;
    bytes -= text;
    if (bytes == 0) break;
    ASSERT(has_pin);
    size_t pinned = std::min(bytes, pins_[pins_begin_].size - first_pin_sent_);
    first_pin_sent_ += pinned;
    bytes -= pinned;
    if (first_pin_sent_ == pins_[pins_begin_].size) PopFrontPin();
  }
  if (text_begin_ == text_end_) {
    text_dropped_ += text_end_;
    text_begin_ = text_end_ = 0;
  }
}

void Output::PopFrontPin() {
  pins_[pins_begin_].pin = Pin();
  first_pin_sent_ = 0;
  ++pins_begin_;
  if (pins_begin_ == pins_.size()) {
    pins_.clear();
    pins_begin_ = 0;
  } else if (pins_begin_ >= kPinsDroppedMin && pins_begin_ * 2 >= pins_.size()) {
    pins_.erase(pins_.begin(), std::next(pins_.begin(), static_cast<ptrdiff_t>(pins_begin_)));
    pins_begin_ = 0;
  }
}

void Output::ShrinkIfIdle() {
  if (!empty()) return;
  std::free(text_);
  text_ = nullptr;
  text_dropped_ += text_end_;  // all zero already unless something was truncated
  text_begin_ = text_end_ = capacity_ = 0;
  std::vector<Pinned>().swap(pins_);
  pins_begin_ = 0;
}

}  // namespace fluxkv::resp
