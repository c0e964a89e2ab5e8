// Goal: what one connection does reaches the others, whichever loops they live on: messages,
// notifications, MONITOR, watches, CLIENT KILL, PAUSE, UNBLOCK and REPLY.
// Method: eight connections, more than loops, so that some share a loop and some do not.
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/wire/wire_case.h"

namespace fluxkv::wire {
namespace {

constexpr int kClients = 8;

std::vector<std::unique_ptr<Client>> Others(const WireCase& wire) {
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(std::make_unique<Client>(wire.server.port()));
    if (i % 2 == 1) clients.back()->Do({"HELLO", "3"});
  }
  return clients;
}

// Pushes of RESP3 are arrays in RESP2.
std::string Push(int client, const std::string& items) {
  return (client % 2 == 1 ? ">[" : "[") + items + "]";
}

std::string IdOf(Client& client) {
  return client.Do({"CLIENT", "ID"}).substr(std::string("(integer) ").size());
}

TEST_CASE("messages reach subscribers on all loops, in order") {
  WireCase wire;
  auto others = Others(wire);
  for (int i = 0; i < kClients; ++i) {
    CHECK(others[i]->Do({"SUBSCRIBE", "c"}) == Push(i, "\"subscribe\", \"c\", (integer) 1"));
    CHECK(others[i]->Do({"PSUBSCRIBE", "c*"}) == Push(i, "\"psubscribe\", \"c*\", (integer) 2"));
    CHECK(others[i]->Do({"SSUBSCRIBE", "s"}) == Push(i, "\"ssubscribe\", \"s\", (integer) 1"));
  }
  CHECK(wire.client.Do({"PUBSUB", "NUMSUB", "c"}) == "[\"c\", (integer) 8]");
  CHECK(wire.client.Do({"PUBSUB", "NUMPAT"}) == "(integer) 1");
  for (int m = 0; m < 100; ++m) {
    REQUIRE(wire.client.Do({"PUBLISH", "c", std::to_string(m)}) == "(integer) 16");
  }
  CHECK(wire.client.Do({"SPUBLISH", "s", "end"}) == "(integer) 8");
  for (int i = 0; i < kClients; ++i) {
    for (int m = 0; m < 100; ++m) {
      std::string text = "\"" + std::to_string(m) + "\"";
      REQUIRE(others[i]->Read() == Push(i, "\"message\", \"c\", " + text));
      REQUIRE(others[i]->Read() == Push(i, "\"pmessage\", \"c*\", \"c\", " + text));
    }
    CHECK(others[i]->Read() == Push(i, "\"smessage\", \"s\", \"end\""));
  }
}

TEST_CASE("in RESP3 a subscriber runs any command, in RESP2 only a few") {
  WireCase wire;
  wire.client.Do({"SUBSCRIBE", "c"});
  CHECK(wire.client.Do({"GET", "k"}) ==
        "(error) ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / "
        "RESET are allowed in this context");
  CHECK(wire.client.Do({"PING"}) == "[\"pong\", \"\"]");
  Client three(wire.server.port());
  three.Do({"HELLO", "3"});
  three.Do({"SUBSCRIBE", "c"});
  CHECK(three.Do({"GET", "k"}) == "(nil)");
  CHECK(three.Do({"PING"}) == "PONG");
}

TEST_CASE("keyspace notifications") {
  WireCase wire;
  wire.client.Do({"CONFIG", "SET", "notify-keyspace-events", "KEA"});
  auto others = Others(wire);
  for (auto& other : others) other->Do({"PSUBSCRIBE", "__key*"});
  wire.client.Do({"SELECT", "3"});
  wire.client.Do({"SET", "k", "v", "PX", "30"});
  for (int i = 0; i < kClients; ++i) {
    auto next = [&] { return others[i]->Read(); };
    for (const char* event : {"set", "expire", "expired"}) {
      std::string text = std::string("\"") + event + "\"";
      CHECK(next() == Push(i, "\"pmessage\", \"__key*\", \"__keyspace@3__:k\", " + text));
      CHECK(next() == Push(i, "\"pmessage\", \"__key*\", \"__keyevent@3__:" + std::string(event) +
                                  "\", \"k\""));
    }
  }
  wire.client.Do({"CONFIG", "SET", "notify-keyspace-events", ""});
  wire.client.Do({"SET", "k", "v"});
  CHECK_FALSE(others[0]->Readable(50));
}

TEST_CASE("MONITOR shows the commands of all loops, and no passwords") {
  WireCase wire;
  CHECK(wire.client.Do({"MONITOR"}) == "OK");
  auto others = Others(wire);
  for (int i = 0; i < kClients / 2; ++i) CHECK(wire.client.Read().ends_with("\"HELLO\" \"3\""));
  for (auto& other : others) {
    other->Do({"SET", "k", "a \"b\"\n"});
    std::string line = wire.client.Read();
    CHECK(line.find(" [0 127.0.0.1:") != std::string::npos);
    CHECK(line.ends_with("] \"SET\" \"k\" \"a \\\"b\\\"\\n\""));
  }
  others[0]->Do({"AUTH", "secret"});
  others[0]->Do({"PING"});
  CHECK(wire.client.Read().find("secret") == std::string::npos);
  wire.client.Send(Encode({"RESET"}));
  while (wire.client.Read() != "RESET") {
  }
  others[0]->Do({"PING"});
  CHECK(wire.client.Do({"PING"}) == "PONG");
}

TEST_CASE("a watched key written on any loop empties the transaction") {
  WireCase wire;
  auto others = Others(wire);
  for (auto& other : others) {
    CHECK(wire.client.Do({"WATCH", "k", "l"}) == "OK");
    CHECK(other->Do({"INCR", "k"}).starts_with("(integer)"));
    wire.client.Do({"MULTI"});
    wire.client.Do({"SET", "k", "lost"});
    CHECK(wire.client.Do({"EXEC"}) == "(nil)");
    wire.client.Do({"WATCH", "k", "l"});
    other->Do({"SET", "elsewhere", "1"});
    wire.client.Do({"MULTI"});
    wire.client.Do({"GET", "k"});
    CHECK(wire.client.Do({"EXEC"}).starts_with("[\""));
  }
  CHECK(wire.client.Do({"GET", "k"}) == "\"8\"");
}

TEST_CASE("a queue shows nothing before EXEC") {
  WireCase wire;
  Client other(wire.server.port());
  wire.client.Do({"MULTI"});
  wire.client.Do({"SET", "k", "v"});
  CHECK(other.Do({"GET", "k"}) == "(nil)");
  CHECK(wire.client.Do({"EXEC"}) == "[OK]");
  CHECK(other.Do({"GET", "k"}) == "\"v\"");
}

TEST_CASE("CLIENT KILL") {
  WireCase wire;
  auto others = Others(wire);
  for (int i = 0; i < kClients; i += 2) {
    CHECK(wire.client.Do({"CLIENT", "KILL", "ID", IdOf(*others[i])}) == "(integer) 1");
    CHECK(others[i]->Closed());
  }
  others[1]->Do({"SUBSCRIBE", "c"});
  CHECK(wire.client.Do({"CLIENT", "KILL", "TYPE", "pubsub"}) == "(integer) 1");
  CHECK(others[1]->Closed());
  CHECK(others[3]->Do({"PING"}) == "PONG");
  CHECK(wire.client.Do({"CLIENT", "KILL", "TYPE", "normal"}) == "(integer) 3");
  CHECK(others[3]->Closed());
  wire.client.Send(Encode({"CLIENT", "KILL", "SKIPME", "no", "ID", IdOf(wire.client)}));
  CHECK(wire.client.Read() == "(integer) 1");
  CHECK(wire.client.Closed());
}

TEST_CASE("CLIENT UNBLOCK ends a WAIT") {
  WireCase wire;
  auto others = Others(wire);
  for (int i = 0; i < kClients; ++i) {
    std::string id = IdOf(*others[i]);
    bool error = i >= kClients / 2;
    others[i]->Send(Encode({"WAIT", "1", "0"}) + Encode({"PING"}));
    Arguments unblock = {"CLIENT", "UNBLOCK", id};
    if (error) unblock.push_back("ERROR");
    std::string done;
    for (int tries = 0; tries < 1000 && done != "(integer) 1"; ++tries) {
      done = wire.client.Do(unblock);  // 0 until the WAIT has arrived
    }
    CHECK(done == "(integer) 1");
    CHECK(others[i]->Read() ==
          (error ? "(error) UNBLOCKED client unblocked via CLIENT UNBLOCK" : "(integer) 0"));
    CHECK(others[i]->Read() == "PONG");
  }
}

TEST_CASE("CLIENT PAUSE holds all loops' writers, or everybody") {
  WireCase wire;
  auto others = Others(wire);
  wire.client.Do({"CLIENT", "PAUSE", "60000", "WRITE"});
  for (auto& other : others) {
    CHECK(other->Do({"GET", "k"}) == "(nil)");
    other->Send(Encode({"INCR", "n"}));
  }
  CHECK_FALSE(others[0]->Readable(50));
  CHECK(wire.client.Do({"CLIENT", "UNPAUSE"}) == "OK");
  for (auto& other : others) CHECK(other->Read().starts_with("(integer) "));
  CHECK(wire.client.Do({"GET", "n"}) == "\"8\"");
  wire.client.Do({"CLIENT", "PAUSE", "100", "ALL"});
  for (auto& other : others) other->Send(Encode({"PING"}));
  for (auto& other : others) CHECK_FALSE(other->Readable(0));
  for (auto& other : others) CHECK(other->Read() == "PONG");
}

TEST_CASE("CLIENT REPLY OFF, SKIP and ON") {
  WireCase wire;
  wire.client.Send(Encode({"CLIENT", "REPLY", "SKIP"}) + Encode({"SET", "a", "1"}));
  CHECK(wire.client.Do({"GET", "a"}) == "\"1\"");
  wire.client.Send(Encode({"CLIENT", "REPLY", "OFF"}) + Encode({"SET", "b", "1"}) +
                   Encode({"NOSUCH"}) + Encode({"CLIENT", "REPLY", "ON"}));
  CHECK(wire.client.Read() == "OK");
  CHECK(wire.client.Do({"GET", "b"}) == "\"1\"");
}

}  // namespace
}  // namespace fluxkv::wire
