#include "persist/log_thread.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/planted.h"

namespace fluxkv::persist {

namespace {

constexpr int64_t kIdleMs = 50;  // between two looks when nobody waits
constexpr int64_t kMendEveryMs = 1000;
// Relaxed mode syncs at the latest when so much is unsynced, whatever the policy says, and lets no
// more writers in when the disk has fallen behind so far.
constexpr uint64_t kUnsyncedBytesMax = 8 << 20;
constexpr uint64_t kUnsyncedBytesFull = 256 << 20;
// Gathering takes at most so much of a sync's time.
constexpr double kGatherShare = 1.5;
constexpr double kGatherUsMax = 1000;
constexpr uint64_t kGatherCommitsMin = 3;
constexpr uint64_t kGatherPause = 8;  // groups that are not waited for after one that did not come
constexpr int64_t kHoldStepNs = 100'000;
constexpr size_t kRecordsBytesKept = 4 << 20;  // a buffer that grew larger is given back
// TryWrite, TrySync: a loop writes no more than this. After a write that took so long TryWrite does
// nothing for a while, since the system makes writers wait; for twice as long when the next one is
// slow too.
constexpr size_t kTryWriteBytesMax = 1 << 20;
constexpr int64_t kSlowWriteUs = 2000;
constexpr int64_t kSlowPauseUsMin = 1'000'000;
constexpr int64_t kSlowPauseUsMax = 30'000'000;
// Loops sync where it takes no more than this on average. One that took a loop longer than
// kSlowWriteUs counts whole, so that the next 14 at least are the log thread's, 50 after 100 ms.
constexpr double kTrySyncUsMax = 500;

// Awake for some ten microseconds at a time, the thread should run as soon as it is woken: all who
// wait for the log wait for it. Linux heeds a wish for short slices from 6.12 on, and before that
// ignores it. The structure is the kernel's (sched_setattr(2)); C libraries differ about it.
void AskForShortSlices() {
  struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns, deadline_ns, period_ns;
  } attributes{};
  // Who gave the process another policy than the ordinary one knows better.
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) != 0 ||
      attributes.policy != SCHED_OTHER)
    return;
  attributes.runtime_ns = 100'000;
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}

void SleepNs(int64_t ns) {
  const timespec time{0, ns};
  ::nanosleep(&time, nullptr);
}

}  // namespace

class LogThread::Syncer {
 public:
  explicit Syncer(engine::CommitLog& log) : log_(log), thread_([this] { Run(); }) {}
  ~Syncer() {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }
  Syncer(const Syncer&) = delete;
  Syncer& operator=(const Syncer&) = delete;

  // Requires: !busy().
  void Begin(SyncJob job) {
    {
      std::lock_guard lock(mutex_);
      job_ = std::move(job);
      busy_ = true;
    }
    wake_.notify_all();
  }
  // Also when a job has ended and nobody has taken that up.
  bool busy() const {
    std::lock_guard lock(mutex_);
    return busy_ || ended_;
  }
  // The job that has ended, with its result and time; nullopt while it runs, or when there was
  // none.
  struct Ended {
    SyncJob job;
    Status status;
    int64_t us;
  };
  std::optional<Ended> TakeEnded() {
    std::lock_guard lock(mutex_);
    return std::exchange(ended_, std::nullopt);
  }
  void WaitUntilIdle() {
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [this] { return !busy_; });
  }

 private:
  void Run() {
    pthread_setname_np(pthread_self(), "log-sync");
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return stop_ || (busy_ && !ended_); });
      if (stop_) return;
      lock.unlock();
      const int64_t begin_us = MonotonicUs();
      Status status = job_.Run();
      const int64_t us = MonotonicUs() - begin_us;
      lock.lock();
      ended_ = Ended{std::move(job_), std::move(status), us};
      busy_ = false;
      idle_.notify_all();
      log_.Wake();
    }
  }

  engine::CommitLog& log_;
  mutable std::mutex mutex_;
  std::condition_variable wake_, idle_;
  SyncJob job_;                 // the syncer's while busy_
  std::optional<Ended> ended_;  // guarded by mutex_
  bool busy_ = false;           // guarded by mutex_
  bool stop_ = false;           // guarded by mutex_
  std::thread thread_;
};

