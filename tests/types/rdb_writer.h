// Writes RDB files by hand, element by element, for tests.
//
//   RdbWriter file(11);
//   file.Byte(rdb::kString).String("key").String("value");
//   Read(file.Finish());
//
// Threads: one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "types/crc64.h"
#include "types/rdb_format.h"

namespace fluxkv::types {

class RdbWriter {
 public:
  explicit RdbWriter(int version) {
    std::string digits = std::to_string(version);
    bytes_ = version < 80 ? "REDIS" + std::string(4 - digits.size(), '0') + digits
                          : "VALKEY" + std::string(3 - digits.size(), '0') + digits;
  }

  RdbWriter& Byte(unsigned byte) { return Raw(std::string(1, static_cast<char>(byte))); }
  RdbWriter& Raw(std::string_view bytes) {
    bytes_ += bytes;
    return *this;
  }
  RdbWriter& Little(uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; ++i) Byte(value >> (8 * i) & 0xff);
    return *this;
  }
  RdbWriter& Big(uint64_t value, size_t bytes) {
    for (size_t i = bytes; i-- > 0;) Byte(value >> (8 * i) & 0xff);
    return *this;
  }
  RdbWriter& Length(uint64_t length) {
    if (length < 1 << 6) return Byte(static_cast<unsigned>(length));
    if (length < 1 << 14) return Big(rdb::kLength14 << 14 | length, 2);
    if (length < uint64_t{1} << 32) return Byte(rdb::kLong32).Big(length, 4);
    return Byte(rdb::kLong64).Big(length, 8);
  }
  RdbWriter& String(std::string_view text) { return Length(text.size()).Raw(text); }
  // As an integer of 1, 2 or 4 bytes.
  RdbWriter& Integer(int64_t value, size_t bytes) {
    unsigned encoding = bytes == 1   ? rdb::kEncodedInt8
                        : bytes == 2 ? rdb::kEncodedInt16
                                     : rdb::kEncodedInt32;
    return Byte(rdb::kLengthEncoded << 6 | encoding).Little(static_cast<uint64_t>(value), bytes);
  }
  RdbWriter& Lzf(std::string_view packed, uint64_t size) {
    return Byte(rdb::kLengthEncoded << 6 | rdb::kEncodedLzf)
        .Length(packed.size())
        .Length(size)
        .Raw(packed);
  }
  RdbWriter& Key(unsigned type, std::string_view key) { return Byte(type).String(key); }

  const std::string& bytes() const { return bytes_; }
  // The whole file: the end mark and a good checksum (not for versions below 5).
  std::string Finish(bool with_checksum = true) const {
    std::string whole = bytes_ + static_cast<char>(rdb::kEndOfFile);
    if (!with_checksum) return whole;
    uint64_t checksum = Crc64(whole);
    for (size_t i = 0; i < rdb::kChecksumBytes; ++i) {
      whole.push_back(static_cast<char>(checksum >> (8 * i) & 0xff));
    }
    return whole;
  }

 private:
  std::string bytes_;
};

}  // namespace fluxkv::types
