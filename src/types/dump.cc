#include "types/dump.h"

#include <limits>
#include <optional>

#include "types/crc64.h"
#include "types/rdb_format.h"
#include "types/rdb_input.h"
#include "types/string_value.h"

namespace fluxkv::types {
namespace {

constexpr size_t kFooterBytes = 2 + rdb::kChecksumBytes;  // the version comes first
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
    out.push_back(static_cast<char>(rdb::kLength6 << 6 | length));
  } else if (length < 1u << 14) {
    PutBigEndian(out, rdb::kLength14 << 14 | length, 2);
  } else if (length <= std::numeric_limits<uint32_t>::max()) {
    out.push_back(static_cast<char>(rdb::kLong32));
    PutBigEndian(out, length, 4);
  } else {
    out.push_back(static_cast<char>(rdb::kLong64));
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
  unsigned encoding = Fits<int8_t>(value)    ? rdb::kEncodedInt8
                      : Fits<int16_t>(value) ? rdb::kEncodedInt16
                                             : rdb::kEncodedInt32;
  if (!Fits<int32_t>(value)) return false;
  out.push_back(static_cast<char>(rdb::kLengthEncoded << 6 | encoding));
  PutLittleEndian(out, static_cast<uint64_t>(value), size_t{1} << encoding);
  return true;
}

bool FooterIsGood(std::string_view payload) {
  if (payload.size() < kFooterBytes) return false;
  std::string_view footer = payload.substr(payload.size() - kFooterBytes);
  auto byte = [&](size_t i) { return uint64_t{static_cast<unsigned char>(footer[i])}; };
  if ((byte(1) << 8 | byte(0)) > kRdbVersion) return false;
  uint64_t checksum = 0;
  for (size_t i = 0; i < rdb::kChecksumBytes; ++i) checksum |= byte(2 + i) << (8 * i);
  return checksum == Crc64(payload.substr(0, payload.size() - rdb::kChecksumBytes));
}

}  // namespace

std::string DumpString(const engine::Version& version) {
  StringView view(version);
  std::string out;
  out.reserve(view.size() + kFooterBytes + 10);
  out.push_back(static_cast<char>(rdb::kString));
  std::optional<int64_t> value;
  if (view.size() <= kIntegerTextBytesMax) value = TryInt(version);
  if (!value || !PutInteger(out, *value)) {
    PutLength(out, view.size());
    out.append(view.bytes());
  }
  PutLittleEndian(out, kRdbVersion, 2);
  PutLittleEndian(out, Crc64(out), rdb::kChecksumBytes);
  return out;
}

DumpResult ParseDump(std::string_view payload, size_t bytes_max) {
  if (!FooterIsGood(payload)) return {DumpOutcome::kBadFooter, {}};
  std::string_view body = payload.substr(0, payload.size() - kFooterBytes);
  if (body.empty() || static_cast<uint8_t>(body[0]) != rdb::kString) {
    return {DumpOutcome::kBadFormat, {}};
  }
  ViewSource source(body.substr(1));
  std::string bytes;
  if (!RdbInput(source).TakeString(bytes_max, "a string", bytes)) {
    return {DumpOutcome::kBadFormat, {}};
  }
  return {DumpOutcome::kString, std::move(bytes)};
}

}  // namespace fluxkv::types
