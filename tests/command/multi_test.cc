// MULTI, EXEC, DISCARD, WATCH.
#include <chrono>
#include <string>
#include <thread>

#include <doctest/doctest.h>

#include "tests/command/harness.h"

namespace fluxkv::command {
namespace {

TEST_CASE("a queue runs at EXEC, in order") {
  CommandHarness h;
  CHECK(h.Run({"MULTI"}) == "OK");
  CHECK(h.Run({"SET", "k", "1"}) == "QUEUED");
  CHECK(h.Run({"INCR", "k"}) == "QUEUED");
  CHECK(h.Run({"GET", "k"}) == "QUEUED");
  CHECK(h.session().info->multi_commands.load() == 3);
  CHECK(h.Run({"GET", "k"}, 1) == "(nil)");
  CHECK(h.Run({"EXEC"}) == "[OK, (integer) 2, \"2\"]");
  CHECK(h.Run({"GET", "k"}, 1) == "\"2\"");
  CHECK(h.session().info->multi_commands.load() == -1);
  CHECK(h.session().info->multi_bytes.load() == 0);
  CHECK(h.Run({"MULTI"}) == "OK");
  CHECK(h.Run({"EXEC"}) == "[]");
}

TEST_CASE("errors of the words themselves") {
  CommandHarness h;
  CHECK(h.Run({"EXEC"}) == "(error) ERR EXEC without MULTI");
  CHECK(h.Run({"DISCARD"}) == "(error) ERR DISCARD without MULTI");
  CHECK(h.Run({"MULTI"}) == "OK");
  CHECK(h.Run({"MULTI"}) == "(error) ERR MULTI calls can not be nested");
  CHECK(h.Run({"EXEC"}) == "(error) EXECABORT Transaction discarded because of previous errors.");
  CHECK(h.Run({"MULTI"}) == "OK");
  CHECK(h.Run({"WATCH", "k"}) == "(error) ERR WATCH inside MULTI is not allowed");
  CHECK(h.Run({"EXEC"}) == "[]");
}

TEST_CASE("a refused command spoils the transaction") {
  CommandHarness h;
  for (auto bad : {std::vector<std::string>{"nonsense"}, {"GET"}, {"pubsub", "foo"}}) {
    h.Run({"MULTI"});
    CHECK(h.Run({"SET", "k", "v"}) == "QUEUED");
    CHECK(h.Run(bad).starts_with("(error) ERR"));
    CHECK(h.Run({"SET", "k", "v"}) == "QUEUED");
    CHECK(h.Run({"EXEC"}) == "(error) EXECABORT Transaction discarded because of previous errors.");
    CHECK(h.Run({"GET", "k"}) == "(nil)");
  }
  h.Run({"MULTI"});
  CHECK(h.Run({"EXEC", "x"}) ==
        "(error) EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' "
        "command");
  CHECK(h.Run({"PING"}) == "PONG");
}

TEST_CASE("a failing command leaves its error, the rest takes effect") {
  CommandHarness h;
  h.Run({"SET", "text", "abc"});
  h.Run({"MULTI"});
  h.Run({"SET", "a", "1"});
  h.Run({"INCR", "text"});
  h.Run({"SET", "b", "2"});
  CHECK(h.Run({"EXEC"}) == "[OK, (error) ERR value is not an integer or out of range, OK]");
  CHECK(h.Run({"MGET", "a", "b"}) == "[\"1\", \"2\"]");
  CHECK(h.loop().stats.per_command[h.services().table.Find("incr")->number].failed.value() == 1);
  CHECK(h.loop().stats.per_command[h.services().table.Find("exec")->number].failed.value() == 0);
}

TEST_CASE("DISCARD forgets the queue") {
  CommandHarness h;
  h.Run({"MULTI"});
  h.Run({"SET", "k", "v"});
  CHECK(h.Run({"DISCARD"}) == "OK");
  CHECK(h.Run({"GET", "k"}) == "(nil)");
}

TEST_CASE("SELECT inside counts from its place on and stays") {
  CommandHarness h;
  h.Run({"MULTI"});
  h.Run({"SET", "k", "zero"});
  h.Run({"SELECT", "2"});
  h.Run({"SET", "k", "two"});
  h.Run({"SELECT", "99"});
  h.Run({"GET", "k"});
  CHECK(h.Run({"EXEC"}) == "[OK, OK, OK, (error) ERR DB index is out of range, \"two\"]");
  CHECK(h.session().db == 2);
  h.Run({"SELECT", "0"});
  CHECK(h.Run({"GET", "k"}) == "\"zero\"");
}

TEST_CASE("WATCH") {
  CommandHarness h;
  auto exec_after = [&](std::vector<std::string> by_other) {
    CHECK(h.Run({"WATCH", "k", "k", "l"}) == "OK");
    CHECK(h.session().info->watched.load() == 2);
    if (!by_other.empty()) h.Run(std::move(by_other), 1);
    h.Run({"MULTI"});
    h.Run({"SET", "mine", "v"});
    std::string reply = h.Run({"EXEC"});
    CHECK(h.session().watched.empty());
    CHECK(h.session().info->watched.load() == 0);
    return reply;
  };
  CHECK(exec_after({}) == "[OK]");
  CHECK(exec_after({"SET", "k", "1"}) == "(nil)");
  CHECK(exec_after({"SET", "k", "1"}) == "(nil)");  // the same value
  CHECK(exec_after({"DEL", "k"}) == "(nil)");
  CHECK(exec_after({"DEL", "k"}) == "[OK]");  // there was none
  CHECK(exec_after({"SET", "other", "1"}) == "[OK]");
  h.Run({"SET", "l", "v"});
  CHECK(exec_after({"FLUSHALL"}) == "(nil)");
  CHECK(exec_after({"FLUSHALL"}) == "[OK]");
}

TEST_CASE("a watched key that expires, and one that had expired before") {
  CommandHarness h;
  const auto expire = [&](const char* db) {
    h.Run({"SELECT", db}, 1);
    h.Run({"SET", "k", "v", "PX", "1"}, 1);
    h.Run({"SELECT", "0"}, 1);
  };
  const auto pass = [&](int ms = 5) {
    std::this_thread::sleep_for(std::chrono::milliseconds(ms));
    h.services().clock.Tick();
  };
  const auto exec_after = [&](std::vector<std::string> by_other) {
    if (!by_other.empty()) h.Run(std::move(by_other), 1);
    h.Run({"MULTI"});
    return h.Run({"EXEC"});
  };
  h.services().database.set_active_expiry(false);
  h.Run({"SET", "k", "v", "PX", "1000"}, 1);  // there when it is watched, on a slow machine too
  h.Run({"WATCH", "k"});
  pass(1005);
  CHECK(exec_after({"EXISTS", "k"}) == "(nil)");
  expire("0");
  pass();
  h.Run({"WATCH", "k"});
  CHECK(exec_after({}) == "[]");
  h.Run({"WATCH", "k"});
  CHECK(exec_after({"EXISTS", "k"}) == "[]");  // it is removed now
  CHECK(h.Run({"DBSIZE"}) == "(integer) 0");
  expire("0");
  pass();
  h.Run({"WATCH", "k"});
  CHECK(exec_after({"FLUSHDB"}) == "[]");
  expire("1");
  pass();
  h.Run({"WATCH", "k"});
  CHECK(exec_after({"SWAPDB", "0", "1"}) == "[]");
  h.Run({"WATCH", "k"});
  CHECK(exec_after({"SET", "k", "v"}) == "(nil)");
  // There for a moment, in a database that was swapped in and out again.
  h.Run({"FLUSHALL"});
  h.Run({"SELECT", "1"}, 1);
  h.Run({"SET", "k", "v"}, 1);
  h.Run({"WATCH", "k"});
  h.Run({"SWAPDB", "0", "1"}, 1);
  CHECK(exec_after({"SWAPDB", "0", "1"}) == "(nil)");
}

TEST_CASE("watches end with UNWATCH, DISCARD, RESET, EXECABORT") {
  CommandHarness h;
  for (std::vector<std::string> end : {std::vector<std::string>{"UNWATCH"}, {"RESET"}}) {
    h.Run({"WATCH", "k"});
    h.Run({"SET", "k", "x"}, 1);
    h.Run(end);
    h.Run({"MULTI"});
    h.Run({"PING"});
    CHECK(h.Run({"EXEC"}) == "[PONG]");
  }
  h.Run({"WATCH", "k"});
  h.Run({"SET", "k", "x"}, 1);
  h.Run({"MULTI"});
  h.Run({"DISCARD"});
  h.Run({"MULTI"});
  CHECK(h.Run({"EXEC"}) == "[]");
}

TEST_CASE("WATCH belongs to the database selected then") {
  CommandHarness h;
  h.Run({"SELECT", "5"});
  h.Run({"WATCH", "k"});
  h.Run({"SELECT", "0"});
  h.Run({"SET", "k", "x"}, 1);  // in database 0
  h.Run({"MULTI"});
  CHECK(h.Run({"EXEC"}) == "[]");
  h.Run({"WATCH", "k"});
  h.Run({"SELECT", "5"});
  h.Run({"SET", "k", "y"}, 1);
  h.Run({"MULTI"});
  CHECK(h.Run({"EXEC"}) == "(nil)");
}

TEST_CASE("null reply in RESP3") {
  CommandHarness h;
  h.Run({"HELLO", "3"});
  h.Run({"WATCH", "k"});
  h.Run({"SET", "k", "x"}, 1);
  h.Run({"MULTI"});
  CHECK(h.Run({"EXEC"}) == "(null)");
}

TEST_CASE("HELLO in a queue holds from its place on") {
  CommandHarness h;
  for (const char* beside : {"PING", "CONFIG", "DBSIZE"}) {  // each makes the queue run another way
    h.Run({"MULTI"});
    h.Run({"HELLO", "3"});
    h.Run({"GET", "absent"});
    h.Run({"HELLO", "2"});
    h.Run({"GET", "absent"});
    beside == std::string("CONFIG") ? h.Run({"CONFIG", "GET", "x"}) : h.Run({beside});
    std::string reply = h.Run({"EXEC"});
    CAPTURE(reply);
    CHECK(reply.find("}, (null), [") != std::string::npos);
    CHECK(reply.find("], (nil), ") != std::string::npos);
  }
}

TEST_CASE("undeclared reads run at a snapshot, whole databases alone") {
  CommandHarness h;
  h.Run({"SET", "a", "1"});
  h.Run({"MULTI"});
  h.Run({"SET", "b", "2"});
  h.Run({"DBSIZE"});
  h.Run({"KEYS", "a*"});
  h.Run({"PING"});
  CHECK(h.Run({"EXEC"}) == "[OK, (integer) 2, [\"a\"], PONG]");
  h.Run({"WATCH", "a"});
  h.Run({"MULTI"});
  h.Run({"DBSIZE"});
  CHECK(h.Run({"EXEC"}) == "[(integer) 2]");
  h.Run({"MULTI"});
  h.Run({"FLUSHDB"});
  h.Run({"SET", "c", "3"});
  h.Run({"GET", "a"});
  CHECK(h.Run({"EXEC"}) == "[OK, OK, (nil)]");
  CHECK(h.Run({"GET", "c"}) == "\"3\"");
}

TEST_CASE("PUBLISH acts once, after the commit, and answers at its place") {
  CommandHarness h;
  h.Run({"SUBSCRIBE", "news"}, 1);
  h.Run({"MULTI"});
  h.Run({"SET", "k", "v"});
  h.Run({"PUBLISH", "news", "hello"});
  h.Run({"DBSIZE"});
  CHECK(h.Messages(1).empty());
  CHECK(h.Run({"EXEC"}) == "[OK, (integer) 1, (integer) 1]");
  CHECK(h.Messages(1) == std::vector<std::string>{"[\"message\", \"news\", \"hello\"]"});
}

TEST_CASE("MONITOR shows what EXEC ran, then EXEC") {
  CommandHarness h;
  h.session(1).monitoring = true;
  h.services().clients.AddMonitor(h.session(1).info->id, 0);
  h.Run({"MULTI"});
  h.Run({"SET", "k", "v"});
  CHECK(h.Messages(1).size() == 1);
  h.Run({"EXEC"});
  std::vector<std::string> lines = h.Messages(1);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].ends_with("\"SET\" \"k\" \"v\""));
  CHECK(lines[1].ends_with("\"EXEC\""));
}

