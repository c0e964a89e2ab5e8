#include "command/refusals.h"

#include <algorithm>

#include "base/parse.h"
#include "command/errors.h"

namespace fluxkv::command {
namespace {

constexpr size_t kShownBytesMax = 128;

// What a client sent, as it may stand in an error: up to a zero byte, not too long.
std::string_view Shown(std::string_view text, size_t bytes_max = kShownBytesMax) {
  return text.substr(0, std::min(text.find('\0'), bytes_max));
}

std::string OneLine(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\r' || c == '\n'; }, ' ');
  return text;
}

}  // namespace

std::string UnknownCommand(const CommandTable& table, std::span<const std::string_view> arguments) {
  if (table.Find(arguments[0]) != nullptr) {
    return OneLine("ERR unknown subcommand '" + std::string(Shown(arguments[1])) + "'. Try " +
                   ToUpper(arguments[0]) + " HELP.");
  }
  std::string shown;
  for (size_t i = 1; i < arguments.size() && shown.size() < kShownBytesMax; ++i) {
    shown += "'" + std::string(Shown(arguments[i], kShownBytesMax - shown.size())) + "' ";
  }
  return OneLine("ERR unknown command '" + std::string(Shown(arguments[0])) +
                 "', with args beginning with: " + shown);
}

std::string WrongArity(const Command& command) {
  return "ERR wrong number of arguments for '" + CommandTable::FullName(command) + "' command";
}

std::string NotWhileSubscribed(const Command& command) {
  return "ERR Can't execute '" + CommandTable::FullName(command) +
         "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this "
         "context";
}

std::string AbortedBecause(std::string_view error) {
  constexpr std::string_view kCode = "ERR ";
  if (error.starts_with(kCode)) error.remove_prefix(kCode.size());
  return "EXECABORT Transaction discarded because of: " + std::string(error);
}

std::string RefusedByLog(std::string_view failure) {
  return std::string(errors::kLogFailed) + std::string(failure) + std::string(errors::kLogRefuses);
}

std::string NotKnownToLast(std::string_view failure) {
  return std::string(errors::kLogFailed) + std::string(failure) + std::string(errors::kLogNotKnown);
}

bool LooksLikeHttp(std::string_view name) {
  return EqualsIgnoreCase(name, "post") || EqualsIgnoreCase(name, "host:");
}

}  // namespace fluxkv::command
