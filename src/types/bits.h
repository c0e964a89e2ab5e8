// Strings as arrays of bits, bit 0 being the highest bit of the first byte: counting, searching,
// combining, and integers of 1 to 64 bits at any place. Eight bytes at a time where it counts.
//
//   CountBits("foobar", 5, 30);                 // bits 5 to 30: 17
//   FindBit("\xff\xf0\x00", false, 0, 23);      // 12
//
// Bits behind the end read as zero in GetBit and GetField; writing there is the caller's mistake.
// Threads: pure functions.
// Errors:  none.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace fluxkv::types {

bool GetBit(std::string_view bytes, uint64_t offset);
void SetBit(char* bytes, uint64_t offset, bool value);

// Ones among the bits first to last, both inclusive. Requires: first <= last < 8 * bytes.size().
uint64_t CountBits(std::string_view bytes, uint64_t first, uint64_t last);
// The first bit in [first, last] that is `value`, or nullopt. Requires: as CountBits.
std::optional<uint64_t> FindBit(std::string_view bytes, bool value, uint64_t first, uint64_t last);

enum class BitOperation : uint8_t { kAnd, kOr, kXor, kNot };

// Writes the combination to `result`, which has the size of the longest source; shorter ones count
// as padded with zeros. Requires: at least one source, exactly one for kNot.
void CombineBits(BitOperation operation, std::span<const std::string_view> sources, char* result);

// An integer type of BITFIELD: i1 to i64, u1 to u63.
struct FieldType {
  bool is_signed = false;
  uint8_t bits = 0;
};
enum class Overflow : uint8_t { kWrap, kSaturate, kFail };

// All values of all field types fit an int64_t.
int64_t GetField(std::string_view bytes, FieldType type, uint64_t offset);
void SetField(char* bytes, FieldType type, uint64_t offset, int64_t value);

// What is stored for `value`, or for `old + increment`; nullopt when it does not fit and the
// overflow is kFail. Unsigned types take the value's 64 bits as an unsigned number, as Redis does.
std::optional<int64_t> FitField(FieldType type, int64_t value, Overflow overflow);
std::optional<int64_t> AddField(FieldType type, int64_t old, int64_t increment, Overflow overflow);

}  // namespace fluxkv::types
