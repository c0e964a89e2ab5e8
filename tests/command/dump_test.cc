// Goal: DUMP and RESTORE carry strings, and refuse what they must.
// Method: commands through the dispatcher; the payloads themselves are tested in tests/types.
#include "types/dump.h"

#include <string>

#include <doctest/doctest.h>

#include "tests/command/harness.h"
#include "types/string_value.h"

namespace fluxkv::command {
namespace {

std::string Payload(std::string_view text) {
  return types::DumpString(*types::NewString(text, engine::kNoExpiry));
}

TEST_CASE("DUMP") {
  CommandHarness h;
  CHECK(h.Run({"DUMP", "k"}) == "(nil)");
  h.Run({"SET", "k", "hello"});
  std::string payload = Payload("hello");
  CHECK(h.RunRaw({"DUMP", "k"}) ==
        "$" + std::to_string(payload.size()) + "\r\n" + payload + "\r\n");
}

TEST_CASE("RESTORE") {
  CommandHarness h;
  CHECK(h.Run({"RESTORE", "k", "0", Payload("123")}) == "OK");
  CHECK(h.Run({"GET", "k"}) == "\"123\"");
  CHECK(h.Run({"OBJECT", "ENCODING", "k"}) == "\"int\"");
  CHECK(h.Run({"TTL", "k"}) == "(integer) -1");
  CHECK(h.Run({"RESTORE", "k", "0", Payload("x")}) ==
        "(error) BUSYKEY Target key name already exists.");
  CHECK(h.Run({"RESTORE", "k", "50000", Payload("x"), "REPLACE"}) == "OK");
  CHECK(h.Run({"TTL", "k"}) == "(integer) 50");
  CHECK(h.Run({"RESTORE", "k", "33177117420000", Payload("y"), "ABSTTL", "replace"}) == "OK");
  CHECK(h.Run({"PEXPIRETIME", "k"}) == "(integer) 33177117420000");
  CHECK(h.Run({"RESTORE", "k", "1", Payload("y"), "ABSTTL", "REPLACE"}) == "OK");
  CHECK(h.Run({"EXISTS", "k"}) == "(integer) 0");
  CHECK(h.Run({"RESTORE", "k", "0", Payload("y"), "IDLETIME", "1000"}) == "OK");
  CHECK(h.Run({"OBJECT", "IDLETIME", "k"}) == "(integer) 1000");
  CHECK(h.Run({"RESTORE", "f", "0", Payload("y"), "FREQ", "100"}) == "OK");
}

TEST_CASE("RESTORE's errors") {
  CommandHarness h;
  const std::string payload = Payload("x");
  CHECK(h.Run({"RESTORE", "k", "-1", payload}) == "(error) ERR Invalid TTL value, must be >= 0");
  CHECK(h.Run({"RESTORE", "k", "x", payload}) ==
        "(error) ERR value is not an integer or out of range");
  CHECK(h.Run({"RESTORE", "k", "0", "..."}) ==
        "(error) ERR DUMP payload version or checksum are wrong");
  CHECK(h.Run({"RESTORE", "k", "0", payload, "IDLETIME", "-1"}) ==
        "(error) ERR Invalid IDLETIME value, must be >= 0");
  CHECK(h.Run({"RESTORE", "k", "0", payload, "FREQ", "256"}) ==
        "(error) ERR Invalid FREQ value, must be >= 0 and <= 255");
  CHECK(h.Run({"RESTORE", "k", "0", payload, "FREQ", "1", "IDLETIME", "1"}) ==
        "(error) ERR syntax error");
  CHECK(h.Run({"RESTORE", "k", "0", payload, "foo"}) == "(error) ERR syntax error");
  CHECK(h.Run({"EXISTS", "k"}) == "(integer) 0");
}

}  // namespace
}  // namespace fluxkv::command
