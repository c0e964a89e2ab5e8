// Goal: a string keeps its bytes, encoding and expiry through every operation on it.
// Method: versions made by hand, no store.
#include "types/string_value.h"

#include <string>

#include <doctest/doctest.h>

namespace fluxkv::types {
namespace {

using engine::kNoExpiry;
using engine::VersionPtr;

constexpr int64_t kDeadline = 1'700'000'000'000;

std::string Text(const VersionPtr& version) {
  return std::string(StringView(*version).bytes());
}

TEST_CASE("a value given whole gets Redis's encoding") {
  struct Case {
    std::string text;
    std::string_view encoding;
  };
  for (const Case& c : {
           Case{"0", "int"},
           Case{"-1", "int"},
           Case{"9223372036854775807", "int"},
           Case{"-9223372036854775808", "int"},
           Case{"9223372036854775808", "embstr"},
           Case{"-9223372036854775809", "embstr"},
           Case{"", "embstr"},
           Case{"-", "embstr"},
           Case{"-0", "embstr"},
           Case{"007", "embstr"},
           Case{"+1", "embstr"},
           Case{" 1", "embstr"},
           Case{"1 ", "embstr"},
           Case{"1.0", "embstr"},
           Case{std::string("1\0", 2), "embstr"},
           Case{std::string(44, 'x'), "embstr"},
           Case{std::string(45, 'x'), "raw"},
           Case{std::string(100'000, 'x'), "raw"},
       }) {
    CAPTURE(c.text.substr(0, 50));
    VersionPtr version = NewString(c.text, kNoExpiry);
    CHECK(version->type() == kTypeString);
    CHECK(EncodingName(*version) == c.encoding);
    CHECK(Text(version) == c.text);
    CHECK(StringSize(*version) == c.text.size());
  }
}

TEST_CASE("integers are read back from every encoding") {
  CHECK(TryInt(*NewInt(-5, kNoExpiry)) == -5);
  CHECK(TryInt(*NewText("12", kNoExpiry)) == 12);
  CHECK(TryInt(*SetRange(nullptr, 0, "77")) == 77);
  CHECK_FALSE(TryInt(*NewString("12a", kNoExpiry)));
  CHECK_FALSE(TryInt(*NewString("", kNoExpiry)));
  CHECK_FALSE(TryInt(*NewString("9223372036854775808", kNoExpiry)));
}

TEST_CASE("a view of an integer survives being copied") {
  VersionPtr version = NewInt(-1234567890123456789, kNoExpiry);
  StringView copy(nullptr);
  {
    StringView view(*version);
    copy = view;
  }
  CHECK(copy.bytes() == "-1234567890123456789");
  CHECK(StringView(copy).size() == 20);
  CHECK(StringView(static_cast<const engine::Version*>(nullptr)).bytes().empty());
}

TEST_CASE("append gives raw bytes and keeps the expiry") {
  VersionPtr number = NewInt(12, kDeadline);
  VersionPtr longer = Append(*number, "34");
  CHECK(Text(longer) == "1234");
  CHECK(EncodingName(*longer) == "raw");
  CHECK(longer->expiry_ms() == kDeadline);
  CHECK(Text(Append(*longer, "")) == "1234");
  VersionPtr large = Append(*NewString(std::string(9000, 'a'), kNoExpiry), "b");
  CHECK(large->blob() != nullptr);
  CHECK(Text(large) == std::string(9000, 'a') + "b");
  CHECK_FALSE(large->has_expiry());
}

TEST_CASE("setrange fills gaps with zeros") {
  using std::string_literals::operator""s;
  CHECK(Text(SetRange(nullptr, 2, "ab")) == "\0\0ab"s);
  VersionPtr old = NewString("hello", kDeadline);
  VersionPtr patched = SetRange(old.get(), 1, "EL");
  CHECK(Text(patched) == "hELlo");
  CHECK(patched->expiry_ms() == kDeadline);
  CHECK(EncodingName(*patched) == "raw");
  CHECK(Text(SetRange(old.get(), 4, "Oxy")) == "hellOxy");
  CHECK(Text(SetRange(old.get(), 7, "z")) == "hello\0\0z"s);
  CHECK(Text(SetRange(NewInt(1234, kNoExpiry).get(), 1, "x")) == "1x34");
  CHECK(Text(CopyGrown(old.get(), 3)) == "hello");
  CHECK(Text(CopyGrown(old.get(), 6)) == "hello\0"s);
}

TEST_CASE("getrange clamps both ends") {
  constexpr std::string_view kText = "Hello World";
  CHECK(GetRange(kText, 0, 3) == "Hell");
  CHECK(GetRange(kText, 0, -1) == kText);
  CHECK(GetRange(kText, -4, -1) == "orld");
  CHECK(GetRange(kText, 5, 3).empty());
  CHECK(GetRange(kText, 5, 5000) == " World");
  CHECK(GetRange(kText, -5000, 10000) == kText);
  CHECK(GetRange(kText, 11, 11).empty());
  CHECK(GetRange(kText, -1, -100).empty());
  CHECK(GetRange(kText, -100, -99) == "H");
  CHECK(GetRange(kText, -100, -101).empty());
  CHECK(GetRange(kText, 0, -100) == "H");
  CHECK(GetRange(kText, 1, -100).empty());
  CHECK(GetRange("", 0, -1).empty());
  CHECK(GetRange(kText, INT64_MIN, INT64_MAX) == kText);
}

TEST_CASE("type names") {
  CHECK(TypeName(kTypeString) == "string");
  CHECK(TypeName(99) == "none");
}

}  // namespace
}  // namespace fluxkv::types
