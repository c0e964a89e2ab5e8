// Goal: a disk that fails costs nothing that was promised and promises nothing that is not so:
// writers are refused with the reason, what was acknowledged stays, what was not is written when
// the disk is well again, within two seconds, and then everything is as if nothing had happened.
// Method: every kind of operation fails, once and until it is mended, under commits in both modes;
// crashes during and after; snapshots that fail; a log that is full.
#include "tests/persist/life.h"

namespace fluxkv::persist {
namespace {

using Admission = engine::CommitLog::Admission;
const std::string kNoSpace = "No space left on device", kBroken = "Input/output error";

std::vector<std::string> Snapshots(LossyFileSystem& files) {
  std::vector<std::string> found;
  const auto names = files.List("data");
  for (const std::string& name : names.value())
    if (name.starts_with("snapshot")) found.push_back(name);
  return found;
}

// Commits until the fault has been met and the log has failed.
bool CommitUntilFailed(Life& life, std::mt19937_64& random) {
  for (int i = 0; i < 400; ++i) {
    const Stamp stamp = life.Set(0, "key" + std::to_string(random() % 30), std::string(3000, 'x'));
    life.log().Wake();
    life.WaitFor(
        [&] { return life.log().IsSafe(stamp) || life.log().admission() == Admission::kFailed; });
    if (life.log().admission() == Admission::kFailed) return true;
  }
  return false;
}

// A life with a fault. Its parts are called for many of them in turn, for each waits a second.
struct Faulty {
  Faulty(Operation o, Mode m, bool passes, uint64_t s)
      : operation(o), mode(m), once(passes), seed(s), random(s) {}

  std::string Name() const {
    return "operation " + std::to_string(static_cast<int>(operation)) + " mode " +
           std::to_string(static_cast<int>(mode)) + (once ? " once" : "");
  }

  void Break() {
    INFO(Name());
    REQUIRE(life.Start() == "");
    REQUIRE(life.WaitSafe(life.Random(random)));
    const std::string reason = operation == Operation::kSync ? kBroken : kNoSpace;
    const bool in_segment = operation == Operation::kWrite || operation == Operation::kSync;
    files.Fail(operation, 1, once, reason, in_segment ? "data/log" : "");
    REQUIRE(CommitUntilFailed(life, random));
    if (!once) CHECK(life.log().failure().find(reason) != std::string::npos);
    CHECK(life.persistence->log_figures().failures.load() >= 1);
    // Admitted before it was known: kept, and not safe.
    kept = life.Set(1, "kept", "until the disk is well again");
  }

  void WhileBroken() {
    INFO(Name());
    const Stamp safe = life.safe();
    CHECK(!life.log().IsSafe(kept));
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    CHECK(life.safe() == safe);
    CHECK(life.log().admission() == Admission::kFailed);
    CheckCrash(*files.Kill(), life.history, safe);
    for (uint64_t i = 0; i < 5; ++i)
      CheckCrash(*files.Crash(seed + i), life.history,
                 mode == Mode::kFull ? safe : life.persistence->durable_stamp());
    // Reads go on, and a transaction can be given up.
    CHECK(life.session->Get(1, "kept") == "until the disk is well again");
    life.session->txn().BeginExclusive();
    life.session->txn().ClearDatabase(1);
    life.session->txn().Rollback();
  }

  void Mended() {
    INFO(Name());
    REQUIRE(life.WaitAdmission(Admission::kOpen));
    CHECK(life.log().failure() == "");
    REQUIRE(life.WaitSafe(kept));
    REQUIRE(life.WaitFor([&] { return life.persistence->durable_stamp() >= kept; }));
    const Stamp promised = life.Random(random);
    REQUIRE(life.WaitSafe(promised));
    for (uint64_t i = 0; i < 10; ++i)
      CheckCrash(*files.Crash(seed + i), life.history, mode == Mode::kFull ? promised : kept);
    CheckCrash(*files.Kill(), life.history, promised);
    CHECK(life.Stop() == "");
    CheckCrash(*files.Crash(seed), life.history, promised);
  }

