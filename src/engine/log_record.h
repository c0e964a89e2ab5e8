// The form of what a commit leaves in the log: a header, then the changes, one behind the other.
// Snapshot files hold their keys in the same form. docs/WAL_FORMAT.md is the specification.
//
//   std::string body;
//   AppendPut(&body, {.db = 0, .key = "k", .type = 1, .value = "v"});
//   for (ChangeReader reader(body); reader.Next(&change);) Apply(change);
//
// Threads: pure functions; a ChangeReader is its user's own.
// Owns: nothing; a Change's views are into the body.
// Errors: ChangeReader::Next returns false at the end and at the first byte that makes no sense;
// damaged() tells which it was. Any bytes are safe to read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/key_interval.h"
#include "engine/version.h"

namespace fluxkv::engine {

// All numbers are little-endian, as every machine that this builds for has them.
struct RecordHeader {
  uint64_t checksum = 0;      // XXH3-64, seeded with the log's identity, of all that follows it
  uint64_t body_bytes = 0;    // of the changes behind the header
  uint64_t stamp = 0;         // of the commit
  uint64_t synced_stamp = 0;  // every commit up to it was on disk when this record was written
  int64_t time_ms = 0;        // the commit's clock
};
static_assert(sizeof(RecordHeader) == 40);

// Bytes that a record takes in the log: header, body, and zeros up to a multiple of eight, so that
// records can be looked for at such places only.
inline size_t RecordBytes(size_t body_bytes) {
  return (sizeof(RecordHeader) + body_bytes + 7) & ~size_t{7};
}

enum class ChangeKind : uint8_t {
  kPut = 1,          // the key has this value
  kDelete = 2,       // the key is gone
  kRoots = 3,        // what database numbers stand for: FLUSHDB, FLUSHALL, SWAPDB
  kDeleteRange = 4,  // the keys that are there from `key` on, up to `value`, are gone
};

struct ChangeHeader {
  uint8_t kind = 0;
  uint8_t type = 0;      // opaque to the engine
  uint8_t encoding = 0;  // likewise
  uint8_t has_expiry = 0;
  uint32_t db = 0;
  uint32_t key_bytes = 0;
  uint32_t value_bytes = 0;
};
static_assert(sizeof(ChangeHeader) == 16);

// In a kRoots change: what database number `db` stands for from now on.
struct RootChange {
  static constexpr uint32_t kFresh = UINT32_MAX;
  uint32_t db;
  uint32_t from;  // the number that stood for it before the commit, or kFresh: an empty one
};
static_assert(sizeof(RootChange) == 8);

struct Change {
  ChangeKind kind = ChangeKind::kPut;
  uint32_t db = 0;
  std::string_view key{};
  uint8_t type = 0;
  uint8_t encoding = 0;
  int64_t expiry_ms = kNoExpiry;
  std::string_view value{};         // kPut
  std::vector<RootChange> roots{};  // kRoots: all take effect at once

  // Of a kDeleteRange: its bounds are `key` and `value`, which is empty when there is none.
  KeyInterval interval() const;
};

size_t PutBytes(size_t key_bytes, bool has_expiry, size_t value_bytes);
// All of a put but its value's bytes, which must be appended next.
void AppendPutHead(std::string* out, uint32_t db, std::string_view key, const Version& version);
void AppendPut(std::string* out, const Change& change);
void AppendDelete(std::string* out, uint32_t db, std::string_view key);
// Requires: the interval is not empty.
void AppendDeleteRange(std::string* out, uint32_t db, const KeyInterval& interval);
void AppendRoots(std::string* out, const std::vector<RootChange>& roots);

class ChangeReader {
 public:
  explicit ChangeReader(std::string_view body) : rest_(body) {}
  bool Next(Change* change);
  bool damaged() const { return damaged_; }

 private:
  bool Damaged() {
    damaged_ = true;
    return false;
  }

  std::string_view rest_;
  bool damaged_ = false;
};

// Makes values out of what a log or a snapshot holds; the type layer implements it.
class ValueLoader {
 public:
  virtual ~ValueLoader() = default;
  // Null when there is no such type or encoding here, or the payload is none of it.
  virtual VersionPtr Load(uint8_t type, uint8_t encoding, int64_t expiry_ms,
                          std::string_view payload) const = 0;
};

}  // namespace fluxkv::engine
