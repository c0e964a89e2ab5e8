// The texts with which a command is refused, byte for byte as Redis 7.2 has them, but for those
// about the log.
// Threads: pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "command/table.h"

namespace fluxkv::command {

// Names no command, or a command with an unknown subcommand.
std::string UnknownCommand(const CommandTable& table, std::span<const std::string_view> arguments);
std::string WrongArity(const Command& command);
std::string NotWhileSubscribed(const Command& command);
// EXEC refused for a reason of its own: the transaction is over.
std::string AbortedBecause(std::string_view error);
// The log has failed, for this reason: a command that writes is not run.
std::string RefusedByLog(std::string_view failure);
// The same for a command that was run before its effect was safe.
std::string NotKnownToLast(std::string_view failure);
// The first line of an HTTP request: somebody's browser was made to talk to us, so it is cut off.
bool LooksLikeHttp(std::string_view name);

}  // namespace fluxkv::command
