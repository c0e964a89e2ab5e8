#include "command/command_facts.h"

#include <string>
#include <utility>

#include "command/table.h"

namespace fluxkv::command {
namespace {

struct NamedRange {
  std::string_view name;
  KeyRange range;
};

constexpr NamedRange kRanges[] = {
    {"append", {kKeyReadWrite | kKeyInsert, 1, 0, 1}},
    {"bitcount", {kKeyReadOnly | kKeyAccess, 1, 0, 1}},
    {"bitfield", {kKeyReadWrite | kKeyUpdate | kKeyAccess | kKeyVariable, 1, 0, 1}},
    {"bitfield_ro", {kKeyReadOnly | kKeyAccess, 1, 0, 1}},
    {"bitop", {kKeyOverwrite | kKeyUpdate, 2, 0, 1}},
    {"bitop", {kKeyReadOnly | kKeyAccess, 3, -1, 1}},
    {"bitpos", {kKeyReadOnly | kKeyAccess, 1, 0, 1}},
    {"copy", {kKeyReadOnly | kKeyAccess, 1, 0, 1}},
    {"copy", {kKeyOverwrite | kKeyUpdate, 2, 0, 1}},
    {"decr", {kKeyReadWrite | kKeyAccess | kKeyUpdate, 1, 0, 1}},
    {"decrby", {kKeyReadWrite | kKeyAccess | kKeyUpdate, 1, 0, 1}},
    {"del", {kKeyRemove | kKeyDelete, 1, -1, 1}},
    {"dump", {kKeyReadOnly | kKeyAccess, 1, 0, 1}},
    {"exists", {kKeyReadOnly, 1, -1, 1}},
    {"expire", {kKeyReadWrite | kKeyUpdate, 1, 0, 1}},
    {"expireat", {kKeyReadWrite | kKeyUpdate, 1, 0, 1}},
    {"expiretime", {kKeyReadOnly | kKeyAccess, 1, 0, 1}},
    {"get", {kKeyReadOnly | kKeyAccess, 1, 0, 1}},
    {"getbit", {kKeyReadOnly | kKeyAccess, 1, 0, 1}},
    {"getdel", {kKeyReadWrite | kKeyAccess | kKeyDelete, 1, 0, 1}},
    {"getex", {kKeyReadWrite | kKeyAccess | kKeyUpdate, 1, 0, 1}},
    {"getrange", {kKeyReadOnly | kKeyAccess, 1, 0, 1}},
    {"getset", {kKeyReadWrite | kKeyAccess | kKeyUpdate, 1, 0, 1}},
    {"incr", {kKeyReadWrite | kKeyAccess | kKeyUpdate, 1, 0, 1}},
    {"incrby", {kKeyReadWrite | kKeyAccess | kKeyUpdate, 1, 0, 1}},
    {"incrbyfloat", {kKeyReadWrite | kKeyAccess | kKeyUpdate, 1, 0, 1}},
    {"lcs", {kKeyReadOnly | kKeyAccess, 1, 1, 1}},
    {"memory|usage", {kKeyReadOnly, 2, 0, 1}},
    {"mget", {kKeyReadOnly | kKeyAccess, 1, -1, 1}},
    {"move", {kKeyReadWrite | kKeyAccess | kKeyUpdate, 1, 0, 1}},
    {"mset", {kKeyOverwrite | kKeyUpdate, 1, -1, 2}},
    {"msetnx", {kKeyOverwrite | kKeyInsert, 1, -1, 2}},
    {"object|encoding", {kKeyReadOnly, 2, 0, 1}},
    {"object|freq", {kKeyReadOnly, 2, 0, 1}},
    {"object|idletime", {kKeyReadOnly, 2, 0, 1}},
    {"object|refcount", {kKeyReadOnly, 2, 0, 1}},
    {"persist", {kKeyReadWrite | kKeyUpdate, 1, 0, 1}},
    {"pexpire", {kKeyReadWrite | kKeyUpdate, 1, 0, 1}},
    {"pexpireat", {kKeyReadWrite | kKeyUpdate, 1, 0, 1}},
    {"pexpiretime", {kKeyReadOnly | kKeyAccess, 1, 0, 1}},
    {"psetex", {kKeyOverwrite | kKeyUpdate, 1, 0, 1}},
    {"pttl", {kKeyReadOnly | kKeyAccess, 1, 0, 1}},
    {"rename", {kKeyReadWrite | kKeyAccess | kKeyDelete, 1, 0, 1}},
    {"rename", {kKeyOverwrite | kKeyUpdate, 2, 0, 1}},
    {"renamenx", {kKeyReadWrite | kKeyAccess | kKeyDelete, 1, 0, 1}},
    {"renamenx", {kKeyOverwrite | kKeyInsert, 2, 0, 1}},
    {"restore", {kKeyOverwrite | kKeyUpdate, 1, 0, 1}},
    {"set", {kKeyReadWrite | kKeyAccess | kKeyUpdate | kKeyVariable, 1, 0, 1}},
    {"setbit", {kKeyReadWrite | kKeyAccess | kKeyUpdate, 1, 0, 1}},
    {"setex", {kKeyOverwrite | kKeyUpdate, 1, 0, 1}},
    {"setnx", {kKeyOverwrite | kKeyInsert, 1, 0, 1}},
    {"setrange", {kKeyReadWrite | kKeyUpdate, 1, 0, 1}},
    {"spublish", {kKeyNotKey, 1, 0, 1}},
    {"ssubscribe", {kKeyNotKey, 1, -1, 1}},
    {"strlen", {kKeyReadOnly, 1, 0, 1}},
    {"substr", {kKeyReadOnly | kKeyAccess, 1, 0, 1}},
    {"sunsubscribe", {kKeyNotKey, 1, -1, 1}},
    {"touch", {kKeyReadOnly, 1, -1, 1}},
    {"ttl", {kKeyReadOnly | kKeyAccess, 1, 0, 1}},
    {"type", {kKeyReadOnly, 1, 0, 1}},
    {"unlink", {kKeyRemove | kKeyDelete, 1, -1, 1}},
    {"watch", {kKeyReadOnly, 1, -1, 1}},
};

struct TipList {
  std::string_view name;
  std::span<const std::string_view> tips;
};

constexpr std::string_view kVaries[] = {"nondeterministic_output"};
constexpr std::string_view kVariesAskAllNodesReplySpecial[] = {
    "nondeterministic_output", "request_policy:all_nodes", "response_policy:special"};
constexpr std::string_view kVariesAskAllShardsReplySpecial[] = {
    "nondeterministic_output", "request_policy:all_shards", "response_policy:special"};
constexpr std::string_view kVariesAskSpecialReplySpecial[] = {
    "nondeterministic_output", "request_policy:special", "response_policy:special"};
constexpr std::string_view kAnyOrder[] = {"nondeterministic_output_order"};
constexpr std::string_view kAskAllNodesVaries[] = {"request_policy:all_nodes",
                                                   "nondeterministic_output"};
constexpr std::string_view kAskAllNodesReplyAggSum[] = {"request_policy:all_nodes",
                                                        "response_policy:agg_sum"};
constexpr std::string_view kAskAllNodesReplyAggSumVaries[] = {
    "request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"};
constexpr std::string_view kAskAllNodesReplyAllSucceeded[] = {"request_policy:all_nodes",
                                                              "response_policy:all_succeeded"};
constexpr std::string_view kAskAllShardsAnyOrder[] = {"request_policy:all_shards",
                                                      "nondeterministic_output_order"};
constexpr std::string_view kAskAllShardsReplyAggMin[] = {"request_policy:all_shards",
                                                         "response_policy:agg_min"};
constexpr std::string_view kAskAllShardsReplyAggSum[] = {"request_policy:all_shards",
                                                         "response_policy:agg_sum"};
constexpr std::string_view kAskAllShardsReplyAllSucceeded[] = {"request_policy:all_shards",
                                                               "response_policy:all_succeeded"};
constexpr std::string_view kAskAllShardsReplySpecialVaries[] = {
    "request_policy:all_shards", "response_policy:special", "nondeterministic_output"};
constexpr std::string_view kAskMultiShard[] = {"request_policy:multi_shard"};
constexpr std::string_view kAskMultiShardReplyAggSum[] = {"request_policy:multi_shard",
                                                          "response_policy:agg_sum"};
constexpr std::string_view kAskMultiShardReplyAllSucceeded[] = {"request_policy:multi_shard",
                                                                "response_policy:all_succeeded"};

constexpr TipList kTips[] = {
    {"client|info", kVaries},
    {"client|list", kVaries},
    {"cluster|bumpepoch", kVaries},
    {"cluster|count-failure-reports", kVaries},
    {"cluster|getkeysinslot", kVaries},
    {"cluster|info", kVaries},
    {"cluster|links", kVaries},
    {"cluster|myshardid", kVaries},
    {"cluster|nodes", kVaries},
    {"cluster|replicas", kVaries},
    {"cluster|shards", kVaries},
    {"cluster|slaves", kVaries},
    {"cluster|slots", kVaries},
    {"dump", kVaries},
    {"object|encoding", kVaries},
    {"object|freq", kVaries},
    {"object|idletime", kVaries},
    {"object|refcount", kVaries},
    {"pttl", kVaries},
    {"time", kVaries},
    {"ttl", kVaries},
    {"latency|doctor", kVariesAskAllNodesReplySpecial},
    {"latency|graph", kVariesAskAllNodesReplySpecial},
    {"latency|histogram", kVariesAskAllNodesReplySpecial},
    {"latency|history", kVariesAskAllNodesReplySpecial},
    {"latency|latest", kVariesAskAllNodesReplySpecial},
    {"info", kVariesAskAllShardsReplySpecial},
    {"memory|doctor", kVariesAskAllShardsReplySpecial},
    {"memory|malloc-stats", kVariesAskAllShardsReplySpecial},
    {"memory|stats", kVariesAskAllShardsReplySpecial},
    {"scan", kVariesAskSpecialReplySpecial},
    {"command|docs", kAnyOrder},
    {"command|info", kAnyOrder},
    {"command|list", kAnyOrder},
    {"command", kAnyOrder},
    {"module|list", kAnyOrder},
    {"slowlog|get", kAskAllNodesVaries},
    {"latency|reset", kAskAllNodesReplyAggSum},
    {"slowlog|len", kAskAllNodesReplyAggSumVaries},
    {"client|setinfo", kAskAllNodesReplyAllSucceeded},
    {"client|setname", kAskAllNodesReplyAllSucceeded},
    {"config|resetstat", kAskAllNodesReplyAllSucceeded},
    {"config|rewrite", kAskAllNodesReplyAllSucceeded},
    {"config|set", kAskAllNodesReplyAllSucceeded},
    {"slowlog|reset", kAskAllNodesReplyAllSucceeded},
    {"keys", kAskAllShardsAnyOrder},
    {"wait", kAskAllShardsReplyAggMin},
    {"dbsize", kAskAllShardsReplyAggSum},
    {"flushall", kAskAllShardsReplyAllSucceeded},
    {"flushdb", kAskAllShardsReplyAllSucceeded},
    {"memory|purge", kAskAllShardsReplyAllSucceeded},
    {"ping", kAskAllShardsReplyAllSucceeded},
    {"randomkey", kAskAllShardsReplySpecialVaries},
    {"mget", kAskMultiShard},
    {"del", kAskMultiShardReplyAggSum},
    {"exists", kAskMultiShardReplyAggSum},
    {"touch", kAskMultiShardReplyAggSum},
    {"unlink", kAskMultiShardReplyAggSum},
    {"mset", kAskMultiShardReplyAllSucceeded},
};

struct Deprecation {
  std::string_view name;
  std::string_view since;
};
constexpr Deprecation kDeprecated[] = {
    {"cluster|slaves", "5.0.0"}, {"cluster|slots", "7.0.0"}, {"getset", "6.2.0"},
    {"psetex", "2.6.12"},        {"quit", "7.2.0"},          {"setex", "2.6.12"},
    {"setnx", "2.6.12"},         {"slaveof", "5.0.0"},       {"substr", "2.0.0"}};

constexpr AclCategoryName kCategories[] = {
    {"keyspace", kAclKeyspace},
    {"read", kAclRead},
    {"write", kAclWrite},
    {"set", 0},
    {"sortedset", 0},
    {"list", 0},
    {"hash", 0},
    {"string", kAclString},
    {"bitmap", kAclBitmap},
    {"hyperloglog", 0},
    {"geo", 0},
    {"stream", 0},
    {"pubsub", kAclPubSub},
    {"admin", kAclAdmin},
    {"fast", kAclFast},
    {"slow", kAclSlow},
    {"blocking", kAclBlocking},
    {"dangerous", kAclDangerous},
    {"connection", kAclConnection},
    {"transaction", kAclTransaction},
    {"scripting", 0},
};

uint32_t GroupCategory(Group group) {
  switch (group) {
    case Group::kString:
      return kAclString;
    case Group::kBitmap:
      return kAclBitmap;
    case Group::kTransactions:
      return kAclTransaction;
    case Group::kConnection:
      return kAclConnection;
    case Group::kGeneric:
    case Group::kPubSub:
    case Group::kServer:
    case Group::kCluster:
      break;
  }
  return 0;
}

}  // namespace

std::vector<KeyRange> KeyRangesOf(const Command& command) {
  std::vector<KeyRange> ranges;
  std::string name = CommandTable::FullName(command);
  for (const NamedRange& named : kRanges) {
    if (named.name == name) ranges.push_back(named.range);
  }
  if (!ranges.empty() || command.keys.first == 0) return ranges;
  KeyRange range;
  range.use =
      (command.flags & kWrite) != 0 ? kKeyReadWrite | kKeyUpdate : kKeyReadOnly | kKeyAccess;
  range.first = command.keys.first;
  range.last = command.keys.last < 0 ? command.keys.last : command.keys.last - command.keys.first;
  range.step = command.keys.step;
  ranges.push_back(range);
  return ranges;
}

std::vector<std::string_view> KeyUseNames(uint16_t use) {
  constexpr std::pair<uint16_t, std::string_view> kNames[] = {
      {kKeyReadOnly, "RO"},    {kKeyReadWrite, "RW"},
      {kKeyOverwrite, "OW"},   {kKeyRemove, "RM"},
      {kKeyAccess, "access"},  {kKeyUpdate, "update"},
      {kKeyInsert, "insert"},  {kKeyDelete, "delete"},
      {kKeyNotKey, "not_key"}, {kKeyVariable, "variable_flags"}};
  std::vector<std::string_view> names;
  for (const auto& [bit, name] : kNames) {
    if ((use & bit) != 0) names.push_back(name);
  }
  return names;
}

std::span<const std::string_view> TipsOf(const Command& command) {
  std::string name = CommandTable::FullName(command);
  for (const TipList& list : kTips) {
    if (list.name == name) return list.tips;
  }
  return {};
}

std::string_view DeprecatedSince(const Command& command) {
  std::string name = CommandTable::FullName(command);
  for (const Deprecation& deprecation : kDeprecated) {
    if (deprecation.name == name) return deprecation.since;
  }
  return {};
}

std::span<const AclCategoryName> AclCategories() {
  return kCategories;
}

uint32_t CategoriesOf(const Command& command) {
  uint32_t categories = command.acl;
  // A container does nothing itself; its subcommands are in the group's category.
  if (command.handler != nullptr) categories |= GroupCategory(command.group);
  if ((command.flags & kWrite) != 0) categories |= kAclWrite;
  if ((command.flags & kReadonly) != 0) categories |= kAclRead;
  if ((command.flags & kAdmin) != 0) categories |= kAclAdmin | kAclDangerous;
  if ((command.flags & kPubSub) != 0) categories |= kAclPubSub;
  if ((command.flags & kBlocking) != 0) categories |= kAclBlocking;
  categories |= (command.flags & kFast) != 0 ? kAclFast : kAclSlow;
  return categories;
}

}  // namespace fluxkv::command
