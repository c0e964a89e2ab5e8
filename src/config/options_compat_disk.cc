// Redis's options about RDB, AOF and replication, kept for compatibility;
// two of them set durability.mode.
#include "config/compat_rows.h"
#include "config/option_table.h"

namespace fluxkv::config {
namespace {

using namespace compat;

constexpr std::string_view kFsync[] = {"everysec", "always", "no"};
constexpr std::string_view kDisklessLoad[] = {"disabled", "on-empty-db", "swapdb"};
constexpr std::string_view kPropagationError[] = {"ignore", "panic", "panic-on-replicas"};
constexpr std::string_view kShutdown[] = {"default", "save", "nosave", "now", "force"};

constexpr Option kDiskRows[] = {
    // Saving.
    Text("dbfilename", "dump.rdb", kRuntime | kProtected, {}, Rule::kFileName),
    Bool("rdbcompression", true),
    Bool("rdbchecksum", true, 0),
    Bool("rdb-del-sync-files", false),
    Bool("rdb-save-incremental-fsync", true),
    Bool("stop-writes-on-bgsave-error", true),
    {.redis_name = "rdb-key-save-delay",
     .type = Type::kInt,
     .flags = kRuntime | kHidden,
     .low = -kInt32Max - 1,
     .high = kInt32Max,
     .fallback = "0",
     .field = &Settings::snapshot_key_delay_us,
     .comment = "Microseconds behind each key of a snapshot, for test suites."},
    Int("key-load-delay", -kInt32Max - 1, kInt32Max, "0", kRuntime | kHidden),
    Int("loading-process-events-interval-bytes", 1024, kInt32Max, "2097152", kRuntime | kHidden),
    Enum("shutdown-on-sigint", kShutdown, "default", kRuntime, Type::kEnumSet),
    Enum("shutdown-on-sigterm", kShutdown, "default", kRuntime, Type::kEnumSet),
    Int("shutdown-timeout", 0, kInt32Max, "10"),
    // The append-only file.
    {.redis_name = "appendonly",
     .type = Type::kBool,
     .flags = kRuntime,
     .fallback = "yes",
     .comment = "Sets durability.mode in Redis's words (linked_options.h)."},
    {.redis_name = "appendfsync",
     .type = Type::kEnum,
     .flags = kRuntime,
     .fallback = "everysec",
     .values = kFsync,
     .comment = "Sets durability.mode in Redis's words (linked_options.h)."},
    Text("appendfilename", "appendonly.aof", 0, {}, Rule::kFileNameNotEmpty),
    Text("appenddirname", "appendonlydir", 0, {}, Rule::kFileNameNotEmpty),
    Bool("no-appendfsync-on-rewrite", false),
    Int("auto-aof-rewrite-percentage", 0, kInt32Max, "100"),
    Memory("auto-aof-rewrite-min-size", 0, kInt64Max, "64mb"),
    Bool("aof-load-truncated", true),
    Bool("aof-use-rdb-preamble", true),
    Bool("aof-timestamp-enabled", false),
    Bool("aof-rewrite-incremental-fsync", true),
    Bool("aof-disable-auto-gc", false, kRuntime | kHidden),
    // Replication.
    Words(Type::kReplicaOf, "replicaof", "", 0, "slaveof"),
    Text("masterauth", "", kRuntime | kSensitive, "primaryauth"),
    Text("masteruser", "", kRuntime | kSensitive, "primaryuser"),
    Bool("replica-serve-stale-data", true, kRuntime, "slave-serve-stale-data"),
    Bool("replica-read-only", true, kRuntime, "slave-read-only"),
    Bool("replica-lazy-flush", false, kRuntime, "slave-lazy-flush"),
    Bool("replica-ignore-maxmemory", true, kRuntime, "slave-ignore-maxmemory"),
    Bool("replica-ignore-disk-write-errors", false),
    Bool("replica-announced", true),
    Int("replica-priority", 0, kInt32Max, "100", kRuntime, "slave-priority"),
    Text("replica-announce-ip", "", kRuntime, "slave-announce-ip"),
    Int("replica-announce-port", 0, 65535, "0", kRuntime, "slave-announce-port"),
    Bool("repl-diskless-sync", true),
    Int("repl-diskless-sync-delay", 0, kInt32Max, "5"),
    Int("repl-diskless-sync-max-replicas", 0, kInt32Max, "0"),
    Enum("repl-diskless-load", kDisklessLoad, "disabled"),
    Bool("repl-disable-tcp-nodelay", false),
    Int("repl-timeout", 1, kInt32Max, "60"),
    Int("repl-ping-replica-period", 1, kInt32Max, "10", kRuntime, "repl-ping-slave-period"),
    Memory("repl-backlog-size", 1, kInt64Max, "1mb"),
    Int("repl-backlog-ttl", 0, kInt64Max, "3600"),
    Int("min-replicas-to-write", 0, kInt32Max, "0", kRuntime, "min-slaves-to-write"),
    Int("min-replicas-max-lag", 0, kInt32Max, "10", kRuntime, "min-slaves-max-lag"),
    Bool("dual-channel-replication-enabled", false),
    Enum("propagation-error-behavior", kPropagationError, "ignore"),
};

}  // namespace

std::span<const Option> CompatDiskOptions() {
  return kDiskRows;
}

}  // namespace fluxkv::config
