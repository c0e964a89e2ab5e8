#include "persist/persistence.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include <sys/random.h>

#include "base/check.h"
#include "engine/handle.h"
#include "engine/loader.h"
#include "engine/store.h"
#include "engine/transaction.h"

namespace fluxkv::persist {

namespace {

// Commits that leave no record (deadlines) may have had stamps above the newest one that is found
// again; each of them ended a version that has a record, and there are never so many of those.
constexpr engine::Stamp kStampsSkipped = engine::Stamp{1} << 32;
constexpr int kReloadTries = 5;
constexpr int64_t kRetryFailedMs = 5000;  // before a snapshot that failed is tried again

uint64_t DrawLogId() {
  uint64_t id = 0;
  ASSERT(getrandom(&id, sizeof(id), 0) == sizeof(id));
  return id;
}

// The directory that has this one's name.
std::string ParentOf(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string Age(int64_t ms) {
  const int64_t s = std::max<int64_t>(ms, 0) / 1000;
  if (s < 120) return std::to_string(s) + " seconds";
  if (s < 7200) return std::to_string(s / 60) + " minutes";
  if (s < 2 * 86400) return std::to_string(s / 3600) + " hours";
  return std::to_string(s / 86400) + " days";
}

}  // namespace

Persistence::Persistence(FileSystem& files, Options options, engine::Database& database,
                         const engine::ValueLoader& values, Clock& clock, Logger& logger)
    : files_(files),
      options_(std::move(options)),
      database_(database),
      values_(values),
      clock_(clock),
      logger_(logger) {}

Persistence::~Persistence() {
  if (snapshotter_ != nullptr) snapshotter_->Stop();
  if (log_thread_ != nullptr && log_thread_->running()) {
    database_.store().log.SetRecording(false);
    Status status = log_thread_->Stop();
    if (!status.ok()) logger_.Warning("log: {}", status.message());
  }
}

Result<std::unique_ptr<Persistence>> Persistence::Open(FileSystem& files, Options options,
                                                       engine::Database& database,
                                                       const engine::ValueLoader& values,
                                                       Clock& clock, Logger& logger) {
  std::unique_ptr<Persistence> persistence(
      new Persistence(files, std::move(options), database, values, clock, logger));
  // In memory only, and nothing there: no file is touched.
  if (persistence->options_.mode != Mode::kNone || files.Exists(persistence->options_.directory)) {
    Status status = persistence->OpenDirectory();
    if (!status.ok()) return status;
    persistence->has_directory_.store(true);
  }
  persistence->loading_.store(true);
  persistence->loading_since_ms_.store(clock.Tick());
  return persistence;
}

Status Persistence::OpenDirectory() {
  const std::string name = options_.directory + "/" + std::string(kLockName);
  const bool made = !files_.Exists(options_.directory);
  Status status = files_.CreateDirectory(options_.directory);
  if (!status.ok()) return status;
  // Its own name is on disk before anything in it counts, and that is so if there is a lock: this
  // comes first. Of a directory that somebody else made we may not be let into the parent.
  if (!files_.Exists(name)) {
    status = files_.SyncDirectory(ParentOf(options_.directory));
    if (!status.ok() && made) return status;
  }
  auto lock = files_.Lock(name);
  if (!lock.ok()) return std::move(lock).status();
  lock_ = std::move(lock.value());
  return {};
}

// For one that has done without so far. It has a mutex of its own: whoever holds switch_mutex_ may
// wait for the snapshot thread, which comes here too.
Status Persistence::EnsureDirectory() {
  std::lock_guard lock(directory_mutex_);
  if (has_directory_.load()) return {};
  Status status = OpenDirectory();
  if (status.ok()) status = RefuseForeignFiles();
  if (status.ok()) status = TidyDirectory();
  if (status.ok()) {
    has_directory_.store(true);
  } else {
    lock_.reset();
  }
  return status;
}

// Data that came into the directory after the start was not loaded, and would be overwritten.
Status Persistence::RefuseForeignFiles() {
  auto names = files_.List(options_.directory);
  if (!names.ok()) return std::move(names).status();
  for (const std::string& name : names.value()) {
    if (SegmentNumber(name) || SnapshotStamp(name))
      return Status::Error(options_.directory + "/" + name +
                           " was not there when the server started; a restart loads it");
  }
  return {};
}

Status Persistence::Load() {
  Status status;
  std::unique_ptr<engine::Handle> handle = database_.Attach();
  if (has_directory_) status = LoadInto(*handle);
  if (!status.ok()) return status;
  log_id_ = recovered_.log_id.value_or(DrawLogId());
  pool_ = std::make_unique<SegmentPool>(files_, options_.directory, options_.segment_bytes,
                                        options_.segments);
  writer_ = std::make_unique<LogWriter>(files_, *pool_, options_.directory, log_id_);
  log_thread_ =
      std::make_unique<LogThread>(database_.store(), *writer_, *pool_, logger_, options_.flush);
  log_thread_->set_on_pressure([this] { want_room_.store(true); });
  last_snapshot_stamp_.store(recovered_.snapshot_stamp);
  return has_directory_ ? TidyDirectory() : Status();
}

Status Persistence::LoadInto(engine::Handle& handle) {
  const int64_t begin_ms = clock_.Tick();
  engine::Handle::Scope in_epoch(handle);
  engine::Loader loader(database_, handle, values_);
  auto recovered = Recover(files_, options_.directory, loader, &progress_);
  if (!recovered.ok()) return std::move(recovered).status();
  recovered_ = std::move(recovered.value());
  if (!recovered_.log_id) return {};
  database_.store().stamp.store(recovered_.stamp + kStampsSkipped);
  const uint64_t loaded = loader.keys();
  loader.Install(std::max(clock_.Tick(), recovered_.newest_time_ms));
  expired_at_load_ = loader.expired_keys();
  if (recovered_.snapshot)
    logger_.Notice("loaded {} keys from {}, taken {} ago", recovered_.snapshot_keys,
                   *recovered_.snapshot, Age(begin_ms - recovered_.snapshot_time_ms));
  if (recovered_.log_records > 0)
    logger_.Notice("applied {} records of the log, up to stamp {}", recovered_.log_records,
                   recovered_.end.last_stamp);
  if (recovered_.torn)
    logger_.Warning(
        "{} at {}: the log ends in the middle of a record, which was never on disk "
        "whole; it is cut there",
        recovered_.torn->path, recovered_.torn->offset);
  logger_.Notice("{} keys in memory ({} past their deadline left out), after {} ms",
                 loaded - expired_at_load_, expired_at_load_, clock_.Tick() - begin_ms);
  return {};
}

// Files that belong to no state that can be loaded.
Status Persistence::TidyDirectory() {
  Status status = pool_->FindSpares();
  const std::string temporary = options_.directory + "/" + std::string(kSnapshotTemporaryName);
  if (status.ok() && files_.Exists(temporary)) status = files_.Remove(temporary);
  for (const std::string& path : recovered_.older_snapshots) {
    if (status.ok()) status = files_.Remove(path);
  }
  for (const std::string& path : recovered_.useless_segments) {
    if (status.ok()) status = files_.Remove(path);  // W6 of log_writer.h
  }
  // Gone for good before a segment with the same number is begun.
  if (status.ok()) status = files_.SyncDirectory(options_.directory);
  return status;
}

Status Persistence::Start() {
  snapshotter_ = std::make_unique<Snapshotter>(
      database_, files_, options_.directory, log_id_, clock_, logger_,
      Snapshotter::Hooks{
          .on_begin = [this] { log_thread_->SnapshotBegins(); },
          .on_done = [this](engine::Stamp stamp) { OnSnapshotDone(stamp); },
          .on_failed = [this](const std::string& why) { log_thread_->SnapshotFailed(why); },
          .key_delay_us = options_.snapshot_key_delay_us,
          .in_haste = &want_room_,
          .on_idle = [this] { OnIdle(); }});
  snapshotter_->figures().last_done_at_ms.store(recovered_.snapshot ? recovered_.snapshot_time_ms
                                                                    : clock_.now_ms());
  snapshotter_->figures().last_stamp.store(recovered_.snapshot_stamp);
  snapshotter_->figures().last_bytes.store(recovered_.snapshot_bytes);
  Status status;
  snapshotter_->Start();
  LogEnd end = recovered_.end;
  end.last_stamp = std::max(end.last_stamp, recovered_.stamp);
  if (options_.mode == Mode::kNone) {
    writer_->Adopt(std::move(end));
  } else {
    status = BeginLog(std::move(end), database_.store().stamp.load(), /*hold=*/true, options_.mode);
    if (status.ok()) database_.store().log.SetRecording(true);
  }
  loading_.store(false, std::memory_order_release);
  return status;
}

Status Persistence::BeginLog(LogEnd end, engine::Stamp after, bool hold, Mode mode) {
  Status status = writer_->Begin(std::move(end), clock_.Tick());
  if (!status.ok()) return status;
  log_thread_->Start(mode, after, hold);
  return {};
}

Status Persistence::Stop(bool save) {
  std::lock_guard lock(switch_mutex_);
  Status status;
  if (save && has_directory_ && snapshotter_ != nullptr &&
      last_snapshot_stamp_.load() < database_.store().stamp.load()) {
    auto ticket = snapshotter_->Request(/*again=*/true);
    status = snapshotter_->Wait(*ticket);
  }
  if (snapshotter_ != nullptr) snapshotter_->Stop();
  if (log_thread_ != nullptr && log_thread_->running()) {
    database_.store().log.SetRecording(false);
    Status stopped = log_thread_->Stop();
    if (status.ok()) status = std::move(stopped);
    writer_->Stop();
  }
  return status;
}

// ---- Modes

Mode Persistence::mode() const {
  return log_thread_ != nullptr && log_thread_->running() ? log_thread_->mode() : Mode::kNone;
}

Status Persistence::SetMode(Mode mode) {
  std::lock_guard lock(switch_mutex_);
  const Mode before = this->mode();
  if (mode == before) return {};
  if (mode == Mode::kNone) return SwitchOff();
  if (before == Mode::kNone) return SwitchOn(mode);
  log_thread_->SetMode(mode);
  database_.store().log.Wake();
  if (mode != Mode::kFull) return {};
  // What was acknowledged as written is on disk before the mode counts as in force (D4).
  const engine::Stamp now = database_.store().stamp.load();
  if (WaitFor([&] { return log_thread_->figures().durable_stamp.load() >= now; })) return {};
  return Status::Error(database_.store().log.failure());
}

// False when the log has failed before.
bool Persistence::WaitFor(const std::function<bool()>& reached) const {
  const engine::CommitLog& log = database_.store().log;
  while (!reached()) {
    if (log.admission() == engine::CommitLog::Admission::kFailed) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

Status Persistence::SwitchOn(Mode mode) {
  engine::Store& store = database_.store();
  Status opened = EnsureDirectory();
  if (!opened.ok()) return opened;
  switching_.store(true);
  store.log.SetRecording(true);
  store.WaitInFlight();
  // From here on every commit is recorded.
  const engine::Stamp gap = store.stamp.load();
  LogEnd end = writer_->end();
  end.last_stamp = gap;
  end.needs_snapshot = gap;
  Status status = BeginLog(std::move(end), gap, /*hold=*/false, mode);
  if (status.ok()) {
    auto ticket = snapshotter_->Request(/*again=*/true);
    status = snapshotter_->Wait(*ticket);
    // One that had begun before the log may have served the request.
    if (status.ok() && last_snapshot_stamp_.load() < gap)
      status = snapshotter_->Wait(*snapshotter_->Request(/*again=*/true));
  }
  if (status.ok()) {
    log_thread_->HoldReplies();
    store.log.Wake();
    // Nobody answers from what is not safe any more (D4).
    const engine::Stamp now = store.stamp.load();
    if (!WaitFor([&] {
          return store.log.safe() != engine::CommitLog::kEverything && store.log.IsSafe(now);
        }))
      status = Status::Error(store.log.failure());
  } else {
    store.log.SetRecording(false);
    store.WaitInFlight();
    static_cast<void>(log_thread_->Stop());  // the first error is the one to tell
    log_thread_->ReleaseReplies();
    writer_->Stop();
  }
  switching_.store(false);
  return status;
}

void Persistence::WaitUntilSafe(engine::Stamp stamp) {
  engine::CommitLog& log = database_.store().log;
  while (!log.IsSafe(stamp) && log.admission() != engine::CommitLog::Admission::kFailed) {
    log.Wake();
    const struct timespec pause { 0, 1'000'000 };
    ::nanosleep(&pause, nullptr);
  }
}

Status Persistence::SwitchOff() {
  database_.store().log.SetRecording(false);
  database_.store().WaitInFlight();
  Status status = log_thread_->Stop();
  log_thread_->ReleaseReplies();
  writer_->Stop();
  logger_.Notice("durability none: the log has ended at stamp {}; what comes now is in memory only",
                 writer_->synced_stamp());
  return status;
}

// ---- Snapshots

Result<std::optional<uint64_t>> Persistence::RequestSnapshot(bool again) {
  Status opened = EnsureDirectory();
  if (!opened.ok()) return opened;
  return snapshotter_->Request(again);
}

void Persistence::OnSnapshotDone(engine::Stamp stamp) {
  last_snapshot_stamp_.store(stamp);
  want_room_.store(false);
  if (log_thread_->running()) {
    log_thread_->SnapshotDone(stamp);
    return;
  }
  std::unique_lock lock(switch_mutex_, std::try_to_lock);
  if (!lock.owns_lock() || log_thread_->running()) return;  // it is done by the next one
  Status status = writer_->SnapshotDone(stamp);
  if (!status.ok()) logger_.Warning("log: {}", status.message());
}

uint64_t Persistence::changes_since_snapshot() const {
  const engine::Stamp now = database_.store().stamp.load(std::memory_order_relaxed);
  const engine::Stamp then = std::max(
      last_snapshot_stamp_.load(), recovered_.stamp + (recovered_.log_id ? kStampsSkipped + 1 : 0));
  return now > then ? now - then : 0;
}

bool Persistence::SnapshotIsDue() {
  if (want_room_.load()) return true;
  const uint64_t changes = changes_since_snapshot();
  if (changes == 0) return false;
  const int64_t since_ms = clock_.now_ms() - snapshotter_->figures().last_done_at_ms.load();
  for (const SavePoint& point :
       options_.save_points ? options_.save_points() : std::vector<SavePoint>()) {
    if (since_ms >= point.seconds * 1000 && changes >= static_cast<uint64_t>(point.changes))
      return true;
  }
  if (!log_thread_->running()) return false;
  const int64_t interval_s = options_.snapshot_interval_s->load();
  if (interval_s > 0 && since_ms >= interval_s * 1000) return true;
  // No oftener than what it writes pays for.
  const auto after = static_cast<uint64_t>(options_.snapshot_after_bytes->load());
  return after > 0 && log_thread_->figures().bytes_behind_snapshot.load() >=
                          std::max(after, snapshotter_->figures().last_bytes.load());
}

// On the snapshot thread, while it has nothing to do.
void Persistence::OnIdle() {
  clock_.Tick();
  if (log_thread_->running()) {
    Status status =
        pool_->Prepare(static_cast<size_t>(log_thread_->figures().segments_used.load()));
    if (!status.ok()) logger_.Verbose("log: {}", status.message());
  }
  if (!SnapshotIsDue()) return;
  const bool failed = snapshotter_->figures().last_failed.load();
  if (failed && clock_.now_ms() - last_try_ms_.load() < kRetryFailedMs) return;
  last_try_ms_.store(clock_.now_ms());
  auto ticket = RequestSnapshot(/*again=*/false);
  if (!ticket.ok()) logger_.Warning("snapshot: {}", ticket.message());
}

engine::Stamp Persistence::durable_stamp() const {
  return log_thread_->running() && !switching() ? log_thread_->figures().durable_stamp.load() : 0;
}

// ---- For tests

Status Persistence::ReloadSnapshot() {
  std::unique_ptr<engine::Handle> handle = database_.Attach();
  engine::Handle::Scope in_epoch(*handle);
  engine::Transaction exclusive(*handle), copy(*handle);
  exclusive.BeginExclusive();
  if (!has_directory_) return Status::Error("there is no data directory");
  if (snapshotter_->busy()) return Status::Error("a snapshot is being taken");
  if (!copy.BeginCopy()) return Status::Error("too many snapshots are open");
  auto path = snapshotter_->Write(*handle, copy);
  if (!path.ok()) return std::move(path).status();
  auto reader = SnapshotReader::Open(files_, path.value());
  if (!reader.ok()) return std::move(reader).status();
  engine::Loader loader(database_, *handle, values_);
  uint64_t keys = 0;
  RecoveryProgress progress;
  Status status = LoadSnapshot(*reader.value(), path.value(), loader, &progress, &keys);
  if (!status.ok()) return status;
  loader.Install(clock_.now_ms(), &exclusive);
  OnSnapshotDone(reader.value()->header().stamp);
  return snapshotter_->RemoveOlder(reader.value()->header().stamp);
}

Status Persistence::ReloadLog() {
  if (!log_thread_->running()) return Status::Error("there is no log in durability mode none");
  std::unique_ptr<engine::Handle> handle = database_.Attach();
  engine::Handle::Scope in_epoch(*handle);
  engine::Transaction exclusive(*handle);
  exclusive.BeginExclusive();
  const engine::Stamp until = database_.store().stamp.load();
  WaitUntilSafe(until);
  if (!database_.store().log.IsSafe(until)) return Status::Error(database_.store().log.failure());
  // None ends, and so none lets go of files, while they are read. Only from here on: a full log
  // needs one before everything is safe.
  const auto no_snapshots = snapshotter_->HoldFiles();
  if (snapshotter_->busy()) return Status::Error("a snapshot is being taken");
  // Behind a snapshot that was taken just now, segments may go while they are read.
  for (int tries_left = kReloadTries - 1;; --tries_left) {
    engine::Loader loader(database_, *handle, values_);
    RecoveryProgress progress;
    auto recovered = Recover(files_, options_.directory, loader, &progress);
    if (recovered.ok()) {
      loader.Install(clock_.now_ms(), &exclusive);
      return {};
    }
    if (tries_left == 0) return std::move(recovered).status();
  }
}

}  // namespace fluxkv::persist
