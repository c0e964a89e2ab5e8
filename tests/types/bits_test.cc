// Goal: counting, searching, combining and fields agree with doing it bit by bit.
// Method: random strings of all small sizes against loops over single bits.
#include "types/bits.h"

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace fluxkv::types {
namespace {

std::string RandomBytes(std::mt19937_64& random, size_t size) {
  std::string bytes(size, '\0');
  // Runs of equal bytes, so that searches go far.
  for (size_t i = 0; i < size; ++i) {
    uint64_t r = random();
    bytes[i] = r % 4 == 0 ? static_cast<char>(r >> 8) : (r % 4 == 1 ? '\xff' : '\0');
  }
  return bytes;
}

TEST_CASE("bit ranges against single bits") {
  std::mt19937_64 random(1);
  for (size_t size = 1; size <= 40; ++size) {
    for (int round = 0; round < 40; ++round) {
      std::string bytes = RandomBytes(random, size);
      uint64_t first = random() % (size * 8);
      uint64_t last = first + random() % (size * 8 - first);
      uint64_t count = 0;
      std::optional<uint64_t> first_one;
      std::optional<uint64_t> first_zero;
      for (uint64_t i = first; i <= last; ++i) {
        bool bit = GetBit(bytes, i);
        count += bit ? 1 : 0;
        std::optional<uint64_t>& found = bit ? first_one : first_zero;
        if (!found) found = i;
      }
      CHECK(CountBits(bytes, first, last) == count);
      CHECK(FindBit(bytes, true, first, last) == first_one);
      CHECK(FindBit(bytes, false, first, last) == first_zero);
    }
  }
}

TEST_CASE("bits behind the end are zero") {
  CHECK(GetBit("\x80", 0));
  CHECK_FALSE(GetBit("\x80", 1));
  CHECK_FALSE(GetBit("\x80", 8));
  CHECK_FALSE(GetBit("", 0));
  CHECK(GetField("\xff", {false, 16}, 4) == 0xf000);
  CHECK(GetField("", {true, 64}, uint64_t{1} << 40) == 0);
}

TEST_CASE("combining against single bytes") {
  std::mt19937_64 random(2);
  for (int round = 0; round < 400; ++round) {
    std::vector<std::string> texts;
    for (size_t i = 0; i < 1 + random() % 5; ++i) {
      texts.push_back(RandomBytes(random, random() % 30));
    }
    size_t size = 0;
    for (const std::string& text : texts) size = std::max(size, text.size());
    std::vector<std::string_view> sources(texts.begin(), texts.end());
    for (BitOperation operation :
         {BitOperation::kAnd, BitOperation::kOr, BitOperation::kXor, BitOperation::kNot}) {
      if (operation == BitOperation::kNot && sources.size() != 1) continue;
      std::string result(size, 'x');
      CombineBits(operation, sources, result.data());
      for (size_t i = 0; i < size; ++i) {
        auto at = [&](size_t s) {
          return i < texts[s].size() ? static_cast<unsigned char>(texts[s][i]) : 0u;
        };
        unsigned expected = at(0);
        if (operation == BitOperation::kNot) expected = ~expected & 0xff;
        for (size_t s = 1; s < texts.size(); ++s) {
          if (operation == BitOperation::kAnd) expected &= at(s);
          if (operation == BitOperation::kOr) expected |= at(s);
          if (operation == BitOperation::kXor) expected ^= at(s);
        }
        REQUIRE(static_cast<unsigned char>(result[i]) == expected);
      }
    }
  }
}

TEST_CASE("fields of every type at every place") {
  std::mt19937_64 random(3);
  for (int round = 0; round < 5000; ++round) {
    bool is_signed = random() % 2 == 0;
    FieldType type{is_signed, static_cast<uint8_t>(1 + random() % (is_signed ? 64 : 63))};
    std::string bytes = RandomBytes(random, 20);
    std::string before = bytes;
    uint64_t offset = random() % (160 - type.bits);
    auto value = static_cast<int64_t>(random());
    int64_t stored = *FitField(type, value, Overflow::kWrap);
    SetField(bytes.data(), type, offset, stored);
    CHECK(GetField(bytes, type, offset) == stored);
    for (uint64_t i = 0; i < 160; ++i) {
      if (i < offset || i >= offset + type.bits) REQUIRE(GetBit(bytes, i) == GetBit(before, i));
    }
  }
}

TEST_CASE("overflow of fields") {
  constexpr FieldType kU8{false, 8};
  constexpr FieldType kI8{true, 8};
  constexpr FieldType kI64{true, 64};
  constexpr FieldType kU63{false, 63};
  constexpr int64_t kMax = INT64_MAX;
  constexpr int64_t kMin = INT64_MIN;
  CHECK(FitField(kU8, 257, Overflow::kWrap) == 1);
  CHECK(FitField(kU8, 257, Overflow::kSaturate) == 255);
  CHECK(FitField(kU8, 257, Overflow::kFail) == std::nullopt);
  // A negative number is a huge one for an unsigned type, as in Redis.
  CHECK(FitField(kU8, -1, Overflow::kSaturate) == 255);
  CHECK(FitField(kU8, -1, Overflow::kWrap) == 255);
  CHECK(FitField(kI8, 128, Overflow::kWrap) == -128);
  CHECK(FitField(kI8, 128, Overflow::kSaturate) == 127);
  CHECK(FitField(kI8, -129, Overflow::kSaturate) == -128);
  CHECK(FitField(kI64, kMin, Overflow::kFail) == kMin);
  CHECK(AddField(kU8, 250, 10, Overflow::kWrap) == 4);
  CHECK(AddField(kU8, 250, 10, Overflow::kSaturate) == 255);
  CHECK(AddField(kU8, 5, -10, Overflow::kWrap) == 251);
  CHECK(AddField(kU8, 5, -10, Overflow::kSaturate) == 0);
  CHECK(AddField(kU8, 5, -10, Overflow::kFail) == std::nullopt);
  CHECK(AddField(kI8, 127, 1, Overflow::kWrap) == -128);
  CHECK(AddField(kI8, -128, -1, Overflow::kWrap) == 127);
  CHECK(AddField(kI64, kMax, 1, Overflow::kWrap) == kMin);
  CHECK(AddField(kI64, kMax, 1, Overflow::kSaturate) == kMax);
  CHECK(AddField(kI64, kMin, -1, Overflow::kSaturate) == kMin);
  CHECK(AddField(kI64, kMin, kMin, Overflow::kFail) == std::nullopt);
  CHECK(AddField(kU63, kMax, kMax, Overflow::kSaturate) == kMax);
  CHECK(AddField(kU63, kMax, 1, Overflow::kWrap) == 0);
}

}  // namespace
}  // namespace fluxkv::types
