// Handlers of MEMORY.
#include <string>

#include "base/parse.h"
#include "command/arguments.h"
#include "command/errors.h"
#include "command/help_reply.h"
#include "command/monitoring_handlers.h"
#include "command/server_totals.h"
#include "engine/node.h"

namespace fluxkv::command {
namespace {

constexpr std::string_view kMemoryHelp[] = {
    "DOCTOR",
    "    What is remarkable about the memory in use, in sentences.",
    "MALLOC-STATS",
    "    The allocator's own report.",
    "PURGE",
    "    Give unused memory back to the operating system.",
    "STATS",
    "    Figures about the memory in use.",
    "USAGE <key> [SAMPLES <count>]",
    "    Bytes that <key> and its value take.",
};

class StatsMap {
 public:
  explicit StatsMap(resp::Writer& reply) : reply_(reply), mark_(reply.BeginDeferred()) {}
  void Add(std::string_view name, uint64_t value) { AddSigned(name, static_cast<int64_t>(value)); }
  void AddSigned(std::string_view name, int64_t value) {
    reply_.Bulk(name);
    reply_.Integer(value);
    ++pairs_;
  }
  void AddDouble(std::string_view name, double value) {
    reply_.Bulk(name);
    reply_.Double(value);
    ++pairs_;
  }
  void End() { reply_.EndDeferredMap(mark_, pairs_); }

 private:
  resp::Writer& reply_;
  const size_t mark_;
  size_t pairs_ = 0;
};

uint64_t AllKeys(const Services& services) {
  uint64_t keys = 0;
  for (uint32_t db = 0; db < services.database.databases(); ++db)
    keys += services.database.database_stats(db).keys;
  return keys;
}

void AddRatio(std::string_view part, uint64_t a, uint64_t b, StatsMap* map) {
  map->AddDouble(std::string(part) + ".ratio", Ratio(a, b));
  map->AddSigned(std::string(part) + ".bytes", Difference(a, b));
}

}  // namespace

void MemoryHelp(Context& c) {
  ReplyHelp(c, kMemoryHelp);
}

void MemoryUsage(Context& c) {
  for (size_t i = 3; i < c.args.size(); i += 2) {
    if (!EqualsIgnoreCase(c.args[i], "samples") || i + 1 == c.args.size())
      return c.reply.Error(errors::kSyntax);
    int64_t samples = 0;
    if (!ReadInteger(c, i + 1, &samples)) return;
    if (samples < 0) return c.reply.Error(errors::kSyntax);
  }
  const engine::Version* version = c.txn.Peek(c.db(), c.Key(2));
  if (version == nullptr) return c.reply.Null();
  // An entry is six bytes in the hash index and eight in the list; with the room that both leave it
  // is some 22 (measured).
  constexpr size_t kPlaceBytes = 22;
  const size_t bytes =
      engine::Node::AllocatedBytes(c.args[2].size()) + version->AllocatedBytes() + kPlaceBytes;
  c.reply.Integer(static_cast<int64_t>(bytes));
}

void MemoryStats(Context& c) {
  MemoryTotals memory = ReadMemory(c.services);
  uint64_t keys = AllKeys(c.services);
  StatsMap map(c.reply);
  map.Add("peak.allocated", memory.peak_bytes);
  map.Add("total.allocated", memory.used_bytes);
  map.Add("startup.allocated", 0);
  map.Add("replication.backlog", 0);
  map.Add("clients.slaves", 0);
  map.Add("clients.normal", memory.clients.memory_bytes);
  map.Add("cluster.links", 0);
  map.Add("aof.buffer", 0);
  map.Add("lua.caches", 0);
  map.Add("functions.caches", 0);
  map.Add("garbage", memory.garbage_bytes);
  map.Add("retired", memory.retired_bytes);
  map.Add("overhead.policy", memory.policy_bytes);
  map.Add("overhead.total", memory.overhead_bytes);
  map.Add("keys.count", keys);
  map.Add("keys.bytes-per-key", keys == 0 ? 0 : memory.used_bytes / keys);
  map.Add("dataset.bytes", memory.dataset_bytes());
  map.AddDouble("dataset.percentage", Ratio(memory.dataset_bytes(), memory.used_bytes) * 100);
  map.AddDouble("peak.percentage", Ratio(memory.used_bytes, memory.peak_bytes) * 100);
  map.Add("allocator.allocated", memory.allocated_bytes);
  map.Add("allocator.active", memory.active_bytes);
  map.Add("allocator.resident", memory.resident_bytes);
  AddRatio("allocator-fragmentation", memory.active_bytes, memory.allocated_bytes, &map);
  AddRatio("allocator-rss", memory.resident_bytes, memory.active_bytes, &map);
  AddRatio("rss-overhead", memory.rss_bytes, memory.resident_bytes, &map);
  map.AddDouble("fragmentation", Ratio(memory.rss_bytes, memory.used_bytes));
  map.AddSigned("fragmentation.bytes", Difference(memory.rss_bytes, memory.used_bytes));
  map.End();
}

void MemoryDoctor(Context& c) {
  constexpr uint64_t kLittleBytes = 5 << 20;
  constexpr double kHighRatio = 1.4;
  MemoryTotals memory = ReadMemory(c.services);
  if (memory.used_bytes < kLittleBytes)
    return c.reply.Verbatim("The data takes less than 5 MB: too little to say anything about.\n",
                            "txt");
  std::string text;
  if (Ratio(memory.peak_bytes, memory.used_bytes) > kHighRatio)
    text += "- The data once took " + HumanBytes(memory.peak_bytes) + " and now takes " +
            HumanBytes(memory.used_bytes) +
            ": resident memory may stay high until it is used again or MEMORY PURGE is called.\n";
  if (Ratio(memory.active_bytes, memory.allocated_bytes) > kHighRatio)
    text += "- The allocator's pages are fragmented: " + HumanBytes(memory.allocated_bytes) +
            " are in use of " + HumanBytes(memory.active_bytes) + ".\n";
  if (Ratio(memory.rss_bytes, memory.resident_bytes) > kHighRatio)
    text += "- The process has " + HumanBytes(memory.rss_bytes) + " resident, the allocator " +
            HumanBytes(memory.resident_bytes) +
            ": the difference is code, stacks and the kernel's.\n";
  if (memory.clients.memory_bytes > memory.used_bytes / 2)
    text += "- Client buffers take " + HumanBytes(memory.clients.memory_bytes) +
            ": CLIENT LIST shows whose (tot-mem).\n";
  uint64_t versions = c.services.database.stats().versions_kept;
  if (versions > AllKeys(c.services))
    text += "- " + std::to_string(versions) +
            " old versions are kept for live snapshots: a long transaction holds them.\n";
  if (text.empty()) text = "Nothing remarkable about the memory in use.\n";
  c.reply.Verbatim(text, "txt");
}

void MemoryMallocStats(Context& c) {
  std::string report = AllocatorReport();
  c.reply.Verbatim(report.empty() ? "Stats not supported for the current allocator" : report,
                   "txt");
}

void MemoryPurge(Context& c) {
  if (!PurgeAllocator()) return c.reply.Error("ERR Error purging dirty pages");
  c.reply.Ok();
}

}  // namespace fluxkv::command
