// Goal: COMMAND describes the table in the shapes of Redis.
// Method: commands in process.
#include <doctest/doctest.h>

#include "tests/command/harness.h"

namespace fluxkv::command {
namespace {

TEST_CASE("info and docs") {
  CommandHarness h;
  std::string get = h.Run({"COMMAND", "INFO", "get"});
  CHECK(Has(get, "[[\"get\", (integer) 2, "));
  CHECK(Has(get, "@string"));
  CHECK(h.Run({"COMMAND", "INFO", "get|key", "config|get|key"}) == "[(nil), (nil)]");
  CHECK(Has(h.Run({"COMMAND", "INFO", "client|list"}), "client|list"));
  CHECK(Has(h.Run({"COMMAND", "DOCS", "set"}), "summary"));
  CHECK(Has(h.Run({"COMMAND", "COUNT"}), "(integer) "));
  CHECK(Has(h.Run({"COMMAND"}), "debug"));
}

TEST_CASE("keys") {
  CommandHarness h;
  CHECK(h.Run({"COMMAND", "GETKEYS", "get", "k"}) == "[\"k\"]");
  CHECK(h.Run({"COMMAND", "GETKEYS", "memory", "usage", "k"}) == "[\"k\"]");
  CHECK(h.Run({"COMMAND", "GETKEYS", "lcs", "k1", "k2"}) == "[\"k1\", \"k2\"]");
  CHECK(h.Run({"COMMAND", "GETKEYS", "ping"}) == "(error) ERR The command has no key arguments");
  CHECK(h.Run({"COMMAND", "GETKEYS", "none"}) == "(error) ERR Invalid command specified");
  CHECK(h.Run({"COMMAND", "GETKEYS", "set", "k"}) ==
        "(error) ERR Invalid number of arguments specified for command");
  CHECK(h.Run({"COMMAND", "GETKEYSANDFLAGS", "mset", "a", "1", "b", "2"}) ==
        "[[\"a\", [OW, update]], [\"b\", [OW, update]]]");
  CHECK(h.Run({"COMMAND", "GETKEYSANDFLAGS", "set", "k", "v"}) == "[[\"k\", [OW, update]]]");
}

TEST_CASE("list") {
  CommandHarness h;
  CHECK(h.Run({"COMMAND", "LIST", "FILTERBY", "PATTERN", "set"}) == "[\"set\"]");
  CHECK(Has(h.Run({"COMMAND", "LIST", "FILTERBY", "PATTERN", "cl*help"}), "cluster|help"));
  CHECK(h.Run({"COMMAND", "LIST", "FILTERBY", "ACLCAT", "none"}) == "[]");
  CHECK(h.Run({"COMMAND", "LIST", "FILTERBY", "MODULE", "none"}) == "[]");
  CHECK(h.Run({"COMMAND", "LIST", "bad"}) == "(error) ERR syntax error");
}

}  // namespace
}  // namespace fluxkv::command
