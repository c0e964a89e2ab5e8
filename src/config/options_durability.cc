// Section durability.
#include "config/option_table.h"

namespace fluxkv::config {
namespace {

constexpr std::string_view kModes[] = {"none", "relaxed", "full"};

constexpr int64_t kKilobyte = 1 << 10;
constexpr int64_t kGigabyte = 1 << 30;

constexpr Option kDurabilityRows[] = {
    {.name = "durability.mode",
     .short_name = "durability",
     .type = Type::kEnum,
     .flags = kRuntime | kNeedsApplier,
     .fallback = "relaxed",
     .values = kModes,
     .field = &Settings::durability_mode,
     .comment = "A reply means done in memory (none), written to the log (relaxed) or on disk "
                "(full)."},
    {.name = "durability.dir",
     .redis_name = "dir",
     .type = Type::kDirectory,
     .flags = kRuntime | kProtected | kRestart,
     .fallback = "data",
     .comment = "Data directory; it is created if it is absent, its parent must exist."},
    {.name = "durability.flush_interval_ms",
     .type = Type::kTimeMs,
     .flags = kRuntime,
     .low = 0,
     .high = 3600 * 1000,
     .fallback = "1000",
     .field = &Settings::flush_interval_ms,
     .comment = "Mode relaxed syncs the log after so many milliseconds; 0 is not by time."},
    {.name = "durability.flush_after_commits",
     .type = Type::kInt,
     .flags = kRuntime,
     .low = 0,
     .high = kInt64Max,
     .fallback = "0",
     .field = &Settings::flush_after_commits,
     .comment = "Mode relaxed syncs the log after so many commits; 0 is not by commits."},
    {.name = "durability.flush_after_bytes",
     .type = Type::kMemory,
     .flags = kRuntime,
     .low = 0,
     .high = kInt64Max,
     .fallback = "0",
     .field = &Settings::flush_after_bytes,
     .comment = "Mode relaxed syncs the log after so many bytes of it; 0 is not by bytes."},
    {.name = "durability.segment_bytes",
     .type = Type::kMemory,
     .low = 64 * kKilobyte,
     .high = kGigabyte,
     .fallback = "16mb",
     .comment = "Size of each segment of the log, from \"64kb\" to \"1gb\"."},
    {.name = "durability.segments",
     .type = Type::kInt,
     .low = 2,
     .high = 1024,
     .fallback = "64",
     .comment = "Segments in the pool of the log, from 2 to 1024."},
    {.name = "durability.snapshot_after_bytes",
     .type = Type::kMemory,
     .flags = kRuntime,
     .low = 0,
     .high = kInt64Max,
     .fallback = "256mb",
     .field = &Settings::snapshot_after_bytes,
     .comment = "A snapshot is taken after so many bytes of log; 0 is not by bytes."},
    {.name = "durability.snapshot_interval_s",
     .type = Type::kTimeS,
     .flags = kRuntime,
     .low = 0,
     .high = kInt32Max,
     .fallback = "0",
     .field = &Settings::snapshot_interval_s,
     .comment = "A snapshot is taken after so many seconds; 0 is not by time."},
    {.name = "durability.save",
     .redis_name = "save",
     .type = Type::kSavePoints,
     .flags = kRuntime,
     .comment = "Snapshots after seconds with changes, such as \"3600 1 300 100\"; empty for "
                "none."},
};

}  // namespace

std::span<const Option> DurabilityOptions() {
  return kDurabilityRows;
}

}  // namespace fluxkv::config
