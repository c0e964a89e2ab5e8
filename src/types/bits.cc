#include "types/bits.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"

namespace fluxkv::types {
namespace {

constexpr uint64_t kWordBits = 64;

uint64_t ByteAt(std::string_view bytes, uint64_t index) {
  return index < bytes.size() ? static_cast<unsigned char>(bytes[index]) : 0;
}

// Eight bytes as a number whose highest bit is the first of them.
uint64_t LoadBigEndian(const char* at) {
  uint64_t word;
  std::memcpy(&word, at, sizeof(word));
  if constexpr (std::endian::native == std::endian::little) word = __builtin_bswap64(word);
  return word;
}

// `width` bits (1 to 64) from `offset` on, as an unsigned number.
uint64_t LoadBits(std::string_view bytes, uint64_t offset, unsigned width) {
  uint64_t value = 0;
  while (width > 0) {
    unsigned room = 8 - static_cast<unsigned>(offset % 8);
    unsigned take = std::min(room, width);
    uint64_t part = (ByteAt(bytes, offset / 8) >> (room - take)) & ((1u << take) - 1);
    value = value << take | part;
    offset += take;
    width -= take;
  }
  return value;
}

void StoreBits(char* bytes, uint64_t offset, unsigned width, uint64_t value) {
  while (width > 0) {
    unsigned room = 8 - static_cast<unsigned>(offset % 8);
    unsigned take = std::min(room, width);
    unsigned mask = ((1u << take) - 1) << (room - take);
    unsigned part = static_cast<unsigned>(value >> (width - take)) << (room - take) & mask;
    unsigned old = static_cast<unsigned char>(bytes[offset / 8]);
    bytes[offset / 8] = static_cast<char>((old & ~mask) | part);
    offset += take;
    width -= take;
  }
}

uint64_t CountBytes(std::string_view bytes) {
  uint64_t count = 0;
  size_t at = 0;
  for (; at + sizeof(uint64_t) <= bytes.size(); at += sizeof(uint64_t)) {
    uint64_t word;
    std::memcpy(&word, bytes.data() + at, sizeof(word));
    count += static_cast<uint64_t>(std::popcount(word));
  }
  for (; at < bytes.size(); ++at) count += static_cast<uint64_t>(std::popcount(ByteAt(bytes, at)));
  return count;
}

template <class Operation>
void Fold(char* result, std::string_view source, Operation operation) {
  size_t at = 0;
  for (; at + sizeof(uint64_t) <= source.size(); at += sizeof(uint64_t)) {
    uint64_t a;
    uint64_t b;
    std::memcpy(&a, result + at, sizeof(a));
    std::memcpy(&b, source.data() + at, sizeof(b));
    a = operation(a, b);
    std::memcpy(result + at, &a, sizeof(a));
  }
  for (; at < source.size(); ++at) {
    auto a = static_cast<unsigned char>(result[at]);
    auto b = static_cast<unsigned char>(source[at]);
    result[at] = static_cast<char>(operation(uint64_t{a}, uint64_t{b}));
  }
}

uint64_t MaskOf(FieldType type) {
  return type.bits == kWordBits ? ~uint64_t{0} : (uint64_t{1} << type.bits) - 1;
}
int64_t MaxOf(FieldType type) {
  return static_cast<int64_t>(MaskOf(type) >> (type.is_signed ? 1 : 0));
}
int64_t MinOf(FieldType type) {
  return type.is_signed ? -MaxOf(type) - 1 : 0;
}

// The low bits of `value` as the type reads them.
int64_t Wrap(FieldType type, uint64_t value) {
  value &= MaskOf(type);
  if (type.is_signed && type.bits < kWordBits && (value >> (type.bits - 1)) != 0) {
    value |= ~MaskOf(type);
  }
  return static_cast<int64_t>(value);
}

}  // namespace

bool GetBit(std::string_view bytes, uint64_t offset) {
  return (ByteAt(bytes, offset / 8) >> (7 - offset % 8) & 1) != 0;
}

void SetBit(char* bytes, uint64_t offset, bool value) {
  StoreBits(bytes, offset, 1, value);
}

uint64_t CountBits(std::string_view bytes, uint64_t first, uint64_t last) {
  DEBUG_ASSERT(first <= last && last < bytes.size() * 8);
  uint64_t first_byte = first / 8;
  uint64_t last_byte = last / 8;
  uint64_t count = CountBytes(bytes.substr(first_byte, last_byte - first_byte + 1));
  uint64_t before = ByteAt(bytes, first_byte) & ~(0xffu >> (first % 8));
  uint64_t behind = ByteAt(bytes, last_byte) & (0x7fu >> (last % 8));
  return count - static_cast<uint64_t>(std::popcount(before)) -
         static_cast<uint64_t>(std::popcount(behind));
}

std::optional<uint64_t> FindBit(std::string_view bytes, bool value, uint64_t first, uint64_t last) {
  DEBUG_ASSERT(first <= last && last < bytes.size() * 8);
  // Looking for a zero is looking for a one in the complement.
  const uint64_t flip = value ? 0 : ~uint64_t{0};
  uint64_t at = first;
  while (at <= last) {
    bool whole_word = at % 8 == 0 && last - at >= kWordBits - 1;
    auto width = static_cast<unsigned>(whole_word ? kWordBits
                                                  : std::min<uint64_t>(8 - at % 8, last - at + 1));
    uint64_t word = whole_word ? LoadBigEndian(bytes.data() + at / 8) : LoadBits(bytes, at, width);
    word = (word ^ flip) << (kWordBits - width);
    if (word != 0) return at + static_cast<uint64_t>(std::countl_zero(word));
    at += width;
  }
  return std::nullopt;
}

void CombineBits(BitOperation operation, std::span<const std::string_view> sources, char* result) {
  DEBUG_ASSERT(!sources.empty());
  size_t size = 0;
  for (std::string_view source : sources) size = std::max(size, source.size());
  std::memset(result, 0, size);
  if (!sources[0].empty()) std::memcpy(result, sources[0].data(), sources[0].size());
  if (operation == BitOperation::kNot) {
    Fold(result, sources[0], [](uint64_t, uint64_t b) { return ~b; });
    return;
  }
  for (std::string_view source : sources.subspan(1)) {
    switch (operation) {
      case BitOperation::kAnd:
        Fold(result, source, [](uint64_t a, uint64_t b) { return a & b; });
        std::memset(result + source.size(), 0, size - source.size());
        break;
      case BitOperation::kOr:
        Fold(result, source, [](uint64_t a, uint64_t b) { return a | b; });
        break;
      case BitOperation::kXor:
        Fold(result, source, [](uint64_t a, uint64_t b) { return a ^ b; });
        break;
      case BitOperation::kNot:
        ASSERT(false);
    }
  }
}

int64_t GetField(std::string_view bytes, FieldType type, uint64_t offset) {
  return Wrap(type, LoadBits(bytes, offset, type.bits));
}

void SetField(char* bytes, FieldType type, uint64_t offset, int64_t value) {
  StoreBits(bytes, offset, type.bits, static_cast<uint64_t>(value));
}

std::optional<int64_t> FitField(FieldType type, int64_t value, Overflow overflow) {
  bool above = type.is_signed ? value > MaxOf(type)
                              : static_cast<uint64_t>(value) > static_cast<uint64_t>(MaxOf(type));
  bool below = type.is_signed && value < MinOf(type);
  if (!above && !below) return value;
  if (overflow == Overflow::kFail) return std::nullopt;
  if (overflow == Overflow::kSaturate) return above ? MaxOf(type) : MinOf(type);
  return Wrap(type, static_cast<uint64_t>(value));
}

std::optional<int64_t> AddField(FieldType type, int64_t old, int64_t increment, Overflow overflow) {
  int64_t sum = 0;
  bool wrapped = __builtin_add_overflow(old, increment, &sum);
  if (!wrapped && sum >= MinOf(type) && sum <= MaxOf(type)) return sum;
  if (overflow == Overflow::kFail) return std::nullopt;
  if (overflow == Overflow::kSaturate) return increment > 0 ? MaxOf(type) : MinOf(type);
  return Wrap(type, static_cast<uint64_t>(old) + static_cast<uint64_t>(increment));
}

}  // namespace fluxkv::types
