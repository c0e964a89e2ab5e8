// Goal: a connection answers in order whatever the pieces in which requests come, waits for a
// client that does not read, and ends as it should.
// Method: exact bytes over one socket.
#include <memory>
#include <string>

#include <doctest/doctest.h>
#include <sys/socket.h>

#include "tests/wire/wire_case.h"

namespace fluxkv::wire {
namespace {

TEST_CASE("a request in single bytes") {
  WireCase wire;
  for (char c : Encode({"SET", "k", "v"})) wire.client.Send(std::string_view(&c, 1));
  CHECK(wire.client.ReadRaw() == "+OK\r\n");
}

TEST_CASE("a long pipeline is answered in order") {
  WireCase wire;
  std::string requests;
  for (int i = 0; i < 5000; ++i) requests += Encode({"ECHO", std::to_string(i)});
  wire.client.Send(requests);
  for (int i = 0; i < 5000; ++i) {
    REQUIRE(wire.client.Read() == "\"" + std::to_string(i) + "\"");
  }
}

TEST_CASE("inline requests with quotes, in one piece") {
  WireCase wire;
  wire.client.Send("ECHO \"a b\"\r\nECHO 'c d'\r\nPING\r\n");
  CHECK(wire.client.Read() == "\"a b\"");
  CHECK(wire.client.Read() == "\"c d\"");
  CHECK(wire.client.ReadRaw() == "+PONG\r\n");
}

TEST_CASE("a large value goes in and out") {
  WireCase wire;
  std::string value(20 << 20, 'x');
  CHECK(wire.client.DoRaw({"SET", "big", value}) == "+OK\r\n");
  CHECK(wire.client.DoRaw({"GET", "big"}) == "$20971520\r\n" + value + "\r\n");
}

TEST_CASE("a client that does not read has its commands wait, and then gets all replies") {
  WireCase wire;
  std::string value(100000, 'y');
  wire.client.Do({"SET", "k", value});
  std::string requests;
  for (int i = 0; i < 500; ++i) requests += Encode({"GET", "k"});
  requests += Encode({"SET", "end", "1"});
  wire.client.Send(requests);
  Client other(wire.server.port());
  CHECK(other.Do({"EXISTS", "end"}) == "(integer) 0");
  for (int i = 0; i < 500; ++i) REQUIRE(wire.client.ReadRaw().size() == value.size() + 11);
  CHECK(wire.client.ReadRaw() == "+OK\r\n");
}

TEST_CASE("requests before the end of the input are answered") {
  WireCase wire;
  wire.client.Send(Encode({"SET", "k", "v"}) + Encode({"GET", "k"}));
  shutdown(wire.client.fd(), SHUT_WR);
  CHECK(wire.client.ReadRaw() == "+OK\r\n");
  CHECK(wire.client.ReadRaw() == "$1\r\nv\r\n");
  CHECK(wire.client.Closed());
}

TEST_CASE("QUIT answers, and nothing behind it runs") {
  WireCase wire;
  wire.client.Send(Encode({"QUIT"}) + Encode({"SET", "k", "v"}));
  CHECK(wire.client.ReadRaw() == "+OK\r\n");
  CHECK(wire.client.Closed());
  Client other(wire.server.port());
  CHECK(other.Do({"EXISTS", "k"}) == "(integer) 0");
}

TEST_CASE("a killed client runs nothing more") {
  WireCase wire({"--threads", "2"});
  Client other(wire.server.port());
  std::string id = other.Do({"CLIENT", "ID"}).substr(10);
  other.Send(Encode({"WAIT", "1", "0"}) + Encode({"SET", "k", "v"}));
  wire.client.Do({"PING"});
  CHECK(wire.client.Do({"CLIENT", "KILL", "ID", id}) == "(integer) 1");
  CHECK(wire.client.Do({"CLIENT", "KILL", "ID", id}) == "(integer) 0");
  CHECK(other.Closed());
  CHECK(wire.client.Do({"EXISTS", "k"}) == "(integer) 0");
}

TEST_CASE("a paused client cannot be unblocked, and goes when it hangs up") {
  WireCase wire({"--threads", "2"});
  auto other = std::make_unique<Client>(wire.server.port());
  std::string id = other->Do({"CLIENT", "ID"}).substr(10);
  wire.client.Do({"CLIENT", "PAUSE", "10000", "WRITE"});
  other->Send(Encode({"SET", "k", "v"}));
  CHECK_FALSE(other->Readable(200));
  CHECK(wire.client.Do({"CLIENT", "LIST", "ID", id}).find("flags=b") != std::string::npos);
  CHECK(wire.client.Do({"CLIENT", "UNBLOCK", id}) == "(integer) 0");
  other.reset();
  bool gone = false;
  for (int i = 0; i < 100 && !gone; ++i) {
    gone = wire.client.Do({"CLIENT", "LIST", "ID", id}).find("id=") == std::string::npos;
  }
  CHECK(gone);
  wire.client.Do({"CLIENT", "UNPAUSE"});
  CHECK(wire.client.Do({"EXISTS", "k"}) == "(integer) 0");
}

TEST_CASE("a protocol error is counted") {
  WireCase wire;
  wire.client.Do({"CONFIG", "RESETSTAT"});
  Client other(wire.server.port());
  other.Send("*1\r\nfoo\r\n");
  CHECK(other.Closed());
  std::string info = wire.client.Do({"INFO", "errorstats"});
  CHECK(info.find("errorstat_ERR:count=1") != std::string::npos);
}

TEST_CASE("a protocol error follows the replies before it, then the connection ends") {
  WireCase wire;
  wire.client.Send("PING\r\n*1\r\nfoo\r\nPING\r\n");
  CHECK(wire.client.ReadRaw() == "+PONG\r\n");
  CHECK(wire.client.ReadRaw() == "-ERR Protocol error: expected '$', got 'f'\r\n");
  CHECK(wire.client.Closed());
}

TEST_CASE("CLIENT PAUSE keeps requests waiting, CLIENT UNPAUSE lets them go on in order") {
  WireCase wire;
  wire.client.Do({"CLIENT", "PAUSE", "60000", "WRITE"});
  Client other(wire.server.port());
  other.Send(Encode({"GET", "k"}) + Encode({"SET", "k", "1"}) + Encode({"INCR", "k"}));
  CHECK(other.Read() == "(nil)");
  CHECK_FALSE(other.Readable(200));
  CHECK(wire.client.Do({"CLIENT", "UNPAUSE"}) == "OK");
  CHECK(other.Read() == "OK");
  CHECK(other.Read() == "(integer) 2");
}

TEST_CASE("a pause ends by itself") {
  WireCase wire;
  wire.client.Do({"CLIENT", "PAUSE", "200"});
  Client other(wire.server.port());
  CHECK(other.Do({"PING"}) == "PONG");
}

TEST_CASE("a message to the publisher itself follows the reply") {
  WireCase wire;
  wire.client.Do({"HELLO", "3"});
  wire.client.Do({"SUBSCRIBE", "c"});
  wire.client.Send(Encode({"PUBLISH", "c", "m"}));
  CHECK(wire.client.Read() == "(integer) 1");
  CHECK(wire.client.Read() == R"(>["message", "c", "m"])");
}

}  // namespace
}  // namespace fluxkv::wire
