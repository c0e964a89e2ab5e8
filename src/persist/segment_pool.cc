#include "persist/segment_pool.h"

#include <algorithm>

#include "persist/log_format.h"

namespace fluxkv::persist {

namespace {
constexpr size_t kZerosBytes = 1 << 20;
}  // namespace

SegmentPool::SegmentPool(FileSystem& files, std::string directory, uint64_t segment_bytes,
                         size_t files_max)
    : files_(files),
      directory_(std::move(directory)),
      segment_bytes_(segment_bytes & ~uint64_t{4095}),
      files_max_(files_max) {}

Status SegmentPool::FindSpares() {
  auto names = files_.List(directory_);
  if (!names.ok()) return std::move(names).status();
  std::lock_guard lock(mutex_);
  spares_.clear();
  for (const std::string& name : names.value()) {
    if (name == kLogTemporaryName) {
      Status status = files_.Remove(PathOf(name));
      if (!status.ok()) return status;
    }
    if (!IsSpareName(name)) continue;
    auto file = files_.Open(PathOf(name), OpenMode::kRead);
    if (!file.ok()) return std::move(file).status();
    auto size = file.value()->Size();
    if (!size.ok()) return std::move(size).status();
    if (size.value() == segment_bytes_) {
      spares_.push_back(PathOf(name));
    } else {  // of another segment_bytes, or not filled before a crash
      Status status = files_.Remove(PathOf(name));
      if (!status.ok()) return status;
    }
  }
  // Numbers need only not be taken: a day has fewer starts.
  next_spare_ = 1;
  while (files_.Exists(PathOf(SpareName(next_spare_)))) ++next_spare_;
  return {};
}

size_t SegmentPool::spares() const {
  std::lock_guard lock(mutex_);
  return spares_.size();
}

Result<std::unique_ptr<File>> SegmentPool::CreateFilled(const std::string& path) {
  auto created = files_.Open(path, OpenMode::kCreate);
  if (!created.ok()) return created;
  std::unique_ptr<File> file = std::move(created.value());
  const std::string zeros(std::min<uint64_t>(kZerosBytes, segment_bytes_), '\0');
  for (uint64_t at = 0; at < segment_bytes_; at += zeros.size()) {
    Status status = file->WriteAt(
        at,
        std::string_view(zeros).substr(0, std::min<uint64_t>(zeros.size(), segment_bytes_ - at)));
    if (!status.ok()) return status;
  }
  Status status = file->Sync();  // its size and places are on disk before anything counts on them
  if (!status.ok()) return status;
  return file;
}

std::string SegmentPool::NewSparePath() {
  std::string path;
  do {
    path = PathOf(SpareName(next_spare_++));
  } while (files_.Exists(path));
  return path;
}

Result<std::unique_ptr<File>> SegmentPool::OpenSpare(const std::string& spare,
                                                     const std::string& as) {
  Status status;
  if (as != spare) status = files_.Rename(spare, as);
  // Else after a crash it could be there under a former name, with what is written to it now.
  bool given;
  {
    std::lock_guard lock(mutex_);
    given = given_;
  }
  if (status.ok() && (given || as != spare)) status = files_.SyncDirectory(directory_);
  if (!status.ok()) return status;
  return files_.Open(as, OpenMode::kReadWrite);
}

Result<std::shared_ptr<File>> SegmentPool::Take(const std::string& path, std::string_view header,
                                                const std::function<Status(File&)>& fill) {
  std::string spare;
  bool is_new = false;
  {
    std::lock_guard lock(mutex_);
    is_new = spares_.empty();
    spare = is_new ? NewSparePath() : spares_.back();
    if (!is_new) spares_.pop_back();
  }
  const std::string as = fill ? PathOf(std::string(kLogTemporaryName)) : spare;
  auto file = is_new ? CreateFilled(as) : OpenSpare(spare, as);
  Status status = file.ok() ? file.value()->WriteAt(0, header) : std::move(file).status();
  if (status.ok()) status = file.value()->Sync();
  if (status.ok() && fill) status = fill(*file.value());
  if (status.ok()) status = files_.Rename(as, path);
  if (!status.ok()) {
    // One that is bad or gone must not be met again; the first error is the one to tell.
    for (const std::string& left : {as, spare})
      if (files_.Exists(left)) static_cast<void>(files_.Remove(left));
    return status;
  }
  status = files_.SyncDirectory(directory_);
  if (!status.ok()) return status;
  {
    std::lock_guard lock(mutex_);
    given_ = false;
  }
  file = files_.Open(path, OpenMode::kReadWrite);  // errors name it so
  if (!file.ok()) return std::move(file).status();
  return std::shared_ptr<File>(std::move(file.value()));
}

Status SegmentPool::Give(const std::string& path, size_t in_use) {
  std::lock_guard lock(mutex_);
  if (!files_.Exists(path)) return {};  // somebody took it away: no reason to keep the others
  auto file = files_.Open(path, OpenMode::kRead);
  if (!file.ok()) return std::move(file).status();
  auto size = file.value()->Size();
  if (!size.ok()) return std::move(size).status();
  if (size.value() != segment_bytes_ || in_use + spares_.size() + 1 > files_max_)
    return files_.Remove(path);
  const std::string spare = NewSparePath();
  Status status = files_.Rename(path, spare);
  if (status.ok()) spares_.push_back(spare);
  given_ |= status.ok();
  return status;
}

Status SegmentPool::Prepare(size_t in_use) {
  std::string path;
  {
    std::lock_guard lock(mutex_);
    if (!spares_.empty() || in_use + 1 > files_max_) return {};
    path = NewSparePath();
  }
  auto file = CreateFilled(path);
  if (!file.ok()) {
    static_cast<void>(
        files_.Remove(path));  // what there is of it; the first error is the one to tell
    return std::move(file).status();
  }
  std::lock_guard lock(mutex_);
  spares_.push_back(path);
  return {};
}

}  // namespace fluxkv::persist