TEST_CASE("MONITOR sees no password of a HELLO in EXEC, whatever stands behind it") {
  CommandHarness h;
  h.session(1).monitoring = true;
  h.services().clients.AddMonitor(h.session(1).info->id, 0);
  h.Set("slowlog-log-slower-than", "0");
  h.Run({"MULTI"});
  h.Run({"HELLO", "2", "AUTH", "default", "secret"});
  h.Run({"PUBLISH", "news", "x"});
  h.Run({"SET", "k", "v"});
  h.Run({"EXEC"});
  std::string seen;
  for (const std::string& line : h.Messages(1)) seen += line + "\n";
  CHECK(seen.find("\"SET\" \"k\" \"v\"") != std::string::npos);
  CHECK(seen.find("secret") == std::string::npos);
  std::string slow = h.Run({"SLOWLOG", "GET", "-1"});
  CHECK(slow.find("HELLO") != std::string::npos);
  CHECK(slow.find("secret") == std::string::npos);
}

TEST_CASE("the queue is bounded like the query buffer") {
  CommandHarness h;
  h.Set("client-query-buffer-limit", "1mb");
  h.Run({"MULTI"});
  CHECK(h.Run({"SET", "k", std::string(900000, 'x')}) == "QUEUED");
  CHECK(h.RunRaw({"SET", "k", std::string(900000, 'x')}).empty());
  CHECK(h.session().close_after_reply);
  CHECK(h.session().queue.empty());
}

TEST_CASE("a connection that goes in MULTI takes its watches along") {
  CommandHarness h;
  h.Run({"WATCH", "k"}, 3);
  h.Run({"MULTI"}, 3);
  h.Run({"SET", "k", "v"}, 3);
  h.Disconnect(3);
  CHECK(h.Run({"GET", "k"}) == "(nil)");
}

}  // namespace
}  // namespace fluxkv::command
