#include "types/dump.h"

#include <limits>
#include <optional>

#include "types/crc64.h"
#include "types/lzf.h"
#include "types/string_value.h"

namespace fluxkv::types {
namespace {

constexpr uint8_t kRdbTypeString = 0;
constexpr size_t kFooterBytes = 10;  // 2 of the version, 8 of the checksum
constexpr size_t kChecksumBytes = 8;

// The two highest bits of a length's first byte.
constexpr unsigned kLength6 = 0;
constexpr unsigned kLength14 = 1;
constexpr unsigned kLengthLong = 2;
constexpr unsigned kLengthEncoded = 3;
constexpr unsigned kLong32 = 0x80;
constexpr unsigned kLong64 = 0x81;
// The lower six bits when the upper two are kLengthEncoded.
constexpr unsigned kEncodedInt8 = 0;
constexpr unsigned kEncodedInt16 = 1;
constexpr unsigned kEncodedInt32 = 2;
constexpr unsigned kEncodedLzf = 3;
// Only strings that short are tried as integers when they are not stored as such.
constexpr size_t kIntegerTextBytesMax = 11;

void PutLittleEndian(std::string& out, uint64_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i) & 0xff));
}
void PutBigEndian(std::string& out, uint64_t value, size_t bytes) {
  for (size_t i = bytes; i-- > 0;) out.push_back(static_cast<char>(value >> (8 * i) & 0xff));
}

void PutLength(std::string& out, uint64_t length) {
  if (length < 1u << 6) {
    out.push_back(static_cast<char>(kLength6 << 6 | length));
  } else if (length < 1u << 14) {
    PutBigEndian(out, kLength14 << 14 | length, 2);
  } else if (length <= std::numeric_limits<uint32_t>::max()) {
    out.push_back(static_cast<char>(kLong32));
    PutBigEndian(out, length, 4);
  } else {
    out.push_back(static_cast<char>(kLong64));
    PutBigEndian(out, length, 8);
  }
}

template <class Integer>
bool Fits(int64_t value) {
  return value >= std::numeric_limits<Integer>::min() &&
         value <= std::numeric_limits<Integer>::max();
}

// False if it needs more than 32 bits: it is then written as text.
bool PutInteger(std::string& out, int64_t value) {
  unsigned encoding = Fits<int8_t>(value)    ? kEncodedInt8
                      : Fits<int16_t>(value) ? kEncodedInt16
                                             : kEncodedInt32;
  if (!Fits<int32_t>(value)) return false;
  out.push_back(static_cast<char>(kLengthEncoded << 6 | encoding));
  PutLittleEndian(out, static_cast<uint64_t>(value), size_t{1} << encoding);
  return true;
}

// Reads the string object of a payload; every read is checked against what is left.
class StringReader {
 public:
  StringReader(std::string_view bytes, size_t bytes_max) : left_(bytes), bytes_max_(bytes_max) {}

  std::optional<std::string> Read() {
    std::optional<uint64_t> first = TakeNumber(1, /*big_endian=*/true);
    if (!first) return std::nullopt;
    if (*first >> 6 == kLengthEncoded) return ReadEncoded(static_cast<unsigned>(*first & 0x3f));
    std::optional<uint64_t> length = RestOfLength(*first);
    if (!length || *length > bytes_max_) return std::nullopt;
    return TakeBytes(*length);
  }

 private:
  std::optional<uint64_t> TakeNumber(size_t bytes, bool big_endian) {
    if (left_.size() < bytes) return std::nullopt;
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; ++i) {
      uint64_t byte = static_cast<unsigned char>(left_[big_endian ? i : bytes - 1 - i]);
      value = value << 8 | byte;
    }
    left_.remove_prefix(bytes);
    return value;
  }
  std::optional<std::string> TakeBytes(uint64_t count) {
    if (left_.size() < count) return std::nullopt;
    std::string bytes(left_.substr(0, count));
    left_.remove_prefix(count);
    return bytes;
  }
  std::optional<uint64_t> RestOfLength(uint64_t first) {
    if (first >> 6 == kLength6) return first;
    if (first >> 6 == kLengthLong) {
      if (first != kLong32 && first != kLong64) return std::nullopt;
      return TakeNumber(first == kLong32 ? 4 : 8, /*big_endian=*/true);
    }
    std::optional<uint64_t> low = TakeNumber(1, /*big_endian=*/true);
    if (!low) return std::nullopt;
    return (first & 0x3f) << 8 | *low;
  }
  std::optional<uint64_t> TakeLength() {
    std::optional<uint64_t> first = TakeNumber(1, /*big_endian=*/true);
    if (!first || *first >> 6 == kLengthEncoded) return std::nullopt;
    return RestOfLength(*first);
  }
  std::optional<std::string> ReadEncoded(unsigned encoding) {
    if (encoding == kEncodedLzf) return ReadLzf();
    if (encoding > kEncodedInt32) return std::nullopt;
    size_t bytes = size_t{1} << encoding;
    std::optional<uint64_t> value = TakeNumber(bytes, /*big_endian=*/false);
    if (!value) return std::nullopt;
    unsigned unused = 64 - 8 * static_cast<unsigned>(bytes);
    return std::to_string(static_cast<int64_t>(*value << unused) >> unused);
  }
  std::optional<std::string> ReadLzf() {
    std::optional<uint64_t> packed_bytes = TakeLength();
    std::optional<uint64_t> size = TakeLength();
    if (!packed_bytes || !size || *size > bytes_max_ || *packed_bytes > left_.size()) {
      return std::nullopt;
    }
    std::string_view packed = left_.substr(0, *packed_bytes);
    left_.remove_prefix(*packed_bytes);
    return UnpackLzf(packed, *size);
  }

  std::string_view left_;
  const size_t bytes_max_;
};

bool FooterIsGood(std::string_view payload) {
  if (payload.size() < kFooterBytes) return false;
  std::string_view footer = payload.substr(payload.size() - kFooterBytes);
  auto byte = [&](size_t i) { return uint64_t{static_cast<unsigned char>(footer[i])}; };
  if ((byte(1) << 8 | byte(0)) > kRdbVersion) return false;
  uint64_t checksum = 0;
  for (size_t i = 0; i < kChecksumBytes; ++i) checksum |= byte(2 + i) << (8 * i);
  return checksum == Crc64(payload.substr(0, payload.size() - kChecksumBytes));
}

}  // namespace

std::string DumpString(const engine::Version& version) {
  StringView view(version);
  std::string out;
  out.reserve(view.size() + kFooterBytes + 10);
  out.push_back(static_cast<char>(kRdbTypeString));
  std::optional<int64_t> value;
  if (view.size() <= kIntegerTextBytesMax) value = TryInt(version);
  if (!value || !PutInteger(out, *value)) {
    PutLength(out, view.size());
    out.append(view.bytes());
  }
  PutLittleEndian(out, kRdbVersion, 2);
  PutLittleEndian(out, Crc64(out), kChecksumBytes);
  return out;
}

DumpResult ParseDump(std::string_view payload, size_t bytes_max) {
  if (!FooterIsGood(payload)) return {DumpOutcome::kBadFooter, {}};
  std::string_view body = payload.substr(0, payload.size() - kFooterBytes);
  if (body.empty() || static_cast<uint8_t>(body[0]) != kRdbTypeString) {
    return {DumpOutcome::kBadFormat, {}};
  }
  std::optional<std::string> bytes = StringReader(body.substr(1), bytes_max).Read();
  if (!bytes) return {DumpOutcome::kBadFormat, {}};
  return {DumpOutcome::kString, std::move(*bytes)};
}

}  // namespace fluxkv::types
