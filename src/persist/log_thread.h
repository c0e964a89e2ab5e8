// The log thread: takes what commits left (engine/commit_log.h), writes it, has it synced, and says
// up to which stamp replies may be sent.
//
//   relaxed   a reply is safe when its record has been handed to the system; a second thread, the
//             syncer, syncs now and then, so that a slow disk keeps no reply waiting. While nothing
//             is being synced, a loop that has commits to record does the log thread's work at the
//             end of its turn (TryWrite): that is a copy into the system's cache, and costs less
//             than to wake two threads
//   full      a reply is safe when its record is on disk; the log thread syncs each group itself.
//             Where a sync is fast, a loop all of whose clients wait for it does that in the log
//             thread's place (TrySync): it has nothing else to do, and two threads need not be
//             woken one after the other
//
// A group in full mode is whoever came while the last one was synced. The clients that a sync wakes
// come back a little later than it takes to begin the next one; so after a large group the thread
// gathers: it waits for them, about as long as a sync takes at most, or they would split into two
// groups that wait for each other.
//
// L1. safe() rises to S only after every record up to S was written (relaxed) or synced (full).
// L2. After a failed write or sync safe() stands still until the tail is on disk in a new segment.
// L3. When no segment is left, or much is written that the disk has not taken, writers are not
//     admitted; what was admitted before is kept in memory and written when there is room.
// L4. TryWrite waits for no mutex and no sync of the log: it only tries the mutex, does nothing
//     while a sync runs, and begins no segment. What it may wait for is another thread that appends
//     a record, and a system that makes writers wait; after a slow write it leaves the work to the
//     log thread for a while, and for longer each time.
// L5. TrySync differs in that it syncs what it wrote, and so waits for the disk, but only while
//     syncs take half a millisecond at most on average: after a slow one the log thread does them
//     until they have been fast for a while. Nothing bounds that one: the caller waits for it.
//
// Threads: Start, Stop, ReleaseReplies by one that owns it; TryWrite, TrySync, SnapshotDone,
// SnapshotFailed and the figures by any. Owns: writer and pool while it runs.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/log.h"
#include "engine/store.h"
#include "persist/log_writer.h"

namespace fluxkv::persist {

enum class Mode : uint8_t { kNone, kRelaxed, kFull };

// When relaxed mode syncs: at the first of them; 0 switches one off. Read while running.
struct FlushPolicy {
  const std::atomic<int64_t>* interval_ms = nullptr;
  const std::atomic<int64_t>* commits = nullptr;
  const std::atomic<int64_t>* bytes = nullptr;
};

// Relaxed figures.
struct LogFigures {
  std::atomic<uint64_t> records{0};                // written
  std::atomic<uint64_t> bytes{0};                  // written
  std::atomic<uint64_t> bytes_behind_snapshot{0};  // written since the last snapshot began
  std::atomic<uint64_t> syncs{0};
  std::atomic<uint64_t> synced_commits{0};
  std::atomic<int64_t> last_sync_us{0};
  std::atomic<uint64_t> unsynced_bytes{0};  // kept in memory
  std::atomic<uint64_t> segments_used{0};
  std::atomic<uint64_t> segment_bytes_used{0};
  std::atomic<uint64_t> failures{0};
  std::atomic<uint64_t> times_full{0};  // that writers had to wait for room
  std::atomic<Stamp> durable_stamp{0};  // on disk
};

class LogThread {
 public:
  LogThread(engine::Store& store, LogWriter& writer, SegmentPool& pool, Logger& log,
            FlushPolicy policy);
  ~LogThread();  // Requires: stopped
  LogThread(const LogThread&) = delete;
  LogThread& operator=(const LogThread&) = delete;

  // Called by the log thread when the log wants a snapshot to make room.
  void set_on_pressure(std::function<void()> on_pressure) { on_pressure_ = std::move(on_pressure); }

