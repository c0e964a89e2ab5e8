// Goal: the parts of fluxkv-import that need no server: its command line, its client's replies, its
// count of what a file holds.
// Method: a socket pair whose other end is played by the test.
#include <cstdio>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/import_options.h"
#include "tools/import_writer.h"
#include "tools/redis_client.h"
#include "tools/survey.h"

namespace fluxkv::tools {
namespace {

using Kind = RedisClient::Reply::Kind;

// A client, and the server's end of its connection.
struct Pair {
  Pair() : Pair(Open()) {}
  ~Pair() { Close(); }
  void Say(std::string_view bytes) {
    REQUIRE(write(server, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  }
  // Everything that is sent until the client is gone or `bytes` of it.
  std::string Hear(size_t bytes) {
    std::string heard(bytes, '\0');
    size_t at = 0;
    while (at < bytes) {
      ssize_t count = read(server, heard.data() + at, bytes - at);
      if (count <= 0) break;
      at += static_cast<size_t>(count);
    }
    heard.resize(at);
    return heard;
  }
  void Close() {
    if (server >= 0) close(server);
    server = -1;
  }

  int server;
  RedisClient client;

 private:
  struct Ends {
    int server, client;
  };
  static Ends Open() {
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    return {ends[0], ends[1]};
  }
  explicit Pair(Ends ends) : server(ends.server), client(ends.client) {}
};

types::RdbEntry Entry(std::string key, std::string value) {
  types::RdbEntry entry;
  entry.key = std::move(key);
  entry.value = std::move(value);
  entry.type_name = "string";
  return entry;
}

std::string Problem(const std::vector<std::string>& arguments) {
  Result<ImportOptions> options = ParseImportOptions(arguments);
  return options.ok() ? "" : options.message();
}

TEST_CASE("import: options") {
  Result<ImportOptions> options = ParseImportOptions(
      {"--host", "h", "--port", "7000", "--db-map", "0=3,1=4", "--db-map", "2=5", "--only-db", "1",
       "--keep", "--dry-run", "--list-skipped", "--user", "u", "--password", "p", "dump.rdb"});
  REQUIRE(options.ok());
  const ImportOptions& o = options.value();
  CHECK(o.file == "dump.rdb");
  CHECK(o.host == "h");
  CHECK(o.port == "7000");
  CHECK(o.user == "u");
  CHECK(o.password == "p");
  CHECK(o.existing == ImportOptions::Existing::kKeep);
  CHECK(o.dry_run);
  CHECK(o.list_skipped);
  for (auto [from, to] : {std::pair{0u, 3u}, {1u, 4u}, {2u, 5u}, {6u, 6u}}) {
    CHECK(o.TargetOf(from) == to);
  }
  CHECK(o.Wants(1));
  CHECK_FALSE(o.Wants(0));
  REQUIRE(ParseImportOptions({"-"}).ok());
  CHECK(ParseImportOptions({"-"}).value().Wants(77));
  CHECK(ParseImportOptions({"--help"}).value().help);
}

TEST_CASE("import: options that are refused") {
  CHECK(Problem({}) == "no FILE (see --help)");
  CHECK(Problem({"a", "b"}) == "more than one FILE: b");
  CHECK(Problem({"--nosuch", "a"}) == "no such option: --nosuch");
  CHECK(Problem({"a", "--port"}) == "--port needs a value");
  CHECK(Problem({"a", "--port", "0"}) == "--port: no port: 0");
  CHECK(Problem({"a", "--port", "65536"}) == "--port: no port: 65536");
  CHECK(Problem({"a", "--db-map", "0"}) == "--db-map: expected FROM=TO, found 0");
  CHECK(Problem({"a", "--db-map", "0=x"}) == "--db-map: no number of a database: x");
  CHECK(Problem({"a", "--only-db", "65536"}) == "--only-db: no number of a database: 65536");
  CHECK(Problem({"a", "--keep", "--replace"}) == "--replace and --keep exclude each other");
  CHECK(Problem({"a", "--user", "u"}) == "--user needs --password");
}

TEST_CASE("import: replies of every kind, split at every byte") {
  const std::string replies = "+OK\r\n-ERR no\r\n:42\r\n$-1\r\n_\r\n+\r\n";
  Pair pair;
  std::thread server([&] {
    for (char byte : replies) pair.Say(std::string(1, byte));
  });
  auto next = [&] {
    Result<RedisClient::Reply> reply = pair.client.Read();
    REQUIRE(reply.ok());
    return std::pair(reply.value().kind, std::string(reply.value().text));
  };
  CHECK(next() == std::pair(Kind::kStatus, std::string("OK")));
  CHECK(next() == std::pair(Kind::kError, std::string("ERR no")));
  CHECK(next() == std::pair(Kind::kInteger, std::string("42")));
  CHECK(next() == std::pair(Kind::kNil, std::string()));
  CHECK(next() == std::pair(Kind::kNil, std::string()));
  CHECK(next() == std::pair(Kind::kStatus, std::string()));
  server.join();
  pair.Close();
  CHECK(pair.client.Read().message() == "the server closed the connection");
}

TEST_CASE("import: what is no reply") {
  for (std::string bytes : {std::string("HTTP/1.1 400\r\n"), std::string("$3\r\nabc\r\n"),
                            std::string("\r\n"), std::string("*2\r\n")}) {
    Pair pair;
    pair.Say(bytes);
    CHECK(pair.client.Read().message().starts_with("the reply is none of a Redis server"));
  }
  Pair pair;
  std::thread server([&] {
    std::string endless(RedisClient::kLineBytesMax * 2, '+');
    static_cast<void>(send(pair.server, endless.data(), endless.size(), MSG_NOSIGNAL));
  });
  CHECK(pair.client.Read().message() == "the reply is longer than any of a Redis server");
  shutdown(pair.server, SHUT_RDWR);
  server.join();
}

TEST_CASE("import: a server that is loading is waited for") {
  Pair pair;
  pair.Say("-LOADING Redis is loading the dataset in memory\r\n+PONG\r\n");
  std::FILE* notices = std::tmpfile();
  REQUIRE(LogIn(pair.client, {}, notices).ok());
  CHECK(pair.Hear(28) == "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n");
  CHECK(std::ftell(notices) > 0);
  std::fclose(notices);

  Pair closed;
  closed.Say("-NOAUTH Authentication required.\r\n");
  CHECK(LogIn(closed.client, {}, stderr).message() ==
        "the server answers: NOAUTH Authentication required.");
}

TEST_CASE("import: the commands, and what their replies count as") {
  Pair pair;
  pair.Say("+OK\r\n+OK\r\n$-1\r\n+OK\r\n");
  ImportWriter writer(pair.client, ImportOptions::Existing::kKeep);
  types::RdbEntry entry = Entry("k", "v");
  REQUIRE(writer.Put(0, entry).ok());
  REQUIRE(writer.Put(0, entry).ok());
  entry.expiry_ms = 4102444800123;
  REQUIRE(writer.Put(0, entry).ok());
  REQUIRE(writer.Finish().ok());
  const std::string select = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n";
  const std::string set = "$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n$2\r\nNX\r\n";
  const std::string sent = select + "*4\r\n" + set + "*4\r\n" + set + "*6\r\n" + set +
                           "$4\r\nPXAT\r\n$13\r\n4102444800123\r\n";
  CHECK(pair.Hear(sent.size()) == sent);
  CHECK(writer.counts().sent == 3);
  CHECK(writer.counts().stored == 2);
  CHECK(writer.counts().kept == 1);
  CHECK(writer.counts().unanswered() == 0);
}

TEST_CASE("import: after an error the other replies are still counted") {
  Pair pair;
  pair.Say("+OK\r\n+OK\r\n-OOM full\r\n+OK\r\n-MISCONF disk\r\n");
  ImportWriter writer(pair.client, ImportOptions::Existing::kReplace);
  for (int i = 0; i < 5; ++i) REQUIRE(writer.Put(0, Entry("k", "v")).ok());
  std::thread server([&] {
    pair.Hear(20);
    shutdown(pair.server, SHUT_WR);
  });
  CHECK(writer.Finish().message() == "the server answers: OOM full");
  server.join();
  CHECK(writer.counts().sent == 5);
  CHECK(writer.counts().acknowledged() == 2);
  CHECK(writer.counts().refused == 2);
  CHECK(writer.counts().unanswered() == 1);
}

TEST_CASE("import: what a survey counts") {
  Survey survey;
  types::RdbEntry entry = Entry("k", "value");
  CHECK(survey.Add(entry, 1000) == Survey::Fate::kImport);
  entry.expiry_ms = 1000;
  CHECK(survey.Add(entry, 1000) == Survey::Fate::kExpired);
  entry.db = 3;
  CHECK(survey.Add(entry, 999) == Survey::Fate::kImport);
  entry.kind = types::RdbEntry::Kind::kOtherKey;
  entry.type_name = "list";
  for (int i = 0; i < 7; ++i) CHECK(survey.Add(entry, 1000) == Survey::Fate::kOtherType);
  entry.kind = types::RdbEntry::Kind::kFunctionLibrary;
  survey.Add(entry, 1000);
  CHECK(survey.keys() == 10);
  CHECK(survey.strings() == 2);
  CHECK(survey.string_bytes() == 12);
  CHECK(survey.with_deadline() == 1);
  CHECK(survey.expired() == 1);
  CHECK(survey.other_types() == 8);
  CHECK(survey.databases() == std::map<uint32_t, uint64_t>{{0, 1}, {3, 1}});
  std::string name = "database 3 \"k\"";
  CHECK(survey.LeftOut() == "  function library          1\n  list                      7  " +
                                name + ", " + name + ", " + name + ", " + name + ", " + name +
                                ", ...\n");
  CHECK(ShownKey(Entry("abcdef", ""), 3) == "database 0 \"abc\"...");

  // Types without end take no memory without end.
  entry.kind = types::RdbEntry::Kind::kOtherKey;
  for (int i = 0; i < 1000; ++i) {
    entry.type_name = "module" + std::to_string(i);
    survey.Add(entry, 1000);
  }
  CHECK(survey.LeftOut().size() < 4000);
}

}  // namespace
}  // namespace fluxkv::tools
