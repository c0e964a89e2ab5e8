// SLOWLOG, and the rows of LATENCY (latency_commands.cc) and MEMORY (memory_commands.cc).
#include "base/parse.h"
#include "command/help_reply.h"
#include "command/monitoring_handlers.h"
#include "command/services.h"
#include "command/slowlog.h"
#include "command/table.h"

namespace fluxkv::command {
namespace {

constexpr std::string_view kSlowLogHelp[] = {
    "GET [<count>]",
    "    The newest <count> entries (default: 10, -1: all). Each is an array of",
    "    id, time, microseconds, arguments, address and name of the client.",
    "LEN",
    "    Number of entries.",
    "RESET",
    "    Forget all entries.",
};

void SlowLogHelp(Context& c) {
  ReplyHelp(c, kSlowLogHelp);
}

void SlowLogGet(Context& c) {
  if (c.args.size() > 3) return ReplyUnknownSubcommand(c);
  size_t count = 10;
  if (c.args.size() == 3) {
    std::optional<int64_t> wanted = ParseInt64(c.args[2]);
    if (!wanted || *wanted < -1)
      return c.reply.Error("ERR count should be greater than or equal to -1");
    count = static_cast<size_t>(*wanted);  // -1: more than there can be
  }
  std::vector<SlowLog::Entry> entries = c.services.slowlog.Newest(count);
  c.reply.ArrayHeader(entries.size());
  for (const SlowLog::Entry& entry : entries) {
    c.reply.ArrayHeader(6);
    c.reply.Integer(static_cast<int64_t>(entry.id));
    c.reply.Integer(entry.time_s);
    c.reply.Integer(entry.duration_us);
    c.reply.ArrayHeader(entry.arguments.size());
    for (const std::string& argument : entry.arguments) c.reply.Bulk(argument);
    c.reply.Bulk(entry.address);
    c.reply.Bulk(entry.client_name);
  }
}

void SlowLogLen(Context& c) {
  c.reply.Integer(static_cast<int64_t>(c.services.slowlog.size()));
}

void SlowLogReset(Context& c) {
  c.services.slowlog.Reset();
  c.reply.Ok();
}

constexpr Command MonitoringSubcommand(std::string_view parent, std::string_view name, int arity,
                                       uint32_t flags, std::string_view since,
                                       std::string_view summary, Handler handler,
                                       std::string_view complexity = "O(1)") {
  return {.name = name,
          .arity = arity,
          .flags = flags,
          .group = Group::kServer,
          .since = since,
          .complexity = complexity,
          .summary = summary,
          .handler = handler,
          .parent = parent};
}

constexpr uint32_t kHelpFlags = kLoading | kStale;

constexpr uint32_t kSlowLogFlags = kAdmin | kLoading | kStale;
constexpr Command kSlowLogSubcommands[] = {
    MonitoringSubcommand("slowlog", "get", -2, kSlowLogFlags, "2.2.12",
                         "Returns entries of the slow log.", &SlowLogGet,
                         "O(N) where N is the number of entries returned"),
    MonitoringSubcommand("slowlog", "help", 2, kHelpFlags, "6.2.0", kHelpSummary, &SlowLogHelp),
    MonitoringSubcommand("slowlog", "len", 2, kSlowLogFlags, "2.2.12",
                         "Returns the number of entries of the slow log.", &SlowLogLen),
    MonitoringSubcommand("slowlog", "reset", 2, kSlowLogFlags, "2.2.12", "Forgets all entries.",
                         &SlowLogReset, "O(N) where N is the number of entries"),
};

constexpr uint32_t kLatencyFlags = kAdmin | kNoScript | kLoading | kStale;
constexpr Command kLatencySubcommands[] = {
    MonitoringSubcommand("latency", "doctor", 2, kLatencyFlags, "2.8.13",
                         "Returns a report on slow events.", &LatencyDoctor),
    MonitoringSubcommand("latency", "graph", 3, kLatencyFlags, "2.8.13",
                         "Returns a drawing of an event.", &LatencyGraphCommand),
    MonitoringSubcommand("latency", "help", 2, kHelpFlags, "2.8.13", kHelpSummary, &LatencyHelp),
    MonitoringSubcommand("latency", "histogram", -2, kLatencyFlags, "7.0.0",
                         "Returns how long commands took.", &LatencyHistogram,
                         "O(N) where N is the number of commands returned"),
    MonitoringSubcommand("latency", "history", 3, kLatencyFlags, "2.8.13",
                         "Returns when an event was slow.", &LatencyHistory),
    MonitoringSubcommand("latency", "latest", 2, kLatencyFlags, "2.8.13",
                         "Returns the last time of every event.", &LatencyLatest),
    MonitoringSubcommand("latency", "reset", -2, kLatencyFlags, "2.8.13", "Forgets events.",
                         &LatencyReset),
};

constexpr Command MemoryUsageRow() {
  Command row = MonitoringSubcommand("memory", "usage", -3, kReadonly, "4.0.0",
                                     "Returns the memory that a key and its value take.",
                                     &MemoryUsage, "O(N) where N is the number of samples");
  row.keys = {2, 2, 1};
  row.scope = Scope::kRead;
  return row;
}

constexpr Command kMemorySubcommands[] = {
    MonitoringSubcommand("memory", "doctor", 2, 0, "4.0.0", "Returns a report on memory.",
                         &MemoryDoctor),
    MonitoringSubcommand("memory", "help", 2, kHelpFlags, "4.0.0", kHelpSummary, &MemoryHelp),
    MonitoringSubcommand("memory", "malloc-stats", 2, 0, "4.0.0",
                         "Returns the allocator's own report.", &MemoryMallocStats,
                         "Depends on how much memory is allocated, could be slow"),
    MonitoringSubcommand("memory", "purge", 2, 0, "4.0.0",
                         "Gives unused memory back to the system.", &MemoryPurge,
                         "Depends on how much memory is allocated, could be slow"),
    MonitoringSubcommand("memory", "stats", 2, 0, "4.0.0", "Returns figures about memory.",
                         &MemoryStats),
    MemoryUsageRow(),
};

constexpr Command MonitoringContainer(std::string_view name, std::string_view since,
                                      std::string_view summary,
                                      std::span<const Command> subcommands) {
  return {.name = name,
          .arity = -2,
          .group = Group::kServer,
          .since = since,
          .complexity = "Depends on the subcommand.",
          .summary = summary,
          .subcommands = subcommands};
}

constexpr Command kMonitoringRows[] = {
    MonitoringContainer("slowlog", "2.2.12", "Container of the commands about slow commands.",
                        kSlowLogSubcommands),
    MonitoringContainer("latency", "2.8.13", "Container of the commands about latency.",
                        kLatencySubcommands),
    MonitoringContainer("memory", "4.0.0", "Container of the commands about memory.",
                        kMemorySubcommands),
};

}  // namespace

std::span<const Command> MonitoringCommands() {
  return kMonitoringRows;
}

}  // namespace fluxkv::command
