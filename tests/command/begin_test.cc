// BEGIN, COMMIT, ROLLBACK: what commands between them see and leave, what is refused, what ends a
// transaction, what of it is told to whom.
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/command/harness.h"

namespace fluxkv::command {
namespace {

using Words = std::vector<std::string>;

int64_t IntegerOf(const std::string& reply) {
  REQUIRE(reply.starts_with("(integer) "));
  return std::stoll(reply.substr(10));
}

TEST_CASE("begin: its own writes are seen inside, and outside from COMMIT on") {
  CommandHarness h;
  h.Run({"MSET", "a", "1", "b", "2"});
  CHECK(h.Run({"BEGIN"}) == "OK");
  CHECK(h.Run({"INCR", "a"}) == "(integer) 2");
  CHECK(h.Run({"APPEND", "b", "x"}) == "(integer) 2");
  CHECK(h.Run({"SET", "c", "3", "EX", "100"}) == "OK");
  CHECK(h.Run({"DEL", "b"}) == "(integer) 1");
  CHECK(h.Run({"MGET", "a", "b", "c"}) == "[\"2\", (nil), \"3\"]");
  CHECK(h.Run({"TTL", "c"}) == "(integer) 100");
  CHECK(h.Run({"KEYS", "*"}) == "[\"a\", \"c\"]");
  CHECK(h.Run({"DBSIZE"}) == "(integer) 2");
  CHECK(h.Run({"EXISTS", "a", "b", "c"}) == "(integer) 2");
  CHECK(h.Run({"MGET", "a", "b", "c"}, 1) == "[\"1\", \"2\", (nil)]");
  CHECK(h.Run({"DBSIZE"}, 1) == "(integer) 2");
  CHECK(IntegerOf(h.Run({"COMMIT"})) > 0);
  CHECK(h.Run({"MGET", "a", "b", "c"}, 1) == "[\"2\", (nil), \"3\"]");
  CHECK(h.Run({"COMMIT"}) == "(error) ERR COMMIT without BEGIN");
}

TEST_CASE("begin: the snapshot stays, whatever others write") {
  CommandHarness h;
  h.Run({"MSET", "a", "1", "b", "2"});
  for (const Words& begin : {Words{"BEGIN"},
                             {"begin", "snapshot"},
                             {"BEGIN", "READONLY"},
                             {"BEGIN", "serializable", "readonly"}}) {
    CHECK(h.Run(begin) == "OK");
    CHECK(h.Run({"GET", "a"}) == "\"1\"");
    h.Run({"MSET", "a", "7", "n", "8"}, 1);
    h.Run({"DEL", "b"}, 1);
    CHECK(h.Run({"MGET", "a", "b", "n"}) == "[\"1\", \"2\", (nil)]");
    CHECK(h.Run({"KEYS", "*"}) == "[\"a\", \"b\"]");
    CHECK(h.Run({"DBSIZE"}) == "(integer) 2");
    CHECK(h.Run({"RANGE", "-", "+", "REV"}) == "[]");
    CHECK(h.Run({"RANGE", "+", "-", "REV"}) == "[\"b\", \"a\"]");
    CHECK(h.Run({"ROLLBACK"}) == "OK");
    CHECK(h.Run({"MGET", "a", "b", "n"}) == "[\"7\", (nil), \"8\"]");
    h.Run({"DEL", "n"}, 1);
    h.Run({"MSET", "a", "1", "b", "2"}, 1);
  }
}

TEST_CASE("begin: ROLLBACK, RESET and the end of the connection leave nothing") {
  CommandHarness h;
  h.Run({"SET", "k", "v"});
  h.Run({"BEGIN"});
  h.Run({"SET", "k", "w"});
  CHECK(h.Run({"ROLLBACK"}) == "OK");
  CHECK(h.Run({"ROLLBACK"}) == "(error) ERR ROLLBACK without BEGIN");
  h.Run({"BEGIN"});
  h.Run({"SET", "k", "w"});
  CHECK(h.Run({"RESET"}) == "RESET");
  CHECK(h.Run({"COMMIT"}) == "(error) ERR COMMIT without BEGIN");
  h.Run({"BEGIN"}, 1);
  h.Run({"SET", "k", "w"}, 1);
  CHECK(h.services().stats.open_transactions.load() == 1);
  h.Disconnect(1);
  CHECK(h.services().stats.open_transactions.load() == 0);
  CHECK(h.services().database.stats().live_snapshots == 0);
  CHECK(h.Run({"GET", "k"}) == "\"v\"");
}

TEST_CASE("begin: write skew commits at SNAPSHOT and conflicts at SERIALIZABLE") {
  for (const bool serializable : {true, false}) {
    CAPTURE(serializable);
    CommandHarness h;
    h.Run({"MSET", "x", "1", "y", "1"});
    for (const size_t client : {0, 1}) {
      CHECK(h.Run({"BEGIN", serializable ? "SERIALIZABLE" : "SNAPSHOT"}, client) == "OK");
      CHECK(h.Run({"MGET", "x", "y"}, client) == "[\"1\", \"1\"]");
    }
    CHECK(h.Run({"SET", "x", "0"}, 0) == "OK");
    CHECK(h.Run({"SET", "y", "0"}, 1) == "OK");
    CHECK(h.Run({"COMMIT"}, 0).starts_with("(integer) "));
    const std::string second = h.Run({"COMMIT"}, 1);
    CHECK(second.starts_with(serializable ? "(error) CONFLICT " : "(integer) "));
    CHECK(h.Run({"MGET", "x", "y"}) == (serializable ? "[\"0\", \"1\"]" : "[\"0\", \"0\"]"));
    // Over as it is, a ROLLBACK behind it is no error, once.
    CHECK(h.Run({"ROLLBACK"}, 1).starts_with(serializable ? "OK" : "(error) ERR ROLLBACK without"));
    CHECK(h.Run({"ROLLBACK"}, 1) == "(error) ERR ROLLBACK without BEGIN");
  }
}

TEST_CASE("begin: the first committer wins at both levels, and the key is named") {
  for (const std::string level : {"SERIALIZABLE", "SNAPSHOT"}) {
    CommandHarness h;
    h.Run({"BEGIN", level}, 0);
    h.Run({"BEGIN", level}, 1);
    h.Run({"SET", "blind", "a"}, 0);
    h.Run({"SET", "blind", "b"}, 1);
    CHECK(h.Run({"COMMIT"}, 1).starts_with("(integer) "));
    CHECK(h.Run({"COMMIT"}, 0) == "(error) CONFLICT key 'blind' was written since");
    CHECK(h.Run({"GET", "blind"}, 0) == "\"b\"");
    CHECK(h.Run({"BEGIN"}, 0) == "OK");
    CHECK(h.Run({"BEGIN"}, 0) == "(error) ERR BEGIN calls can not be nested");
    CHECK(h.Run({"SET", "blind", "a"}, 0) == "OK");
    CHECK(h.Run({"COMMIT"}, 0).starts_with("(integer) "));
  }
}

TEST_CASE("begin: phantoms by RANGE, PREFIX, COUNTRANGE, KEYS, SCAN and DBSIZE conflict") {
  for (const Words& reads : {Words{"RANGE", "[p", "(q"},
                             {"PREFIX", "p", "REV"},
                             {"COUNTRANGE", "[p", "[q"},
                             {"KEYS", "p*"},
                             {"SCAN", "0", "MATCH", "p*"},
                             {"DBSIZE"},
                             {"RANDOMKEY"},
                             {"EXISTS", "p3", "p4"}}) {
    CAPTURE(reads[0]);
    CommandHarness h;
    h.Run({"MSET", "p1", "1", "p2", "2"});
    h.Run({"BEGIN"}, 0);
    h.Run({"BEGIN"}, 1);
    CHECK(!h.Run(reads, 0).starts_with("(error)"));
    CHECK(!h.Run(reads, 1).starts_with("(error)"));
    h.Run({"SET", "p3", "0"}, 0);
    h.Run({"SET", "p4", "1"}, 1);
    CHECK(h.Run({"COMMIT"}, 0).starts_with("(integer) "));
    const std::string second = h.Run({"COMMIT"}, 1);
    CHECK(second == (reads[0] == "EXISTS"
                         ? "(error) CONFLICT key 'p3', which was read, was overwritten, and key "
                           "'p4', which it writes, was read since"
                         : "(error) CONFLICT a range of keys that was read was overwritten, and "
                           "key 'p4', which it writes, was read since"));
  }
}

TEST_CASE("begin: ranges with an open end, and with long bounds, hold what they read and no more") {
  const std::string deep = "p" + std::string(400, 'x');
  struct Case {
    Words reads;
    bool conflicts;  // with a key p3 that comes
  };
  for (const Case& c : {Case{{"RANGE", "[p", "+"}, true},
                        {{"RANGE", "-", "[p9"}, true},
                        {{"RANGE", "[q", "+"}, false},
                        {{"RANGE", "-", "[p2"}, false},
                        {{"RANGE", "+", "[p", "REV"}, true},
                        {{"RANGE", "[" + deep, "+"}, false},
                        {{"RANGE", "[p", "[" + deep}, true},
                        {{"PREFIX", deep}, false}}) {
    CAPTURE(c.reads[1].substr(0, 5));
    CAPTURE(c.reads[0]);
    CommandHarness h;
    h.Run({"MSET", "p1", "1", "x", "1"});
    h.Run({"BEGIN"});
    CHECK(!h.Run(c.reads).starts_with("(error)"));
    h.Run({"SET", "mine", "0"});
    // It comes before who reads what this one writes: pi and eta are of one commit.
    h.Run({"BEGIN"}, 1);
    h.Run({"GET", "mine"}, 1);
    h.Run({"SET", "p3", "1"}, 1);
    CHECK(h.Run({"COMMIT"}, 1).starts_with("(integer) "));
    CHECK(h.Run({"COMMIT"}).starts_with(c.conflicts ? "(error) CONFLICT a range" : "(integer) "));
  }
}

TEST_CASE("begin: COMMIT answers the stamp, without writes its snapshot's") {
  CommandHarness h;
  h.Run({"BEGIN"});
  h.Run({"SET", "k", "v"});
  const int64_t stamp = IntegerOf(h.Run({"COMMIT"}));
  CHECK(stamp == static_cast<int64_t>(h.services().database.store().stamp.load()));
  h.Run({"BEGIN"});
  h.Run({"SET", "k", "w"}, 1);
  CHECK(h.Run({"GET", "k"}) == "\"v\"");
  CHECK(IntegerOf(h.Run({"COMMIT"})) == stamp);
  h.Run({"BEGIN", "READONLY"});
  CHECK(IntegerOf(h.Run({"COMMIT"})) == stamp + 1);
}

TEST_CASE("begin: what is refused leaves the transaction as it was") {
  CommandHarness h({"--enable-debug-command", "yes"});
  h.Run({"SET", "k", "v"});
  h.Run({"BEGIN"});
  h.Run({"SET", "k", "w"});
  for (const Words& refused : {Words{"MULTI"},
                               {"WATCH", "k"},
                               {"UNWATCH"},
                               {"FLUSHDB"},
                               {"FLUSHALL", "ASYNC"},
                               {"SWAPDB", "0", "1"},
                               {"SUBSCRIBE", "c"},
                               {"PUNSUBSCRIBE"},
                               {"CONFIG", "GET", "port"},
                               {"CONFIG", "SET", "timeout", "0"},
                               {"SAVE"},
                               {"BGSAVE"},
                               {"MONITOR"},
                               {"VACUUM"},
                               {"WAIT", "0", "0"},
                               {"DEBUG", "SLEEP", "0"},
                               {"SHUTDOWN"}}) {
    const std::string reply = h.Run(refused);
    CAPTURE(refused[0]);
    CAPTURE(reply);
    CHECK(reply.starts_with("(error) ERR '"));
    CHECK(reply.ends_with("is not allowed between BEGIN and COMMIT or ROLLBACK"));
  }
  CHECK(h.Run({"EXEC"}) == "(error) ERR EXEC without MULTI");
  CHECK(h.Run({"DISCARD"}) == "(error) ERR DISCARD without MULTI");
  CHECK(h.Run({"NONSENSE"}).starts_with("(error) ERR unknown command"));
  CHECK(h.Run({"GET"}).starts_with("(error) ERR wrong number"));
  CHECK(h.Run({"INCR", "k"}) == "(error) ERR value is not an integer or out of range");
  CHECK(h.Run({"PING"}) == "PONG");
  CHECK(h.Run({"CLIENT", "GETNAME"}) == "(nil)");
  CHECK(h.Run({"GET", "k"}) == "\"w\"");
  CHECK(h.Run({"COMMIT"}).starts_with("(integer) "));
  CHECK(h.Run({"GET", "k"}, 1) == "\"w\"");
  // In MULTI there is none of it.
  h.Run({"MULTI"});
  for (const std::string word : {"BEGIN", "COMMIT", "ROLLBACK"})
    CHECK(h.Run({word}) == "(error) ERR Command not allowed inside a transaction");
  h.Run({"DISCARD"});
  for (const Words& bad : {Words{"BEGIN", "x"},
                           {"BEGIN", "READONLY", "READONLY"},
                           {"BEGIN", "READONLY", "SNAPSHOT"},
                           {"BEGIN", "SNAPSHOT", "SNAPSHOT"}})
    CHECK(h.Run(bad) == "(error) ERR syntax error");
}

TEST_CASE("begin: READONLY refuses writes and never aborts") {
  CommandHarness h;
  h.Run({"MSET", "a", "1", "b", "1"});
  h.Run({"BEGIN", "READONLY"});
  CHECK(h.Run({"SET", "a", "2"}) ==
        "(error) READONLY 'set' is not allowed in a READONLY transaction");
  CHECK(h.Run({"GETDEL", "a"}).starts_with("(error) READONLY"));
  CHECK(h.Run({"COMMIT"}).starts_with("(integer) "));
  // Who read `a` before it was overwritten must come before that; the reader has seen it.
  h.Run({"BEGIN"}, 1);
  h.Run({"GET", "a"}, 1);
  h.Run({"SET", "a", "3"}, 2);
  h.Run({"BEGIN", "READONLY"});
  CHECK(h.Run({"GET", "a"}) == "\"3\"");
  h.Run({"SET", "b", "4"}, 1);
  CHECK(
      h.Run({"COMMIT"}, 1) ==
      "(error) CONFLICT key 'a', which was read, was overwritten, and a read-only transaction has "
      "seen that");
  CHECK(h.Run({"MGET", "a", "b"}) == "[\"3\", \"1\"]");
  CHECK(h.Run({"COMMIT"}).starts_with("(integer) "));
}

TEST_CASE("begin: one read that was overwritten aborts nobody") {
  CommandHarness h;
  h.Run({"MSET", "x", "1", "y", "1"});
  h.Run({"BEGIN"});
  h.Run({"GET", "x"});
  h.Run({"SET", "x", "2"}, 1);
  h.Run({"SET", "y", "2"});
  CHECK(h.Run({"COMMIT"}).starts_with("(integer) "));
}

TEST_CASE("begin: SELECT works, each database has its keys") {
  CommandHarness h;
  h.Run({"BEGIN"});
  h.Run({"SET", "k", "zero"});
  CHECK(h.Run({"SELECT", "3"}) == "OK");
  CHECK(h.Run({"GET", "k"}) == "(nil)");
  h.Run({"SET", "k", "three"});
  CHECK(h.Run({"MOVE", "k", "4"}) == "(integer) 1");
  CHECK(h.Run({"COPY", "k", "x", "DB", "5"}) == "(integer) 0");
  h.Run({"COMMIT"});
  CHECK(h.Run({"GET", "k"}, 1) == "\"zero\"");
  h.Run({"SELECT", "4"}, 1);
  CHECK(h.Run({"GET", "k"}, 1) == "\"three\"");
  CHECK(h.session().db == 3);
}

TEST_CASE("begin: a database that was flushed or swapped since is a conflict for its writers") {
  CommandHarness h;
  h.Run({"SET", "k", "v"});
  h.Run({"BEGIN"});
  h.Run({"SET", "k", "w"});
  h.Run({"FLUSHDB"}, 1);
  CHECK(h.Run({"GET", "k"}) == "\"w\"");
  CHECK(h.Run({"COMMIT"}).starts_with("(error) CONFLICT"));
  CHECK(h.Run({"GET", "k"}) == "(nil)");
}

TEST_CASE("begin: messages and events go out at COMMIT, or never") {
  CommandHarness h;
  h.Set("notify-keyspace-events", "KEA");
  h.Run({"SUBSCRIBE", "news"}, 1);
  h.Run({"PSUBSCRIBE", "n*", "__keyevent*"}, 2);
  for (const bool commits : {false, true}) {
    h.Run({"BEGIN"});
    CHECK(h.Run({"PUBLISH", "news", "hi"}) == "(integer) 2");
    CHECK(h.Run({"SPUBLISH", "news", "hi"}) == "(integer) 0");
    h.Run({"SET", "k", "v"});
    CHECK(h.Messages(1).empty());
    CHECK(h.Messages(2).empty());
    h.Run({commits ? "COMMIT" : "ROLLBACK"});
    CHECK(h.Messages(1).size() == (commits ? 1 : 0));
    CHECK(h.Messages(2).size() == (commits ? 2 : 0));
  }
}

TEST_CASE("begin: too old, and it is over until COMMIT or ROLLBACK") {
  CommandHarness h({"--transactions.timeout", "1ms"});
  h.Run({"SET", "k", "v"});
  for (const std::string end : {"COMMIT", "ROLLBACK"}) {
    CAPTURE(end);
    h.Run({"BEGIN"});
    h.Run({"SET", "k", "w"});
    const int64_t begin_ms = h.services().clock.now_ms();
    while (h.services().clock.Tick() <= begin_ms + 1) {
    }
    h.dispatcher().TendTransaction(h.session());
    CHECK(h.services().database.stats().live_snapshots == 0);
    for (const Words& words : {Words{"GET", "k"}, {"SET", "k", "x"}, {"BEGIN"}, {"MULTI"}}) {
      CHECK(h.Run(words) ==
            "(error) CONFLICT the transaction is over: it was open for longer than "
            "transactions.timeout; ROLLBACK, then try again");
    }
    CHECK(h.Run({"PING"}) == "PONG");
    CHECK(h.Run({end}) ==
          (end == "ROLLBACK"
               ? "OK"
               : "(error) CONFLICT it was open for longer than transactions.timeout"));
    CHECK(h.Run({"GET", "k"}) == "\"v\"");
  }
  const std::string info = h.Run({"INFO", "transactions"});
  CHECK(info.find("transactions_ended_by_server:2") != std::string::npos);
  CHECK(info.find("transactions_rolled_back:0") != std::string::npos);
}

TEST_CASE("begin: memory is short, and the oldest goes; others stay") {
  CommandHarness h;
  h.Set("maxmemory", "7mb");
  const std::string value(100000, 'x');
  for (int i = 0; i < 40; ++i) h.Run({"SET", std::to_string(i), value});
  h.Run({"BEGIN", "READONLY"}, 0);
  for (int i = 0; i < 10; ++i) h.Run({"SET", std::to_string(i), value}, 2);
  h.Run({"BEGIN"}, 1);
  h.dispatcher().TendTransaction(h.session(0));
  CHECK(h.Run({"EXISTS", "1"}, 0) == "(integer) 1");  // within bounds
  for (int i = 0; i < 40; ++i) h.Run({"SET", std::to_string(i), value}, 2);
  for (int i = 0; i < 40; ++i) h.Run({"SET", std::to_string(i), value}, 2);
  for (const size_t client : {1, 0, 1, 0, 1}) h.dispatcher().TendTransaction(h.session(client));
  CHECK(h.Run({"EXISTS", "1"}, 0)
            .starts_with("(error) CONFLICT the transaction is over: snapshot too"));
  CHECK(h.Run({"EXISTS", "1"}, 1) == "(integer) 1");
}

TEST_CASE("begin: limits of open transactions and of one's memory") {
  CommandHarness h({"--transactions.max_open", "2", "--transactions.max_bytes", "10kb"});
  CHECK(h.Run({"BEGIN"}, 0) == "OK");
  CHECK(h.Run({"BEGIN"}, 1) == "OK");
  CHECK(h.Run({"BEGIN"}, 2) == "(error) ERR too many open transactions (transactions.max_open)");
  CHECK(h.Run({"ROLLBACK"}, 1) == "OK");
  CHECK(h.Run({"BEGIN"}, 2) == "OK");
  // The same key over and over takes its room once.
  for (int i = 0; i < 20; ++i) CHECK(h.Run({"SET", "k", std::string(2000, 'x')}, 0) == "OK");
  CHECK(h.session(0).info->transaction_bytes.load() > 2000);
  CHECK(h.session(0).info->transaction_bytes.load() < 4000);
  const std::string over = h.Run({"SETRANGE", "k", "20000", "x"}, 0);
  CHECK(
      over.starts_with("(error) CONFLICT the transaction is over: its writes and reads take more"));
  CHECK(h.Run({"COMMIT"}, 0).starts_with("(error) CONFLICT"));
  CHECK(h.Run({"EXISTS", "k"}, 0) == "(integer) 0");
  // Messages that wait for COMMIT count as well, and so do the keys that were read.
  std::string reply;
  for (int i = 0; i < 20 && !reply.starts_with("(error)"); ++i)
    reply = h.Run({"PUBLISH", "c", std::string(2000, 'x')}, 2);
  CHECK(reply.starts_with("(error) CONFLICT"));
  h.Run({"ROLLBACK"}, 2);
  h.Run({"BEGIN"}, 2);
  reply.clear();
  for (int i = 0; i < 1000 && !reply.starts_with("(error)"); ++i)
    reply = h.Run({"GET", std::to_string(i)}, 2);
  CHECK(reply.starts_with("(error) CONFLICT"));
}

TEST_CASE("begin: without room COMMIT is refused and the transaction stays") {
  CommandHarness h({"--maxmemory", "1mb"});
  const std::string value(10000, 'x');
  std::string reply;
  h.Run({"BEGIN"});
  CHECK(h.Run({"SET", "mine", value}) == "OK");
  for (int i = 0; !reply.starts_with("(error) OOM") && i < 1000; ++i)
    reply = h.Run({"SET", std::to_string(i), value}, 1);
  REQUIRE(reply.starts_with("(error) OOM"));
  CHECK(h.Run({"SET", "also", "v"}) == "OK");
  CHECK(h.Run({"COMMIT"}).starts_with("(error) OOM"));
  CHECK(h.Run({"GET", "also"}) == "\"v\"");
  h.Run({"FLUSHDB"}, 1);
  CHECK(h.Run({"COMMIT"}).starts_with("(error) CONFLICT"));  // the database was cleared
  // One that only deletes needs no room.
  reply.clear();
  for (int i = 0; !reply.starts_with("(error) OOM") && i < 1000; ++i)
    reply = h.Run({"SET", std::to_string(i), value}, 1);
  h.Run({"BEGIN"});
  CHECK(h.Run({"DEL", "1"}) == "(integer) 1");
  CHECK(h.Run({"COMMIT"}).starts_with("(integer) "));
}

TEST_CASE("begin: CLIENT LIST and INFO show what is open") {
  CommandHarness h;
  CHECK(h.Run({"CLIENT", "LIST"}).find(" transaction=none transaction-age=0 transaction-mem=0") !=
        std::string::npos);
  h.Run({"BEGIN", "SNAPSHOT"}, 1);
  h.Run({"SET", "k", std::string(1000, 'x')}, 1);
  CHECK(
      h.Run({"CLIENT", "LIST"}).find(" transaction=snapshot transaction-age=0 transaction-mem=1") !=
      std::string::npos);
  std::string info = h.Run({"INFO", "transactions"});
  CHECK(info.find("transactions_open:1\\r\\n") != std::string::npos);
  CHECK(info.find("transactions_begun:1\\r\\n") != std::string::npos);
  h.Run({"COMMIT"}, 1);
  info = h.Run({"INFO", "transactions"});
  CHECK(info.find("transactions_open:0\\r\\n") != std::string::npos);
  CHECK(info.find("transactions_committed:1\\r\\n") != std::string::npos);
}

TEST_CASE("begin: CLIENT PAUSE WRITE holds COMMIT back, not what is before it") {
  CommandHarness h;
  const auto pauses = [&](const Words& words) {
    const std::vector<std::string_view> views(words.begin(), words.end());
    return h.dispatcher().MustPause(h.session(), views);
  };
  h.Run({"BEGIN"});
  h.Run({"CLIENT", "PAUSE", "100000", "WRITE"}, 1);
  CHECK(!pauses({"SET", "k", "v"}));
  CHECK(!pauses({"COMMIT"}));  // it would change nothing
  h.Run({"SET", "k", "v"});
  CHECK(pauses({"COMMIT"}));
  CHECK(!pauses({"ROLLBACK"}));
  h.Run({"CLIENT", "UNPAUSE"}, 1);
  CHECK(!pauses({"COMMIT"}));
}

TEST_CASE("begin: a walk in slices stays in the transaction") {
  CommandHarness h;
  const size_t keys = 30000;
  std::string value(10, 'x');
  for (size_t i = 0; i < keys; ++i) h.Run({"SET", "k:" + std::to_string(100000 + i), value});
  h.Run({"BEGIN"});
  h.Run({"DEL", "k:100000"});
  h.Run({"SET", "k:999999", "v"});
  h.Run({"SET", "k:0", "v"}, 2);
  CHECK(h.Run({"DBSIZE"}) == "(integer) " + std::to_string(keys));
  CHECK(h.Run({"COUNTRANGE", "[k:", "(k;"}) == "(integer) " + std::to_string(keys));
  const std::string all = h.Run({"KEYS", "*"});
  CHECK(all.starts_with("[\"k:100001\", \"k:100002\""));
  CHECK(all.ends_with("\"k:999999\"]"));
  CHECK(h.Run({"RANGE", "-", "+"}) == all);
  const std::string down = h.Run({"RANGE", "+", "-", "REV"});
  CHECK(down.size() == all.size());
  CHECK(down.starts_with("[\"k:999999\", \"k:129999\", "));
  CHECK(down.ends_with("\"k:100002\", \"k:100001\"]"));
  CHECK(h.services().database.stats().live_snapshots == 1);
  h.Run({"ROLLBACK"});
  CHECK(h.services().database.stats().live_snapshots == 0);
}

}  // namespace
}  // namespace fluxkv::command