LogThread::LogThread(engine::Store& store, LogWriter& writer, SegmentPool& pool, Logger& log,
                     FlushPolicy policy)
    : store_(store), log_(store.log), writer_(writer), pool_(pool), logger_(log), policy_(policy) {}

LogThread::~LogThread() {
  ASSERT(!running());
}

void LogThread::Start(Mode mode, Stamp after, bool hold) {
  ASSERT(!running() && mode != Mode::kNone && writer_.begun());
  std::lock_guard lock(work_mutex_);
  mode_.store(mode);
  hold_.store(hold);
  stop_.store(false);
  drop_until_ = complete_ = safe_ = after;
  beside_runs_ = false;
  try_again_at_us_ = slow_pause_us_ = 0;
  unsynced_commits_ = gather_target_ = 0;
  synced_at_ms_ = now_ms();
  failure_.clear();
  final_status_ = Status();
  figures_.durable_stamp.store(after);
  log_.SetLoopsMaySync(false);
  if (hold) log_.SetSafe(after);
  syncer_ = std::make_unique<Syncer>(log_);
  running_.store(true);
  try {
    thread_ = std::thread([this] { Run(); });
  } catch (...) {
    running_.store(false);
    syncer_.reset();
    throw;
  }
}

Status LogThread::Stop() {
  if (!running()) return {};
  stop_.store(true);
  log_.Wake();
  thread_.join();
  syncer_.reset();
  running_.store(false);
  log_.SetLoopsMaySync(false);
  if (final_status_.ok()) {
    ReleaseReplies();
  } else {
    log_.SetFailure(final_status_.message());
  }
  return std::move(final_status_);
}

void LogThread::SetMode(Mode mode) {
  mode_.store(mode);
  // Whoever became safe by being written did so before this; and nobody says any more that loops
  // may sync who saw the mode before.
  std::lock_guard barrier(work_mutex_);
  if (mode != Mode::kFull) log_.SetLoopsMaySync(false);
}

void LogThread::ReleaseReplies() {
  ASSERT(!running());
  log_.SetFailure("");
  log_.SetSafe(engine::CommitLog::kEverything);
}

void LogThread::HoldReplies() {
  hold_.store(true);
  while (log_.safe() == engine::CommitLog::kEverything) {
    log_.Wake();
    SleepNs(kHoldStepNs);
  }
}

void LogThread::RaiseSafe(Stamp stamp) {
  safe_ = std::max(safe_, stamp);
  if (hold_.load()) log_.SetSafe(safe_);
}

void LogThread::Run() {
  pthread_setname_np(pthread_self(), "log");
  prctl(PR_SET_TIMERSLACK, 1000);  // ns: gathering waits for microseconds
  AskForShortSlices();
  while (!stop_.load()) {
    log_.WaitForWork(std::chrono::milliseconds(WaitMs()));
    store_.clock.Tick();
    std::lock_guard lock(work_mutex_);
    if (mode() == Mode::kFull) Gather();
    Round();
  }
  std::lock_guard lock(work_mutex_);
  // The last round: recording is off, so nothing comes behind it.
  syncer_->WaitUntilIdle();
  writer_.SetEnding();
  Round();
  if (!failure_.empty()) TryToMend();
  if (failure_.empty() && !writer_.all_synced()) SyncGroup(MonotonicUs());
  if (!failure_.empty()) final_status_ = Status::Error(failure_);
  PublishFigures();
}

