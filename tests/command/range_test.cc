// RANGE, PREFIX, COUNTRANGE: bounds, options, cursors, against a std::map, in and out of a
// transaction with writes of its own.
#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/command/harness.h"
#include "tests/slower.h"

namespace fluxkv::command {
namespace {

using Words = std::vector<std::string>;
using Model = std::map<std::string, std::string>;

TEST_CASE("range: bounds, options and errors") {
  CommandHarness h;
  h.Run({"MSET", "a", "1", "b", "2", "ba", "3", "c", "4", "", "0"});
  CHECK(h.Run({"RANGE", "-", "+"}) == R"(["", "a", "b", "ba", "c"])");
  CHECK(h.Run({"RANGE", "[a", "[b"}) == R"(["a", "b"])");
  CHECK(h.Run({"RANGE", "(a", "(c"}) == R"(["b", "ba"])");
  CHECK(h.Run({"RANGE", "[", "("}) == "[]");
  CHECK(h.Run({"RANGE", "[", "["}) == R"([""])");
  CHECK(h.Run({"RANGE", "[c", "[a"}) == "[]");
  CHECK(h.Run({"RANGE", "+", "-"}) == "[]");
  CHECK(h.Run({"RANGE", "+", "+"}) == "[]");
  CHECK(h.Run({"RANGE", "-", "-"}) == "[]");
  CHECK(h.Run({"RANGE", "+", "-", "REV"}) == R"(["c", "ba", "b", "a", ""])");
  CHECK(h.Run({"RANGE", "(ba", "[a", "REV"}) == R"(["b", "a"])");
  CHECK(h.Run({"RANGE", "-", "+", "LIMIT", "2"}) == R"(["", "a"])");
  CHECK(h.Run({"RANGE", "+", "-", "LIMIT", "2", "REV"}) == R"(["c", "ba"])");
  CHECK(h.Run({"RANGE", "-", "+", "LIMIT", "0"}) == "[]");
  CHECK(h.Run({"RANGE", "[b", "+", "VALUES"}) == R"(["2", "3", "4"])");
  CHECK(h.Run({"RANGE", "[b", "[b", "WITHVALUES"}) == R"(["b", "2"])");
  CHECK(h.Run({"RANGE", "[b", "[ba", "KEYS"}) == R"(["b", "ba"])");
  CHECK(h.Run({"PREFIX", "b"}) == R"(["b", "ba"])");
  CHECK(h.Run({"PREFIX", "b", "REV", "WITHVALUES"}) == R"(["ba", "3", "b", "2"])");
  CHECK(h.Run({"PREFIX", "", "LIMIT", "1"}) == R"([""])");
  CHECK(h.Run({"PREFIX", "\xff"}) == "[]");
  CHECK(h.Run({"COUNTRANGE", "-", "+"}) == "(integer) 5");
  CHECK(h.Run({"COUNTRANGE", "(a", "[c"}) == "(integer) 3");
  for (const Words& bad : {Words{"RANGE", "a", "+"}, {"RANGE", "-", ""}, {"COUNTRANGE", "x", "+"}})
    CHECK(h.Run(bad) == "(error) ERR min or max not valid string range item");
  for (const Words& bad :
       {Words{"RANGE", "-", "+", "x"}, {"RANGE", "-", "+", "LIMIT"}, {"PREFIX", "b", "CURSOR"}})
    CHECK(h.Run(bad) == "(error) ERR syntax error");
  CHECK(h.Run({"RANGE", "-", "+", "LIMIT", "-1"}) ==
        "(error) ERR value is out of range, must be positive");
  CHECK(h.Run({"RANGE", "-", "+", "LIMIT", "x"}) ==
        "(error) ERR value is not an integer or out of range");
  CHECK(h.Run({"RANGE", "-", "+", "CURSOR", "17"}) == "(error) ERR invalid cursor");
  h.Run({"HELLO", "3"});
  CHECK(h.Run({"RANGE", "[b", "[ba", "WITHVALUES"}) == R"([["b", "2"], ["ba", "3"]])");
  h.Run({"MULTI"});
  h.Run({"SET", "bb", "5"});
  h.Run({"PREFIX", "b"});
  CHECK(h.Run({"EXEC"}) == R"([OK, ["b", "ba", "bb"]])");
}

TEST_CASE("range: a cursor goes on behind the last key, whatever came and went") {
  CommandHarness h;
  for (char key = 'a'; key <= 'g'; ++key) h.Run({"SET", std::string(1, key), "v"});
  CHECK(h.Run({"RANGE", "-", "+", "LIMIT", "3", "CURSOR", "0"}) == R"(["(c", ["a", "b", "c"]])");
  h.Run({"DEL", "c", "d"});
  h.Run({"SET", "cc", "v"});
  CHECK(h.Run({"RANGE", "-", "+", "LIMIT", "3", "CURSOR", "(c"}) == R"(["(f", ["cc", "e", "f"]])");
  CHECK(h.Run({"RANGE", "-", "+", "LIMIT", "3", "CURSOR", "(f"}) == R"(["0", ["g"]])");
  CHECK(h.Run({"RANGE", "+", "-", "REV", "LIMIT", "2", "CURSOR", "(f"}) ==
        R"(["(cc", ["e", "cc"]])");
  CHECK(h.Run({"RANGE", "[e", "+", "LIMIT", "2", "CURSOR", "(b"}) == R"(["(f", ["e", "f"]])");
  CHECK(h.Run({"RANGE", "-", "+", "CURSOR", "(zzz"}) == R"(["0", []])");
  CHECK(h.Run({"PREFIX", "c", "CURSOR", "0"}) == R"(["0", ["cc"]])");
}

std::string RandomKey(std::mt19937_64& random) {
  std::string key(random() % 7, '\0');
  for (char& byte : key) byte = "abc"[random() % 3];
  return key;
}

std::string Quoted(const Words& words) {
  std::string text = "[";
  for (const std::string& word : words) text += (text.size() > 1 ? ", \"" : "\"") + word + "\"";
  return text + "]";
}

TEST_CASE("range: random ranges against a model, with writes of a transaction among them") {
  const uint32_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  CommandHarness h;
  Model model, inside;
  bool open = false;
  for (int round = 0; round < 8000 / kSlower; ++round) {
    Model& seen = open ? inside : model;
    const std::string key = RandomKey(random), value = std::to_string(round);
    switch (random() % 8) {
      case 0:
      case 1:
        h.Run({"SET", key, value});
        seen[key] = value;
        continue;
      case 2:
        h.Run({"DEL", key});
        seen.erase(key);
        continue;
      case 3:
        if (random() % 4 != 0) continue;
        if (!open) {
          h.Run({"BEGIN"});
          inside = model;
        } else if (random() % 2 == 0) {
          REQUIRE(h.Run({"COMMIT"}).starts_with("(integer)"));
          model = inside;
        } else {
          h.Run({"ROLLBACK"});
        }
        open = !open;
        continue;
      default:
        break;
    }
    const std::string low = RandomKey(random), high = RandomKey(random);
    const bool low_in = random() % 2 == 0, high_in = random() % 2 == 0;
    const bool from_start = random() % 8 == 0, to_end = random() % 8 == 0;
    const bool down = random() % 2 == 0, pages = random() % 3 == 0;
    Words expected;
    for (const auto& [k, v] : seen) {
      if (!from_start && (low_in ? k < low : k <= low)) continue;
      if (!to_end && (high_in ? k > high : k >= high)) continue;
      expected.push_back(k);
    }
    if (down) std::reverse(expected.begin(), expected.end());
    const std::string min = from_start ? "-" : (low_in ? "[" : "(") + low;
    const std::string max = to_end ? "+" : (high_in ? "[" : "(") + high;
    REQUIRE(h.Run({"COUNTRANGE", min, max}) == "(integer) " + std::to_string(expected.size()));
    Words range = {"RANGE", down ? max : min, down ? min : max};
    if (down) range.push_back("REV");
    if (!pages) {
      REQUIRE(h.Run(range) == Quoted(expected));
      continue;
    }
    const size_t limit = 1 + random() % 5;
    std::string cursor = "0";
    for (size_t at = 0;; at += limit) {
      Words page(expected.begin() + static_cast<ptrdiff_t>(std::min(at, expected.size())),
                 expected.begin() + static_cast<ptrdiff_t>(std::min(at + limit, expected.size())));
      Words words = range;
      words.insert(words.end(), {"LIMIT", std::to_string(limit), "CURSOR", cursor});
      cursor = at + limit < expected.size() ? "(" + page.back() : "0";
      REQUIRE(h.Run(words) == "[\"" + cursor + "\", " + Quoted(page) + "]");
      if (cursor == "0") break;
    }
  }
}

}  // namespace
}  // namespace fluxkv::command
