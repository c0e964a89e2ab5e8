// Goal: payloads are those of Redis, in both directions, and no damage gets through.
// Method: payloads recorded from Redis 7.0 (RDB version 10), round trips, every byte flipped and
// every payload cut at every place.
#include "types/dump.h"

#include <cstdint>
#include <string>
#include <string_view>

#include <doctest/doctest.h>

#include "types/crc64.h"
#include "types/lzf.h"
#include "types/string_value.h"

namespace fluxkv::types {
namespace {

constexpr size_t kNoBound = size_t{1} << 30;

std::string FromHex(std::string_view hex) {
  auto digit = [](char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10); };
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(digit(hex[i]) << 4 | digit(hex[i + 1])));
  }
  return bytes;
}

// A payload with a good footer around any body.
std::string Seal(std::string body, uint16_t version = kRdbVersion) {
  body.push_back(static_cast<char>(version & 0xff));
  body.push_back(static_cast<char>(version >> 8));
  uint64_t checksum = Crc64(body);
  for (int i = 0; i < 8; ++i) body.push_back(static_cast<char>(checksum >> (8 * i) & 0xff));
  return body;
}

TEST_CASE("checksum") {
  CHECK(Crc64("123456789") == 0xe9c6d914c4b8d9caULL);
  CHECK(Crc64("") == 0);
}

TEST_CASE("payloads of Redis are read") {
  struct Case {
    std::string_view hex;
    std::string text;
  };
  for (const Case& c : {
           Case{"00c0000a009840a778f8500308", "0"},
           Case{"00c0ff0a000c937e2485089dc5", "-1"},
           Case{"00c17fff0a001760822854808480", "-129"},
           Case{"00c2008000000a0045d82eedd5bda910", "32768"},
           Case{"00c2ff7fffff0a00aee34c4d06c68536", "-32769"},
           Case{"000a323134373438333634380a00e7b129a34c1d76ee", "2147483648"},
           Case{"000568656c6c6f0a006372df766534200a", "hello"},
           Case{"00c30615016161e00a000a00fd0cb36807413f68", std::string(21, 'a')},
           Case{"00c3094064016161e057000161610a00e8a3b507b06df271", std::string(100, 'a')},
           Case{"00c312390361626361e01a020258595ae004260162630a0001411a8a14f8cd71",
                "abcabcabcabcabcabcabcabcabcabcabcabcabcXYZabcabcabcabcabc"},
       }) {
    CAPTURE(c.text);
    DumpResult result = ParseDump(FromHex(c.hex), kNoBound);
    CHECK(result.outcome == DumpOutcome::kString);
    CHECK(result.bytes == c.text);
  }
}

TEST_CASE("what is written is the form of Redis") {
  auto body = [](std::string_view text) {
    std::string payload = DumpString(*NewString(text, engine::kNoExpiry));
    return payload.substr(0, payload.size() - 10);
  };
  CHECK(body("0") == FromHex("00c000"));
  CHECK(body("-129") == FromHex("00c17fff"));
  CHECK(body("32768") == FromHex("00c200800000"));
  CHECK(body("2147483648") == FromHex("000a32313437343833363438"));
  CHECK(body("hello") == FromHex("000568656c6c6f"));
  CHECK(body(std::string(64, 'x')).substr(0, 3) == FromHex("004040"));
  CHECK(body(std::string(20'000, 'x')).substr(0, 6) == FromHex("008000004e20"));
}

TEST_CASE("round trips") {
  for (std::string text : {std::string(), std::string("a\0b\r\n", 5), std::string("12345678901"),
                           std::string("-2147483649"), std::string(63, 'a'), std::string(64, 'b'),
                           std::string(16'383, 'c'), std::string(16'384, 'd')}) {
    DumpResult result = ParseDump(DumpString(*NewString(text, engine::kNoExpiry)), kNoBound);
    CHECK(result.outcome == DumpOutcome::kString);
    CHECK(result.bytes == text);
  }
}

TEST_CASE("footers that are refused") {
  std::string good = DumpString(*NewString("hello", engine::kNoExpiry));
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x40);
    CHECK(ParseDump(bad, kNoBound).outcome == DumpOutcome::kBadFooter);
    CHECK(ParseDump(good.substr(0, i), kNoBound).outcome == DumpOutcome::kBadFooter);
  }
  CHECK(ParseDump(Seal(FromHex("000161"), 12), kNoBound).outcome == DumpOutcome::kBadFooter);
  CHECK(ParseDump(Seal(FromHex("000161"), 1), kNoBound).outcome == DumpOutcome::kString);
}

TEST_CASE("bodies that are refused") {
  for (std::string_view hex : {
           "",                             // nothing
           "00",                           // no string
           "010161",                       // a list
           "0005616263",                   // shorter than it says
           "00c1ff",                       // half an integer
           "00c4",                         // no such encoding
           "0082000000016100",             // no such length
           "0081ffffffffffffffff61",       // far too long
           "00c3",                         // LZF without lengths
           "00c3050a0161",                 // LZF shorter than it says
           "00c303408061612000",           // a distance before the beginning
           "00c3028100000000ffffffff0061"  // unpacks to less than it says
       }) {
    CAPTURE(hex);
    CHECK(ParseDump(Seal(FromHex(hex)), kNoBound).outcome == DumpOutcome::kBadFormat);
  }
  CHECK(ParseDump(Seal(FromHex("000568656c6c6f")), 4).outcome == DumpOutcome::kBadFormat);
}

TEST_CASE("damaged LZF never gets out of its bounds") {
  const std::string packed = FromHex("0361626361e01a020258595ae00426016263");
  REQUIRE(UnpackLzf(packed, 57).has_value());
  CHECK_FALSE(UnpackLzf(packed, 56));
  CHECK_FALSE(UnpackLzf(packed, 58));
  CHECK_FALSE(UnpackLzf("", size_t{1} << 40));
  CHECK(UnpackLzf("", 0) == "");
  for (size_t i = 0; i < packed.size(); ++i) {
    CHECK_FALSE(UnpackLzf(std::string(packed.begin(), packed.begin() + static_cast<long>(i)), 57));
    for (int value = 0; value < 256; ++value) {
      std::string bad = packed;
      bad[i] = static_cast<char>(value);
      std::optional<std::string> out = UnpackLzf(bad, 57);
      CHECK((!out || out->size() == 57));
    }
  }
}

}  // namespace
}  // namespace fluxkv::types
