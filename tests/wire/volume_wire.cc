// Goal: large values, long pipelines and large keyspaces, while others are served.
// Method: the sizes at which buffers grow, slices end and indexes split; answers counted or
// compared whole.
#include <algorithm>
#include <chrono>
#include <set>
#include <string>

#include <doctest/doctest.h>

#include "tests/wire/wire_case.h"

namespace fluxkv::wire {
namespace {

std::string Value(size_t size) {
  std::string value(size, '\0');
  for (size_t i = 0; i < size; ++i) value[i] = static_cast<char>(i * 2654435761u >> 13);
  return value;
}

std::string Bulk(const std::string& bytes) {
  return "$" + std::to_string(bytes.size()) + "\r\n" + bytes + "\r\n";
}

// Keys PREFIX0 ... through MSETs of a hundred.
void Fill(Client& client, const std::string& prefix, int count) {
  for (int i = 0; i < count;) {
    Arguments mset = {"MSET"};
    for (int end = i + 100; i < end && i < count; ++i) {
      mset.push_back(prefix + std::to_string(i));
      mset.push_back("v");
    }
    REQUIRE(client.Do(mset) == "OK");
  }
}

// One SCAN page: its keys go to `keys`; the next cursor.
std::string ScanPage(Client& client, const std::string& cursor, std::multiset<std::string>* keys) {
  std::string page = client.Do({"SCAN", cursor, "COUNT", "100"});
  size_t at = page.find('"', 2);
  std::string next = page.substr(2, at - 2);
  while ((at = page.find('"', at + 1)) != std::string::npos) {
    size_t end = page.find('"', at + 1);
    keys->insert(page.substr(at + 1, end - at - 1));
    at = end;
  }
  return next;
}

TEST_CASE("values around the sizes at which buffers change, and of 10 MB") {
  WireCase wire;
  for (size_t size :
       {1023u, 16383u, 16384u, 16385u, 65535u, 65536u, 262144u, 1000000u, 10u << 20}) {
    CAPTURE(size);
    std::string value = Value(size);
    CHECK(wire.client.DoRaw({"SET", "k", value}) == "+OK\r\n");
    CHECK(wire.client.DoRaw({"GET", "k"}) == Bulk(value));
    CHECK(wire.client.DoRaw({"GETRANGE", "k", "-5", "-1"}) == Bulk(value.substr(size - 5)));
    CHECK(wire.client.DoRaw({"APPEND", "k", "x"}) == ":" + std::to_string(size + 1) + "\r\n");
    CHECK(wire.client.DoRaw({"MGET", "k", "k"}) ==
          "*2\r\n" + Bulk(value + "x") + Bulk(value + "x"));
  }
}

TEST_CASE("a large value that is overwritten while it is being sent") {
  WireCase wire;
  Client writer(wire.server.port());
  std::string first = Value(10 << 20);
  wire.client.Do({"SET", "k", first});
  wire.client.Send(Encode({"GET", "k"}));
  wire.client.Readable(5000);
  CHECK(writer.Do({"SET", "k", "small"}) == "OK");
  CHECK(writer.Do({"DEL", "k"}) == "(integer) 1");
  CHECK(wire.client.ReadRaw() == Bulk(first));
}

TEST_CASE("a pipeline of 10,000 commands of many kinds") {
  WireCase wire;
  std::string requests, expected;
  for (int i = 0; i < 2000; ++i) {
    std::string key = "k" + std::to_string(i % 50);
    requests += Encode({"SET", key, std::to_string(i)}) + Encode({"GET", key}) +
                Encode({"INCR", "n"}) + Encode({"DEL", "absent"}) + "PING\r\n";
    std::string number = std::to_string(i);
    expected += "+OK\r\n" + Bulk(number) + ":" + std::to_string(i + 1) + "\r\n:0\r\n+PONG\r\n";
  }
  wire.client.Send(requests);
  std::string replies;
  for (int i = 0; i < 10000; ++i) replies += wire.client.ReadRaw();
  CHECK(replies == expected);
}

TEST_CASE("SCAN gives each key that stays exactly once while others come and go") {
  WireCase wire;
  constexpr int kStay = 3000;
  Fill(wire.client, "stay:", kStay);
  Fill(wire.client, "go:", kStay);
  Client writer(wire.server.port());
  std::multiset<std::string> seen;
  std::string cursor = "0";
  int page = 0;
  do {
    cursor = ScanPage(wire.client, cursor, &seen);
    for (int i = page * 40; i < (page + 1) * 40; ++i) {
      writer.Do({"DEL", "go:" + std::to_string(i)});
      writer.Do({"SET", "come:" + std::to_string(i), "v"});
    }
    ++page;
  } while (cursor != "0");
  for (int i = 0; i < kStay; ++i) REQUIRE(seen.count("stay:" + std::to_string(i)) == 1);
  for (const std::string& key : seen) REQUIRE(seen.count(key) == 1);
}

TEST_CASE("KEYS of 200,000 keys while others are served") {
  WireCase wire;
  constexpr int kKeys = 200000;
  Fill(wire.client, "key:", kKeys);
  Client lister(wire.server.port());
  lister.Send(Encode({"KEYS", "*"}));
  int served = 0;
  auto longest = std::chrono::steady_clock::duration::zero();
  while (!lister.Readable(0)) {
    auto begin = std::chrono::steady_clock::now();
    REQUIRE(wire.client.Do({"SET", "during:" + std::to_string(served++), "v"}) == "OK");
    longest = std::max(longest, std::chrono::steady_clock::now() - begin);
  }
  std::string raw = lister.ReadRaw();
  long count = std::stol(raw.substr(1));
  CHECK(count >= kKeys);
  CHECK(count <= kKeys + served);
  CHECK(longest < std::chrono::seconds(1));
  CHECK(lister.Do({"DBSIZE"}) == "(integer) " + std::to_string(kKeys + served));
  CHECK(lister.Do({"FLUSHALL"}) == "OK");
  CHECK(lister.Do({"KEYS", "*"}) == "[]");
}

TEST_CASE("long replies that nobody reads have the commands behind them wait [slow]") {
  WireCase wire;
  constexpr int kKeys = 60000;
  constexpr int kRequests = 60;
  constexpr long kHeldMax = 4 << 20;  // of the 50 MB that all replies take
  Fill(wire.client, "key:", kKeys);
  Client lister(wire.server.port());
  std::string id = lister.Do({"CLIENT", "ID"}).substr(std::string("(integer) ").size());
  std::string requests;
  for (int i = 0; i < kRequests; ++i) requests += Encode({"KEYS", "*"});
  lister.Send(requests);
  auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(700);
  long most = 0;
  while (std::chrono::steady_clock::now() < end) {
    std::string line = wire.client.Do({"CLIENT", "LIST", "ID", id});
    most = std::max(most, std::stol(line.substr(line.find(" omem=") + 6)));
  }
  CHECK(most > 0);
  CHECK(most < kHeldMax);
  for (int i = 0; i < kRequests; ++i) {
    REQUIRE(lister.ReadRaw().starts_with("*" + std::to_string(kKeys)));
  }
}

}  // namespace
}  // namespace fluxkv::wire
