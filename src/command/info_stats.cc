// Sections stats, commandstats, errorstats, latencystats and fluxkv of INFO.
#include <cstdio>

#include "command/info.h"
#include "command/server_totals.h"
#include "command/table.h"

namespace fluxkv::command {
namespace {

double KilobytesPerSecond(const std::atomic<uint64_t>& bytes_per_second) {
  return static_cast<double>(bytes_per_second.load(std::memory_order_relaxed)) / 1024;
}

void AddTraffic(const ServerStats& stats, InfoText* info) {
  info->Add("total_connections_received", Total(stats, &LoopStats::connections));
  info->Add("total_commands_processed", Total(stats, &LoopStats::commands));
  info->Add("instantaneous_ops_per_sec", stats.ops_per_second.load(std::memory_order_relaxed));
  info->Add("total_net_input_bytes", Total(stats, &LoopStats::net_input_bytes));
  info->Add("total_net_output_bytes", Total(stats, &LoopStats::net_output_bytes));
  info->Add("total_net_repl_input_bytes", 0);
  info->Add("total_net_repl_output_bytes", 0);
  info->AddFixed("instantaneous_input_kbps", KilobytesPerSecond(stats.input_bytes_per_second), 2);
  info->AddFixed("instantaneous_output_kbps", KilobytesPerSecond(stats.output_bytes_per_second), 2);
  info->Add("instantaneous_input_repl_kbps", "0.00");
  info->Add("instantaneous_output_repl_kbps", "0.00");
  info->Add("rejected_connections", Total(stats, &LoopStats::rejected_connections));
}

// Parts of Redis that do not exist here; tools expect their names.
void AddAbsentParts(InfoText* info) {
  for (std::string_view name :
       {"latest_fork_usec", "total_forks", "migrate_cached_sockets", "slave_expires_tracked_keys",
        "active_defrag_hits", "active_defrag_misses", "active_defrag_key_hits",
        "active_defrag_key_misses", "total_active_defrag_time", "current_active_defrag_time",
        "tracking_total_keys", "tracking_total_items", "tracking_total_prefixes"})
    info->Add(name, 0);
}

// "p50", "p99.9": the number with the fewest digits that say it.
std::string PercentileName(double percent) {
  char text[32];
  std::snprintf(text, sizeof text, "p%.10g", percent);
  return text;
}

}  // namespace

void InfoStats(const Services& services, InfoText* info) {
  const ServerStats& stats = services.stats;
  AddTraffic(stats, info);
  info->Add("sync_full", 0);
  info->Add("sync_partial_ok", 0);
  info->Add("sync_partial_err", 0);
  info->Add("expired_keys", services.database.stats().expired_keys);
  info->Add("expired_stale_perc", "0.00");
  info->Add("expired_time_cap_reached_count", 0);
  info->Add("expire_cycle_cpu_milliseconds", 0);
  info->Add("evicted_keys", services.database.stats().evicted_keys);
  info->Add("evicted_clients", stats.evicted_clients.load(std::memory_order_relaxed));
  info->Add("total_eviction_exceeded_time", 0);
  info->Add("current_eviction_exceeded_time", 0);
  info->Add("keyspace_hits", Total(stats, &LoopStats::keyspace_hits));
  info->Add("keyspace_misses", Total(stats, &LoopStats::keyspace_misses));
  info->Add("pubsub_channels", static_cast<uint64_t>(services.pubsub.ChannelCount()));
  info->Add("pubsub_patterns", static_cast<uint64_t>(services.pubsub.PatternCount()));
  info->Add("pubsubshard_channels", static_cast<uint64_t>(services.pubsub.ShardChannelCount()));
  AddAbsentParts(info);
  info->Add("unexpected_error_replies", 0);
  info->Add("total_error_replies", Total(stats, &LoopStats::reply_errors));
  info->Add("dump_payload_sanitizations", 0);
  info->Add("total_reads_processed", Total(stats, &LoopStats::net_reads));
  info->Add("total_writes_processed", Total(stats, &LoopStats::net_writes));
  info->Add("io_threaded_reads_processed", 0);
  info->Add("io_threaded_writes_processed", 0);
  info->Add("client_query_buffer_limit_disconnections",
            Total(stats, &LoopStats::query_buffer_disconnects));
  info->Add("client_output_buffer_limit_disconnections",
            Total(stats, &LoopStats::output_buffer_disconnects));
  info->Add("reply_buffer_shrinks", 0);
  info->Add("reply_buffer_expands", 0);
  info->Add("acl_access_denied_auth", stats.acl_denied_auth.load(std::memory_order_relaxed));
  info->Add("acl_access_denied_cmd", 0);
  info->Add("acl_access_denied_key", 0);
  info->Add("acl_access_denied_channel", 0);
}

void InfoCommandStats(const Services& services, InfoText* info) {
  for (size_t number = 0; number < services.table.count(); ++number) {
    CommandTotals totals = TotalsOf(services.stats, number);
    if (totals.calls == 0 && totals.rejected == 0 && totals.failed == 0) continue;
    char figures[200];
    std::snprintf(figures, sizeof figures,
                  "calls=%llu,usec=%llu,usec_per_call=%.2f,rejected_calls=%llu,failed_calls=%llu",
                  static_cast<unsigned long long>(totals.calls),
                  static_cast<unsigned long long>(totals.usec), Ratio(totals.usec, totals.calls),
                  static_cast<unsigned long long>(totals.rejected),
                  static_cast<unsigned long long>(totals.failed));
    info->Add("cmdstat_" + CommandTable::FullName(*services.table.ByNumber(number)), figures);
  }
}

void InfoErrorStats(const Services& services, InfoText* info) {
  for (const auto& [code, count] : ErrorCounts(services.stats))
    info->Add("errorstat_" + code, "count=" + std::to_string(count));
}

void InfoLatencyStats(const Services& services, InfoText* info) {
  if (services.config.settings().latency_tracking.load(std::memory_order_relaxed) == 0) return;
  std::vector<double> percentiles = services.config.latency_percentiles();
  for (size_t number = 0; number < services.table.count(); ++number) {
    CommandTotals totals = TotalsOf(services.stats, number);
    if (totals.measured == 0) continue;
    std::string figures;
    for (double percent : percentiles) {
      char usec[48];
      std::snprintf(usec, sizeof usec, "=%.3f",
                    static_cast<double>(totals.PercentileNs(percent)) / 1000);
      if (!figures.empty()) figures.push_back(',');
      figures.append(PercentileName(percent)).append(usec);
    }
    info->Add(
        "latency_percentiles_usec_" + CommandTable::FullName(*services.table.ByNumber(number)),
        figures);
  }
}

void InfoTransactions(const Services& services, InfoText* info) {
  const ClientTotals clients = TotalsOf(services.clients);
  const ServerStats& stats = services.stats;
  const int64_t oldest_ms = clients.transaction_oldest_ms;
  info->Add("transactions_open", clients.transactions);
  info->Add("transactions_open_bytes", clients.transaction_bytes);
  info->Add("transactions_oldest_age_ms",
            oldest_ms == 0 ? 0 : std::max<int64_t>(services.clock.now_ms() - oldest_ms, 0));
  info->Add("transactions_begun", Total(stats, &LoopStats::transactions_begun));
  info->Add("transactions_committed", Total(stats, &LoopStats::transactions_committed));
  info->Add("transactions_rolled_back", Total(stats, &LoopStats::transactions_rolled_back));
  info->Add("transactions_conflicts", Total(stats, &LoopStats::transaction_conflicts));
  info->Add("transactions_ended_by_server", Total(stats, &LoopStats::transactions_ended));
}

void InfoFluxkv(const Services& services, InfoText* info) {
  engine::EngineStats engine = services.database.stats();
  info->Add("threads", static_cast<uint64_t>(services.server.loops()));
  info->Add("stamp", engine.stamp);
  info->Add("oldest_snapshot", engine.oldest_snapshot);
  info->Add("live_snapshots", engine.live_snapshots);
  info->Add("versions_kept", engine.versions_kept);
  info->Add("retired_bytes", engine.retired_bytes);
  info->Add("index_bytes", engine.index_bytes);
  info->Add("list_bytes", engine.list_bytes);
  info->Add("conflicts", engine.conflicts);
  info->Add("latch_wait_usec", engine.latch_wait_ns / 1000);
  info->Add("page_wait_usec", engine.page_wait_ns / 1000);
  info->Add("longest_turn_usec", Largest(services.stats, &LoopStats::longest_turn_ns) / 1000);
}

}  // namespace fluxkv::command
