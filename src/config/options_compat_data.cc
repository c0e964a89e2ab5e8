// Redis's options about encodings, eviction, freeing and defragmentation, kept for compatibility.
#include "config/compat_rows.h"
#include "config/option_table.h"

namespace fluxkv::config {
namespace {

using namespace compat;

constexpr std::string_view kSanitize[] = {"no", "yes", "clients"};

constexpr Option kDataRows[] = {
    Int("maxmemory-samples", 1, 64, "5"),
    Int("maxmemory-eviction-tenacity", 0, 100, "10"),
    Bool("activerehashing", true),
    Bool("jemalloc-bg-thread", true),
    Bool("lazyfree-lazy-eviction", false),
    Bool("lazyfree-lazy-expire", false),
    Bool("lazyfree-lazy-server-del", false),
    Bool("lazyfree-lazy-user-del", false),
    Bool("lazyfree-lazy-user-flush", false),
    Bool("activedefrag", false),
    Memory("active-defrag-ignore-bytes", 1, kInt64Max, "100mb"),
    Int("active-defrag-threshold-lower", 0, 1000, "10"),
    Int("active-defrag-threshold-upper", 0, 1000, "100"),
    Int("active-defrag-cycle-min", 1, 99, "1"),
    Int("active-defrag-cycle-max", 1, 99, "25"),
    Int("active-defrag-max-scan-fields", 1, kInt64Max, "1000"),
    Int("hash-max-listpack-entries", 0, kInt64Max, "512", kRuntime, "hash-max-ziplist-entries"),
    Memory("hash-max-listpack-value", 0, kInt64Max, "64", kRuntime, "hash-max-ziplist-value"),
    Int("list-max-listpack-size", -kInt32Max - 1, kInt32Max, "-2", kRuntime,
        "list-max-ziplist-size"),
    Int("list-compress-depth", 0, kInt32Max, "0"),
    Int("set-max-intset-entries", 0, kInt64Max, "512"),
    Int("set-max-listpack-entries", 0, kInt64Max, "128"),
    Int("set-max-listpack-value", 0, kInt64Max, "64"),
    Int("zset-max-listpack-entries", 0, kInt64Max, "128", kRuntime, "zset-max-ziplist-entries"),
    Memory("zset-max-listpack-value", 0, kInt64Max, "64", kRuntime, "zset-max-ziplist-value"),
    Memory("stream-node-max-bytes", 0, kInt64Max, "4096"),
    Int("stream-node-max-entries", 0, kInt64Max, "100"),
    Memory("hll-sparse-max-bytes", 0, kInt64Max, "3000"),
    Int("tracking-table-max-keys", 0, kInt64Max, "1000000"),
    Int("active-expire-effort", 1, 10, "1"),
    {.redis_name = "hz",
     .type = Type::kInt,
     .flags = kRuntime,
     .low = 0,
     .high = kInt32Max,
     .fallback = "10",
     .rule = Rule::kClampHz,
     .field = &Settings::hz},
    Bool("dynamic-hz", true),
    Int("busy-reply-threshold", 0, kInt64Max, "5000", kRuntime, "lua-time-limit"),
    Enum("sanitize-dump-payload", kSanitize, "no"),
};

}  // namespace

std::span<const Option> CompatDataOptions() {
  return kDataRows;
}

}  // namespace fluxkv::config
