#include "config/atomic_file.h"

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

namespace fluxkv::config {
namespace {

class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  bool open() const { return descriptor_ >= 0; }
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

Status SystemError() {
  return Status::Error(std::error_code(errno, std::generic_category()).message());
}

Status WriteAll(int descriptor, std::string_view text) {
  while (!text.empty()) {
    ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return SystemError();
    text.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

Status Fill(const File& file, std::string_view text) {
  if (::fchmod(file.get(), 0600) != 0) return SystemError();
  Status status = WriteAll(file.get(), text);
  if (!status.ok()) return status;
  return ::fsync(file.get()) == 0 ? Status() : SystemError();
}

Status SyncDirectory(const std::string& path) {
  std::string directory = std::filesystem::path(path).parent_path().string();
  if (directory.empty()) directory = ".";
  File file(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!file.open() || ::fsync(file.get()) != 0) return SystemError();
  return {};
}

}  // namespace

Status WriteFileAtomically(const std::string& path, std::string_view text) {
  // A name that nobody else has: two servers may be started with the same file.
  std::string temporary = path + ".tmp-XXXXXX";
  File file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!file.open()) return SystemError();
  Status status = Fill(file, text);
  if (status.ok() && ::rename(temporary.c_str(), path.c_str()) != 0) status = SystemError();
  if (!status.ok()) {
    ::unlink(temporary.c_str());
    return status;
  }
  return SyncDirectory(path);
}

}  // namespace fluxkv::config
