// The way of a held reply from the command to the socket, over a real loop.
#include <atomic>
#include <string>
#include <thread>

#include <doctest/doctest.h>

#include "tests/server/loop_fixture.h"

namespace fluxkv::server {
namespace {

using Admission = engine::CommitLog::Admission;

constexpr std::string_view kNotKnown =
    "-MISCONF Errors writing to the log: disk gone. Whether this command lasts is not known.\r\n";
constexpr std::string_view kRefused =
    "-MISCONF Errors writing to the log: disk gone. Commands that write are refused until the disk "
    "is well again.\r\n";

std::string Repeat(std::string_view text, size_t times) {
  std::string all;
  for (size_t i = 0; i < times; ++i) all += text;
  return all;
}

TEST_CASE("a reply is held until its commit is safe; others go on") {
  LoopFixture f;
  TestClient a = f.Connect();
  TestClient b = f.Connect();
  TestClient c = f.Connect();
  a.Send("SET k v\r\n");
  f.WaitForCommits(1);
  CHECK(f.Nothing(a));
  b.Send("PING\r\nGET k\r\nPING\r\n");
  CHECK(b.Expect("+PONG\r\n"));
  CHECK(f.Nothing(b));
  c.Send("GET none\r\nSET other v\r\n");
  CHECK(c.Expect("$-1\r\n"));
  f.WaitForCommits(2);
  f.log().SetSafe(1);
  CHECK(a.Expect("+OK\r\n"));
  CHECK(b.Expect("$1\r\nv\r\n+PONG\r\n"));
  CHECK(f.Nothing(c));
  f.log().SetSafe(2);
  CHECK(c.Expect("+OK\r\n"));
  a.Send("GET k\r\n");
  CHECK(a.Expect("$1\r\nv\r\n"));
}

TEST_CASE("a pipeline is released as far as it is safe") {
  LoopFixture f;
  TestClient a = f.Connect();
  a.Send(Repeat("INCR n\r\n", 300));
  f.WaitForCommits(300);
  CHECK(f.Nothing(a));
  engine::Stamp before = 0;
  for (engine::Stamp safe : {1, 2, 40, 41, 200, 300}) {
    std::string released;
    while (before < safe) released += ":" + std::to_string(++before) + "\r\n";
    f.log().SetSafe(safe);
    CHECK(a.Expect(released));
    CHECK(f.Nothing(a));
  }
}

TEST_CASE("when the log fails what is not safe becomes an error, and writers are refused") {
  LoopFixture f;
  TestClient a = f.Connect();
  TestClient b = f.Connect();
  a.Send("SET old v\r\nSET k v\r\nPING\r\n");
  f.WaitForCommits(2);
  f.log().SetSafe(1);
  CHECK(a.Expect("+OK\r\n"));
  b.Send("GET k\r\nGET old\r\n");
  CHECK(f.Nothing(b));
  f.log().SetFailure("disk gone");
  CHECK(a.Expect(std::string(kNotKnown) + "+PONG\r\n"));
  CHECK(b.Expect(std::string(kNotKnown) + "$1\r\nv\r\n"));
  a.Send("GET k\r\nSET k w\r\nGET old\r\n");
  CHECK(a.Expect(std::string(kNotKnown) + std::string(kRefused) + "$1\r\nv\r\n"));
  f.log().SetFailure("");
  a.Send("SET k w\r\n");
  f.WaitForCommits(3);
  CHECK(f.Nothing(a));
  f.log().SetSafe(3);
  CHECK(a.Expect("+OK\r\n"));
}

TEST_CASE("a message is held by its receiver, and goes when the log fails") {
  LoopFixture f;
  TestClient a = f.Connect();
  TestClient b = f.Connect();
  b.Send("SUBSCRIBE c\r\n");
  CHECK(b.Expect("*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"));
  const std::string message = "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n";
  a.Send("PUBLISH c m\r\n");
  CHECK(a.Expect(":1\r\n"));
  CHECK(b.Expect(message));
  a.Send("SET k v\r\nPUBLISH c m\r\n");
  f.WaitForCommits(1);
  CHECK(f.Nothing(b));
  f.log().SetSafe(1);
  CHECK(b.Expect(message));
  CHECK(a.Expect("+OK\r\n:1\r\n"));
  a.Send("SET k v\r\nPUBLISH c m\r\n");
  f.WaitForCommits(2);
  b.Send("PING\r\n");
  CHECK(f.Nothing(b));
  f.log().SetFailure("disk gone");
  CHECK(a.Expect(std::string(kNotKnown) + ":1\r\n"));
  CHECK(b.Expect("*2\r\n$4\r\npong\r\n$0\r\n\r\n"));
}

TEST_CASE("a line of MONITOR is held") {
  LoopFixture f;
  TestClient a = f.Connect();
  TestClient b = f.Connect();
  b.Send("MONITOR\r\n");
  CHECK(b.Expect("+OK\r\n"));
  a.Send("SET k v\r\n");
  f.WaitForCommits(1);
  // The prober's PINGs are shown behind it.
  CHECK(f.Nothing(b));
  f.log().SetSafe(1);
  CHECK(a.Expect("+OK\r\n"));
  std::string line = b.Receive(30);
  CHECK(line.starts_with("+"));
}

TEST_CASE("large values wait where they are, and are released in part") {
  LoopFixture f;
  TestClient a = f.Connect();
  TestClient b = f.Connect();
  const std::string value(300 * 1000, 'v');
  const std::string bulk = "$300000\r\n" + value + "\r\n";
  a.Send("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n" + bulk);
  f.WaitForCommits(1);
  b.Send("GET k\r\nGET k\r\n");
  CHECK(f.Nothing(b));
  a.Send("SET j v\r\n");
  f.WaitForCommits(2);
  b.Send("GET j\r\nGET k\r\n");
  CHECK(f.Nothing(b));
  f.log().SetSafe(1);
  CHECK(b.Expect(bulk + bulk));
  CHECK(a.Expect("+OK\r\n"));
  CHECK(f.Nothing(b));
  f.log().SetSafe(2);
  CHECK(b.Expect("$1\r\nv\r\n" + bulk));
}

TEST_CASE("CLIENT REPLY leaves nothing to hold") {
  LoopFixture f;
  TestClient a = f.Connect();
  a.Send("CLIENT REPLY OFF\r\nSET k v\r\nSET k w\r\nCLIENT REPLY ON\r\nCLIENT REPLY SKIP\r\n");
  a.Send("SET k x\r\nPING\r\n");
  f.WaitForCommits(3);
  CHECK(a.Expect("+OK\r\n+PONG\r\n"));
}

TEST_CASE("closing waits for what is held") {
  LoopFixture f;
  TestClient a = f.Connect();
  TestClient b = f.Connect();
  TestClient c = f.Connect();
  TestClient d = f.Connect();
  a.Send("SET a v\r\nQUIT\r\n");
  f.WaitForCommits(1);
  b.Send("SET b v\r\n");
  b.EndInput();
  f.WaitForCommits(2);
  c.Send("SET c v\r\nnot a request\"\r\n");
  f.WaitForCommits(3);
  d.Send("SET d v\r\n");
  f.WaitForCommits(4);
  CHECK(f.Nothing(a));
  CHECK(f.Nothing(b));
  CHECK(f.Nothing(c));
  d.Close();
  f.log().SetSafe(4);
  CHECK(a.Expect("+OK\r\n+OK\r\n"));
  CHECK(a.Ended());
  CHECK(b.Expect("+OK\r\n"));
  CHECK(b.Ended());
  CHECK(c.Expect("+OK\r\n-ERR Protocol error: unbalanced quotes in request\r\n"));
  CHECK(c.Ended());
}

TEST_CASE("the loop ends though something is held, and the log outlives it") {
  LoopFixture f;
  TestClient a = f.Connect();
  a.Send("SET a v\r\n");
  f.WaitForCommits(1);
  CHECK(f.Nothing(a));
  f.StopLoop();
  f.log().SetSafe(1);
  f.log().SetFailure("disk gone");
  CHECK(a.Ended());
}

TEST_CASE("without room in the log writers wait, readers do not") {
  LoopFixture f;
  TestClient a = f.Connect();
  TestClient b = f.Connect();
  TestClient c = f.Connect();
  f.log().SetSafe(engine::CommitLog::kEverything);
  f.log().SetAdmission(Admission::kFull);
  a.Send("GET k\r\nSET k v\r\nGET k\r\n");
  CHECK(a.Expect("$-1\r\n"));
  b.Send("MULTI\r\nSET j v\r\nEXEC\r\nPING\r\n");
  CHECK(b.Expect("+OK\r\n+QUEUED\r\n"));
  CHECK(f.Nothing(a));
  CHECK(f.Nothing(b));
  c.Send("CLIENT LIST ID 2 3 4\r\n");
  std::string list = c.Receive(1000);
  CHECK(list.find(" flags=bU ") != std::string::npos);
  CHECK(list.find(" flags=xbU ") != std::string::npos);
  f.log().SetAdmission(Admission::kFull);
  CHECK(f.Nothing(a));
  CHECK(f.store().stamp.load() == 0);
  f.log().SetAdmission(Admission::kOpen);
  CHECK(a.Expect("+OK\r\n$1\r\nv\r\n"));
  CHECK(b.Expect("*1\r\n+OK\r\n+PONG\r\n"));
  f.log().SetAdmission(Admission::kFull);
  a.Send("SET k w\r\nGET k\r\n");
  CHECK(f.Nothing(a));
  a.EndInput();
  CHECK(f.Nothing(a));
  f.log().SetFailure("disk gone");
  CHECK(a.Expect(std::string(kRefused) + "$1\r\nv\r\n"));
  CHECK(a.Ended());
}

TEST_CASE("writers wait for a log thread that is far behind") {
  LoopFixture f;
  TestClient a = f.Connect();
  f.log().SetSafe(engine::CommitLog::kEverything);
  const std::string bytes = std::to_string(limits::kLogQueueBytesMax);
  a.Send("SETRANGE k " + bytes + " x\r\nPING\r\n");
  CHECK(a.Expect(":" + std::to_string(limits::kLogQueueBytesMax + 1) + "\r\n+PONG\r\n"));
  a.Send("SET j v\r\nPING\r\n");
  CHECK(f.Nothing(a));
  engine::LogRecords records;
  CHECK(f.log().Take(f.store(), &records) == 1);
  CHECK(a.Expect("+OK\r\n+PONG\r\n"));
  CHECK(f.store().stamp.load() == 2);
}

TEST_CASE("who has too much held is not run until it is released") {
  LoopFixture f;
  TestClient a = f.Connect();
  constexpr size_t kCommands = 100'000;
  a.Send(Repeat("INCR n\r\n", 1000));
  std::thread sender([&] { a.Send(Repeat("INCR n\r\n", kCommands - 1000)); });
  f.WaitForCommits(1000);
  engine::Stamp seen = 0;
  while (f.store().stamp.load() != seen || !f.Nothing(a)) {
    seen = f.store().stamp.load();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  CHECK(seen < kCommands / 2);
  std::string expected;
  for (size_t i = 1; i <= kCommands; ++i) expected += ":" + std::to_string(i) + "\r\n";
  std::atomic<bool> done{false};
  std::thread log_thread([&] {
    engine::LogRecords records;
    while (!done.load()) {
      f.log().WaitForWork(std::chrono::milliseconds(100));
      f.log().SetSafe(f.log().Take(f.store(), &records));
    }
  });
  CHECK(a.Expect(expected));
  sender.join();
  done.store(true);
  f.log().Wake();
  log_thread.join();
}

TEST_CASE("with a log thread, nothing is answered before it is safe") {
  LoopFixture f;
  std::atomic<bool> done{false};
  std::atomic<int> early{0};
  std::thread log_thread([&] {
    engine::LogRecords records;
    for (int round = 0; !done.load(); ++round) {
      f.log().WaitForWork(std::chrono::milliseconds(100));
      const engine::Stamp complete = f.log().Take(f.store(), &records);
      if (round % 4 == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
      f.log().SetSafe(complete);
      if (round % 50 == 0) {
        f.log().SetAdmission(Admission::kFull);
        std::this_thread::yield();
        f.log().SetAdmission(Admission::kOpen);
      }
    }
  });
  auto client = [&](size_t rounds) { early += EarlyReplies(f, rounds, 7); };
  std::thread second([&] { client(300); });
  std::thread third([&] { client(300); });
  client(300);
  second.join();
  third.join();
  f.StopLoop();
  done.store(true);
  f.log().Wake();
  log_thread.join();
  CHECK(early.load() == 0);
}

}  // namespace
}  // namespace fluxkv::server
