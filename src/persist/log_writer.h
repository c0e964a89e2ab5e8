// Writes records into segments, and knows what of them is on disk.
//
//   LogWriter writer(files, pool, "data", log_id);
//   Status status = writer.Begin(end);          // where recovery found the end of the stream
//   status = writer.Append(records, now_ms);
//   status = writer.Sync();                     // synced_stamp() has risen
//
// W1. What was given to Append is kept in memory (the tail) until it is on disk.
// W2. After an error the segments behind the last sync are not trusted: Mend writes the tail afresh
//     into a new segment, which says where the trusted stream ends, and removes them. A tail that
//     fits into one segment is on disk before that has its name, so that a kill at any time finds
//     what the system had been given.
// W3. A segment is given back to the pool only when every record that begins in it, or before, is
//     in a snapshot that is on disk.
// W4. No more segments than the pool has are used, but for a record that is larger than one, and at
//     the end (SetEnding); when there is none, blocked() is true and the tail waits in memory.
// W5. What goes through to the disk (Way::kThrough) goes in whole blocks: with the bytes that the
//     log has before it in the same block, which are on disk, and zeros behind. Nothing else is
//     unsynced then.
// W6. What a file of the pool held is in a snapshot: other files are removed, not given back. So a
//     record that was given up never comes back behind a header that was on disk before its
//     records.
//
// Threads: one at a time; a SyncJob may be run by another meanwhile. Owns: the tail and the open
// segment. Errors: as file_system.h; after one only Mend helps.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/commit_log.h"
#include "persist/log_format.h"
#include "persist/page_buffer.h"
#include "persist/segment_pool.h"

namespace fluxkv::persist {

// A place in the stream.
struct LogPlace {
  uint64_t segment = 0;  // number; 0: before the first one
  uint64_t offset = 0;   // in its file
  bool operator==(const LogPlace&) const = default;
};

// How records go to the system.
enum class Way : uint8_t {
  kCached,   // into its cache; a sync puts them on disk
  kThrough,  // to the disk at once (W5); as kCached where more would have to be synced with them
};

struct SegmentInUse {
  uint64_t number = 0;
  std::string path;
  Stamp base_stamp = 0;
  uint64_t capacity = 0;
};

// What a log is before more is written: from recovery.
struct LogEnd {
  std::vector<SegmentInUse> segments;  // with the stream, oldest first
  LogPlace place;                      // where the stream ends
  Stamp last_stamp = 0;                // of its last record
  Stamp needs_snapshot = 0;            // as SegmentHeader
};

// Files to sync, and what is on disk when that has gone well.
struct SyncJob {
  std::vector<std::shared_ptr<File>> files;
  uint64_t chunks = 0;
  LogPlace place;
  Status Run() const;
};

class LogWriter {
 public:
  LogWriter(FileSystem& files, SegmentPool& pool, std::string directory, uint64_t log_id);

  // Begins a new segment behind `end`; its header is on disk when this returns.
  Status Begin(LogEnd end, int64_t time_ms);
  bool begun() const { return current_ != nullptr; }
  // Gives up the open segment; what was written stays. Requires: nothing is unsynced.
  void Stop();

  // What a log is while nothing is written to it. Requires: not begun.
  void Adopt(LogEnd end);
  // After an error, and until Mend has gone well, records are only kept.
  Status Append(const engine::LogRecords& records, int64_t time_ms, Way way = Way::kCached);
  // The first half of Append: the records are copied into the tail, and Resume writes them.
  void Keep(const engine::LogRecords& records);
  // Whether so many bytes more would need no other segment, whose header waits for the disk.
  bool can_write_here(uint64_t more) const {
    return !failed_ && !needy_ && current_ != nullptr &&
           unwritten_bytes() + more <= capacity_ - at_.offset;
  }
  // When a snapshot that the open segment needs is on disk, the next one says that it needs none;
  // without it a snapshot that somebody removed would look like one that was never finished.
  // LeaveNeedy begins it if everything is on disk, for that is what such a segment says (F2).
  bool wants_clean_segment() const { return needy_ && !failed_ && has_room(); }
  Status LeaveNeedy();
  // Goes on writing what was kept or blocked.
  Status Resume(int64_t time_ms, Way way = Way::kCached) { return WriteTail(time_ms, way); }
  // Nobody will make room any more: what was given to Append is written all the same.
  void SetEnding() { ending_ = true; }
  Status Sync();
  SyncJob BeginSync();
  void EndSync(const SyncJob& job);
  // The job has failed.
  void SetSyncFailed() { failed_ = distrusted_ = true; }
  Status Mend(int64_t time_ms);
  // A snapshot with this stamp is on disk.
  Status SnapshotDone(Stamp stamp);

