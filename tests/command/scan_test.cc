// Goal: KEYS, SCAN, RANDOMKEY and DBSIZE show the keys of the selected database, each once.
// Method: commands through the dispatcher against a list made in the test.
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "command/glob_prefix.h"
#include "tests/command/harness.h"

namespace fluxkv::command {
namespace {

// The words between quotes.
std::vector<std::string> QuotedWords(const std::string& reply) {
  std::vector<std::string> words;
  size_t at = 0;
  while ((at = reply.find('"', at)) != std::string::npos) {
    size_t end = reply.find('"', at + 1);
    words.push_back(reply.substr(at + 1, end - at - 1));
    at = end + 1;
  }
  return words;
}

std::vector<std::string> KeysOf(CommandHarness& h, const std::string& pattern) {
  std::vector<std::string> keys = QuotedWords(h.Run({"KEYS", pattern}));
  std::sort(keys.begin(), keys.end());
  return keys;
}

// All keys that a whole iteration returns, in order; with their repetitions.
std::vector<std::string> ScanAll(CommandHarness& h, std::vector<std::string> options) {
  std::vector<std::string> keys;
  std::string cursor = "0";
  do {
    std::vector<std::string> command = {"SCAN", cursor};
    command.insert(command.end(), options.begin(), options.end());
    std::vector<std::string> words = QuotedWords(h.Run(command));
    cursor = words.at(0);
    keys.insert(keys.end(), words.begin() + 1, words.end());
  } while (cursor != "0");
  std::sort(keys.begin(), keys.end());
  return keys;
}

TEST_CASE("the literal beginning of a glob") {
  CHECK(ParseGlobPrefix("user:*").text == "user:");
  CHECK_FALSE(ParseGlobPrefix("user:*").whole);
  CHECK(ParseGlobPrefix("a\\*b").text == "a*b");
  CHECK(ParseGlobPrefix("a\\*b").whole);
  CHECK(ParseGlobPrefix("a\\").text == "a\\");
  CHECK(ParseGlobPrefix("a\\[b[c]").text == "a[b");
  CHECK(ParseGlobPrefix("?").text.empty());
  CHECK(ParseGlobPrefix("").whole);
}

TEST_CASE("KEYS") {
  CommandHarness h;
  using Words = std::vector<std::string>;
  h.Run({"MSET", "key_x", "1", "key_y", "2", "foo_a", "3", "foo*b", "4", "", "5"});
  CHECK(KeysOf(h, "*").size() == 5);
  CHECK(KeysOf(h, "key*") == Words{"key_x", "key_y"});
  CHECK(KeysOf(h, "foo_a") == Words{"foo_a"});
  CHECK(KeysOf(h, "foo\\*b") == Words{"foo*b"});
  CHECK(KeysOf(h, "foo?[ab]") == Words{"foo*b", "foo_a"});
  CHECK(KeysOf(h, "") == Words{""});
  CHECK(h.Run({"KEYS", "nothing"}) == "[]");
  CHECK(h.Run({"KEYS", "nothing*"}) == "[]");
  h.Run({"SELECT", "1"});
  CHECK(h.Run({"KEYS", "*"}) == "[]");
}

TEST_CASE("KEYS over many keys goes on in slices") {
  CommandHarness h;
  std::vector<std::string> expected;
  for (int i = 0; i < 20'000; ++i) {
    std::string key = "key:" + std::to_string(i);
    h.Run({"SET", key, "v"});
    if (i % 10 == 7) expected.push_back(key);
  }
  std::sort(expected.begin(), expected.end());
  CHECK(KeysOf(h, "*7") == expected);
  CHECK(KeysOf(h, "*").size() == 20'000);
  h.Run({"MULTI"});
  h.Run({"KEYS", "*7"});
  h.Run({"SET", "key:7b", "v"});
  std::vector<std::string> inside = QuotedWords(h.Run({"EXEC"}));
  CHECK(inside.size() == expected.size());
  CHECK(h.Run({"DBSIZE"}) == "(integer) 20001");
}

TEST_CASE("SCAN returns every key once") {
  CommandHarness h;
  std::set<std::string> expected;
  for (int i = 0; i < 1000; ++i) {
    std::string key = "key:" + std::to_string(i);
    h.Run({"SET", key, "v"});
    expected.insert(key);
  }
  std::vector<std::string> all(expected.begin(), expected.end());
  CHECK(ScanAll(h, {}) == all);
  CHECK(ScanAll(h, {"COUNT", "1"}) == all);
  CHECK(ScanAll(h, {"COUNT", "100000000"}) == all);
  CHECK(ScanAll(h, {"TYPE", "STRING"}) == all);
  CHECK(ScanAll(h, {"TYPE", "list"}).empty());
  CHECK(ScanAll(h, {"MATCH", "key:1??"}).size() == 100);
  CHECK(ScanAll(h, {"MATCH", "key:12?", "COUNT", "3"}).size() == 10);
  CHECK(ScanAll(h, {"MATCH", "key:77"}) == std::vector<std::string>{"key:77"});
}

TEST_CASE("SCAN's errors") {
  CommandHarness h;
  CHECK(h.Run({"SCAN", "x"}) == "(error) ERR invalid cursor");
  CHECK(h.Run({"SCAN", ""}) == "(error) ERR invalid cursor");
  CHECK(h.Run({"SCAN", "0", "COUNT", "0"}) == "(error) ERR syntax error");
  CHECK(h.Run({"SCAN", "0", "COUNT"}) == "(error) ERR syntax error");
  CHECK(h.Run({"SCAN", "0", "COUNT", "x"}) ==
        "(error) ERR value is not an integer or out of range");
  CHECK(h.Run({"SCAN", "0", "NOVALUES"}) == "(error) ERR syntax error");
  CHECK(h.Run({"SCAN", "18446744073709551615"}) == "[\"0\", []]");
}

TEST_CASE("RANDOMKEY and DBSIZE") {
  CommandHarness h;
  CHECK(h.Run({"RANDOMKEY"}) == "(nil)");
  CHECK(h.Run({"DBSIZE"}) == "(integer) 0");
  h.Run({"MSET", "a", "1", "b", "2"});
  CHECK(h.Run({"DBSIZE"}) == "(integer) 2");
  std::set<std::string> seen;
  for (int i = 0; i < 200; ++i) seen.insert(h.Run({"RANDOMKEY"}));
  CHECK(seen == std::set<std::string>{"\"a\"", "\"b\""});
}

}  // namespace
}  // namespace fluxkv::command
