// The files of the log that are not in use: taken when a segment is full, given back when a
// snapshot covers it. A new file is filled with zeros once, so that writing into it later changes
// no metadata.
//
//   SegmentPool pool(files, "data", 64 << 20, 16);
//   auto file = pool.Take("data/log-0000000008.seg", header);   // renamed, its name on disk
//   pool.Give("data/log-0000000003.seg");
//
// Threads: any; one mutex, not held while a file is filled. Owns: the names of spare files.
// Errors: as file_system.h.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "persist/file_system.h"

namespace fluxkv::persist {

class SegmentPool {
 public:
  // `files_max`: as many files, in use or spare, are kept.
  SegmentPool(FileSystem& files, std::string directory, uint64_t segment_bytes, size_t files_max);

  // Looks for spare files; removes those of another size, and half-made ones. Before anything else.
  Status FindSpares();
  // A file of segment_bytes under the name `path`; what is behind `header` is old or zero. The
  // header is on disk before the name is, so that a file never has the name of one segment and the
  // header of another, or half of one.
  // `fill` writes and syncs what else is to be there by then; for as long the file has a name that
  // the next start removes, so that no spare ever holds what was given up.
  Result<std::shared_ptr<File>> Take(const std::string& path, std::string_view header,
                                     const std::function<Status(File&)>& fill = {});
  // The file is a spare from now on, or is removed when `in_use` others and the spares are enough.
  Status Give(const std::string& path, size_t in_use);
  // Makes a spare if there is none and `in_use` leaves room for one; for a thread that has time.
  Status Prepare(size_t in_use);

  uint64_t segment_bytes() const { return segment_bytes_; }
  size_t files_max() const { return files_max_; }
  size_t spares() const;

 private:
  Result<std::unique_ptr<File>> CreateFilled(const std::string& path);
  std::string NewSparePath();  // Requires: mutex_
  Result<std::unique_ptr<File>> OpenSpare(const std::string& spare, const std::string& as);
  std::string PathOf(const std::string& name) const { return directory_ + "/" + name; }

  FileSystem& files_;
  const std::string directory_;
  const uint64_t segment_bytes_;
  const size_t files_max_;
  mutable std::mutex mutex_;
  std::vector<std::string> spares_;  // paths; guarded by mutex_
  uint64_t next_spare_ = 1;          // guarded by mutex_
  bool given_ = false;               // guarded by mutex_; a spare may have its former name on disk
};

}  // namespace fluxkv::persist
