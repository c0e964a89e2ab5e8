// What the tests of the log's files share: records made without a store, a log in memory with its
// writer, and what a reader finds of it.
// Threads: one.
#pragma once

#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/log_record.h"
#include "persist/log_reader.h"
#include "persist/log_writer.h"
#include "persist/segment_pool.h"
#include "tests/engine/test_support.h"
#include "tests/persist/lossy_file_system.h"

namespace fluxkv::persist {

using engine::TestSeed;

inline constexpr uint64_t kTestLogId = 0x1122334455667788;
inline constexpr const char* kTestDirectory = "data";

// Appends one record to `records`; its changes are one put of `value_bytes` bytes that follow from
// the stamp.
inline void AddRecord(engine::LogRecords* records, Stamp stamp, size_t value_bytes) {
  std::string value(value_bytes, static_cast<char>('a' + stamp % 26));
  std::string body;
  engine::AppendPut(&body, {.db = 0, .key = std::to_string(stamp), .type = 1, .value = value});
  engine::RecordHeader header{.body_bytes = body.size(),
                              .stamp = stamp,
                              .time_ms = 1'700'000'000'000 + static_cast<int64_t>(stamp)};
  records->begins.push_back(records->bytes.size());
  records->last = stamp;
  records->bytes.append(reinterpret_cast<const char*>(&header), sizeof(header));
  records->bytes.append(body);
  records->bytes.resize((records->bytes.size() + 7) & ~size_t{7});
}

inline engine::LogRecords OneRecord(Stamp stamp, size_t value_bytes) {
  engine::LogRecords records;
  AddRecord(&records, stamp, value_bytes);
  return records;
}

// Whether a record that was read is the one that AddRecord made.
inline bool IsWhole(const LogRecord& record) {
  engine::Change change;
  engine::ChangeReader reader(record.body);
  if (!reader.Next(&change) || change.key != std::to_string(record.header.stamp)) return false;
  const char letter = static_cast<char>('a' + record.header.stamp % 26);
  return change.value.find_first_not_of(letter) == std::string_view::npos &&
         !reader.Next(&change) && !reader.damaged();
}

struct ReadLog {
  std::string error{};  // empty: it was read to its end
  std::vector<Stamp> stamps{};
  bool whole = true;  // every record is as it was made
  LogEnd end{};
  std::optional<TornEnd> torn{};
  std::vector<std::string> useless{};
  std::optional<uint64_t> log_id{};
};

// What recovery finds behind a snapshot with this stamp.
inline ReadLog ReadAll(FileSystem& files, Stamp after = 0) {
  ReadLog read;
  auto segments = FindSegments(files, kTestDirectory, kTestLogId);
  if (!segments.ok()) return {.error = segments.message()};
  if (!segments.value().good.empty()) read.log_id = kTestLogId;
  auto reader = LogReader::Open(files, std::move(segments.value()), after);
  if (!reader.ok()) return {.error = reader.message()};
  LogRecord record;
  for (;;) {
    auto more = reader.value()->Next(&record);
    if (!more.ok()) {
      read.error = more.message();
      return read;
    }
    if (!more.value()) break;
    read.stamps.push_back(record.header.stamp);
    read.whole &= IsWhole(record);
  }
  read.end = reader.value()->end();
  read.torn = reader.value()->torn();
  read.useless = reader.value()->useless();
  return read;
}

// A log that is written, on a file system in memory.
struct TestLog {
  explicit TestLog(size_t segments = 8, uint64_t segment_bytes = kSegmentBytesMin)
      : TestLog(std::make_unique<LossyFileSystem>(), segments, segment_bytes) {}
  TestLog(std::unique_ptr<LossyFileSystem> on, size_t segments, uint64_t segment_bytes)
      : files(std::move(on)),
        pool(*files, kTestDirectory, segment_bytes, segments),
        writer(*files, pool, kTestDirectory, kTestLogId) {
    static_cast<void>(files->CreateDirectory(kTestDirectory));
  }
  // As a start does it: reads, tidies, begins a segment.
  ReadLog Begin(Stamp after = 0) {
    ReadLog read = ReadAll(*files, after);
    if (!read.error.empty()) return read;
    Status status = pool.FindSpares();
    for (const std::string& path : read.useless) {
      if (status.ok()) status = files->Remove(path);
    }
    if (status.ok()) status = files->SyncDirectory(kTestDirectory);
    LogEnd end = read.end;
    end.last_stamp = std::max(end.last_stamp, after);
    if (status.ok()) status = writer.Begin(std::move(end), 0);
    if (!status.ok()) read.error = status.message();
    return read;
  }
  void Append(Stamp stamp, size_t value_bytes) {
    Status status = writer.Append(OneRecord(stamp, value_bytes), 0);
    REQUIRE(status.ok());
  }
  void Sync() {
    Status status = writer.Sync();
    REQUIRE(status.ok());
  }

  std::unique_ptr<LossyFileSystem> files;
  SegmentPool pool;
  LogWriter writer;
};

// 1, 2, ... until `last`.
inline std::vector<Stamp> UpTo(Stamp last) {
  std::vector<Stamp> stamps;
  for (Stamp s = 1; s <= last; ++s) stamps.push_back(s);
  return stamps;
}

inline std::string SegmentPath(uint64_t number) {
  return std::string(kTestDirectory) + "/" + SegmentName(number);
}

}  // namespace fluxkv::persist
