#include "persist/snapshotter.h"

#include <algorithm>
#include <chrono>

#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/handle.h"
#include "engine/transaction.h"

namespace fluxkv::persist {

namespace {
// Loops go first when processors are few. The thread is nice to them, but that is not enough: a
// scheduler that shares fairly owes it time while it waits and pays that in one piece of some
// milliseconds, in which a loop waits. So it rests behind each slice, for 50 us at least.
constexpr int kNiceness = 10;
constexpr int64_t kSliceNs = 200'000;
constexpr auto kRest = std::chrono::microseconds(50);
constexpr uint64_t kKeysPerLook = 16;  // at the clock
constexpr int64_t kDelayStepUs = 10'000;
}  // namespace

Snapshotter::Snapshotter(engine::Database& database, FileSystem& files, std::string directory,
                         uint64_t log_id, Clock& clock, Logger& logger, Hooks hooks)
    : database_(database),
      files_(files),
      directory_(std::move(directory)),
      log_id_(log_id),
      clock_(clock),
      logger_(logger),
      hooks_(std::move(hooks)) {}

Snapshotter::~Snapshotter() {
  Stop();
}

void Snapshotter::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Snapshotter::Stop() {
  {
    std::lock_guard lock(mutex_);
    stop_.store(true);
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::optional<uint64_t> Snapshotter::Request(bool again) {
  std::lock_guard lock(mutex_);
  if (begun_ != served_ && !again) return std::nullopt;
  if (wanted_ == begun_) {  // else one that has not begun serves this request as well
    ++wanted_;
    if (begun_ == served_) ClearProgress();  // it counts as being taken before its thread runs
  }
  wake_.notify_all();
  return wanted_;
}

void Snapshotter::ClearProgress() {
  figures_.began_at_ms.store(clock_.now_ms());
  figures_.keys_done.store(0);
  figures_.keys_about.store(0);
  figures_.versions_held_most.store(0);
}

bool Snapshotter::busy() const {
  std::lock_guard lock(mutex_);
  return begun_ != served_ || wanted_ != begun_;
}

bool Snapshotter::Ended(uint64_t ticket, Status* result) {
  std::lock_guard lock(mutex_);
  if (served_ < ticket) return false;
  *result = last_error_.empty() ? Status() : Status::Error(last_error_);
  return true;
}

Status Snapshotter::Wait(uint64_t ticket) {
  std::unique_lock lock(mutex_);
  ended_.wait(lock, [&] { return served_ >= ticket || stop_.load(); });
  if (served_ < ticket) return Status::Error("the server stops");
  return last_error_.empty() ? Status() : Status::Error(last_error_);
}

void Snapshotter::Run() {
  pthread_setname_np(pthread_self(), "snapshot");
  // Of this thread only, on Linux. It is a wish: without the right to it nothing is lost.
  static_cast<void>(setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNiceness));
  std::unique_lock lock(mutex_);
  while (!stop_.load()) {
    if (wanted_ == begun_) {
      wake_.wait_for(lock, std::chrono::milliseconds(100),
                     [this] { return stop_.load() || wanted_ != begun_; });
      if (wanted_ == begun_ && !stop_.load() && hooks_.on_idle) {
        lock.unlock();
        hooks_.on_idle();
        lock.lock();
      }
      continue;
    }
    begun_ = wanted_;
    lock.unlock();
    Status status = Take();
    lock.lock();
    last_error_ = status.ok() ? "" : status.message();
    served_ = begun_;
    ended_.notify_all();
  }
  ended_.notify_all();
}

Status Snapshotter::Take() {
  const int64_t begin_ms = clock_.Tick();
  ClearProgress();
  std::unique_ptr<engine::Handle> handle = database_.Attach();
  Status status;
  engine::Stamp stamp = 0;
  {
    engine::Transaction transaction(*handle);
    if (!transaction.BeginCopy()) {
      status = Status::Error("too many snapshots are open");
    } else {
      stamp = transaction.snapshot();
      if (hooks_.on_begin) hooks_.on_begin();
      auto path = Write(*handle, transaction);
      if (!path.ok()) status = std::move(path).status();
    }
  }
  const int64_t took_ms = clock_.Tick() - begin_ms;
  figures_.last_took_ms.store(took_ms);
  figures_.last_failed.store(!status.ok());
  if (!status.ok()) {
    figures_.failed.fetch_add(1);
    if (!stop_.load()) logger_.Warning("snapshot: failed: {}", status.message());
    if (hooks_.on_failed) hooks_.on_failed(status.message());
    return status;
  }
  figures_.last_done_at_ms.store(clock_.now_ms());
  figures_.last_stamp.store(stamp);
  figures_.last_keys.store(figures_.keys_done.load());
  figures_.taken.fetch_add(1);  // behind what it is asked for
  logger_.Notice("snapshot: {} keys, {} bytes at stamp {} in {} ms", figures_.last_keys.load(),
                 figures_.last_bytes.load(), stamp, took_ms);
  if (hooks_.on_done) hooks_.on_done(stamp);
  Status removed = RemoveOlder(stamp);
  if (!removed.ok()) logger_.Warning("snapshot: {}", removed.message());
  return {};
}

Result<std::string> Snapshotter::Write(engine::Handle& handle, engine::Transaction& transaction) {
  std::lock_guard one_file(write_mutex_);
  SnapshotWriter writer(files_, directory_, log_id_);
  Status status = writer.Begin(transaction.snapshot(), transaction.now_ms(), database_.databases());
  for (uint32_t db = 0; status.ok() && db < database_.databases(); ++db)
    status = WriteDatabase(handle, transaction, db, &writer);
  transaction.Rollback();  // what it held back is let go before the disk is waited for
  if (status.ok()) status = writer.Finish();
  if (!status.ok()) return status;
  figures_.last_bytes.store(writer.bytes());
  return directory_ + "/" + SnapshotName(transaction.snapshot());
}

Status Snapshotter::WriteDatabase(engine::Handle& handle, engine::Transaction& transaction,
                                  uint32_t db, SnapshotWriter* writer) {
  uint64_t about = 0;
  const bool entered = !handle.inside();  // else the caller holds everything, and its epoch
  {
    if (entered) handle.Enter();
    about = transaction.CountKeysQuickly(db);
    if (entered) handle.Leave();
  }
  figures_.keys_about.fetch_add(about);
  Status status = writer->BeginDatabase(db, about);
  std::string position;
  bool after = false, end = false;
  while (status.ok() && !end) {
    if (stop_.load()) return Status::Error("the server stops");
    const int64_t until_ns = MonotonicNs() + kSliceNs;
    uint64_t keys = 0;
    if (entered) handle.Enter();
    end = transaction.Walk(
        db, position, after, {}, [&](std::string_view key, const engine::Version& version) {
          status = writer->Add(db, key, version);
          ++keys;
          const bool pause = !status.ok() || key_delay_us() > 0 ||
                             (keys % kKeysPerLook == 0 && MonotonicNs() >= until_ns);
          if (pause) position.assign(key);
          return !pause;
        });
    if (entered) {
      handle.Leave();
      if (status.ok() && !end) Rest();
    }
    after = true;
    DelayKeys(keys);
    figures_.keys_done.fetch_add(keys, std::memory_order_relaxed);
    const uint64_t held = database_.versions_kept();
    if (held > figures_.versions_held_most.load()) figures_.versions_held_most.store(held);
  }
  return status;
}

void Snapshotter::Rest() {
  if (hooks_.in_haste != nullptr && hooks_.in_haste->load(std::memory_order_relaxed)) return;
  std::this_thread::sleep_for(kRest);
  figures_.rests.fetch_add(1, std::memory_order_relaxed);
}

// Ends when the delay is taken back.
void Snapshotter::DelayKeys(uint64_t keys) const {
  const int64_t begin_us = MonotonicUs();
  while (key_delay_us() > 0 && !stop_.load() &&
         MonotonicUs() - begin_us < key_delay_us() * static_cast<int64_t>(keys))
    std::this_thread::sleep_for(std::chrono::microseconds(std::min(key_delay_us(), kDelayStepUs)));
}

Status Snapshotter::RemoveOlder(engine::Stamp stamp) {
  auto names = files_.List(directory_);
  if (!names.ok()) return std::move(names).status();
  for (const std::string& name : names.value()) {
    auto of = SnapshotStamp(name);
    if (!of || *of >= stamp) continue;
    Status status = files_.Remove(directory_ + "/" + name);
    if (!status.ok()) return status;
  }
  return {};
}

}  // namespace fluxkv::persist
