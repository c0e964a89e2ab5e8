#include "command/server_totals.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include <unistd.h>

#include "base/memory.h"

namespace fluxkv::command {
namespace {

uint64_t Load(const std::atomic<uint64_t>& value) {
  return value.load(std::memory_order_relaxed);
}

uint64_t PageBytes() {
  return static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

#ifdef FLUXKV_JEMALLOC
uint64_t AllocatorFigure(const char* name) {
  size_t value = 0;
  size_t size = sizeof value;
  return mallctl(name, &value, &size, nullptr, 0) == 0 ? value : 0;
}
#endif

}  // namespace

uint64_t Total(const ServerStats& stats, Counter LoopStats::*counter) {
  uint64_t sum = 0;
  for (const auto& loop : stats.loops) sum += ((*loop).*counter).value();
  return sum;
}

uint64_t Largest(const ServerStats& stats, Counter LoopStats::*counter) {
  uint64_t largest = 0;
  for (const auto& loop : stats.loops) largest = std::max(largest, ((*loop).*counter).value());
  return largest;
}

uint64_t BlockedClients(const ServerStats& stats) {
  uint64_t sum = 0;
  for (const auto& loop : stats.loops) sum += Load(loop->blocked);
  return sum;
}

std::map<std::string, uint64_t, std::less<>> ErrorCounts(const ServerStats& stats) {
  std::map<std::string, uint64_t, std::less<>> sum;
  for (const auto& loop : stats.loops) {
    std::lock_guard lock(loop->errors_mutex);
    for (const auto& [code, count] : loop->errors) sum[code] += count;
  }
  return sum;
}

uint64_t CommandTotals::PercentileNs(double percent) const {
  // The rank of the wanted call among all, at least the first.
  double rank = std::ceil(percent / 100.0 * static_cast<double>(measured));
  uint64_t wanted = std::max<uint64_t>(1, static_cast<uint64_t>(rank));
  uint64_t seen = 0;
  for (size_t bucket = 0; bucket < latency.size(); ++bucket) {
    seen += latency[bucket];
    if (seen >= wanted) return CommandStats::BucketUpperNs(bucket);
  }
  return CommandStats::BucketUpperNs(latency.size() - 1);
}

CommandTotals TotalsOf(const ServerStats& stats, size_t command_number) {
  CommandTotals sum;
  for (const auto& loop : stats.loops) {
    const CommandStats& command = loop->per_command[command_number];
    sum.calls += command.calls.value();
    sum.usec += command.usec.value();
    sum.rejected += command.rejected.value();
    sum.failed += command.failed.value();
    for (size_t i = 0; i < sum.latency.size(); ++i) sum.latency[i] += command.latency[i].value();
  }
  for (uint64_t count : sum.latency) sum.measured += count;
  return sum;
}

ClientTotals TotalsOf(const ClientRegistry& clients) {
  ClientTotals sum;
  for (const auto& client : clients.All()) {
    ++sum.connected;
    uint32_t flags = client->flags.load(std::memory_order_relaxed);
    uint32_t watched = client->watched.load(std::memory_order_relaxed);
    if ((flags & kClientPubSub) != 0) ++sum.pubsub;
    if (watched > 0) ++sum.watching;
    sum.watched_keys += watched;
    sum.input_bytes_max =
        std::max(sum.input_bytes_max, Load(client->input_bytes) + Load(client->input_free_bytes));
    sum.output_bytes_max = std::max(sum.output_bytes_max, Load(client->output_bytes));
    sum.memory_bytes += Load(client->total_bytes);
    if (client->transaction_level.load(std::memory_order_relaxed) == 0) continue;
    ++sum.transactions;
    sum.transaction_bytes += Load(client->transaction_bytes);
    const int64_t began_ms = client->transaction_began_ms.load(std::memory_order_relaxed);
    if (sum.transaction_oldest_ms == 0 || began_ms < sum.transaction_oldest_ms)
      sum.transaction_oldest_ms = began_ms;
  }
  return sum;
}

MemoryTotals ReadMemory(const Services& services) {
  MemoryTotals memory;
  engine::EngineStats engine = services.database.stats();
  memory.used_bytes = engine.used_bytes;
  memory.peak_bytes = std::max(memory.used_bytes, Load(services.stats.peak_used_bytes));
  memory.overhead_bytes =
      std::min(memory.used_bytes, engine.index_bytes + engine.list_bytes + engine.eviction_bytes);
  memory.garbage_bytes = engine.garbage_bytes;
  memory.retired_bytes = engine.retired_bytes;
  memory.policy_bytes = engine.eviction_bytes;
  memory.rss_bytes = services.server.resident_bytes();
  memory.system_bytes = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * PageBytes();
  memory.clients = TotalsOf(services.clients);
#ifdef FLUXKV_JEMALLOC
  // jemalloc's figures are a copy that is made new by writing the epoch.
  uint64_t epoch = 1;
  size_t size = sizeof epoch;
  mallctl("epoch", &epoch, &size, &epoch, size);
  memory.allocated_bytes = AllocatorFigure("stats.allocated");
  memory.active_bytes = AllocatorFigure("stats.active");
  memory.resident_bytes = AllocatorFigure("stats.resident");
#else
  memory.allocated_bytes = memory.rss_bytes;
  memory.active_bytes = memory.rss_bytes;
  memory.resident_bytes = memory.rss_bytes;
#endif
  return memory;
}

std::string AllocatorName() {
#ifdef FLUXKV_JEMALLOC
  return "jemalloc-" + std::to_string(JEMALLOC_VERSION_MAJOR) + "." +
         std::to_string(JEMALLOC_VERSION_MINOR) + "." + std::to_string(JEMALLOC_VERSION_BUGFIX);
#else
  return "libc";
#endif
}

bool PurgeAllocator() {
#ifdef FLUXKV_JEMALLOC
  static_assert(MALLCTL_ARENAS_ALL == 4096);
  const bool purged = mallctl("arena.4096.purge", nullptr, nullptr, nullptr, 0) == 0;
  GiveBackFreePages(~size_t{0});
  return purged;
#else
  return true;
#endif
}

std::string AllocatorReport() {
  std::string text;
#ifdef FLUXKV_JEMALLOC
  malloc_stats_print([](void* into, const char* part) { *static_cast<std::string*>(into) += part; },
                     &text, nullptr);
#endif
  return text;
}

int64_t Difference(uint64_t a, uint64_t b) {
  return static_cast<int64_t>(a) - static_cast<int64_t>(b);
}

double Ratio(uint64_t a, uint64_t b) {
  return b == 0 ? 0.0 : static_cast<double>(a) / static_cast<double>(b);
}

std::string HumanBytes(uint64_t bytes) {
  constexpr std::string_view kUnits = "KMGTP";
  if (bytes < 1024) return std::to_string(bytes) + "B";
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  char text[48];
  std::snprintf(text, sizeof text, "%.2f%c", value, kUnits[unit]);
  return text;
}

}  // namespace fluxkv::command
