// A file system in memory that does what a disk may do to a log, and no less. It keeps a journal of
// every operation that changes something, so that afterwards a test can ask what a crash after any
// of them would have left.
//
//   LossyFileSystem files;
//   ... a program works on it ...
//   auto after = files.CrashAfter(17, seed);   // the power went after the 17th operation
//   auto killed = files.KillAfter(17);         // the process went; the system has all it was given
//
// What a power loss does, drawn by the seed, and why the log must survive it:
//   * a write that no Sync followed is lost, kept, or torn at any byte or at any sector of 512
//     bytes; of several, any subset is kept: disks and page caches write back in any order, so a
//     header may be there without its records, and a record without the one before it;
//   * names (made, renamed, removed) that no SyncDirectory followed are kept up to some point in
//     order and lost from there on, as journaling file systems do: a snapshot may have its old
//     name, a recycled segment its former one;
//   * what was written between the last good Sync and one that failed is lost at random although
//     later ones go well, for the system has marked it clean (Linux reports an error once).
// A WriteThrough is a write and a sync of it alone; what else is unsynced stays so. That its
// requirements hold is checked.
// Faults: the n-th operation of a kind fails, once or until Recover; a write that fails has written
// any part of its bytes.
//
// Threads: any, one mutex; CrashAfter and KillAfter when nobody works on it, or of what was done
// before. Owns: all bytes and the journal. Errors: as the real one words them.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "persist/file_system.h"

namespace fluxkv::persist {

enum class Operation : uint8_t { kWrite, kSync, kCreate, kRename, kRemove, kSyncDirectory };

class LossyFileSystem : public FileSystem {
 public:
  LossyFileSystem() = default;
  LossyFileSystem(const LossyFileSystem&) = delete;
  LossyFileSystem& operator=(const LossyFileSystem&) = delete;

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Remove(const std::string& path) override;
  Status SyncDirectory(const std::string& path) override;
  Result<std::vector<std::string>> List(const std::string& path) override;
  bool Exists(const std::string& path) override;
  Status CreateDirectory(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override;

  // ---- Crashes
  // Operations so far, failed ones included.
  uint64_t operations() const;
  // Called before each operation takes effect, with how many there were before it, by who does it.
  // Not for calls back into this file system.
  void set_on_operation(std::function<void(uint64_t, Operation)> hook);
  // Called before each Sync, outside of the mutex, so it may wait.
  void set_on_sync(std::function<void(const std::string& path)> hook);
  // What is found after the power went when so many operations had been done.
  std::unique_ptr<LossyFileSystem> CrashAfter(uint64_t operations, uint64_t seed) const;
  // What is found after the process was killed then.
  std::unique_ptr<LossyFileSystem> KillAfter(uint64_t operations) const;
  std::unique_ptr<LossyFileSystem> Crash(uint64_t seed) const;
  std::unique_ptr<LossyFileSystem> Kill() const;

  // ---- Faults
  // The n-th operation of this kind from now on fails (1: the next one), and those after it too
  // unless `once`. Only those on paths that contain `only` count.
  void Fail(Operation operation, uint64_t nth, bool once, std::string reason,
            std::string only = {});
  // No fault from now on.
  void Recover();
  uint64_t faults() const;  // that were met

  // ---- For tests that damage files: the bytes as they are now; not counted as an operation.
  std::string Content(const std::string& path) const;
  void SetContent(const std::string& path, std::string bytes);
  void Forget(const std::string& path);  // as if it had never been there

 private:
  struct Inode {
    uint64_t id;
    std::string bytes;
  };
  struct Entry {
    Operation operation;
    bool failed;
    uint64_t inode;  // kWrite, kSync, kCreate
    uint64_t offset;
    std::string bytes;
    std::string path, to;
    bool through = false;  // kSync: of what was written last at `offset` alone
  };
  struct Fault {
    Operation operation;
    uint64_t countdown;
    bool once;
    std::string reason, only;
  };
  class LossyFile;
  class LossyLock;
  class Replay;
  friend class Replay;

  // The reason if the operation is to fail now. Requires: mutex_.
  const std::string* Begin(Operation operation, const std::string& path);
  void Note(Entry entry);
  std::shared_ptr<Inode> Find(const std::string& path) const;

  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Inode>> names_;
  std::set<std::string> directories_;
  std::set<std::string> locked_;
  uint64_t next_inode_ = 1;
  std::map<std::string, std::shared_ptr<Inode>> base_;  // copies, as they were at the beginning
  std::deque<Entry> journal_;
  std::deque<Fault> faults_;
  std::string reason_;
  uint64_t faults_met_ = 0;
  std::function<void(uint64_t, Operation)> on_operation_;
  std::function<void(const std::string&)> on_sync_;
};

}  // namespace fluxkv::persist
