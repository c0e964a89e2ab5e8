#include "tests/persist/lossy_file_system.h"

#include <algorithm>
#include <optional>
#include <random>

#include "base/check.h"

namespace fluxkv::persist {

namespace {

constexpr size_t kSectorBytes = 512;

void WriteInto(std::string* content, uint64_t offset, std::string_view bytes) {
  const auto end = static_cast<size_t>(offset) + bytes.size();
  if (content->size() < end) content->resize(end);
  content->replace(static_cast<size_t>(offset), bytes.size(), bytes);
}

}  // namespace

class LossyFileSystem::LossyFile : public File {
 public:
  LossyFile(LossyFileSystem& files, std::shared_ptr<Inode> inode, std::string path)
      : files_(files), inode_(std::move(inode)), path_(std::move(path)) {}

  Status WriteAt(uint64_t offset, std::string_view bytes) override {
    std::lock_guard lock(files_.mutex_);
    const std::string* reason = files_.Begin(Operation::kWrite, path_);
    std::string_view done = bytes;
    if (reason != nullptr) done = bytes.substr(0, files_.journal_.size() * 7919 % bytes.size());
    WriteInto(&inode_->bytes, offset, done);
    files_.Note(
        {Operation::kWrite, reason != nullptr, inode_->id, offset, std::string(done), {}, {}});
    if (reason == nullptr) return {};
    return Status::Error(ErrorKind::kIo, "cannot write at " + std::to_string(offset) + " to " +
                                             path_ + ": " + *reason);
  }
  Result<size_t> ReadAt(uint64_t offset, char* out, size_t size) override {
    std::lock_guard lock(files_.mutex_);
    if (offset >= inode_->bytes.size()) return size_t{0};
    return inode_->bytes.copy(out, size, static_cast<size_t>(offset));
  }
  Status Sync() override { return Sync({Operation::kSync, false, inode_->id, 0, {}, {}, {}}); }
  Status WriteThrough(uint64_t offset, std::string_view bytes) override {
    ASSERT(offset % kBlockBytes == 0 && bytes.size() % kBlockBytes == 0);
    ASSERT(reinterpret_cast<uintptr_t>(bytes.data()) % kBlockBytes == 0);
    ASSERT(offset + bytes.size() <= Size().value());
    Status status = WriteAt(offset, bytes);
    if (!status.ok()) return status;
    return Sync({Operation::kSync, false, inode_->id, offset, {}, {}, {}, /*through=*/true});
  }
  Result<uint64_t> Size() override {
    std::lock_guard lock(files_.mutex_);
    return uint64_t{inode_->bytes.size()};
  }
  const std::string& path() const override { return path_; }

 private:
  Status Sync(Entry entry) {
    std::unique_lock lock(files_.mutex_);
    if (const auto hook = files_.on_sync_; hook) {
      lock.unlock();
      hook(path_);
      lock.lock();
    }
    const std::string* reason = files_.Begin(Operation::kSync, path_);
    entry.failed = reason != nullptr;
    files_.Note(std::move(entry));
    return reason == nullptr
               ? Status()
               : Status::Error(ErrorKind::kIo, "cannot sync " + path_ + ": " + *reason);
  }

  LossyFileSystem& files_;
  const std::shared_ptr<Inode> inode_;
  const std::string path_;
};

class LossyFileSystem::LossyLock : public FileLock {
 public:
  LossyLock(LossyFileSystem& files, std::string path) : files_(files), path_(std::move(path)) {}
  ~LossyLock() override {
    std::lock_guard lock(files_.mutex_);
    files_.locked_.erase(path_);
  }

