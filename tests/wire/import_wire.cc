// Goal: fluxkv-import brings every string of a dump of Redis over, with its database and deadline,
// and says truly what it did not.
// Method: a redis-server is filled with keys of every type and encoding and saved; the file is
// imported and both servers are compared key by key. Then each way in which it may be refused.
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <thread>

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "tests/wire/wire_case.h"

namespace fluxkv::wire {
namespace {

// Beside the server under test, or where `make` puts it.
std::string ImportProgram() {
  const char* server = getenv("FLUXKV_SERVER");
  std::filesystem::path beside =
      std::filesystem::path(server == nullptr ? "" : server).replace_filename("fluxkv-import");
  return std::filesystem::exists(beside) ? beside.string() : "build/fluxkv-import";
}

struct ImportOutcome {
  int exit_code = -1;
  std::string text;  // standard output and standard error
  bool Says(const std::string& part) const { return text.find(part) != std::string::npos; }
};

// Runs the tool on the server, with a shell's words behind its name.
ImportOutcome Import(int port, const std::string& words) {
  std::string line = ImportProgram() + " --port " + std::to_string(port) + " " + words + " 2>&1";
  ImportOutcome outcome;
  FILE* pipe = popen(line.c_str(), "r");
  REQUIRE(pipe != nullptr);
  char buffer[4096];
  while (size_t count = fread(buffer, 1, sizeof(buffer), pipe)) outcome.text.append(buffer, count);
  int status = pclose(pipe);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  INFO(line, "\n", outcome.text);
  CHECK(outcome.exit_code >= 0);
  return outcome;
}

std::string Noise(size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

void FillStrings(Client& redis) {
  for (const char* text : {"0", "-1", "127", "128", "-32768", "32768", "2147483647", "2147483648",
                           "-9223372036854775808", "", "007", "1.5", "hello"}) {
    redis.Do({"SET", std::string("text:") + text, text});
  }
  redis.Do({"SET", "compressed", std::string(100000, 'a') + std::string(100000, 'b')});
  redis.Do({"SET", "raw", Noise(300000, 1)});
  redis.Do({"SET", "large", Noise(20 << 20, 2)});  // more than may be on its way
  redis.Do({"SET", Noise(1000, 3), Noise(45, 4)});
  redis.Do({"SETBIT", "bitmap", "100000", "1"});
  redis.Do({"PFADD", "hyperloglog", "a", "b", "c"});
  redis.Do({"APPEND", "appended", "12345"});
  for (int i = 0; i < 3000; ++i) {
    std::string number = std::to_string(i);
    redis.Do({"SET", "counted:" + number, number, "PX", std::to_string(1000000 + i)});
  }
  redis.Do({"SELECT", "3"});
  redis.Do({"SET", "text:hello", "from 3", "PXAT", "4102444800123"});
  redis.Do({"SELECT", "15"});
  redis.Do({"MSET", "a", "1", "b", "2"});
  redis.Do({"SELECT", "0"});
}

void FillOthers(Client& redis) {
  redis.Do({"RPUSH", "list", "a", "b", "1"});
  redis.Do({"RPUSH", "list:long", Noise(9000, 5), Noise(20000, 6), "x"});
  redis.Do({"SADD", "set:numbers", "1", "2", "3"});
  redis.Do({"SADD", "set", "a", "b", Noise(100, 7)});
  redis.Do({"ZADD", "zset", "1.5", "a", "inf", "b"});
  redis.Do({"ZADD", "zset:long", "1", Noise(100, 8), "-inf", "b"});
  redis.Do({"HSET", "hash", "f", "v", "g", "1"});
  redis.Do({"HSET", "hash:long", "f", Noise(100, 9)});
  redis.Do({"EXPIRE", "hash", "1000"});
  for (int i = 0; i < 300; ++i) redis.Do({"XADD", "stream", "*", "field", std::to_string(i)});
  redis.Do({"XGROUP", "CREATE", "stream", "group", "0"});
  redis.Do({"XGROUP", "CREATE", "stream", "idle", "$"});
  redis.Do({"XREADGROUP", "GROUP", "group", "ada", "COUNT", "7", "STREAMS", "stream", ">"});
  redis.Do({"XREADGROUP", "GROUP", "group", "bob", "COUNT", "2", "STREAMS", "stream", ">"});
  redis.Do(
      {"FUNCTION", "LOAD", "#!lua name=l\nredis.register_function('f', function() return 1 end)"});
}

constexpr int kStrings = 3023;  // of FillStrings, all databases
constexpr int kOthers = 10;     // of FillOthers, with the function library

// All of them, in the report.
std::string OfStrings() {
  return std::to_string(kStrings) + "  of " + std::to_string(kStrings) + " strings, ";
}

// A redis-server with everything in it, saved; one for all cases.
struct Source {
  Source()
      : redis({"--save", "", "--enable-debug-command", "yes"}, kRedisServer),
        client(redis.port()),
        file(redis.dir() + "/dump.rdb") {
    FillStrings(client);
    FillOthers(client);
    REQUIRE(client.Do({"DEBUG", "SET-ACTIVE-EXPIRE", "0"}) == "OK");
    REQUIRE(client.Do({"SET", "past", "v", "PX", "1"}) == "OK");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    REQUIRE(client.Do({"SAVE"}) == "OK");
  }
  ServerProcess redis;
  Client client;
  const std::string file;
};
Source& Shared() {
  static Source source;
  return source;
}

// The keys of the selected database that are strings there, and what they are.
int CompareStrings(Client& redis, Client& ours) {
  int compared = 0;
  redis.Send(Encode({"KEYS", "*"}));
  std::string raw = redis.ReadRaw();
  size_t at = raw.find("\r\n") + 2;
  while (at < raw.size()) {
    size_t size = std::stoul(raw.substr(at + 1));
    at = raw.find("\r\n", at) + 2;
    std::string key = raw.substr(at, size);
    at += size + 2;
    if (redis.Do({"TYPE", key}) != "string") {
      CHECK(ours.Do({"EXISTS", key}) == "(integer) 0");
      continue;
    }
    ++compared;
    REQUIRE(ours.DoRaw({"GET", key}) == redis.DoRaw({"GET", key}));
    REQUIRE(ours.Do({"PEXPIRETIME", key}) == redis.Do({"PEXPIRETIME", key}));
  }
  return compared;
}

TEST_CASE("import: every string, deadline and database of a dump") {
  Source& source = Shared();
  WireCase wire;
  ImportOutcome outcome = Import(wire.server.port(), source.file);
  INFO(outcome.text);
  REQUIRE(outcome.exit_code == 0);
  CHECK(outcome.Says(": RDB version 1"));
  CHECK(outcome.Says(", written by Redis 7."));
  int compared = 0;
  for (const char* db : {"0", "3", "15"}) {
    source.client.Do({"SELECT", db});
    wire.client.Do({"SELECT", db});
    int here = CompareStrings(source.client, wire.client);
    CHECK(wire.client.Do({"DBSIZE"}) == "(integer) " + std::to_string(here));
    compared += here;
  }
  source.client.Do({"SELECT", "0"});
  CHECK(compared == kStrings);
  CHECK(outcome.Says("imported                 " + OfStrings()));
  CHECK(outcome.Says("expired                     1  "));
  CHECK(outcome.Says("skipped                    " + std::to_string(kOthers) + "  of other types"));
  CHECK(outcome.Says("stream                    1  database 0 \"stream\"\n"));
  CHECK(outcome.Says("function library          1\n"));
  for (const char* name : {"hash", "list", "set", "zset"}) {
    CHECK(outcome.Says(std::string("  ") + name));
  }
}

TEST_CASE("import: a database that is not empty needs --replace or --keep") {
  Source& source = Shared();
  WireCase wire;
  wire.client.Do({"SET", "text:hello", "ours"});
  wire.client.Do({"SET", "only here", "ours"});
  ImportOutcome outcome = Import(wire.server.port(), source.file);
  CHECK(outcome.exit_code == 1);
  CHECK(outcome.Says("database 0 of the server has 2 keys: give --replace"));
  CHECK(wire.client.Do({"DBSIZE"}) == "(integer) 2");

  outcome = Import(wire.server.port(), "--keep " + source.file);
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.Says("kept                        1  keys"));
  CHECK(wire.client.Do({"GET", "text:hello"}) == "\"ours\"");

  outcome = Import(wire.server.port(), "--replace " + source.file);
  CHECK(outcome.exit_code == 0);
  CHECK(wire.client.Do({"GET", "text:hello"}) == "\"hello\"");
  CHECK(wire.client.Do({"GET", "only here"}) == "\"ours\"");
}

TEST_CASE("import: one database, and into another") {
  Source& source = Shared();
  WireCase wire;
  wire.client.Do({"SET", "in the way", "v"});
  ImportOutcome outcome =
      Import(wire.server.port(), "--only-db 3 --db-map 3=7 --list-skipped " + source.file);
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.Says("in database 3, which becomes 7"));
  CHECK(wire.client.Do({"DBSIZE"}) == "(integer) 1");
  wire.client.Do({"SELECT", "7"});
  CHECK(wire.client.Do({"GET", "text:hello"}) == "\"from 3\"");
  CHECK(wire.client.Do({"PEXPIRETIME", "text:hello"}) == "(integer) 4102444800123");
  CHECK(wire.client.Do({"DBSIZE"}) == "(integer) 1");
  outcome = Import(wire.server.port(), "--only-db 3 --db-map 3=1000 " + source.file);
  CHECK(outcome.exit_code == 1);
  CHECK(outcome.Says("database 1000: the server answers: ERR DB index is out of range"));
}

TEST_CASE("import: a dry run connects to nothing") {
  Source& source = Shared();
  ImportOutcome outcome = Import(1, "--dry-run --list-skipped " + source.file);
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.Says("would be imported        " + OfStrings()));
  CHECK(outcome.Says("stream: database 0 \"stream\"\n"));
  CHECK(outcome.Says("list: database 0 \"list:long\"\n"));
}

