// Goal: deadlines are set, read and taken away as Redis 7.2 does it.
// Method: commands through the dispatcher; far deadlines, and past ones where removal is tested.
#include <chrono>
#include <string>
#include <thread>

#include <doctest/doctest.h>

#include "tests/command/harness.h"

namespace fluxkv::command {
namespace {

TEST_CASE("setting and reading a deadline") {
  CommandHarness h;
  CHECK(h.Run({"EXPIRE", "k", "100"}) == "(integer) 0");
  CHECK(h.Run({"TTL", "k"}) == "(integer) -2");
  CHECK(h.Run({"PERSIST", "k"}) == "(integer) 0");
  h.Run({"SET", "k", "v"});
  CHECK(h.Run({"TTL", "k"}) == "(integer) -1");
  CHECK(h.Run({"EXPIRETIME", "k"}) == "(integer) -1");
  CHECK(h.Run({"PERSIST", "k"}) == "(integer) 0");
  CHECK(h.Run({"EXPIRE", "k", "100"}) == "(integer) 1");
  CHECK(h.Run({"TTL", "k"}) == "(integer) 100");
  CHECK(h.Run({"PEXPIRE", "k", "200400"}) == "(integer) 1");
  CHECK(h.Run({"TTL", "k"}) == "(integer) 200");
  CHECK(h.Run({"PEXPIREAT", "k", "33177117420999"}) == "(integer) 1");
  CHECK(h.Run({"PEXPIRETIME", "k"}) == "(integer) 33177117420999");
  CHECK(h.Run({"EXPIRETIME", "k"}) == "(integer) 33177117421");
  CHECK(h.Run({"EXPIREAT", "k", "33177117420"}) == "(integer) 1");
  CHECK(h.Run({"EXPIRETIME", "k"}) == "(integer) 33177117420");
  CHECK(h.Run({"PERSIST", "k"}) == "(integer) 1");
  CHECK(h.Run({"PTTL", "k"}) == "(integer) -1");
  CHECK(h.Run({"GET", "k"}) == "\"v\"");
}

TEST_CASE("a deadline in the past deletes") {
  CommandHarness h;
  for (const char* past : {"-1", "0", "-9223372036854775"}) {
    h.Run({"SET", "k", "v"});
    CHECK(h.Run({"EXPIRE", "k", past}) == "(integer) 1");
    CHECK(h.Run({"EXISTS", "k"}) == "(integer) 0");
  }
  h.Run({"SET", "k", "v"});
  CHECK(h.Run({"PEXPIRE", "k", "-9223372036854775808"}) == "(integer) 1");
  CHECK(h.Run({"EXISTS", "k"}) == "(integer) 0");
  h.Run({"SET", "k", "v"});
  CHECK(h.Run({"EXPIREAT", "k", "0"}) == "(integer) 1");
  CHECK(h.Run({"EXISTS", "k"}) == "(integer) 0");
}

TEST_CASE("conditions") {
  CommandHarness h;
  h.Run({"SET", "k", "v"});
  CHECK(h.Run({"EXPIRE", "k", "100", "XX"}) == "(integer) 0");
  CHECK(h.Run({"EXPIRE", "k", "100", "GT"}) == "(integer) 0");
  CHECK(h.Run({"EXPIRE", "k", "100", "XX", "LT"}) == "(integer) 0");
  CHECK(h.Run({"EXPIRE", "k", "100", "LT"}) == "(integer) 1");
  CHECK(h.Run({"EXPIRE", "k", "200", "NX"}) == "(integer) 0");
  CHECK(h.Run({"EXPIRE", "k", "200", "LT"}) == "(integer) 0");
  CHECK(h.Run({"EXPIRE", "k", "50", "GT"}) == "(integer) 0");
  CHECK(h.Run({"EXPIRE", "k", "200", "XX", "gt"}) == "(integer) 1");
  CHECK(h.Run({"TTL", "k"}) == "(integer) 200");
  h.Run({"PERSIST", "k"});
  CHECK(h.Run({"EXPIRE", "k", "10", "nx"}) == "(integer) 1");
  const std::string kNx =
      "(error) ERR NX and XX, GT or LT options at the same time are not compatible";
  CHECK(h.Run({"EXPIRE", "k", "1", "NX", "XX"}) == kNx);
  CHECK(h.Run({"EXPIRE", "k", "1", "LT", "NX"}) == kNx);
  CHECK(h.Run({"EXPIRE", "k", "1", "LT", "GT"}) ==
        "(error) ERR GT and LT options at the same time are not compatible");
  CHECK(h.Run({"EXPIRE", "k", "1", "XX", "AB"}) == "(error) ERR Unsupported option AB");
}

TEST_CASE("whoever meets a key past its deadline removes it, unless clients are paused") {
  CommandHarness h;
  h.services().database.set_active_expiry(false);
  const auto expired_keys = [&] { return h.services().database.stats().expired_keys; };
  const auto fill = [&] {
    for (const char* key : {"a", "b", "c"}) h.Run({"SET", key, "v", "PX", "1"});
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    h.services().clock.Tick();
    CHECK(h.Run({"DBSIZE"}) == "(integer) 3");
  };
  for (const std::vector<std::string>& access : {std::vector<std::string>{"MGET", "a", "b", "c"},
                                                 {"SCAN", "0"},
                                                 {"KEYS", "*"},
                                                 {"DEL", "a", "b", "c"}}) {
    fill();
    const uint64_t before = expired_keys();
    h.Run(access);
    CHECK(h.Run({"DBSIZE"}) == "(integer) 0");
    CHECK(expired_keys() == before + 3);
  }
  fill();
  const uint64_t before = expired_keys();
  h.Run({"CLIENT", "PAUSE", "100000", "WRITE"});
  h.services().database.set_active_expiry(true);
  CHECK(h.Run({"GET", "a"}) == "(nil)");
  h.services().database.Vacuum();
  CHECK(h.Run({"DBSIZE"}) == "(integer) 3");
  h.Run({"CLIENT", "UNPAUSE"});
  CHECK(h.Run({"MGET", "a", "b", "c"}) == "[(nil), (nil), (nil)]");
  CHECK(expired_keys() == before + 3);
}

TEST_CASE("times that do not fit") {
  CommandHarness h;
  h.Run({"SET", "k", "v"});
  for (const char* bad : {"9223370399119966", "9223372036854776", "10000000000000000",
                          "-9223372036854776", "-9999999999999999"}) {
    CHECK(h.Run({"EXPIRE", "k", bad}) == "(error) ERR invalid expire time in 'expire' command");
  }
  CHECK(h.Run({"PEXPIRE", "k", "9223372036854770000"}) ==
        "(error) ERR invalid expire time in 'pexpire' command");
  CHECK(h.Run({"EXPIRE", "k", "x"}) == "(error) ERR value is not an integer or out of range");
  CHECK(h.Run({"EXPIRE", "k", ""}) == "(error) ERR value is not an integer or out of range");
  CHECK(h.Run({"TTL", "k"}) == "(integer) -1");
  CHECK(h.Run({"PEXPIREAT", "k", "9223372036854775807"}) == "(integer) 1");
  CHECK(h.Run({"PEXPIRETIME", "k"}) == "(integer) 9223372036854775807");
  CHECK(h.Run({"EXPIRETIME", "k"}) == "(integer) 9223372036854776");
}

}  // namespace
}  // namespace fluxkv::command
