// The reply of a HELP subcommand.
//
//   constexpr std::string_view kLines[] = {"LEN", "    Number of entries kept."};
//   ReplyHelp(c, kLines);
//
// Threads: the connection's loop.
#pragma once

#include <span>
#include <string_view>

#include "command/context.h"

namespace fluxkv::command {

// What COMMAND DOCS says of a HELP subcommand.
inline constexpr std::string_view kHelpSummary = "Returns a text about the subcommands.";

// A heading with the command's name, the lines, and HELP itself, each a simple string.
void ReplyHelp(Context& c, std::span<const std::string_view> lines);

// For commands that find their subcommands themselves (DEBUG).
void ReplyUnknownSubcommand(Context& c);

}  // namespace fluxkv::command
