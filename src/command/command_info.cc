#include "command/command_info.h"

#include <string>
#include <utility>
#include <vector>

#include "command/command_facts.h"

namespace fluxkv::command {
namespace {

constexpr std::pair<uint32_t, std::string_view> kFlagNames[] = {
    {kWrite, "write"},
    {kReadonly, "readonly"},
    {kDenyOom, "denyoom"},
    {kAdmin, "admin"},
    {kPubSub, "pubsub"},
    {kNoScript, "noscript"},
    {kBlocking, "blocking"},
    {kLoading, "loading"},
    {kStale, "stale"},
    {kSkipMonitor, "skip_monitor"},
    {kSkipSlowlog, "skip_slowlog"},
    {kAsking, "asking"},
    {kFast, "fast"},
    {kNoAuth, "no_auth"},
    {kNoMandatoryKeys, "no_mandatory_keys"},
    {kNoAsyncLoading, "no_async_loading"},
    {kNoMulti, "no_multi"},
    {kMovableKeys, "movablekeys"},
    {kAllowBusy, "allow_busy"},
};

std::string_view GroupName(Group group) {
  switch (group) {
    case Group::kGeneric:
      return "generic";
    case Group::kString:
      return "string";
    case Group::kBitmap:
      return "bitmap";
    case Group::kTransactions:
      return "transactions";
    case Group::kPubSub:
      return "pubsub";
    case Group::kConnection:
      return "connection";
    case Group::kServer:
      return "server";
    case Group::kCluster:
      return "cluster";
  }
  return "generic";
}

void WriteSimpleSet(const std::vector<std::string>& names, resp::Writer& reply) {
  reply.SetHeader(names.size());
  for (const std::string& name : names) reply.SimpleString(name);
}

void WriteFlags(const Command& command, resp::Writer& reply) {
  std::vector<std::string> names;
  for (const auto& [flag, name] : kFlagNames) {
    if ((command.flags & flag) != 0) names.emplace_back(name);
  }
  WriteSimpleSet(names, reply);
}

void WriteCategories(const Command& command, resp::Writer& reply) {
  uint32_t categories = CategoriesOf(command);
  std::vector<std::string> names;
  for (const AclCategoryName& category : AclCategories()) {
    if ((categories & category.bit) != 0) names.push_back("@" + std::string(category.name));
  }
  WriteSimpleSet(names, reply);
}

void WriteTips(const Command& command, resp::Writer& reply) {
  std::span<const std::string_view> tips = TipsOf(command);
  reply.SetHeader(tips.size());
  for (std::string_view tip : tips) reply.Bulk(tip);
}

void WriteKeySpecs(const Command& command, resp::Writer& reply) {
  std::vector<KeyRange> ranges = KeyRangesOf(command);
  reply.SetHeader(ranges.size());
  for (const KeyRange& range : ranges) {
    reply.MapHeader(3);
    reply.Bulk("flags");
    std::vector<std::string_view> uses = KeyUseNames(range.use);
    reply.SetHeader(uses.size());
    for (std::string_view use : uses) reply.SimpleString(use);
    reply.Bulk("begin_search");
    reply.MapHeader(2);
    reply.Bulk("type");
    reply.Bulk("index");
    reply.Bulk("spec");
    reply.MapHeader(1);
    reply.Bulk("index");
    reply.Integer(range.first);
    reply.Bulk("find_keys");
    reply.MapHeader(2);
    reply.Bulk("type");
    reply.Bulk("range");
    reply.Bulk("spec");
    reply.MapHeader(3);
    reply.Bulk("lastkey");
    reply.Integer(range.last);
    reply.Bulk("keystep");
    reply.Integer(range.step);
    reply.Bulk("limit");
    reply.Integer(0);
  }
}

}  // namespace

const Command* FindByFullName(const CommandTable& table, std::string_view name) {
  size_t bar = name.find('|');
  const Command* command = table.Find(name.substr(0, bar));
  if (command == nullptr || bar == std::string_view::npos) return command;
  return table.FindSubcommand(*command, name.substr(bar + 1));
}

void WriteCommandInfo(const Command* command, resp::Writer& reply) {
  if (command == nullptr) return reply.Null();
  reply.ArrayHeader(10);
  reply.Bulk(CommandTable::FullName(*command));
  reply.Integer(command->arity);
  WriteFlags(*command, reply);
  reply.Integer(command->keys.first);
  reply.Integer(command->keys.last);
  reply.Integer(command->keys.step);
  WriteCategories(*command, reply);
  WriteTips(*command, reply);
  WriteKeySpecs(*command, reply);
  if (command->subcommands.empty()) return reply.SetHeader(0);
  reply.ArrayHeader(command->subcommands.size());
  for (const Command& subcommand : command->subcommands) WriteCommandInfo(&subcommand, reply);
}

void WriteCommandDocs(const Command& command, resp::Writer& reply) {
  std::string_view deprecated = DeprecatedSince(command);
  size_t mark = reply.BeginDeferred();
  size_t fields = 0;
  auto add = [&](std::string_view name, std::string_view value) {
    if (value.empty()) return;
    reply.Bulk(name);
    reply.Bulk(value);
    ++fields;
  };
  add("summary", command.summary);
  add("since", command.since);
  add("group", GroupName(command.group));
  add("complexity", command.complexity);
  if (!deprecated.empty()) {
    reply.Bulk("doc_flags");
    WriteSimpleSet({"deprecated"}, reply);
    ++fields;
    add("deprecated_since", deprecated);
  }
  if (!command.subcommands.empty()) {
    reply.Bulk("subcommands");
    reply.MapHeader(command.subcommands.size());
    for (const Command& subcommand : command.subcommands) {
      reply.Bulk(CommandTable::FullName(subcommand));
      WriteCommandDocs(subcommand, reply);
    }
    ++fields;
  }
  reply.EndDeferredMap(mark, fields);
}

}  // namespace fluxkv::command
