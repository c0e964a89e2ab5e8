// Goal: DEL, EXISTS, TYPE, TOUCH, RENAME, MOVE, COPY and OBJECT answer as Redis 7.2 does.
// Method: commands through the dispatcher.
#include <string>

#include <doctest/doctest.h>

#include "tests/command/harness.h"

namespace fluxkv::command {
namespace {

TEST_CASE("counting and deleting") {
  CommandHarness h;
  h.Run({"MSET", "a", "1", "b", "2"});
  CHECK(h.Run({"EXISTS", "a", "b", "a", "c"}) == "(integer) 3");
  CHECK(h.Run({"TOUCH", "a", "b", "c"}) == "(integer) 2");
  CHECK(h.Run({"TYPE", "a"}) == "string");
  CHECK(h.Run({"TYPE", "c"}) == "none");
  CHECK(h.Run({"DEL", "a", "a", "c"}) == "(integer) 1");
  CHECK(h.Run({"UNLINK", "a", "b"}) == "(integer) 1");
  CHECK(h.Run({"EXISTS", "a", "b"}) == "(integer) 0");
}

TEST_CASE("RENAME and RENAMENX") {
  CommandHarness h;
  CHECK(h.Run({"RENAME", "a", "b"}) == "(error) ERR no such key");
  CHECK(h.Run({"RENAME", "a", "a"}) == "(error) ERR no such key");
  h.Run({"SET", "a", "1", "EX", "100"});
  CHECK(h.Run({"RENAME", "a", "a"}) == "OK");
  CHECK(h.Run({"RENAMENX", "a", "a"}) == "(integer) 0");
  h.Run({"SET", "b", "2"});
  CHECK(h.Run({"RENAMENX", "a", "b"}) == "(integer) 0");
  CHECK(h.Run({"RENAME", "a", "b"}) == "OK");
  CHECK(h.Run({"GET", "b"}) == "\"1\"");
  CHECK(h.Run({"TTL", "b"}) == "(integer) 100");
  CHECK(h.Run({"EXISTS", "a"}) == "(integer) 0");
  CHECK(h.Run({"RENAMENX", "b", "c"}) == "(integer) 1");
  h.Run({"SET", "d", "x"});
  CHECK(h.Run({"RENAME", "d", "c"}) == "OK");
  CHECK(h.Run({"TTL", "c"}) == "(integer) -1");
}

TEST_CASE("COPY") {
  CommandHarness h;
  h.Run({"SET", "a", "1", "EX", "100"});
  CHECK(h.Run({"COPY", "a", "b"}) == "(integer) 1");
  CHECK(h.Run({"TTL", "b"}) == "(integer) 100");
  CHECK(h.Run({"COPY", "a", "b"}) == "(integer) 0");
  h.Run({"SET", "a", "2"});
  CHECK(h.Run({"COPY", "a", "b", "REPLACE"}) == "(integer) 1");
  CHECK(h.Run({"GET", "b"}) == "\"2\"");
  CHECK(h.Run({"TTL", "b"}) == "(integer) -1");
  CHECK(h.Run({"COPY", "absent", "b", "REPLACE"}) == "(integer) 0");
  CHECK(h.Run({"GET", "b"}) == "\"2\"");
  CHECK(h.Run({"COPY", "a", "a", "DB", "3"}) == "(integer) 1");
  CHECK(h.Run({"COPY", "a", "a"}) == "(error) ERR source and destination objects are the same");
  CHECK(h.Run({"COPY", "a", "b", "DB", "16"}) == "(error) ERR DB index is out of range");
  CHECK(h.Run({"COPY", "a", "b", "DB", "-1"}) == "(error) ERR DB index is out of range");
  CHECK(h.Run({"COPY", "a", "b", "DB", "x"}) ==
        "(error) ERR value is not an integer or out of range");
  CHECK(h.Run({"COPY", "a", "b", "DB", "99999999999"}) ==
        "(error) ERR value is out of range, value must between -2147483648 and 2147483647");
  CHECK(h.Run({"COPY", "a", "b", "DB"}) == "(error) ERR syntax error");
  h.Run({"SELECT", "3"});
  CHECK(h.Run({"GET", "a"}) == "\"2\"");
}

TEST_CASE("a large value is shared between its copies") {
  CommandHarness h;
  const std::string value(50'000, 'z');
  h.Run({"SET", "a", value});
  h.Run({"COPY", "a", "b"});
  h.Run({"EXPIRE", "b", "100"});
  h.Run({"RENAME", "b", "c"});
  h.Run({"SETRANGE", "a", "0", "y"});
  CHECK(h.RunRaw({"GET", "c"}) == "$50000\r\n" + value + "\r\n");
  CHECK(h.Run({"GETRANGE", "a", "0", "1"}) == "\"yz\"");
}

TEST_CASE("MOVE") {
  CommandHarness h;
  h.Run({"SET", "a", "1", "EX", "100"});
  CHECK(h.Run({"MOVE", "a", "0"}) == "(error) ERR source and destination objects are the same");
  CHECK(h.Run({"MOVE", "a", "77"}) == "(error) ERR DB index is out of range");
  CHECK(h.Run({"MOVE", "a", "x"}) == "(error) ERR value is not an integer or out of range");
  CHECK(h.Run({"MOVE", "a", "9"}) == "(integer) 1");
  CHECK(h.Run({"MOVE", "a", "9"}) == "(integer) 0");
  h.Run({"SET", "a", "2"});
  CHECK(h.Run({"MOVE", "a", "9"}) == "(integer) 0");
  h.Run({"SELECT", "9"});
  CHECK(h.Run({"GET", "a"}) == "\"1\"");
  CHECK(h.Run({"TTL", "a"}) == "(integer) 100");
}

TEST_CASE("OBJECT") {
  CommandHarness h;
  h.Run({"MSET", "i", "12", "e", "abc", "r", std::string(45, 'x')});
  CHECK(h.Run({"OBJECT", "ENCODING", "i"}) == "\"int\"");
  CHECK(h.Run({"OBJECT", "ENCODING", "e"}) == "\"embstr\"");
  CHECK(h.Run({"OBJECT", "ENCODING", "r"}) == "\"raw\"");
  CHECK(h.Run({"OBJECT", "ENCODING", "absent"}) == "(nil)");
  CHECK(h.Run({"OBJECT", "REFCOUNT", "e"}) == "(integer) 1");
  for (const char* shared : {"0", "9999"}) {
    h.Run({"SET", "n", shared});
    CHECK(h.Run({"OBJECT", "REFCOUNT", "n"}) == "(integer) 2147483647");
  }
  for (const char* own : {"-1", "10000"}) {
    h.Run({"SET", "n", own});
    CHECK(h.Run({"OBJECT", "REFCOUNT", "n"}) == "(integer) 1");
  }
  CHECK(h.Run({"OBJECT", "IDLETIME", "e"}) == "(integer) 0");
  CHECK(h.Run({"OBJECT", "FREQ", "absent"}) == "(nil)");
  CHECK(h.Run({"OBJECT", "FREQ", "e"})
            .starts_with("(error) ERR An LFU maxmemory policy is not selected"));
  h.Set("maxmemory-policy", "allkeys-lfu");
  CHECK(h.Run({"OBJECT", "IDLETIME", "e"})
            .starts_with("(error) ERR An LFU maxmemory policy is selected"));
  CHECK(h.Run({"OBJECT", "HELP"}).starts_with("[OBJECT <subcommand>"));
}

}  // namespace
}  // namespace fluxkv::command
