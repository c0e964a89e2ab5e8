// Byte order of keys, without a call where keys are short: a descent of the ordered list compares
// some twenty times. Threads: any.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace fluxkv {

namespace internal {
// Eight bytes as the number that orders as they do.
inline uint64_t LoadBigEndian(const char* bytes) {
  uint64_t number;
  std::memcpy(&number, bytes, sizeof(number));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  number = __builtin_bswap64(number);
#endif
  return number;
}
}  // namespace internal

// a < b, as string_view has it.
inline bool BytesLess(std::string_view a, std::string_view b) {
  constexpr size_t kWord = sizeof(uint64_t);
  const size_t both = std::min(a.size(), b.size());
  if (both < kWord || both > 8 * kWord) return a < b;
  // Words from the start, and the last one so that it ends where the shorter key does.
  for (size_t at = 0;; at = std::min(at + kWord, both - kWord)) {
    const uint64_t x = internal::LoadBigEndian(a.data() + at);
    const uint64_t y = internal::LoadBigEndian(b.data() + at);
    if (x != y) return x < y;
    if (at == both - kWord) return a.size() < b.size();
  }
}

}  // namespace fluxkv
