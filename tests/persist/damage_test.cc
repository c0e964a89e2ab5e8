// Goal: damaged files never give a wrong value, and never silently less than they can be known to
// have held. What can be known of the log (rule F3 and F2 in log_format.h): if a valid record
// behind the damage says that a stamp was on disk, or a segment that was begun afresh does, then
// everything up to that stamp must be there, or the start is refused with file and offset. Damage
// that nothing behind it speaks of (in the last group of all) cannot be told from a torn end: the
// log ends there, and that is reported. A snapshot is all or nothing. Method: small files, every
// byte flipped one at a time and the file cut at every byte.
#include <map>

#include "persist/snapshot_file.h"
#include "tests/persist/log_support.h"

namespace fluxkv::persist {
namespace {

// Under a sanitizer every fifth byte.
constexpr size_t kStep = kSlower == 1 ? 1 : 5;

size_t ValueBytes(Stamp stamp) {
  return stamp * 7 % 90;
}

// One record as it lies in the files.
struct Placed {
  uint64_t segment;
  size_t begin, end;  // in its file
  Stamp stamp, claims;
};

// Two lives: a segment with groups of one and of three records, then one begun afresh.
struct SmallLog {
  SmallLog() {
    std::unique_ptr<LossyFileSystem> files = std::make_unique<LossyFileSystem>();
    for (int life = 0; life < 2; ++life) {
      TestLog log(std::move(files), 4, kSegmentBytesMin);
      REQUIRE(log.Begin().error.empty());
      for (int group = 0; group < 3; ++group) {
        engine::LogRecords records;
        for (int i = group == 1 ? 3 : 1; i > 0; --i) {
          ++last;
          AddRecord(&records, last, ValueBytes(last));
        }
        REQUIRE(log.writer.Append(records, 0).ok());
        log.Sync();
      }
      files = log.files->Kill();
    }
    left = std::move(files);
    Stamp expected = 0;
    for (uint64_t segment = 1; segment <= 2; ++segment) {
      const std::string bytes = left->Content(SegmentPath(segment));
      size_t at = kSegmentHeaderBytes;
      for (;;) {
        engine::RecordHeader header;
        std::memcpy(&header, bytes.data() + at, sizeof(header));
        if (header.stamp == 0) break;
        REQUIRE(header.stamp == ++expected);
        const size_t end = at + engine::RecordBytes(header.body_bytes);
        records.push_back({segment, at, end, header.stamp, header.synced_stamp});
        at = end;
      }
    }
    REQUIRE(expected == last);
  }

  // The stamp that what lies behind this record says was on disk.
  Stamp ClaimedBehind(const Placed& record) const {
    Stamp claimed = record.segment == 1 ? last / 2 : 0;  // the second segment's base_stamp
    for (const Placed& r : records)
      if (r.stamp > record.stamp) claimed = std::max(claimed, r.claims);
    return claimed;
  }

