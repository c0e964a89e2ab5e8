// Section persistence of INFO: Redis's fields, then our own.
#include <algorithm>

#include "base/clock.h"
#include "command/info.h"
#include "command/server_totals.h"
#include "engine/store.h"

namespace fluxkv::command {
namespace {

std::string_view OkOrErr(bool good) {
  return good ? "ok" : "err";
}

void AddLoading(const PersistenceFigures& p, int64_t now_ms, InfoText* info) {
  const int64_t elapsed_ms = std::max<int64_t>(now_ms - p.loading_since_ms, 1);
  const double share = Ratio(p.loading_bytes_done, p.loading_bytes_total);
  const double left_s =
      share > 0 ? static_cast<double>(elapsed_ms) / share * (1 - share) / kMsPerSecond : 1;
  info->Add("loading_start_time", p.loading_since_ms / kMsPerSecond);
  info->Add("loading_total_bytes", p.loading_bytes_total);
  info->Add("loading_rdb_used_mem", 0);
  info->Add("loading_loaded_bytes", p.loading_bytes_done);
  info->AddFixed("loading_loaded_perc", share * 100, 2);
  info->Add("loading_eta_seconds", static_cast<int64_t>(left_s));
}

void AddSnapshot(const PersistenceFigures& p, int64_t now_ms, InfoText* info) {
  const bool running = p.snapshot_running;
  info->Add("current_save_keys_processed", running ? p.snapshot_keys_done : 0);
  info->Add("current_save_keys_total", running ? p.snapshot_keys_about : 0);
  info->Add("rdb_changes_since_last_save", p.changes_since_snapshot);
  info->Add("rdb_bgsave_in_progress", running ? 1 : 0);
  info->Add("rdb_last_save_time", p.snapshot_last_done_at_ms / kMsPerSecond);
  info->Add("rdb_last_bgsave_status", OkOrErr(!p.snapshot_last_failed));
  info->Add("rdb_last_bgsave_time_sec",
            p.snapshot_last_took_ms < 0 ? -1 : p.snapshot_last_took_ms / kMsPerSecond);
  info->Add("rdb_current_bgsave_time_sec",
            running ? (now_ms - p.snapshot_began_at_ms) / kMsPerSecond : -1);
  info->Add("rdb_saves", p.snapshots_taken);
  info->Add("rdb_last_cow_size", 0);
  info->Add("rdb_last_load_keys_expired", p.keys_expired_at_load);
  info->Add("rdb_last_load_keys_loaded", p.keys_loaded);
}

void AddLog(const PersistenceFigures& p, bool failed, InfoText* info) {
  info->Add("aof_enabled", p.log_on ? 1 : 0);
  info->Add("aof_rewrite_in_progress", p.log_switching || (p.log_on && p.snapshot_running) ? 1 : 0);
  info->Add("aof_rewrite_scheduled", 0);
  info->Add("aof_last_rewrite_time_sec", -1);
  info->Add("aof_current_rewrite_time_sec", -1);
  info->Add("aof_last_bgrewrite_status", OkOrErr(!p.snapshot_last_failed));
  info->Add("aof_rewrites", p.log_on ? p.snapshots_taken : 0);
  info->Add("aof_rewrites_consecutive_failures", p.snapshot_last_failed ? 1 : 0);
  info->Add("aof_last_write_status", OkOrErr(!failed));
  info->Add("aof_last_cow_size", 0);
  if (!p.log_on) return;
  info->Add("aof_current_size", p.log_bytes_behind_snapshot);
  info->Add("aof_base_size", p.snapshot_last_bytes);
  info->Add("aof_pending_rewrite", 0);
  info->Add("aof_buffer_length", p.log_unsynced_bytes);
  info->Add("aof_pending_bio_fsync", 0);
  info->Add("aof_delayed_fsync", 0);
}

void AddOwn(const PersistenceFigures& p, const Services& services, InfoText* info) {
  const engine::CommitLog& log = services.database.store().log;
  info->Add("durability", !p.log_on ? "none" : p.log_full_mode ? "full" : "relaxed");
  info->Add("snapshot_stamp", p.snapshot_last_stamp);
  info->Add("snapshot_keys", p.snapshot_last_keys);
  info->Add("snapshot_bytes", p.snapshot_last_bytes);
  info->Add("snapshot_versions_held_most", p.snapshot_versions_held_most);
  if (!p.log_on) return;
  constexpr std::string_view kAdmissions[] = {"open", "full", "refused", "failed"};
  info->Add("log_writers", kAdmissions[static_cast<size_t>(log.admission())]);
  info->Add("log_error", log.failure());
  info->Add("log_stamp", services.database.store().stamp.load(std::memory_order_relaxed));
  info->Add("log_safe_stamp", p.log_switching ? 0 : log.safe());
  info->Add("log_durable_stamp", p.durable_stamp);
  info->Add("log_records", p.log_records);
  info->Add("log_bytes", p.log_bytes);
  info->Add("log_syncs", p.log_syncs);
  info->AddFixed("log_commits_per_sync", Ratio(p.log_synced_commits, p.log_syncs), 2);
  info->Add("log_last_sync_usec", p.log_last_sync_us);
  info->Add("log_unsynced_bytes", p.log_unsynced_bytes);
  info->Add("log_segments", p.log_segments_used);
  info->Add("log_segments_spare", p.log_segments_spare);
  info->Add("log_segments_max", p.log_segments_max);
  info->Add("log_segment_bytes", p.log_segment_bytes_used);
  info->Add("log_failures", p.log_failures);
  info->Add("log_times_full", p.log_times_full);
}

}  // namespace

void InfoPersistence(const Services& services, InfoText* info) {
  const PersistenceFigures p = services.persistence.figures();
  const int64_t now_ms = services.clock.now_ms();
  const bool failed =
      services.database.store().log.admission() == engine::CommitLog::Admission::kFailed;
  info->Add("loading", p.loading ? 1 : 0);
  info->Add("async_loading", 0);
  info->Add("current_cow_peak", 0);
  info->Add("current_cow_size", 0);
  info->Add("current_cow_size_age", 0);
  info->Add("current_fork_perc", "0.00");
  AddSnapshot(p, now_ms, info);
  AddLog(p, failed, info);
  info->Add("module_fork_in_progress", 0);
  info->Add("module_fork_last_cow_size", 0);
  if (p.loading) AddLoading(p, now_ms, info);
  AddOwn(p, services, info);
}

}  // namespace fluxkv::command
