// The bounds are those of the server's options (src/config/options_durability.cc).
#include <chrono>
#include <string>
#include <utility>

#include <unistd.h>

#include "base/limits.h"
#include "library/core.h"

namespace fluxkv::library {
namespace {

constexpr uint64_t kSegmentBytesLeast = uint64_t{64} << 10;
constexpr uint64_t kSegmentBytesMost = uint64_t{1} << 30;
constexpr uint32_t kSegmentsMost = 1024;
constexpr uint64_t kBytesMost = INT64_MAX;
constexpr std::chrono::hours kIntervalMost{1};
constexpr std::chrono::seconds kSnapshotIntervalMost{INT32_MAX};

Status Invalid(std::string what) {
  return Status::Error(ErrorKind::kInvalid, "options: " + std::move(what));
}

// A later change of the working directory must not move the files.
Result<std::string> Absolute(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  if (path.empty() || path.starts_with('/')) return path;
  char here[4096];
  if (::getcwd(here, sizeof(here)) == nullptr)
    return Status::Error(ErrorKind::kIo, "the working directory has no name");
  return std::string(here) + "/" + path;
}

Status CheckFiles(const Options& o) {
  if (o.directory.find('\0') != std::string::npos) return Invalid("a directory with a zero byte");
  if (o.directory.empty() && o.durability != Durability::kNone)
    return Invalid("durability needs a directory");
  if (o.segment_bytes < kSegmentBytesLeast || o.segment_bytes > kSegmentBytesMost)
    return Invalid("segment_bytes is from 64 KiB to 1 GiB");
  if (o.segments < 2 || o.segments > kSegmentsMost) return Invalid("segments are from 2 to 1024");
  if (o.flush_interval.count() < 0 || o.flush_interval > kIntervalMost)
    return Invalid("flush_interval is from 0 to an hour");
  if (o.snapshot_interval.count() < 0 || o.snapshot_interval > kSnapshotIntervalMost)
    return Invalid("snapshot_interval is negative or too long");
  if (o.flush_after_commits > kBytesMost || o.flush_after_bytes > kBytesMost ||
      o.snapshot_after_bytes > kBytesMost)
    return Invalid("a number of commits or bytes above 2^63");
  if (o.durability == Durability::kRelaxed && o.flush_interval.count() == 0 &&
      o.flush_after_commits == 0 && o.flush_after_bytes == 0)
    return Invalid("kRelaxed would never sync: set one of flush_interval, _commits and _bytes");
  return {};
}

}  // namespace

Result<Options> CheckedOptions(Options o) {
  using enum Durability;
  if (!o.durability) o.durability = o.directory.empty() ? kNone : kRelaxed;
  if (*o.durability > kFull || o.level > Level::kReadOnly || o.policy > Policy::kTtl)
    return Invalid("a number that stands for no choice");
  Status files = CheckFiles(o);
  if (!files.ok()) return files;
  if (o.log_file.find('\0') != std::string::npos) return Invalid("a log_file with a zero byte");
  if (o.memory_limit > kBytesMost) return Invalid("a memory_limit above 2^63");
  if (o.policy != Policy::kNone && o.memory_limit == 0)
    return Invalid("a policy without a memory_limit");
  if (o.vacuum_interval.count() < 1 || o.vacuum_interval > kIntervalMost)
    return Invalid("vacuum_interval is from a millisecond to an hour");
  if (o.databases == 0 || o.databases > limits::kDatabasesMax)
    return Invalid("databases are from 1 to 65536");
  if (o.database >= o.databases) return Invalid("database is below databases");
  Result<std::string> directory = Absolute(o.directory);
  if (!directory.ok()) return directory.status();
  o.directory = std::move(*directory);
  return o;
}

}  // namespace fluxkv::library
