#include "server/durability.h"

#include <utility>

#include <pthread.h>

namespace fluxkv::server {

namespace {

persist::Mode ModeOf(config::Durability durability) {
  return static_cast<persist::Mode>(static_cast<int>(durability));
}
static_assert(static_cast<int>(persist::Mode::kNone) ==
              static_cast<int>(config::Durability::kNone));
static_assert(static_cast<int>(persist::Mode::kFull) ==
              static_cast<int>(config::Durability::kFull));

std::string NameOf(persist::Mode mode) {
  constexpr const char* kNames[] = {"none", "relaxed", "full"};
  return kNames[static_cast<int>(mode)];
}

}  // namespace

Durability::Durability(config::Config& config, engine::Database& database, Clock& clock,
                       Logger& log)
    : config_(config), database_(database), clock_(clock), log_(log) {}

Durability::~Durability() {
  if (worker_.joinable()) {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    worker_.join();
  }
}

Status Durability::Open() {
  const config::StartOptions& start = config_.start();
  const config::Settings& settings = config_.settings();
  persist::Options options;
  options.directory = start.data_dir;
  options.mode = ModeOf(start.durability);
  options.segment_bytes = static_cast<uint64_t>(start.segment_bytes);
  options.segments = static_cast<size_t>(start.segments);
  options.flush = {&settings.flush_interval_ms, &settings.flush_after_commits,
                   &settings.flush_after_bytes};
  options.snapshot_after_bytes = &settings.snapshot_after_bytes;
  options.snapshot_interval_s = &settings.snapshot_interval_s;
  options.snapshot_key_delay_us = &settings.snapshot_key_delay_us;
  options.save_points = [this] {
    std::vector<persist::SavePoint> points;
    for (const config::SavePoint& p : config_.save_points())
      points.push_back({p.seconds, p.changes});
    return points;
  };
  auto opened =
      persist::Persistence::Open(files_, std::move(options), database_, values_, clock_, log_);
  if (!opened.ok()) return std::move(opened).status();
  persistence_ = std::move(opened.value());
  return {};
}

Status Durability::Load() {
  return persistence_->Load();
}

Status Durability::Start() {
  Status status = persistence_->Start();
  if (!status.ok()) return status;
  worker_ = std::thread([this] { Work(); });
  started_.store(true, std::memory_order_release);
  return {};
}

Status Durability::Stop(bool save) {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (worker_.joinable()) worker_.join();
  return persistence_->Stop(save);
}

// ---- The worker

void Durability::Post(std::function<void()> job) {
  {
    std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  wake_.notify_all();
}

void Durability::Work() {
  pthread_setname_np(pthread_self(), "durability");
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    std::function<void()> job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    lock.lock();
  }
}

void Durability::FollowConfiguredMode() {
  Post([this] { SwitchMode(); });
}

void Durability::SwitchMode() {
  const persist::Mode wanted = ModeOf(config_.settings().durability());
  const persist::Mode before = persistence_->mode();
  if (wanted == before) return;
  Status status = persistence_->SetMode(wanted);
  if (status.ok()) {
    log_.Notice("durability {} is in force", NameOf(wanted));
    return;
  }
  log_.Warning("durability stays {}: {}", NameOf(persistence_->mode()), status.message());
  // What CONFIG GET shows is what holds.
  Status back = config_.Set({{"durability.mode", NameOf(persistence_->mode())}});
  if (!back.ok()) log_.Warning("durability: {}", back.message());
}

uint64_t Durability::BeginReload(Reload what) {
  uint64_t ticket;
  {
    std::lock_guard lock(mutex_);
    ticket = ++reload_tickets_;
  }
  Post([this, what, ticket] {
    Status status =
        what == Reload::kSnapshot ? persistence_->ReloadSnapshot() : persistence_->ReloadLog();
    std::lock_guard lock(mutex_);
    reloads_[ticket] = status.ok() ? "" : status.message();
  });
  return ticket;
}

bool Durability::ReloadEnded(uint64_t ticket, Status* result) {
  std::lock_guard lock(mutex_);
  const auto ended = reloads_.find(ticket);
  if (ended == reloads_.end()) return false;
  *result = ended->second.empty() ? Status() : Status::Error(ended->second);
  reloads_.erase(ended);
  return true;
}

// ---- For commands

bool Durability::log_on() const {
  if (loading()) return false;
  return persistence_->mode() != persist::Mode::kNone ||
         config_.settings().durability() != config::Durability::kNone;
}

void Durability::RequestSync() {
  if (!loading()) persistence_->RequestSync();
}

void Durability::WriteLog() {
  if (!loading()) persistence_->WriteLog();
}

bool Durability::SyncLog() {
  return !loading() && persistence_->SyncLog();
}

engine::Stamp Durability::durable_stamp() const {
  return persistence_->durable_stamp();
}

Result<std::optional<uint64_t>> Durability::RequestSnapshot(bool again) {
  if (loading()) return Status::Error("the data is being loaded");
  return persistence_->RequestSnapshot(again);
}

bool Durability::SnapshotEnded(uint64_t ticket, Status* result) {
  return persistence_->SnapshotEnded(ticket, result);
}

bool Durability::snapshot_busy() const {
  return !loading() && persistence_->snapshot_busy();
}

command::PersistenceFigures Durability::figures() const {
  command::PersistenceFigures f;
  f.loading = loading();
  if (f.loading) {
    if (persistence_ == nullptr) return f;
    f.loading_since_ms = persistence_->loading_since_ms();
    f.loading_bytes_total = persistence_->progress().bytes_total.load();
    f.loading_bytes_done = persistence_->progress().bytes_done.load();
    return f;
  }
  f.keys_expired_at_load = persistence_->expired_at_load();
  f.keys_loaded = persistence_->recovered().snapshot_keys;
  const persist::SnapshotFigures& s = persistence_->snapshot_figures();
  f.snapshot_running = persistence_->snapshot_busy();
  f.snapshot_began_at_ms = s.began_at_ms.load();
  f.snapshot_last_took_ms = s.last_took_ms.load();
  f.snapshot_last_done_at_ms = s.last_done_at_ms.load();
  f.snapshot_last_failed = s.last_failed.load();
  f.snapshots_taken = s.taken.load();
  f.snapshot_keys_done = s.keys_done.load();
  f.snapshot_keys_about = s.keys_about.load();
  f.snapshot_last_bytes = s.last_bytes.load();
  f.snapshot_last_keys = s.last_keys.load();
  f.snapshot_last_stamp = s.last_stamp.load();
  f.snapshot_versions_held_most = s.versions_held_most.load();
  f.changes_since_snapshot = persistence_->changes_since_snapshot();
  AddLogFigures(&f);
  return f;
}

void Durability::AddLogFigures(command::PersistenceFigures* figures) const {
  command::PersistenceFigures& f = *figures;
  const persist::LogFigures& l = persistence_->log_figures();
  f.log_on = persistence_->mode() != persist::Mode::kNone;
  f.log_full_mode = persistence_->mode() == persist::Mode::kFull;
  f.log_switching = persistence_->switching();
  f.log_records = l.records.load();
  f.log_bytes = l.bytes.load();
  f.log_bytes_behind_snapshot = l.bytes_behind_snapshot.load();
  f.log_syncs = l.syncs.load();
  f.log_synced_commits = l.synced_commits.load();
  f.log_last_sync_us = l.last_sync_us.load();
  f.log_unsynced_bytes = l.unsynced_bytes.load();
  f.log_segments_used = l.segments_used.load();
  f.log_segments_spare = persistence_->segments_spare();
  f.log_segments_max = persistence_->segments_max();
  f.log_segment_bytes_used = l.segment_bytes_used.load();
  f.log_failures = l.failures.load();
  f.log_times_full = l.times_full.load();
  f.durable_stamp = l.durable_stamp.load();
}

}  // namespace fluxkv::server
