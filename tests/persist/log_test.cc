// Goal: what is written to the log is read back, in order and once, however records lie over
// segments, and whatever segments held before; and the writer's figures say what is on disk.
// Method: writer and reader on a file system in memory, without threads and without a store.
#include "persist/log_writer.h"
#include "tests/persist/log_support.h"

namespace fluxkv::persist {
namespace {

constexpr size_t kRoom = kSegmentBytesMin - kSegmentHeaderBytes;

// The size of a value whose record takes so many bytes, under keys of one digit.
size_t ValueFor(size_t record_bytes) {
  return record_bytes - engine::RecordBytes(engine::PutBytes(1, false, 0) + 7) + 7;
}

TEST_CASE("log: an empty log, and one record") {
  TestLog log;
  CHECK(log.Begin().error.empty());
  CHECK(log.writer.synced_stamp() == 0);
  ReadLog read = ReadAll(*log.files);
  CHECK(read.error.empty());
  CHECK(read.stamps.empty());
  CHECK(!read.torn);
  CHECK(read.end.place.segment == 1);
  log.Append(7, 10);
  CHECK(log.writer.written_stamp() == 7);
  CHECK(log.writer.synced_stamp() == 0);
  CHECK(log.writer.unsynced_bytes() > 0);
  log.Sync();
  CHECK(log.writer.synced_stamp() == 7);
  CHECK(log.writer.unsynced_bytes() == 0);
  CHECK(log.writer.all_synced());
  read = ReadAll(*log.files);
  CHECK(read.error.empty());
  CHECK(read.whole);
  CHECK(read.stamps == std::vector<Stamp>{7});
  CHECK(!read.torn);
  CHECK(read.end.last_stamp == 7);
}

// The first record begins where the second one's end is to lie at every place around the border of
// two segments: header, body and padding are cut everywhere.
TEST_CASE("log: records span segments at any place") {
  for (size_t shift = 0; shift <= 160; shift += 8) {
    TestLog log;
    REQUIRE(log.Begin().error.empty());
    log.Append(1, ValueFor(kRoom - 160 + shift));
    log.Append(2, 50);
    log.Append(3, 3);
    engine::LogRecords group;
    for (Stamp s = 4; s < 9; ++s) AddRecord(&group, s, 30000);
    REQUIRE(log.writer.Append(group, 0).ok());
    log.Sync();
    const ReadLog read = ReadAll(*log.files);
    INFO("shift ", shift, " ", read.error);
    REQUIRE(read.stamps == UpTo(8));
    REQUIRE(read.whole);
    REQUIRE(!read.torn);
    REQUIRE(log.writer.segments_used() >= 3);
    // From a snapshot at any stamp only the later ones, and nothing is missing.
    for (Stamp after = 0; after <= 8; ++after) {
      const ReadLog rest = ReadAll(*log.files, after);
      INFO("after ", after, " ", rest.error);
      REQUIRE(rest.error.empty());
      REQUIRE(rest.stamps.size() == 8 - after);
      REQUIRE((rest.stamps.empty() || rest.stamps.front() == after + 1));
      REQUIRE(rest.end.last_stamp == 8);
    }
  }
}

// A predecessor turned its segments round for ever when a value was larger than one.
TEST_CASE("log: a record larger than a segment, and larger than the whole pool, is written") {
  TestLog log(3);
  REQUIRE(log.Begin().error.empty());
  log.Append(1, kSegmentBytesMin * 2 + 123);
  log.Append(2, 10);
  CHECK(log.writer.all_written());
  log.Append(3, kSegmentBytesMin * 5);
  // The end of the record is less than a segment, and waits until a snapshot has made room.
  CHECK(log.writer.blocked());
  CHECK(log.writer.segments_used() > 3);
  log.Sync();
  CHECK(log.writer.synced_stamp() == 2);
  CHECK(ReadAll(*log.files).stamps == UpTo(2));
  REQUIRE(log.writer.SnapshotDone(3).ok());
  CHECK(log.writer.segments_used() == 1);
  REQUIRE(log.writer.Resume(0).ok());
  CHECK(log.writer.all_written());
  log.Append(4, 10);
  log.Sync();
  const ReadLog read = ReadAll(*log.files, 3);
  INFO(read.error);
  CHECK(read.stamps == std::vector<Stamp>{4});
  CHECK(read.whole);
  // A snapshot gives back all but the last, whatever the pool's size was.
  REQUIRE(log.writer.SnapshotDone(4).ok());
  CHECK(log.writer.segments_used() == 1);
  CHECK(log.writer.synced_stamp() == 4);
  CHECK(log.pool.spares() <= 3);
}

TEST_CASE("log: without room records wait, and are written in order when a snapshot makes some") {
  TestLog log(3);
  REQUIRE(log.Begin().error.empty());
  Stamp stamp = 0;
  while (!log.writer.blocked()) log.Append(++stamp, 10000);
  CHECK(log.writer.segments_used() == 3);
  CHECK(!log.writer.has_room());
  log.Append(++stamp, 10000);
  log.Sync();
  CHECK(!log.writer.all_written());
  CHECK(log.writer.synced_stamp() < stamp);
  const ReadLog before = ReadAll(*log.files);
  CHECK(before.stamps == UpTo(log.writer.synced_stamp()));
  // A snapshot of what is in memory, of which the log has not all.
  REQUIRE(log.writer.SnapshotDone(stamp).ok());
  CHECK(log.writer.segments_used() == 1);
  REQUIRE(log.writer.Resume(0).ok());
  CHECK(!log.writer.blocked());
  log.Append(++stamp, 10000);
  log.Sync();
  const ReadLog read = ReadAll(*log.files, stamp - 1);
  INFO(read.error);
  CHECK(read.stamps == std::vector<Stamp>{stamp});
  CHECK(read.whole);
}

TEST_CASE("log: segments are used again, and what they held before is never read") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  TestLog log(4);
  REQUIRE(log.Begin().error.empty());
  Stamp stamp = 0, snapshot = 0;
  for (int i = 0; i < 1500 / kSlower; ++i) {
    log.Append(++stamp, random() % 3000);
    if (random() % 4 == 0) log.Sync();
    if (log.writer.segments_used() == 3) {
      // Not of everything: the last record is the log's alone.
      snapshot = stamp - 1;
      REQUIRE(log.writer.SnapshotDone(snapshot).ok());
    }
    if (random() % 10 != 0) continue;
    const ReadLog read = ReadAll(*log.files, snapshot);
    INFO(read.error);
    REQUIRE(read.error.empty());
    REQUIRE(read.whole);
    REQUIRE(read.stamps.size() == stamp - snapshot);
    REQUIRE((read.stamps.empty() || read.stamps.back() == stamp));
    REQUIRE(!read.torn);
  }
  size_t files = 0;
  const auto names = log.files->List(kTestDirectory);
  for (const std::string& name : names.value())
    files += SegmentNumber(name) || IsSpareName(name) ? 1 : 0;
  CHECK(files <= 4);
}

// A predecessor began again at its first segment's first byte, over records that no snapshot had.
TEST_CASE("log: start after start begins behind what is there, and all of it is found") {
  std::unique_ptr<LossyFileSystem> files = std::make_unique<LossyFileSystem>();
  for (Stamp life = 1; life <= 12; ++life) {
    TestLog log(std::move(files), 4, kSegmentBytesMin);
    const ReadLog read = log.Begin();
    INFO(read.error);
    REQUIRE(read.error.empty());
    REQUIRE(read.stamps == UpTo((life - 1) * 3));
    REQUIRE(log.writer.segments_used() == life);  // none is written to again
    for (Stamp s = life * 3 - 2; s <= life * 3; ++s) log.Append(s, 100 * s);
    if (life % 2 == 0) log.Sync();
    files = log.files->Kill();
  }
}

// What goes through is written in blocks, so each write repeats what the log has before it there,
// and what the segment held before is behind its end.
TEST_CASE("log: what goes through is on disk at once, and harms nothing beside it") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  TestLog log(4);
  REQUIRE(log.Begin().error.empty());
  Stamp stamp = 0, snapshot = 0;
  int through = 0, refused = 0;
  for (int i = 0; i < 2000 / kSlower; ++i) {
    const bool all_synced = log.writer.all_synced();
    const Way way = random() % 8 == 0 ? Way::kCached : Way::kThrough;
    const size_t size = random() % (random() % 4 == 0 ? 9000 : 300);
    REQUIRE(log.writer.Append(OneRecord(++stamp, size), 0, way).ok());
    if (way == Way::kThrough && log.writer.all_synced()) {
      ++through;
      REQUIRE(all_synced);
      REQUIRE(log.writer.synced_stamp() == stamp);
      REQUIRE(log.writer.written_stamp() == stamp);
      REQUIRE(log.writer.unsynced_bytes() == 0);
    } else {
      refused += way == Way::kThrough ? 1 : 0;
      REQUIRE(log.writer.synced_stamp() < stamp);
      if (random() % 3 == 0) log.Sync();
    }
    if (log.writer.segments_used() == 3) {
      snapshot = stamp - 1;
      REQUIRE(log.writer.SnapshotDone(snapshot).ok());
    }
    if (random() % 10 != 0) continue;
    const auto killed = log.files->Kill(), crashed = log.files->Crash(random());
    for (LossyFileSystem* files : {killed.get(), crashed.get()}) {
      const ReadLog read = ReadAll(*files, snapshot);
      INFO(read.error);
      REQUIRE(read.error.empty());
      REQUIRE(read.whole);
      const Stamp newest = read.stamps.empty() ? snapshot : read.stamps.back();
      REQUIRE(read.stamps.size() == newest - snapshot);
      REQUIRE(newest >= std::max(snapshot, log.writer.synced_stamp()));
      if (files == crashed.get()) continue;
      REQUIRE(newest == stamp);
      REQUIRE_FALSE(read.torn);
    }
  }
  CHECK(through > 500 / kSlower);  // 1340 of 2000 on average
  CHECK(refused > 100 / kSlower);
}

