// Reads an RDB file, what SAVE of Redis up to 7.4 (versions 1 to 12) and of Valkey up to 9
// writes, key by key. Strings come with their value; keys of other types with their type, their
// values passed over.
//
//   RdbReader reader(source);
//   RdbEntry entry;
//   for (;;) {
//     Result<bool> more = reader.Next(entry);
//     if (!more.ok()) return std::move(more).status();   // "byte 57: expected a key, found ..."
//     if (!more.value()) break;                          // the checksum was right
//     if (entry.kind == RdbEntry::Kind::kString) Use(entry.db, entry.key, entry.value);
//   }
//
// Memory is bounded by the limits: one key and one value at a time, allocated as their bytes come.
// Threads: one.
// Owns:    nothing of the bytes; the source must outlive the reader.
// Errors:  one for a file that is cut, damaged or none, with the offset and what was expected;
//          later calls repeat it. Any bytes are safe to read. A file may turn out to be damaged
//          only at its end, by its checksum (version 5 and later): until Next returns false, what
//          came may be wrong.
// Source:  Redis's and Valkey's rdb.c as documentation of the format.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/limits.h"
#include "base/result.h"
#include "types/rdb_input.h"
#include "types/rdb_skip.h"

namespace fluxkv::types {

struct RdbEntry {
  enum class Kind : uint8_t {
    kString,
    kOtherKey,         // a key whose value was passed over
    kFunctionLibrary,  // has neither key nor database
  };
  Kind kind = Kind::kString;
  uint32_t db = 0;
  std::optional<int64_t> expiry_ms;  // since 1970; it may have passed
  std::string key;
  std::string value;      // with kString
  std::string type_name;  // with kOtherKey: "list", "stream", a module's name
};

struct RdbLimits {
  size_t key_bytes_max = limits::kBulkBytesMax;
  size_t value_bytes_max = limits::kBulkBytesMax;
};

class RdbReader {
 public:
  explicit RdbReader(ByteSource& source, RdbLimits limits = {}) : in_(source), limits_(limits) {}

  // Replaces `entry` by the next one, or returns false at the end of the file.
  Result<bool> Next(RdbEntry& entry);

  // Of the file; 0 before the first call of Next.
  int version() const { return version_; }
  // Who wrote it, as far as it says so: "Redis 7.0.15". Known with the first entry.
  const std::string& writer() const { return writer_; }
  // Bytes of the file that were read.
  uint64_t offset() const { return in_.offset(); }

 private:
  enum class Outcome : uint8_t { kEntry, kMore, kEnd, kError };

  bool TakeHeader();
  // One opcode or key.
  Outcome Step(RdbEntry& entry);
  Outcome TakeKey(uint8_t type, uint64_t type_offset, RdbEntry& entry);
  // Whether the opcode is one that stands between keys; `good` says whether it could be read.
  bool TakeOpcode(uint8_t opcode, bool* good);
  bool TakeAux();
  bool TakeDatabase();
  bool TakeDeadlineMs();
  bool TakeDeadlineSeconds();
  bool SkipLengths(int count);
  bool SkipSlotImport();
  bool TakeEnd();

  RdbInput in_;
  const RdbLimits limits_;
  int version_ = 0;
  RdbFlavour flavour_ = RdbFlavour::kRedis;
  bool ended_ = false;
  std::string writer_;
  uint32_t db_ = 0;
  std::optional<int64_t> expiry_ms_;  // of the key that comes
};

}  // namespace fluxkv::types