  Stamp last = 0;
  std::unique_ptr<LossyFileSystem> left;
  std::vector<Placed> records;
};

bool NamesPlace(const std::string& error, const std::string& path) {
  const size_t at = error.find(path + " at ");
  return at != std::string::npos && std::isdigit(error[at + path.size() + 4]) != 0;
}

TEST_CASE("damage: every byte of a log flipped gives an error, or what nothing contradicts") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  const SmallLog log;
  int refused = 0, cut = 0;
  for (uint64_t segment = 1; segment <= 2; ++segment) {
    const std::string path = SegmentPath(segment), good = log.left->Content(path);
    size_t used = 0;
    for (const Placed& r : log.records)
      if (r.segment == segment) used = r.end;
    for (size_t at = 0; at < used + 200; at += kStep) {
      if (at >= sizeof(SegmentHeader) && at < kSegmentHeaderBytes)
        at = kSegmentHeaderBytes;  // unused
      std::string bad = good;
      bad[at] ^= static_cast<char>(1 << random() % 8);
      log.left->SetContent(path, bad);
      const ReadLog read = ReadAll(*log.left);
      INFO("segment ", segment, " byte ", at, " ", read.error);
      if (at < kSegmentHeaderBytes) {
        REQUIRE(read.error.find(path + " at 0") != std::string::npos);
        continue;
      }
      const Placed* damaged = nullptr;
      for (const Placed& r : log.records)
        if (r.segment == segment && at >= r.begin && at < r.end) damaged = &r;
      // Padding is under no checksum, and behind the end there is nothing.
      const bool padding =
          damaged != nullptr && at >= damaged->begin + sizeof(engine::RecordHeader) +
                                          engine::PutBytes(std::to_string(damaged->stamp).size(),
                                                           false, ValueBytes(damaged->stamp));
      if (damaged == nullptr || padding) {
        REQUIRE(read.error.empty());
        REQUIRE(read.stamps == UpTo(log.last));
      } else if (log.ClaimedBehind(*damaged) >= damaged->stamp) {
        REQUIRE(NamesPlace(read.error, path));
        ++refused;
      } else {
        REQUIRE(read.error.empty());
        REQUIRE(read.stamps == UpTo(damaged->stamp - 1));
        REQUIRE(read.torn.has_value());
        REQUIRE(read.torn->path == path);
        REQUIRE(read.torn->offset == damaged->begin);
        ++cut;
      }
      REQUIRE(read.whole);
    }
    log.left->SetContent(path, good);
  }
  CHECK(refused > 0);
  CHECK(cut > 0);
}

TEST_CASE("damage: a log cut at any byte is what was before the cut, and says so") {
  const SmallLog log;
  const std::string path = SegmentPath(2), good = log.left->Content(path);
  const size_t end = log.records.back().end;
  for (size_t cut = kSegmentHeaderBytes; cut <= end; cut += kStep) {
    for (bool shorter : {false, true}) {
      std::string bad = good.substr(0, cut);
      if (!shorter) bad.resize(good.size());
      log.left->SetContent(path, bad);
      const ReadLog read = ReadAll(*log.left);
      INFO("cut at ", cut, " ", read.error);
      REQUIRE(read.error.empty());
      Stamp last = log.last / 2;
      const Placed* torn = nullptr;
      for (const Placed& r : log.records) {
        if (r.segment != 2) continue;
        // Its last bytes may be padding, or zeros anyway.
        const size_t needed =
            r.begin + sizeof(engine::RecordHeader) +
            engine::PutBytes(std::to_string(r.stamp).size(), false, ValueBytes(r.stamp));
        if (cut >= needed) last = r.stamp;
        if (cut > r.begin && cut < r.end) torn = &r;
      }
      REQUIRE(read.stamps == UpTo(last));
      REQUIRE(read.whole);
      if (torn != nullptr && torn->stamp > last && cut > torn->begin + 8)
        REQUIRE((read.torn && read.torn->offset == torn->begin));
    }
  }
  // Cut in an earlier segment: what is behind it says that there was more.
  const std::string first = log.left->Content(SegmentPath(1));
  log.left->SetContent(path, good);
  for (size_t cut = kSegmentHeaderBytes; cut < log.records[4].end - 8; cut += kStep) {
    log.left->SetContent(SegmentPath(1), first.substr(0, cut));
    const ReadLog read = ReadAll(*log.left);
    INFO("cut at ", cut, " ", read.error);
    REQUIRE(NamesPlace(read.error, SegmentPath(1)));
    REQUIRE(read.whole);
  }
}

TEST_CASE("damage: the last record before a start is missed although nothing came behind it") {
  TestLog log;
  REQUIRE(log.Begin().error.empty());
  log.Append(1, 10);
  log.Append(2, 10);
  TestLog next(log.files->Kill(), 4, kSegmentBytesMin);
  REQUIRE(next.Begin().stamps == UpTo(2));
  std::string bytes = next.files->Content(SegmentPath(1));
  bytes[kSegmentHeaderBytes + engine::RecordBytes(engine::PutBytes(1, false, 10)) + 50] ^= 1;
  next.files->SetContent(SegmentPath(1), bytes);
  const ReadLog read = ReadAll(*next.files);
  CHECK(NamesPlace(read.error, SegmentPath(1)));
  CHECK(read.error.find(SegmentPath(2)) != std::string::npos);
}

// ---- Snapshots

std::string SmallSnapshot(LossyFileSystem& files) {
  static_cast<void>(files.CreateDirectory(kTestDirectory));
  SnapshotWriter writer(files, kTestDirectory, kTestLogId);
  REQUIRE(writer.Begin(42, 1'700'000'000'000, 3).ok());
  for (uint32_t db = 0; db < 3; ++db) {
    REQUIRE(writer.BeginDatabase(db, 2).ok());
    for (int key = 0; key < 2; ++key)
      REQUIRE(
          writer.Add(db, "key" + std::to_string(key), *engine::NewValue("value", 17 * key)).ok());
  }
  REQUIRE(writer.Finish().ok());
  return std::string(kTestDirectory) + "/" + SnapshotName(42);
}

// The error of reading it to its end.
std::string ReadSnapshot(LossyFileSystem& files, const std::string& path, uint64_t* keys) {
  auto reader = SnapshotReader::Open(files, path);
  if (!reader.ok()) return reader.message();
  for (;;) {
    auto block = reader.value()->Next();
    if (!block.ok()) return block.message();
    if (block.value().kind == BlockKind::kEnd) return {};
    engine::Change change;
    engine::ChangeReader changes(block.value().body);
    while (changes.Next(&change)) ++*keys;
  }
}

TEST_CASE("damage: a snapshot with any byte flipped, cut or added is refused with its place") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  LossyFileSystem files;
  const std::string path = SmallSnapshot(files), good = files.Content(path);
  uint64_t keys = 0;
  CHECK(ReadSnapshot(files, path, &keys) == "");
  CHECK(keys == 6);
  for (size_t at = 0; at <= good.size(); ++at) {
    std::string flipped = good, cut = good.substr(0, at),
                longer = good + std::string(at % 64 + 1, 0);
    if (at < good.size()) flipped[at] ^= static_cast<char>(1 << random() % 8);
    for (const std::string* bad : {&flipped, &cut, &longer}) {
      if (*bad == good) continue;
      files.SetContent(path, *bad);
      const std::string error = ReadSnapshot(files, path, &keys);
      INFO("byte ", at, " ", error);
      REQUIRE(NamesPlace(error, path));
    }
  }
}

TEST_CASE("damage: a damaged block of a snapshot can be stepped over, and the rest is good") {
  LossyFileSystem files;
  const std::string path = SmallSnapshot(files);
  std::string bytes = files.Content(path);
  const size_t first_keys = bytes.find("key0");
  bytes[first_keys] ^= 1;
  files.SetContent(path, bytes);
  auto reader = SnapshotReader::Open(files, path);
  REQUIRE(reader.ok());
  std::map<uint32_t, uint64_t> keys;
  int damaged = 0;
  for (;;) {
    auto block = reader.value()->Next();
    if (!block.ok()) {
      ++damaged;
      if (!reader.value()->SkipDamaged()) break;
      continue;
    }
    if (block.value().kind == BlockKind::kEnd) break;
    if (block.value().kind == BlockKind::kKeys) keys[block.value().db] += block.value().keys;
  }
  CHECK(damaged >= 1);
  CHECK(keys == std::map<uint32_t, uint64_t>{{1, 2}, {2, 2}});
}

}  // namespace
}  // namespace fluxkv::persist