// While an earlier one is being synced beside, nothing may be said to be on disk before it.
TEST_CASE("log: what goes through does not overtake what is being synced") {
  TestLog log;
  REQUIRE(log.Begin().error.empty());
  log.Append(1, 100);
  const SyncJob job = log.writer.BeginSync();
  REQUIRE(log.writer.Append(OneRecord(2, 100), 0, Way::kThrough).ok());
  CHECK(log.writer.synced_stamp() == 0);
  CHECK_FALSE(log.writer.all_synced());
  REQUIRE(job.Run().ok());
  log.writer.EndSync(job);
  CHECK(log.writer.synced_stamp() == 1);
  REQUIRE(log.writer.Append(OneRecord(3, 100), 0, Way::kThrough).ok());
  CHECK(log.writer.synced_stamp() == 1);
  log.Sync();
  CHECK(log.writer.synced_stamp() == 3);
  REQUIRE(log.writer.Append(OneRecord(4, 100), 0, Way::kThrough).ok());
  CHECK(log.writer.synced_stamp() == 4);
  CHECK(ReadAll(*log.files->Crash(1)).stamps == UpTo(4));
}

// An old record right behind the end, in a segment that is used again, would look like a torn one.
TEST_CASE("log: zeros are behind what went through, also where it ends with its block") {
  for (size_t less = 0; less <= 96; less += 8) {
    CAPTURE(less);
    TestLog log(2);
    REQUIRE(log.Begin().error.empty());
    Stamp stamp = 0;
    while (log.writer.segments_used() < 2) log.Append(++stamp, 32);  // small ones everywhere
    log.Sync();
    REQUIRE(log.writer.SnapshotDone(stamp).ok());
    while (log.writer.segments_used() < 2) log.Append(++stamp, 32);
    log.Sync();
    REQUIRE(log.writer.SnapshotDone(stamp - 1).ok());
    engine::LogRecords records = OneRecord(++stamp, 32);
    const size_t place = log.writer.end().place.offset % File::kBlockBytes;
    const size_t without = records.bytes.size() - 32;
    const size_t size = 2 * File::kBlockBytes - place - without - less;
    records = OneRecord(stamp, size);
    REQUIRE(log.writer.Append(records, 0, Way::kThrough).ok());
    REQUIRE(log.writer.all_synced());
    const ReadLog read = ReadAll(*log.files, stamp - 2);
    CHECK(read.error == "");
    CHECK(read.stamps == std::vector<Stamp>{stamp - 1, stamp});
    CHECK_FALSE(read.torn);
  }
}

