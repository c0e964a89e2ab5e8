// A snapshot file: every key of every database at one stamp, in order of key, in blocks with
// checksums. docs/WAL_FORMAT.md is the specification.
//
//   SnapshotWriter writer(files, "data", log_id);
//   status = writer.Begin(stamp, time_ms, databases);  status = writer.BeginDatabase(db, keys);
//   status = writer.Add(db, key, version);  status = writer.Finish();   // renamed and on disk
//
//   auto reader = SnapshotReader::Open(files, path);
//   while (true) { auto block = reader.value()->Next(); ... }
//
// Threads: one each.
// Owns:    the open file.
// Errors:  one line with file and offset.
//          A writer that is destroyed before Finish leaves no file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/version.h"
#include "persist/file_system.h"
#include "persist/log_format.h"

namespace fluxkv::persist {

class SnapshotWriter {
 public:
  SnapshotWriter(FileSystem& files, std::string directory, uint64_t log_id);
  ~SnapshotWriter();
  SnapshotWriter(const SnapshotWriter&) = delete;
  SnapshotWriter& operator=(const SnapshotWriter&) = delete;

  Status Begin(Stamp stamp, int64_t time_ms, uint32_t databases);
  Status BeginDatabase(uint32_t db, uint64_t keys_about);
  Status Add(uint32_t db, std::string_view key, const engine::Version& version);
  // The file is on disk under its name when this returns well.
  Status Finish();

  uint64_t keys() const { return keys_; }
  uint64_t bytes() const { return offset_; }

 private:
  Status WriteBlock(BlockKind kind, uint32_t db, uint64_t keys, std::string_view body);
  Status FlushKeys();

  FileSystem& files_;
  const std::string directory_;
  const uint64_t log_id_;
  std::unique_ptr<File> file_;
  Stamp stamp_ = 0;
  uint64_t offset_ = 0, synced_offset_ = 0;
  uint64_t blocks_ = 0;
  uint64_t keys_ = 0;
  uint32_t db_ = 0;
  std::string body_;
  uint64_t body_keys_ = 0;
  std::string bytes_;  // of the block being written
};

class SnapshotReader {
 public:
  struct Block {
    BlockKind kind = BlockKind::kEnd;
    uint32_t db = 0;
    uint64_t keys = 0;
    std::string_view body;  // until the next call
  };

  // `instead`: of the file's own header, which is damaged.
  static Result<std::unique_ptr<SnapshotReader>> Open(FileSystem& files, const std::string& path,
                                                      const SnapshotHeader* instead = nullptr);
  const SnapshotHeader& header() const { return header_; }
  // Blocks in order, the last one is of kind kEnd and nothing is behind it.
  Result<Block> Next();
  // Steps over a damaged block whose header is good; false if there is no way on. From then on the
  // last block's number of keys is not compared with those that were read.
  bool SkipDamaged();
  uint64_t offset() const { return offset_; }
  uint64_t size() const { return size_; }

 private:
  SnapshotReader(std::unique_ptr<File> file, SnapshotHeader header, uint64_t size);
  Status Damaged(const std::string& what) const;

  std::unique_ptr<File> file_;
  const SnapshotHeader header_;
  const uint64_t size_;
  uint64_t offset_;
  uint64_t next_offset_ = 0;  // behind the block that Next found damaged; 0: not known
  uint64_t blocks_ = 0;
  uint64_t keys_ = 0;
  bool skipped_ = false;
  std::string buffer_;
};

// The newest snapshot of a directory: its path, or nullopt; the older ones in `older`.
struct SnapshotFiles {
  std::optional<std::string> newest;
  std::vector<std::string> older;
};
Result<SnapshotFiles> FindSnapshots(FileSystem& files, const std::string& directory);

}  // namespace fluxkv::persist
