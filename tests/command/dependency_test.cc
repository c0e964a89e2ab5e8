// What a reply depends on: the newest commit that it tells of (engine/commit_log.h, D4).
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/command/harness.h"

namespace fluxkv::command {
namespace {

using engine::Stamp;

class Harness : public CommandHarness {
 public:
  explicit Harness(std::vector<std::string> options = {})
      : CommandHarness(std::move(options)), log(services().database.store().log) {
    services().database.set_active_expiry(false);
    log.SetRecording(true);
    log.SetSafe(0);
  }
  // Runs the command; the stamp that its reply depends on.
  Stamp Of(std::vector<std::string> arguments, size_t client = 0) {
    Run(std::move(arguments), client);
    return session(client).reply_stamp;
  }
  Stamp newest() { return services().database.store().stamp.load(); }

  engine::CommitLog& log;
};

TEST_CASE("a write depends on its commit, a read on the version it found") {
  Harness h;
  CHECK(h.Of({"SET", "a", "1"}) == 1);
  CHECK(h.Of({"SET", "b", "1"}) == 2);
  CHECK(h.Of({"GET", "a"}, 1) == 1);
  CHECK(h.Of({"GET", "b"}, 1) == 2);
  CHECK(h.session(1).newest_stamp == 2);
  CHECK(h.Of({"GET", "a"}, 1) == 1);
  CHECK(h.session(1).newest_stamp == 2);
  CHECK(h.Of({"GET", "none"}, 1) == 0);
  CHECK(h.Of({"MGET", "a", "none"}, 1) == 1);
  CHECK(h.Of({"MGET", "a", "none", "b"}, 1) == 2);
  CHECK(h.Of({"EXISTS", "a", "b"}, 1) == 2);
  CHECK(h.Of({"APPEND", "a", "x"}) == 3);
  CHECK(h.Of({"GET", "a"}, 1) == 3);
}

TEST_CASE("what is absent depends on the commit that removed it") {
  Harness h;
  h.Run({"SET", "a", "1"});
  h.Run({"SET", "b", "1"});
  CHECK(h.Of({"DEL", "a"}) == 3);
  CHECK(h.Of({"GET", "a"}, 1) == 3);
  CHECK(h.Of({"DEL", "a"}, 1) == 3);
  CHECK(h.Of({"TTL", "a"}, 1) == 3);
  // The deadline came with the version; if that is lost, so is its end.
  CHECK(h.Of({"PEXPIREAT", "b", "1"}) == 4);
  CHECK(h.Of({"SET", "c", "1", "PX", "1"}) == 5);
  while (h.services().clock.Tick() == 0 || h.Run({"EXISTS", "c"}, 2) != "(integer) 0") {
  }
  CHECK(h.Of({"GET", "c"}, 1) >= 5);
}

TEST_CASE("a command that changes nothing depends on why") {
  Harness h;
  h.Run({"SET", "a", "1"});
  h.Run({"SET", "b", "text"});
  CHECK(h.Of({"SETNX", "a", "2"}, 1) == 1);
  CHECK(h.Of({"SET", "a", "2", "NX"}, 1) == 1);
  CHECK(h.Of({"INCR", "b"}, 1) == 2);
  CHECK(h.Of({"SET", "none", "2", "XX"}, 1) == 0);
  CHECK(h.newest() == 2);
}

TEST_CASE("reads of a snapshot depend on the snapshot") {
  Harness h;
  h.Run({"SET", "a", "1"});
  h.Run({"SET", "b", "1"});
  CHECK(h.Of({"KEYS", "*"}, 1) == 2);
  CHECK(h.Of({"KEYS", "none"}, 1) == 2);
  CHECK(h.Of({"SCAN", "0"}, 1) == 2);
  CHECK(h.Of({"DBSIZE"}, 1) == 2);
  CHECK(h.Of({"RANDOMKEY"}, 1) == 2);
  CHECK(h.Of({"DEBUG", "DIGEST"}, 1) == 0);  // not allowed
}

TEST_CASE("a KEYS in slices depends on its own snapshot") {
  Harness h({"--enable-debug-command", "yes"});
  CHECK(h.Of({"DEBUG", "POPULATE", "30000"}) == 30000);
  CHECK(h.Of({"KEYS", "*[ab]"}, 1) == 30000);
  CHECK(h.Of({"DEBUG", "DIGEST"}, 1) == 30000);
  CHECK(h.Of({"DEBUG", "OBJECT", "key:7"}, 1) == 8);
  CHECK(h.Of({"DEBUG", "DIGEST-VALUE", "key:7", "key:8"}, 1) == 9);
  CHECK(h.Of({"OBJECT", "ENCODING", "key:7"}, 1) == 8);
  CHECK(h.Of({"MEMORY", "USAGE", "key:7"}, 1) == 8);
  CHECK(h.Of({"DUMP", "key:7"}, 1) == 8);
  CHECK(h.Of({"DEBUG", "SLEEP", "0"}, 1) == 0);
}

TEST_CASE("what touches no keys depends on nothing") {
  Harness h;
  h.Run({"SET", "a", "1"});
  for (std::vector<std::string> command : {std::vector<std::string>{"PING"},
                                           {"INFO"},
                                           {"CONFIG", "GET", "port"},
                                           {"CLIENT", "ID"},
                                           {"NONSENSE"},
                                           {"GET"},
                                           {"WATCH", "a"},
                                           {"MULTI"},
                                           {"GET", "a"}}) {
    CHECK(h.Of(command) == 0);
  }
  CHECK(h.Run({"DISCARD"}) == "OK");
  CHECK(h.session().newest_stamp == 1);
}

TEST_CASE("EXEC depends on all that it did, a failed WATCH on everything before") {
  Harness h;
  h.Run({"SET", "a", "1"});
  h.Run({"SET", "b", "1"});
  h.Run({"SET", "c", "1"});
  auto exec = [&](std::vector<std::vector<std::string>> commands) {
    h.Run({"MULTI"}, 1);
    for (auto& command : commands) h.Run(command, 1);
    return h.Of({"EXEC"}, 1);
  };
  CHECK(exec({{"GET", "a"}, {"GET", "none"}}) == 1);
  CHECK(exec({{"GET", "a"}, {"GET", "b"}}) == 2);
  CHECK(exec({{"PING"}}) == 0);
  CHECK(exec({{"GET", "a"}, {"SET", "d", "1"}}) == 4);
  CHECK(exec({{"KEYS", "a"}}) == 4);
  CHECK(exec({{"FLUSHALL"}}) == 5);
  h.Run({"WATCH", "w"}, 1);
  h.Run({"SET", "w", "1"});
  h.Run({"SET", "x", "1"});
  CHECK(exec({{"PING"}}) == 7);
  CHECK(h.Run({"GET", "w"}, 1) == "\"1\"");
  h.Run({"WATCH", "w"}, 1);
  CHECK(exec({{"PING"}}) == 0);
}

TEST_CASE("whole databases: who reads depends on the change") {
  Harness h;
  h.Run({"SET", "a", "1"});
  CHECK(h.Of({"FLUSHDB"}) == 2);
  CHECK(h.Of({"GET", "a"}, 1) == 2);
  CHECK(h.Of({"DBSIZE"}, 1) == 2);
  CHECK(h.Of({"SET", "a", "1"}) == 3);
  CHECK(h.Of({"SWAPDB", "0", "1"}) == 4);
  CHECK(h.Of({"GET", "a"}, 1) == 4);
  h.Run({"SELECT", "1"}, 1);
  CHECK(h.Of({"GET", "a"}, 1) == 4);
}

// The stamps of what would be delivered to a client.
class Stamps : public Mailbox {
 public:
  void Post(std::vector<uint64_t> client_ids, std::shared_ptr<const Delivery> delivery) override {
    for (size_t i = 0; i < client_ids.size(); ++i) stamps.push_back(delivery->stamp);
  }
  void Wake() override {}
  std::vector<Stamp> Take() { return std::exchange(stamps, {}); }
  std::vector<Stamp> stamps;
};

TEST_CASE("messages carry what their sender knew") {
  Harness h;
  Stamps stamps;
  h.services().pubsub.SetMailboxes({&stamps});
  h.services().clients.SetMailboxes({&stamps});
  h.Run({"SUBSCRIBE", "news"}, 1);
  h.Run({"SSUBSCRIBE", "news"}, 1);
  h.Run({"PUBLISH", "news", "x"});
  CHECK(stamps.Take() == std::vector<Stamp>{0});
  h.Run({"SET", "a", "1"});
  h.Run({"PUBLISH", "news", "x"});
  CHECK(stamps.Take() == std::vector<Stamp>{1});
  h.Run({"SET", "b", "1"}, 2);
  h.Run({"SPUBLISH", "news", "x"});
  CHECK(stamps.Take() == std::vector<Stamp>{1});
  h.Run({"MULTI"});
  h.Run({"PUBLISH", "news", "x"});
  h.Run({"SET", "a", "2"});
  h.Run({"EXEC"});
  CHECK(stamps.Take() == std::vector<Stamp>{3});
}

TEST_CASE("keyspace events carry their commit, key misses what they missed") {
  Harness h({"--notify-keyspace-events", "KEAm"});
  Stamps stamps;
  h.services().pubsub.SetMailboxes({&stamps});
  h.Run({"SUBSCRIBE", "__keyspace@0__:a", "__keyevent@0__:expired"}, 1);
  h.Run({"SET", "b", "1"});
  h.Run({"SET", "a", "1"});
  CHECK(stamps.Take() == std::vector<Stamp>{2});
  h.Run({"DEL", "a"});
  CHECK(stamps.Take() == std::vector<Stamp>{3});
  h.Run({"GET", "a"}, 2);
  CHECK(stamps.Take() == std::vector<Stamp>{3});
  h.Run({"SET", "c", "1", "PX", "1"});
  h.Run({"SET", "d", "1"});
  while (h.Run({"EXISTS", "c"}, 2) != "(integer) 0") {
  }
  CHECK(stamps.Take() == std::vector<Stamp>{h.newest()});
  CHECK(h.newest() == 6);
}

TEST_CASE("MONITOR's lines carry the commit of their command") {
  Harness h;
  Stamps stamps;
  h.services().clients.SetMailboxes({&stamps});
  h.Run({"MONITOR"}, 1);
  h.Run({"PING"});
  h.Run({"SET", "a", "1"});
  h.Run({"PING"});
  h.Run({"GET", "a"}, 2);
  CHECK(stamps.Take() == std::vector<Stamp>{0, 1, 1, 1});
  h.Run({"MULTI"});
  h.Run({"SET", "a", "2"});
  h.Run({"SET", "b", "2"});
  h.Run({"EXEC"});
  CHECK(stamps.Take() == std::vector<Stamp>{1, 2, 2, 2});
}

TEST_CASE("a log that has failed refuses writers, not readers") {
  const std::string refused =
      "(error) MISCONF Errors writing to the log: No space left. Commands that write are refused "
      "until the disk is well again.";
  Harness h({"--enable-debug-command", "yes"});
  h.Run({"SET", "a", "1"});
  h.Run({"MULTI"}, 3);
  h.Run({"SET", "a", "2"}, 3);
  h.log.SetFailure("No space left");
  for (std::vector<std::string> command : {std::vector<std::string>{"SET", "a", "2"},
                                           {"DEL", "a"},
                                           {"FLUSHALL"},
                                           {"SWAPDB", "0", "1"},
                                           {"GETDEL", "a"},
                                           {"EXPIRE", "a", "1"},
                                           {"DEBUG", "POPULATE", "1"}}) {
    CHECK(h.Run(command) == refused);
  }
  CHECK(h.Run({"GET", "a"}) == "\"1\"");
  CHECK(h.Run({"SET", "a"}) == "(error) ERR wrong number of arguments for 'set' command");
  CHECK(h.Run({"PING"}) == "PONG");
  h.Run({"MULTI"});
  CHECK(h.Run({"GET", "a"}) == "QUEUED");
  CHECK(h.Run({"SET", "a", "2"}) == refused);
  CHECK(h.Run({"EXEC"}) == "(error) EXECABORT Transaction discarded because of previous errors.");
  h.Run({"MULTI"});
  h.Run({"GET", "a"});
  CHECK(h.Run({"EXEC"}) == "[\"1\"]");
  CHECK(h.Run({"EXEC"}, 3) ==
        "(error) EXECABORT Transaction discarded because of: " + refused.substr(8));
  CHECK(h.newest() == 1);
  h.log.SetFailure("");
  CHECK(h.Run({"SET", "a", "2"}) == "OK");
}

TEST_CASE("who must wait for room in the log") {
  Harness h;
  auto waits = [&](std::vector<std::string_view> arguments) {
    return h.dispatcher().MustWaitForLog(h.session(), arguments);
  };
  CHECK(waits({"SET", "a", "1"}));
  CHECK(waits({"FLUSHDB"}));
  CHECK(!waits({"GET", "a"}));
  CHECK(!waits({"SET", "a"}));
  CHECK(!waits({"NONSENSE"}));
  h.Run({"MULTI"});
  CHECK(!waits({"SET", "a", "1"}));
  CHECK(!waits({"EXEC"}));
  h.Run({"SET", "a", "1"});
  CHECK(waits({"EXEC"}));
  CHECK(!waits({"DISCARD"}));
  h.Run({"NONSENSE"});
  CHECK(!waits({"EXEC"}));
}

}  // namespace
}  // namespace fluxkv::command