 private:
  LossyFileSystem& files_;
  const std::string path_;
};

// ---- What a program sees

const std::string* LossyFileSystem::Begin(Operation operation, const std::string& path) {
  if (on_operation_) on_operation_(journal_.size(), operation);
  for (auto fault = faults_.begin(); fault != faults_.end(); ++fault) {
    if (fault->operation != operation || path.find(fault->only) == std::string::npos) continue;
    if ((fault->countdown > 0 && --fault->countdown > 0)) continue;
    ++faults_met_;
    reason_ = fault->reason;
    if (fault->once) faults_.erase(fault);
    return &reason_;
  }
  return nullptr;
}

void LossyFileSystem::Note(Entry entry) {
  journal_.push_back(std::move(entry));
}

std::shared_ptr<LossyFileSystem::Inode> LossyFileSystem::Find(const std::string& path) const {
  auto it = names_.find(path);
  return it == names_.end() ? nullptr : it->second;
}

Result<std::unique_ptr<File>> LossyFileSystem::Open(const std::string& path, OpenMode mode) {
  std::lock_guard lock(mutex_);
  std::shared_ptr<Inode> inode = Find(path);
  if (mode == OpenMode::kCreate) {
    const std::string* reason = Begin(Operation::kCreate, path);
    if (reason == nullptr && inode == nullptr) {
      inode = std::make_shared<Inode>(Inode{next_inode_++, {}});
      names_[path] = inode;
    }
    if (reason == nullptr) inode->bytes.clear();
    Note(
        {Operation::kCreate, reason != nullptr, inode == nullptr ? 0 : inode->id, 0, {}, path, {}});
    if (reason != nullptr)
      return Status::Error(ErrorKind::kIo, "cannot create " + path + ": " + *reason);
  }
  if (inode == nullptr)
    return Status::Error(ErrorKind::kIo, "cannot open " + path + ": No such file or directory");
  return std::unique_ptr<File>(std::make_unique<LossyFile>(*this, inode, path));
}

Status LossyFileSystem::Rename(const std::string& from, const std::string& to) {
  std::lock_guard lock(mutex_);
  const std::string* reason = Begin(Operation::kRename, from);
  static const std::string kMissing = "No such file or directory";
  const std::shared_ptr<Inode> inode = Find(from);
  if (reason == nullptr && inode == nullptr) reason = &kMissing;
  if (reason == nullptr) {
    names_.erase(from);
    names_[to] = inode;
  }
  Note({Operation::kRename, reason != nullptr, 0, 0, {}, from, to});
  if (reason == nullptr) return {};
  return Status::Error(ErrorKind::kIo, "cannot rename to " + to + " " + from + ": " + *reason);
}

Status LossyFileSystem::Remove(const std::string& path) {
  std::lock_guard lock(mutex_);
  const std::string* reason = Begin(Operation::kRemove, path);
  static const std::string kMissing = "No such file or directory";
  if (reason == nullptr && names_.erase(path) == 0) reason = &kMissing;
  Note({Operation::kRemove, reason != nullptr, 0, 0, {}, path, {}});
  return reason == nullptr
             ? Status()
             : Status::Error(ErrorKind::kIo, "cannot remove " + path + ": " + *reason);
}

Status LossyFileSystem::SyncDirectory(const std::string& path) {
  std::lock_guard lock(mutex_);
  const std::string* reason = Begin(Operation::kSyncDirectory, path);
  Note({Operation::kSyncDirectory, reason != nullptr, 0, 0, {}, path, {}});
  return reason == nullptr ? Status()
                           : Status::Error(ErrorKind::kIo, "cannot sync " + path + ": " + *reason);
}

Result<std::vector<std::string>> LossyFileSystem::List(const std::string& path) {
  std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, inode] : names_) {
    if (name.starts_with(path + "/")) names.push_back(name.substr(path.size() + 1));
  }
  if (names.empty() && !directories_.contains(path))
    return Status::Error(ErrorKind::kIo, "cannot list " + path + ": No such file or directory");
  return names;
}

bool LossyFileSystem::Exists(const std::string& path) {
  std::lock_guard lock(mutex_);
  return names_.contains(path) || directories_.contains(path);
}

Status LossyFileSystem::CreateDirectory(const std::string& path) {
  std::lock_guard lock(mutex_);
  directories_.insert(path);
  return {};
}

Result<std::unique_ptr<FileLock>> LossyFileSystem::Lock(const std::string& path) {
  std::lock_guard lock(mutex_);
  if (!locked_.insert(path).second)
    return Status::Error(ErrorKind::kLocked,
                         "another process uses this data directory (" + path + " is locked)");
  return std::unique_ptr<FileLock>(std::make_unique<LossyLock>(*this, path));
}

void LossyFileSystem::Fail(Operation operation, uint64_t nth, bool once, std::string reason,
                           std::string only) {
  std::lock_guard lock(mutex_);
  faults_.push_back({operation, nth, once, std::move(reason), std::move(only)});
}

