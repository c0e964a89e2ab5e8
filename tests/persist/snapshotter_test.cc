// Goal: a snapshot holds exactly what the database held at its stamp, whatever was written while it
// was taken; requests are served as promised.
// Method: commits without a pause while snapshots are taken in mode none, so that nothing but the
// file is loaded; the model says what it has to hold.
#include "tests/persist/life.h"

namespace fluxkv::persist {
namespace {

TEST_CASE("snapshotter: under writers, the file is the state at its stamp") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  LossyFileSystem files;
  Life life(files, {.mode = Mode::kNone});
  REQUIRE(life.Start() == "");
  for (int i = 0; i < 3000 / kSlower; ++i)
    life.Set(static_cast<uint32_t>(i % 4), "many" + std::to_string(i), std::string(100, 'm'));
  // The first write of each snapshot waits until something has been written beside it.
  std::atomic<bool> hold{false}, held{false};
  files.set_on_operation([&](uint64_t, Operation operation) {
    if (operation != Operation::kWrite || !hold) return;
    held = true;
    while (hold) std::this_thread::yield();
  });
  for (int round = 0; round < 6; ++round) {
    hold = true;
    held = false;
    auto ticket = life.persistence->RequestSnapshot(/*again=*/true);
    REQUIRE(ticket.ok());
    REQUIRE(life.WaitFor([&] { return held.load(); }));
    Status result;
    int written = 0;
    while (!life.persistence->SnapshotEnded(*ticket.value(), &result)) {
      // Some keys that are far apart in order, whole databases seldom.
      if (random() % 50 == 0) life.Random(random);
      const auto db = static_cast<uint32_t>(random() % 4);
      const std::string key = "many" + std::to_string(random() % 3000);
      if (random() % 4 == 0) {
        life.Delete(db, key);
      } else {
        life.SetMany({{db, key}, {(db + 1) % 4, key}}, std::to_string(random()));
      }
      if (++written == 30) hold = false;
    }
    REQUIRE(result.ok());
    const Loaded loaded = Load(*files.Kill());
    INFO("round ", round);
    REQUIRE(loaded.error == "");
    REQUIRE(loaded.contents == life.history.At(loaded.recovered.snapshot_stamp));
    REQUIRE(loaded.recovered.snapshot_stamp ==
            life.persistence->snapshot_figures().last_stamp.load());
  }
  files.set_on_operation({});
  // What was kept for the copy is let go, in cleared databases when their range deletes are
  // settled.
  life.database.LimitSettling(std::nullopt);  // Random sets one
  life.session->LeaveEpoch();
  life.database.Vacuum();
  life.session->EnterEpoch();
  CHECK(life.database.stats().versions_kept == 0);
  CHECK(life.database.stats().live_snapshots == 0);
  CHECK(life.Stop() == "");
}

TEST_CASE("snapshotter: it rests between slices, but not while the log is short of room") {
  LossyFileSystem files;
  Life life(files, {.mode = Mode::kNone});
  REQUIRE(life.Start() == "");
  for (int i = 0; i < 50'000 / kSlower; ++i) life.Set(0, "key" + std::to_string(i), "v");
  std::atomic<bool> in_haste{false};
  Snapshotter::Hooks hooks;
  hooks.in_haste = &in_haste;
  Snapshotter snapshotter(life.database, files, life.options.directory, 1, life.clock, *life.logger,
                          hooks);
  snapshotter.Start();
  REQUIRE(snapshotter.Wait(*snapshotter.Request()).ok());
  const uint64_t rests = snapshotter.figures().rests.load();
  CHECK(rests > 0);
  in_haste = true;
  REQUIRE(snapshotter.Wait(*snapshotter.Request()).ok());
  CHECK(snapshotter.figures().rests.load() == rests);
  CHECK(life.Stop() == "");
}

TEST_CASE("snapshotter: one that the log is in need of takes no rest") {
  LossyFileSystem files;
  Life life(files, {.mode = Mode::kRelaxed, .segments = 4});
  REQUIRE(life.Start() == "");
  // Nothing asks for one but the log when it is half full: there are no save points, and no size.
  for (int i = 0; i < 50'000 / kSlower || life.persistence->snapshot_figures().taken == 0; ++i) {
    life.Set(0, "key" + std::to_string(i), "v");
    REQUIRE(life.WaitAdmission(engine::CommitLog::Admission::kOpen));
  }
  CHECK(life.persistence->snapshot_figures().last_keys > 100);
  CHECK(life.persistence->snapshot_figures().rests == 0);
  CHECK(life.Stop() == "");
}

TEST_CASE("snapshotter: a request while one is taken is refused, or served by the next") {
  LossyFileSystem files;
  Life life(files, {.mode = Mode::kNone});
  REQUIRE(life.Start() == "");
  life.Set(0, "a", "1");
  REQUIRE(life.Snapshot() == "");
  std::atomic<bool> stuck{true}, reached{false};
  files.set_on_operation([&](uint64_t, Operation) {
    reached.store(true);
    while (stuck.load()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  auto first = life.persistence->RequestSnapshot(false);
  REQUIRE(first.value().has_value());
  REQUIRE(life.WaitFor([&] { return reached.load(); }));
  CHECK(life.persistence->snapshot_busy());
  CHECK(!life.persistence->RequestSnapshot(false).value().has_value());
  life.Set(0, "a", "2");
  auto second = life.persistence->RequestSnapshot(true),
       third = life.persistence->RequestSnapshot(true);
  CHECK(*second.value() > *first.value());
  CHECK(*second.value() == *third.value());
  stuck.store(false);
  Status result;
  REQUIRE(life.WaitFor([&] { return life.persistence->SnapshotEnded(*second.value(), &result); }));
  CHECK(result.ok());
  files.set_on_operation({});
  CHECK(Load(*files.Crash(1)).contents[0]["a"].text == "2");
  CHECK(life.persistence->snapshot_figures().taken.load() == 3);
  CHECK(life.Stop() == "");
}

TEST_CASE("snapshotter: save points count commits and seconds, in every mode") {
  for (Mode mode : {Mode::kNone, Mode::kFull}) {
    LossyFileSystem files;
    Life life(files, {.mode = mode});
    life.save_points = {{0, 5}, {3600, 1}};
    REQUIRE(life.Start() == "");
    for (int i = 0; i < 4; ++i) life.Set(0, "a", std::to_string(i));
    CHECK(life.persistence->changes_since_snapshot() == 4);
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
    const auto taken = [&] { return life.persistence->snapshot_figures().taken.load(); };
    CHECK(taken() == 0);
    life.Set(0, "a", "5");
    CHECK(life.WaitFor([&] { return taken() == 1; }));
    CHECK(life.WaitFor([&] { return life.persistence->changes_since_snapshot() == 0; }));
    CHECK(Load(*files.Crash(1)).contents[0]["a"].text == "5");
    CHECK(life.Stop() == "");
  }
}

TEST_CASE("snapshotter: a reload through snapshot and log changes nothing") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  LossyFileSystem files;
  Life life(files, {.mode = Mode::kFull, .segments = 32});
  REQUIRE(life.Start() == "");
  for (int round = 0; round < 6; ++round) {
    for (int i = 0; i < 60; ++i) life.Random(random);
    life.session->LeaveEpoch();
    Status status =
        round % 2 == 0 ? life.persistence->ReloadSnapshot() : life.persistence->ReloadLog();
    life.session->EnterEpoch();
    INFO("round ", round, " ", status.ok() ? "" : status.message());
    REQUIRE(status.ok());
    REQUIRE(life.Contents() == life.history.At(engine::kStampPending));
  }
  const Stamp stamp = life.Set(0, "last", "x");
  REQUIRE(life.WaitSafe(stamp));
  CHECK(Load(*files.Crash(seed)).contents == life.Contents());
  CHECK(life.Stop() == "");
}

}  // namespace
}  // namespace fluxkv::persist
