#include "persist/page_buffer.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"

namespace fluxkv::persist {

PageBuffer::PageBuffer(size_t capacity) {
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  capacity_ = (capacity + page - 1) / page * page;
  void* memory =
      ::mmap(nullptr, capacity_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT(memory != MAP_FAILED);
  data_ = static_cast<char*>(memory);
}

PageBuffer::~PageBuffer() {
  if (data_ != nullptr) ::munmap(data_, capacity_);
}

}  // namespace fluxkv::persist
