// Handlers of CLIENT, whose rows are in client_commands.cc.
#pragma once

#include "command/context.h"

namespace fluxkv::command {

void ClientKill(Context& c);  // client_kill.cc

}  // namespace fluxkv::command
