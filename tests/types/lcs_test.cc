// Goal: the longest common subsequence and its ranges are right.
// Method: known results of Redis, and random strings against the definition.
#include "types/lcs.h"

#include <random>
#include <string>

#include <doctest/doctest.h>

namespace fluxkv::types {
namespace {

TEST_CASE("what Redis answers") {
  LcsResult result = *ComputeLcs("ohmytext", "mynewtext");
  CHECK(result.text == "mytext");
  REQUIRE(result.matches.size() == 2);
  CHECK(result.matches[0].first_begin == 4);
  CHECK(result.matches[0].first_end == 7);
  CHECK(result.matches[0].second_begin == 5);
  CHECK(result.matches[0].second_end == 8);
  CHECK(result.matches[0].size() == 4);
  CHECK(result.matches[1].first_begin == 2);
  CHECK(result.matches[1].second_begin == 0);
  CHECK(ComputeLcsLength("ohmytext", "mynewtext") == 6);
}

TEST_CASE("empty strings have nothing in common") {
  CHECK(ComputeLcs("", "")->text.empty());
  CHECK(ComputeLcs("abc", "")->matches.empty());
  CHECK(ComputeLcsLength("", "abc") == 0);
  CHECK(LcsTableBytes(0, 0) == 4);
  CHECK(LcsTableBytes(9, 4) == 200);
  CHECK(LcsTableBytes(uint64_t{1} << 32, uint64_t{1} << 32) == std::nullopt);
}

TEST_CASE("ranges cover the subsequence in both strings") {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    std::string a;
    std::string b;
    for (size_t i = 0; i < random() % 40; ++i) a.push_back(static_cast<char>('a' + random() % 3));
    for (size_t i = 0; i < random() % 40; ++i) b.push_back(static_cast<char>('a' + random() % 3));
    LcsResult result = *ComputeLcs(a, b);
    CHECK(result.text.size() == ComputeLcsLength(a, b));
    CHECK(result.text.size() == ComputeLcsLength(b, a));
    std::string from_a;
    std::string from_b;
    for (size_t i = result.matches.size(); i-- > 0;) {
      const LcsMatch& match = result.matches[i];
      from_a += a.substr(match.first_begin, match.size());
      from_b += b.substr(match.second_begin, match.second_end - match.second_begin + 1);
    }
    CHECK(from_a == result.text);
    CHECK(from_b == result.text);
  }
}

}  // namespace
}  // namespace fluxkv::types
