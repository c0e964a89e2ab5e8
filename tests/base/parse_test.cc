#include "base/parse.h"

#include <chrono>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace fluxkv {
namespace {

using Words = std::vector<std::string>;

TEST_CASE("ParseInt64 takes the one canonical form of every 64-bit integer") {
  CHECK(ParseInt64("0") == 0);
  CHECK(ParseInt64("-1") == -1);
  CHECK(ParseInt64("9223372036854775807") == std::numeric_limits<int64_t>::max());
  CHECK(ParseInt64("-9223372036854775808") == std::numeric_limits<int64_t>::min());
  for (const char* bad : {"", "-", "+1", " 1", "1 ", "01", "-0", "-01", "1.0", "a", "1a",
                          "9223372036854775808", "-9223372036854775809", "100000000000000000000"}) {
    CAPTURE(bad);
    CHECK_FALSE(ParseInt64(bad).has_value());
  }
  CHECK_FALSE(ParseInt64(std::string_view("1\0", 2)).has_value());
}

TEST_CASE("ParseUint64 takes digits only") {
  CHECK(ParseUint64("0") == 0u);
  CHECK(ParseUint64("007") == 7u);
  CHECK(ParseUint64("18446744073709551615") == std::numeric_limits<uint64_t>::max());
  for (const char* bad : {"", "-1", "+1", " 1", "1x", "18446744073709551616"}) {
    CAPTURE(bad);
    CHECK_FALSE(ParseUint64(bad).has_value());
  }
}

TEST_CASE("ParseLongDouble and ParseDouble take a whole number and nothing else") {
  CHECK(ParseDouble("1.5") == 1.5);
  CHECK(ParseDouble("-1e3") == -1000.0);
  CHECK(ParseDouble("0x10") == 16.0);
  CHECK(ParseDouble("inf") == std::numeric_limits<double>::infinity());
  CHECK(ParseDouble("4.9e-324").has_value());  // denormal
  CHECK(ParseLongDouble("3.0") == 3.0L);
  CHECK(ParseLongDouble("1e400").has_value());
  CHECK(std::isinf(*ParseLongDouble("-Infinity")));
  for (const char* bad : {"", " 1", "\t1", "1 ", "1x", "nan", "-nan", "1e5000", "1e-5000", "--1"}) {
    CAPTURE(bad);
    CHECK_FALSE(ParseDouble(bad).has_value());
    CHECK_FALSE(ParseLongDouble(bad).has_value());
  }
  CHECK_FALSE(ParseDouble("1e400").has_value());
  CHECK_FALSE(ParseDouble(std::string_view("1\0", 2)).has_value());
  CHECK_FALSE(ParseLongDouble(std::string_view("1\0", 2)).has_value());
  CHECK(ParseLongDouble(std::string(5119, '1')).has_value() == false);  // leaves the range
  CHECK(ParseLongDouble(std::string(5118, '0') + "1") == 1.0L);
  CHECK_FALSE(ParseLongDouble(std::string(5119, '0') + "1").has_value());  // longer than any number
}

TEST_CASE("FormatLongDouble writes 17 places and cuts zeros") {
  CHECK(FormatLongDouble(0.0L) == "0");
  CHECK(FormatLongDouble(-0.0L) == "0");
  CHECK(FormatLongDouble(10.5L) == "10.5");
  CHECK(FormatLongDouble(100.0L) == "100");
  CHECK(FormatLongDouble(-3.0L) == "-3");
  CHECK(FormatLongDouble(1e-17L) == "0.00000000000000001");
  CHECK(FormatLongDouble(1e-19L) == "0");
  CHECK(FormatLongDouble(*ParseLongDouble("3.14")) == "3.14");
  CHECK(FormatLongDouble(std::numeric_limits<long double>::infinity()) == "inf");
  CHECK(FormatLongDouble(-std::numeric_limits<long double>::infinity()) == "-inf");
  CHECK(FormatLongDouble(std::nanl("")) == "nan");
  CHECK(FormatLongDouble(std::numeric_limits<long double>::max()).size() == 4933);
}

TEST_CASE("ParseBytes reads units and refuses what does not fit") {
  CHECK(ParseBytes("0") == 0u);
  CHECK(ParseBytes("100") == 100u);
  CHECK(ParseBytes("1b") == 1u);
  CHECK(ParseBytes("1k") == 1000u);
  CHECK(ParseBytes("1kb") == 1024u);
  CHECK(ParseBytes("2M") == 2000000u);
  CHECK(ParseBytes("2Mb") == 2097152u);
  CHECK(ParseBytes("3g") == 3000000000u);
  CHECK(ParseBytes("3GB") == 3221225472u);
  CHECK(ParseBytes("18446744073709551615") == std::numeric_limits<uint64_t>::max());
  CHECK(ParseBytes("17179869183gb") == 17179869183u * (uint64_t{1} << 30));
  for (const char* bad : {"", "gb", "-1", "+1", "1 kb", "1kb ", "1tb", "1bb", "1kk", "1.5gb",
                          "0x10", "18446744073709551616", "17179869184gb"}) {
    CAPTURE(bad);
    CHECK_FALSE(ParseBytes(bad).has_value());
  }
  CHECK_FALSE(ParseBytes(std::string(200, '0')).has_value());
}

TEST_CASE("case") {
  CHECK(EqualsIgnoreCase("GeT", "gEt"));
  CHECK_FALSE(EqualsIgnoreCase("get", "gets"));
  CHECK_FALSE(EqualsIgnoreCase("[", "{"));  // differ by the case bit only, but are no letters
  CHECK(ToLower("Az[\xc3") == "az[\xc3");
  CHECK(ToUpper("aZ{\xe3") == "AZ{\xe3");
}

TEST_CASE("GlobMatch: so many stars match nothing") {
  const auto stars = [](size_t count) {
    std::string pattern;
    for (size_t i = 0; i < count; ++i) pattern += "*?";
    return pattern;
  };
  const std::string text(2 * kGlobStarsMax, 'a');
  CHECK(GlobMatch(stars(kGlobStarsMax), text));
  CHECK(GlobMatch(stars(kGlobStarsMax) + "*", text));
  CHECK_FALSE(GlobMatch(stars(kGlobStarsMax + 1), text));
}

TEST_CASE("GlobMatch: the elements of a pattern") {
  CHECK(GlobMatch("", ""));
  CHECK_FALSE(GlobMatch("", "a"));
  CHECK_FALSE(GlobMatch("*", ""));  // as Redis
  CHECK(GlobMatch("*", "a"));
  CHECK(GlobMatch("a**", "a"));
  CHECK(GlobMatch("h?llo", "hello"));
  CHECK_FALSE(GlobMatch("h?llo", "hllo"));
  CHECK(GlobMatch("h*llo", "heeeello"));
  CHECK(GlobMatch("*ab*ab", "abababab"));
  CHECK_FALSE(GlobMatch("*ab*abc", "abababab"));
  CHECK(GlobMatch("h[ae]llo", "hallo"));
  CHECK_FALSE(GlobMatch("h[ae]llo", "hillo"));
  CHECK(GlobMatch("h[^e]llo", "hallo"));
  CHECK_FALSE(GlobMatch("h[^e]llo", "hello"));
  CHECK(GlobMatch("h[a-c]llo", "hbllo"));
  CHECK(GlobMatch("h[c-a]llo", "hbllo"));
  CHECK_FALSE(GlobMatch("h[a-c]llo", "hdllo"));
  CHECK(GlobMatch("\\*", "*"));
  CHECK_FALSE(GlobMatch("\\*", "a"));
  CHECK(GlobMatch("a\\", "a\\"));
  CHECK(GlobMatch("[\\]]", "]"));
  CHECK(GlobMatch("[a", "a"));  // never closed: ends with the pattern
  CHECK(GlobMatch("[^", "a"));
  CHECK_FALSE(GlobMatch("[", "a"));
  CHECK_FALSE(GlobMatch("[]", "a"));
  CHECK(GlobMatch("[a-]", "_"));  // a range up to ']', which then does not close
  CHECK(GlobMatch(std::string_view("a\0*", 3), std::string_view("a\0b", 3)));
}

TEST_CASE("GlobMatch: ignoring case") {
  CHECK(GlobMatch("HeLLo*", "hEllO world", true));
  CHECK_FALSE(GlobMatch("HeLLo", "hello"));
  CHECK(GlobMatch("[A-C]", "b", true));
  CHECK(GlobMatch("[abc]", "B", true));
  CHECK_FALSE(GlobMatch("[\\a]", "A", true));  // an escaped member keeps its case, as in Redis
  CHECK(GlobMatch("\\a", "A", true));
}

// One star tried at every place: slow, and plainly right.
bool GlobOracle(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '*') {
    for (size_t taken = 0; taken <= text.size(); ++taken) {
      if (GlobOracle(pattern.substr(1), text.substr(taken))) return true;
    }
    return false;
  }
  if (text.empty()) return false;
  if (pattern[0] == '[') {
    bool negated = pattern[1] == '^';
    size_t close = pattern.find(']');
    std::string_view members = pattern.substr(negated ? 2 : 1, close - (negated ? 2 : 1));
    bool found = members.find(text[0]) != std::string_view::npos;
    return found != negated && GlobOracle(pattern.substr(close + 1), text.substr(1));
  }
  return (pattern[0] == '?' || pattern[0] == text[0]) &&
         GlobOracle(pattern.substr(1), text.substr(1));
}

