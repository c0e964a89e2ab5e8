// Goal: what is configured while running is there after a restart, what is in the file is there
// after a SIGHUP, and a bad file does no harm to a running server and stops a start with one line.
// Method: servers of their own with files of their own, real signals, restarts, exit codes.
#include <filesystem>
#include <fstream>
#include <string>

#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include "tests/config/temp_dir.h"
#include "tests/wire/wire_case.h"

namespace fluxkv::wire {
namespace {

using config::TempDir;
using Wait = ServerProcess::Wait;

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string Get(Client& client, const std::string& name) {
  std::string reply = client.Do({"CONFIG", "GET", name});
  return reply.substr(0, reply.size() - 1).substr(reply.find(", ") + 2);
}

TEST_CASE("CONFIG REWRITE, then a restart: the same values") {
  TempDir dir;
  const std::string text = "# mine\n[memory]\nmaxmemory = \"100mb\"\n";
  const std::string path = dir.Write("a.toml", text);
  std::string before;
  {
    ServerProcess server({path});
    Client client(server.port());
    CHECK(client.Do({"CONFIG", "SET", "timeout", "77", "maxmemory", "1gb", "requirepass",
                     "a\"b\\c\r\n"}) == "OK");
    CHECK(client.Do({"CONFIG", "REWRITE"}) == "OK");
    before = client.Do({"CONFIG", "GET", "m*", "timeout", "requirepass"});
    CHECK(Has(client.Do({"INFO", "server"}), "config_file:" + path + "\\r\\n"));
    CHECK(server.Stop() == 0);
    CHECK(Has(server.Output(), "CONFIG REWRITE wrote " + dir.Path("a.override.toml") +
                                   ", which is read after " + path));
  }
  CHECK(dir.Read("a.toml") == text);
  ServerProcess server({path});
  CHECK(Has(server.Output(), dir.Path("a.override.toml") +
                                 ": 3 options that CONFIG REWRITE saved, read after " + path));
  Client client(server.port());
  CHECK(Has(client.Do({"PING"}), "NOAUTH"));
  CHECK(client.Do({"AUTH", "a\"b\\c\r\n"}) == "OK");
  CHECK(client.Do({"CONFIG", "GET", "m*", "timeout", "requirepass"}) == before);
  CHECK(server.Stop() == 0);
}

TEST_CASE("SIGHUP reads both files again; the log tells what changed and what needs a restart") {
  TempDir dir;
  const std::string path = dir.Write("a.toml", "[server]\ntimeout = 5\n");
  ServerProcess server({path});
  Client client(server.port());
  dir.Write("a.toml", "[server]\ntimeout = 6\ndatabases = 20\nport = 1\n");
  dir.Write("a.override.toml", "[server]\nmaxclients = 99\n");
  kill(server.pid(), SIGHUP);
  CHECK(Becomes([&] { return Has(server.Output(), "The configuration was read again"); }));
  CHECK(Get(client, "timeout") == "\"6\"");
  CHECK(Get(client, "maxclients") == "\"99\"");
  CHECK(Get(client, "databases") == "\"16\"");
  CHECK(Get(client, "port") == "\"" + std::to_string(server.port()) + "\"");  // command line
  std::string log = server.Output();
  CHECK(Has(log, "* Received SIGHUP, reading the configuration again"));
  CHECK(Has(log, "* changed server.timeout: \"5\" -> \"6\""));
  CHECK(Has(log, "# server.databases: \"16\" -> \"20\" needs a restart"));

  dir.Write("a.toml", "[server]\ntimeout = 7\nport = x\n");
  kill(server.pid(), SIGHUP);
  CHECK(Becomes([&] {
    return Has(
        server.Output(),
        "# The configuration could not be read again, nothing was changed: " + path + ":3: ");
  }));
  CHECK(Get(client, "timeout") == "\"6\"");
  CHECK(
      Has(client.Do({"CONFIG", "RELOAD"}), "(error) ERR Reloading config file: " + path + ":3: "));
  CHECK(Get(client, "timeout") == "\"6\"");
  CHECK(server.Stop() == 0);
}

TEST_CASE("CONFIG RELOAD moves the port back to what the command line says") {
  TempDir dir;
  const std::string path = dir.Write("a.toml", "[notify]\nkeyspace_events = \"KEA\"\n");
  ServerProcess server({path});
  Client client(server.port());
  CHECK(Get(client, "notify-keyspace-events") == "\"AKE\"");
  const int other = FreePort();
  CHECK(client.Do({"CONFIG", "SET", "port", std::to_string(other)}) == "OK");
  CHECK(Client(other).Do({"PING"}) == "PONG");
  // What CONFIG SET changed and REWRITE did not save ends.
  CHECK(client.Do({"CONFIG", "RELOAD"}) == "OK");
  CHECK(Get(client, "port") == "\"" + std::to_string(server.port()) + "\"");
  CHECK(Becomes([&] { return Client(server.port()).Do({"PING"}) == "PONG"; }));
  CHECK_THROWS(Client(other).Do({"PING"}));
  CHECK(server.Stop() == 0);
}

TEST_CASE("SIGHUP without a file changes nothing") {
  ServerProcess server;
  Client client(server.port());
  CHECK(client.Do({"CONFIG", "SET", "timeout", "9"}) == "OK");
  kill(server.pid(), SIGHUP);
  CHECK(Becomes([&] {
    return Has(server.Output(),
               "Nothing to read again: the server is running without a config file");
  }));
  CHECK(Get(client, "timeout") == "\"9\"");
  CHECK(server.Stop() == 0);
}

TEST_CASE("bad overrides stop the start with one line and exit code 1") {
  TempDir dir;
  const std::string path = dir.Write("a.toml", "");
  for (const std::string& text :
       {std::string("[server]\ntimeuot = 1\n"), std::string("[server]\ntimeout = \"x\n"),
        "[server]\na" + std::string(3000, '.'), std::string(2 << 20, 'x')}) {
    dir.Write("a.override.toml", text);
    ServerProcess server({path}, "", Wait::kNo);
    CHECK(server.WaitUntilEnded() == 1);
    std::string output = server.Output();
    CHECK(output.starts_with("fluxkv: " + dir.Path("a.override.toml") + ":"));
    CHECK(output.find('\n') == output.size() - 1);
  }
}

// The process that a daemon has become; killed in the end if it is still there.
class Daemon {
 public:
  explicit Daemon(const std::string& pidfile) {
    CHECK(Becomes([&] { return static_cast<bool>(std::ifstream(pidfile) >> pid_); }));
  }
  ~Daemon() {
    if (pid_ > 0) kill(pid_, SIGKILL);
  }
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;
  pid_t pid() const { return pid_; }
  bool Ended() {
    bool ended = pid_ > 0 && Becomes([&] { return kill(pid_, 0) != 0; });
    if (ended) pid_ = 0;
    return ended;
  }