TEST_CASE("log: what went through stays, and what did not is written afresh, when the disk fails") {
  for (const Operation fails : {Operation::kWrite, Operation::kSync}) {
    TestLog log;
    REQUIRE(log.Begin().error.empty());
    REQUIRE(log.writer.Append(OneRecord(1, 100), 0, Way::kThrough).ok());
    log.files->Fail(fails, 1, /*once=*/false, "Input/output error");
    CHECK_FALSE(log.writer.Append(OneRecord(2, 5000), 0, Way::kThrough).ok());
    CHECK(log.writer.failed());
    CHECK(log.writer.synced_stamp() == 1);
    // Not again: only Mend helps.
    CHECK(log.writer.Append(OneRecord(3, 10), 0, Way::kThrough).ok());
    CHECK(log.writer.synced_stamp() == 1);
    const ReadLog lost = ReadAll(*log.files->Crash(7));
    CHECK(lost.error == "");
    CHECK(lost.stamps.size() >= 1);
    log.files->Recover();
    REQUIRE(log.writer.Mend(0).ok());
    CHECK(log.writer.synced_stamp() == 3);
    CHECK(log.writer.segments_used() == 2);
    REQUIRE(log.writer.Append(OneRecord(4, 10), 0, Way::kThrough).ok());
    const ReadLog read = ReadAll(*log.files->Crash(8));
    CHECK(read.error == "");
    CHECK(read.whole);
    CHECK(read.stamps == UpTo(4));
  }
}

