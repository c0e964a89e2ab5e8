#include "command/help_reply.h"

#include <string>

#include "base/parse.h"

namespace fluxkv::command {

void ReplyHelp(Context& c, std::span<const std::string_view> lines) {
  c.reply.ArrayHeader(lines.size() + 3);
  c.reply.SimpleString(ToUpper(c.args[0]) +
                       " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
  for (std::string_view line : lines) c.reply.SimpleString(line);
  c.reply.SimpleString("HELP");
  c.reply.SimpleString("    Print this help.");
}

void ReplyUnknownSubcommand(Context& c) {
  constexpr size_t kShownBytesMax = 128;
  std::string text = "ERR unknown subcommand or wrong number of arguments for '";
  text += c.args[1].substr(0, kShownBytesMax);
  text += "'. Try " + ToUpper(c.args[0]) + " HELP.";
  c.reply.Error(text);
}

}  // namespace fluxkv::command
