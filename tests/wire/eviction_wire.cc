// Goal: maxmemory over the wire: what is evicted and what is refused, what OBJECT, INFO and
// notifications say of it, that it can be changed while running, and that a restart does not bring
// back what went. Method: a server with a limit of a few megabytes, flooded.
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>

#include <doctest/doctest.h>

#include "tests/wire/wire_case.h"

namespace fluxkv::wire {
namespace {

constexpr uint64_t kLimit = 8 << 20;

std::string Field(Client& client, const std::string& section, const std::string& name) {
  const std::string text = client.Do({"INFO", section});
  const size_t at = text.find("\\n" + name + ":");
  if (at == std::string::npos) return "(no " + name + ")";
  const size_t begin = at + name.size() + 3;
  return text.substr(begin, text.find('\\', begin) - begin);
}

uint64_t Number(Client& client, const std::string& section, const std::string& name) {
  return std::stoull(Field(client, section, name));
}

uint64_t Keys(Client& client) {
  return std::stoull(client.Do({"DBSIZE"}).substr(std::string("(integer) ").size()));
}

// Sets key:0 to key:<count - 1>; the answers.
void Flood(Client& client, int count, size_t bytes, const std::string& expect = "OK") {
  const std::string value(bytes, 'x');
  for (int i = 0; i < count; ++i)
    REQUIRE(client.Do({"SET", "key:" + std::to_string(i), value}) == expect);
}

TEST_CASE("eviction: the limit holds under each policy, by evicting") {
  for (const std::string policy : {"allkeys-lru", "allkeys-lfu", "allkeys-arc", "allkeys-random"}) {
    CAPTURE(policy);
    WireCase wire({"--maxmemory", "8mb"});
    REQUIRE(wire.client.Do({"CONFIG", "SET", "maxmemory-policy", policy}) == "OK");
    REQUIRE(wire.client.Do({"CONFIG", "RESETSTAT"}) == "OK");
    REQUIRE(Number(wire.client, "stats", "evicted_keys") == 0);
    for (int round = 0; round < 12; ++round) {
      Flood(wire.client, 1000, 1000 + static_cast<size_t>(round) * 1500);
      CHECK(Number(wire.client, "memory", "used_memory") <= kLimit + kLimit / 100 + 8192);
    }
    const uint64_t keys = Keys(wire.client);
    CHECK(keys > 100);
    CHECK(keys < 1000 * 12);
    CHECK(Number(wire.client, "stats", "evicted_keys") > 0);
    // The collector evicts too: a few may go, or be in its hands, between the two answers.
    CHECK(Number(wire.client, "memory", "eviction_entries") + 64 >= keys);
    REQUIRE(wire.client.Do({"CONFIG", "SET", "maxmemory-policy", "noeviction"}) == "OK");
  }
}

TEST_CASE("eviction: without room writes are refused, reads and DEL are not") {
  WireCase wire({"--maxmemory", "8mb"});
  const std::string big(1 << 20, 'x');
  int set = 0;
  while (wire.client.Do({"SET", "big:" + std::to_string(set), big}) == "OK") ++set;
  CHECK(set >= 7);
  CHECK(set <= 9);
  CHECK(wire.client.Do({"SET", "k", "v"})
            .find("OOM command not allowed when used memory > "
                  "'maxmemory'.") != std::string::npos);
  CHECK(wire.client.Do({"STRLEN", "big:0"}) == "(integer) 1048576");
  // Nothing of an EXEC is done.
  CHECK(wire.client.Do({"MULTI"}) == "OK");
  CHECK(wire.client.Do({"SET", "k", "v"}).find("OOM") != std::string::npos);
  CHECK(wire.client.Do({"EXEC"}).find("EXECABORT") != std::string::npos);
  CHECK(wire.client.Do({"EXISTS", "k"}) == "(integer) 0");
  // volatile-lru finds nothing to evict either, until a key has a deadline.
  REQUIRE(wire.client.Do({"CONFIG", "SET", "maxmemory-policy", "volatile-lru"}) == "OK");
  CHECK(wire.client.Do({"SET", "k", "v"}).find("OOM") != std::string::npos);
  CHECK(wire.client.Do({"EXPIRE", "big:0", "1000"}) == "(integer) 1");
  CHECK(wire.client.Do({"SET", "k", "v"}) == "OK");
  // The collector may have it in its hands and be about to.
  CHECK(Becomes([&] { return wire.client.Do({"EXISTS", "big:0"}) == "(integer) 0"; }));
  REQUIRE(wire.client.Do({"CONFIG", "SET", "maxmemory-policy", "noeviction"}) == "OK");
  CHECK(wire.client.Do({"DEL", "big:1", "big:2"}) == "(integer) 2");
  CHECK(wire.client.Do({"SET", "k", "w"}) == "OK");
}

TEST_CASE("eviction: room is made for all values of an MSET and of an EXEC") {
  WireCase wire({"--maxmemory", "8mb"});
  REQUIRE(wire.client.Do({"CONFIG", "SET", "maxmemory-policy", "allkeys-lru"}) == "OK");
  Flood(wire.client, 12000, 1000);
  const std::string value(1000, 'x');
  Arguments mset = {"MSET"};
  for (int i = 0; i < 2000; ++i) {
    mset.push_back("many:" + std::to_string(i));
    mset.push_back(value);
  }
  CHECK(wire.client.Do(mset) == "OK");
  CHECK(Number(wire.client, "memory", "used_memory") <= kLimit + kLimit / 100 + 8192);
  CHECK(wire.client.Do({"MULTI"}) == "OK");
  for (int i = 0; i < 2000; ++i)
    REQUIRE(wire.client.Do({"SET", "more:" + std::to_string(i), value}) == "QUEUED");
  wire.client.Do({"EXEC"});
  CHECK(wire.client.Do({"EXISTS", "more:0", "more:1999"}) == "(integer) 2");
  CHECK(Number(wire.client, "memory", "used_memory") <= kLimit + kLimit / 100 + 8192);
  REQUIRE(wire.client.Do({"CONFIG", "SET", "maxmemory-policy", "noeviction"}) == "OK");
}

TEST_CASE("eviction: what is in use stays under LRU") {
  WireCase wire({"--maxmemory", "8mb"});
  REQUIRE(wire.client.Do({"CONFIG", "SET", "maxmemory-policy", "allkeys-lru"}) == "OK");
  wire.client.Do({"SET", "hot", "v"});
  const std::string value(1000, 'x');
  for (int i = 0; i < 20000; ++i) {
    REQUIRE(wire.client.Do({"SET", "key:" + std::to_string(i), value}) == "OK");
    if (i % 500 == 0) REQUIRE(wire.client.Do({"GET", "hot"}) == "\"v\"");
  }
  CHECK(wire.client.Do({"EXISTS", "key:0", "key:1", "key:2"}) == "(integer) 0");
  CHECK(wire.client.Do({"EXISTS", "key:19999"}) == "(integer) 1");
  REQUIRE(wire.client.Do({"CONFIG", "SET", "maxmemory-policy", "noeviction"}) == "OK");
}

TEST_CASE("eviction: OBJECT FREQ and IDLETIME, RESTORE with both") {
  WireCase wire({"--maxmemory", "0"});
  Client& client = wire.client;
  client.Do({"SET", "old", "v"});
  REQUIRE(client.Do({"CONFIG", "SET", "maxmemory-policy", "allkeys-lfu"}) == "OK");
  client.Do({"SET", "k", "v"});
  CHECK(client.Do({"OBJECT", "FREQ", "k"}) == "(integer) 5");
  CHECK(client.Do({"OBJECT", "FREQ", "old"}) == "(integer) 5");
  CHECK(client.Do({"OBJECT", "IDLETIME", "k"}).find("An LFU maxmemory policy is selected") !=
        std::string::npos);
  REQUIRE(client.Do({"CONFIG", "SET", "lfu-log-factor", "0"}) == "OK");
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  for (int i = 0; i < 5; ++i) client.Do({"GET", "k"});
  CHECK(client.Do({"OBJECT", "FREQ", "k"}) == "(integer) 10");
  CHECK(client.Do({"EXPIRE", "k", "100"}) == "(integer) 1");
  CHECK(client.Do({"TTL", "k"}) == "(integer) 100");
  CHECK(client.Do({"OBJECT", "FREQ", "absent"}) == "(nil)");
  REQUIRE(client.Do({"CONFIG", "SET", "lfu-log-factor", "10"}) == "OK");
  REQUIRE(client.Do({"CONFIG", "SET", "maxmemory-policy", "allkeys-lru"}) == "OK");
  CHECK(client.Do({"OBJECT", "FREQ", "k"}).find("An LFU maxmemory policy is not selected") !=
        std::string::npos);
  client.Do({"SET", "k", "v"});
  CHECK(client.Do({"OBJECT", "IDLETIME", "k"}) == "(integer) 0");
  REQUIRE(client.Do({"CONFIG", "SET", "maxmemory-policy", "noeviction"}) == "OK");
}

TEST_CASE("eviction: a limit that falls is reached without a write") {
  WireCase wire({"--maxmemory", "0"});
  REQUIRE(wire.client.Do({"CONFIG", "SET", "maxmemory-policy", "allkeys-arc"}) == "OK");
  Flood(wire.client, 10000, 1000);
  REQUIRE(wire.client.Do({"CONFIG", "SET", "maxmemory", "6mb"}) == "OK");
  uint64_t used = 0;
  for (int i = 0; i < 2000; ++i) {
    used = Number(wire.client, "memory", "used_memory");
    if (used <= 6u << 20) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  CHECK(used <= 6u << 20);
  CHECK(Keys(wire.client) > 3000);
  // A change of policy inside a transaction that holds keys.
  CHECK(wire.client.Do({"MULTI"}) == "OK");
  wire.client.Do({"SET", "k", "v"});
  wire.client.Do({"CONFIG", "SET", "maxmemory-policy", "noeviction"});
  wire.client.Do({"CONFIG", "SET", "maxmemory", "0"});
  wire.client.Do({"SET", "l", "v"});
  wire.client.Do({"EXEC"});
  CHECK(wire.client.Do({"MGET", "k", "l"}) == "[\"v\", \"v\"]");
}

TEST_CASE("eviction: the largest clients go beyond maxmemory-clients") {
  WireCase wire({"--maxmemory-clients", "0"});
  Client& client = wire.client;
  Client spared(wire.server.port());
  CHECK(spared.Do({"CLIENT", "NO-EVICT", "on"}) == "OK");
  Client large(wire.server.port());
  // Half a command of four megabytes stays in its buffer.
  large.Send("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$8000000\r\n" + std::string(4 << 20, 'x'));
  spared.Send("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$8000000\r\n" + std::string(4 << 20, 'x'));
  const uint64_t before = Number(client, "stats", "evicted_clients");
  REQUIRE(client.Do({"CONFIG", "SET", "maxmemory-clients", "2mb"}) == "OK");
  for (int i = 0; i < 2000 && Number(client, "stats", "evicted_clients") == before; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(Number(client, "stats", "evicted_clients") == before + 1);
  CHECK(large.Closed(5000));
  spared.Send(std::string(8000000 - (4 << 20), 'x') + "\r\n");
  CHECK(spared.Read() == "OK");
  REQUIRE(client.Do({"CONFIG", "SET", "maxmemory-clients", "0"}) == "OK");
}

}  // namespace
}  // namespace fluxkv::wire