TEST_CASE("GlobMatch agrees with a plain recursive matcher on random patterns") {
  uint32_t seed = std::random_device{}();
  MESSAGE("seed " << seed);
  std::mt19937 random(seed);
  const std::vector<std::string> elements = {"a", "b", "c", "?", "*", "*", "[ab]", "[^a]"};
  for (int round = 0; round < 50000; ++round) {
    std::string pattern;
    std::string text;
    for (uint32_t i = random() % 7; i > 0; --i) pattern += elements[random() % elements.size()];
    for (uint32_t i = 1 + random() % 8; i > 0; --i) text += static_cast<char>('a' + random() % 3);
    CAPTURE(pattern);
    CAPTURE(text);
    REQUIRE(GlobMatch(pattern, text) == GlobOracle(pattern, text));
  }
}

TEST_CASE("GlobMatch: a hostile pattern costs no more than pattern times text") {
  std::string pattern;
  for (int i = 0; i < 1000; ++i) pattern += "a*";
  pattern += "b";
  std::string text(20000, 'a');
  auto start = std::chrono::steady_clock::now();
  CHECK_FALSE(GlobMatch(pattern, text));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
}

TEST_CASE("QuoteBytes") {
  CHECK(QuoteBytes("") == "\"\"");
  CHECK(QuoteBytes(std::string_view("a\0\n", 3)) == "\"a\\x00\\n\"");
  CHECK(QuoteBytes("\r\t\a\b") == "\"\\r\\t\\a\\b\"");
  CHECK(QuoteBytes("\"\\'") == "\"\\\"\\\\'\"");
  CHECK(QuoteBytes("\x7f\xff~ ") == "\"\\x7f\\xff~ \"");
}

