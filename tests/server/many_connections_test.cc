// Goal: many connections that are ready at once each get their own bytes, whatever of them the loop
// reads together and however often libuv tells of them.
// Method: about as many ready sockets as libuv takes from the kernel in one call, while the loop is
// kept busy; each with requests that one read does not end.
#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <sys/resource.h>

#include "tests/server/loop_fixture.h"

namespace fluxkv::server {
namespace {

constexpr size_t kEchoBytes = 20'000;  // two of them are more than a slice of the loop's buffer

// The last ones have more than a read takes; the others have nothing left after one, so that libuv
// finds only those that were not read yet when it asks again.
std::string TextOf(size_t client, size_t n, size_t ready) {
  std::string text = std::to_string(client) + "/" + std::to_string(n) + ":";
  text.resize(client + 31 < ready ? 40 : kEchoBytes, static_cast<char>('a' + (client + n) % 26));
  return text;
}

std::string Bulk(const std::string& text) {
  return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}

bool MayOpen(rlim_t files) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= files) return true;
  limit.rlim_cur = std::min(files, limit.rlim_max);
  setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur >= files;
}

TEST_CASE("many connections: as many ready as the kernel tells of at once [slow]") {
  constexpr size_t kMost = 1056;
  if (!MayOpen(2 * kMost + 200)) {
    MESSAGE("not run: so many files may not be open here (ulimit -n)");
    return;
  }
  for (const char* io_uring : {"yes", "no"}) {
    CAPTURE(io_uring);
    LoopFixture f({"--io-uring", io_uring});
    std::vector<TestClient> clients;
    for (size_t i = 0; i < kMost; ++i) clients.push_back(f.Connect());
    CHECK(f.Nothing(clients[0]));  // all are open
    for (const size_t ready : {1, 64, 1023, 1024, 1056}) {
      CAPTURE(ready);
      std::atomic<bool> busy{false}, go_on{false}, ended{false};
      f.loop().RunTask([&] {
        busy = true;
        while (!go_on) std::this_thread::yield();
        ended = true;
      });
      while (!busy) std::this_thread::yield();
      f.loop().Wake();  // is told of first: so of 1023 sockets in one call, 31 of them not read yet
      for (size_t i = 0; i < ready; ++i) {
        for (const size_t n : {0, 1})
          clients[i].Send("*2\r\n$4\r\nECHO\r\n" + Bulk(TextOf(i, n, ready)));
      }
      go_on = true;
      while (!ended) std::this_thread::yield();
      size_t right = 0;
      while (right < ready &&
             clients[right].Expect(Bulk(TextOf(right, 0, ready)) + Bulk(TextOf(right, 1, ready))))
        ++right;
      REQUIRE(right == ready);  // the others may wait for what does not come
    }
  }
}

TEST_CASE("many connections: a turn that is long leaves some to the next") {
  std::atomic<size_t> turns{0};
  std::function<void()> count;  // outlives the loop
  LoopFixture f({"--enable-debug-command", "yes"});
  std::vector<TestClient> clients;
  for (size_t i = 0; i < 64; ++i) clients.push_back(f.Connect());
  const uint64_t reads_before = f.loop().stats().net_reads.value();
  // Runs once a turn, until all have been read.
  count = [&, reads = reads_before + clients.size()] {
    ++turns;
    if (f.loop().stats().net_reads.value() < reads) f.loop().RunTask(count);
  };
  f.InOneTurn([&] {
    for (const TestClient& client : clients) client.Send("DEBUG SLEEP 0.002\r\nPING\r\n");
    f.loop().RunTask(count);
  });
  for (const TestClient& client : clients) CHECK(client.Expect("+OK\r\n+PONG\r\n"));
  f.FinishTurn();
  CHECK(turns >= 12);  // two or three times without
}

TEST_CASE("many connections: who is left to the next turn may be gone by then") {
  LoopFixture f({"--enable-debug-command", "yes"});
  std::vector<TestClient> clients;
  for (size_t i = 0; i < 64; ++i) clients.push_back(f.Connect());
  f.InOneTurn([&] {
    clients[0].Send("DEBUG SLEEP 0.01\r\nCLIENT KILL TYPE normal\r\n");
    for (size_t i = 1; i < clients.size(); ++i) clients[i].Send("DEBUG SLEEP 0.002\r\n");
  });
  CHECK(clients[0].Expect("+OK\r\n:64\r\n"));  // the fixture's own client as well
  f.FinishTurn();
  CHECK(f.loop().assigned() == 1);
  clients[0].Send("PING\r\n");
  CHECK(clients[0].Expect("+PONG\r\n"));
}

TEST_CASE("many connections: ends, halves and resets among others") {
  for (const char* io_uring : {"yes", "no"}) {
    CAPTURE(io_uring);
    LoopFixture f({"--io-uring", io_uring});
    for (int round = 0; round < 20; ++round) {
      std::vector<TestClient> clients;
      for (size_t i = 0; i < 40; ++i) clients.push_back(f.Connect());
      for (size_t i = 0; i < clients.size(); ++i) {
        clients[i].Send("PING\r\n");
        if (i % 4 == 1) clients[i].EndInput();
        if (i % 4 == 2) clients[i].Close();  // its answer finds nobody
        if (i % 4 == 3) clients[i].Send("QUIT\r\nPING\r\n");
      }
      for (size_t i = 0; i < clients.size(); ++i) {
        if (i % 4 == 2) continue;
        CHECK(clients[i].Expect("+PONG\r\n"));
        if (i % 4 == 3) CHECK(clients[i].Expect("+OK\r\n"));
        if (i % 4 == 0) {
          clients[i].Send("PING\r\n");
          CHECK(clients[i].Expect("+PONG\r\n"));
        } else {
          CHECK(clients[i].Ended());
        }
      }
    }
  }
}

}  // namespace
}  // namespace fluxkv::server
