// Handlers of DEBUG's subcommands, which debug_commands.cc finds by name.
#pragma once

#include "command/context.h"

namespace fluxkv::command {

// debug_data.cc: look at keys, or make them.
void DebugDigest(Context& c);
void DebugDigestValue(Context& c);
void DebugHtStats(Context& c);
void DebugObject(Context& c);
void DebugPopulate(Context& c);

// debug_protocol.cc
void DebugProtocol(Context& c);

}  // namespace fluxkv::command
