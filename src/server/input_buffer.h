// The bytes that a connection has received and not yet run. A connection with nothing waiting reads
// into a buffer that it borrows from its loop; what is left over after a read is copied into one
// of its own, so that idle connections hold no memory.
//
//   std::span<char> room = input.Room(loop_buffer, wanted);    // read into it
//   input.Received(room.data(), count);
//   ... input.unread(), input.Skip(consumed) ...
//   input.Settle(wanted);                     // before the loop's buffer is reused
//
// I1. unread() stays where it is from Received to the next Room or Settle.
// I2. A length that a client announces costs no memory: the buffer is at most about twice as large
//     as what it has really sent.
// Threads: the connection's loop. Owns: its own buffer, never the loop's.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string_view>

#include "base/check.h"

namespace fluxkv::server {

class InputBuffer {
 public:
  static constexpr size_t kReadBytesMin = 16 * 1024;  // as Redis: PROTO_IOBUF_LEN

  InputBuffer() = default;
  ~InputBuffer() { std::free(own_); }
  InputBuffer(const InputBuffer&) = delete;
  InputBuffer& operator=(const InputBuffer&) = delete;

  std::string_view unread() const { return {data_ + begin_, end_ - begin_}; }
  size_t size() const { return end_ - begin_; }
  size_t capacity() const { return capacity_; }
  size_t peak() const { return peak_; }

  // Where the next read goes: the loop's buffer when nothing waits here and none is owned, else
  // the free end of the own one, which grows towards `wanted` more bytes.
  std::span<char> Room(std::span<char> loop_buffer, size_t wanted) {
    if (own_ == nullptr) {
      DEBUG_ASSERT(size() == 0);
      return loop_buffer;
    }
    // The end of a large argument is read into what is left, rather than moved for the read's sake.
    bool ends_large = wanted > 0 && size() >= kFirstBytesMax;
    size_t least = ends_large ? std::min(wanted, kReadBytesMin) : kReadBytesMin;
    if (capacity_ - end_ < least) Reserve(Growth(wanted));
    return {own_ + end_, capacity_ - end_};
  }

  void Received(char* at, size_t bytes) {
    if (own_ == nullptr) {
      data_ = at;
      begin_ = 0;
      end_ = bytes;
    } else {
      ASSERT(bytes <= capacity_ - end_);  // it was read into the room that was given
      end_ += bytes;
    }
    peak_ = std::max(peak_, size());
  }

  void Skip(size_t bytes) { begin_ += bytes; }
  // Puts back bytes that were skipped since Received.
  void PutBack(size_t bytes) { begin_ -= bytes; }

  void Settle(size_t wanted) {
    if (own_ != nullptr) {
      if (begin_ == end_) begin_ = end_ = 0;
      return;
    }
    if (size() > 0) {
      Move(size() + Growth(wanted));
    } else {
      data_ = nullptr;
      begin_ = end_ = 0;
    }
  }

  // Gives memory back: all of it when nothing waits and `all`, else what is above `keep` bytes.
  // Requires: settled.
  void Shrink(size_t keep, bool all) {
    if (own_ != nullptr && size() == 0 && all) {
      std::free(own_);
      own_ = data_ = nullptr;
      begin_ = end_ = capacity_ = 0;
    } else if (own_ != nullptr && std::max(keep, size()) < capacity_) {
      Move(std::max({keep, size(), size_t{1}}));
    }
  }
  void ResetPeak() { peak_ = size(); }

 private:
  static constexpr size_t kFirstBytesMax = 64 * 1024;

  // Room for what is wanted as far as the client has shown that it sends: as much again as it has
  // sent, so that the exact size is taken when half is here.
  size_t Growth(size_t wanted) const {
    return std::max(std::min(wanted, std::max(kFirstBytesMax, size())), kReadBytesMin);
  }

  void Reserve(size_t room) {
    if (capacity_ - size() >= room && begin_ >= size()) {
      std::memcpy(own_, own_ + begin_, size());
      end_ -= begin_;
      begin_ = 0;
    } else {
      Move(size() + std::max(room, size() / 2));  // so each byte is moved a few times at most
    }
  }

  // Takes the unread bytes into an own buffer of `capacity` bytes.
  void Move(size_t capacity) {
    char* target = static_cast<char*>(std::malloc(capacity));
    ASSERT(target != nullptr);
    if (size() > 0) std::memcpy(target, data_ + begin_, size());
    std::free(own_);
    own_ = data_ = target;
    end_ -= begin_;
    begin_ = 0;
    capacity_ = capacity;
  }

  char* data_ = nullptr;  // own_, or the loop's buffer between Received and Settle
  char* own_ = nullptr;
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t capacity_ = 0;  // of own_
  size_t peak_ = 0;
};

}  // namespace fluxkv::server
