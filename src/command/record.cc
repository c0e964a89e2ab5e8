#include "command/record.h"

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/parse.h"
#include "command/latency.h"
#include "command/slowlog.h"

namespace fluxkv::command {
namespace {

constexpr int64_t kNsPerUs = 1000;
constexpr int64_t kNsPerMs = 1000000;

// Runs `use` with the arguments as they may be shown.
template <class Use>
void WithShownArguments(const LoopState& loop, const CallRecord& call, Use use) {
  if (loop.redacted.empty()) return use(call.arguments);
  std::vector<std::string_view> shown(call.arguments.begin(), call.arguments.end());
  for (size_t argument : loop.redacted) {
    if (argument < shown.size()) shown[argument] = "(redacted)";
  }
  use(std::span<const std::string_view>(shown));
}

[[gnu::noinline]] void RecordSlow(Services& services, LoopState& loop, const CallRecord& call) {
  WithShownArguments(loop, call, [&](std::span<const std::string_view> arguments) {
    services.slowlog.Record(arguments, static_cast<int64_t>(call.ns) / kNsPerUs,
                            *call.session.info);
  });
}

[[gnu::noinline]] void ShowToMonitors(Services& services, LoopState& loop, const CallRecord& call) {
  WithShownArguments(loop, call, [&](std::span<const std::string_view> arguments) {
    services.clients.PostMonitorLine(MonitorLine(*call.session.info, call.db, arguments),
                                     StampOfMessage(call.session, loop));
  });
}

}  // namespace

std::string MonitorLine(const ClientInfo& client, uint32_t db,
                        std::span<const std::string_view> arguments) {
  constexpr int64_t kUsPerSecond = 1000000;
  int64_t now_us = RealtimeUs();
  std::string us = std::to_string(now_us % kUsPerSecond);
  std::string address = client.address;
  if ((client.flags.load(std::memory_order_relaxed) & kClientUnixSocket) != 0) {
    address = "unix:" + address.substr(0, address.rfind(':'));
  }
  std::string line = std::to_string(now_us / kUsPerSecond) + "." + std::string(6 - us.size(), '0') +
                     us + " [" + std::to_string(db) + " " + address + "]";
  for (std::string_view argument : arguments) {
    line += ' ';
    line += QuoteBytes(argument);
  }
  return line;
}

void RecordCall(Services& services, LoopState& loop, const CallRecord& call) {
  const config::Settings& settings = services.config.settings();
  LoopStats& stats = loop.stats;
  CommandStats& own = stats.per_command[call.command.number];
  stats.commands.Add(1);
  own.Record(call.ns, settings.latency_tracking.load(std::memory_order_relaxed) != 0);
  if (!call.error.empty()) [[unlikely]] {
    own.failed.Add(1);
    stats.CountError(call.error);
  }
  auto ns = static_cast<int64_t>(call.ns);
  int64_t slow_us = settings.slowlog_slower_than_us.load(std::memory_order_relaxed);
  if (slow_us >= 0 && ns / kNsPerUs >= slow_us && (call.command.flags & kSkipSlowlog) == 0)
      [[unlikely]] {
    RecordSlow(services, loop, call);
  }
  int64_t latency_ms = settings.latency_threshold_ms.load(std::memory_order_relaxed);
  if (latency_ms > 0 && ns / kNsPerMs >= latency_ms) [[unlikely]] {
    services.latency.Record((call.command.flags & kFast) != 0 ? "fast-command" : "command",
                            ns / kNsPerMs);
  }
  if (services.clients.monitored() && (call.command.flags & (kSkipMonitor | kAdmin)) == 0)
      [[unlikely]] {
    ShowToMonitors(services, loop, call);
  }
  loop.redacted.clear();
}

}  // namespace fluxkv::command
