// The parts of COMMAND's replies that describe one command.
// Threads: the connection's loop.
#pragma once

#include <string_view>

#include "command/command.h"
#include "command/table.h"
#include "resp/writer.h"

namespace fluxkv::command {

// "get" or "client|list", in any case; null if there is none.
const Command* FindByFullName(const CommandTable& table, std::string_view name);

// Ten elements: name, arity, flags, first, last and step of keys, ACL categories, tips, key specs,
// subcommands. Null for a null command.
void WriteCommandInfo(const Command* command, resp::Writer& reply);
// The map of COMMAND DOCS, without its name.
void WriteCommandDocs(const Command& command, resp::Writer& reply);

}  // namespace fluxkv::command
