// The only way to files: what the log and the snapshots need of a file system, behind an interface,
// so that tests can put one in its place that loses, tears and reorders what was not synced, and
// fails when told.
//
//   PosixFileSystem files;
//   auto file = files.Open("data/log-1.seg", OpenMode::kReadWrite);
//   Status status = file.value()->WriteAt(4096, bytes);
//   status = file.value()->Sync();
//
// Threads: a FileSystem from any; a File may be synced by one thread while another writes to it.
// Owns: a File its descriptor. Errors: one line with the path, the place and the system's reason.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fluxkv::persist {

enum class OpenMode : uint8_t {
  kRead,       // it must exist
  kReadWrite,  // it must exist
  kCreate,     // it is made anew, empty
};

class File {
 public:
  static constexpr size_t kBlockBytes = 4096;

  virtual ~File() = default;
  // All of `bytes`, or an error; then any part of them may have been written.
  virtual Status WriteAt(uint64_t offset, std::string_view bytes) = 0;
  // Bytes read; fewer than `size` only at the end of the file.
  virtual Result<size_t> ReadAt(uint64_t offset, char* out, size_t size) = 0;
  // When it returns well, all that was written before it was called is on disk, and the file's
  // size. After an error nothing is known of what was written since the last success.
  virtual Status Sync() = 0;
  // WriteAt and Sync of what it writes, in one call and past the system's cache where the file
  // system is known to do that well; of what was written before nothing is promised. Requires:
  // `offset`, the address of `bytes` and their number are multiples of kBlockBytes, the file has
  // its size, and nothing that was written there is unsynced.
  virtual Status WriteThrough(uint64_t offset, std::string_view bytes) {
    Status status = WriteAt(offset, bytes);
    return status.ok() ? Sync() : status;
  }
  virtual Result<uint64_t> Size() = 0;
  virtual const std::string& path() const = 0;
};

// Holds a lock on a file until it goes.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) = 0;
  // Names and removals are on disk after SyncDirectory only.
  virtual Status Rename(const std::string& from, const std::string& to) = 0;
  virtual Status Remove(const std::string& path) = 0;
  virtual Status SyncDirectory(const std::string& path) = 0;
  // Names, without "." and "..", in order.
  virtual Result<std::vector<std::string>> List(const std::string& path) = 0;
  virtual bool Exists(const std::string& path) = 0;
  // One level; well if it is there already.
  virtual Status CreateDirectory(const std::string& path) = 0;
  // Creates the file if it is missing; an error when another process has it locked.
  virtual Result<std::unique_ptr<FileLock>> Lock(const std::string& path) = 0;
};

class PosixFileSystem : public FileSystem {
 public:
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Remove(const std::string& path) override;
  Status SyncDirectory(const std::string& path) override;
  Result<std::vector<std::string>> List(const std::string& path) override;
  bool Exists(const std::string& path) override;
  Status CreateDirectory(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override;
};

}  // namespace fluxkv::persist
