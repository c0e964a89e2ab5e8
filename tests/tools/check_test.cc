// Goal: fluxkv-check tells truly what a start does with a directory, and what it repairs a start
// accepts, with everything that could be read and a copy of everything that was changed.
// Method: a directory made by the writers of src/persist, damaged in each way by hand and then at
// random; a start (persist::Recover) is the judge.
#include <map>
#include <set>

#include "engine/loader.h"
#include "persist/recovery.h"
#include "persist/snapshot_file.h"
#include "tests/persist/log_support.h"
#include "tools/directory_repair.h"
#include "tools/directory_report.h"
#include "types/string_value.h"
#include "types/value_loader.h"

namespace fluxkv::tools {
namespace {

using engine::TestSeed;
using persist::kTestDirectory;
using persist::LossyFileSystem;
using persist::SegmentPath;
using persist::TestLog;

constexpr Stamp kSnapshotStamp = 40, kLastStamp = 200;
constexpr uint32_t kSnapshotKeys = 600;
constexpr const char* kFolder = "data/repair-now";

// Values follow from keys, so a wrong one is seen.
std::string ValueOf(const std::string& key) {
  return key + std::string(1500 + std::hash<std::string>()(key) % 1000, 'v');
}

void AppendRecord(TestLog* log, Stamp stamp, uint8_t type = types::kTypeString) {
  const std::string key = "log" + std::to_string(stamp), value = ValueOf(key);
  engine::Change put{.db = 1, .key = key, .type = type, .value = value};
  put.encoding = static_cast<uint8_t>(types::StringEncoding::kRaw);
  std::string body;
  engine::AppendPut(&body, put);
  const engine::RecordHeader header{.body_bytes = body.size(), .stamp = stamp};
  engine::LogRecords records;
  records.begins.push_back(0);
  records.last = stamp;
  records.bytes.assign(reinterpret_cast<const char*>(&header), sizeof(header));
  records.bytes.append(body);
  records.bytes.resize(engine::RecordBytes(body.size()));
  REQUIRE(log->writer.Append(records, 0).ok());
}

std::string SnapshotPath(Stamp stamp) {
  return std::string(kTestDirectory) + "/" + persist::SnapshotName(stamp);
}

void WriteSnapshot(LossyFileSystem& files, Stamp stamp) {
  persist::SnapshotWriter writer(files, kTestDirectory, persist::kTestLogId);
  REQUIRE(writer.Begin(stamp, 1'700'000'000'000, 2).ok());
  REQUIRE(writer.BeginDatabase(0, kSnapshotKeys).ok());
  for (uint32_t i = 0; i < kSnapshotKeys; ++i) {
    const std::string key = "snapshot" + std::to_string(10000 + i);
    REQUIRE(writer.Add(0, key, *types::NewString(ValueOf(key), engine::kNoExpiry)).ok());
  }
  REQUIRE(writer.BeginDatabase(1, 0).ok());
  REQUIRE(writer.Finish().ok());
}

// A snapshot at stamp 40, and a log of 200 records in two lives; its first segment is covered.
std::unique_ptr<LossyFileSystem> GoodDirectory() {
  std::unique_ptr<LossyFileSystem> files = std::make_unique<LossyFileSystem>();
  for (int life = 0; life < 2; ++life) {
    TestLog log(std::move(files), 16, persist::kSegmentBytesMin);
    REQUIRE(log.Begin(life == 0 ? 0 : kSnapshotStamp).error.empty());
    const Stamp first = life == 0 ? 1 : kLastStamp / 2 + 1;
    for (Stamp stamp = first; stamp < first + kLastStamp / 2; ++stamp) {
      AppendRecord(&log, stamp);
      if (stamp % 5 == 0) log.Sync();
    }
    if (life == 0) WriteSnapshot(*log.files, kSnapshotStamp);
    files = log.files->Kill();
  }
  return files;
}

struct Started {
  std::string error;
  std::map<std::string, std::string> values;
};

// What a start makes of the directory.
Started Start(LossyFileSystem& files) {
  Started started;
  Clock clock;
  engine::Database database({}, clock);
  const types::TypeLoader values;
  {
    auto handle = database.Attach();
    engine::Handle::Scope in_epoch(*handle);
    engine::Loader loader(database, *handle, values);
    persist::RecoveryProgress progress;
    auto recovered = persist::Recover(files, kTestDirectory, loader, &progress);
    if (!recovered.ok()) return {.error = recovered.message(), .values = {}};
    database.store().stamp.store(recovered.value().stamp + 1);
    loader.Install(clock.now_ms());
    engine::Transaction transaction(*handle);
    REQUIRE(transaction.BeginCopy());
    for (uint32_t db = 0; db < 2; ++db) {
      transaction.Walk(db, "", false, {}, [&](std::string_view key, const engine::Version& v) {
        started.values[std::string(key)] = types::StringView(v).bytes();
        return true;
      });
    }
    transaction.Rollback();
  }
  for (const auto& [key, value] : started.values) REQUIRE(value == ValueOf(key));
  return started;
}

DirectoryReport Examine(LossyFileSystem& files) {
  const types::TypeLoader values;
  auto report = ExamineDirectory(files, kTestDirectory, values);
  REQUIRE(report.ok());
  return std::move(report.value());
}

bool Says(const DirectoryReport& report, const std::string& part) {
  return Text(report).find(part) != std::string::npos;
}

// Repairs until it is good, as the program does; the texts of the plans.
std::string RepairAll(LossyFileSystem& files) {
  const types::TypeLoader values;
  std::string texts;
  for (int round = 0; round < 8; ++round) {
    const DirectoryReport report = Examine(files);
    const RepairPlan plan = PlanRepair(report);
    if (plan.empty()) return texts;
    texts += plan.text;
    Status status = Repair(files, report, plan, values, kFolder);
    REQUIRE(status.ok());
  }
  FAIL("it is never done");
  return {};
}

// Stamps of the log that a start found, from 1 on without a gap.
Stamp LastOf(const Started& started) {
  Stamp last = kSnapshotStamp;
  while (started.values.contains("log" + std::to_string(last + 1))) ++last;
  return last;
}

std::string Flipped(std::string bytes, size_t at) {
  bytes[at] = static_cast<char>(bytes[at] ^ 4);
  return bytes;
}

TEST_CASE("check: a good directory") {
  auto files = GoodDirectory();
  const DirectoryReport report = Examine(*files);
  INFO(Text(report));
  CHECK(report.good());
  CHECK(Text(report).ends_with("\nthe directory is good\n"));
  CHECK(Says(report, "loads snapshot-00000000000000000040.snap: 600 keys"));
  CHECK(Says(report, "applies 160 records with stamps 41 to 200 of the log: 160 values"));
  CHECK(Says(report, "covered by the snapshot"));
  CHECK(report.segments.size() >= 7);
  CHECK(PlanRepair(report).empty());
  CHECK(LastOf(Start(*files)) == kLastStamp);
}

TEST_CASE("check: a torn end is no damage, and is cut") {
  auto files = GoodDirectory();
  const DirectoryReport before = Examine(*files);
  const SegmentReport& last = before.segments.back();
  const std::string path = SegmentPath(last.number), bytes = files->Content(path);
  files->SetContent(path, Flipped(bytes, last.stream_end - 100));
  const DirectoryReport report = Examine(*files);
  INFO(Text(report));
  CHECK(report.good());
  REQUIRE(report.log.torn());
  CHECK(report.log.used.last == kLastStamp - 1);
  CHECK(Says(report, "cuts " + path + " at " + std::to_string(report.log.cut->offset)));
  CHECK(RepairAll(*files).find("nothing is lost") != std::string::npos);
  CHECK_FALSE(Examine(*files).log.cut.has_value());
  CHECK(files->Content(std::string(kFolder) + "/" + persist::SegmentName(last.number)) ==
        Flipped(bytes, last.stream_end - 100));
  CHECK(LastOf(Start(*files)) == kLastStamp - 1);
}

TEST_CASE("check: damage within the log") {
  auto files = GoodDirectory();
  const std::string path = SegmentPath(3), bytes = files->Content(path);
  files->SetContent(path, Flipped(bytes, 30000));
  const DirectoryReport report = Examine(*files);
  INFO(Text(report));
  CHECK_FALSE(report.good());
  REQUIRE(report.log.cut.has_value());
  CHECK(report.log.cut->path == path);
  CHECK(report.log.cut->offset < 30000);
  CHECK(report.log.cut->offset > 27000);
  CHECK(report.log.lost.last == kLastStamp);
  CHECK(report.log.used.records + report.log.lost.records + 10 > kLastStamp - kSnapshotStamp);
  CHECK(Says(report, "\nthe directory is damaged, a start refuses it"));
  CHECK_FALSE(Start(*files).error.empty());
  const Stamp last = report.log.used.last;
  const std::string moved = files->Content(SegmentPath(4));
  const std::string text = RepairAll(*files);
  CHECK(text.find("lost are at least ") != std::string::npos);
  CHECK(text.find(" to 200 of the log") != std::string::npos);
  CHECK(LastOf(Start(*files)) == last);
  CHECK(files->Content(std::string(kFolder) + "/" + persist::SegmentName(3)) ==
        Flipped(bytes, 30000));
  CHECK(files->Content(std::string(kFolder) + "/" + persist::SegmentName(4)) == moved);
  CHECK_FALSE(files->Exists(SegmentPath(4)));
}

TEST_CASE("check: a segment is missing, or has a damaged header") {
  for (const bool missing : {true, false}) {
    for (const uint64_t number : {1, 2, 4, 6}) {
      auto files = GoodDirectory();
      const std::string path = SegmentPath(number);
      if (missing) {
        files->Forget(path);
      } else {
        files->SetContent(path, Flipped(files->Content(path), 20));
      }
      const DirectoryReport report = Examine(*files);
      const Started before = Start(*files);
      INFO(number, missing ? " missing\n" : " damaged\n", Text(report), before.error);
      CHECK(report.good() == before.error.empty());
      RepairAll(*files);
      const Started after = Start(*files);
      REQUIRE(after.error == "");
      CHECK(Examine(*files).good());
      CHECK(after.values.size() >= kSnapshotKeys);
      if (number >= 4) CHECK(LastOf(after) == report.log.used.last);
      if (number == 4) CHECK(report.log.lost.last == kLastStamp);
    }
  }
}

TEST_CASE("check: damage in what the snapshot covers is told, and hurts nobody") {
  auto files = GoodDirectory();
  files->SetContent(SegmentPath(1), Flipped(files->Content(SegmentPath(1)), 20000));
  const DirectoryReport report = Examine(*files);
  INFO(Text(report));
  CHECK(report.good());
  CHECK(Says(report, "does not read this, for the snapshot covers it: " + SegmentPath(1)));
}

TEST_CASE("check: a damaged snapshot is written anew from its good blocks") {
  auto files = GoodDirectory();
  const std::string path = SnapshotPath(kSnapshotStamp), bytes = files->Content(path);
  files->SetContent(path, Flipped(bytes, bytes.size() / 2));
  const DirectoryReport report = Examine(*files);
  INFO(Text(report));
  CHECK_FALSE(report.good());
  CHECK(report.snapshots.back().bad_blocks == 1);
  const uint64_t lost = kSnapshotKeys - report.snapshots.back().keys;
  CHECK(lost > 50);
  CHECK(lost < 300);
  CHECK_FALSE(Start(*files).error.empty());
  CHECK(RepairAll(*files).find(std::to_string(lost) +
                               " of 600 keys are lost, in 1 damaged blocks") != std::string::npos);
  const Started started = Start(*files);
  CHECK(started.error == "");
  CHECK(LastOf(started) == kLastStamp);
  CHECK(started.values.size() == kSnapshotKeys - lost + kLastStamp - kSnapshotStamp);
  CHECK(files->Content(std::string(kFolder) + "/" + persist::SnapshotName(kSnapshotStamp)) ==
        Flipped(bytes, bytes.size() / 2));
}

TEST_CASE("check: a snapshot without a good header is read with what its name says") {
  auto files = GoodDirectory();
  const std::string path = SnapshotPath(kSnapshotStamp);
  files->SetContent(path, Flipped(files->Content(path), 20));
  const DirectoryReport report = Examine(*files);
  INFO(Text(report));
  CHECK_FALSE(report.good());
  CHECK_FALSE(Start(*files).error.empty());
  RepairAll(*files);
  const Started started = Start(*files);
  CHECK(started.error == "");
  CHECK(LastOf(started) == kLastStamp);
  CHECK(started.values.size() == kSnapshotKeys + kLastStamp - kSnapshotStamp);
}

TEST_CASE("check: a value that this version does not know is not damage") {
  auto files = GoodDirectory();
  TestLog log(std::move(files), 16, persist::kSegmentBytesMin);
  REQUIRE(log.Begin(kSnapshotStamp).error.empty());
  AppendRecord(&log, kLastStamp + 1, /*type=*/99);
  log.Sync();
  const DirectoryReport report = Examine(*log.files);
  INFO(Text(report));
  CHECK_FALSE(report.good());
  CHECK(Says(report, "the log's record with stamp 201: key log201 has a value of type 99"));
  CHECK(Text(report).ends_with("start the version that wrote it\n"));
  CHECK(PlanRepair(report).empty());
}

TEST_CASE("check: random damage; a start says the same, and accepts what was repaired") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  const auto good = GoodDirectory();
  const auto names = good->List(kTestDirectory);
  REQUIRE(names.ok());
  int repaired = 0;
  for (int i = 0; i < 60 / kSlower; ++i) {
    auto files = good->Kill();
    std::set<std::string> damaged;
    for (uint64_t times = 1 + random() % 3; times > 0; --times) {
      const std::string name = names.value()[random() % names.value().size()];
      const std::string path = std::string(kTestDirectory) + "/" + name;
      if (!files->Exists(path)) continue;
      std::string bytes = files->Content(path);
      damaged.insert(name);
      switch (random() % 4) {
        case 0:
          files->Forget(path);
          break;
        case 1:
          files->SetContent(path, bytes.substr(0, random() % bytes.size()));
          break;
        default:
          files->SetContent(path,
                            Flipped(bytes, random() % (random() % 2 == 0 ? bytes.size() : 5000)));
      }
    }
    std::map<std::string, std::string> before;
    const auto names = files->List(kTestDirectory);
    for (const std::string& name : names.value())
      before[name] = files->Content(std::string(kTestDirectory) + "/" + name);
    const DirectoryReport report = Examine(*files);
    const Started refused = Start(*files);
    std::string what;
    for (const std::string& name : damaged) what += name + " ";
    INFO("seed ", seed, " case ", i, ": ", what, "\n", Text(report),
         "a start says: ", refused.error);
    REQUIRE(report.good() == refused.error.empty());
    const std::string plan = RepairAll(*files);
    INFO(plan);
    const Started started = Start(*files);
    REQUIRE(started.error == "");
    REQUIRE(Examine(*files).good());
    repaired += !report.good();
    // What is not as it was has a copy.
    for (const auto& [name, bytes] : before) {
      const std::string path = std::string(kTestDirectory) + "/" + name;
      if (files->Exists(path) && files->Content(path) == bytes) continue;
      REQUIRE(files->Content(std::string(kFolder) + "/" + name) == bytes);
    }
  }
  CHECK(repaired > 0);
}

}  // namespace
}  // namespace fluxkv::tools
