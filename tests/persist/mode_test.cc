// Goal: a change of durability while running keeps each mode's promise from the moment the change
// is answered, and a crash at any stage finds what the modes so far had promised. Method: none,
// relaxed, full, none, full, with commits in between; after each stage the files as a kill and as
// power losses would leave them are loaded.
#include "tests/persist/life.h"

namespace fluxkv::persist {
namespace {

TEST_CASE("modes: none, relaxed, full, none and full again, with a crash at each stage") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 8 / kSlower + 1; ++round) {
    LossyFileSystem files;
    Life life(files, {.mode = Mode::kNone, .segments = 6, .interval_ms = 2});
    REQUIRE(life.Start() == "");
    CHECK(files.operations() == 0);  // in memory only: no file is touched
    CHECK(!files.Exists("data"));
    Stamp promised = 0;
    for (Mode mode : {Mode::kNone, Mode::kRelaxed, Mode::kFull, Mode::kNone, Mode::kFull}) {
      INFO("round ", round, " mode ", static_cast<int>(mode));
      const uint64_t before = files.operations();
      REQUIRE(life.Switch(mode) == "");
      CHECK(life.persistence->mode() == mode);
      CHECK((life.safe() == engine::CommitLog::kEverything) == (mode == Mode::kNone));
      // During the change what had been promised before it stays.
      for (uint64_t at = before; at < files.operations(); ++at) {
        if (!files.KillAfter(at)->Exists("data")) continue;
        CheckCrash(*files.KillAfter(at), life.history, promised);
        CheckCrash(*files.CrashAfter(at, seed + at), life.history, promised);
      }
      // Coming from none the promise is about everything so far.
      if (mode != Mode::kNone) promised = life.database.store().stamp.load();
      for (int i = 0; i < 20; ++i) {
        const Stamp stamp = life.Random(random);
        if (mode == Mode::kNone) continue;
        REQUIRE(life.WaitSafe(stamp));
        promised = stamp;
      }
      if (mode == Mode::kNone && promised == 0) continue;
      CheckCrash(*files.Kill(), life.history, promised);
      const Stamp on_disk = mode == Mode::kRelaxed ? life.persistence->durable_stamp() : promised;
      for (uint64_t i = 0; i < 5; ++i) CheckCrash(*files.Crash(seed + i), life.history, on_disk);
      if (mode == Mode::kRelaxed) {
        REQUIRE(life.WaitFor([&] { return life.persistence->durable_stamp() >= promised; }));
        CheckCrash(*files.Crash(seed), life.history, promised);
      }
    }
    CHECK(life.Stop() == "");
    CheckCrash(*files.Crash(seed), life.history, promised);
  }
}

TEST_CASE("modes: a change that fails changes nothing, and can be tried again") {
  LossyFileSystem files;
  Life life(files, {.mode = Mode::kNone});
  REQUIRE(life.Start() == "");
  life.Set(0, "a", "1");
  REQUIRE(life.Snapshot() == "");
  life.Set(0, "a", "2");
  for (auto [operation, path] : {std::pair(Operation::kSync, "spare-"),
                                 {Operation::kRename, "spare-"},
                                 {Operation::kSyncDirectory, ""},
                                 {Operation::kWrite, "snapshot.tmp"}}) {
    INFO(path);
    files.Fail(operation, 1, /*once=*/false, "Input/output error", path);
    CHECK(life.Switch(Mode::kFull).find("Input/output error") != std::string::npos);
    files.Recover();
    CHECK(life.persistence->mode() == Mode::kNone);
    CHECK(!life.persistence->switching());
    CHECK(life.safe() == engine::CommitLog::kEverything);
    CHECK(life.log().admission() == engine::CommitLog::Admission::kOpen);
    CHECK(!life.log().recording());
    const Loaded loaded = Load(*files.Kill());
    CHECK(loaded.error == "");
    // The old snapshot, or a whole new one.
    CHECK(loaded.contents == life.history.At(loaded.recovered.stamp));
  }
  REQUIRE(life.Switch(Mode::kFull) == "");
  const Stamp stamp = life.Set(0, "b", "3");
  REQUIRE(life.WaitSafe(stamp));
  REQUIRE(life.Snapshot() == "");
  REQUIRE(life.WaitSafe(life.Set(0, "c", "4")));
  for (uint64_t seed = 0; seed < 10; ++seed)
    CHECK(Load(*files.Crash(seed)).contents == life.Contents());
  CHECK(life.Stop() == "");
}

// A log that was begun by a change stands on the snapshot that the change took.
TEST_CASE("modes: the snapshot that a change took is missed when somebody removes it") {
  LossyFileSystem files;
  Life life(files, {.mode = Mode::kNone});
  REQUIRE(life.Start() == "");
  life.Set(0, "a", "1");
  REQUIRE(life.Switch(Mode::kFull) == "");
  REQUIRE(life.WaitSafe(life.Set(0, "b", "2")));
  CHECK(life.Stop() == "");
  auto left = files.Kill();
  const auto names = left->List("data");
  for (const std::string& name : names.value())
    if (SnapshotStamp(name)) left->Forget("data/" + name);
  CHECK(Load(*left).error.find("missing") != std::string::npos);
}

// The same in relaxed mode, whose commits are written by who makes them, without a pause in which
// everything would be on disk.
TEST_CASE("modes: a log that is always written to leaves the segment that its snapshot began") {
  LossyFileSystem files;
  Life life(files, {.mode = Mode::kNone, .segment_bytes = 1 << 20, .interval_ms = 1});
  REQUIRE(life.Start() == "");
  life.Set(0, "a", "1");
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    engine::Session session(life.database);
    const engine::Key key("b");
    while (!stop) {
      session.Latch(0, key);
      session.txn().Put(0, key, StringValue("2", engine::kNoExpiry));
      session.Finish();
      life.persistence->WriteLog();
      std::this_thread::yield();
    }
  });
  REQUIRE(life.Switch(Mode::kRelaxed) == "");
  REQUIRE(life.WaitFor([&] { return life.persistence->log_figures().segments_used.load() > 1; }));
  stop = true;
  writer.join();
  CHECK(life.persistence->log_figures().segment_bytes_used.load() <= 3 << 20);
  CHECK(life.Stop() == "");
  auto left = files.Kill();
  const auto names = left->List("data");
  for (const std::string& name : names.value())
    if (SnapshotStamp(name)) left->Forget("data/" + name);
  CHECK(Load(*left).error.find("missing") != std::string::npos);
}

TEST_CASE("modes: a save point in mode none makes the directory while a log is switched on") {
  for (int round = 0; round < 8; ++round) {
    LossyFileSystem files;
    Life life(files, {.mode = Mode::kNone});
    life.save_points = {{0, 1}};
    REQUIRE(life.Start() == "");
    life.Set(0, "a", "1");
    std::this_thread::sleep_for(std::chrono::milliseconds(round * 15));
    REQUIRE(life.Switch(Mode::kFull) == "");
    REQUIRE(life.WaitSafe(life.Set(0, "b", "2")));
    CHECK(Load(*files.Crash(1)).contents == life.Contents());
    CHECK(life.Stop() == "");
  }
}

}  // namespace
}  // namespace fluxkv::persist
