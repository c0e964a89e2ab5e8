// DEBUG: for test suites; enable-debug-command says who may use it. Unlike other containers it is
// one command in the table, as in Redis, and finds its subcommands itself.
#include <cmath>
#include <cstdio>
#include <ctime>
#include <string>

#include "base/parse.h"
#include "command/arguments.h"
#include "command/debug_handlers.h"
#include "command/help_reply.h"
#include "command/save_commands.h"
#include "command/services.h"
#include "command/table.h"

namespace fluxkv::command {
namespace {

constexpr std::string_view kDebugHelp[] = {
    "CHANGE-REPL-ID",
    "    Accepted; there is no replication.",
    "DICT-RESIZING <0|1>",
    "    Accepted; the index grows and shrinks by itself.",
    "DIGEST",
    "    Hex digest of all keys and values.",
    "DIGEST-VALUE <key> [<key> ...]",
    "    Hex digest of each value.",
    "ERROR <string>",
    "    Answer <string> as an error.",
    "HTSTATS <dbid> [full]",
    "    Figures about the index of a database.",
    "LOADAOF",
    "    Load the data again from the last snapshot and the log.",
    "LOG <message>",
    "    Write <message> to standard error.",
    "OBJECT <key>",
    "    Where and how the value of <key> is kept.",
    "PAUSE-CRON <0|1>",
    "    Accepted; there is no such job.",
    "POPULATE <count> [<prefix>] [<size>]",
    "    Make <count> keys <prefix>:<number>, those that do not exist yet.",
    "PROTOCOL <type>",
    "    Answer with an example of <type>: string, integer, double, bignum, null, array, set,",
    "    map, attrib, push, verbatim, true, false.",
    "QUICKLIST-PACKED-THRESHOLD <size>",
    "    Accepted; there are no lists.",
    "RELOAD [option ...]",
    "    Take a snapshot and load the data again from it. Options are accepted.",
    "REPLYBUFFER (PEAK-RESET-TIME <NEVER|RESET|time>|RESIZING <0|1>)",
    "    Accepted; reply buffers shrink when a connection is idle.",
    "SET-ACTIVE-EXPIRE <0|1>",
    "    Whether expired keys are removed before somebody asks for them.",
    "SET-DISABLE-DENY-SCRIPTS <0|1>",
    "    Accepted; there are no scripts.",
    "SLEEP <seconds>",
    "    Stop this connection's event loop for a time, such as 0.5.",
    "STRINGMATCH-TEST",
    "    Match random patterns against random strings.",
};

void Help(Context& c) {
  ReplyHelp(c, kDebugHelp);
}

void Accept(Context& c) {
  c.reply.Ok();
}

void Error(Context& c) {
  c.reply.Error(c.args[2]);
}

void Log(Context& c) {
  std::fprintf(stderr, "DEBUG LOG: %s\n", QuoteBytes(c.args[2]).c_str());
  c.reply.Ok();
}

void Sleep(Context& c) {
  constexpr double kSecondsMax = 3600;
  double seconds = ParseDouble(c.args[2]).value_or(0);
  if (!(seconds > 0)) return c.reply.Ok();
  if (seconds > kSecondsMax) seconds = kSecondsMax;
  double whole = std::floor(seconds);
  timespec time{static_cast<time_t>(whole), static_cast<long>((seconds - whole) * 1e9)};
  nanosleep(&time, nullptr);
  c.reply.Ok();
}

void SetActiveExpire(Context& c) {
  c.services.database.set_active_expiry(c.args[2] != "0");
  c.reply.Ok();
}

void QuicklistThreshold(Context& c) {
  constexpr uint64_t kTooLarge = uint64_t{4} << 30;
  std::optional<uint64_t> bytes = ParseBytes(c.args[2]);
  if (!bytes || *bytes >= kTooLarge)
    return c.reply.Error("ERR argument must be a memory value bigger than 1 and smaller than 4gb");
  c.reply.Ok();
}

void ReplyBuffer(Context& c) {
  if (EqualsIgnoreCase(c.args[2], "peak-reset-time")) {
    int64_t time_ms = 0;
    bool named = EqualsIgnoreCase(c.args[3], "never") || EqualsIgnoreCase(c.args[3], "reset");
    if (!named && !ReadInteger(c, 3, &time_ms)) return;
    return c.reply.Ok();
  }
  if (EqualsIgnoreCase(c.args[2], "resizing")) return c.reply.Ok();
  ReplyUnknownSubcommand(c);
}

void StringMatchTest(Context& c) {
  // A linear congruential generator is enough to make many different patterns.
  constexpr uint64_t kFactor = 6364136223846793005ULL;
  constexpr std::string_view kLetters = "*?[]^-\\ab";
  uint64_t state = 1;
  auto text = [&](size_t size_max) {
    std::string made;
    state = state * kFactor + 1;
    for (size_t size = (state >> 33) % (size_max + 1); size > 0; --size) {
      state = state * kFactor + 1;
      made += kLetters[(state >> 33) % kLetters.size()];
    }
    return made;
  };
  size_t matches = 0;
  for (int i = 0; i < 100000; ++i) matches += GlobMatch(text(16), text(16)) ? 1 : 0;
  c.reply.SimpleString("all patterns came to an end, " + std::to_string(matches) + " matched");
}

void Reload(Context& c) {
  if (c.in_exec) return c.reply.Error("ERR Command not allowed inside a transaction");
  ParkUntilReloadEnds(c, c.services.persistence.BeginReload(PersistenceControl::Reload::kSnapshot));
}

void LoadAof(Context& c) {
  if (c.in_exec) return c.reply.Error("ERR Command not allowed inside a transaction");
  ParkUntilReloadEnds(c, c.services.persistence.BeginReload(PersistenceControl::Reload::kLog));
}

struct Subcommand {
  std::string_view name;
  size_t arguments_min;  // with DEBUG and the name
  size_t arguments_max;
  Handler handler;
};

constexpr size_t kAnyNumber = ~size_t{0};

constexpr Subcommand kDebugSubcommands[] = {
    {"change-repl-id", 2, 2, &Accept},
    {"dict-resizing", 3, 3, &Accept},
    {"digest", 2, 2, &DebugDigest},
    {"digest-value", 2, kAnyNumber, &DebugDigestValue},
    {"error", 3, 3, &Error},
    {"help", 2, 2, &Help},
    {"htstats", 3, 4, &DebugHtStats},
    {"loadaof", 2, 2, &LoadAof},
    {"log", 3, 3, &Log},
    {"object", 3, 3, &DebugObject},
    {"pause-cron", 3, 3, &Accept},
    {"populate", 3, 5, &DebugPopulate},
    {"protocol", 3, 3, &DebugProtocol},
    {"quicklist-packed-threshold", 3, 3, &QuicklistThreshold},
    {"reload", 2, 5, &Reload},
    {"replybuffer", 4, 4, &ReplyBuffer},
    {"set-active-expire", 3, 3, &SetActiveExpire},
    {"set-disable-deny-scripts", 3, 3, &Accept},
    {"sleep", 3, 3, &Sleep},
    {"stringmatch-test", 2, 2, &StringMatchTest},
};

bool Allowed(const Context& c) {
  switch (c.services.config.start().debug_command) {
    case config::Permission::kNo:
      return false;
    case config::Permission::kYes:
      return true;
    case config::Permission::kLocal:
      return c.session.info->loopback;
  }
  return false;
}

void Debug(Context& c) {
  if (!Allowed(c))
    return c.reply.Error(
        "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", "
        "you can run it from a local connection, otherwise you need to set this option in the "
        "configuration file, and then restart the server.");
  if (c.services.persistence.loading()) return c.reply.Error(errors::kLoading);
  size_t count = c.args.size();
  for (const Subcommand& subcommand : kDebugSubcommands) {
    if (!EqualsIgnoreCase(subcommand.name, c.args[1])) continue;
    if (count < subcommand.arguments_min || count > subcommand.arguments_max) break;
    return subcommand.handler(c);
  }
  ReplyUnknownSubcommand(c);
}

bool FindKeys(std::span<const std::string_view> arguments, uint32_t selected_db,
              std::vector<DeclaredKey>* keys) {
  if (arguments.size() == 3 && EqualsIgnoreCase(arguments[1], "object"))
    keys->push_back({selected_db, 2});
  if (arguments.size() > 2 && EqualsIgnoreCase(arguments[1], "digest-value")) {
    for (size_t i = 2; i < arguments.size(); ++i) keys->push_back({selected_db, i});
  }
  return true;
}

constexpr Command kDebugRows[] = {
    {.name = "debug",
     .arity = -2,
     .flags = kAdmin | kNoScript | kLoading | kStale | kNotInTransaction,
     .group = Group::kServer,
     .since = "1.0.0",
     .complexity = "Depends on the subcommand.",
     .summary = "Container of the commands for test suites.",
     .scope = Scope::kRead,
     .handler = &Debug,
     .find_keys = &FindKeys},
};

}  // namespace

std::span<const Command> DebugCommands() {
  return kDebugRows;
}

}  // namespace fluxkv::command
