// Goal: DELRANGE and DELPREFIX between connections: what is behind one on its connection waits,
// others go on and see it whole, and it outlives its client. Method: some ten thousand keys, so
// that the collector needs more than one turn. What a crash leaves is for tests/crash.
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "tests/wire/wire_case.h"

namespace fluxkv::wire {
namespace {

constexpr int kKeys = 30000;

void Fill(Client& client, int keys = kKeys) {
  for (int begin = 0; begin < keys; begin += 1000) {
    Arguments words{"MSET"};
    for (int n = begin; n < begin + 1000; ++n)
      words.insert(words.end(), {"k:" + std::to_string(n), "v"});
    REQUIRE(client.Do(words) == "OK");
  }
}

std::string Number(int64_t n) {
  return "(integer) " + std::to_string(n);
}

TEST_CASE("range deletes: on the connection in order, for others at once") {
  WireCase wire;
  Client other(wire.server.port());
  for (int round = 0; round < 3; ++round) {
    Fill(wire.client);
    wire.client.Send(Encode({"DELPREFIX", "k:"}) + Encode({"SET", "k:1", "x"}) +
                     Encode({"DBSIZE"}) + Encode({"DELPREFIX", "k:"}));
    // All or nothing, the one key that comes back apart.
    for (int i = 0; i < 200; ++i) {
      const std::string got = other.Do({"MGET", "k:0", "k:7777", "k:29999"});
      const bool whole = got == R"(["v", "v", "v"])" || got == "[(nil), (nil), (nil)]";
      CHECK(whole);
      const std::string size = other.Do({"DBSIZE"});
      const bool right = size == Number(kKeys) || size == Number(0) || size == Number(1);
      CHECK(right);
    }
    CHECK(wire.client.Read() == Number(kKeys));
    CHECK(wire.client.Read() == "OK");
    CHECK(wire.client.Read() == Number(1));
    CHECK(wire.client.Read() == Number(1));
    CHECK(other.Do({"KEYS", "*"}) == "[]");
  }
}

TEST_CASE("range deletes: many at once, and one whose client goes") {
  WireCase wire;
  Fill(wire.client);
  const int64_t keys_from_9 = std::stoll(wire.client.Do({"COUNTRANGE", "[k:9", "+"}).substr(10));
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(std::make_unique<Client>(wire.server.port()));
    clients.back()->Send(Encode({"DELRANGE", "[k:" + std::to_string(10 + i % 90), "+"}));
  }
  {
    Client gone(wire.server.port());
    gone.Send(Encode({"DELRANGE", "-", "(k:9"}));
  }
  int64_t sum = 0;
  for (auto& client : clients) sum += std::stoll(client->Read().substr(10));
  CHECK(wire.client.Do({"COUNTRANGE", "[k:10", "+"}) == Number(0));
  bool empty = false;  // k:0 and k:1, which nobody waits for
  for (int i = 0; i < 2000 && !empty; ++i) {
    empty = wire.client.Do({"DBSIZE"}) == Number(0);
    if (!empty) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  CHECK(empty);
  // Each key is counted once, by whoever deleted it; those below k:9 may have been the client's
  // that went.
  CHECK(sum <= kKeys - 2);
  CHECK(sum >= keys_from_9);
}

}  // namespace
}  // namespace fluxkv::wire
