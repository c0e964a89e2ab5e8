// Goal: the bitmap commands answer as Redis 7.2 does.
// Method: commands through the dispatcher, with results that Redis gives.
#include <string>

#include <doctest/doctest.h>

#include "tests/command/harness.h"

namespace fluxkv::command {
namespace {

const std::string kBadOffset = "(error) ERR bit offset is not an integer or out of range";

TEST_CASE("SETBIT and GETBIT") {
  CommandHarness h;
  CHECK(h.Run({"SETBIT", "k", "1", "1"}) == "(integer) 0");
  CHECK(h.Run({"GET", "k"}) == "\"@\"");
  CHECK(h.Run({"SETBIT", "k", "1", "0"}) == "(integer) 1");
  CHECK(h.Run({"GETBIT", "k", "1"}) == "(integer) 0");
  CHECK(h.Run({"GETBIT", "k", "4000000000"}) == "(integer) 0");
  h.Run({"SET", "n", "1"});
  h.Run({"EXPIRE", "n", "100"});
  CHECK(h.Run({"SETBIT", "n", "6", "1"}) == "(integer) 0");
  CHECK(h.Run({"GET", "n"}) == "\"3\"");
  CHECK(h.Run({"OBJECT", "ENCODING", "n"}) == "\"raw\"");
  CHECK(h.Run({"TTL", "n"}) == "(integer) 100");
  CHECK(h.Run({"SETBIT", "z", "15", "0"}) == "(integer) 0");
  CHECK(h.Run({"STRLEN", "z"}) == "(integer) 2");
  for (const char* bad : {"-1", "4294967296", "x", "99999999999999999999", ""}) {
    CHECK(h.Run({"SETBIT", "k", bad, "1"}) == kBadOffset);
    CHECK(h.Run({"GETBIT", "k", bad}) == kBadOffset);
  }
  for (const char* bad : {"-1", "2", "x"}) {
    CHECK(h.Run({"SETBIT", "k", "0", bad}) == "(error) ERR bit is not an integer or out of range");
  }
}

TEST_CASE("BITCOUNT") {
  CommandHarness h;
  h.Run({"SET", "s", "foobar"});
  CHECK(h.Run({"BITCOUNT", "s"}) == "(integer) 26");
  CHECK(h.Run({"BITCOUNT", "s", "0", "0"}) == "(integer) 4");
  CHECK(h.Run({"BITCOUNT", "s", "1", "1", "BYTE"}) == "(integer) 6");
  CHECK(h.Run({"BITCOUNT", "s", "5", "30", "BIT"}) == "(integer) 17");
  CHECK(h.Run({"BITCOUNT", "s", "-2"}) == "(integer) 7");
  CHECK(h.Run({"BITCOUNT", "s", "0", "-5"}) == "(integer) 10");
  CHECK(h.Run({"BITCOUNT", "s", "-2", "1000"}) == "(integer) 7");
  CHECK(h.Run({"BITCOUNT", "s", "-6", "-7"}) == "(integer) 0");
  CHECK(h.Run({"BITCOUNT", "s", "-6", "-15", "bit"}) == "(integer) 0");
  CHECK(h.Run({"BITCOUNT", "absent", "0", "-1"}) == "(integer) 0");
  CHECK(h.Run({"BITCOUNT", "s", "0"}) == "(integer) 26");
  CHECK(h.Run({"BITCOUNT", "s", "0", "1", "hello"}) == kSyntaxError);
  CHECK(h.Run({"BITCOUNT", "absent", "0", "1", "hello", "x"}) == kSyntaxError);
  CHECK(h.Run({"BITCOUNT", "absent", "a", "b"}) == kNotInt);
}

TEST_CASE("BITPOS") {
  CommandHarness h;
  h.Run({"SETBIT", "k", "23", "0"});
  CHECK(h.Run({"BITPOS", "k", "1"}) == "(integer) -1");
  CHECK(h.Run({"BITPOS", "k", "0"}) == "(integer) 0");
  CHECK(h.Run({"BITPOS", "absent", "0"}) == "(integer) 0");
  CHECK(h.Run({"BITPOS", "absent", "1"}) == "(integer) -1");
  h.Run({"SET", "ones", "\xff\xff\xff"});
  CHECK(h.Run({"BITPOS", "ones", "0"}) == "(integer) 24");
  CHECK(h.Run({"BITPOS", "ones", "0", "0"}) == "(integer) 24");
  CHECK(h.Run({"BITPOS", "ones", "0", "0", "-1"}) == "(integer) -1");
  CHECK(h.Run({"BITPOS", "ones", "0", "5"}) == "(integer) -1");
  CHECK(h.Run({"BITPOS", "ones", "1", "1"}) == "(integer) 8");
  CHECK(h.Run({"BITPOS", "ones", "1", "-1", "-1"}) == "(integer) 16");
  CHECK(h.Run({"BITPOS", "ones", "1", "9", "10", "BIT"}) == "(integer) 9");
  CHECK(h.Run({"BITPOS", "k", "2"}) == "(error) ERR The bit argument must be 1 or 0.");
  CHECK(h.Run({"BITPOS", "k", "a"}) == kNotInt);
  CHECK(h.Run({"BITPOS", "k", "0", "a", "b"}) == kNotInt);
  CHECK(h.Run({"BITPOS", "k", "0", "0", "1", "hello"}) == kSyntaxError);
  CHECK(h.Run({"BITPOS", "k", "0", "0", "1", "bit", "x"}) == kSyntaxError);
  h.Run({"SET", "empty", ""});
  CHECK(h.Run({"BITPOS", "empty", "0"}) == "(integer) -1");
}

TEST_CASE("BITOP") {
  CommandHarness h;
  h.Run({"MSET", "a", "\x01\x02\xff", "b", "\x01\x02\xff\xff"});
  CHECK(h.Run({"BITOP", "AND", "r", "a", "b"}) == "(integer) 4");
  CHECK(h.RunRaw({"GET", "r"}) == std::string("$4\r\n\x01\x02\xff\0\r\n", 10));
  CHECK(h.Run({"BITOP", "OR", "r", "a", "b", "absent"}) == "(integer) 4");
  CHECK(h.RunRaw({"GET", "r"}) == "$4\r\n\x01\x02\xff\xff\r\n");
  CHECK(h.Run({"BITOP", "xor", "r", "a", "a"}) == "(integer) 3");
  CHECK(h.RunRaw({"GET", "r"}) == std::string("$3\r\n\0\0\0\r\n", 9));
  CHECK(h.Run({"BITOP", "NOT", "r", "a"}) == "(integer) 3");
  CHECK(h.RunRaw({"GET", "r"}) == std::string("$3\r\n\xfe\xfd\0\r\n", 9));
  CHECK(h.Run({"BITOP", "NOT", "a", "a"}) == "(integer) 3");
  CHECK(h.RunRaw({"GET", "a"}) == std::string("$3\r\n\xfe\xfd\0\r\n", 9));
  CHECK(h.Run({"BITOP", "AND", "r", "absent", "absent2"}) == "(integer) 0");
  CHECK(h.Run({"EXISTS", "r"}) == "(integer) 0");
  CHECK(h.Run({"BITOP", "NOT", "r", "a", "b"}) ==
        "(error) ERR BITOP NOT must be called with a single source key.");
  CHECK(h.Run({"BITOP", "NAND", "r", "a", "b"}) == kSyntaxError);
}

TEST_CASE("BITFIELD") {
  CommandHarness h;
  CHECK(h.Run({"BITFIELD", "b", "SET", "i8", "0", "-100", "SET", "i8", "0", "101", "GET", "i8",
               "0"}) == "[(integer) 0, (integer) -100, (integer) 101]");
  CHECK(h.Run({"BITFIELD", "b", "SET", "u8", "#1", "255", "GET", "u8", "#0"}) ==
        "[(integer) 0, (integer) 101]");
  CHECK(h.Run({"BITFIELD", "b", "INCRBY", "u8", "#1", "10"}) == "[(integer) 9]");
  CHECK(h.Run({"BITFIELD", "b",        "OVERFLOW", "SAT",    "INCRBY", "u8", "#1",
               "250",      "OVERFLOW", "FAIL",     "INCRBY", "u8",     "#1", "1",
               "OVERFLOW", "WRAP",     "INCRBY",   "u8",     "#1",     "2"}) ==
        "[(integer) 255, (nil), (integer) 1]");
  CHECK(h.Run({"BITFIELD", "b"}) == "[]");
  CHECK(h.Run({"BITFIELD", "absent", "GET", "u8", "0"}) == "[(integer) 0]");
  CHECK(h.Run({"EXISTS", "absent"}) == "(integer) 0");
  CHECK(h.Run({"BITFIELD_RO", "b", "GET", "u8", "0", "GET", "i4", "#2"}) ==
        "[(integer) 101, (integer) 0]");
  CHECK(h.Run({"BITFIELD_RO", "b", "SET", "u8", "0", "1"}) ==
        "(error) ERR BITFIELD_RO only supports the GET subcommand");
  const std::string kBadType =
      "(error) ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not "
      "supported but i64 is.";
  for (const char* bad : {"u64", "i65", "u0", "x8", "i", "", "u-1"}) {
    CHECK(h.Run({"BITFIELD", "b", "GET", bad, "0"}) == kBadType);
  }
  CHECK(h.Run({"BITFIELD", "b", "GET", "u8", "-1"}) == kBadOffset);
  CHECK(h.Run({"BITFIELD", "b", "GET", "u8", "#9223372036854775807"}) == kBadOffset);
  CHECK(h.Run({"BITFIELD", "b", "OVERFLOW", "x", "GET", "u8", "0"}) ==
        "(error) ERR Invalid OVERFLOW type specified");
  CHECK(h.Run({"BITFIELD", "b", "SET", "u8", "0"}) == kSyntaxError);
  CHECK(h.Run({"BITFIELD", "b", "INCRBY", "u8", "0", "x"}) == kNotInt);
}

}  // namespace
}  // namespace fluxkv::command