  bool failed() const { return failed_; }
  // What is on disk, as a later log would find it.
  LogEnd end() const;
  bool blocked() const { return blocked_; }
  // Everything given to Append has been handed to the system, or is on disk.
  bool all_written() const { return pending_ == tail_.size(); }
  bool all_synced() const { return tail_.empty(); }
  Stamp synced_stamp() const { return synced_stamp_; }
  Stamp written_stamp() const { return written_stamp_; }
  uint64_t unsynced_bytes() const { return unsynced_bytes_; }
  size_t segments_used() const { return used_.size(); }
  uint64_t bytes_used() const;
  // Whether another segment may be begun.
  bool has_room() const { return used_.size() < pool_.files_max(); }
  uint64_t unwritten_bytes() const;

 private:
  // Whole records, of one or several calls of Append.
  struct Chunk {
    PageBuffer buffer;
    size_t lead = 0;     // bytes of the buffer before the records, for what is before them on disk
    size_t size = 0;     // then zeros, which mark the end of the stream until more is written
    Stamp last = 0;      // of its last record
    size_t written = 0;  // at most size
    char* records() { return buffer.data() + lead; }
    const char* records() const { return buffer.data() + lead; }
  };

  Status WriteTail(int64_t time_ms, Way way);
  bool CanGoThrough() const;
  Status WriteThrough();
  Chunk& ChunkFor(size_t size);
  Status MendInPlace(int64_t time_ms);
  Status WritePending(int64_t time_ms);
  Status NextSegment(const Chunk* chunk, int64_t time_ms,
                     const std::function<Status(File&)>& fill = {});
  Status RemoveSegments(uint64_t from);
  Status WriteTailInto(File& file) const;
  static size_t RecordEndFrom(const Chunk& chunk, size_t at);
  static uint64_t RecordBytesLeft(const Chunk& chunk);
  Stamp LastStampBefore(const Chunk& chunk) const;
  std::string PathOf(uint64_t number) const;

  FileSystem& files_;
  SegmentPool& pool_;
  const std::string directory_;
  const uint64_t log_id_;

  std::deque<SegmentInUse> used_;
  std::shared_ptr<File> current_;
  uint64_t capacity_ = 0;
  LogPlace at_;                                // where the next byte goes
  std::array<char, File::kBlockBytes> block_;  // what is in its block before it, if
  LogPlace block_of_;                          // this is at_
  Stamp needs_snapshot_ = 0;
  bool needy_ = false;   // the open segment says that it needs a snapshot, which is there by now
  int64_t time_ms_ = 0;  // of the last Begin or Append

  std::deque<Chunk> tail_;    // not on disk, oldest first
  uint64_t tail_number_ = 0;  // of tail_.front(), counting all chunks ever
  size_t pending_ = 0;        // first chunk of tail_ that is not wholly written
  bool open_ = false;         // records may be added to the last chunk
  bool reopened_ = false;     // they were, and are not written: written_place_ is inside it
  LogPlace written_place_;    // behind the last whole chunk
  LogPlace synced_place_;     // behind the last chunk on disk
  Stamp written_stamp_ = 0, synced_stamp_ = 0;
  uint64_t unsynced_bytes_ = 0;
  std::vector<std::shared_ptr<File>> dirty_;
  std::vector<PageBuffer> spare_buffers_;  // of chunks that are on disk, to be used again
  bool blocked_ = false;
  bool failed_ = false;
  bool distrusted_ = false;  // what is behind the last sync may not be what was written
  int tries_in_place_ = 0;
  bool ending_ = false;
};

}  // namespace fluxkv::persist