int64_t LogThread::WaitMs() const {
  std::lock_guard lock(work_mutex_);
  const int64_t interval_ms = policy_.interval_ms->load();
  if (mode() != Mode::kRelaxed || unsynced_commits_ == 0 || interval_ms <= 0) return kIdleMs;
  return std::clamp<int64_t>(synced_at_ms_ + interval_ms - now_ms(), 1, kIdleMs);
}

// The first half of TryWrite and TrySync: the records are in the writer's hands, and may be written
// where it is. False, and maybe less is done, if not. Requires: work_mutex_.
bool LogThread::TakeToTry(Mode mode) {
  if (!running() || stop_.load() || this->mode() != mode) return false;
  const bool well = failure_.empty() && log_.admission() == engine::CommitLog::Admission::kOpen &&
                    log_.safe() != engine::CommitLog::kEverything;
  if (!well || beside_runs_ || !writer_.all_written()) return false;
  const size_t bytes = log_.BytesQueued(store_);
  if (bytes > kTryWriteBytesMax) return false;
  if (writer_.can_write_here(bytes)) {
    Take();
    unsynced_commits_ += records_.begins.size();
    writer_.Keep(records_);
    if (PLANTED(ACKNOWLEDGE_EARLY)) RaiseSafe(complete_);
    if (writer_.can_write_here(0)) return true;  // or more had been left from the last time
  }
  log_.Wake();
  return false;
}

void LogThread::TryWrite() {
  if (mode() != Mode::kRelaxed) return;
  std::unique_lock lock(work_mutex_, std::try_to_lock);
  if (!lock.owns_lock() || MonotonicUs() < try_again_at_us_) return;
  const bool first = unsynced_commits_ == 0;
  if (!TakeToTry(Mode::kRelaxed)) return;
  const int64_t begin_us = MonotonicUs();
  Status status = writer_.Resume(now_ms());
  if (!status.ok()) return Fail(status);
  NoteTryTook(MonotonicUs() - begin_us);
  RaiseSafe(complete_);
  figures_.unsynced_bytes.store(writer_.unsynced_bytes(), std::memory_order_relaxed);
  // The log thread sleeps as long as it may when nothing is unsynced.
  const bool soon = first && policy_.interval_ms->load(std::memory_order_relaxed) < kIdleMs;
  if (soon || SyncIsDue()) log_.Wake();
}

bool LogThread::TrySync() {
  if (mode() != Mode::kFull || !log_.loops_may_sync()) return false;
  std::unique_lock lock(work_mutex_, std::try_to_lock);
  if (!lock.owns_lock() || !TakeToTry(Mode::kFull)) return false;
  const int64_t begin_us = MonotonicUs();
  const bool planted = PLANTED(TRY_SYNC_WRITES_ONLY);
  Status status = writer_.Resume(now_ms(), planted ? Way::kCached : Way::kThrough);
  if (planted && status.ok()) {
    RaiseSafe(complete_);
    return true;
  }
  status.ok() ? SyncGroup(begin_us) : Fail(status);
  figures_.unsynced_bytes.store(writer_.unsynced_bytes(), std::memory_order_relaxed);
  if (!failure_.empty()) return false;
  if (const int64_t us = MonotonicUs() - begin_us; us > kSlowWriteUs) {
    sync_us_mean_ = std::max(sync_us_mean_, static_cast<double>(us));
    SayWhoMaySync();
  }
  return true;
}

// After a sync that went well.
void LogThread::SayWhoMaySync() {
  log_.SetLoopsMaySync(mode() == Mode::kFull && sync_us_mean_ <= kTrySyncUsMax);
}

void LogThread::NoteTryTook(int64_t us) {
  if (us <= kSlowWriteUs) {
    slow_pause_us_ = 0;
    return;
  }
  slow_pause_us_ = std::clamp(slow_pause_us_ * 2, kSlowPauseUsMin, kSlowPauseUsMax);
  try_again_at_us_ = MonotonicUs() + slow_pause_us_;
}