  // Requires: the writer has begun, and recording is on. Records up to `after` are dropped, and
  // replies are not held, until HoldReplies if `hold` is false.
  void Start(Mode mode, Stamp after, bool hold);
  // Returns when replies are held from here on. Requires: running.
  void HoldReplies();
  // Ends the threads. Requires: recording is off. An error when not everything could be synced;
  // then what is not safe stays so, and the log failed, until ReleaseReplies.
  Status Stop();
  // Everything may be answered. Requires: not running.
  void ReleaseReplies();
  // Relaxed mode syncs soon, whatever the policy says. From any thread.
  void RequestSync() {
    sync_wanted_.store(true, std::memory_order_relaxed);
    log_.Wake();
  }
  // Relaxed mode: what is queued is written by the caller, and may be safe then. Does nothing
  // where it would have to wait (L4), or has too much to do; the log thread comes to it then.
  void TryWrite();
  // Full mode: what is queued is written and synced by the caller, who waits for the disk. False
  // where somebody does the log's work already, there would be more to do than that, or it takes
  // too long (L5; engine::CommitLog::loops_may_sync), and when it failed: the log thread comes to
  // it when it is woken.
  bool TrySync();
  bool running() const { return running_.load(); }
  // When it returns from a change to full, nothing becomes safe by being written alone.
  void SetMode(Mode mode);
  Mode mode() const { return mode_.load(); }

  // A snapshot with this stamp is on disk; taken up in the next round.
  void SnapshotDone(Stamp stamp);
  void SnapshotFailed(const std::string& reason);
  // Bytes written from here on count as behind the snapshot.
  void SnapshotBegins() { bytes_begun_.store(figures_.bytes_behind_snapshot.exchange(0)); }

  const LogFigures& figures() const { return figures_; }

 private:
  // Runs one SyncJob at a time beside the log thread.
  class Syncer;

  void Run();
  int64_t WaitMs() const;
  bool TakeToTry(Mode mode);
  void NoteTryTook(int64_t us);
  void SayWhoMaySync();
  void Round();
  void Gather();
  void Take();
  void DropCovered();
  void RaiseSafe(Stamp stamp);
  void SyncGroup(int64_t begin_us);
  void SyncBeside();
  void FinishBeside();
  bool SyncIsDue() const;
  void SyncedUpTo(Stamp stamp, uint64_t commits, int64_t us);
  void TakeUpSnapshot();
  void Admit();
  void Fail(const Status& status);
  void TryToMend();
  void PublishFigures();
  int64_t now_ms() const { return store_.clock.now_ms(); }

  engine::Store& store_;
  engine::CommitLog& log_;
  LogWriter& writer_;
  SegmentPool& pool_;
  Logger& logger_;
  const FlushPolicy policy_;
  std::function<void()> on_pressure_;
  std::unique_ptr<Syncer> syncer_;

  std::atomic<Mode> mode_{Mode::kNone};
  std::atomic<bool> running_{false};
  std::atomic<bool> stop_{false};
  std::atomic<bool> sync_wanted_{false};
  std::atomic<bool> hold_{true};
  std::atomic<Stamp> snapshot_done_{0};
  std::atomic<uint64_t> bytes_begun_{0};  // behind the last snapshot when the one that runs began
  std::mutex reason_mutex_;
  std::string snapshot_failure_;  // guarded by reason_mutex_

  // Whoever does the log's work holds it: the log thread while it is awake or gathers, a TryWrite
  // or TrySync.
  mutable std::mutex work_mutex_;
  // Guarded by work_mutex_, as the writer is.
  engine::LogRecords records_;  // what was taken last
  Stamp drop_until_ = 0;
  Stamp complete_ = 0;         // every record up to it has been taken
  Stamp safe_ = 0;             // as L1, whether replies are held or not
  Stamp beside_complete_ = 0;  // complete_ when the job that runs beside began; 0: not all written
  uint64_t beside_commits_ = 0;
  bool beside_runs_ = false;
  int64_t try_again_at_us_ = 0;  // after a TryWrite that took long
  int64_t slow_pause_us_ = 0;    // the last such pause; 0: the last one was fast
  uint64_t unsynced_commits_ = 0;
  uint64_t gather_target_ = 0;  // commits to wait for
  uint64_t gather_pause_ = 0;   // groups that are not waited for
  int64_t synced_at_ms_ = 0;
  int64_t mend_at_ms_ = 0;
  std::string failure_;  // empty: well
  bool full_logged_ = false;
  double sync_us_mean_ = 0;
  Status final_status_;

  LogFigures figures_;
  std::thread thread_;
};

}  // namespace fluxkv::persist
