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

// The log's work, by the loop or by a test's thread.
struct Worker {
  explicit Worker(LoopFixture& f) : fixture(f) {}
  bool Work() {
    std::unique_lock lock(mutex, std::try_to_lock);
    if (!lock.owns_lock()) return false;
    fixture.log().SetSafe(fixture.log().Take(fixture.store(), &records));
    return true;
  }
  LoopFixture& fixture;
  std::mutex mutex;
  engine::LogRecords records;
};

TEST_CASE("a loop syncs when all whom it serves wait, and not beside others") {
  LoopFixture f;
  Worker worker(f);
  std::atomic<int> syncs{0};
  f.set_on_sync([&] {
    ++syncs;
    return worker.Work();
  });
  TestClient a = f.Connect();
  TestClient b = f.Connect();
  a.Send("SET k 1\r\n");
  f.WaitForCommits(1);
  CHECK(f.Nothing(a));
  CHECK(syncs == 0);  // it may not
  f.log().SetLoopsMaySync(true);
  CHECK(worker.Work());
  CHECK(a.Expect("+OK\r\n"));
  a.Send("SET k 2\r\n");
  CHECK(a.Expect("+OK\r\n"));
  CHECK(syncs == 1);
  b.Send("GET none\r\n");
  CHECK(b.Expect("$-1\r\n"));
  a.Send("SET k 3\r\n");
  f.WaitForCommits(3);
  CHECK(f.Nothing(a));  // b was answered meanwhile
  CHECK(syncs == 1);
  CHECK(worker.Work());
  CHECK(a.Expect("+OK\r\n"));
  // One that has something to be sent at once beside what waits.
  b.Send("PING\r\nSET k 4\r\n");
  CHECK(b.Expect("+PONG\r\n"));
  f.WaitForCommits(4);
  CHECK(f.Nothing(b));
  CHECK(syncs == 1);
  CHECK(worker.Work());
  CHECK(b.Expect("+OK\r\n"));
  b.Send("SET k 5\r\nPING\r\n");
  CHECK(b.Expect("+OK\r\n+PONG\r\n"));
  CHECK(syncs == 2);
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
  CHECK(syncs == 2);
  CHECK(worker.Work());
  CHECK(a.Expect("+OK\r\n"));
  CHECK(!another.told);
  f.log().SetAdmission(Admission::kOpen);  // it waits no more
  CHECK(another.told);
  a.Send("SET k 7\r\n");
  CHECK(a.Expect("+OK\r\n"));
  CHECK(syncs == 3);
  f.log().SetListener(limits::kThreadsMax - 1, nullptr);
  f.log().SetLoopsMaySync(false);
  a.Send("SET k 8\r\n");
  f.WaitForCommits(8);
  CHECK(f.Nothing(a));
  CHECK(syncs == 3);
}

TEST_CASE("a loop syncs for all of a turn, and for few when no more come") {
  LoopFixture f;
  Worker worker(f);
  std::atomic<int> syncs{0};
  f.set_on_sync([&] {
    ++syncs;
    return worker.Work();
  });
  std::vector<TestClient> clients;
  for (int i = 0; i < 10; ++i) clients.push_back(f.Connect());
  f.log().SetLoopsMaySync(true);
  f.InOneTurn([&] {
    for (TestClient& client : clients) client.Send("SET k v\r\n");
  });
  for (TestClient& client : clients) CHECK(client.Expect("+OK\r\n"));
  CHECK(syncs == 1);
  // Nine of ten have nothing more to write.
  for (int i = 0; i < 40; ++i) {
    clients[0].Send("SET k v\r\n");
    CHECK(clients[0].Expect("+OK\r\n"));
    CHECK(syncs == 2 + i);
  }
}

TEST_CASE("a loop waits for nearly all of those that a sync let go") {
  LoopFixture f({}, /*gather_us_max=*/3'600'000'000);
  Worker worker(f);
  std::atomic<int> syncs{0};
  f.set_on_sync([&] {
    ++syncs;
    return worker.Work();
  });
  std::vector<TestClient> clients;
  for (int i = 0; i < 10; ++i) clients.push_back(f.Connect());
  const auto set = [&](size_t from, size_t to) {
    const engine::Stamp before = f.store().stamp.load();
    for (size_t i = from; i < to; ++i) clients[i].Send("SET k v\r\n");
    f.WaitForCommits(before + (to - from));
    f.FinishTurn();
  };
  f.log().SetLoopsMaySync(true);
  f.InOneTurn([&] {
    for (TestClient& client : clients) client.Send("SET k v\r\n");
  });
  for (TestClient& client : clients) CHECK(client.Expect("+OK\r\n"));
  CHECK(syncs == 1);
  set(0, 8);
  CHECK(syncs == 1);
  for (size_t i = 0; i < 8; ++i) CHECK(clients[i].Silent());
  set(8, 9);  // one of ten is missing
  CHECK(syncs == 2);
  for (size_t i = 0; i < 9; ++i) CHECK(clients[i].Expect("+OK\r\n"));
  set(0, 7);
  CHECK(syncs == 2);
  clients[8].Close();  // not waited for any more
  for (size_t i = 0; i < 7; ++i) CHECK(clients[i].Expect("+OK\r\n"));
  CHECK(syncs == 3);
  // Those that another lets go leave at once, though the loop waits for more.
  set(0, 2);
  CHECK(syncs == 3);
  CHECK(worker.Work());
  for (size_t i = 0; i < 2; ++i) CHECK(clients[i].Expect("+OK\r\n"));
  set(2, 7);
  for (size_t i = 2; i < 7; ++i) CHECK(clients[i].Expect("+OK\r\n"));
  CHECK(syncs == 4);
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
  LoopFixture f;
  Worker worker(f);
  std::atomic<int> by_loop{0}, early{0};
  f.set_on_sync([&] {
    if (!worker.Work()) return false;
    ++by_loop;
    return true;
  });
  std::atomic<bool> done{false};
  std::thread log_thread([&] {
    for (int round = 0; !done.load(); ++round) {
      f.log().SetLoopsMaySync(round % 8 != 0);
      f.log().WaitForWork(std::chrono::milliseconds(1));
      worker.Work();
      if (round % 50 == 0) {
        f.log().SetAdmission(Admission::kFull);
        std::this_thread::yield();
        f.log().SetAdmission(Admission::kOpen);
      }
    }
  });
  // The reply to `INCR` of a shared key is the number of its commit.
  auto client = [&](size_t rounds) {
    TestClient a = f.Connect();
    for (size_t round = 0; round < rounds; ++round) {
      const size_t commands = 1 + round % 3;
      for (size_t i = 0; i < commands; ++i) a.Send("INCR n\r\n");
      for (size_t i = 0; i < commands; ++i) {
        std::string number;
        while (!number.ends_with("\r\n")) {
          std::string byte = a.Receive(1);
          if (byte.empty()) {
            early.fetch_add(1000);
            return;
          }
          number += byte;
        }
        if (std::stoull(number.substr(1)) > f.log().safe()) early.fetch_add(1);
      }
    }
  };
  std::vector<std::thread> clients;
  for (int i = 0; i < 5; ++i) clients.emplace_back([&] { client(200); });
  for (std::thread& thread : clients) thread.join();
  f.StopLoop();
  done.store(true);
  f.log().Wake();
  log_thread.join();
  CHECK(early.load() == 0);
  CHECK(by_loop.load() > 0);
}

}  // namespace
}  // namespace fluxkv::server
