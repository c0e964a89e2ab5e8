// From a data directory to a loaded database: the newest snapshot, then the log behind it.
//
//   Loader loader(database, handle, values);
//   auto recovered = Recover(files, "data", loader, &progress);
//
// Threads: one; RecoveryProgress is read by any.
// Errors:  one line with file, offset and the way on;
//          then nothing of what was loaded may be used.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/loader.h"
#include "persist/file_system.h"
#include "persist/log_reader.h"
#include "persist/log_writer.h"

namespace fluxkv::persist {

struct RecoveryProgress {
  std::atomic<uint64_t> bytes_total{0};
  std::atomic<uint64_t> bytes_done{0};
};

struct Recovered {
  std::optional<uint64_t> log_id;       // nullopt: the directory was empty
  std::optional<std::string> snapshot;  // path
  std::vector<std::string> older_snapshots;
  Stamp snapshot_stamp = 0;
  int64_t snapshot_time_ms = 0;
  uint64_t snapshot_keys = 0;
  uint64_t snapshot_bytes = 0;
  uint64_t log_records = 0;
  Stamp stamp = 0;             // newest one that was loaded
  int64_t newest_time_ms = 0;  // of it
  LogEnd end;
  std::optional<TornEnd> torn;
  std::vector<std::string> useless_segments;
};

class SnapshotReader;

// The keys of a snapshot; `path` is for errors. `keys` is how many there were.
Status LoadSnapshot(SnapshotReader& reader, const std::string& path, engine::Loader& loader,
                    RecoveryProgress* progress, uint64_t* keys);

Result<Recovered> Recover(FileSystem& files, const std::string& directory, engine::Loader& loader,
                          RecoveryProgress* progress);

}  // namespace fluxkv::persist
