// Figures of the whole server, put together from its loops, the allocator and the operating system
// for INFO, MEMORY and LATENCY.
// Threads: any; each figure is read on its own, so two of them may be of different moments.
// Units: in the names.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "command/services.h"
#include "command/stats.h"

namespace fluxkv::command {

// Sum of a counter over all loops.
uint64_t Total(const ServerStats& stats, Counter LoopStats::*counter);
// The largest of a counter over all loops.
uint64_t Largest(const ServerStats& stats, Counter LoopStats::*counter);
uint64_t BlockedClients(const ServerStats& stats);
std::map<std::string, uint64_t, std::less<>> ErrorCounts(const ServerStats& stats);

// A command's statistics over all loops.
struct CommandTotals {
  uint64_t calls = 0;
  uint64_t usec = 0;
  uint64_t rejected = 0;
  uint64_t failed = 0;
  std::array<uint64_t, kLatencyBuckets> latency{};
  uint64_t measured = 0;  // sum of latency

  // The time in nanoseconds that `percent` of the measured calls did not exceed.
  // Requires: measured > 0.
  uint64_t PercentileNs(double percent) const;
};
CommandTotals TotalsOf(const ServerStats& stats, size_t command_number);

// What the connected clients hold together.
struct ClientTotals {
  uint64_t connected = 0;
  uint64_t pubsub = 0;
  uint64_t watching = 0;
  uint64_t watched_keys = 0;
  uint64_t input_bytes_max = 0;
  uint64_t output_bytes_max = 0;
  uint64_t memory_bytes = 0;
  uint64_t transactions = 0;  // open ones, of BEGIN
  uint64_t transaction_bytes = 0;
  int64_t transaction_oldest_ms = 0;  // when the oldest began; 0: none is open
};
ClientTotals TotalsOf(const ClientRegistry& clients);

// Memory as the engine, the allocator and the operating system count it.
struct MemoryTotals {
  uint64_t used_bytes = 0;      // of the data: what maxmemory bounds
  uint64_t peak_bytes = 0;      // the most that used_bytes has been
  uint64_t overhead_bytes = 0;  // of used_bytes: not keys and values
  uint64_t garbage_bytes = 0;   // not of used_bytes: to be unlinked, or held back by snapshots
  uint64_t retired_bytes = 0;   // not of used_bytes: unlinked, not yet freed
  uint64_t policy_bytes = 0;    // of used_bytes: the eviction policy's
  uint64_t rss_bytes = 0;
  uint64_t system_bytes = 0;
  // Of the allocator; equal to rss_bytes if it keeps no such figures.
  uint64_t allocated_bytes = 0;
  uint64_t active_bytes = 0;
  uint64_t resident_bytes = 0;
  ClientTotals clients;

  uint64_t dataset_bytes() const { return used_bytes - overhead_bytes; }
};
MemoryTotals ReadMemory(const Services& services);

// "jemalloc-5.3.0", "libc".
std::string AllocatorName();
// Gives unused pages back to the operating system; false if the allocator refused.
bool PurgeAllocator();
// The allocator's own report; empty if it has none.
std::string AllocatorReport();

int64_t Difference(uint64_t a, uint64_t b);
// a / b, and 0 when b is 0.
double Ratio(uint64_t a, uint64_t b);
// "1.50M" as Redis writes sizes.
std::string HumanBytes(uint64_t bytes);

}  // namespace fluxkv::command