 private:
  pid_t pid_ = 0;
};

TEST_CASE("a daemon in another directory still finds its files, named relative to the start") {
  TempDir dir;
  const std::string path = dir.Write("a.toml", "");
  const std::string relative = std::filesystem::relative(path).string();
  REQUIRE(relative[0] != '/');
  ServerProcess server(
      {relative, "--daemonize", "yes", "--pidfile", dir.Path("pid"), "--logfile", dir.Path("log")},
      "", Wait::kNo);
  CHECK(server.WaitUntilEnded() == 0);
  Daemon daemon(dir.Path("pid"));
  REQUIRE(Becomes([&] {
    try {
      return Client(server.port()).Do({"PING"}) == "PONG";
    } catch (const std::runtime_error&) {
      return false;
    }
  }));
  Client client(server.port());
  CHECK(Has(client.Do({"INFO", "server"}), "config_file:"));
  CHECK(client.Do({"CONFIG", "SET", "timeout", "7"}) == "OK");
  CHECK(client.Do({"CONFIG", "REWRITE"}) == "OK");
  CHECK(Has(dir.Read("a.override.toml"), "timeout = \"7s\""));
  dir.Write("a.toml", "[server]\ntcp_keepalive = 9\n");
  kill(daemon.pid(), SIGHUP);
  CHECK(Becomes([&] { return Get(client, "tcp-keepalive") == "\"9\""; }));
  CHECK(Get(client, "timeout") == "\"7\"");
  client.Send(Encode({"SHUTDOWN", "NOSAVE"}));
  CHECK(daemon.Ended());
}

}  // namespace
}  // namespace fluxkv::wire
