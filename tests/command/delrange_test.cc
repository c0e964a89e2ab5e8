// DELRANGE, DELPREFIX: answers, events, what other commands see meanwhile, in EXEC and between
// BEGIN and COMMIT, and how much may be under way at once.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "engine/range_deletes.h"
#include "tests/command/harness.h"

namespace fluxkv::command {
namespace {

using Words = std::vector<std::string>;

std::string Name(size_t n) {
  return "k:" + std::to_string(10000 + n);
}

void Fill(CommandHarness& h, size_t keys) {
  Words words{"MSET"};
  for (size_t i = 0; i < keys; ++i) words.insert(words.end(), {Name(i), "v"});
  if (keys != 0) h.Run(words);
}

TEST_CASE("delrange: bounds, counts and errors, of few keys and of many") {
  CommandHarness h;
  for (const size_t keys : {20, 400}) {
    CAPTURE(keys);
    Fill(h, keys);
    h.Run({"MSET", "a", "1", "z", "1"});
    CHECK(h.Run({"DELRANGE", "(" + Name(keys - 1), "(z"}) == "(integer) 0");
    CHECK(h.Run({"DELRANGE", "[z", "[a"}) == "(integer) 0");
    CHECK(h.Run({"DELRANGE", "+", "-"}) == "(integer) 0");
    CHECK(h.Run({"DELRANGE", "[" + Name(0), "(" + Name(keys - 2)}) ==
          "(integer) " + std::to_string(keys - 2));
    CHECK(h.Run({"EXISTS", Name(0), Name(keys - 2), Name(keys - 1), "a", "z"}) == "(integer) 4");
    CHECK(h.Run({"DELPREFIX", "k:"}) == "(integer) 2");
    CHECK(h.Run({"DELPREFIX", "k:"}) == "(integer) 0");
    CHECK(h.Run({"DELPREFIX", ""}) == "(integer) 2");
    CHECK(h.Run({"DBSIZE"}) == "(integer) 0");
  }
  for (const Words& bad : {Words{"DELRANGE", "a", "+"}, {"DELRANGE", "-", ""}})
    CHECK(h.Run(bad) == "(error) ERR min or max not valid string range item");
  CHECK(h.Run({"DELRANGE", "-"}) == "(error) ERR wrong number of arguments for 'delrange' command");
  CHECK(h.Run({"DELPREFIX"}) == "(error) ERR wrong number of arguments for 'delprefix' command");
}

TEST_CASE("delrange: each key has its event") {
  CommandHarness h;
  h.Set("notify-keyspace-events", "Eg");
  h.Run({"SUBSCRIBE", "__keyevent@0__:del"}, 1);
  h.Messages(1);
  for (const size_t keys : {3, 300}) {
    CAPTURE(keys);
    Fill(h, keys);
    CHECK(h.Run({"DELPREFIX", "k:"}) == "(integer) " + std::to_string(keys));
    Words got = h.Messages(1);
    std::sort(got.begin(), got.end());
    REQUIRE(got.size() == keys);
    for (size_t i = 0; i < keys; ++i)
      CHECK(got[i] == "[\"message\", \"__keyevent@0__:del\", \"" + Name(i) + "\"]");
  }
}

TEST_CASE("delrange: other commands while it is under way") {
  CommandHarness h;
  engine::Database& database = h.services().database;
  constexpr size_t kKeys = 1000;
  Fill(h, kKeys);
  h.Run({"SET", "z", "1"});
  h.Run({"WATCH", Name(5)}, 1);
  h.Run({"WATCH", "z"}, 2);
  database.LimitSettling(0);
  // The harness would wait for it: by the engine, as the handler does.
  engine::Transaction& txn = h.loop().txn;
  std::shared_ptr<const engine::RangeDelete> deleted;
  {
    engine::Handle::Scope in_epoch(h.loop().handle);
    txn.BeginExclusive();
    deleted = txn.DeleteRange(0, engine::KeyInterval::OfPrefix("k:"), [](std::string_view) {});
    REQUIRE(txn.Commit());
  }
  REQUIRE(deleted != nullptr);
  CHECK(h.Run({"GET", Name(1)}) == "(nil)");
  CHECK(h.Run({"MGET", Name(1), "z"}) == R"([(nil), "1"])");
  CHECK(h.Run({"EXISTS", Name(1), "z"}) == "(integer) 1");
  CHECK(h.Run({"TTL", Name(1)}) == "(integer) -2");
  CHECK(h.Run({"TYPE", Name(1)}) == "none");
  CHECK(h.Run({"OBJECT", "ENCODING", Name(1)}) == "(nil)");
  CHECK(h.Run({"MEMORY", "USAGE", Name(1)}) == "(nil)");
  CHECK(h.Run({"DUMP", Name(1)}) == "(nil)");
  CHECK(h.Run({"DEL", Name(1)}) == "(integer) 0");
  CHECK(h.Run({"EXPIRE", Name(1), "100"}) == "(integer) 0");
  CHECK(h.Run({"RENAME", Name(1), "y"}) == "(error) ERR no such key");
  CHECK(h.Run({"SET", Name(1), "x", "XX"}) == "(nil)");
  CHECK(h.Run({"DBSIZE"}) == "(integer) 1");
  CHECK(h.Run({"KEYS", "*"}) == R"(["z"])");
  CHECK(h.Run({"RANDOMKEY"}) == R"("z")");
  CHECK(h.Run({"SCAN", "0", "COUNT", "100000"}) == R"(["0", ["z"]])");
  CHECK(h.Run({"SCAN", "0", "MATCH", "k:*", "COUNT", "100000"}) == R"(["0", []])");
  CHECK(h.Run({"RANGE", "-", "+"}) == R"(["z"])");
  CHECK(h.Run({"RANGE", "+", "-", "REV", "LIMIT", "1"}) == R"(["z"])");
  CHECK(h.Run({"INFO", "vacuum"}).find("range_deletes_pending:1") != std::string::npos);
  h.Run({"BEGIN"}, 3);
  CHECK(h.Run({"DBSIZE"}, 3) == "(integer) 1");
  CHECK(h.Run({"GET", Name(1)}, 3) == "(nil)");
  h.Run({"ROLLBACK"}, 3);
  for (size_t client : {1, 2}) {
    h.Run({"MULTI"}, client);
    h.Run({"DBSIZE"}, client);
    CHECK(h.Run({"EXEC"}, client) == (client == 1 ? "(nil)" : "[(integer) 1]"));
  }
  CHECK(h.Run({"SET", Name(1), "x", "NX"}) == "OK");
  CHECK(h.Run({"INCR", Name(2)}) == "(integer) 1");
  CHECK(h.Run({"APPEND", Name(3), "x"}) == "(integer) 1");
  CHECK(h.Run({"DBSIZE"}) == "(integer) 4");
  CHECK(deleted->keys() == 3);
  database.LimitSettling(std::nullopt);
  CHECK(h.Run({"DELRANGE", "[" + Name(0), "[" + Name(kKeys)}) == "(integer) 3");
  CHECK(deleted->settled());
  CHECK(deleted->keys() == kKeys);
  CHECK(h.Run({"DBSIZE"}) == "(integer) 1");
}

TEST_CASE("delrange: in EXEC") {
  CommandHarness h;
  for (const size_t keys : {5, 200}) {
    for (const bool watching : {false, true}) {
      Fill(h, keys);
      h.Run({"SET", "a", "1"});
      if (watching) h.Run({"WATCH", "a"});
      h.Run({"MULTI"});
      h.Run({"SET", "k:new", "1"});
      h.Run({"DELPREFIX", "k:"});
      h.Run({"EXISTS", "k:new", Name(0), "a"});
      h.Run({"SET", Name(1), "again"});
      h.Run({"DELRANGE", "[x", "+"});
      h.Run({"DBSIZE"});
      CHECK(h.Run({"EXEC"}) == "[OK, (integer) " + std::to_string(keys + 1) +
                                   ", (integer) 1, OK, (integer) 0, (integer) 2]");
      CHECK(h.Run({"KEYS", "*"}) == "[\"a\", \"" + Name(1) + "\"]");
    }
  }
}

TEST_CASE("delrange: in EXEC it deletes all or says that they are too many") {
  CommandHarness h;
  h.Set("transactions.max_bytes", "1mb");
  for (const bool watching : {false, true}) {
    CAPTURE(watching);
    for (size_t i = 0; i < 10; ++i) {
      Words words{"MSET"};
      for (size_t j = i * 1000; j < (i + 1) * 1000; ++j) words.insert(words.end(), {Name(j), "v"});
      h.Run(words);
    }
    if (watching) h.Run({"WATCH", "a"});
    h.Run({"MULTI"});
    h.Run({"DELPREFIX", "k:"});
    h.Run({"DELRANGE", "[" + Name(0), "(" + Name(2000)});
    h.Run({"DELRANGE", "[" + Name(2000), "(" + Name(4000)});
    h.Run({"DELRANGE", "[" + Name(4000), "(" + Name(6000)});
    const std::string error =
        "(error) ERR so many keys take more than transactions.max_bytes in one transaction: "
        "delete them outside of MULTI";
    CHECK(h.Run({"EXEC"}) ==
          "[" + error + ", (integer) 2000, (integer) 2000, " + error + "]");  // 5000 are 1 MB
    CHECK(h.Run({"DBSIZE"}) == "(integer) 6000");
    CHECK(h.Run({"DELPREFIX", "k:"}) == "(integer) 6000");
  }
}

TEST_CASE("delrange: so many are under way at once, the next one waits") {
  CommandHarness h;
  engine::Database& database = h.services().database;
  Fill(h, 100);
  database.LimitSettling(0);
  constexpr size_t kMost = 64;
  for (size_t i = 0; i < kMost; ++i) {
    engine::Handle::Scope in_epoch(h.loop().handle);
    engine::Transaction& txn = h.loop().txn;
    txn.BeginExclusive();
    const auto deleted =
        txn.DeleteRange(0, engine::KeyInterval::OfPrefix("k:"), [](std::string_view) {});
    REQUIRE(txn.Commit());
    REQUIRE(deleted != nullptr);
  }
  for (size_t i = 0; i < 100; ++i) h.Run({"SET", "n:" + std::to_string(i), "v"});
  h.Run({"SET", "o", "v"});
  std::atomic<uint64_t> most{0};
  std::thread later([&] {
    for (int i = 0; i < 20; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      most = std::max(most.load(), database.range_deletes());
    }
    database.LimitSettling(std::nullopt);
  });
  CHECK(h.Run({"DELPREFIX", "n:"}) == "(integer) 100");
  later.join();
  CHECK(most == kMost);
  CHECK(h.Run({"DBSIZE"}) == "(integer) 1");
}

TEST_CASE("delrange: between BEGIN and COMMIT it is private, and bounded as other writes") {
  CommandHarness h;
  h.Set("notify-keyspace-events", "Eg");
  h.Run({"SUBSCRIBE", "__keyevent@0__:del"}, 1);
  h.Messages(1);
  constexpr size_t kKeys = 30000;
  for (size_t i = 0; i < kKeys; i += 1000) {
    Words words{"MSET"};
    for (size_t j = i; j < i + 1000; ++j) words.insert(words.end(), {Name(j), "v"});
    h.Run(words);
  }
  h.Run({"BEGIN"});
  h.Run({"SET", "k:new", "1"});
  h.Run({"SET", "l", "1"});
  CHECK(h.Run({"DELPREFIX", "k:"}) == "(integer) " + std::to_string(kKeys + 1));
  CHECK(h.Run({"GET", "k:new"}) == "(nil)");
  CHECK(h.Run({"DBSIZE"}) == "(integer) 1");
  CHECK(h.Run({"DBSIZE"}, 2) == "(integer) " + std::to_string(kKeys));
  CHECK(h.Messages(1).empty());
  CHECK(h.Run({"ROLLBACK"}) == "OK");
  CHECK(h.Run({"DBSIZE"}) == "(integer) " + std::to_string(kKeys));
  h.Run({"BEGIN"});
  CHECK(h.Run({"DELRANGE", "-", "(" + Name(1000)}) == "(integer) 1000");
  CHECK(h.Run({"COMMIT"}).starts_with("(integer)"));
  CHECK(h.Messages(1).size() == 1000);
  CHECK(h.Run({"DBSIZE"}) == "(integer) " + std::to_string(kKeys - 1000));
  h.Run({"BEGIN", "READONLY"});
  CHECK(h.Run({"DELPREFIX", "k:"}) ==
        "(error) READONLY 'delprefix' is not allowed in a READONLY transaction");
  h.Run({"ROLLBACK"});
  // A phantom: somebody adds a key to what was deleted.
  h.Run({"BEGIN"});
  h.Run({"DELPREFIX", "m"});
  h.Run({"SET", "l", "2"});
  h.Run({"SET", "m1", "1"}, 2);
  CHECK(h.Run({"GET", "l"}, 2) == "(nil)");
  CHECK(h.Run({"COMMIT"}).starts_with("(error) CONFLICT"));
  h.Set("transactions.max_bytes", "1mb");
  h.Run({"BEGIN"});
  CHECK(h.Run({"DELPREFIX", "k:"}).starts_with("(error) CONFLICT"));
  CHECK(h.Run({"ROLLBACK"}) == "OK");
  CHECK(h.Run({"EXISTS", Name(2000)}) == "(integer) 1");
}

TEST_CASE("delrange: a transaction that it comes between") {
  CommandHarness h;
  Fill(h, 100);
  h.Run({"BEGIN"}, 1);
  CHECK(h.Run({"GET", Name(3)}, 1) == R"("v")");
  h.Run({"SET", "a", "1"}, 1);
  h.Run({"BEGIN"}, 2);
  h.Run({"SET", Name(4), "1"}, 2);
  h.Run({"BEGIN", "READONLY"}, 3);
  CHECK(h.Run({"DELPREFIX", "k:"}) == "(integer) 100");
  CHECK(h.Run({"GET", "a"}) == "(nil)");
  CHECK(h.Run({"GET", Name(3)}, 3) == R"("v")");
  CHECK(h.Run({"DBSIZE"}, 3) == "(integer) 100");
  CHECK(h.Run({"COMMIT"}, 1).starts_with("(error) CONFLICT key 'k:10003', which was read,"));
  CHECK(h.Run({"COMMIT"}, 2).starts_with("(error) CONFLICT key 'k:10004' was written since"));
  CHECK(h.Run({"COMMIT"}, 3).starts_with("(integer)"));
}

TEST_CASE("delrange: random ones against a model, with writes in between") {
  const uint32_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  CommandHarness h;
  std::map<std::string, std::string> model;
  const auto key = [&] {
    std::string key(random() % 6, '\0');
    for (char& byte : key) byte = "abc"[random() % 3];
    return key;
  };
  for (int round = 0; round < 6000; ++round) {
    const std::string name = key(), value = std::to_string(round);
    if (random() % 100 != 0) {
      h.Run({"SET", name, value});
      model[name] = value;
      continue;
    }
    const std::string low = key(), high = key();
    const bool low_in = random() % 2 == 0, high_in = random() % 2 == 0;
    const auto deleted = std::erase_if(model, [&](const auto& entry) {
      const std::string& k = entry.first;
      return (low_in ? k >= low : k > low) && (high_in ? k <= high : k < high);
    });
    REQUIRE(h.Run({"DELRANGE", (low_in ? "[" : "(") + low, (high_in ? "[" : "(") + high}) ==
            "(integer) " + std::to_string(deleted));
    REQUIRE(h.Run({"DBSIZE"}) == "(integer) " + std::to_string(model.size()));
    std::string all;
    for (const auto& [k, v] : model) all += (all.empty() ? "\"" : ", \"") + k + "\", \"" + v + "\"";
    REQUIRE(h.Run({"RANGE", "-", "+", "WITHVALUES"}) == "[" + all + "]");
  }
}

}  // namespace
}  // namespace fluxkv::command
