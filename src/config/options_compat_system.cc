// Redis's options about the process, clients, access lists, syslog and cluster,
// kept for compatibility.
#include "config/compat_rows.h"
#include "config/option_table.h"

namespace fluxkv::config {
namespace {

using namespace compat;

constexpr std::string_view kModulePermission[] = {"no", "yes", "local"};
constexpr std::string_view kOomScoreAdj[] = {"no", "yes", "relative", "absolute"};
constexpr std::string_view kAclPubsub[] = {"allchannels", "resetchannels"};
constexpr std::string_view kFacilities[] = {"user",   "local0", "local1", "local2", "local3",
                                            "local4", "local5", "local6", "local7"};
constexpr std::string_view kEndpointType[] = {"ip", "hostname", "unknown-endpoint"};
constexpr std::string_view kLogFormat[] = {"legacy", "logfmt"};
constexpr std::string_view kLogTimestamp[] = {"legacy", "iso8601", "milliseconds"};

constexpr Option kSystemRows[] = {
    // The process.
    Int("io-threads", 1, 128, "1", 0),
    Int("events-per-io-thread", 0, kInt32Max, "2", kRuntime | kHidden),
    Int("prefetch-batch-max-size", 0, 128, "16"),
    Bool("always-show-logo", false, 0),
    Bool("set-proc-title", true, 0),
    Text("proc-title-template", "{title} {listen-addr} {server-mode}", kRuntime, {},
         Rule::kProcTitle),
    Bool("disable-thp", true, 0),
    Enum("oom-score-adj", kOomScoreAdj, "no"),
    Words(Type::kOomScores, "oom-score-adj-values", "0 200 800"),
    Bool("crash-log-enabled", true),
    Bool("crash-memcheck-enabled", true),
    Bool("use-exit-on-panic", false, kRuntime | kHidden),
    Int("watchdog-period", 0, kInt32Max, "0", kRuntime | kHidden),
    Text("server-cpulist", "", 0, "server_cpulist"),
    Text("bio-cpulist", "", 0, "bio_cpulist"),
    Text("aof-rewrite-cpulist", "", 0, "aof_rewrite_cpulist"),
    Text("bgsave-cpulist", "", 0, "bgsave_cpulist"),
    Text("ignore-warnings", ""),
    Text("locale-collate", ""),
    Text("availability-zone", ""),
    Bool("extended-redis-compatibility", false),
    Enum("enable-module-command", kModulePermission, "no", 0),
    Bool("hide-user-data-from-log", false),
    Enum("log-format", kLogFormat, "legacy"),
    Enum("log-timestamp-format", kLogTimestamp, "legacy"),
    Bool("syslog-enabled", false, 0),
    Text("syslog-ident", "fluxkv", 0),
    Enum("syslog-facility", kFacilities, "local0", 0),
    // Clients and sockets.
    Text("unixsocketgroup", "", 0),
    Text("bind-source-addr", ""),
    Int("socket-mark-id", 0, kUint32Max, "0", 0),
    Int("max-new-connections-per-cycle", 1, 1000, "10"),
    Int("client-default-resp", 2, 3, "2", kHidden),
    // Access lists.
    Text("aclfile", "", 0),
    Enum("acl-pubsub-default", kAclPubsub, "resetchannels"),
    Int("acllog-max-len", 0, kInt64Max, "128"),
    // Cluster.
    Bool("cluster-enabled", false, 0),
    Text("cluster-config-file", "nodes.conf", 0),
    Int("cluster-port", 0, 65535, "0", 0),
    Int("cluster-node-timeout", 0, kInt64Max, "15000"),
    Int("cluster-ping-interval", 0, kInt64Max, "0", kRuntime | kHidden),
    Int("cluster-blacklist-ttl", 0, kInt64Max, "60"),
    Int("cluster-replica-validity-factor", 0, kInt32Max, "10", kRuntime,
        "cluster-slave-validity-factor"),
    Int("cluster-migration-barrier", 0, kInt32Max, "1"),
    Bool("cluster-replica-no-failover", false, kRuntime, "cluster-slave-no-failover"),
    Bool("cluster-require-full-coverage", true),
    Bool("cluster-allow-replica-migration", true),
    Bool("cluster-allow-reads-when-down", false),
    Bool("cluster-allow-pubsubshard-when-down", true),
    Bool("cluster-slot-stats-enabled", false),
    Memory("cluster-link-sendbuf-limit", 0, kInt64Max, "0"),
    Enum("cluster-preferred-endpoint-type", kEndpointType, "ip"),
    Text("cluster-announce-ip", ""),
    Text("cluster-announce-hostname", "", kRuntime, {}, Rule::kHostName),
    Text("cluster-announce-human-nodename", "", kRuntime, {}, Rule::kHostName),
    Int("cluster-announce-port", 0, 65535, "0"),
    Int("cluster-announce-bus-port", 0, 65535, "0"),
    Int("cluster-announce-tls-port", 0, 65535, "0"),
};

}  // namespace

std::span<const Option> CompatSystemOptions() {
  return kSystemRows;
}

}  // namespace fluxkv::config
