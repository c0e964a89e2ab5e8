// One open database: the engine, its directory and its threads, from Open to Close; and the slots
// through which threads use them.
//
// S1. While a slot is open, the engine and the files are there: Close closes every slot first.
// S2. A slot's mutex is held by whoever touches its engine handle or a transaction of it; not while
//     waiting for the log, and never while a program's code runs.
// S3. The gate is held shared by calls that use no slot, exclusively by Close, which says so first:
//     nobody else comes in then, so it need not wait for a moment without any. Order: gate, list of
//     slots, slot.
// S4. Whoever waits for the log is counted in its slot; closing a slot waits for them. They come to
//     an end, for the log thread is stopped later.
//
// Threads: any. Owns: all that is below. Errors: as Database.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "engine/database.h"
#include "fluxkv/options.h"
#include "persist/file_system.h"
#include "persist/persistence.h"
#include "types/value_loader.h"

namespace fluxkv::library {

class Slot;

class Core {
 public:
  // `files` for tests; null: the system's.
  static Result<std::shared_ptr<Core>> Open(const Options& options,
                                            persist::FileSystem* files = nullptr);
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  Status Close();
  // kClosed, or kTooMany.
  Result<std::shared_ptr<Slot>> Attach();
  // Runs it while Close waits; kClosed, and it was not run, when it is too late.
  Status WhileOpen(const std::function<Status()>& use);

  // ---- Requires: a slot is open, or inside WhileOpen.
  const Options& options() const { return options_; }
  uint32_t db() const { return options_.database; }
  Clock& clock() { return clock_; }
  engine::Database& database() { return *database_; }
  // Null without a directory.
  persist::Persistence* persistence() { return persistence_.get(); }
  std::atomic<int64_t>& memory_limit() { return memory_limit_; }
  // The engine's, and then what the slots have retired, those too that nobody uses any more.
  engine::Vacuumed Vacuum();
  void SlotClosed() { slots_open_.fetch_sub(1); }

 private:
  Core(const Options& options, persist::FileSystem* files);
  Status Start();
  Status OpenFiles();
  void SetPolicy();
  void EvictDownToLimit();

  const Options options_;
  std::atomic<int64_t> memory_limit_;
  std::atomic<int64_t> vacuum_interval_ms_;
  std::atomic<int64_t> flush_interval_ms_, flush_after_commits_, flush_after_bytes_;
  std::atomic<int64_t> snapshot_after_bytes_, snapshot_interval_s_, snapshot_key_delay_us_{0};

  Clock clock_;
  std::unique_ptr<Logger> logger_;
  persist::PosixFileSystem posix_files_;
  persist::FileSystem& files_;
  types::TypeLoader values_;
  std::unique_ptr<engine::Database> database_;
  std::unique_ptr<persist::Persistence> persistence_;

  std::shared_mutex gate_;
  std::atomic<bool> closing_{false};
  std::mutex slots_mutex_;
  std::vector<std::weak_ptr<Slot>> slots_;  // guarded by slots_mutex_
  std::atomic<size_t> slots_open_{0};
};

// The options with what they leave open filled in; kInvalid for what cannot be.
Result<Options> CheckedOptions(Options options);

}  // namespace fluxkv::library
