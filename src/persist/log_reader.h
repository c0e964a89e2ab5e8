// Reads the stream of records out of segments, from the first one that a snapshot does not cover to
// the end, and judges that end (log_format.h, F1 to F3).
//
//   auto opened = LogReader::Open(files, directory, snapshot_stamp, log_id);
//   while (true) { auto more = reader.Next(&record); if (!more.ok() || !more.value()) break; ... }
//   reader.end(), reader.torn();     // after Next returned false
//
// Threads: one. Owns: its buffer; a record's body is valid until the next call.
// Errors: one line with file, offset, what is wrong and what to do. A torn end is none.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "persist/file_system.h"
#include "persist/log_format.h"
#include "persist/log_writer.h"

namespace fluxkv::persist {

struct LogRecord {
  engine::RecordHeader header;
  std::string_view body;
};

// Where a log that did not end between two records was cut.
struct TornEnd {
  std::string path;
  uint64_t offset = 0;
};

// A segment file with a good header.
struct SegmentFile {
  std::string path;
  SegmentHeader header;
};

// What a directory has of a log.
struct SegmentFiles {
  std::vector<SegmentFile> good;  // by number
};
// `log_id`: of the snapshot; nullopt if there is none. An error when a header is damaged, or
// segments of different logs are mixed.
Result<SegmentFiles> FindSegments(FileSystem& files, const std::string& directory,
                                  std::optional<uint64_t> log_id);

class LogReader {
 public:
  // Positioned at the first record above `after` (and possibly some before it). `after` is the
  // snapshot's stamp, 0 without one.
  static Result<std::unique_ptr<LogReader>> Open(FileSystem& files, SegmentFiles segments,
                                                 Stamp after);

  Result<bool> Next(LogRecord* record);

  // After Next returned false.
  const LogEnd& end() const { return end_; }
  const std::optional<TornEnd>& torn() const { return torn_; }
  // Segments behind the end, or that need a newer snapshot: they belong to no state any more.
  const std::vector<std::string>& useless() const { return useless_; }

  // After Next returned false or an error: where the stream was left, and the valid record behind
  // it that shows damage, if there is one. For those who go on behind it.
  const TornEnd& stopped_at() const { return stopped_at_; }
  const std::optional<LogPlace>& claim() const { return claim_; }

  uint64_t bytes_read() const { return stream_at_; }
  uint64_t bytes_total() const { return bytes_total_; }

 private:
  LogReader(FileSystem& files, std::vector<SegmentFile> segments);

  // Makes `size` bytes of the stream available at stream_at_; false if it ends before.
  Result<bool> Ensure(size_t size);
  Result<bool> ReadMore();
  bool EnterNextSegment();
  uint64_t StreamEnd(size_t segment) const;
  Result<bool> TakeRecord(LogRecord* record);
  Status JudgeEnd();
  // Whether a valid record behind the current place says that more than last_stamp_ was on disk.
  Result<std::optional<LogPlace>> FindClaim();
  std::string PathOfPlace(LogPlace place) const;
  LogPlace PlaceOf(uint64_t stream_at) const;
  void Finish(LogPlace place, bool torn);

  FileSystem& files_;
  std::vector<SegmentFile> segments_;
  std::vector<std::string> useless_;
  size_t segment_ = 0;   // that is being read
  uint64_t offset_ = 0;  // of the next byte to read in it
  std::unique_ptr<File> file_;
  std::string buffer_;
  size_t buffer_at_ = 0;      // of stream_at_ in it
  uint64_t stream_at_ = 0;    // bytes of the stream used since the start
  uint64_t bytes_total_ = 0;  // of the stream at most
  struct Piece {
    uint64_t stream_begin;
    LogPlace place;
  };
  std::vector<Piece> pieces_;  // where stretches of the stream are, latest last
  Stamp last_stamp_ = 0;       // of the last record returned, or the snapshot's
  Stamp valid_stamp_ = 0;      // of the last valid record, covered by the snapshot or not
  bool read_any_ = false;
  LogEnd end_;
  std::optional<TornEnd> torn_;
  TornEnd stopped_at_;
  std::optional<LogPlace> claim_;
};

}  // namespace fluxkv::persist
