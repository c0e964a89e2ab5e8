// The ordered checks, their texts and statistics, CLIENT REPLY, MONITOR, the connection's commands.
#include <chrono>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/parse.h"
#include "command/errors.h"
#include "tests/command/harness.h"

namespace fluxkv::command {
namespace {

const CommandStats& StatsOf(CommandHarness& h, std::string_view name) {
  return h.loop().stats.per_command[h.services().table.Find(name)->number];
}

TEST_CASE("the table finds names in any case and nothing else") {
  CommandTable table;
  REQUIRE(table.Find("get") != nullptr);
  CHECK(table.Find("GeT") == table.Find("get"));
  CHECK(table.Find("") == nullptr);
  CHECK(table.Find("ge") == nullptr);
  CHECK(table.Find("gett") == nullptr);
  CHECK(table.Find(std::string_view("get\0", 4)) == nullptr);
  CHECK(table.Find("g%t") == nullptr);
  CHECK(table.Find("\x27"
                   "et") == nullptr);  // folds to "get" if only a bit is set
  CHECK(table.Find(std::string(100, 'a')) == nullptr);
  for (const Command* row : table.rows()) {
    CHECK(table.Find(row->name) == row);
    CHECK(table.Find(ToUpper(row->name)) == row);
    CHECK(table.ByNumber(table.NumberOf(row)) == row);
  }
}

TEST_CASE("every row has a number of its own") {
  CommandTable table;
  std::set<size_t> numbers;
  for (const Command* row : table.rows()) {
    CHECK(numbers.insert(table.NumberOf(row)).second);
    for (const Command& subcommand : row->subcommands) {
      CHECK(numbers.insert(table.NumberOf(&subcommand)).second);
      CHECK(table.FindSubcommand(*row, ToUpper(subcommand.name)) == &subcommand);
    }
  }
  CHECK(numbers.size() == table.count());
  CHECK(CommandTable::FullName(*table.FindSubcommand(*table.Find("pubsub"), "numsub")) ==
        "pubsub|numsub");
}

TEST_CASE("unknown commands are named with their arguments") {
  CommandHarness h;
  CHECK(h.Run({"foo"}) == "(error) ERR unknown command 'foo', with args beginning with: ");
  CHECK(h.Run({"foo", "a", "b"}) ==
        "(error) ERR unknown command 'foo', with args beginning with: 'a' 'b' ");
  CHECK(h.Run({"f\r\no", "a\nb"}) ==
        "(error) ERR unknown command 'f  o', with args beginning with: 'a b' ");
  CHECK(h.Run({std::string(200, 'x'), std::string(200, 'y'), "z"}) ==
        "(error) ERR unknown command '" + std::string(128, 'x') + "', with args beginning with: '" +
            std::string(128, 'y') + "' ");
  CHECK(h.Run({"foo", std::string(120, 'y'), "zzzzzzzzz", "not shown"}) ==
        "(error) ERR unknown command 'foo', with args beginning with: '" + std::string(120, 'y') +
            "' 'zzzzz' ");
}

TEST_CASE("unknown subcommands and wrong arity") {
  CommandHarness h;
  CHECK(h.Run({"pubsub", "foo"}) == "(error) ERR unknown subcommand 'foo'. Try PUBSUB HELP.");
  CHECK(h.Run({"pubsub"}) == "(error) ERR wrong number of arguments for 'pubsub' command");
  CHECK(h.Run({"PubSub", "NumPat", "x"}) ==
        "(error) ERR wrong number of arguments for 'pubsub|numpat' command");
  CHECK(h.Run({"GET"}) == "(error) ERR wrong number of arguments for 'get' command");
  CHECK(h.Run({"ping", "a", "b"}) == "(error) ERR wrong number of arguments for 'ping' command");
  CHECK(StatsOf(h, "get").rejected.value() == 1);
  CHECK(StatsOf(h, "get").calls.value() == 0);
  CHECK(StatsOf(h, "ping").failed.value() == 1);
  CHECK(h.loop().stats.errors.at("ERR") == 5);
}

TEST_CASE("a browser is cut off") {
  CommandHarness h;
  CHECK(h.RunRaw({"POST", "/"}).empty());
  CHECK(h.session().close_after_reply);
}

TEST_CASE("a password is asked for") {
  CommandHarness h({"--requirepass", "secret"});
  CHECK(h.Run({"GET", "k"}) == "(error) NOAUTH Authentication required.");
  CHECK(h.Run({"ping"}) == "(error) NOAUTH Authentication required.");
  CHECK(h.Run({"AUTH", "wrong"}) ==
        "(error) WRONGPASS invalid username-password pair or user is disabled.");
  CHECK(h.Run({"AUTH", "somebody", "secret"}) ==
        "(error) WRONGPASS invalid username-password pair or user is disabled.");
  CHECK(h.Run({"AUTH", "secretsecret"}).starts_with("(error) WRONGPASS"));
  CHECK(h.Run({"AUTH", ""}).starts_with("(error) WRONGPASS"));
  CHECK(h.Run({"AUTH", "a", "b", "c"}) == "(error) ERR syntax error");
  CHECK(h.Run({"HELLO", "3"}).starts_with("(error) NOAUTH HELLO must be called"));
  CHECK(h.Run({"AUTH", "default", "secret"}) == "OK");
  CHECK(h.Run({"ping"}) == "PONG");
  CHECK(h.Run({"RESET"}) == "RESET");
  CHECK(h.Run({"ping"}).starts_with("(error) NOAUTH"));
  CHECK(h.Run({"HELLO", "2", "AUTH", "default", "secret"}).starts_with("[\"server\", \"redis\""));
  CHECK(h.Run({"ping"}) == "PONG");
}

TEST_CASE("AUTH without a password set") {
  CommandHarness h;
  CHECK(h.Run({"AUTH", "x"}) ==
        "(error) ERR AUTH <password> called without any password configured for the default user. "
        "Are you sure your configuration is correct?");
  CHECK(h.Run({"AUTH", "default", "anything"}) == "OK");
}

TEST_CASE("HELLO chooses the protocol") {
  CommandHarness h;
  CHECK(h.Run({"HELLO", "x"}) == "(error) ERR Protocol version is not an integer or out of range");
  CHECK(h.Run({"HELLO", "4"}) == "(error) NOPROTO unsupported protocol version");
  CHECK(h.Run({"HELLO", "3", "foo"}) == "(error) ERR Syntax error in HELLO option 'foo'");
  CHECK(h.Run({"HELLO", "3", "SETNAME", "a b"}) ==
        "(error) ERR Client names cannot contain spaces, newlines or special characters.");
  CHECK(h.session().protocol == 2);
  CHECK(h.Run({"HELLO", "3", "SETNAME", "me"}) ==
        "{\"server\": \"redis\", \"version\": \"7.2.4\", \"proto\": (integer) 3, \"id\": (integer) "
        "1, \"mode\": \"standalone\", \"role\": \"master\", \"modules\": [], \"fluxkv_version\": "
        "\"0.1.0\"}");
  CHECK(h.session().info->name == "me");
  CHECK(h.Run({"GET", "none"}) == "(null)");
  CHECK(h.Run({"RESET"}) == "RESET");
  CHECK(h.session().protocol == 2);
  CHECK(h.session().info->name.empty());
}

TEST_CASE("SELECT") {
  CommandHarness h;
  CHECK(h.Run({"SET", "k", "0"}) == "OK");
  CHECK(h.Run({"SELECT", "1"}) == "OK");
  CHECK(h.Run({"GET", "k"}) == "(nil)");
  CHECK(h.session().info->db.load() == 1);
  CHECK(h.Run({"SELECT", "x"}) == "(error) ERR value is not an integer or out of range");
  CHECK(h.Run({"SELECT", "16"}) == "(error) ERR DB index is out of range");
  CHECK(h.Run({"SELECT", "-1"}) == "(error) ERR DB index is out of range");
  CHECK(h.Run({"SELECT", "99999999999"}) ==
        "(error) ERR value is out of range, value must between -2147483648 and 2147483647");
  CHECK(h.session().db == 1);
}

TEST_CASE("whole databases") {
  CommandHarness h;
  h.Run({"SET", "k", "zero"});
  h.Run({"SELECT", "1"});
  h.Run({"SET", "k", "one"});
  CHECK(h.Run({"SWAPDB", "0", "1"}) == "OK");
  CHECK(h.Run({"GET", "k"}) == "\"zero\"");
  CHECK(h.Run({"SWAPDB", "a", "1"}) == "(error) ERR invalid first DB index");
  CHECK(h.Run({"SWAPDB", "0", "b"}) == "(error) ERR invalid second DB index");
  CHECK(h.Run({"SWAPDB", "0", "99"}) == "(error) ERR DB index is out of range");
  CHECK(h.Run({"FLUSHDB", "later"}) == "(error) ERR syntax error");
  CHECK(h.Run({"FLUSHDB", "ASYNC"}) == "OK");
  CHECK(h.Run({"GET", "k"}) == "(nil)");
  h.Run({"SELECT", "0"});
  CHECK(h.Run({"GET", "k"}) == "\"one\"");
  CHECK(h.Run({"FLUSHALL"}) == "OK");
  CHECK(h.Run({"GET", "k"}) == "(nil)");
}

TEST_CASE("CLIENT REPLY drops replies") {
  CommandHarness h;
  h.session().reply_mode = ReplyMode::kOff;
  CHECK(h.Run({"PING"}).empty());
  CHECK(h.Run({"nonsense"}).empty());
  CHECK(h.Run({"SUBSCRIBE", "c"}) == "[\"subscribe\", \"c\", (integer) 1]");
  h.Run({"UNSUBSCRIBE"});
  h.session().reply_mode = ReplyMode::kSkip;
  CHECK(h.Run({"PING"}).empty());
  CHECK(h.Run({"PING"}) == "PONG");
  h.session().reply_mode = ReplyMode::kOff;
  CHECK(h.Run({"RESET"}) == "RESET");
}

TEST_CASE("memory is full") {
  CommandHarness h;
  h.Set("maxmemory", "1");
  h.Run({"SET", "k", std::string(1000, 'x')});
  CHECK(h.Run({"SET", "l", "v"}) ==
        "(error) OOM command not allowed when used memory > 'maxmemory'.");
  CHECK(h.Run({"DEL", "k"}).starts_with("(integer)"));
  h.Set("maxmemory", "0");
  CHECK(h.Run({"MULTI"}) == "OK");
  CHECK(h.Run({"SET", "l", "v"}) == "QUEUED");
  h.Run({"SET", "k", "v"}, 1);
  h.Set("maxmemory", "1");
  CHECK(h.Run({"EXEC"}) ==
        "(error) EXECABORT Transaction discarded because of: OOM command not allowed when used "
        "memory > 'maxmemory'.");
  CHECK_FALSE(h.session().in_multi);
}

TEST_CASE("MONITOR shows commands without passwords") {
  CommandHarness h;
  Session& monitor = h.session(1);
  monitor.monitoring = true;
  h.services().clients.AddMonitor(monitor.info->id, 0);
  h.Run({"SELECT", "3"});
  h.Run({"SET", "k", "a\nb"});
  h.Run({"AUTH", "default", "secret"});
  h.Run({"HELLO", "2", "AUTH", "default", "secret"});
  h.Run({"nonsense"});
  std::vector<std::string> lines = h.Messages(1);
  REQUIRE(lines.size() == 4);
  CHECK(lines[0].find(" [3 127.0.0.1:50000] \"SELECT\" \"3\"") != std::string::npos);
  CHECK(lines[1].ends_with(" [3 127.0.0.1:50000] \"SET\" \"k\" \"a\\nb\""));
  CHECK(lines[1].find('.') == 10);
  CHECK(lines[2].ends_with("\"AUTH\" \"(redacted)\" \"(redacted)\""));
  CHECK(lines[3].ends_with("\"HELLO\" \"2\" \"AUTH\" \"(redacted)\" \"(redacted)\""));
  h.Disconnect(1);
  CHECK_FALSE(h.services().clients.monitored());
}

TEST_CASE("calls are counted and timed") {
  CommandHarness h;
  h.Set("slowlog-log-slower-than", "0");
  h.Run({"SET", "k", "v"});
  h.Run({"SET", "k", "v", "nonsense"});
  const CommandStats& set = StatsOf(h, "set");
  CHECK(set.calls.value() == 2);
  CHECK(set.failed.value() == 1);
  uint64_t timed = 0;
  for (const Counter& bucket : set.latency) timed += bucket.value();
  CHECK(timed == 2);
  CHECK(h.services().slowlog.size() == 2);
  CHECK(h.session().info->commands.load() == 2);
  CHECK(h.session().info->last_command.load()->name == "set");
  h.services().stats.Reset();
  CHECK(set.calls.value() == 0);
}

TEST_CASE("latency buckets") {
  CHECK(CommandStats::BucketOf(0) == 0);
  CHECK(CommandStats::BucketOf(1023) == 0);
  CHECK(CommandStats::BucketOf(1024) == 1);
  CHECK(CommandStats::BucketOf(~uint64_t{0}) == kLatencyBuckets - 1);
  for (size_t bucket = 0; bucket + 1 < kLatencyBuckets; ++bucket) {
    uint64_t upper = CommandStats::BucketUpperNs(bucket);
    CHECK(CommandStats::BucketOf(upper - 1) == bucket);
    CHECK(CommandStats::BucketOf(upper) == bucket + 1);
  }
}

TEST_CASE("CLIENT PAUSE holds what it should") {
  CommandHarness h;
  ClientRegistry& clients = h.services().clients;
  auto must_wait = [&](std::string_view name) {
    std::vector<std::string_view> arguments = {name};
    if (name != "exec") arguments.push_back("k");
    if (name == "set" || name == "publish") arguments.push_back("v");
    return h.dispatcher().MustPause(h.session(), arguments);
  };
  int64_t later = RealtimeUs() / 1000 + 100000;
  CHECK_FALSE(must_wait("set"));
  clients.Pause(1, later);
  CHECK(must_wait("set"));
  CHECK(must_wait("publish"));
  CHECK_FALSE(must_wait("get"));
  CHECK_FALSE(must_wait("exec"));
  // What is refused is refused at once.
  const std::vector<std::string_view> too_few = {"set", "k"}, unknown = {"nonsense"};
  CHECK_FALSE(h.dispatcher().MustPause(h.session(), too_few));
  CHECK_FALSE(h.dispatcher().MustPause(h.session(), unknown));
  h.Run({"MULTI"});
  h.Run({"SET", "k", "v"});
  CHECK(must_wait("exec"));
  h.Run({"DISCARD"});
  clients.Pause(2, later - 50000);
  CHECK(clients.pause_until_ms() == later);  // a pause is not shortened
  CHECK(must_wait("get"));
  clients.Pause(1, later);
  CHECK(must_wait("get"));  // nor made weaker
  clients.Unpause();
  CHECK_FALSE(must_wait("set"));
  clients.Pause(2, 1);  // over already
  CHECK_FALSE(must_wait("set"));
  clients.Pause(1, later);
  CHECK_FALSE(must_wait("get"));
}

TEST_CASE("QUIT, ECHO, PING") {
  CommandHarness h;
  CHECK(h.Run({"ECHO", "x"}) == "\"x\"");
  CHECK(h.Run({"PING", "x"}) == "\"x\"");
  CHECK(h.RunRaw({"PING"}) == "+PONG\r\n");
  CHECK(h.Run({"QUIT"}) == "OK");
  CHECK(h.session().close_after_reply);
}

#ifdef FLUXKV_JEMALLOC
TEST_CASE(
    "when keys fill their range of addresses, what may make a key is refused, until some go") {
  CommandHarness h;
  CHECK(h.Run({"SET", "k", "v"}) == "OK");
  constexpr size_t kPiece = size_t{1} << 20;
  std::vector<void*> pieces;  // none of their pages is touched
  while (!NodeRangeHasLess(limits::kNodeBytesLeast)) {
    for (int i = 0; i < 1024; ++i) pieces.push_back(AllocateNode(kPiece));
    std::this_thread::sleep_for(std::chrono::milliseconds(12));  // until it is known
  }
  CHECK(pieces.size() > 50 << 10);
  CHECK(h.Run({"SET", "n", "v"}) == "(error) " + std::string(errors::kNoNodes));
  CHECK(h.Run({"SET", "k", "w"}) == "(error) " + std::string(errors::kNoNodes));
  h.Run({"MULTI"});
  CHECK(h.Run({"SET", "n", "v"}) == "(error) " + std::string(errors::kNoNodes));
  CHECK(h.Run({"EXEC"}).starts_with("(error) EXECABORT"));
  CHECK(h.Run({"GET", "k"}) == "\"v\"");
  CHECK(h.Run({"DEL", "k"}) == "(integer) 1");
  for (void* piece : pieces) FreePlace(piece, kPiece);
  while (NodeRangeHasLess(limits::kNodeBytesLeast))
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(h.Run({"SET", "k", "w"}) == "OK");
}
#endif

}  // namespace
}  // namespace fluxkv::command
