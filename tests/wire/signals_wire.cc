// Goal: the server starts and stops as service managers and people expect.
// Method: a server of its own for each case, real signals, exit codes.
#include <chrono>
#include <fstream>
#include <string>
#include <thread>

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>

#include "tests/wire/wire_case.h"

namespace fluxkv::wire {
namespace {

bool Ends(ServerProcess& server) {
  for (int i = 0; i < 1000 && server.Alive(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return !server.Alive();
}

TEST_CASE("SIGTERM ends with 0 and closes clients") {
  ServerProcess server;
  Client client(server.port());
  CHECK(client.Do({"PING"}) == "PONG");
  CHECK(server.Stop() == 0);
  CHECK(client.Closed());
}

TEST_CASE("SIGINT ends with 0") {
  ServerProcess server;
  kill(server.pid(), SIGINT);
  CHECK(Ends(server));
  CHECK(server.Stop() == 0);
}

TEST_CASE("a second SIGINT ends at once with 1") {
  ServerProcess server({"--enable-debug-command", "yes"});
  Client client(server.port());
  client.Send(Encode({"DEBUG", "SLEEP", "5"}));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  kill(server.pid(), SIGINT);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  kill(server.pid(), SIGINT);
  CHECK(Ends(server));
  CHECK(server.Stop() == 1);
}

TEST_CASE("SIGHUP and SIGPIPE do not end a server without a file") {
  ServerProcess server;
  kill(server.pid(), SIGHUP);
  kill(server.pid(), SIGPIPE);
  CHECK(Client(server.port()).Do({"PING"}) == "PONG");
  CHECK(server.Stop() == 0);
}

TEST_CASE("SHUTDOWN ends with 0") {
  ServerProcess server;
  Client client(server.port());
  client.Send(Encode({"SHUTDOWN", "NOSAVE"}));
  CHECK(client.Closed(5000));
  CHECK(Ends(server));
  CHECK(server.Stop() == 0);
}

TEST_CASE("unix socket with permissions, pid file; both are gone in the end") {
  ServerProcess server({"--unixsocket", "s", "--unixsocketperm", "700", "--pidfile", "pid"});
  std::string path = server.dir() + "/s";
  struct stat found;
  REQUIRE(stat(path.c_str(), &found) == 0);
  CHECK((found.st_mode & 0777) == 0700);
  CHECK(Client(path).Do({"PING"}) == "PONG");
  std::ifstream file(server.dir() + "/pid");
  int pid = 0;
  file >> pid;
  CHECK(pid == server.pid());
  CHECK(server.Stop() == 0);
  CHECK(stat(path.c_str(), &found) != 0);
  CHECK(stat((server.dir() + "/pid").c_str(), &found) != 0);
}

}  // namespace
}  // namespace fluxkv::wire
