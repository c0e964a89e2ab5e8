// Sections memory, transactions, notify, slowlog, latency and vacuum.
#include "config/option_table.h"

namespace fluxkv::config {
namespace {

constexpr std::string_view kPolicies[] = {
    "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl", "volatile-arc",
    "allkeys-lru",  "allkeys-lfu",  "allkeys-random",  "allkeys-arc",  "noeviction"};
constexpr std::string_view kIsolation[] = {"serializable", "snapshot"};

constexpr Option kMemoryRows[] = {
    {.name = "memory.maxmemory",
     .redis_name = "maxmemory",
     .type = Type::kMemory,
     .flags = kRuntime,
     .low = 0,
     .high = kInt64Max,
     .fallback = "0",
     .field = &Settings::maxmemory_bytes,
     .comment = "Memory that the data may use, such as \"512mb\"; 0 is no limit."},
    {.name = "memory.policy",
     .redis_name = "maxmemory-policy",
     .type = Type::kEnum,
     .flags = kRuntime,
     .fallback = "noeviction",
     .values = kPolicies,
     .field = &Settings::maxmemory_policy,
     .comment = "What goes when the limit is reached, by Redis's names."},
    {.name = "memory.lfu_log_factor",
     .redis_name = "lfu-log-factor",
     .type = Type::kInt,
     .flags = kRuntime,
     .low = 0,
     .high = kInt32Max,
     .fallback = "10",
     .field = &Settings::lfu_log_factor,
     .comment = "How much slower a frequency (LFU) grows the higher it is."},
    {.name = "memory.lfu_decay_time",
     .redis_name = "lfu-decay-time",
     .type = Type::kInt,
     .flags = kRuntime,
     .low = 0,
     .high = kInt32Max,
     .fallback = "1",
     .field = &Settings::lfu_decay_minutes,
     .comment = "Minutes after which an unused key's frequency (LFU) falls by one; 0: never."},
    {.name = "memory.maxmemory_clients",
     .redis_name = "maxmemory-clients",
     .type = Type::kMemoryOrPercent,
     .flags = kRuntime,
     .low = -100,
     .high = kInt64Max,
     .fallback = "0",
     .field = &Settings::maxmemory_clients,
     .comment = "Memory that all clients may take; the largest are closed beyond it. \"5%\": of "
                "maxmemory."},
};

constexpr Option kOtherRows[] = {
    {.name = "transactions.isolation",
     .short_name = "isolation",
     .type = Type::kEnum,
     .fallback = "serializable",
     .values = kIsolation,
     .comment = "Isolation of transactions: serializable, or snapshot (first committer wins)."},
    {.name = "notify.keyspace_events",
     .redis_name = "notify-keyspace-events",
     .type = Type::kNotify,
     .flags = kRuntime,
     .field = &Settings::notify_flags,
     .comment = "Classes of keyspace notifications, such as \"KEA\"; empty sends none."},
    {.name = "slowlog.log_slower_than",
     .redis_name = "slowlog-log-slower-than",
     .type = Type::kTimeUs,
     .flags = kRuntime,
     .low = -1,
     .high = kInt64Max,
     .fallback = "10000",
     .field = &Settings::slowlog_slower_than_us,
     .comment = "Commands that take longer, in microseconds, go to SLOWLOG; 0 logs all, -1 none."},
    {.name = "slowlog.max_len",
     .redis_name = "slowlog-max-len",
     .type = Type::kInt,
     .flags = kRuntime,
     .low = 0,
     .high = kInt64Max,
     .fallback = "128",
     .field = &Settings::slowlog_entries_max,
     .comment = "Entries that SLOWLOG keeps."},
    {.name = "latency.monitor_threshold",
     .redis_name = "latency-monitor-threshold",
     .type = Type::kTimeMs,
     .flags = kRuntime,
     .low = 0,
     .high = kInt64Max,
     .fallback = "0",
     .field = &Settings::latency_threshold_ms,
     .comment = "Events of at least so many milliseconds are kept for LATENCY; 0 keeps none."},
    {.name = "latency.tracking",
     .redis_name = "latency-tracking",
     .type = Type::kBool,
     .flags = kRuntime,
     .fallback = "yes",
     .field = &Settings::latency_tracking,
     .comment = "Keep a histogram of each command's time for INFO latencystats."},
    {.name = "latency.tracking_info_percentiles",
     .redis_name = "latency-tracking-info-percentiles",
     .type = Type::kPercentiles,
     .flags = kRuntime,
     .fallback = "50 99 99.9",
     .comment = "Percentiles that INFO latencystats shows."},
    {.name = "vacuum.interval",
     .type = Type::kTimeMs,
     .flags = kRuntime,
     .low = 1,
     .high = 3600 * 1000,
     .fallback = "100ms",
     .field = &Settings::vacuum_interval_ms,
     .comment = "Time between two passes of the vacuum."},
};

}  // namespace

std::span<const Option> MemoryOptions() {
  return kMemoryRows;
}

std::span<const Option> DataOptions() {
  return kOtherRows;
}

}  // namespace fluxkv::config
