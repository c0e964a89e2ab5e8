// Goal: the string commands answer as Redis 7.2 does, change what they say and tell it.
// Method: commands through the dispatcher; replies, encodings, expiry and keyspace events.
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/command/harness.h"

namespace fluxkv::command {
namespace {

const std::string kWrong = "(error) WRONGTYPE";

std::string Encoding(CommandHarness& h, const std::string& key) {
  return h.Run({"OBJECT", "ENCODING", key});
}

// Keys are looked at some at a time (Context::ForKeys).
TEST_CASE("MGET, EXISTS and TOUCH of many keys, some absent, some twice, alone and in MULTI") {
  CommandHarness h;
  for (int i = 0; i < 40; i += 2)
    h.Run({"SET", "key:" + std::to_string(i), "value " + std::to_string(i)});
  for (const int count : {1, 2, 15, 16, 17, 31, 32, 33, 40}) {
    std::vector<std::string> words{"MGET"};
    std::string values;
    int found = 0;
    for (int i = 0; i < count; ++i) {
      const int key = i % 16 == 0 ? 2 : i;  // again beside each seam
      words.push_back("key:" + std::to_string(key));
      found += key % 2 == 0 ? 1 : 0;
      values += (i == 0 ? "" : ", ") +
                (key % 2 == 0 ? "\"value " + std::to_string(key) + "\"" : std::string("(nil)"));
    }
    CAPTURE(count);
    CHECK(h.Run(words) == "[" + values + "]");
    h.Run({"MULTI"});
    h.Run(words);
    CHECK(h.Run({"EXEC"}) == "[[" + values + "]]");
    for (const char* command : {"EXISTS", "TOUCH"}) {
      words[0] = command;
      CHECK(h.Run(words) == "(integer) " + std::to_string(found));
    }
  }
}

TEST_CASE("GET, SET and their options") {
  CommandHarness h;
  CHECK(h.Run({"GET", "k"}) == "(nil)");
  CHECK(h.Run({"SET", "k", "v"}) == "OK");
  CHECK(h.Run({"GET", "k"}) == "\"v\"");
  CHECK(h.Run({"SET", "k", "w", "NX"}) == "(nil)");
  CHECK(h.Run({"SET", "k", "w", "XX"}) == "OK");
  CHECK(h.Run({"SET", "absent", "w", "xx"}) == "(nil)");
  CHECK(h.Run({"SET", "k", "x", "GET"}) == "\"w\"");
  CHECK(h.Run({"SET", "k", "y", "NX", "GET"}) == "\"x\"");
  CHECK(h.Run({"GET", "k"}) == "\"x\"");
  CHECK(h.Run({"SET", "fresh", "y", "NX", "GET"}) == "(nil)");
  CHECK(h.Run({"GET", "fresh"}) == "\"y\"");
  for (std::vector<std::string> bad : {
           std::vector<std::string>{"SET", "k", "v", "NX", "XX"},
           {"SET", "k", "v", "EX"},
           {"SET", "k", "v", "EX", "10", "PX", "10"},
           {"SET", "k", "v", "KEEPTTL", "EX", "10"},
           {"SET", "k", "v", "EX", "10", "KEEPTTL"},
           {"SET", "k", "v", "PERSIST"},
           {"SET", "k", "v", "IFEQ"},
           {"SET", "k", "v", "NX", "IFEQ", "x"},
           {"SET", "k", "v", "IFEQ", "x", "XX"},
           {"SET", "k", "v", "foo"},
       }) {
    CHECK(h.Run(bad) == kSyntaxError);
  }
  CHECK(h.Run({"GET", "k"}) == "\"x\"");
}

TEST_CASE("SET with a deadline") {
  CommandHarness h;
  CHECK(h.Run({"SET", "k", "v", "EX", "100"}) == "OK");
  CHECK(h.Run({"TTL", "k"}) == "(integer) 100");
  CHECK(h.Run({"SET", "k", "v", "KEEPTTL"}) == "OK");
  CHECK(h.Run({"TTL", "k"}) == "(integer) 100");
  CHECK(h.Run({"SET", "k", "v"}) == "OK");
  CHECK(h.Run({"TTL", "k"}) == "(integer) -1");
  CHECK(h.Run({"SET", "k", "v", "EX", "5", "EX", "50"}) == "OK");
  CHECK(h.Run({"TTL", "k"}) == "(integer) 50");
  CHECK(h.Run({"SET", "k", "v", "PXAT", "33177117420000"}) == "OK");
  CHECK(h.Run({"PEXPIRETIME", "k"}) == "(integer) 33177117420000");
  CHECK(h.Run({"SET", "k", "v", "EXAT", "33177117420"}) == "OK");
  CHECK(h.Run({"EXPIRETIME", "k"}) == "(integer) 33177117420");
  CHECK(h.Run({"SET", "k", "v", "EXAT", "1"}) == "OK");
  CHECK(h.Run({"EXISTS", "k"}) == "(integer) 0");
  const std::string kInvalid = "(error) ERR invalid expire time in 'set' command";
  for (const char* bad : {"0", "-1", "9223372036854775807", "10000000000000000"}) {
    CHECK(h.Run({"SET", "k", "v", "EX", bad}) == kInvalid);
  }
  CHECK(h.Run({"SET", "k", "v", "PX", "9223372036854775807"}) == kInvalid);
  CHECK(h.Run({"SET", "k", "v", "EX", "abc"}) == kNotInt);
  CHECK(h.Run({"SETEX", "k", "0", "v"}) == "(error) ERR invalid expire time in 'setex' command");
  CHECK(h.Run({"PSETEX", "k", "-1", "v"}) == "(error) ERR invalid expire time in 'psetex' command");
  CHECK(h.Run({"SETEX", "k", "10", "v"}) == "OK");
  CHECK(h.Run({"TTL", "k"}) == "(integer) 10");
  CHECK(h.Run({"PSETEX", "k", "20000", "v"}) == "OK");
  CHECK(h.Run({"TTL", "k"}) == "(integer) 20");
}

TEST_CASE("compare and set, compare and delete") {
  CommandHarness h;
  CHECK(h.Run({"SET", "k", "new", "IFEQ", "old"}) == "(nil)");
  CHECK(h.Run({"EXISTS", "k"}) == "(integer) 0");
  h.Run({"SET", "k", "1"});
  CHECK(h.Run({"SET", "k", "2", "IFEQ", "7"}) == "(nil)");
  CHECK(h.Run({"SET", "k", "2", "IFEQ", "1"}) == "OK");
  CHECK(h.Run({"SET", "k", "3", "IFEQ", "1", "GET"}) == "\"2\"");
  CHECK(h.Run({"SET", "k", "3", "IFEQ", "2", "GET", "EX", "9"}) == "\"2\"");
  CHECK(h.Run({"GET", "k"}) == "\"3\"");
  CHECK(h.Run({"TTL", "k"}) == "(integer) 9");
  CHECK(h.Run({"DELIFEQ", "k", "2"}) == "(integer) 0");
  CHECK(h.Run({"DELIFEQ", "k", "3"}) == "(integer) 1");
  CHECK(h.Run({"DELIFEQ", "k", "3"}) == "(integer) 0");
}

TEST_CASE("GETSET, GETDEL, GETEX, SETNX") {
  CommandHarness h;
  CHECK(h.Run({"GETSET", "k", "1"}) == "(nil)");
  CHECK(h.Run({"EXPIRE", "k", "100"}) == "(integer) 1");
  CHECK(h.Run({"GETSET", "k", "2"}) == "\"1\"");
  CHECK(h.Run({"TTL", "k"}) == "(integer) -1");
  CHECK(h.Run({"GETEX", "k"}) == "\"2\"");
  CHECK(h.Run({"GETEX", "k", "EX", "100"}) == "\"2\"");
  CHECK(h.Run({"TTL", "k"}) == "(integer) 100");
  CHECK(h.Run({"GETEX", "k", "PERSIST"}) == "\"2\"");
  CHECK(h.Run({"TTL", "k"}) == "(integer) -1");
  CHECK(h.Run({"GETEX", "absent", "EX", "abc"}) == "(nil)");
  CHECK(h.Run({"GETEX", "k", "EX", "abc"}) == kNotInt);
  CHECK(h.Run({"GETEX", "k", "EX", "0"}) == "(error) ERR invalid expire time in 'getex' command");
  CHECK(h.Run({"GETEX", "k", "PERSIST", "EX", "1"}) == kSyntaxError);
  CHECK(h.Run({"GETEX", "k", "KEEPTTL"}) == kSyntaxError);
  CHECK(h.Run({"GETEX", "k", "NX"}) == kSyntaxError);
  CHECK(h.Run({"GETEX", "k", "PXAT", "1"}) == "\"2\"");
  CHECK(h.Run({"GET", "k"}) == "(nil)");
  CHECK(h.Run({"SETNX", "k", "v"}) == "(integer) 1");
  CHECK(h.Run({"SETNX", "k", "w"}) == "(integer) 0");
  CHECK(h.Run({"GETDEL", "k"}) == "\"v\"");
  CHECK(h.Run({"GETDEL", "k"}) == "(nil)");
}

TEST_CASE("several keys at once") {
  CommandHarness h;
  CHECK(h.Run({"MSET", "a", "1", "b", "2", "a", "3"}) == "OK");
  CHECK(h.Run({"MGET", "a", "b", "c", "a"}) == "[\"3\", \"2\", (nil), \"3\"]");
  CHECK(h.Run({"MSETNX", "c", "1", "a", "2"}) == "(integer) 0");
  CHECK(h.Run({"EXISTS", "c"}) == "(integer) 0");
  CHECK(h.Run({"MSETNX", "c", "1", "d", "2", "c", "3"}) == "(integer) 1");
  CHECK(h.Run({"GET", "c"}) == "\"3\"");
  CHECK(h.Run({"MSET", "a", "1", "b"}) ==
        "(error) ERR wrong number of arguments for 'mset' command");
  CHECK(h.Run({"MSETNX", "a", "1", "b"}) ==
        "(error) ERR wrong number of arguments for 'msetnx' command");
}

TEST_CASE("parts of strings") {
  CommandHarness h;
  CHECK(h.Run({"APPEND", "k", "12"}) == "(integer) 2");
  CHECK(Encoding(h, "k") == "\"int\"");
  CHECK(h.Run({"EXPIRE", "k", "100"}) == "(integer) 1");
  CHECK(h.Run({"APPEND", "k", "34"}) == "(integer) 4");
  CHECK(Encoding(h, "k") == "\"raw\"");
  CHECK(h.Run({"TTL", "k"}) == "(integer) 100");
  CHECK(h.Run({"STRLEN", "k"}) == "(integer) 4");
  CHECK(h.Run({"STRLEN", "absent"}) == "(integer) 0");
  CHECK(h.Run({"GETRANGE", "k", "1", "-2"}) == "\"23\"");
  CHECK(h.Run({"SUBSTR", "k", "-2", "-1"}) == "\"34\"");
  CHECK(h.Run({"GETRANGE", "absent", "0", "-1"}) == "\"\"");
  CHECK(h.Run({"GETRANGE", "k", "a", "0"}) == kNotInt);
  CHECK(h.Run({"SETRANGE", "k", "1", "xy"}) == "(integer) 4");
  CHECK(h.Run({"GET", "k"}) == "\"1xy4\"");
  CHECK(h.Run({"SETRANGE", "absent", "3", ""}) == "(integer) 0");
  CHECK(h.Run({"EXISTS", "absent"}) == "(integer) 0");
  CHECK(h.Run({"SETRANGE", "k", "-1", "x"}) == "(error) ERR offset is out of range");
  const std::string kTooLong =
      "(error) ERR string exceeds maximum allowed size (proto-max-bulk-len)";
  CHECK(h.Run({"SETRANGE", "k", "536870908", "world"}) == kTooLong);
  CHECK(h.Run({"SETRANGE", "k", "9223372036854775807", "world"}) == kTooLong);
  h.Set("proto-max-bulk-len", "1048576");
  CHECK(h.Run({"SETRANGE", "k", "1048575", "x"}) == "(integer) 1048576");
  CHECK(h.Run({"APPEND", "k", "x"}) == kTooLong);
  CHECK(h.Run({"STRLEN", "k"}) == "(integer) 1048576");
}

TEST_CASE("large values are whole") {
  CommandHarness h;
  const std::string value(100'000, 'q');
  h.Run({"SET", "k", value});
  CHECK(h.RunRaw({"GET", "k"}) == "$100000\r\n" + value + "\r\n");
  CHECK(h.RunRaw({"GETRANGE", "k", "10", "60000"}) ==
        "$59991\r\n" + value.substr(0, 59'991) + "\r\n");
  CHECK(h.RunRaw({"GETDEL", "k"}) == "$100000\r\n" + value + "\r\n");
  CHECK(h.Run({"GET", "k"}) == "(nil)");
}

TEST_CASE("numbers") {
  CommandHarness h;
  CHECK(h.Run({"INCR", "n"}) == "(integer) 1");
  CHECK(Encoding(h, "n") == "\"int\"");
  h.Run({"EXPIRE", "n", "100"});
  CHECK(h.Run({"INCRBY", "n", "41"}) == "(integer) 42");
  CHECK(h.Run({"DECR", "n"}) == "(integer) 41");
  CHECK(h.Run({"DECRBY", "n", "50"}) == "(integer) -9");
  CHECK(h.Run({"TTL", "n"}) == "(integer) 100");
  CHECK(h.Run({"INCRBY", "n", "x"}) == kNotInt);
  CHECK(h.Run({"DECRBY", "n", "-9223372036854775808"}) == "(error) ERR decrement would overflow");
  h.Run({"SET", "n", "9223372036854775807"});
  CHECK(h.Run({"INCR", "n"}) == "(error) ERR increment or decrement would overflow");
  CHECK(h.Run({"GET", "n"}) == "\"9223372036854775807\"");
  for (const char* bad : {"11 ", " 11", "    11    ", "1.5", ""}) {
    h.Run({"SET", "n", bad});
    CHECK(h.Run({"INCR", "n"}) == kNotInt);
  }
}

TEST_CASE("decimal numbers") {
  CommandHarness h;
  CHECK(h.Run({"INCRBYFLOAT", "f", "1"}) == "\"1\"");
  CHECK(Encoding(h, "f") == "\"embstr\"");
  CHECK(h.Run({"INCRBYFLOAT", "f", "0.25"}) == "\"1.25\"");
  CHECK(h.Run({"INCRBYFLOAT", "f", "5.0e3"}) == "\"5001.25\"");
  h.Run({"SET", "f", "3"});
  CHECK(h.Run({"INCRBYFLOAT", "f", "1.1"}) == "\"4.1\"");
  CHECK(h.Run({"INCRBYFLOAT", "f", "abc"}) == "(error) ERR value is not a valid float");
  CHECK(h.Run({"INCRBYFLOAT", "f", "+inf"}) ==
        "(error) ERR increment would produce NaN or Infinity");
  h.Run({"SET", "f", " 11"});
  CHECK(h.Run({"INCRBYFLOAT", "f", "1"}) == "(error) ERR value is not a valid float");
}

TEST_CASE("LCS") {
  CommandHarness h;
  h.Run({"MSET", "a", "ohmytext", "b", "mynewtext"});
  CHECK(h.Run({"LCS", "a", "b"}) == "\"mytext\"");
  CHECK(h.Run({"LCS", "a", "b", "LEN"}) == "(integer) 6");
  CHECK(h.Run({"LCS", "a", "b", "IDX"}) ==
        "[\"matches\", [[[(integer) 4, (integer) 7], [(integer) 5, (integer) 8]], "
        "[[(integer) 2, (integer) 3], [(integer) 0, (integer) 1]]], \"len\", (integer) 6]");
  CHECK(h.Run({"LCS", "a", "b", "IDX", "MINMATCHLEN", "4", "WITHMATCHLEN"}) ==
        "[\"matches\", [[[(integer) 4, (integer) 7], [(integer) 5, (integer) 8], (integer) 4]], "
        "\"len\", (integer) 6]");
  CHECK(h.Run({"LCS", "a", "absent"}) == "\"\"");
  CHECK(h.Run({"LCS", "a", "b", "IDX", "LEN"}) ==
        "(error) ERR If you want both the length and indexes, please just use IDX.");
  CHECK(h.Run({"LCS", "a", "b", "MINMATCHLEN"}) == kSyntaxError);
  h.Run({"MSET", "a", std::string(20'000, 'a'), "b", std::string(20'000, 'b')});
  CHECK(h.Run({"LCS", "a", "b"}) ==
        "(error) ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
}

TEST_CASE("events of strings") {
  CommandHarness h;
  h.Set("notify-keyspace-events", "EAn");
  h.Run({"PSUBSCRIBE", "*"}, 1);
  auto events = [&](std::vector<std::string> command) {
    h.Run(std::move(command));
    std::string names;
    for (const std::string& message : h.Messages(1)) {
      size_t begin = message.find("__:");
      if (begin == std::string::npos) continue;
      names += (names.empty() ? "" : " ") +
               message.substr(begin + 3, message.find('"', begin) - begin - 3);
    }
    return names;
  };
  CHECK(events({"SET", "k", "1"}) == "new set");
  CHECK(events({"SET", "k", "1", "EX", "100"}) == "set expire");
  CHECK(events({"SET", "k", "1", "NX"}).empty());
  CHECK(events({"INCR", "k"}) == "incrby");
  CHECK(events({"INCRBYFLOAT", "k", "1"}) == "incrbyfloat");
  CHECK(events({"APPEND", "k", "1"}) == "append");
  CHECK(events({"SETRANGE", "k", "1", "x"}) == "setrange");
  CHECK(events({"SETBIT", "k", "1", "1"}) == "setbit");
  CHECK(events({"SETBIT", "k", "1", "1"}).empty());
  CHECK(events({"GETEX", "k", "PERSIST"}) == "persist");
  CHECK(events({"GETEX", "k", "EX", "9"}) == "expire");
  CHECK(events({"GETDEL", "k"}) == "del");
  CHECK(events({"MSET", "a", "1", "b", "2"}) == "new set new set");
  CHECK(events({"RENAME", "a", "c"}) == "new rename_from rename_to");
  CHECK(events({"COPY", "c", "d"}) == "new copy_to");
  CHECK(events({"MOVE", "d", "1"}) == "new move_from move_to");
  CHECK(events({"EXPIRE", "c", "-1"}) == "del");
  CHECK(events({"BITOP", "NOT", "e", "b"}) == "new set");
  CHECK(events({"DEL", "b", "e"}) == "del del");
}

}  // namespace
}  // namespace fluxkv::command
