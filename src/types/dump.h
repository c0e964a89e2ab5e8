// The payload of DUMP and RESTORE: a value in RDB's form, then RDB's version and a checksum. What
// is written here Redis 7.2 and Valkey read, and the other way round, for strings.
//
//   std::string payload = DumpString(version);
//   DumpResult back = ParseDump(payload, bytes_max);   // kString with the bytes
//
// Threads: pure functions.
// Errors:  an outcome; any bytes are safe to parse. Checksums are not secrets: a payload may be
//          forged, so the value behind a good one is checked as well.
// Source:  Redis's rdb.c and cluster.c as documentation of the format.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/version.h"

namespace fluxkv::types {

// Redis 7.2's. Payloads of newer versions are refused.
inline constexpr uint16_t kRdbVersion = 11;

enum class DumpOutcome : uint8_t {
  kString,
  kBadFooter,  // too short, a newer version, or a wrong checksum
  kBadFormat,  // no string, or a damaged one
};

struct DumpResult {
  DumpOutcome outcome = DumpOutcome::kBadFormat;
  std::string bytes;  // with kString
};

// Requires: a string.
std::string DumpString(const engine::Version& version);
// A string of more than `bytes_max` is kBadFormat.
DumpResult ParseDump(std::string_view payload, size_t bytes_max);

}  // namespace fluxkv::types