TEST_CASE("SplitArguments") {
  CHECK(SplitArguments("") == Words{});
  CHECK(SplitArguments("  \t\v ") == Words{});
  CHECK(SplitArguments(" set a  b ") == Words{"set", "a", "b"});
  CHECK(SplitArguments("\"\" ''") == Words{"", ""});
  CHECK(SplitArguments("\"a b\" 'c d'") == Words{"a b", "c d"});
  CHECK(SplitArguments("ab\"c d\"") == Words{"abc d"});
  CHECK(SplitArguments("\"\\x41\\n\\r\\t\\b\\a\\q\\\"\\\\\"") == Words{"A\n\r\t\b\aq\"\\"});
  CHECK(SplitArguments("\"\\xZZ\"") == Words{"xZZ"});
  CHECK(SplitArguments("\"\\x4\"") == Words{"x4"});
  CHECK(SplitArguments("'\\n\\''") == Words{"\\n'"});
  CHECK(SplitArguments("a\\n") == Words{"a\\n"});
  CHECK(SplitArguments("a\vb") ==
        Words{"a\vb"});  // a vertical tab separates, but does not end a word
  CHECK(SplitArguments(std::string_view("a b\0c", 5)) == Words{"a", "b"});
  for (const char* bad :
       {"\"", "'", "\"a", "'a", "\"a\"b", "'a'b", "\"a\\", "\"a\\\"", "'a\\'", "\"\"\"k\"\"\""}) {
    CAPTURE(bad);
    CHECK_FALSE(SplitArguments(bad).has_value());
  }
}

TEST_CASE("SplitArguments reads back what QuoteBytes writes") {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  CHECK(SplitArguments(QuoteBytes(all)) == Words{all});
}

}  // namespace
}  // namespace fluxkv
