// Goal: every command answers the same over the wire in RESP2 and RESP3, mistakes included.
// Method: the table tests/wire/commands.txt with the expected replies,
// line by line on one connection.
#include <fstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/wire/wire_case.h"

namespace fluxkv::wire {
namespace {

constexpr const char* kTable = "tests/wire/commands.txt";

struct Row {
  Arguments command;
  std::string expected[2];  // in RESP2, in RESP3
};

// Words between blanks; '...' holds blanks together.
Arguments Words(const std::string& text) {
  Arguments words(1);
  bool quoted = false;
  for (char c : text) {
    if (c == '\'') {
      quoted = !quoted;
    } else if (c == ' ' && !quoted) {
      words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  return words;
}

std::vector<Row> ReadTable() {
  std::ifstream file(kTable);
  std::vector<Row> rows;
  std::string line;
  while (std::getline(file, line)) {
    if (line.empty() || line[0] == '#') continue;
    size_t first = line.find(" | ");
    size_t second = line.find(" | ", first + 1);
    REQUIRE_MESSAGE(first != std::string::npos, line);
    Row row;
    row.command = Words(line.substr(0, first));
    row.expected[0] = line.substr(first + 3, second - first - 3);
    row.expected[1] = second == std::string::npos ? row.expected[0] : line.substr(second + 3);
    rows.push_back(row);
  }
  return rows;
}

bool Matches(const std::string& reply, const std::string& expected) {
  if (!expected.ends_with("...")) return reply == expected;
  return reply.starts_with(expected.substr(0, expected.size() - 3));
}

TEST_CASE("every command, with right and with wrong arguments") {
  std::vector<Row> rows = ReadTable();
  REQUIRE(rows.size() > 400);
  for (int protocol : {2, 3}) {
    CAPTURE(protocol);
    WireCase wire({"--enable-debug-command", "yes"});
    wire.client.Do({"CONFIG", "RESETSTAT"});
    wire.client.Do({"HELLO", std::to_string(protocol)});
    for (const Row& row : rows) {
      std::string reply = wire.client.Do(row.command);
      const std::string& expected = row.expected[protocol - 2];
      CHECK_MESSAGE(Matches(reply, expected), Encode(row.command), " gave ", reply, " instead of ",
                    expected);
    }
    CHECK(wire.client.Closed());  // the last one is QUIT
  }
}

TEST_CASE("RESET gives a connection as it was when it was new") {
  WireCase wire;
  Client other(wire.server.port());
  other.Do({"HELLO", "3"});
  other.Do({"SELECT", "5"});
  other.Do({"CLIENT", "SETNAME", "n"});
  other.Do({"SUBSCRIBE", "c"});
  other.Do({"MULTI"});
  CHECK(other.DoRaw({"RESET"}) == "+RESET\r\n");
  CHECK(other.DoRaw({"GET", "k"}) == "$-1\r\n");
  CHECK(other.Do({"CLIENT", "GETNAME"}) == "(nil)");
  CHECK(wire.client.Do({"PUBSUB", "NUMSUB", "c"}) == "[\"c\", (integer) 0]");
}

TEST_CASE("DUMP and RESTORE") {
  WireCase wire;
  for (const std::string& value : {std::string("text"), std::string("12345"), std::string()}) {
    wire.client.Do({"SET", "from", value});
    std::string raw = wire.client.DoRaw({"DUMP", "from"});
    std::string payload = raw.substr(raw.find("\r\n") + 2);
    payload.resize(payload.size() - 2);
    CHECK(wire.client.Do({"RESTORE", "to", "100000", payload, "REPLACE"}) == "OK");
    CHECK(wire.client.Do({"GET", "to"}) == "\"" + value + "\"");
    payload[0] = static_cast<char>(payload[0] + 1);
    CHECK(wire.client.Do({"RESTORE", "to", "0", payload, "REPLACE"}) ==
          "(error) ERR DUMP payload version or checksum are wrong");
  }
}

TEST_CASE("the attribute that DEBUG PROTOCOL sends comes before the reply, in RESP3 only") {
  WireCase wire({"--enable-debug-command", "yes"});
  std::string plain = wire.client.Do({"DEBUG", "PROTOCOL", "attrib"});
  wire.client.Do({"HELLO", "3"});
  std::string with = wire.client.Do({"DEBUG", "PROTOCOL", "attrib"});
  CHECK(with.starts_with("|{"));
  CHECK(with.ends_with(plain));
}

TEST_CASE("SHUTDOWN ends the server well") {
  ServerProcess server;
  Client client(server.port());
  client.Send(Encode({"SHUTDOWN", "NOSAVE"}));
  CHECK(client.Closed());
  CHECK(server.Stop() == 0);
}

}  // namespace
}  // namespace fluxkv::wire
