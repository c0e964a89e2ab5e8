// Goal: in relaxed mode whoever commits may write the log himself, and that keeps the promises of
// the log thread: nothing is safe before it was written, nothing is lost or twice there, he waits
// for no disk, and full mode knows no such thing. Method: commits by one thread and by several that
// write at once or do not, small segments, changes of the mode and faults meanwhile; the operations
// of the file system are told apart by their thread; what a kill leaves is loaded and compared.
#include <atomic>
#include <map>
#include <set>
#include <thread>

#include "tests/persist/life.h"

namespace fluxkv::persist {
namespace {

TEST_CASE("try write: commits are safe at once, and their writer only ever writes") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  LossyFileSystem files;
  Life life(files, {.mode = Mode::kRelaxed, .segments = 6, .interval_ms = 3});
  REQUIRE(life.Start() == "");
  const std::thread::id self = std::this_thread::get_id();
  std::set<Operation> mine, others;
  files.set_on_operation([&](uint64_t, Operation operation) {
    (std::this_thread::get_id() == self ? mine : others).insert(operation);
  });
  int at_once = 0;
  for (int i = 0; i < 3000 / kSlower; ++i) {
    const Stamp stamp = life.Random(random);
    life.persistence->WriteLog();
    if (life.log().IsSafe(stamp)) {
      ++at_once;
      if (at_once % 50 == 0) {
        const Loaded killed = Load(*files.Kill());
        REQUIRE(killed.error == "");
        REQUIRE(killed.contents == life.history.At(stamp));
      }
    } else if (i % 7 == 0) {
      REQUIRE(life.WaitSafe(stamp));
    }
    if (i % 400 == 399) REQUIRE(life.Snapshot() == "");
    REQUIRE(life.WaitAdmission(engine::CommitLog::Admission::kOpen));
  }
  CHECK(at_once > 0);
  REQUIRE(life.Stop() == "");
  files.set_on_operation({});
  CHECK(mine == std::set<Operation>{Operation::kWrite});
  CHECK(others.contains(Operation::kSync));
  CHECK(others.contains(Operation::kRename));  // segments were begun
  const Loaded loaded = Load(*files.Crash(seed));
  CHECK(loaded.error == "");
  CHECK(loaded.contents == life.history.At(life.database.store().stamp.load()));
}

TEST_CASE("try write: nothing in full mode, nothing without a log, nothing in a failed one") {
  LossyFileSystem files;
  Life life(files, {.mode = Mode::kFull});
  REQUIRE(life.Start() == "");
  REQUIRE(life.WaitSafe(life.Set(0, "a", "1")));
  const std::thread::id self = std::this_thread::get_id();
  std::atomic<int> mine{0};
  files.set_on_operation([&](uint64_t, Operation) { mine += std::this_thread::get_id() == self; });
  files.Fail(Operation::kSync, 1, /*once=*/false, "Input/output error", "log-");
  const Stamp lost = life.Set(0, "a", "2");
  for (int i = 0; i < 20; ++i) life.persistence->WriteLog();
  REQUIRE(life.WaitAdmission(engine::CommitLog::Admission::kFailed));
  CHECK(!life.log().IsSafe(lost));
  REQUIRE(life.Switch(Mode::kRelaxed) == "");  // the failed log stays so
  for (int i = 0; i < 20; ++i) life.persistence->WriteLog();
  CHECK(!life.log().IsSafe(lost));
  CHECK(life.log().admission() == engine::CommitLog::Admission::kFailed);
  files.Recover();
  REQUIRE(life.WaitSafe(lost));
  REQUIRE(life.Switch(Mode::kNone) == "");
  life.Set(0, "a", "3");
  life.persistence->WriteLog();
  CHECK(mine == 0);
  files.set_on_operation({});
  CHECK(life.Stop() == "");
}

TEST_CASE("try write: a write that fails is told to all, and mended by the log thread") {
  LossyFileSystem files;
  Life life(files, {.mode = Mode::kRelaxed});
  REQUIRE(life.Start() == "");
  for (int round = 0; round < 3; ++round) {
    files.Fail(Operation::kWrite, 1, /*once=*/true, "No space left on device", "log-");
    const Stamp stamp = life.Set(0, "a", std::to_string(round));
    life.persistence->WriteLog();
    REQUIRE(life.WaitSafe(stamp));
    REQUIRE(life.WaitAdmission(engine::CommitLog::Admission::kOpen));
    CHECK(Load(*files.Kill()).contents == life.history.At(stamp));
  }
  CHECK(files.faults() == 3);
  CHECK(life.persistence->log_figures().failures.load() == 3);
  CHECK(life.Stop() == "");
}

TEST_CASE("try write: many threads, and changes between relaxed and full") {
  FLUXKV_SEEDED(seed);
  constexpr int kThreads = 3;
  const int commits = 6000 / kSlower;
  LossyFileSystem files;
  Life life(
      files,
      {.mode = Mode::kRelaxed, .segments = 16, .interval_ms = 2, .snapshot_after_bytes = 200'000});
  REQUIRE(life.Start() == "");
  std::map<std::string, std::string> last[kThreads];
  std::atomic<int> left{kThreads}, wrong{0};
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
        if (random() % 8 != 0) life.persistence->WriteLog();
        if (random() % 16 == 0) {
          life.log().Wake();
          session.LeaveEpoch();
          while (!life.log().IsSafe(stamp)) std::this_thread::yield();
          session.EnterEpoch();
        }
        while (life.log().admission() != engine::CommitLog::Admission::kOpen) {
          session.LeaveEpoch();
          std::this_thread::yield();
          session.EnterEpoch();
        }
      }
      --left;
    });
  }
  for (int i = 0; left > 0; ++i) {
    if (life.Switch(i % 2 == 0 ? Mode::kFull : Mode::kRelaxed) != "") ++wrong;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  TestKeys expected;
  for (const auto& keys : last) {
    for (const auto& [key, text] : keys) expected[key] = {text};
  }
  CHECK(life.Stop() == "");
  const Loaded loaded = Load(*files.Crash(seed));
  CHECK(loaded.error == "");
  CHECK(loaded.contents[0] == expected);
}

// In full mode each thread looks at the disk right after its own commit became safe.
TEST_CASE("try write: behind a change to full nothing is safe that is not on disk") {
  FLUXKV_SEEDED(seed);
  LossyFileSystem files;
  Life life(files, {.mode = Mode::kRelaxed, .segments = 16, .interval_ms = 0});
  life.bytes.store(1 << 30);
  REQUIRE(life.Start() == "");
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    while (!stop) life.persistence->WriteLog();
  });
  for (int i = 0; i < 60 / kSlower + 4; ++i) {
    REQUIRE(life.Switch(Mode::kFull) == "");
    for (int n = 0; n < 3; ++n) {
      const Stamp stamp = life.Set(0, "a", std::to_string(i) + ":" + std::to_string(n));
      REQUIRE(life.WaitSafe(stamp));
      const Loaded loaded = Load(*files.Crash(seed + static_cast<uint64_t>(i)));
      REQUIRE(loaded.error == "");
      REQUIRE(loaded.contents == life.history.At(stamp));
    }
    REQUIRE(life.Switch(Mode::kRelaxed) == "");
    life.Set(0, "b", std::to_string(i));
  }
  stop = true;
  writer.join();
  CHECK(life.Stop() == "");
}

}  // namespace
}  // namespace fluxkv::persist
