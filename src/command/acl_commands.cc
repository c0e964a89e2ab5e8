// Rows of ACL (acl_handlers.cc), MODULE, CLUSTER and replication; what there is of the last three
// is that they are not there.
#include "base/parse.h"
#include "command/acl_handlers.h"
#include "command/help_reply.h"
#include "command/table.h"

namespace fluxkv::command {
namespace {

constexpr std::string_view kModuleHelp[] = {
    "LIST",
    "    Loaded modules: always none.",
};

void ModuleHelp(Context& c) {
  ReplyHelp(c, kModuleHelp);
}

void ModuleList(Context& c) {
  c.reply.ArrayHeader(0);
}

void NoCluster(Context& c) {
  c.reply.Error("ERR This instance has cluster support disabled");
}

void ReplicaOf(Context& c) {
  if (EqualsIgnoreCase(c.args[1], "no") && EqualsIgnoreCase(c.args[2], "one")) return c.reply.Ok();
  c.reply.Error("ERR replication is not supported by this version of fluxkv");
}

constexpr Command AclSubcommand(std::string_view parent, std::string_view name, int arity,
                                uint32_t flags, std::string_view since, std::string_view summary,
                                Handler handler, Group group = Group::kServer) {
  return {.name = name,
          .arity = arity,
          .flags = flags,
          .group = group,
          .since = since,
          .complexity = "O(1)",
          .summary = summary,
          .handler = handler,
          .parent = parent};
}

constexpr Command AclContainer(std::string_view name, std::string_view since,
                               std::string_view summary, std::span<const Command> subcommands,
                               Group group = Group::kServer) {
  return {.name = name,
          .arity = -2,
          .group = group,
          .since = since,
          .complexity = "Depends on the subcommand.",
          .summary = summary,
          .subcommands = subcommands};
}

constexpr uint32_t kAclFlags = kNoScript | kLoading | kStale;
constexpr Command kAclSubcommands[] = {
    AclSubcommand("acl", "cat", -2, kAclFlags, "6.0.0", "Returns categories or their commands.",
                  &AclCat),
    AclSubcommand("acl", "genpass", -2, kAclFlags, "6.0.0", "Returns a random password.",
                  &AclGenPass),
    AclSubcommand("acl", "getuser", 3, kAclFlags | kAdmin, "6.0.0", "Returns what a user may do.",
                  &AclGetUser),
    AclSubcommand("acl", "help", 2, kLoading | kStale, "6.0.0", kHelpSummary, &AclHelp),
    AclSubcommand("acl", "list", 2, kAclFlags | kAdmin, "6.0.0",
                  "Returns the users and what they may do.", &AclList),
    AclSubcommand("acl", "users", 2, kAclFlags | kAdmin, "6.0.0", "Returns the names of the users.",
                  &AclUsers),
    AclSubcommand("acl", "whoami", 2, kAclFlags, "6.0.0", "Returns the connection's user.",
                  &AclWhoAmI),
};

constexpr Command kModuleSubcommands[] = {
    AclSubcommand("module", "help", 2, kLoading | kStale, "5.0.0", kHelpSummary, &ModuleHelp),
    AclSubcommand("module", "list", 2, kAdmin | kNoScript, "4.0.0", "Returns the loaded modules.",
                  &ModuleList),
};

constexpr Command Cluster(std::string_view name, int arity, uint32_t flags,
                          std::string_view since) {
  return AclSubcommand("cluster", name, arity, flags, since,
                       "Part of Redis Cluster, which this server is not.", &NoCluster,
                       Group::kCluster);
}

constexpr uint32_t kChange = kNoAsyncLoading | kAdmin | kStale;
constexpr Command kClusterSubcommands[] = {
    Cluster("addslots", -3, kChange, "3.0.0"),
    Cluster("addslotsrange", -4, kChange, "7.0.0"),
    Cluster("bumpepoch", 2, kChange, "3.0.0"),
    Cluster("count-failure-reports", 3, kAdmin | kStale, "3.0.0"),
    Cluster("countkeysinslot", 3, kStale, "3.0.0"),
    Cluster("delslots", -3, kChange, "3.0.0"),
    Cluster("delslotsrange", -4, kChange, "7.0.0"),
    Cluster("failover", -2, kChange, "3.0.0"),
    Cluster("flushslots", 2, kChange, "3.0.0"),
    Cluster("forget", 3, kChange, "3.0.0"),
    Cluster("getkeysinslot", 4, kStale, "3.0.0"),
    Cluster("help", 2, kLoading | kStale, "5.0.0"),
    Cluster("info", 2, kStale, "3.0.0"),
    Cluster("keyslot", 3, kStale, "3.0.0"),
    Cluster("links", 2, kStale, "7.0.0"),
    Cluster("meet", -4, kChange, "3.0.0"),
    Cluster("myid", 2, kStale, "3.0.0"),
    Cluster("myshardid", 2, kStale, "7.2.0"),
    Cluster("nodes", 2, kStale, "3.0.0"),
    Cluster("replicas", 3, kAdmin | kStale, "5.0.0"),
    Cluster("replicate", 3, kChange, "3.0.0"),
    Cluster("reset", -2, kAdmin | kNoScript | kStale, "3.0.0"),
    Cluster("saveconfig", 2, kChange, "3.0.0"),
    Cluster("set-config-epoch", 3, kChange, "3.0.0"),
    Cluster("setslot", -4, kChange, "3.0.0"),
    Cluster("shards", 2, kLoading | kStale, "7.0.0"),
    Cluster("slaves", 3, kAdmin | kStale, "3.0.0"),
    Cluster("slots", 2, kLoading | kStale, "3.0.0"),
};

constexpr Command ClusterMode(std::string_view name, uint32_t flags) {
  return {.name = name,
          .arity = 1,
          .flags = flags,
          .group = Group::kCluster,
          .acl = kAclConnection,
          .since = "3.0.0",
          .complexity = "O(1)",
          .summary = "Part of Redis Cluster, which this server is not.",
          .handler = &NoCluster};
}

constexpr Command Replication(std::string_view name, std::string_view since) {
  return {.name = name,
          .arity = 3,
          .flags = kNoAsyncLoading | kAdmin | kNoScript | kStale,
          .group = Group::kServer,
          .since = since,
          .complexity = "O(1)",
          .summary = "Sets which server to replicate: NO ONE.",
          .handler = &ReplicaOf};
}

constexpr Command kAclRows[] = {
    AclContainer("acl", "6.0.0", "Container of the commands about users.", kAclSubcommands),
    AclContainer("module", "4.0.0", "Container of the commands about modules.", kModuleSubcommands),
    AclContainer("cluster", "3.0.0", "Container of the commands of Redis Cluster.",
                 kClusterSubcommands, Group::kCluster),
    ClusterMode("asking", kFast),
    ClusterMode("readonly", kFast | kLoading | kStale),
    ClusterMode("readwrite", kFast | kLoading | kStale),
    Replication("replicaof", "5.0.0"),
    Replication("slaveof", "1.0.0"),
};

}  // namespace

std::span<const Command> AclCommands() {
  return kAclRows;
}

}  // namespace fluxkv::command