void LossyFileSystem::Recover() {
  std::lock_guard lock(mutex_);
  faults_.clear();
}

uint64_t LossyFileSystem::faults() const {
  std::lock_guard lock(mutex_);
  return faults_met_;
}

uint64_t LossyFileSystem::operations() const {
  std::lock_guard lock(mutex_);
  return journal_.size();
}

void LossyFileSystem::set_on_sync(std::function<void(const std::string& path)> hook) {
  std::lock_guard lock(mutex_);
  on_sync_ = std::move(hook);
}

void LossyFileSystem::set_on_operation(std::function<void(uint64_t, Operation)> hook) {
  std::lock_guard lock(mutex_);
  on_operation_ = std::move(hook);
}

std::string LossyFileSystem::Content(const std::string& path) const {
  std::lock_guard lock(mutex_);
  const std::shared_ptr<Inode> inode = Find(path);
  return inode == nullptr ? std::string() : inode->bytes;
}

void LossyFileSystem::SetContent(const std::string& path, std::string bytes) {
  std::lock_guard lock(mutex_);
  std::shared_ptr<Inode>& inode = names_[path];
  if (inode == nullptr) inode = std::make_shared<Inode>(Inode{next_inode_++, {}});
  inode->bytes = std::move(bytes);
  base_[path] = std::make_shared<Inode>(*inode);
}

void LossyFileSystem::Forget(const std::string& path) {
  std::lock_guard lock(mutex_);
  names_.erase(path);
  base_.erase(path);
}

// ---- What a crash leaves

// Goes through the journal and keeps apart what is on disk and what is not yet.
class LossyFileSystem::Replay {
 public:
  Replay(const LossyFileSystem& files, uint64_t seed, bool keep_all)
      : files_(files), random_(seed), keep_all_(keep_all) {
    for (const auto& [path, inode] : files.base_) {
      disk_names_[path] = inode->id;
      disk_[inode->id].bytes = inode->bytes;
    }
    names_ = disk_names_;
  }

  std::unique_ptr<LossyFileSystem> After(uint64_t operations) {
    for (uint64_t i = 0; i < operations && i < files_.journal_.size(); ++i)
      Step(files_.journal_[static_cast<size_t>(i)]);
    DropNames();
    auto left = std::make_unique<LossyFileSystem>();
    left->directories_ = files_.directories_;
    left->next_inode_ = files_.next_inode_;
    for (const auto& [path, id] : disk_names_) {
      DropWrites(&disk_[id]);
      left->names_[path] = std::make_shared<Inode>(Inode{id, disk_[id].bytes});
      left->base_[path] = std::make_shared<Inode>(*left->names_[path]);
    }
    return left;
  }

 private:
  struct Pending {
    const Entry* entry;  // kWrite, or kCreate: the file was emptied
    bool doomed;         // a failed sync has marked it clean
  };
  struct OnDisk {
    std::string bytes;
    std::vector<Pending> pending;
  };

  bool Draw(unsigned one_in) { return random_() % one_in == 0; }

  void Step(const Entry& e) {
    switch (e.operation) {
      case Operation::kWrite:
        disk_[e.inode].pending.push_back({&e, false});
        break;
      case Operation::kSync:
        SyncFile(e);
        break;
      case Operation::kCreate:
        if (e.failed) break;
        if (auto it = names_.find(e.path); it != names_.end() && it->second == e.inode) {
          disk_[e.inode].pending.push_back({&e, false});
        } else {
          names_[e.path] = e.inode;
          pending_names_.push_back(&e);
        }
        break;
      case Operation::kRename:
      case Operation::kRemove:
        if (e.failed) break;
        ChangeNames(&names_, e);
        pending_names_.push_back(&e);
        break;
      case Operation::kSyncDirectory:
        if (e.failed) break;
        for (const Entry* p : pending_names_) ChangeNames(&disk_names_, *p);
        pending_names_.clear();
        break;
    }
  }

  static void ChangeNames(std::map<std::string, uint64_t>* names, const Entry& e) {
    if (e.operation == Operation::kCreate) {
      (*names)[e.path] = e.inode;
    } else {
      auto it = names->find(e.path);
      if (it == names->end()) return;
      const uint64_t id = it->second;
      names->erase(it);
      if (e.operation == Operation::kRename) (*names)[e.to] = id;
    }
  }

