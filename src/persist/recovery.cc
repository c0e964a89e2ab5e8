#include "persist/recovery.h"

#include <algorithm>

#include "engine/log_record.h"
#include "persist/snapshot_file.h"

namespace fluxkv::persist {

Status LoadSnapshot(SnapshotReader& reader, const std::string& path, engine::Loader& loader,
                    RecoveryProgress* progress, uint64_t* keys) {
  const Stamp stamp = reader.header().stamp;
  const uint64_t keys_max = reader.size() / sizeof(engine::ChangeHeader);
  engine::Change change;
  for (;;) {
    const uint64_t offset = reader.offset();
    auto block = reader.Next();
    if (!block.ok()) return std::move(block).status();
    const auto at = [&](const std::string& what, ErrorKind kind = ErrorKind::kOther) {
      return Status::Error(kind, path + " at " + std::to_string(offset) + ": " + what);
    };
    if (block.value().kind == BlockKind::kEnd) return {};
    Status status;
    if (block.value().kind == BlockKind::kDatabase)
      status = loader.Expect(block.value().db, std::min(block.value().keys, keys_max));
    engine::ChangeReader changes(block.value().body);
    while (status.ok() && changes.Next(&change)) {
      status = loader.Append(change, stamp);
      ++*keys;
    }
    if (changes.damaged()) return at("a key in it makes no sense");
    if (!status.ok()) return at(status.message(), status.kind());
    progress->bytes_done.store(reader.offset(), std::memory_order_relaxed);
  }
}

namespace {

Status ReplayLog(LogReader& reader, Stamp after, engine::Loader& loader, RecoveryProgress* progress,
                 Recovered* recovered) {
  const uint64_t done_before = progress->bytes_done.load();
  LogRecord record;
  for (;;) {
    auto more = reader.Next(&record);
    if (!more.ok()) return std::move(more).status();
    if (!more.value()) return {};
    if (record.header.stamp <= after) continue;
    Status status = loader.Apply(record.header.stamp, record.body);
    if (!status.ok())
      return Status::Error(status.kind(), "the log's record with stamp " +
                                              std::to_string(record.header.stamp) + ": " +
                                              status.message());
    ++recovered->log_records;
    recovered->newest_time_ms = std::max(recovered->newest_time_ms, record.header.time_ms);
    progress->bytes_done.store(done_before + reader.bytes_read(), std::memory_order_relaxed);
  }
}

}  // namespace

Result<Recovered> Recover(FileSystem& files, const std::string& directory, engine::Loader& loader,
                          RecoveryProgress* progress) {
  Recovered recovered;
  auto snapshots = FindSnapshots(files, directory);
  if (!snapshots.ok()) return std::move(snapshots).status();
  recovered.snapshot = snapshots.value().newest;
  recovered.older_snapshots = snapshots.value().older;
  std::unique_ptr<SnapshotReader> snapshot;
  if (recovered.snapshot) {
    auto opened = SnapshotReader::Open(files, *recovered.snapshot);
    if (!opened.ok()) return std::move(opened).status();
    snapshot = std::move(opened.value());
    if (SnapshotName(snapshot->header().stamp) !=
        recovered.snapshot->substr(recovered.snapshot->rfind('/') + 1))
      return Status::Error(*recovered.snapshot + ": the snapshot's name and its stamp (" +
                           std::to_string(snapshot->header().stamp) + ") differ; rename it back");
    recovered.log_id = snapshot->header().log_id;
    recovered.stamp = recovered.snapshot_stamp = snapshot->header().stamp;
    recovered.newest_time_ms = recovered.snapshot_time_ms = snapshot->header().time_ms;
    recovered.snapshot_bytes = snapshot->size();
  }
  auto segments = FindSegments(files, directory, recovered.log_id);
  if (!segments.ok()) return std::move(segments).status();
  if (!segments.value().good.empty())
    recovered.log_id = segments.value().good.front().header.log_id;
  auto reader = LogReader::Open(files, std::move(segments.value()), recovered.snapshot_stamp);
  if (!reader.ok()) return std::move(reader).status();

  progress->bytes_total.store(recovered.snapshot_bytes + reader.value()->bytes_total());
  Status status;
  if (snapshot != nullptr)
    status =
        LoadSnapshot(*snapshot, *recovered.snapshot, loader, progress, &recovered.snapshot_keys);
  if (status.ok())
    status = ReplayLog(*reader.value(), recovered.snapshot_stamp, loader, progress, &recovered);
  if (!status.ok()) return status;
  recovered.end = reader.value()->end();
  recovered.torn = reader.value()->torn();
  recovered.useless_segments = reader.value()->useless();
  recovered.stamp = std::max(recovered.stamp, recovered.end.last_stamp);
  return recovered;
}

}  // namespace fluxkv::persist
