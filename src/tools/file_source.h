// The bytes of a file or of standard input, in chunks.
//
//   Result<std::unique_ptr<FileSource>> file = FileSource::Open("dump.rdb");
//   types::RdbReader reader(*file.value());
//
// Threads: one.
// Owns:    the descriptor, and one chunk.
// Errors:  in the results, with the system's reason.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "types/rdb_input.h"

namespace fluxkv::tools {

class FileSource : public types::ByteSource {
 public:
  // "-" is standard input.
  static Result<std::unique_ptr<FileSource>> Open(const std::string& path);
  ~FileSource() override;
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;

  Result<std::string_view> NextChunk() override;

  // From where it began to be read; nothing for what is no regular file (a pipe).
  std::optional<uint64_t> size() const { return size_; }
  // Reads from the beginning again. Requires: a regular file.
  Status Rewind();

 private:
  FileSource(int fd, bool owned);

  const int fd_;
  const bool owned_;
  std::optional<uint64_t> size_;
  int64_t start_ = 0;
  std::vector<char> chunk_;
};

}  // namespace fluxkv::tools