// Waits for the clients that the last sync has woken, besides those that came during it. When they
// do not come back in time, the next groups are not waited for.
void LogThread::Gather() {
  if (gather_target_ < kGatherCommitsMin) return;
  if (gather_pause_ > 0) {
    --gather_pause_;
    return;
  }
  const double most_us = std::min(sync_us_mean_ * kGatherShare, kGatherUsMax);
  const int64_t until_us = MonotonicUs() + static_cast<int64_t>(most_us);
  while (store_.stamp.load(std::memory_order_relaxed) - complete_ < gather_target_) {
    const int64_t left_us = until_us - MonotonicUs();
    if (left_us <= 0 || stop_.load()) {
      gather_pause_ = kGatherPause;
      return;
    }
    log_.WaitForWork(std::chrono::microseconds(left_us));  // a loop's turn has ended
  }
}

void LogThread::Take() {
  if (records_.bytes.capacity() > kRecordsBytesKept) std::string().swap(records_.bytes);
  // A commit may publish a floor that was old when it did; what was complete stays so (D1).
  complete_ = std::max(complete_, log_.Take(store_, &records_));
  if (drop_until_ != 0) DropCovered();
  figures_.records.fetch_add(records_.begins.size(), std::memory_order_relaxed);
  figures_.bytes.fetch_add(records_.bytes.size(), std::memory_order_relaxed);
  figures_.bytes_behind_snapshot.fetch_add(records_.bytes.size(), std::memory_order_relaxed);
}

// Records up to drop_until_ are in the snapshot that this log stands on.
void LogThread::DropCovered() {
  std::string& bytes = records_.bytes;
  std::vector<size_t>& begins = records_.begins;
  size_t first = 0;
  for (; first < begins.size(); ++first) {
    Stamp stamp;
    std::memcpy(&stamp, bytes.data() + begins[first] + offsetof(engine::RecordHeader, stamp),
                sizeof(stamp));
    if (stamp > drop_until_) break;
  }
  if (first == 0) return;
  const size_t covered = first == begins.size() ? bytes.size() : begins[first];
  bytes.erase(0, covered);
  begins.erase(begins.begin(), begins.begin() + static_cast<ptrdiff_t>(first));
  for (size_t& begin : begins) begin -= covered;
}

void LogThread::Round() {
  if (hold_.load() && log_.safe() == engine::CommitLog::kEverything) log_.SetSafe(safe_);
  FinishBeside();
  TakeUpSnapshot();
  Take();
  unsynced_commits_ += records_.begins.size();
  if (PLANTED(ACKNOWLEDGE_EARLY) && hold_.load()) log_.SetSafe(complete_);
  const int64_t begin_us = MonotonicUs();
  const Mode mode = this->mode();  // what it is during the round
  const Way way = mode == Mode::kFull ? Way::kThrough : Way::kCached;
  Status status = writer_.Append(records_, now_ms(), way);
  if (status.ok() && !writer_.all_written()) status = writer_.Resume(now_ms());
  if (!status.ok()) Fail(status);
  if (!failure_.empty()) {
    if (now_ms() >= mend_at_ms_) TryToMend();
  } else if (mode == Mode::kFull) {
    SyncGroup(begin_us);
  } else if (writer_.wants_clean_segment() && writer_.all_written()) {
    SyncGroup(begin_us);  // once: that segment begins when everything is on disk
    if (failure_.empty()) {
      status = writer_.LeaveNeedy();
      if (!status.ok()) Fail(status);
    }
  } else {
    RaiseSafe(writer_.all_written() ? complete_ : writer_.written_stamp());
    SyncBeside();
  }
  Admit();
  PublishFigures();
}