  const Operation operation;
  const Mode mode;
  const bool once;
  const uint64_t seed;
  std::mt19937_64 random;
  LossyFileSystem files;
  Life life{files, {.mode = mode, .segments = 16, .interval_ms = 1}};
  Stamp kept = 0;
};

TEST_CASE("failure: a fault of any kind, in both modes, one that stays and one that passes") {
  FLUXKV_SEEDED(seed);
  std::vector<std::unique_ptr<Faulty>> lives;
  for (Mode mode : {Mode::kFull, Mode::kRelaxed}) {
    for (Operation operation : {Operation::kWrite, Operation::kSync, Operation::kRename,
                                Operation::kCreate, Operation::kSyncDirectory})
      lives.push_back(std::make_unique<Faulty>(operation, mode, /*passes=*/false, seed));
    for (Operation operation : {Operation::kWrite, Operation::kSync, Operation::kSyncDirectory})
      lives.push_back(std::make_unique<Faulty>(operation, mode, /*passes=*/true, seed));
  }
  for (const auto& life : lives) life->Break();
  for (const auto& life : lives) {
    if (!life->once) life->WhileBroken();
  }
  for (const auto& life : lives) life->files.Recover();
  const int64_t recovered_us = MonotonicUs();
  for (const auto& life : lives) REQUIRE(life->life.WaitAdmission(Admission::kOpen));
  CHECK(MonotonicUs() - recovered_us < 2'000'000 * kSlower);
  for (const auto& life : lives) life->Mended();
}

// What a sync that failed has taken away is written again, to another file.
TEST_CASE("failure: the tail is written afresh") {
  LossyFileSystem files;
  Life life(files, {.mode = Mode::kFull});
  REQUIRE(life.Start() == "");
  files.Fail(Operation::kSync, 1, /*once=*/true, kBroken, "log-");
  const Stamp stamp = life.Set(0, "key", "value");
  life.log().Wake();
  REQUIRE(life.WaitAdmission(Admission::kFailed));
  CHECK(!life.log().IsSafe(stamp));
  REQUIRE(life.WaitSafe(stamp));
  for (uint64_t seed = 0; seed < 10; ++seed)
    CHECK(Load(*files.Crash(seed)).contents[0]["key"].text == "value");
}

TEST_CASE("failure: what a log could not sync at its end is an error, and stays unsafe") {
  LossyFileSystem files;
  Life life(files, {.mode = Mode::kFull});
  REQUIRE(life.Start() == "");
  files.Fail(Operation::kSync, 1, /*once=*/false, kBroken);
  const Stamp stamp = life.Set(0, "key", "value");
  CHECK(life.Stop().find(kBroken) != std::string::npos);
  CHECK(!life.log().IsSafe(stamp));
  CHECK(life.log().admission() == Admission::kFailed);
}

TEST_CASE("failure: a snapshot that fails leaves the old one and nothing half-made") {
  LossyFileSystem files;
  Life life(files, {.mode = Mode::kNone});
  REQUIRE(life.Start() == "");
  life.Set(0, "a", "1");
  REQUIRE(life.Snapshot() == "");
  const std::vector<std::string> old = Snapshots(files);
  REQUIRE(old.size() == 1);
  const TestContents then = life.Contents();
  for (Operation operation :
       {Operation::kCreate, Operation::kWrite, Operation::kSync, Operation::kRename}) {
    for (uint64_t nth : {1, 2}) {
      INFO("operation ", static_cast<int>(operation), " number ", nth);
      if (nth == 2 && operation != Operation::kWrite) continue;
      const uint64_t failed = life.persistence->snapshot_figures().failed.load();
      life.Set(0, "a", "2");
      files.Fail(operation, nth, /*once=*/false, kNoSpace);
      CHECK(life.Snapshot().find(kNoSpace) != std::string::npos);
      files.Recover();
      CHECK(Snapshots(files) == old);
      CHECK(life.persistence->snapshot_figures().failed.load() == failed + 1);
      CHECK(Load(*files.Kill()).contents == then);
      CHECK(Load(*files.Crash(nth)).contents == then);
    }
  }
  // The new one is there, but nobody knows whether its name stays: the old one stays as well.
  files.Fail(Operation::kSyncDirectory, 1, /*once=*/false, kBroken);
  CHECK(life.Snapshot().find(kBroken) != std::string::npos);
  files.Recover();
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const TestContents found = Load(*files.Crash(seed)).contents;
    CHECK((found == then || found == life.Contents()));
  }
  REQUIRE(life.Snapshot() == "");
  CHECK(Snapshots(files).size() == 1);
  CHECK(Load(*files.Crash(0)).contents == life.Contents());
  CHECK(life.Stop() == "");
}

TEST_CASE("failure: a full log makes writers wait, and a snapshot lets them go on") {
  LossyFileSystem files;
  Life life(files, {.mode = Mode::kFull, .segments = 3});
  REQUIRE(life.Start() == "");
  const LogFigures& figures = life.persistence->log_figures();
  Stamp stamp = 0;
  for (int i = 0; i < 20000 && figures.times_full.load() < 2; ++i) {
    stamp = life.Set(0, "key" + std::to_string(i % 20), std::string(5000, 'v'));
    life.log().Wake();
    if (life.log().admission() != Admission::kOpen) REQUIRE(life.WaitAdmission(Admission::kOpen));
  }
  CHECK(figures.times_full.load() >= 2);
  REQUIRE(life.WaitAdmission(Admission::kOpen));
  REQUIRE(life.WaitSafe(stamp));
  CHECK(figures.segments_used.load() <= 3);
  CHECK(life.persistence->snapshot_figures().taken.load() >= 2);
  CheckCrash(*files.Crash(1), life.history, stamp);
  CHECK(life.Stop() == "");
}

// A predecessor's writers waited for ever when the snapshotter had died.
TEST_CASE("failure: a full log whose snapshot fails refuses writers, until one succeeds") {
  LossyFileSystem files;
  Life life(files, {.mode = Mode::kFull, .segments = 3});
  REQUIRE(life.Start() == "");
  files.Fail(Operation::kWrite, 1, /*once=*/false, kNoSpace, "snapshot.tmp");
  Stamp stamp = 0;
  for (int i = 0; i < 1000 && life.log().admission() == Admission::kOpen; ++i) {
    stamp = life.Set(0, "key" + std::to_string(i % 20), std::string(3000, 'v'));
    life.log().Wake();
  }
  // Refused while there is room for what was let in, failed when there is none.
  REQUIRE(life.WaitFor([&] { return life.log().admission() >= Admission::kRefused; }));
  CHECK(life.log().failure().find("the log is full and the snapshot failed") != std::string::npos);
  CHECK(life.log().failure().find(kNoSpace) != std::string::npos);
  CheckCrash(*files.Crash(1), life.history, life.safe());
  files.Recover();
  REQUIRE(life.Snapshot() == "");
  REQUIRE(life.WaitAdmission(Admission::kOpen));
  REQUIRE(life.WaitSafe(stamp));
  REQUIRE(life.WaitSafe(life.Set(0, "after", "all")));
  CheckCrash(*files.Crash(2), life.history, stamp + 1);
  CHECK(life.Stop() == "");
}

// While segments are synced in the background a write fails, and then that sync: the second failure
// says that the segments are not to be trusted, though the first was mended in place.
TEST_CASE("failure: a write fails beside a sync that fails as well") {
  FLUXKV_SEEDED(seed);
  LossyFileSystem files;
  Life life(files, {.mode = Mode::kRelaxed, .interval_ms = 1});
  REQUIRE(life.Start() == "");
  std::atomic<bool> armed{true}, in_sync{false}, go_on{false};
  files.set_on_sync([&](const std::string& path) {
    if (path.find("log-") == std::string::npos || !armed.exchange(false)) return;
    in_sync = true;
    while (!go_on) std::this_thread::yield();
  });
  const Stamp before = life.Set(0, "a", "1");
  REQUIRE(life.WaitSafe(before));
  REQUIRE(life.WaitFor([&] { return in_sync.load(); }));
  files.Fail(Operation::kWrite, 1, /*once=*/true, kNoSpace, "log-");
  const Stamp beside = life.Set(0, "b", "2");
  REQUIRE(life.WaitAdmission(Admission::kFailed));
  files.Fail(Operation::kSync, 1, /*once=*/true, kBroken, "log-");
  go_on = true;
  REQUIRE(life.WaitAdmission(Admission::kOpen));
  REQUIRE(life.WaitFor([&] { return life.persistence->durable_stamp() >= beside; }));
  CHECK(files.faults() == 2);
  for (uint64_t i = 0; i < 20; ++i) CheckCrash(*files.Crash(seed + i), life.history, beside);
  const Stamp after = life.Set(0, "c", "3");
  REQUIRE(life.WaitFor([&] { return life.persistence->durable_stamp() >= after; }));
  for (uint64_t i = 0; i < 20; ++i) CheckCrash(*files.Crash(seed + i), life.history, after);
  files.set_on_sync({});
  CHECK(life.Stop() == "");
}

}  // namespace
}  // namespace fluxkv::persist
