#include "tools/file_source.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace fluxkv::tools {
namespace {

constexpr size_t kChunkBytes = 256 * 1024;

}  // namespace

Result<std::unique_ptr<FileSource>> FileSource::Open(const std::string& path) {
  bool standard_input = path == "-";
  int fd = standard_input ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Status::Error("cannot open " + path + ": " + std::strerror(errno));
  return std::unique_ptr<FileSource>(new FileSource(fd, !standard_input));
}

FileSource::FileSource(int fd, bool owned) : fd_(fd), owned_(owned), chunk_(kChunkBytes) {
  struct stat facts {};
  if (fstat(fd_, &facts) != 0 || !S_ISREG(facts.st_mode)) return;
  start_ = lseek(fd_, 0, SEEK_CUR);
  if (start_ < 0) return;
  size_ = start_ < facts.st_size ? static_cast<uint64_t>(facts.st_size - start_) : 0;
}

FileSource::~FileSource() {
  if (owned_) close(fd_);
}

Result<std::string_view> FileSource::NextChunk() {
  for (;;) {
    ssize_t count = read(fd_, chunk_.data(), chunk_.size());
    if (count >= 0) return std::string_view(chunk_.data(), static_cast<size_t>(count));
    if (errno != EINTR) {
      return Status::Error(std::string("the file cannot be read: ") + std::strerror(errno));
    }
  }
}

Status FileSource::Rewind() {
  if (lseek(fd_, start_, SEEK_SET) == start_) return {};
  return Status::Error(std::string("the file cannot be read again: ") + std::strerror(errno));
}

}  // namespace fluxkv::tools
