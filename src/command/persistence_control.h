// What commands need of durability, implemented by src/server over src/persist (SAVE, INFO,
// WAITAOF, DEBUG RELOAD and the like).
// Threads: any loop; nothing here waits.
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "engine/version.h"

namespace fluxkv::command {

// Figures for INFO and MEMORY.
struct PersistenceFigures {
  bool loading = false;
  int64_t loading_since_ms = 0;
  uint64_t loading_bytes_total = 0;
  uint64_t loading_bytes_done = 0;
  uint64_t keys_expired_at_load = 0;
  uint64_t keys_loaded = 0;

  bool snapshot_running = false;
  int64_t snapshot_began_at_ms = 0;
  int64_t snapshot_last_took_ms = -1;  // -1: none yet
  int64_t snapshot_last_done_at_ms = 0;
  bool snapshot_last_failed = false;
  uint64_t snapshots_taken = 0;
  uint64_t snapshot_keys_done = 0;
  uint64_t snapshot_keys_about = 0;
  uint64_t snapshot_last_bytes = 0;
  uint64_t snapshot_last_keys = 0;
  engine::Stamp snapshot_last_stamp = 0;
  uint64_t snapshot_versions_held_most = 0;
  uint64_t changes_since_snapshot = 0;

  bool log_on = false;
  bool log_full_mode = false;
  bool log_switching = false;
  uint64_t log_records = 0;
  uint64_t log_bytes = 0;
  uint64_t log_bytes_behind_snapshot = 0;
  uint64_t log_syncs = 0;
  uint64_t log_synced_commits = 0;
  int64_t log_last_sync_us = 0;
  uint64_t log_unsynced_bytes = 0;
  uint64_t log_segments_used = 0;
  uint64_t log_segments_spare = 0;
  uint64_t log_segments_max = 0;
  uint64_t log_segment_bytes_used = 0;
  uint64_t log_failures = 0;
  uint64_t log_times_full = 0;
  engine::Stamp durable_stamp = 0;
};

class PersistenceControl {
 public:
  virtual ~PersistenceControl() = default;

  // Whether the data is still being loaded: commands that need it are refused.
  virtual bool loading() const = 0;
  // Also while a mode that was asked for is being brought about.
  virtual bool log_on() const = 0;
  // Every commit up to it is on disk; 0 while a mode is being brought about.
  virtual engine::Stamp durable_stamp() const = 0;
  // What has been recorded is put on disk soon.
  virtual void RequestSync() = 0;
  // For a loop that has commits queued for the log: hands them to the system itself when that costs
  // no wait; else the log thread does.
  virtual void WriteLog() = 0;
  // For one all of whose clients wait for the log, in durability full: puts what is queued on disk
  // itself. False when that was not done; the log thread comes to it when it is woken.
  virtual bool SyncLog() = 0;
  virtual PersistenceFigures figures() const = 0;

  // A snapshot begins soon; a ticket for SnapshotEnded. Nullopt when one is being taken already and
  // `again` is false. An error when there is nowhere to put it.
  virtual Result<std::optional<uint64_t>> RequestSnapshot(bool again) = 0;
  // True when it has ended; then how.
  virtual bool SnapshotEnded(uint64_t ticket, Status* result) = 0;
  virtual bool snapshot_busy() const = 0;

  // The data goes to a file and back: through a snapshot, or from snapshot and log as they are.
  enum class Reload : uint8_t { kSnapshot, kLog };
  // A ticket for ReloadEnded.
  virtual uint64_t BeginReload(Reload what) = 0;
  virtual bool ReloadEnded(uint64_t ticket, Status* result) = 0;
};

}  // namespace fluxkv::command