  static void Apply(std::string* bytes, const Entry& e) {
    if (e.operation == Operation::kCreate) return bytes->clear();
    WriteInto(bytes, e.offset, e.bytes);
  }

  void SyncFile(const Entry& e) {
    OnDisk& file = disk_[e.inode];
    if (e.failed) {
      for (Pending& p : file.pending) p.doomed |= !keep_all_ && Draw(2);
      return;
    }
    if (e.through) return SyncThrough(e, &file);
    for (const Pending& p : file.pending) {
      if (!p.doomed) Apply(&file.bytes, *p.entry);
    }
    file.pending.clear();
  }

  static void SyncThrough(const Entry& e, OnDisk* file) {
    auto& pending = file->pending;
    const auto written = std::find_if(pending.rbegin(), pending.rend(), [&](const Pending& p) {
      return p.entry->operation == Operation::kWrite && p.entry->offset == e.offset;
    });
    ASSERT(written != pending.rend());
    const Entry& through = *written->entry;
    pending.erase(std::next(written).base());
    for (const Pending& p : pending) {  // a disk might write it later
      const Entry& other = *p.entry;
      ASSERT(other.operation == Operation::kWrite);
      ASSERT((other.offset + other.bytes.size() <= through.offset ||
              through.offset + through.bytes.size() <= other.offset));
    }
    Apply(&file->bytes, through);
  }

  void DropNames() {
    size_t kept = pending_names_.size();
    if (!keep_all_ && kept > 0 && !Draw(3)) kept = random_() % (kept + 1);
    for (size_t i = 0; i < kept; ++i) ChangeNames(&disk_names_, *pending_names_[i]);
    pending_names_.clear();
  }

  // All, none, up to some point, or any subset; each of the kept ones perhaps torn.
  void DropWrites(OnDisk* file) {
    const unsigned way = keep_all_ ? 0 : static_cast<unsigned>(random_() % 4);
    const size_t until = file->pending.empty() ? 0 : random_() % (file->pending.size() + 1);
    for (size_t i = 0; i < file->pending.size(); ++i) {
      const Pending& p = file->pending[i];
      if (keep_all_) {
        Apply(&file->bytes, *p.entry);
        continue;
      }
      if (p.doomed || way == 1 || (way == 2 && i > until) || (way == 3 && Draw(2))) continue;
      const bool torn = (way == 2 && i == until) || (way == 3 && Draw(4));
      if (!torn || p.entry->bytes.empty()) {
        Apply(&file->bytes, *p.entry);
      } else {
        Tear(&file->bytes, *p.entry);
      }
    }
    file->pending.clear();
  }

  void Tear(std::string* bytes, const Entry& e) {
    size_t cut = random_() % e.bytes.size();
    if (Draw(2)) {  // at a sector of the file
      const auto end = static_cast<size_t>(e.offset) + cut;
      cut = std::max<size_t>(end / kSectorBytes * kSectorBytes, static_cast<size_t>(e.offset)) -
            static_cast<size_t>(e.offset);
    }
    if (Draw(3)) {
      WriteInto(bytes, e.offset + cut, std::string_view(e.bytes).substr(cut));
    } else {
      WriteInto(bytes, e.offset, std::string_view(e.bytes).substr(0, cut));
    }
  }

  const LossyFileSystem& files_;
  std::mt19937_64 random_;
  const bool keep_all_;
  std::map<std::string, uint64_t> names_, disk_names_;
  std::map<uint64_t, OnDisk> disk_;
  std::vector<const Entry*> pending_names_;
};

std::unique_ptr<LossyFileSystem> LossyFileSystem::CrashAfter(uint64_t operations,
                                                             uint64_t seed) const {
  std::lock_guard lock(mutex_);
  return Replay(*this, seed, false).After(operations);
}
std::unique_ptr<LossyFileSystem> LossyFileSystem::KillAfter(uint64_t operations) const {
  std::lock_guard lock(mutex_);
  return Replay(*this, 0, true).After(operations);
}
std::unique_ptr<LossyFileSystem> LossyFileSystem::Crash(uint64_t seed) const {
  return CrashAfter(UINT64_MAX, seed);
}
std::unique_ptr<LossyFileSystem> LossyFileSystem::Kill() const {
  return KillAfter(UINT64_MAX);
}

}  // namespace fluxkv::persist
