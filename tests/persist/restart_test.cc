// Goal: what a server holds comes back after it was stopped and started, whatever was done before;
// a start that cannot load everything refuses, and touches nothing; nobody waits for a disk but who
// must.
// Method: whole lives on a file system in memory, one behind the other; the lock also on the real
// file system. Most cases are named after what a predecessor did wrong.
#include <filesystem>

#include "tests/persist/life.h"

namespace fluxkv::persist {
namespace {

TEST_CASE("restart: every commit of many threads that was acknowledged survives") {
  LossyFileSystem files;
  std::atomic<uint64_t> unsafe{0};
  {
    Life life(files, {.mode = Mode::kFull, .segments = 16});
    REQUIRE(life.Start() == "");
    engine::RunThreads(4, [&](size_t thread) {
      engine::Session session(life.database);
      for (int i = 0; i < 500 / kSlower; ++i) {
        const std::string key = std::to_string(thread) + ":" + std::to_string(i);
        const engine::Key k(key);
        session.Latch(0, k);
        engine::VersionPtr value = engine::Version::New(types::kTypeString, 2, 0, key.size());
        std::memcpy(value->mutable_payload(), key.data(), key.size());
        session.txn().Put(0, k, std::move(value));
        const Stamp stamp = session.Finish();
        if (i % 50 != 0) continue;
        session.LeaveEpoch();
        life.log().Wake();
        for (int wait = 0; !life.log().IsSafe(stamp) && wait < 50000; ++wait)
          std::this_thread::sleep_for(std::chrono::microseconds(200));
        if (!life.log().IsSafe(stamp)) ++unsafe;
        session.EnterEpoch();
      }
    });
    CHECK(life.Stop() == "");
    // One sync serves whoever came while the last one ran.
    CHECK(life.persistence->log_figures().records.load() == 4 * (500 / kSlower));
    CHECK(life.persistence->log_figures().syncs.load() < 4 * (500 / kSlower));
  }
  CHECK(unsafe.load() == 0);
  const Loaded loaded = Load(*files.Crash(1));
  CHECK(loaded.error == "");
  CHECK(loaded.contents[0].size() == 4 * (500 / kSlower));
}

TEST_CASE("restart: twice and more, with deletes, through a log that has wrapped") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  LossyFileSystem files;
  History history;
  for (int number = 0; number < 8; ++number) {
    INFO("life ", number);
    Life life(files, {.mode = Mode::kRelaxed, .segments = 4});
    REQUIRE(life.Start() == "");
    life.history = history;
    REQUIRE(life.Contents() == history.At(engine::kStampPending));
    for (int i = 0; i < 200 / kSlower; ++i) {
      life.Random(random);
      REQUIRE(life.WaitAdmission(engine::CommitLog::Admission::kOpen));
    }
    life.Set(0, "deleted", "x");
    life.Delete(0, "deleted");
    CHECK(life.Stop() == "");
    history = life.history;
  }
  const Loaded loaded = Load(*files.Crash(0));
  CHECK(loaded.error == "");
  CHECK(loaded.contents == history.At(engine::kStampPending));
  CHECK(!loaded.contents[0].contains("deleted"));
}

TEST_CASE("restart: a value larger than a segment and than the whole log is committed and found") {
  LossyFileSystem files;
  const std::string large(300'000, 'L'), huge(kSegmentBytesMin * 5, 'H');
  {
    Life life(files, {.mode = Mode::kFull, .segments = 3});
    REQUIRE(life.Start() == "");
    REQUIRE(life.WaitSafe(life.Set(0, "large", large)));
    REQUIRE(life.WaitAdmission(engine::CommitLog::Admission::kOpen));
    const Stamp stamp = life.Set(0, "huge", huge);
    const Stamp after = life.Set(0, "after", "x");
    REQUIRE(life.WaitSafe(stamp));
    REQUIRE(life.WaitSafe(after));
    CHECK(Load(*files.Crash(3)).contents == life.Contents());
    CHECK(life.Stop() == "");
  }
  const Loaded loaded = Load(*files.Crash(1));
  CHECK(loaded.error == "");
  CHECK(loaded.contents[0].at("large").text == large);
  CHECK(loaded.contents[0].at("huge").text == huge);
}

TEST_CASE("restart: a damaged snapshot or log refuses the start, and nothing is touched") {
  LossyFileSystem files;
  {
    Life life(files, {.mode = Mode::kFull});
    REQUIRE(life.Start() == "");
    for (int i = 0; i < 50; ++i) life.Set(0, "key" + std::to_string(i), "value");
    REQUIRE(life.Snapshot() == "");
    for (int i = 0; i < 10; ++i)
      REQUIRE(life.WaitSafe(life.Set(0, "later" + std::to_string(i), "v")));
    CHECK(life.Stop() == "");
  }
  const auto names = files.List("data");
  for (const std::string& name : names.value()) {
    if (IsSpareName(name)) continue;
    for (bool cut : {false, true}) {
      auto damaged = files.Kill();
      const std::string path = "data/" + name;
      std::string bytes = damaged->Content(path);
      if (cut) {
        bytes.resize(SnapshotStamp(name) ? bytes.size() - 1 : kSegmentHeaderBytes - 1);
      } else {
        bytes[SnapshotStamp(name) ? bytes.size() / 2 : 40] ^= 4;
      }
      if (cut && !SnapshotStamp(name)) bytes.resize(20);  // of its header
      damaged->SetContent(path, bytes);
      for (Mode mode : {Mode::kNone, Mode::kFull}) {
        const uint64_t before = damaged->operations();
        Life life(*damaged, {.mode = mode});
        const std::string error = life.Start();
        INFO(error);
        CHECK(error.find(path + " at ") != std::string::npos);
        CHECK(damaged->operations() <= before + 1);  // the directory's own name is synced
        CHECK(damaged->Content(path) == bytes);
      }
    }
  }
}

TEST_CASE("restart: a last snapshot is taken at the end when that is wanted") {
  for (Mode mode : {Mode::kNone, Mode::kRelaxed}) {
    LossyFileSystem files;
    Life life(files, {.mode = mode});
    REQUIRE(life.Start() == "");
    if (mode == Mode::kNone) REQUIRE(life.Snapshot() == "");  // it has a directory from here on
    life.Set(0, "a", "1");
    CHECK(life.Stop(/*save=*/true) == "");
    Loaded loaded = Load(*files.Crash(1));
    CHECK(loaded.contents[0]["a"].text == "1");
    CHECK(loaded.recovered.log_records == 0);
  }
}

// A predecessor hung when it was dropped without a flush interval.
TEST_CASE("restart: a relaxed log without any condition to sync stops at once, and syncs then") {
  LossyFileSystem files;
  Life life(files, {.mode = Mode::kRelaxed, .interval_ms = 0});
  REQUIRE(life.Start() == "");
  REQUIRE(life.WaitSafe(life.Set(0, "a", "1")));
  std::this_thread::sleep_for(std::chrono::milliseconds(70));
  CHECK(life.persistence->log_figures().syncs.load() == 0);
  const int64_t begin_us = MonotonicUs();
  CHECK(life.Stop() == "");
  CHECK(MonotonicUs() - begin_us < 1'000'000 * kSlower);
  CHECK(Load(*files.Crash(1)).contents[0]["a"].text == "1");
}

TEST_CASE("restart: relaxed mode syncs at the first of interval, commits and bytes") {
  for (int which = 0; which < 3; ++which) {
    INFO("condition ", which);
    LossyFileSystem files;
    Life life(files, {.mode = Mode::kRelaxed, .interval_ms = which == 0 ? 30 : 0});
    life.commits.store(which == 1 ? 3 : 0);
    life.bytes.store(which == 2 ? 2000 : 0);
    REQUIRE(life.Start() == "");
    const auto synced = [&] { return life.persistence->log_figures().synced_commits.load(); };
    for (int i = 0; i < 2; ++i) REQUIRE(life.WaitSafe(life.Set(0, "a", "1")));
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    if (which != 0) CHECK(synced() == 0);
    const Stamp stamp = life.Set(0, "b", std::string(2000, 'x'));
    life.log().Wake();
    REQUIRE(life.WaitFor([&] { return life.persistence->durable_stamp() >= stamp; }));
    CHECK(synced() == 3);
    CHECK(Load(*files.Crash(1)).contents == life.Contents());
    CHECK(life.Stop() == "");
  }
}

// Also when segments turn: the bound holds for what is in older ones.
TEST_CASE("restart: relaxed mode's bound holds over the borders of segments") {
  LossyFileSystem files;
  Life life(files, {.mode = Mode::kRelaxed, .segments = 16, .interval_ms = 20});
  REQUIRE(life.Start() == "");
  Stamp stamp = 0;
  for (int i = 0; i < 40; ++i) stamp = life.Set(0, std::to_string(i), std::string(7000, 'x'));
  REQUIRE(life.WaitFor([&] { return life.persistence->durable_stamp() >= stamp; }));
  CHECK(life.persistence->log_figures().segments_used.load() > 3);
  for (uint64_t seed = 0; seed < 5; ++seed)
    CHECK(Load(*files.Crash(seed)).contents == life.Contents());
  CHECK(life.Stop() == "");
}

// Commits leave their record and go on; a disk that takes its time holds only replies.
TEST_CASE("restart: a commit does not wait for the disk, its reply does") {
  LossyFileSystem files;
  Life life(files, {.mode = Mode::kFull});
  REQUIRE(life.Start() == "");
  std::atomic<bool> stuck{true}, reached{false};
  files.set_on_operation([&](uint64_t, Operation) {
    reached.store(true);
    while (stuck.load()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  Stamp stamp = life.Set(0, "a", "1");
  life.log().Wake();
  REQUIRE(life.WaitFor([&] { return reached.load(); }));
  for (int i = 0; i < 100; ++i) stamp = life.Set(0, "b", std::to_string(i));
  CHECK(life.session->Get(0, "b") == "99");
  CHECK(!life.log().IsSafe(stamp));
  stuck.store(false);
  REQUIRE(life.WaitSafe(stamp));
  files.set_on_operation({});
  CHECK(life.Stop() == "");
}

TEST_CASE("restart: snapshots come no oftener than what they write pays for") {
  LossyFileSystem files;
  Life life(files, {.mode = Mode::kRelaxed, .segments = 64, .snapshot_after_bytes = 1000});
  REQUIRE(life.Start() == "");
  Stamp stamp = 0;
  for (int i = 0; i < 100; ++i) stamp = life.Set(0, std::to_string(i), std::string(3000, 'x'));
  REQUIRE(life.WaitSafe(stamp));
  REQUIRE(life.Snapshot() == "");
  const uint64_t taken = life.persistence->snapshot_figures().taken.load();
  for (int i = 0; i < 20; ++i) life.Set(0, std::to_string(i), std::string(3000, 'y'));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  CHECK(life.persistence->snapshot_figures().taken.load() == taken);  // 60 of 300 kB
  for (int i = 0; i < 100; ++i) life.Set(0, std::to_string(i), std::string(3000, 'z'));
  CHECK(
      life.WaitFor([&] { return life.persistence->snapshot_figures().taken.load() == taken + 1; }));
  CHECK(life.Stop() == "");
}

TEST_CASE("restart: a directory belongs to one process at a time") {
  LossyFileSystem files;
  Life first(files, {.mode = Mode::kFull});
  REQUIRE(first.Start() == "");
  {
    Life second(files, {.mode = Mode::kNone});
    CHECK(second.Start().find("another process uses this data directory") != std::string::npos);
  }
  CHECK(first.Stop() == "");
  first.persistence.reset();
  Life third(files, {.mode = Mode::kFull});
  CHECK(third.Start() == "");
  CHECK(third.Stop() == "");
}

TEST_CASE("restart: on the real file system, with its lock") {
  const std::string directory =
      (std::filesystem::temp_directory_path() / ("fluxkv-" + std::to_string(TestSeed()))).string();
  PosixFileSystem files;
  REQUIRE(files.CreateDirectory(directory).ok());
  REQUIRE(files.CreateDirectory(directory).ok());  // well if it is there already
  {
    auto lock = files.Lock(directory + "/lock");
    REQUIRE(lock.ok());
    auto again = files.Lock(directory + "/lock");
    REQUIRE(!again.ok());
    CHECK(again.message().find("another process uses this data directory") != std::string::npos);
  }
  CHECK(files.Lock(directory + "/lock").ok());
  {
    auto file = files.Open(directory + "/a", OpenMode::kCreate);
    REQUIRE(file.ok());
    CHECK(file.value()->WriteAt(3, "abc").ok());
    CHECK(file.value()->Sync().ok());
    CHECK(file.value()->Size().value() == 6);
    char bytes[10];
    CHECK(file.value()->ReadAt(2, bytes, sizeof(bytes)).value() == 4);
    CHECK(std::string_view(bytes, 4) == std::string_view("\0abc", 4));
  }
  CHECK(files.Rename(directory + "/a", directory + "/b").ok());
  CHECK(files.SyncDirectory(directory).ok());
  CHECK(files.List(directory).value() == std::vector<std::string>{"b", "lock"});
  CHECK(!files.Exists(directory + "/a"));
  auto missing = files.Open(directory + "/a", OpenMode::kReadWrite);
  REQUIRE(!missing.ok());
  CHECK(missing.message() == "cannot open " + directory + "/a: No such file or directory");
  CHECK(!files.Rename(directory + "/a", directory + "/c").ok());
  CHECK(!files.Remove(directory + "/a").ok());
  CHECK(files.Remove(directory + "/b").ok());
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace fluxkv::persist
