// Handlers of LATENCY: events that were slow (latency.h), and histograms of all commands.
#include <string>
#include <vector>

#include "base/clock.h"
#include "command/command_info.h"
#include "command/help_reply.h"
#include "command/latency.h"
#include "command/monitoring_handlers.h"
#include "command/server_totals.h"
#include "command/table.h"

namespace fluxkv::command {
namespace {

constexpr std::string_view kLatencyHelp[] = {
    "DOCTOR",
    "    What was slow, in sentences, with advice.",
    "GRAPH <event>",
    "    Drawing of when <event> was slow.",
    "HISTORY <event>",
    "    When <event> was slow: times and milliseconds.",
    "LATEST",
    "    Last and worst time of every event.",
    "RESET [<event> ...]",
    "    Forget the events named, or all.",
    "HISTOGRAM [COMMAND ...]",
    "    How many calls of each command took at most 1, 2, 4, ... microseconds.",
};

// One command's name and histogram; false if it was not measured yet.
bool WriteHistogram(Context& c, const Command& command) {
  CommandTotals totals = TotalsOf(c.services.stats, c.services.table.NumberOf(&command));
  if (totals.measured == 0) return false;
  c.reply.Bulk(CommandTable::FullName(command));
  c.reply.MapHeader(2);
  c.reply.Bulk("calls");
  c.reply.Integer(static_cast<int64_t>(totals.measured));
  c.reply.Bulk("histogram_usec");
  size_t mark = c.reply.BeginDeferred();
  size_t pairs = 0;
  uint64_t seen = 0, written = 0;
  uint64_t limit_us = 1;
  for (size_t bucket = 0; bucket < kLatencyBuckets; ++bucket) {
    // A bucket that ends beyond the limit belongs to a wider limit; what was seen so far is done.
    while (CommandStats::BucketUpperNs(bucket) > limit_us * 1000) {
      if (seen > written) {
        c.reply.Integer(static_cast<int64_t>(limit_us));
        c.reply.Integer(static_cast<int64_t>(seen));
        written = seen;
        ++pairs;
      }
      limit_us *= 2;
    }
    seen += totals.latency[bucket];
  }
  if (seen > written) {
    c.reply.Integer(static_cast<int64_t>(limit_us));
    c.reply.Integer(static_cast<int64_t>(seen));
    ++pairs;
  }
  c.reply.EndDeferredMap(mark, pairs);
  return true;
}

// The command and its subcommands; how many were written.
size_t WriteHistograms(Context& c, const Command& command) {
  size_t count = WriteHistogram(c, command) ? 1 : 0;
  for (const Command& subcommand : command.subcommands) {
    if (WriteHistogram(c, subcommand)) ++count;
  }
  return count;
}

}  // namespace

void LatencyHelp(Context& c) {
  ReplyHelp(c, kLatencyHelp);
}

void LatencyHistogram(Context& c) {
  size_t mark = c.reply.BeginDeferred();
  size_t count = 0;
  if (c.args.size() == 2) {
    for (const Command* row : c.services.table.rows()) count += WriteHistograms(c, *row);
  }
  for (size_t i = 2; i < c.args.size(); ++i) {
    const Command* command = FindByFullName(c.services.table, c.args[i]);
    if (command != nullptr) count += WriteHistograms(c, *command);
  }
  c.reply.EndDeferredMap(mark, count);
}

void LatencyHistory(Context& c) {
  LatencyMonitor::Event event = c.services.latency.Find(c.args[2]);
  c.reply.ArrayHeader(event.samples.size());
  for (const auto& sample : event.samples) {
    c.reply.ArrayHeader(2);
    c.reply.Integer(sample.time_s);
    c.reply.Integer(sample.duration_ms);
  }
}

void LatencyLatest(Context& c) {
  auto events = c.services.latency.Events();
  c.reply.ArrayHeader(events.size());
  for (const auto& [name, event] : events) {
    c.reply.ArrayHeader(4);
    c.reply.Bulk(name);
    c.reply.Integer(event.samples.back().time_s);
    c.reply.Integer(event.samples.back().duration_ms);
    c.reply.Integer(event.worst_ms);
  }
}

void LatencyReset(Context& c) {
  size_t count = 0;
  if (c.args.size() == 2) count = c.services.latency.ResetAll();
  for (size_t i = 2; i < c.args.size(); ++i) count += c.services.latency.Reset(c.args[i]);
  c.reply.Integer(static_cast<int64_t>(count));
}

void LatencyGraphCommand(Context& c) {
  LatencyMonitor::Event event = c.services.latency.Find(c.args[2]);
  if (event.samples.empty())
    return c.reply.Error("ERR No samples available for event '" + std::string(c.args[2]) + "'");
  c.reply.Verbatim(LatencyGraph(c.args[2], event, RealtimeUs() / 1000000), "txt");
}

void LatencyDoctor(Context& c) {
  const config::Settings& settings = c.services.config.settings();
  c.reply.Verbatim(LatencyReport(c.services.latency.Events(),
                                 settings.latency_threshold_ms.load(std::memory_order_relaxed),
                                 settings.slowlog_slower_than_us.load(std::memory_order_relaxed)),
                   "txt");
}

}  // namespace fluxkv::command
