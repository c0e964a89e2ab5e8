// Memory straight from the system, for bytes that come and go in bulk. Taken from the heap they
// would leave holes between the data, and the system would take its huge pages apart.
// Threads: one at a time. Owns: the memory. Errors: none; out of memory ends the process.
#pragma once

#include <cstddef>
#include <utility>

namespace fluxkv::persist {

class PageBuffer {
 public:
  PageBuffer() = default;
  // At least `capacity` bytes, rounded up to whole pages.
  explicit PageBuffer(size_t capacity);
  ~PageBuffer();
  PageBuffer(PageBuffer&& from) noexcept { *this = std::move(from); }
  PageBuffer& operator=(PageBuffer&& from) noexcept {
    std::swap(data_, from.data_);
    std::swap(capacity_, from.capacity_);
    return *this;
  }

  char* data() { return data_; }
  const char* data() const { return data_; }
  size_t capacity() const { return capacity_; }

 private:
  char* data_ = nullptr;
  size_t capacity_ = 0;
};

}  // namespace fluxkv::persist
