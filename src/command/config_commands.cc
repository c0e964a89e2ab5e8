// CONFIG, over the configuration of src/config.
#include <string>
#include <utility>
#include <vector>

#include "command/help_reply.h"
#include "command/services.h"
#include "command/table.h"

namespace fluxkv::command {
namespace {

constexpr std::string_view kConfigHelp[] = {
    "GET <pattern>",
    "    Options whose name matches <pattern>, with their values.",
    "SET <directive> <value>",
    "    Change options while running: all that are given, or none.",
    "RESETSTAT",
    "    Set the counters that INFO shows back to zero.",
    "REWRITE",
    "    Keep what was changed while running for the next start: it is written beside the",
    "    configuration file, which stays as it is.",
    "RELOAD",
    "    Read the configuration file again, as a start would, and take what can change while",
    "    running. The log says what was changed and what needs a restart.",
};

void ConfigHelp(Context& c) {
  ReplyHelp(c, kConfigHelp);
}

void ConfigGet(Context& c) {
  std::vector<std::string> patterns(c.args.begin() + 2, c.args.end());
  std::vector<std::pair<std::string, std::string>> found = c.services.config.Get(patterns);
  c.reply.MapHeader(found.size());
  for (const auto& [name, value] : found) {
    c.reply.Bulk(name);
    c.reply.Bulk(value);
  }
}

void ConfigSet(Context& c) {
  for (size_t i = 2; i + 1 < c.args.size(); i += 2) {
    if (config::Config::IsSensitive(c.args[i])) c.Redact(i + 1);
  }
  if (c.args.size() % 2 != 0)
    return c.reply.Error("ERR wrong number of arguments for 'config|set' command");
  std::vector<std::pair<std::string, std::string>> pairs;
  for (size_t i = 2; i < c.args.size(); i += 2)
    pairs.emplace_back(std::string(c.args[i]), std::string(c.args[i + 1]));
  Status status = c.services.config.Set(pairs, c.session.info->loopback);
  if (!status.ok()) return c.reply.Error(status.message());
  c.reply.Ok();
}

void ConfigResetStat(Context& c) {
  c.services.stats.Reset();
  c.services.database.ResetCounts();
  c.reply.Ok();
}

void ConfigRewrite(Context& c) {
  Status status = c.services.config.Rewrite();
  if (!status.ok()) return c.reply.Error(status.message());
  c.reply.Ok();
}

void ConfigReload(Context& c) {
  Status status = c.services.config.Reload();
  if (!status.ok()) return c.reply.Error(status.message());
  c.reply.Ok();
}

constexpr uint32_t kUsualConfigFlags = kAdmin | kNoScript | kLoading | kStale | kAfterCommit;

constexpr Command ConfigSubcommand(std::string_view name, int arity, uint32_t flags,
                                   std::string_view since, std::string_view complexity,
                                   std::string_view summary, Handler handler) {
  return {.name = name,
          .arity = arity,
          .flags = flags,
          .group = Group::kServer,
          .since = since,
          .complexity = complexity,
          .summary = summary,
          .handler = handler,
          .parent = "config"};
}

constexpr std::string_view kPerParameter = "O(N) where N is the number of options given";

constexpr Command kConfigSubcommands[] = {
    ConfigSubcommand("get", -3, kUsualConfigFlags, "2.0.0", kPerParameter,
                     "Returns values of options.", &ConfigGet),
    ConfigSubcommand("help", 2, kLoading | kStale, "5.0.0", "O(1)", kHelpSummary, &ConfigHelp),
    ConfigSubcommand("reload", 2, kUsualConfigFlags, "7.2.0",
                     "O(N) where N is the size of the files",
                     "Reads the configuration files again.", &ConfigReload),
    ConfigSubcommand("resetstat", 2, kUsualConfigFlags, "2.0.0", "O(1)",
                     "Resets the server's counters.", &ConfigResetStat),
    ConfigSubcommand("rewrite", 2, kUsualConfigFlags, "2.8.0", "O(1)",
                     "Keeps changed options for the next start.", &ConfigRewrite),
    ConfigSubcommand("set", -4, kUsualConfigFlags, "2.0.0", kPerParameter,
                     "Changes options while running.", &ConfigSet),
};

constexpr Command kConfigRows[] = {
    {.name = "config",
     .arity = -2,
     .group = Group::kServer,
     .since = "2.0.0",
     .complexity = "Depends on the subcommand.",
     .summary = "Container of the commands about the configuration.",
     .subcommands = kConfigSubcommands},
};

}  // namespace

std::span<const Command> ConfigCommands() {
  return kConfigRows;
}

}  // namespace fluxkv::command
