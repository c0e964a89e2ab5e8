// Goal: docs/WAL_FORMAT.md describes the files as they are: who reads them with other means can
// rely on it. Method: writer and snapshot writer make the documented examples, which must have
// exactly the bytes that the document shows, and be read back.
#include <fstream>
#include <map>

#include "persist/snapshot_file.h"
#include "tests/persist/log_support.h"

namespace fluxkv::persist {
namespace {

constexpr int64_t kTimeMs = 1'700'000'000'000;

engine::LogRecords Record(Stamp stamp, const std::string& body) {
  engine::LogRecords records;
  const engine::RecordHeader header{
      .body_bytes = body.size(), .stamp = stamp, .time_ms = kTimeMs + static_cast<int64_t>(stamp)};
  records.begins.push_back(0);
  records.last = stamp;
  records.bytes.assign(reinterpret_cast<const char*>(&header), sizeof(header));
  records.bytes += body;
  records.bytes.resize(engine::RecordBytes(body.size()));
  return records;
}

std::string ExampleSegment() {
  TestLog log;
  REQUIRE(log.writer.Begin({}, kTimeMs).ok());
  std::string body;
  engine::AppendPut(&body, {.db = 0, .key = "k", .type = 1, .encoding = 1, .value = "v"});
  REQUIRE(log.writer.Append(Record(1, body), kTimeMs).ok());
  log.Sync();
  body.clear();
  engine::AppendRoots(&body, {{0, 1}, {1, 0}});
  engine::AppendPut(&body, {.db = 0,
                            .key = "n",
                            .type = 1,
                            .encoding = 0,
                            .expiry_ms = kTimeMs + 60'000,
                            .value = std::string_view("\x2a\0\0\0\0\0\0\0", 8)});
  engine::AppendDelete(&body, 1, "k");
  REQUIRE(log.writer.Append(Record(2, body), kTimeMs).ok());
  log.Sync();
  CHECK(ReadAll(*log.files).stamps == UpTo(2));
  return log.files->Content(SegmentPath(1));
}

std::string ExampleSnapshot() {
  LossyFileSystem files;
  SnapshotWriter writer(files, kTestDirectory, kTestLogId);
  REQUIRE(writer.Begin(2, kTimeMs, 1).ok());
  REQUIRE(writer.BeginDatabase(0, 1).ok());
  engine::VersionPtr version = engine::Version::New(1, 1, engine::kNoExpiry, 1);
  *version->mutable_payload() = 'v';
  REQUIRE(writer.Add(0, "k", *version).ok());
  REQUIRE(writer.Finish().ok());
  return files.Content(std::string(kTestDirectory) + "/" + SnapshotName(2));
}

// The bytes of the document's blocks by their name; what no line shows is zero.
std::map<std::string, std::string> DocumentedBytes() {
  std::map<std::string, std::string> found;
  std::ifstream document("docs/WAL_FORMAT.md");
  REQUIRE(document.good());
  std::string* bytes = nullptr;
  for (std::string line; std::getline(document, line);) {
    if (line.starts_with("```")) {
      bytes = line.starts_with("```hex ") ? &found[line.substr(7)] : nullptr;
      continue;
    }
    if (bytes == nullptr) continue;
    bytes->resize(std::stoul(line.substr(0, 8), nullptr, 16));
    for (size_t at = 8; line.size() > at + 2 && line[at] == ' ' && std::isxdigit(line[at + 1]);
         at += 3)
      bytes->push_back(static_cast<char>(std::stoul(line.substr(at + 1, 2), nullptr, 16)));
  }
  return found;
}

TEST_CASE("format document: its examples are what is written") {
  std::map<std::string, std::string> documented = DocumentedBytes();
  std::string segment = ExampleSegment(), snapshot = ExampleSnapshot();
  if (const char* directory = std::getenv("FLUXKV_WRITE_EXAMPLES"); directory != nullptr) {
    std::ofstream(std::string(directory) + "/segment") << segment;
    std::ofstream(std::string(directory) + "/snapshot") << snapshot;
  }
  documented["segment"].resize(segment.size());
  CHECK(documented["segment"] == segment);
  CHECK(documented["snapshot"] == snapshot);
}

TEST_CASE("format document: names of files") {
  CHECK(SegmentName(7) == "log-0000000007.seg");
  CHECK(SnapshotName(42) == "snapshot-00000000000000000042.snap");
  CHECK(SpareName(3) == "spare-0000000003.seg");
  CHECK(SegmentNumber("log-0000000007.seg") == 7);
  CHECK(SegmentNumber("log-12345678901.seg") == 12345678901);
  CHECK(SnapshotStamp(SnapshotName(engine::kStampPending - 1)) == engine::kStampPending - 1);
  for (const char* name : {"log-.seg", "log-7", "7.seg", "log-7.seg.bak", "log--7.seg",
                           "log-7x.seg", "spare-0000000003.seg", "snapshot.tmp", "lock", ""}) {
    CHECK(!SegmentNumber(name));
    CHECK(!SnapshotStamp(name));
  }
  CHECK(IsSpareName("spare-0000000003.seg"));
  CHECK(!IsSpareName("log-0000000003.seg"));
}

}  // namespace
}  // namespace fluxkv::persist