TEST_CASE("import: from a pipe") {
  Source& source = Shared();
  WireCase wire;
  ImportOutcome outcome = Import(wire.server.port(), "- < " + source.file);
  CHECK(outcome.exit_code == 0);
  wire.client.Do({"FLUSHALL"});
  std::string words = " --port " + std::to_string(wire.server.port()) + " - 2>&1";
  outcome = Import(1, "--help >/dev/null; cat " + source.file + " | " + ImportProgram() + words);
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.Says("imported                 " + OfStrings()));
  CHECK(wire.client.Do({"GET", "text:hello"}) == "\"hello\"");
}

TEST_CASE("import: a damaged file is refused before anything is written") {
  Source& source = Shared();
  WireCase wire;
  std::ifstream good(source.file, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(good), {}};
  std::string bad = wire.server.dir() + "/bad.rdb";
  std::ofstream(bad, std::ios::binary) << bytes.substr(0, bytes.size() - 100);
  ImportOutcome outcome = Import(wire.server.port(), bad);
  CHECK(outcome.exit_code == 1);
  CHECK(outcome.Says(bad + ": byte " + std::to_string(bytes.size() - 100) + ": expected "));
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  std::ofstream(bad, std::ios::binary) << bytes;
  CHECK(Import(wire.server.port(), bad).exit_code == 1);
  CHECK(wire.client.Do({"DBSIZE"}) == "(integer) 0");
  // A pipe cannot be read first: what was acknowledged is told.
  std::string words = " --port " + std::to_string(wire.server.port()) + " - 2>&1";
  outcome = Import(1, "--help >/dev/null; cat " + bad + " | " + ImportProgram() + words);
  CHECK(outcome.exit_code == 1);
  CHECK(outcome.Says("standard input: byte "));
  CHECK(outcome.Says(" keys were acknowledged, 0 refused, 0 not answered\n"));

  CHECK(Import(wire.server.port(), "/no/such/file").Says("cannot open /no/such/file: No such"));
  CHECK(Import(FreePort(), source.file).Says(": Connection refused\n"));
}

