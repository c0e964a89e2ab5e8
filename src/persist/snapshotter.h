// Takes snapshots on a thread of its own: walks the store at one stamp in order of key, in slices
// between which it leaves the epoch, and streams what it finds to a file. Nothing forks; what
// overwriters replace meanwhile is kept by the engine until the walk has passed.
//
//   Snapshotter snapshotter(database, files, "data", log_id, logger);
//   snapshotter.Start();
//   auto ticket = snapshotter.Request();          // nullopt: one is being taken
//   snapshotter.Ended(*ticket, &status);          // later
//
// X1. When a snapshot counts as done, its file has its name on disk; only then is on_done called,
//     which lets go of what it covers, and are older snapshots removed.
// X2. At most one snapshot is taken at a time; a request made with `again` while one runs is served
//     by the next one.
//
// Threads: Request, Ended, Wait and the figures from any. Owns: its thread, its engine handle.
// Errors: the last one is kept and shown; a snapshot that fails leaves no file.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/log.h"
#include "base/result.h"
#include "engine/database.h"
#include "persist/file_system.h"
#include "persist/snapshot_file.h"

namespace fluxkv::engine {
class Transaction;
}

namespace fluxkv::persist {

struct SnapshotFigures {
  std::atomic<int64_t> began_at_ms{0};
  std::atomic<int64_t> last_took_ms{-1};
  std::atomic<int64_t> last_done_at_ms{0};  // 1970 based; 0: never
  std::atomic<bool> last_failed{false};
  std::atomic<uint64_t> taken{0};
  std::atomic<uint64_t> failed{0};
  std::atomic<uint64_t> keys_done{0};
  std::atomic<uint64_t> keys_about{0};
  std::atomic<uint64_t> last_bytes{0};
  std::atomic<uint64_t> last_keys{0};
  std::atomic<engine::Stamp> last_stamp{0};
  std::atomic<uint64_t> versions_held_most{0};  // old versions kept during the last one, at most
  std::atomic<uint64_t> rests{0};               // of all, so that loops go first
};

class Snapshotter {
 public:
  struct Hooks {
    std::function<void()> on_begin;              // its stamp has been chosen
    std::function<void(engine::Stamp)> on_done;  // X1
    std::function<void(const std::string&)> on_failed;
    const std::atomic<int64_t>* key_delay_us = nullptr;  // a pause behind each key, for test suites
    const std::atomic<bool>* in_haste = nullptr;         // no rests while it is set
    std::function<void()> on_idle;                       // ten times a second, when idle
  };

  Snapshotter(engine::Database& database, FileSystem& files, std::string directory, uint64_t log_id,
              Clock& clock, Logger& logger, Hooks hooks);
  ~Snapshotter();  // stops
  void Start();
  // Ends the thread; a snapshot that is being taken is given up. May be called twice.
  void Stop();
  Snapshotter(const Snapshotter&) = delete;
  Snapshotter& operator=(const Snapshotter&) = delete;

  // A number for Ended. Nullopt when one is being taken and `again` is false.
  std::optional<uint64_t> Request(bool again = false);
  // True when the request has been served; then its result.
  bool Ended(uint64_t ticket, Status* result);
  Status Wait(uint64_t ticket);
  bool busy() const;  // one is being taken, or has been asked for

  // Writes a snapshot of what `transaction`, a copy (Transaction::BeginCopy), sees, and ends it.
  Result<std::string> Write(engine::Handle& handle, engine::Transaction& transaction);

  // Removes the snapshots before this one.
  Status RemoveOlder(engine::Stamp stamp);
  // No snapshot is written while it is held.
  std::unique_lock<std::mutex> HoldFiles() { return std::unique_lock(write_mutex_); }

  const SnapshotFigures& figures() const { return figures_; }
  SnapshotFigures& figures() { return figures_; }

 private:
  void Run();
  Status Take();
  void ClearProgress();
  Status WriteDatabase(engine::Handle& handle, engine::Transaction& transaction, uint32_t db,
                       SnapshotWriter* writer);
  int64_t key_delay_us() const {
    return hooks_.key_delay_us == nullptr ? 0
                                          : hooks_.key_delay_us->load(std::memory_order_relaxed);
  }
  void Rest();
  void DelayKeys(uint64_t keys) const;

  engine::Database& database_;
  FileSystem& files_;
  const std::string directory_;
  const uint64_t log_id_;
  Clock& clock_;
  Logger& logger_;
  const Hooks hooks_;
  SnapshotFigures figures_;

  std::mutex write_mutex_;  // one file at a time
  mutable std::mutex mutex_;
  std::condition_variable wake_, ended_;
  uint64_t wanted_ = 0, begun_ = 0, served_ = 0;  // guarded by mutex_
  std::string last_error_;                        // guarded by mutex_; of the last one served
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace fluxkv::persist
