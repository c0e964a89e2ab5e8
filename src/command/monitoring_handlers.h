// Handlers of SLOWLOG, LATENCY and MEMORY, whose rows are in monitoring_commands.cc.
#pragma once

#include "command/context.h"

namespace fluxkv::command {

// latency_commands.cc
void LatencyDoctor(Context& c);
void LatencyGraphCommand(Context& c);
void LatencyHelp(Context& c);
void LatencyHistogram(Context& c);
void LatencyHistory(Context& c);
void LatencyLatest(Context& c);
void LatencyReset(Context& c);

// memory_commands.cc
void MemoryDoctor(Context& c);
void MemoryHelp(Context& c);
void MemoryMallocStats(Context& c);
void MemoryPurge(Context& c);
void MemoryStats(Context& c);
void MemoryUsage(Context& c);

}  // namespace fluxkv::command
