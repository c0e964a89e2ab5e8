// Goal: the slow log is bounded, newest first, with shortened arguments.
// Method: the class alone, then SLOWLOG in process.
#include <doctest/doctest.h>

#include "tests/command/harness.h"

namespace fluxkv::command {
namespace {

TEST_CASE("entries are bounded") {
  std::atomic<int64_t> entries_max{3};
  SlowLog log(entries_max);
  ClientInfo client;
  std::vector<std::string_view> many(34, "x");
  for (int i = 0; i < 5; ++i) log.Record(many, i, client);
  CHECK(log.size() == 3);
  auto entries = log.Newest(100);
  CHECK(entries.front().id == 4);
  CHECK(entries.front().arguments.size() == 32);
  CHECK(entries.front().arguments.back() == "... (3 more arguments)");
  std::string large(129, 'A');
  std::vector<std::string_view> one = {large};
  log.Record(one, 1, client);
  CHECK(log.Newest(1)[0].arguments[0] == std::string(128, 'A') + "... (1 more bytes)");
  entries_max = 0;
  log.Record(one, 1, client);
  CHECK(log.Newest(1)[0].id == 5);
}

TEST_CASE("commands") {
  CommandHarness h;
  h.Set("slowlog-log-slower-than", "0");
  h.Run({"SLOWLOG", "RESET"});
  h.Run({"SET", "k", "v"});
  CHECK(Has(h.Run({"SLOWLOG", "GET", "1"}), "[\"SET\", \"k\", \"v\"]"));
  CHECK(h.Run({"SLOWLOG", "GET", "-2"}) ==
        "(error) ERR count should be greater than or equal to -1");
  h.Run({"CONFIG", "SET", "requirepass", "secret"});
  CHECK_FALSE(Has(h.Run({"SLOWLOG", "GET", "-1"}), "secret"));
}

}  // namespace
}  // namespace fluxkv::command
