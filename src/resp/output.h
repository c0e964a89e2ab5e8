// The replies of one connection that wait to be sent: text in one contiguous buffer, with large
// values hung in by reference between two bytes of it,
// so that they reach the socket without a copy.
//
//   output.Append("+OK\r\n");
//   output.AppendPinned(value->data(), value->size(), Pin(value, ReleaseValue));
//   int count = output.FillIovecs(iovecs, kMax);
//   output.Consume(writev(fd, iovecs, count));
//
// Every byte has a fixed place in the stream that the connection has ever been sent; a mark is such
// a place, so it stays good over Consume, and over InsertAt behind it.
//
// Threads: belongs to the loop of its connection.
// Owns:    its buffer and the pins.
// Errors:  none; out of memory is an ASSERT. Whoever fills it bounds it (client-output-buffer-limit
//          by bytes_held()).
#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/uio.h>

namespace fluxkv::resp {

// A counted reference to an object whose bytes are being sent; released once, by the destructor.
class Pin {
 public:
  Pin() = default;
  Pin(void* object, void (*release)(void*)) : object_(object), release_(release) {}
  Pin(Pin&& other) noexcept
      : object_(other.object_), release_(std::exchange(other.release_, nullptr)) {}
  Pin& operator=(Pin&& other) noexcept {
    if (this != &other) {
      Release();
      object_ = other.object_;
      release_ = std::exchange(other.release_, nullptr);
    }
    return *this;
  }
  ~Pin() { Release(); }

 private:
  void Release() {
    if (release_ != nullptr) std::exchange(release_, nullptr)(object_);
  }

  void* object_ = nullptr;
  void (*release_)(void*) = nullptr;
};

class Output {
 public:
  Output() = default;
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  // Room for `size` more bytes of text; good until the next call that appends. Commit says how many
  // were written, at most that many.
  char* Reserve(size_t size) {
    if (capacity_ - text_end_ < size) [[unlikely]] {
      Grow(size);
    }
    return text_ + text_end_;
  }
  void Commit(size_t size) { text_end_ += size; }

  void Append(std::string_view text) {
    if (text.empty()) return;
    std::memcpy(Reserve(text.size()), text.data(), text.size());
    Commit(text.size());
  }

  // The bytes must stay as they are until `pin` is released, which is when they are sent, truncated
  // or destroyed.
  void AppendPinned(const char* data, size_t size, Pin pin);

  // Appends all that `other` has not sent, and empties it; pins move, text is copied. Marks of
  // `other` die.
  void Append(Output&& other) { AppendPrefix(std::move(other), other.size()); }

  // The same of the first `bytes` of it only; the marks of what stays in `other` stay good.
  // Requires: bytes <= other.size(), and that no pinned value of `other` lies across the cut.
  void AppendPrefix(Output&& other, size_t bytes);

  size_t size() const { return Mark() - sent_; }
  bool empty() const { return text_begin_ == text_end_ && pins_begin_ == pins_.size(); }

  // The place behind the last byte.
  size_t Mark() const { return text_dropped_ + text_end_ + pinned_; }

  // The place of the first byte that waits.
  size_t FirstMark() const { return sent_; }

  // Drops everything appended since `mark`. Requires: a mark of this output of which nothing was
  // truncated or sent beyond.
  void Truncate(size_t mark);

  // Puts `text` at `mark`; later marks move by its size. Costs a move of the text behind the mark.
  // Requires: as Truncate.
  void InsertAt(size_t mark, std::string_view text);

  // The first pieces to send, at most `count_max`; returns how many. Good until the next call of
  // another method.
  int FillIovecs(iovec* pieces, int count_max) const;

  // The first `bytes` have been sent. Requires: bytes <= size().
  void Consume(size_t bytes);

  // Frees the buffer if nothing waits in it. For idle connections: the next reply allocates again.
  void ShrinkIfIdle();

  // What waits, with the overhead of pins: for client-output-buffer-limit and `omem`.
  // Zero when empty.
  size_t bytes_held() const { return size() + (pins_.size() - pins_begin_) * sizeof(Pinned); }

  // Bytes of memory allocated here, whatever waits.
  size_t memory_bytes() const { return capacity_ + pins_.capacity() * sizeof(Pinned); }

 private:
  struct Pinned {
    size_t text_at;  // the text byte before which it goes, counted in all text ever appended
    size_t mark;     // its place in the stream
    const char* data;
    size_t size;
    Pin pin;
  };

  void Grow(size_t size);
  void PopFrontPin();

  char* text_ = nullptr;
  size_t text_begin_ = 0;  // first unsent byte of text_
  size_t text_end_ = 0;
  size_t capacity_ = 0;
  size_t text_dropped_ = 0;  // text bytes ever appended that text_ no longer holds
  size_t pinned_ = 0;        // pinned bytes ever appended, but for the truncated
  size_t sent_ = 0;          // bytes ever consumed
  std::vector<Pinned> pins_;
  size_t pins_begin_ = 0;      // first pin that is not wholly sent
  size_t first_pin_sent_ = 0;  // bytes of it that are
};

}  // namespace fluxkv::resp
