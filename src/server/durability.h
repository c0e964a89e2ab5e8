// src/persist for the server: built from the configuration, shown to commands, and a worker thread
// for what takes its time and must not stop a loop (changes of the mode, reloads).
//
//   Durability durability(config, database, clock, log);
//   status = durability.Open();  status = durability.Load();  status = durability.Start();
//   ...
//   status = durability.Stop(save);
//
// Threads: Open, Load, Start, Stop by the main thread (Load by any one); PersistenceControl by any.
// Owns: the data directory. Errors: one line each. The database must outlive it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "command/persistence_control.h"
#include "config/config.h"
#include "engine/database.h"
#include "persist/persistence.h"
#include "types/value_loader.h"

namespace fluxkv::server {

class Durability : public command::PersistenceControl {
 public:
  Durability(config::Config& config, engine::Database& database, Clock& clock, Logger& log);
  ~Durability() override;
  Durability(const Durability&) = delete;
  Durability& operator=(const Durability&) = delete;

  Status Open();
  Status Load();
  Status Start();
  Status Stop(bool save);

  // The mode that the configuration has now, brought about on the worker.
  void FollowConfiguredMode();

  bool loading() const override { return !started_.load(std::memory_order_acquire); }
  bool log_on() const override;
  engine::Stamp durable_stamp() const override;
  void RequestSync() override;
  void WriteLog() override;
  bool SyncLog() override;
  command::PersistenceFigures figures() const override;
  Result<std::optional<uint64_t>> RequestSnapshot(bool again) override;
  bool SnapshotEnded(uint64_t ticket, Status* result) override;
  bool snapshot_busy() const override;
  uint64_t BeginReload(Reload what) override;
  bool ReloadEnded(uint64_t ticket, Status* result) override;

 private:
  void Work();
  void Post(std::function<void()> job);
  void SwitchMode();
  void AddLogFigures(command::PersistenceFigures* figures) const;

  config::Config& config_;
  engine::Database& database_;
  Clock& clock_;
  Logger& log_;
  persist::PosixFileSystem files_;
  types::TypeLoader values_;
  std::unique_ptr<persist::Persistence> persistence_;
  std::atomic<bool> started_{false};

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;   // guarded by mutex_
  std::map<uint64_t, std::string> reloads_;  // ended and not asked for; "" went well; by mutex_
  uint64_t reload_tickets_ = 0;              // guarded by mutex_
  bool stop_ = false;                        // guarded by mutex_
  std::thread worker_;
};

}  // namespace fluxkv::server