// What has been written, or went through since then: it is on disk when this returns well.
void LogThread::SyncGroup(int64_t begin_us) {
  if (syncer_->busy()) syncer_->WaitUntilIdle();  // the mode has just changed
  FinishBeside();
  if (!failure_.empty()) return;
  const bool all_written = writer_.all_written();
  if (unsynced_commits_ > 0 || !writer_.all_synced()) {
    // Else what came before was no sync: a copy into the cache, a segment begun.
    if (!writer_.all_synced()) begin_us = MonotonicUs();
    Status status = writer_.Sync();
    if (!status.ok()) return Fail(status);
    // All that take part: those of this group, and those that came while it was synced.
    gather_target_ = unsynced_commits_ + (store_.stamp.load(std::memory_order_relaxed) - complete_);
    SyncedUpTo(writer_.synced_stamp(), std::exchange(unsynced_commits_, 0),
               MonotonicUs() - begin_us);
    SayWhoMaySync();
  }
  const Stamp durable = all_written ? complete_ : writer_.synced_stamp();
  if (durable > figures_.durable_stamp.load()) figures_.durable_stamp.store(durable);
  RaiseSafe(durable);
}

bool LogThread::SyncIsDue() const {
  if (writer_.all_synced()) return false;
  if (sync_wanted_.load(std::memory_order_relaxed)) return true;
  const auto reached = [](const std::atomic<int64_t>* limit, uint64_t now) {
    const int64_t value = limit->load(std::memory_order_relaxed);
    return value > 0 && now >= static_cast<uint64_t>(value);
  };
  const int64_t since_ms = std::max<int64_t>(now_ms() - synced_at_ms_, 0);
  return reached(policy_.interval_ms, static_cast<uint64_t>(since_ms)) ||
         reached(policy_.commits, unsynced_commits_) ||
         reached(policy_.bytes, writer_.unsynced_bytes()) ||
         writer_.unsynced_bytes() >= kUnsyncedBytesMax;
}

void LogThread::SyncBeside() {
  if (writer_.all_synced()) {  // stamps without records are as durable as those with
    if (writer_.all_written()) figures_.durable_stamp.store(complete_);
    return;
  }
  if (syncer_->busy() || !SyncIsDue()) return;
  sync_wanted_.store(false, std::memory_order_relaxed);
  synced_at_ms_ = now_ms();
  beside_complete_ = writer_.all_written() ? complete_ : 0;
  beside_commits_ = std::exchange(unsynced_commits_, 0);
  beside_runs_ = true;
  syncer_->Begin(writer_.BeginSync());
}

void LogThread::FinishBeside() {
  auto ended = syncer_->TakeEnded();
  if (!ended) return;
  beside_runs_ = false;
  if (!ended->status.ok()) {  // whatever else has failed: its files are not trusted any more
    writer_.SetSyncFailed();
    return Fail(ended->status);
  }
  if (!failure_.empty()) return;
  writer_.EndSync(ended->job);
  SyncedUpTo(beside_complete_ != 0 ? beside_complete_ : writer_.synced_stamp(), beside_commits_,
             ended->us);
}

void LogThread::SyncedUpTo(Stamp stamp, uint64_t commits, int64_t us) {
  figures_.syncs.fetch_add(1, std::memory_order_relaxed);
  figures_.synced_commits.fetch_add(commits, std::memory_order_relaxed);
  figures_.last_sync_us.store(us, std::memory_order_relaxed);
  if (stamp > figures_.durable_stamp.load()) figures_.durable_stamp.store(stamp);
  sync_us_mean_ = sync_us_mean_ == 0 ? static_cast<double>(us)
                                     : sync_us_mean_ * 0.9 + static_cast<double>(us) * 0.1;
}

// ---- Room

void LogThread::SnapshotDone(Stamp stamp) {
  Stamp seen = snapshot_done_.load();
  while (seen < stamp && !snapshot_done_.compare_exchange_weak(seen, stamp)) {
  }
  {
    std::lock_guard lock(reason_mutex_);
    snapshot_failure_.clear();
  }
  bytes_begun_.store(0);
  log_.Wake();
}

