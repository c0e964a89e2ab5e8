// A loop that syncs the log itself, over a real one: when it does, that it waits no longer than it
// should for clients that do not come back, and that nothing is answered before it is safe.
#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "tests/server/loop_fixture.h"

namespace fluxkv::server {
namespace {

using Admission = engine::CommitLog::Admission;

// A loop that does the log's work when it syncs; the test may do that as well.
struct SyncingLoop : LoopFixture {
  explicit SyncingLoop(int64_t gather_us_max = 0) : LoopFixture({}, gather_us_max) {
    set_on_sync([this] {
      ++tries;
      const bool done = Work();
      syncs += done ? 1 : 0;
      return done;
    });
  }
  ~SyncingLoop() { StopLoop(); }
  // False when another does.
  bool Work() {
    std::unique_lock lock(mutex, std::try_to_lock);
    if (!lock.owns_lock()) return false;
    log().SetSafe(log().Take(store(), &records));
    return true;
  }
  // Ten clients, all of whom the first sync lets go.
  std::vector<TestClient> LetGoTen() {
    std::vector<TestClient> clients;
    for (int i = 0; i < 10; ++i) clients.push_back(Connect());
    log().SetLoopsMaySync(true);
    InOneTurn([&] {
      for (TestClient& client : clients) client.Send("SET k v\r\n");
    });
    for (TestClient& client : clients) CHECK(client.Expect("+OK\r\n"));
    CHECK(tries == 1);
    return clients;
  }
  std::atomic<int> tries{0}, syncs{0};
  std::mutex mutex;
  engine::LogRecords records;
};

TEST_CASE("a loop syncs when all whom it serves wait, and not beside others") {
  SyncingLoop f;
  TestClient a = f.Connect();
  TestClient b = f.Connect();
  a.Send("SET k 1\r\n");
  f.WaitForCommits(1);
  CHECK(f.Nothing(a));
  CHECK(f.tries == 0);  // it may not
  f.log().SetLoopsMaySync(true);
  CHECK(f.Work());
  CHECK(a.Expect("+OK\r\n"));
  a.Send("SET k 2\r\n");
  CHECK(a.Expect("+OK\r\n"));
  CHECK(f.tries == 1);
  b.Send("GET none\r\n");
  CHECK(b.Expect("$-1\r\n"));
  a.Send("SET k 3\r\n");
  f.WaitForCommits(3);
  CHECK(f.Nothing(a));  // b was answered meanwhile
  CHECK(f.tries == 1);
  CHECK(f.Work());
  CHECK(a.Expect("+OK\r\n"));
  // One that has something to be sent at once beside what waits.
  b.Send("PING\r\nSET k 4\r\n");
  CHECK(b.Expect("+PONG\r\n"));
  f.WaitForCommits(4);
  CHECK(f.Nothing(b));
  CHECK(f.tries == 1);
  CHECK(f.Work());
  CHECK(b.Expect("+OK\r\n"));
  b.Send("SET k 5\r\nPING\r\n");
  CHECK(b.Expect("+OK\r\n+PONG\r\n"));
  CHECK(f.tries == 2);
  // Another thread's clients wait.
  struct : engine::LogListener {
    void OnSafe() override { told = true; }
    std::atomic<bool> told{false};
  } another;
  f.log().SetListener(limits::kThreadsMax - 1, &another);
  f.log().AwaitUnheard(limits::kThreadsMax - 1, 1000);
  a.Send("SET k 6\r\n");
  f.WaitForCommits(6);
  CHECK(f.Nothing(a));
  CHECK(f.tries == 2);
  CHECK(f.Work());
  CHECK(a.Expect("+OK\r\n"));
  CHECK(!another.told);
  f.log().SetAdmission(Admission::kOpen);  // it waits no more
  CHECK(another.told);
  a.Send("SET k 7\r\n");
  CHECK(a.Expect("+OK\r\n"));
  CHECK(f.tries == 3);
  f.log().SetListener(limits::kThreadsMax - 1, nullptr);
  f.log().SetLoopsMaySync(false);
  a.Send("SET k 8\r\n");
  f.WaitForCommits(8);
  CHECK(f.Nothing(a));
  CHECK(f.tries == 3);
}

TEST_CASE("a loop syncs for all of a turn, and for few when no more come") {
  SyncingLoop f;
  std::vector<TestClient> clients = f.LetGoTen();
  // Nine of ten have nothing more to write.
  for (int i = 0; i < 40; ++i) {
    clients[0].Send("SET k v\r\n");
    CHECK(clients[0].Expect("+OK\r\n"));
    CHECK(f.tries == 2 + i);
  }
}

TEST_CASE("a loop waits for nearly all of those that a sync let go") {
  SyncingLoop f(/*gather_us_max=*/3'600'000'000);
  std::vector<TestClient> clients = f.LetGoTen();
  const auto set = [&](size_t from, size_t to) {
    const engine::Stamp before = f.store().stamp.load();
    for (size_t i = from; i < to; ++i) clients[i].Send("SET k v\r\n");
    f.WaitForCommits(before + (to - from));
    f.FinishTurn();
  };
  set(0, 8);
  CHECK(f.tries == 1);
  for (size_t i = 0; i < 8; ++i) CHECK(clients[i].Silent());
  set(8, 9);  // one of ten is missing
  CHECK(f.tries == 2);
  for (size_t i = 0; i < 9; ++i) CHECK(clients[i].Expect("+OK\r\n"));
  set(0, 7);
  CHECK(f.tries == 2);
  clients[8].Close();  // not waited for any more
  for (size_t i = 0; i < 7; ++i) CHECK(clients[i].Expect("+OK\r\n"));
  CHECK(f.tries == 3);
  // Those that another lets go leave at once, though the loop waits for more.
  set(0, 2);
  CHECK(f.tries == 3);
  CHECK(f.Work());
  for (size_t i = 0; i < 2; ++i) CHECK(clients[i].Expect("+OK\r\n"));
  set(2, 7);
  for (size_t i = 2; i < 7; ++i) CHECK(clients[i].Expect("+OK\r\n"));
  CHECK(f.tries == 4);
}

TEST_CASE("a loop that could not sync answers when another has, and tells of a failure") {
  LoopFixture f;
  std::atomic<int> syncs{0};
  std::atomic<bool> fails{false};
  f.set_on_sync([&] {
    ++syncs;
    if (fails) f.log().SetFailure("disk gone");
    return false;
  });
  f.log().SetLoopsMaySync(true);
  TestClient a = f.Connect();
  a.Send("SET k 1\r\n");
  f.log().WaitForWork(std::chrono::seconds(10));  // the loop wakes who works
  CHECK(syncs >= 1);
  engine::LogRecords records;
  CHECK(f.log().Take(f.store(), &records) == 1);
  CHECK(a.Silent());
  f.log().SetSafe(1);
  CHECK(a.Expect("+OK\r\n"));
  fails = true;
  a.Send("SET k 2\r\n");
  CHECK(
      a.Expect("-MISCONF Errors writing to the log: disk gone. Whether this command lasts is not "
               "known.\r\n"));
}

TEST_CASE("with loop and log thread at work, nothing is answered before it is safe") {
  SyncingLoop f;
  std::atomic<int> early{0};
  std::atomic<bool> done{false};
  std::thread log_thread([&] {
    for (int round = 0; !done.load(); ++round) {
      f.log().SetLoopsMaySync(round % 8 != 0);
      f.log().WaitForWork(std::chrono::milliseconds(1));
      f.Work();
      if (round % 50 == 0) {
        f.log().SetAdmission(Admission::kFull);
        std::this_thread::yield();
        f.log().SetAdmission(Admission::kOpen);
      }
    }
  });
  std::vector<std::thread> clients;
  for (int i = 0; i < 5; ++i) clients.emplace_back([&] { early += EarlyReplies(f, 200, 3); });
  for (std::thread& thread : clients) thread.join();
  f.StopLoop();
  done.store(true);
  f.log().Wake();
  log_thread.join();
  CHECK(early.load() == 0);
  CHECK(f.syncs.load() > 0);
}

}  // namespace
}  // namespace fluxkv::server
