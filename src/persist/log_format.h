// The files of a data directory: names, headers, checksums. docs/WAL_FORMAT.md is the
// specification; engine/log_record.h has the form of a record and of the changes in it.
//
// The log is one stream of records. It is cut into segments of one size: a segment is a header
// block and a piece of the stream, and a record may go on in the next segment. Segments are
// numbered without a gap; a file that has served is used again, so behind the end of the stream
// there may be old records, whose stamps are lower: they are in a snapshot (LogWriter, W6).
//
// F1. A record is valid if its checksum is right and its stamp is above that of the one before.
//
// F2. The stream of segment N ends where segment N+1 says (previous_end): at its capacity if the
//     stream goes on, earlier if a start or a mended log began N+1 afresh; then all records up to
//     its base_stamp were on disk. The last one's ends before the first record that is not valid.
//
// F3. A record's synced_stamp is the stamp of the last record that was on disk when it was written.
//     So a record that is not valid is damaged if a valid one behind it claims a later stamp than
//     the last valid one before it; else it is the torn end of the log.
//
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/log_record.h"
#include "engine/version.h"

namespace fluxkv::persist {

using engine::Stamp;

inline constexpr char kSegmentMagic[8] = {'F', 'L', 'U', 'X', 'L', 'O', 'G', '1'};
inline constexpr char kSnapshotMagic[8] = {'F', 'L', 'U', 'X', 'S', 'N', 'P', '1'};
inline constexpr uint32_t kFormat = 1;
inline constexpr uint64_t kSegmentHeaderBytes = 4096;
inline constexpr uint64_t kSegmentBytesMin = 64 * 1024;
inline constexpr uint64_t kSegmentBytesMax = 1 << 30;

struct SegmentHeader {
  char magic[8] = {};
  uint32_t format = kFormat;
  uint32_t header_bytes = kSegmentHeaderBytes;
  uint64_t log_id = 0;          // drawn once for a data directory; the checksums' seed
  uint64_t number = 0;          // from 1
  uint64_t capacity = 0;        // bytes of the file, header included
  uint64_t base_stamp = 0;      // of the last record that begins before this segment
  uint64_t previous_end = 0;    // F2; 0 in the first segment of all
  uint64_t first_record = 0;    // place of the first record that begins here; capacity: none does
  uint64_t needs_snapshot = 0;  // records from here on may be used on top of a snapshot with at
                                // least this stamp only: commits before it were not recorded
  int64_t time_ms = 0;
  uint64_t checksum = 0;  // of all before it
};
static_assert(sizeof(SegmentHeader) == 88);

struct SnapshotHeader {
  char magic[8] = {};
  uint32_t format = kFormat;
  uint32_t databases = 0;
  uint64_t log_id = 0;
  uint64_t stamp = 0;  // it holds every commit up to this one
  int64_t time_ms = 0;
  uint64_t checksum = 0;  // of all before it
};
static_assert(sizeof(SnapshotHeader) == 48);

enum class BlockKind : uint32_t {
  kDatabase = 1,  // a database begins; `keys` is about how many it has
  kKeys = 2,      // `keys` changes of kind kPut, in order of key
  kEnd = 3,       // `keys` is how many the file has
};

// Behind the header of a snapshot come blocks.
struct BlockHeader {
  uint64_t checksum =
      0;  // of the rest of the header and the body; seeded with log_id + block number
  uint64_t body_bytes = 0;
  uint32_t kind = 0;
  uint32_t db = 0;
  uint64_t keys = 0;
};
static_assert(sizeof(BlockHeader) == 32);

uint64_t Checksum(std::string_view bytes, uint64_t seed);

// With its checksum filled in.
std::string Encode(SegmentHeader header);
std::string Encode(SnapshotHeader header);
// Nullopt if it is none, or its checksum is wrong.
std::optional<SegmentHeader> DecodeSegmentHeader(std::string_view bytes);
std::optional<SnapshotHeader> DecodeSnapshotHeader(std::string_view bytes);

// The checksum of a whole record, header included.
uint64_t RecordChecksum(std::string_view record, uint64_t log_id);

// "log-0000000007.seg", "snapshot-00000000000000000042.snap"; nullopt for other names.
std::string SegmentName(uint64_t number);
std::optional<uint64_t> SegmentNumber(std::string_view name);
std::string SnapshotName(Stamp stamp);
std::optional<Stamp> SnapshotStamp(std::string_view name);
// Files that wait to be used again.
std::string SpareName(uint64_t number);
bool IsSpareName(std::string_view name);

inline constexpr std::string_view kSnapshotTemporaryName = "snapshot.tmp";
inline constexpr std::string_view kLogTemporaryName = "log.tmp";
inline constexpr std::string_view kLockName = "lock";

}  // namespace fluxkv::persist
