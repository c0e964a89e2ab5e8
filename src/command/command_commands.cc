// COMMAND: the command table as clients and tools read it.
#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "base/parse.h"
#include "command/command_facts.h"
#include "command/command_info.h"
#include "command/errors.h"
#include "command/help_reply.h"
#include "command/services.h"
#include "command/table.h"

namespace fluxkv::command {
namespace {

constexpr std::string_view kCommandHelp[] = {
    "(no subcommand)",
    "    What is known of all commands.",
    "COUNT",
    "    Number of commands.",
    "DOCS [<command-name> ...]",
    "    Documentation of all commands, or of those named.",
    "GETKEYS <full-command>",
    "    Keys of a whole command.",
    "GETKEYSANDFLAGS <full-command>",
    "    Keys of a whole command, each with how it is used.",
    "INFO [<command-name> ...]",
    "    What is known of all commands, or of those named.",
    "LIST [FILTERBY (MODULE <module-name>|ACLCAT <category>|PATTERN <pattern>)]",
    "    Names of all commands and subcommands, or of those that match.",
};

void CommandHelp(Context& c) {
  ReplyHelp(c, kCommandHelp);
}

void CommandAll(Context& c) {
  std::span<const Command* const> rows = c.services.table.rows();
  c.reply.ArrayHeader(rows.size());
  for (const Command* row : rows) WriteCommandInfo(row, c.reply);
}

void CommandCount(Context& c) {
  c.reply.Integer(static_cast<int64_t>(c.services.table.rows().size()));
}

void CommandInfo(Context& c) {
  if (c.args.size() == 2) return CommandAll(c);
  c.reply.ArrayHeader(c.args.size() - 2);
  for (size_t i = 2; i < c.args.size(); ++i)
    WriteCommandInfo(FindByFullName(c.services.table, c.args[i]), c.reply);
}

void CommandDocs(Context& c) {
  std::vector<const Command*> commands;
  if (c.args.size() == 2) {
    std::span<const Command* const> rows = c.services.table.rows();
    commands.assign(rows.begin(), rows.end());
  }
  for (size_t i = 2; i < c.args.size(); ++i) {
    const Command* command = FindByFullName(c.services.table, c.args[i]);
    if (command != nullptr) commands.push_back(command);
  }
  c.reply.MapHeader(commands.size());
  for (const Command* command : commands) {
    c.reply.Bulk(CommandTable::FullName(*command));
    WriteCommandDocs(*command, c.reply);
  }
}

// Whether a command is listed; empty when all are.
using ListFilter = std::function<bool(const Command&)>;

// False after answering an error.
bool ReadFilter(Context& c, ListFilter* filter) {
  if (c.args.size() == 2) return true;
  if (c.args.size() != 5 || !EqualsIgnoreCase(c.args[2], "filterby")) {
    c.reply.Error(errors::kSyntax);
    return false;
  }
  std::string_view wanted = c.args[4];
  if (EqualsIgnoreCase(c.args[3], "module")) {
    *filter = [](const Command&) { return false; };
  } else if (EqualsIgnoreCase(c.args[3], "aclcat")) {
    uint32_t bit = 0;
    for (const AclCategoryName& category : AclCategories()) {
      if (EqualsIgnoreCase(category.name, wanted)) bit = category.bit;
    }
    *filter = [bit](const Command& command) { return (CategoriesOf(command) & bit) != 0; };
  } else if (EqualsIgnoreCase(c.args[3], "pattern")) {
    *filter = [wanted](const Command& command) {
      return GlobMatch(wanted, CommandTable::FullName(command), true);
    };
  } else {
    c.reply.Error(errors::kSyntax);
    return false;
  }
  return true;
}

void CommandList(Context& c) {
  ListFilter filter;
  if (!ReadFilter(c, &filter)) return;
  size_t count = 0;
  size_t mark = c.reply.BeginDeferred();
  auto list = [&](const Command& command) {
    if (filter && !filter(command)) return;
    c.reply.Bulk(CommandTable::FullName(command));
    ++count;
  };
  for (const Command* row : c.services.table.rows()) {
    list(*row);
    for (const Command& subcommand : row->subcommands) list(subcommand);
  }
  c.reply.EndDeferredArray(mark, count);
}

struct FoundKey {
  size_t argument;
  uint16_t use;
};

// What SET and BITFIELD do with their key depends on their options.
uint16_t ActualUse(const Command& command, uint16_t use,
                   std::span<const std::string_view> arguments) {
  if ((use & kKeyVariable) == 0) return use;
  auto has = [&](std::string_view option) {
    return std::any_of(arguments.begin() + 2, arguments.end(),
                       [&](std::string_view a) { return EqualsIgnoreCase(a, option); });
  };
  if (command.name == "set")
    return has("get") ? kKeyReadWrite | kKeyAccess | kKeyUpdate : kKeyOverwrite | kKeyUpdate;
  if (has("set") || has("incrby")) return kKeyReadWrite | kKeyAccess | kKeyUpdate;
  return kKeyReadOnly | kKeyAccess;
}

std::vector<FoundKey> KeysOf(const Command& command, std::span<const std::string_view> arguments) {
  std::vector<FoundKey> keys;
  int count = static_cast<int>(arguments.size());
  for (const KeyRange& range : KeyRangesOf(command)) {
    if ((range.use & kKeyNotKey) != 0) continue;
    int last = range.last < 0 ? count + range.last : range.first + range.last;
    for (int i = range.first; i <= last && i < count; i += range.step)
      keys.push_back({static_cast<size_t>(i), ActualUse(command, range.use, arguments)});
  }
  return keys;
}

void ReplyKeys(Context& c, bool with_flags) {
  std::span<const std::string_view> arguments = c.args.subspan(2);
  const Command* command = c.services.table.Find(arguments[0]);
  if (command != nullptr && !command->subcommands.empty() && arguments.size() > 1)
    command = c.services.table.FindSubcommand(*command, arguments[1]);
  if (command == nullptr) return c.reply.Error("ERR Invalid command specified");
  std::vector<KeyRange> ranges = KeyRangesOf(*command);
  if (std::all_of(ranges.begin(), ranges.end(),
                  [](const KeyRange& range) { return (range.use & kKeyNotKey) != 0; }))
    return c.reply.Error("ERR The command has no key arguments");
  int count = static_cast<int>(arguments.size());
  if ((command->arity > 0 && command->arity != count) || count < -command->arity)
    return c.reply.Error("ERR Invalid number of arguments specified for command");
  std::vector<FoundKey> keys = KeysOf(*command, arguments);
  if (keys.empty() && (command->flags & kNoMandatoryKeys) == 0)
    return c.reply.Error("ERR Invalid arguments specified for command");
  c.reply.ArrayHeader(keys.size());
  for (const FoundKey& key : keys) {
    if (with_flags) c.reply.ArrayHeader(2);
    c.reply.Bulk(arguments[key.argument]);
    if (!with_flags) continue;
    std::vector<std::string_view> uses = KeyUseNames(key.use);
    c.reply.SetHeader(uses.size());
    for (std::string_view use : uses) c.reply.SimpleString(use);
  }
}

void CommandGetKeys(Context& c) {
  ReplyKeys(c, /*with_flags=*/false);
}

void CommandGetKeysAndFlags(Context& c) {
  ReplyKeys(c, /*with_flags=*/true);
}

constexpr Command CommandSubcommand(std::string_view name, int arity, std::string_view since,
                                    std::string_view complexity, std::string_view summary,
                                    Handler handler) {
  return {.name = name,
          .arity = arity,
          .flags = kLoading | kStale,
          .group = Group::kServer,
          .acl = kAclConnection,
          .since = since,
          .complexity = complexity,
          .summary = summary,
          .handler = handler,
          .parent = "command"};
}

constexpr std::string_view kPerName = "O(N) where N is the number of commands to look up";
constexpr std::string_view kPerArgument = "O(N) where N is the number of arguments of the command";
constexpr std::string_view kPerCommand = "O(N) where N is the number of commands of the server";

constexpr Command kCommandSubcommands[] = {
    CommandSubcommand("count", 2, "2.8.13", "O(1)", "Returns the number of commands.",
                      &CommandCount),
    CommandSubcommand("docs", -2, "7.0.0", kPerName, "Returns documentation of commands.",
                      &CommandDocs),
    CommandSubcommand("getkeys", -3, "2.8.13", kPerArgument, "Returns the keys of a whole command.",
                      &CommandGetKeys),
    CommandSubcommand("getkeysandflags", -3, "7.0.0", kPerArgument,
                      "Returns the keys of a whole command and how they are used.",
                      &CommandGetKeysAndFlags),
    CommandSubcommand("help", 2, "5.0.0", "O(1)", kHelpSummary, &CommandHelp),
    CommandSubcommand("info", -2, "2.8.13", kPerName, "Returns what is known of commands.",
                      &CommandInfo),
    CommandSubcommand("list", -2, "7.0.0", kPerCommand, "Returns the names of commands.",
                      &CommandList),
};

constexpr Command kCommandRows[] = {
    {.name = "command",
     .arity = -1,
     .flags = kLoading | kStale,
     .group = Group::kServer,
     .acl = kAclConnection,
     .since = "2.8.13",
     .complexity = kPerCommand,
     .summary = "Returns what is known of all commands.",
     .handler = &CommandAll,
     .subcommands = kCommandSubcommands},
};

}  // namespace

std::span<const Command> CommandCommands() {
  return kCommandRows;
}

}  // namespace fluxkv::command
