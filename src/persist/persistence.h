// Durability as a whole: a data directory with its lock, recovery at the start, the log thread, the
// snapshotter, and the change of mode while running.
//
//   auto opened = Persistence::Open(files, options, database, values, clock, logger);
//   Status status = opened.value()->Load();     // minutes perhaps; the database is empty meanwhile
//   status = opened.value()->Start();
//   ...
//   status = opened.value()->Stop(/*save=*/false);
//
// The directory has at any time a snapshot (or none, at the beginning) and the log from there on,
// so that a start finds every commit that was safe. In mode none nothing is recorded; save points
// and SAVE still take snapshots, and a start loads what is there.
//
// From none to relaxed or full: records are queued from then on, the log begins a segment that says
// that commits up to now were not recorded (SegmentHeader::needs_snapshot), a snapshot is taken,
// and when that is on disk the mode's promise begins.
//
// Threads: Open, Load, Start and Stop by the main thread; the rest by any.
// Owns:    the lock, threads, files.
// Errors:  one line for a person.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "engine/database.h"
#include "engine/log_record.h"
#include "persist/file_system.h"
#include "persist/log_thread.h"
#include "persist/log_writer.h"
#include "persist/recovery.h"
#include "persist/segment_pool.h"
#include "persist/snapshotter.h"

namespace fluxkv::persist {

// A snapshot is taken when so many seconds have passed and so many commits came since the last one.
struct SavePoint {
  int64_t seconds;
  int64_t changes;
};

struct Options {
  std::string directory;  // made if it is missing and something is to be written
  Mode mode = Mode::kRelaxed;
  uint64_t segment_bytes = 16 << 20;
  size_t segments = 64;
  FlushPolicy flush;
  const std::atomic<int64_t>* snapshot_after_bytes = nullptr;  // of log; 0: off
  const std::atomic<int64_t>* snapshot_interval_s = nullptr;   // 0: off
  const std::atomic<int64_t>* snapshot_key_delay_us = nullptr;
  std::function<std::vector<SavePoint>()> save_points;
};

class Persistence {
 public:
  // Makes and locks the directory if the mode or what is in it asks for that.
  static Result<std::unique_ptr<Persistence>> Open(FileSystem& files, Options options,
                                                   engine::Database& database,
                                                   const engine::ValueLoader& values, Clock& clock,
                                                   Logger& logger);
  ~Persistence();
  Persistence(const Persistence&) = delete;
  Persistence& operator=(const Persistence&) = delete;

  // Requires: nobody has written to the database.
  Status Load();
  bool loading() const { return loading_.load(std::memory_order_acquire); }
  const RecoveryProgress& progress() const { return progress_; }
  int64_t loading_since_ms() const { return loading_since_ms_.load(); }
  Status Start();
  // Everything recorded is on disk afterwards; takes a last snapshot if `save` and it is worth one.
  // Requires: no handle commits any more.
  Status Stop(bool save);

  Mode mode() const;
  // The mode and its promise. Waits for a snapshot when it leaves kNone: not for a loop.
  Status SetMode(Mode mode);
  // Whether the promise of a mode that was switched on is not in force yet.
  bool switching() const { return switching_.load(); }

  // As Snapshotter::Request; an error when there is no directory.
  Result<std::optional<uint64_t>> RequestSnapshot(bool again);
  bool SnapshotEnded(uint64_t ticket, Status* result) {
    return snapshotter_->Ended(ticket, result);
  }
  bool snapshot_busy() const { return snapshotter_ != nullptr && snapshotter_->busy(); }

  // For tests (DEBUG RELOAD, DEBUG LOADAOF): the data goes through files and back, while everything
  // is latched. Not for a loop's thread, and not from inside an epoch.
  Status ReloadSnapshot();
  Status ReloadLog();

  engine::Stamp durable_stamp() const;
  void RequestSync() {
    if (log_thread_->running()) log_thread_->RequestSync();
  }
  // As LogThread::TryWrite.
  void WriteLog() { log_thread_->TryWrite(); }
  // As LogThread::TrySync.
  bool SyncLog() { return log_thread_->TrySync(); }
  // Commits since the last snapshot.
  uint64_t changes_since_snapshot() const;
  const LogFigures& log_figures() const { return log_thread_->figures(); }
  const SnapshotFigures& snapshot_figures() const { return snapshotter_->figures(); }
  const Recovered& recovered() const { return recovered_; }
  uint64_t expired_at_load() const { return expired_at_load_; }
  const std::string& directory() const { return options_.directory; }
  size_t segments_max() const { return pool_->files_max(); }
  size_t segments_spare() const { return pool_->spares(); }

 private:
  Persistence(FileSystem& files, Options options, engine::Database& database,
              const engine::ValueLoader& values, Clock& clock, Logger& logger);

  Status OpenDirectory();
  Status EnsureDirectory();
  Status LoadInto(engine::Handle& handle);
  Status TidyDirectory();
  Status BeginLog(LogEnd end, engine::Stamp after, bool hold, Mode mode);
  Status SwitchOn(Mode mode);
  Status SwitchOff();
  bool WaitFor(const std::function<bool()>& reached) const;
  Status RefuseForeignFiles();
  // Or until the log has failed.
  void WaitUntilSafe(engine::Stamp stamp);
  void OnIdle();
  void OnSnapshotDone(engine::Stamp stamp);
  bool SnapshotIsDue();

  FileSystem& files_;
  Options options_;
  engine::Database& database_;
  const engine::ValueLoader& values_;
  Clock& clock_;
  Logger& logger_;

  std::unique_ptr<FileLock> lock_;
  uint64_t log_id_ = 0;
  std::atomic<bool> has_directory_{false};
  std::atomic<bool> loading_{false};
  std::atomic<int64_t> loading_since_ms_{0};
  RecoveryProgress progress_;
  Recovered recovered_;
  uint64_t expired_at_load_ = 0;

  std::unique_ptr<SegmentPool> pool_;
  std::unique_ptr<LogWriter> writer_;
  std::unique_ptr<LogThread> log_thread_;
  std::unique_ptr<Snapshotter> snapshotter_;

  std::mutex directory_mutex_;  // of EnsureDirectory
  std::mutex switch_mutex_;     // SetMode, Stop and snapshots without a log thread
  std::atomic<bool> switching_{false};
  std::atomic<bool> want_room_{false};  // the log is short of segments
  std::atomic<engine::Stamp> last_snapshot_stamp_{0};
  std::atomic<int64_t> last_try_ms_{0};
};

}  // namespace fluxkv::persist
