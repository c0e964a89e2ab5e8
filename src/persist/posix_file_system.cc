#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "persist/file_system.h"

namespace fluxkv::persist {
namespace {

Status SystemError(const std::string& what, const std::string& path) {
  return Status::Error(ErrorKind::kIo,
                       "cannot " + what + " " + path + ": " +
                           std::error_code(errno, std::generic_category()).message());
}

// File systems that keep the promise of RWF_DSYNC with O_DIRECT. Others accept both and have the
// bytes in a cache of theirs all the same (CIFS, 9p, FUSE past its cache), though fdatasync works.
bool SyncsDirectWrites(int descriptor) {
  struct statfs s;
  if (::fstatfs(descriptor, &s) != 0) return false;
  switch (static_cast<unsigned>(s.f_type)) {
    case EXT4_SUPER_MAGIC:  // and ext2, ext3
    case XFS_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
    case TMPFS_MAGIC:  // nothing of which is ever on a disk
      return true;
    default:
      return false;
  }
}

// That the kernel will not or cannot do it this way says nothing of the file.
bool NotThisWay(int error) {
  return error == EINVAL || error == EOPNOTSUPP || error == ENOMEM || error == EAGAIN;
}

class PosixFile : public File {
 public:
  PosixFile(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)) {}
  ~PosixFile() override {
    ::close(descriptor_);
    if (direct_ >= 0) ::close(direct_);
  }
  PosixFile(const PosixFile&) = delete;
  PosixFile& operator=(const PosixFile&) = delete;

  Status WriteAt(uint64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      ssize_t written =
          ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (written < 0 && errno == EINTR) continue;
      if (written == 0) errno = EIO;  // it must not be tried for ever
      if (written <= 0) return SystemError("write at " + std::to_string(offset) + " to", path_);
      bytes.remove_prefix(static_cast<size_t>(written));
      offset += static_cast<uint64_t>(written);
    }
    return {};
  }

  Result<size_t> ReadAt(uint64_t offset, char* out, size_t size) override {
    size_t done = 0;
    while (done < size) {
      ssize_t got =
          ::pread(descriptor_, out + done, size - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return SystemError("read at " + std::to_string(offset + done) + " from", path_);
      if (got == 0) break;
      done += static_cast<size_t>(got);
    }
    return done;
  }

  Status Sync() override {
    if (::fdatasync(descriptor_) == 0) return {};
    return SystemError("sync", path_);
  }

  // O_DIRECT and RWF_DSYNC: the bytes go to the disk from where they are, and a disk that can do it
  // (FUA) is told so with the write itself, which saves it a second command (pwritev2(2)).
  Status WriteThrough(uint64_t offset, std::string_view bytes) override {
    if (direct_ == kNotTried) OpenDirect();
    while (direct_ >= 0 && !bytes.empty()) {
      const iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
      const ssize_t written = ::pwritev2(direct_, &piece, 1, static_cast<off_t>(offset), RWF_DSYNC);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0 && NotThisWay(errno)) {
        ::close(std::exchange(direct_, kCannot));
        break;
      }
      if (written == 0) errno = EIO;
      if (written <= 0)
        return SystemError("write through at " + std::to_string(offset) + " to", path_);
      bytes.remove_prefix(static_cast<size_t>(written));
      offset += static_cast<uint64_t>(written);
    }
    return bytes.empty() ? Status() : File::WriteThrough(offset, bytes);
  }

  Result<uint64_t> Size() override {
    struct stat s;
    if (::fstat(descriptor_, &s) != 0) return SystemError("look at", path_);
    return static_cast<uint64_t>(s.st_size);
  }

  const std::string& path() const override { return path_; }

 private:
  static constexpr int kNotTried = -1, kCannot = -2;

  // The file itself, whatever may have its name by now.
  void OpenDirect() {
    direct_ = kCannot;
    if (!SyncsDirectWrites(descriptor_)) return;
    const std::string self = "/proc/self/fd/" + std::to_string(descriptor_);
    const int opened = ::open(self.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC);
    if (opened >= 0) direct_ = opened;
  }

  const int descriptor_;
  int direct_ = kNotTried;  // for WriteThrough; whoever writes uses it, one at a time
  const std::string path_;
};

class PosixLock : public FileLock {
 public:
  explicit PosixLock(int descriptor) : descriptor_(descriptor) {}
  ~PosixLock() override { ::close(descriptor_); }
  PosixLock(const PosixLock&) = delete;
  PosixLock& operator=(const PosixLock&) = delete;

 private:
  const int descriptor_;
};

}  // namespace

Result<std::unique_ptr<File>> PosixFileSystem::Open(const std::string& path, OpenMode mode) {
  constexpr int kFlags[] = {O_RDONLY, O_RDWR, O_RDWR | O_CREAT | O_TRUNC};
  const int descriptor = ::open(path.c_str(), kFlags[static_cast<int>(mode)] | O_CLOEXEC, 0640);
  if (descriptor < 0) return SystemError(mode == OpenMode::kCreate ? "create" : "open", path);
  return std::unique_ptr<File>(std::make_unique<PosixFile>(descriptor, path));
}

Status PosixFileSystem::Rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return {};
  return SystemError("rename to " + to, from);
}

Status PosixFileSystem::Remove(const std::string& path) {
  if (::unlink(path.c_str()) == 0) return {};
  return SystemError("remove", path);
}

Status PosixFileSystem::SyncDirectory(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return SystemError("open", path);
  const bool good = ::fsync(descriptor) == 0;
  Status status = good ? Status() : SystemError("sync", path);
  ::close(descriptor);
  return status;
}

Result<std::vector<std::string>> PosixFileSystem::List(const std::string& path) {
  // Not opendir: ThreadSanitizer does not see the descriptor that it makes.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return SystemError("list", path);
  DIR* directory = ::fdopendir(descriptor);
  if (directory == nullptr) {
    Status status = SystemError("list", path);
    ::close(descriptor);
    return status;
  }
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  const bool good = errno == 0;
  Status status = good ? Status() : SystemError("list", path);
  ::closedir(directory);
  if (!status.ok()) return status;
  std::sort(names.begin(), names.end());
  return names;
}

bool PosixFileSystem::Exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

Status PosixFileSystem::CreateDirectory(const std::string& path) {
  struct stat s;
  if (::mkdir(path.c_str(), 0750) == 0) return {};
  if (errno == EEXIST && ::stat(path.c_str(), &s) == 0 && S_ISDIR(s.st_mode)) return {};
  return SystemError("create directory", path);
}

Result<std::unique_ptr<FileLock>> PosixFileSystem::Lock(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (descriptor < 0) return SystemError("open", path);
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    Status status =
        errno == EWOULDBLOCK
            ? Status::Error(ErrorKind::kLocked,
                            "another process uses this data directory (" + path + " is locked)")
            : SystemError("lock", path);
    ::close(descriptor);
    return status;
  }
  // For people who look; the lock is the file's, not its text's.
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(descriptor, 0) == 0 && ::write(descriptor, pid.data(), pid.size()) < 0) {
  }
  return std::unique_ptr<FileLock>(std::make_unique<PosixLock>(descriptor));
}

}  // namespace fluxkv::persist
