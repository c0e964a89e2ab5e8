// What is kept of a command that has run: counters, slow log, latency events, MONITOR.
// Threads: the loop's.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "command/services.h"
#include "command/session.h"
#include "resp/writer.h"

namespace fluxkv::command {

struct CallRecord {
  const Session& session;
  const Command& command;
  std::span<const std::string_view> arguments;
  uint32_t db;               // selected after it ran
  uint64_t ns;               // it took
  std::string_view error{};  // first word of its last error reply; empty: none
};

// Arguments named in loop.redacted are not shown; the list is emptied.
void RecordCall(Services& services, LoopState& loop, const CallRecord& call);

// "1700000000.123456 [0 127.0.0.1:6379] "set" "k" "v"".
std::string MonitorLine(const ClientInfo& client, uint32_t db,
                        std::span<const std::string_view> arguments);

}  // namespace fluxkv::command
