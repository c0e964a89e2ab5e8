// Goal: in full mode whoever commits may write and sync the log himself, and that keeps the
// promises of the log thread: nothing is safe that is not on disk, nothing is lost or twice there;
// he begins no segment, and a slow disk is left to the log thread. Method: commits by one thread
// and by several, small segments, changes of the mode and faults meanwhile; the operations of the
// file system are told apart by their thread; what a power loss leaves is loaded and compared.
// (What it leaves after each single operation: crash_points_test.cc.)
#include <atomic>
#include <map>
#include <set>
#include <thread>

#include "tests/persist/life.h"

namespace fluxkv::persist {
namespace {

TEST_CASE("try sync: who syncs finds his commit on disk, and only ever writes and syncs") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  LossyFileSystem files;
  Life life(files, {.mode = Mode::kFull, .segments = 6});
  REQUIRE(life.Start() == "");
  CHECK(!life.persistence->SyncLog());  // nobody knows yet what a sync takes
  const std::thread::id self = std::this_thread::get_id();
  std::set<Operation> mine, others;
  files.set_on_operation([&](uint64_t, Operation operation) {
    (std::this_thread::get_id() == self ? mine : others).insert(operation);
  });
  int by_me = 0;
  for (int i = 0; i < 3000 / kSlower; ++i) {
    const Stamp stamp = life.Random(random);
    // A commit of another thread that was under way keeps those behind it back.
    if (life.persistence->SyncLog() && life.log().IsSafe(stamp)) {
      ++by_me;
      CHECK(life.persistence->durable_stamp() >= stamp);
      if (by_me % 50 == 0) {
        const Loaded left = Load(*files.Crash(seed + static_cast<uint64_t>(i)));
        REQUIRE(left.error == "");
        REQUIRE(left.contents == life.history.At(stamp));
      }
    } else if (i % 7 == 0) {
      REQUIRE(life.WaitSafe(stamp));
    }
    if (i % 400 == 399) REQUIRE(life.Snapshot() == "");
    REQUIRE(life.WaitAdmission(engine::CommitLog::Admission::kOpen));
  }
  CHECK(by_me > 0);
  REQUIRE(life.Stop() == "");
  CHECK(!life.log().loops_may_sync());
  files.set_on_operation({});
  CHECK(mine == std::set<Operation>{Operation::kWrite, Operation::kSync});
  CHECK(others.contains(Operation::kRename));  // segments were begun
  const Loaded loaded = Load(*files.Crash(seed));
  CHECK(loaded.error == "");
  CHECK(loaded.contents == life.history.At(life.database.store().stamp.load()));
}

// Commits until whoever commits may sync.
bool WaitMaySync(Life& life) {
  if (!life.WaitAdmission(engine::CommitLog::Admission::kOpen)) return false;
  for (int i = 0; i < 10'000 && !life.log().loops_may_sync(); ++i) {
    if (!life.WaitSafe(life.Set(0, "c", ""))) return false;
  }
  return life.log().loops_may_sync();
}

TEST_CASE("try sync: a slow disk is left to the log thread") {
  LossyFileSystem files;
  Life life(files, {.mode = Mode::kFull});
  const std::thread::id self = std::this_thread::get_id();
  std::atomic<int> mine{0};
  std::atomic<bool> slow{false};
  files.set_on_sync([&](const std::string&) {
    mine += std::this_thread::get_id() == self;
    if (slow) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  });
  REQUIRE(life.Start() == "");
  for (int round = 0; round < 3; ++round) {
    slow = false;
    REQUIRE(WaitMaySync(life));
    // One that takes a commit's thread long, or some that take the log thread long.
    mine = 0;
    slow = true;
    Stamp stamp = life.Set(0, "a", "1");
    if (!life.persistence->SyncLog()) REQUIRE(life.WaitSafe(stamp));
    CHECK(mine <= 1);
    CHECK(!life.log().loops_may_sync());
    stamp = life.Set(0, "a", "2");
    CHECK(!life.persistence->SyncLog());
    REQUIRE(life.WaitSafe(stamp));
    CHECK(mine <= 1);
  }
  slow = false;
  CHECK(life.Stop() == "");
}

TEST_CASE("try sync: nothing in another mode, or in a failed log") {
  LossyFileSystem files;
  Life life(files, {.mode = Mode::kFull});
  REQUIRE(life.Start() == "");
  const std::thread::id self = std::this_thread::get_id();
  std::atomic<int> mine{0};
  files.set_on_operation([&](uint64_t, Operation) { mine += std::this_thread::get_id() == self; });
  REQUIRE(WaitMaySync(life));
  files.Fail(Operation::kSync, 1, /*once=*/false, "Input/output error", "log-");
  const Stamp lost = life.Set(0, "a", "lost");
  life.log().Wake();
  REQUIRE(life.WaitAdmission(engine::CommitLog::Admission::kFailed));
  CHECK(!life.log().loops_may_sync());
  life.log().SetLoopsMaySync(true);  // as one may have read it before
  CHECK(!life.persistence->SyncLog());
  CHECK(!life.log().IsSafe(lost));
  files.Recover();
  REQUIRE(life.WaitSafe(lost));
  REQUIRE(WaitMaySync(life));
  REQUIRE(life.Switch(Mode::kRelaxed) == "");
  CHECK(!life.log().loops_may_sync());
  life.log().SetLoopsMaySync(true);
  life.Set(0, "a", "relaxed");
  CHECK(!life.persistence->SyncLog());
  life.log().SetLoopsMaySync(false);
  REQUIRE(life.Switch(Mode::kFull) == "");
  REQUIRE(WaitMaySync(life));
  REQUIRE(life.Switch(Mode::kNone) == "");
  CHECK(!life.log().loops_may_sync());
  life.Set(0, "a", "none");
  CHECK(!life.persistence->SyncLog());
  CHECK(mine == 0);
  files.set_on_operation({});
  CHECK(life.Stop() == "");
}

TEST_CASE("try sync: a write or a sync that fails is told to all, and mended by the log thread") {
  LossyFileSystem files;
  Life life(files, {.mode = Mode::kFull});
  REQUIRE(life.Start() == "");
  const std::thread::id self = std::this_thread::get_id();
  std::set<Operation> mine;
  files.set_on_operation([&](uint64_t, Operation operation) {
    if (std::this_thread::get_id() == self) mine.insert(operation);
  });
  uint64_t faults = 0;
  // Until both have met the thread that commits: now and then the log thread comes first.
  for (int round = 0; round < 40 && (round < 4 || mine.size() < 2); ++round) {
    REQUIRE(WaitMaySync(life));
    files.Fail(round % 2 == 0 ? Operation::kWrite : Operation::kSync, 1, /*once=*/true,
               "No space left on device", "log-");
    const Stamp stamp = life.Set(0, "a", std::to_string(round));
    CHECK(!life.persistence->SyncLog());
    REQUIRE(life.WaitSafe(stamp));
    CHECK(files.faults() == ++faults);
    REQUIRE(life.WaitAdmission(engine::CommitLog::Admission::kOpen));
    CHECK(Load(*files.Crash(stamp)).contents == life.history.At(stamp));
  }
  CHECK(mine == std::set<Operation>{Operation::kWrite, Operation::kSync});
  files.set_on_operation({});
  CHECK(life.persistence->log_figures().failures.load() == faults);
  CHECK(life.Stop() == "");
}

// Each thread looks at the disk now and then, right after its own commit became safe.
TEST_CASE("try sync: many threads, and changes between full and relaxed") {
  FLUXKV_SEEDED(seed);
  constexpr int kThreads = 3;
  const int commits = 3000 / kSlower;
  LossyFileSystem files;
  Life life(
      files,
      {.mode = Mode::kFull, .segments = 16, .interval_ms = 2, .snapshot_after_bytes = 200'000});
  REQUIRE(life.Start() == "");
  std::map<std::string, std::string> last[kThreads];
  std::atomic<int> left{kThreads}, wrong{0}, by_threads{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(seed + static_cast<uint64_t>(t));
      engine::Session session(life.database);
      for (int i = 0; i < commits; ++i) {
        const std::string key = std::to_string(t) + ":" + std::to_string(random() % 40);
        const std::string text = std::to_string(i);
        const engine::Key k(key);
        session.Latch(0, k);
        session.txn().Put(0, k, StringValue(text, engine::kNoExpiry));
        const Stamp stamp = session.Finish();
        last[t][key] = text;
        session.LeaveEpoch();
        if (random() % 8 != 0 && life.persistence->SyncLog()) ++by_threads;
        if (random() % 8 == 0) life.persistence->WriteLog();
        if (random() % 8 == 0) {
          life.log().Wake();
          while (!life.log().IsSafe(stamp)) std::this_thread::yield();
        }
        while (life.log().admission() != engine::CommitLog::Admission::kOpen)
          std::this_thread::yield();
        session.EnterEpoch();
      }
      --left;
    });
  }
  for (int i = 0; left > 0; ++i) {
    // Mostly full: who may sync is known only after a sync.
    if (i % 8 < 2 && life.Switch(i % 2 == 0 ? Mode::kRelaxed : Mode::kFull) != "") ++wrong;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(by_threads > 0);
  TestKeys expected;
  for (const auto& keys : last) {
    for (const auto& [key, text] : keys) expected[key] = {text};
  }
  CHECK(life.Stop() == "");
  const Loaded loaded = Load(*files.Crash(seed));
  CHECK(loaded.error == "");
  CHECK(loaded.contents[0] == expected);
}

}  // namespace
}  // namespace fluxkv::persist