TEST_CASE("log: a segment that is not covered by a snapshot is not given back") {
  TestLog log(8);
  REQUIRE(log.Begin().error.empty());
  for (Stamp s = 1; s <= 40; ++s) log.Append(s, 10000);
  log.Sync();
  const size_t used = log.writer.segments_used();
  REQUIRE(used >= 6);
  for (Stamp snapshot = 1; snapshot <= 40; ++snapshot) {
    REQUIRE(log.writer.SnapshotDone(snapshot).ok());
    const ReadLog read = ReadAll(*log.files, snapshot);
    INFO("snapshot ", snapshot, " ", read.error);
    REQUIRE(read.error.empty());
    REQUIRE(read.stamps.size() == 40 - snapshot);
    REQUIRE(read.whole);
  }
  CHECK(log.writer.segments_used() == 1);
  CHECK(log.pool.spares() == used - 1);
}

void SnapshotBesideDistrust(bool stopped) {
  CAPTURE(stopped);
  TestLog log(4);
  log.Begin();
  Stamp stamp = 0;
  while (log.writer.segments_used() < 2) {
    log.Append(++stamp, 9000);
    if (stamp == 2) log.Sync();
  }
  log.files->Fail(Operation::kSync, 1, /*once=*/false, "Input/output error");
  REQUIRE_FALSE(log.writer.Sync().ok());
  REQUIRE_FALSE(log.writer.Mend(0).ok());
  // It covers all that is on disk, and not all that the second segment begins behind.
  const Stamp snapshot = 3;
  REQUIRE(log.writer.synced_stamp() < snapshot);
  REQUIRE(snapshot < stamp - 1);
  if (stopped) log.writer.Stop();
  CHECK(log.writer.SnapshotDone(snapshot).ok());
  CHECK(log.files->Exists(SegmentPath(1)));
  const auto killed = log.files->Kill();
  CHECK(ReadAll(*killed, snapshot).error == "");
  // The disk is well again: all is there.
  log.files->Recover();
  if (stopped) return;
  REQUIRE(log.writer.Mend(0).ok());
  CHECK(log.writer.synced_stamp() == stamp);
  CHECK(ReadAll(*log.files->Kill(), snapshot).stamps.back() == stamp);
}

TEST_CASE("log: a snapshot beside a log to be mended leaves no segment without the one before") {
  SnapshotBesideDistrust(false);
  SnapshotBesideDistrust(true);
}

TEST_CASE("log: missing segments are named, and so is a snapshot that is missing") {
  TestLog log(8);
  REQUIRE(log.Begin().error.empty());
  for (Stamp s = 1; s <= 40; ++s) log.Append(s, 10000);
  log.Sync();
  const auto without = [&](uint64_t number, Stamp after) {
    auto copy = log.files->Kill();
    copy->Forget(SegmentPath(number));
    return ReadAll(*copy, after);
  };
  ReadLog read = without(1, 0);
  CHECK(read.error.find(SegmentPath(2)) != std::string::npos);
  CHECK(read.error.find("there is no snapshot") != std::string::npos);
  CHECK(without(1, 3).error.find("the snapshot ends at 3") != std::string::npos);
  CHECK(without(1, 12).stamps.size() == 28);  // the snapshot covers it
  read = without(3, 0);
  CHECK(read.error.find(SegmentPath(2)) != std::string::npos);
  CHECK(read.error.find(SegmentPath(4)) != std::string::npos);
  CHECK(read.error.find("missing") != std::string::npos);
  // The snapshot that covers the first segments is not there.
  REQUIRE(log.writer.SnapshotDone(20).ok());
  read = ReadAll(*log.files, 0);
  CHECK(read.error.find("there is no snapshot") != std::string::npos);
}

TEST_CASE("log: segments of two logs are not mixed") {
  TestLog log(8);
  REQUIRE(log.Begin().error.empty());
  for (Stamp s = 1; s <= 20; ++s) log.Append(s, 10000);
  log.Sync();
  SegmentHeader header = *DecodeSegmentHeader(log.files->Content(SegmentPath(2)));
  header.log_id = 99;
  std::string bytes = log.files->Content(SegmentPath(2));
  bytes.replace(0, sizeof(header), Encode(header));
  log.files->SetContent(SegmentPath(2), bytes);
  const ReadLog read = ReadAll(*log.files);
  CHECK(read.error.find(SegmentPath(2) + " belongs to another log") != std::string::npos);
  auto other = FindSegments(*log.files, kTestDirectory, uint64_t{5});
  REQUIRE(!other.ok());
  CHECK(other.message().find("belongs to another log") != std::string::npos);
}

}  // namespace
}  // namespace fluxkv::persist