TEST_CASE("import: a password, and a Unix socket") {
  Source& source = Shared();
  ServerProcess server({"--requirepass", "secret", "--unixsocket",
                        "/tmp/fluxkv-import-" + std::to_string(getpid()) + ".sock"});
  ImportOutcome outcome = Import(server.port(), source.file);
  CHECK(outcome.exit_code == 1);
  CHECK(outcome.Says("the server answers: NOAUTH Authentication required."));
  outcome = Import(server.port(), "--password wrong " + source.file);
  CHECK(outcome.Says("the server answers: WRONGPASS"));
  outcome = Import(server.port(), "--password secret --only-db 15 " + source.file);
  CHECK(outcome.exit_code == 0);
  outcome = Import(1, "--user default --password secret --only-db 3 --socket /tmp/fluxkv-import-" +
                          std::to_string(getpid()) + ".sock " + source.file);
  CHECK(outcome.exit_code == 0);
  CHECK(server.Stop() == 0);
}

TEST_CASE("import: a server that is full ends it, with the keys that it took") {
  Source& source = Shared();
  WireCase wire({"--maxmemory", "10mb"});
  ImportOutcome outcome = Import(wire.server.port(), source.file);
  CHECK(outcome.exit_code == 1);
  CHECK(outcome.Says("the server answers: OOM command not allowed"));
  std::string size = wire.client.Do({"DBSIZE"});
  std::string keys = size.substr(size.find(' ') + 1);
  CHECK(outcome.Says("; " + keys + " keys were acknowledged, "));
  CHECK(outcome.Says(", 0 not answered\n"));
}

}  // namespace
}  // namespace fluxkv::wire