void LogThread::SnapshotFailed(const std::string& reason) {
  {
    std::lock_guard lock(reason_mutex_);
    snapshot_failure_ = reason;
  }
  figures_.bytes_behind_snapshot.fetch_add(bytes_begun_.exchange(0));
  log_.Wake();
}

void LogThread::TakeUpSnapshot() {
  const Stamp stamp = snapshot_done_.exchange(0);
  if (stamp == 0) return;
  Status status = writer_.SnapshotDone(stamp);
  if (!status.ok()) logger_.Warning("log: {}", status.message());
}

void LogThread::Admit() {
  using Admission = engine::CommitLog::Admission;
  const bool no_room = !writer_.has_room();
  const bool behind =
      writer_.unsynced_bytes() >
      (log_.admission() == Admission::kFull ? kUnsyncedBytesFull / 2 : kUnsyncedBytesFull);
  if (writer_.segments_used() >= std::max<size_t>(2, (pool_.files_max() + 1) / 2) && on_pressure_)
    on_pressure_();
  if (!failure_.empty()) return;
  std::string reason;
  {
    std::lock_guard lock(reason_mutex_);
    reason = snapshot_failure_;
  }
  // Waiting for a snapshot that does not come would be for ever: for writers, and, when even what
  // was let in cannot be written, for those who hold replies.
  if (no_room && !reason.empty()) {
    const Admission refused = writer_.blocked() ? Admission::kFailed : Admission::kRefused;
    if (log_.admission() >= refused) return;
    const std::string why = "the log is full and the snapshot failed: " + reason;
    logger_.Warning("log: {}", why);
    refused == Admission::kFailed ? log_.SetFailure(why) : log_.SetRefused(why);
    return;
  }
  const Admission wanted = no_room || behind ? Admission::kFull : Admission::kOpen;
  if (log_.admission() == wanted) return;
  if (wanted == Admission::kFull) {
    figures_.times_full.fetch_add(1, std::memory_order_relaxed);
    logger_.Notice("log: {}, writers wait",
                   no_room ? "all segments are in use until a snapshot is taken"
                           : "the disk is slower than the writers");
  } else {
    logger_.Notice("log: there is room again, writers go on");
  }
  if (log_.admission() >= Admission::kRefused) log_.SetFailure("");
  log_.SetAdmission(wanted);
}

// ---- Failure

void LogThread::Fail(const Status& status) {
  if (failure_.empty()) {
    figures_.failures.fetch_add(1, std::memory_order_relaxed);
    logger_.Warning("log: {}; writes are refused until it is well again", status.message());
  }
  failure_ = status.message();
  mend_at_ms_ = now_ms() + kMendEveryMs;
  log_.SetLoopsMaySync(false);
  log_.SetFailure(failure_);
}

void LogThread::TryToMend() {
  syncer_->WaitUntilIdle();
  if (auto ended = syncer_->TakeEnded(); ended && !ended->status.ok()) writer_.SetSyncFailed();
  beside_runs_ = false;
  Status status = writer_.Mend(now_ms());
  mend_at_ms_ = now_ms() + kMendEveryMs;
  if (!status.ok()) {
    if (status.message() != failure_) {
      failure_ = status.message();
      log_.SetFailure(failure_);
    }
    return;
  }
  logger_.Notice("log: well again; everything up to stamp {} is on disk, writes are accepted",
                 writer_.synced_stamp());
  failure_.clear();
  unsynced_commits_ = 0;
  synced_at_ms_ = now_ms();
  if (writer_.all_written()) {
    figures_.durable_stamp.store(complete_);
    RaiseSafe(complete_);
  }
  log_.SetFailure("");
}

void LogThread::PublishFigures() {
  figures_.unsynced_bytes.store(writer_.unsynced_bytes(), std::memory_order_relaxed);
  figures_.segments_used.store(writer_.segments_used(), std::memory_order_relaxed);
  figures_.segment_bytes_used.store(writer_.bytes_used(), std::memory_order_relaxed);
}

}  // namespace fluxkv::persist
