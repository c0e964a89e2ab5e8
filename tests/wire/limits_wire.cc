// Goal: no client takes more than the configuration allows, and it is told so in Redis's words.
// Method: small limits, one client that goes over each.
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <sys/socket.h>

#include "tests/wire/wire_case.h"

namespace fluxkv::wire {
namespace {

TEST_CASE("maxclients") {
  ServerProcess server({"--maxclients", "3"});
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<Client>(server.port()));
    REQUIRE(clients.back()->Do({"PING"}) == "PONG");
  }
  Client refused(server.port());
  CHECK(refused.ReadRaw() == "-ERR max number of clients reached\r\n");
  CHECK(refused.Closed());
  CHECK(server.Stop() == 0);
}

TEST_CASE("timeout closes the idle, but no subscriber") {
  WireCase wire({"--timeout", "1"});
  Client subscriber(wire.server.port());
  subscriber.Do({"SUBSCRIBE", "c"});
  CHECK(wire.client.Closed(5000));
  CHECK_FALSE(subscriber.Closed(500));
}

TEST_CASE("timeout closes who does not take its replies") {
  WireCase wire;
  wire.client.Do({"SET", "k", std::string(1 << 20, 'x')});
  Client deaf(wire.server.port());
  std::string id = deaf.Do({"CLIENT", "ID"}).substr(10);
  std::string requests;
  for (int i = 0; i < 30; ++i) requests += Encode({"GET", "k"});
  deaf.Send(requests);
  wire.client.Do({"CONFIG", "SET", "timeout", "1"});
  bool gone = false;
  for (int i = 0; i < 100 && !gone; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    gone = wire.client.Do({"CLIENT", "LIST", "ID", id}).find("id=") == std::string::npos;
  }
  CHECK(gone);
  wire.client.Do({"CONFIG", "SET", "timeout", "0"});
}

TEST_CASE("a monitor that does not read is closed at the limit of subscribers") {
  WireCase wire;
  wire.client.Do({"CONFIG", "SET", "client-output-buffer-limit", "pubsub 200000 0 0"});
  Client monitor(wire.server.port());
  std::string id = monitor.Do({"CLIENT", "ID"}).substr(10);
  CHECK(monitor.Do({"MONITOR"}) == "OK");
  std::string value(100000, 'm');
  bool gone = false;
  for (int i = 0; i < 500 && !gone; ++i) {
    wire.client.Do({"SET", "k", value});
    gone = wire.client.Do({"CLIENT", "LIST", "ID", id}).find("id=") == std::string::npos;
  }
  CHECK(gone);
  wire.client.Do({"CONFIG", "SET", "client-output-buffer-limit", "pubsub 32mb 8mb 60"});
}

TEST_CASE("a length that is announced and not sent costs no memory") {
  WireCase wire;
  Client other(wire.server.port());
  std::string id = other.Do({"CLIENT", "ID"}).substr(10);
  other.Send("*2\r\n$4\r\nECHO\r\n$500000000\r\nabc");
  std::string line;
  for (int i = 0; i < 100 && line.find(" qbuf=29 ") == std::string::npos; ++i) {
    line = wire.client.Do({"CLIENT", "LIST", "ID", id});
  }
  size_t at = line.find(" qbuf-free=");
  REQUIRE(at != std::string::npos);
  CHECK(std::stoll(line.substr(at + 11)) < 200000);
}

TEST_CASE("the hard output limit closes a client before it gets anything") {
  WireCase wire;
  wire.client.Do({"SET", "k", std::string(10000, 'x')});
  wire.client.Do({"CONFIG", "SET", "client-output-buffer-limit", "normal 50000 0 0"});
  std::string requests;
  for (int i = 0; i < 10; ++i) requests += Encode({"GET", "k"});
  wire.client.Send(requests);
  char byte = 0;
  CHECK(recv(wire.client.fd(), &byte, 1, 0) <= 0);  // the end, and nothing before it
  Client other(wire.server.port());
  other.Do({"CONFIG", "SET", "client-output-buffer-limit", "normal 0 0 0"});
}

TEST_CASE("a subscriber that does not read is closed at the limit of its class") {
  WireCase wire;
  wire.client.Do({"CONFIG", "SET", "client-output-buffer-limit", "pubsub 200000 0 0"});
  Client subscriber(wire.server.port());
  subscriber.Do({"SUBSCRIBE", "c"});
  std::string message(100000, 'm');
  bool gone = false;
  for (int i = 0; i < 500 && !gone; ++i) {
    gone = wire.client.Do({"PUBLISH", "c", message}) == "(integer) 0";
  }
  CHECK(gone);
}

TEST_CASE("client-query-buffer-limit") {
  WireCase wire;
  wire.client.Do({"CONFIG", "SET", "client-query-buffer-limit", "1mb"});
  Client other(wire.server.port());
  other.Send("*2\r\n$4\r\nECHO\r\n$3000000\r\n" + std::string(1500000, 'x'));
  CHECK(other.Closed(5000));
  wire.client.Do({"CONFIG", "SET", "client-query-buffer-limit", "1gb"});
}

TEST_CASE("proto-max-bulk-len") {
  WireCase wire;
  wire.client.Do({"CONFIG", "SET", "proto-max-bulk-len", "1mb"});
  Client other(wire.server.port());
  other.Send("*2\r\n$4\r\nECHO\r\n$1048577\r\n");
  CHECK(other.ReadRaw() == "-ERR Protocol error: invalid bulk length\r\n");
  CHECK(other.Closed());
  wire.client.Do({"CONFIG", "SET", "proto-max-bulk-len", "512mb"});
}

TEST_CASE("a port in use is refused and the old one stays; a free one is taken") {
  WireCase wire;
  ServerProcess second;
  std::string answer = wire.client.Do({"CONFIG", "SET", "port", std::to_string(second.port())});
  CHECK(answer.find("Unable to listen on this port") != std::string::npos);
  CHECK(Client(wire.server.port()).Do({"PING"}) == "PONG");
  int port = FreePort();
  CHECK(wire.client.Do({"CONFIG", "SET", "port", std::to_string(port)}) == "OK");
  CHECK(Client(port).Do({"PING"}) == "PONG");
  CHECK(wire.client.Do({"CONFIG", "SET", "port", std::to_string(wire.server.port())}) == "OK");
  CHECK(Client(wire.server.port()).Do({"PING"}) == "PONG");
}

}  // namespace
}  // namespace fluxkv::wire
