#include "resp/writer.h"

#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>

#include <doctest/doctest.h>

namespace fluxkv::resp {
namespace {

std::string Written(int protocol, const std::function<void(Writer&)>& write) {
  Output output;
  Writer writer(output, protocol);
  write(writer);
  std::array<iovec, 64> pieces;
  int count = output.FillIovecs(pieces.data(), static_cast<int>(pieces.size()));
  std::string out;
  for (int i = 0; i < count; ++i) {
    const iovec& piece = pieces[static_cast<size_t>(i)];
    out.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
  }
  return out;
}

void CheckBoth(const std::function<void(Writer&)>& write, const std::string& two,
               const std::string& three) {
  CHECK(Written(2, write) == two);
  CHECK(Written(3, write) == three);
}

void CheckSame(const std::function<void(Writer&)>& write, const std::string& text) {
  CheckBoth(write, text, text);
}

std::string Format(double value) {
  char text[kDoubleBytesMax];
  return std::string(text, FormatDouble(value, text));
}

TEST_CASE("replies that are alike in both protocols") {
  CheckSame([](Writer& w) { w.Ok(); }, "+OK\r\n");
  CheckSame([](Writer& w) { w.SimpleString(""); }, "+\r\n");
  CheckSame([](Writer& w) { w.SimpleString("PONG"); }, "+PONG\r\n");
  CheckSame([](Writer& w) { w.Raw(replies::kQueued); }, "+QUEUED\r\n");
  CheckSame([](Writer& w) { w.ArrayHeader(0); }, "*0\r\n");
  CheckSame([](Writer& w) { w.ArrayHeader(1234567); }, "*1234567\r\n");
  CheckSame([](Writer& w) { w.Bulk(""); }, "$0\r\n\r\n");
  CheckSame([](Writer& w) { w.Bulk("hello"); }, "$5\r\nhello\r\n");
  CheckSame([](Writer& w) { w.BulkInteger(-12); }, "$3\r\n-12\r\n");
  CheckSame([](Writer& w) { w.BulkInteger(7); }, "$1\r\n7\r\n");
}

TEST_CASE("bulk lengths at every number of digits") {
  for (size_t size : {9, 10, 99, 100, 999, 1000, 100000}) {
    std::string value(size, 'v');
    CheckSame([&](Writer& w) { w.Bulk(value); },
              "$" + std::to_string(size) + "\r\n" + value + "\r\n");
    CheckSame([&](Writer& w) { w.BulkPinned(value.data(), value.size(), Pin()); },
              "$" + std::to_string(size) + "\r\n" + value + "\r\n");
  }
  CheckSame([](Writer& w) { w.BulkPinned("", 0, Pin()); }, "$0\r\n\r\n");
}

TEST_CASE("integers") {
  for (int64_t value : {int64_t{0}, int64_t{9}, int64_t{10}, int64_t{-1}, int64_t{123456},
                        std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min()}) {
    CheckSame([&](Writer& w) { w.Integer(value); }, ":" + std::to_string(value) + "\r\n");
  }
}

TEST_CASE("replies that differ") {
  CheckBoth([](Writer& w) { w.Null(); }, "$-1\r\n", "_\r\n");
  CheckBoth([](Writer& w) { w.NullArray(); }, "*-1\r\n", "_\r\n");
  CheckBoth([](Writer& w) { w.MapHeader(3); }, "*6\r\n", "%3\r\n");
  CheckBoth([](Writer& w) { w.SetHeader(3); }, "*3\r\n", "~3\r\n");
  CheckBoth([](Writer& w) { w.PushHeader(3); }, "*3\r\n", ">3\r\n");
  CheckBoth([](Writer& w) { w.Boolean(true); }, ":1\r\n", "#t\r\n");
  CheckBoth([](Writer& w) { w.Boolean(false); }, ":0\r\n", "#f\r\n");
  CheckBoth([](Writer& w) { w.Double(1.5); }, "$3\r\n1.5\r\n", ",1.5\r\n");
  CheckBoth([](Writer& w) { w.Verbatim("abc", "txt"); }, "$3\r\nabc\r\n", "=7\r\ntxt:abc\r\n");
  CheckBoth([](Writer& w) { w.BigNumber("12345"); }, "$5\r\n12345\r\n", "(12345\r\n");
  CHECK(Written(3, [](Writer& w) { w.AttributeHeader(1); }) == "|1\r\n");
}

TEST_CASE("doubles are written as Redis 7.2 writes them") {
  CHECK(Format(0.0) == "0");
  CHECK(Format(-0.0) == "-0");
  CHECK(Format(std::numeric_limits<double>::infinity()) == "inf");
  CHECK(Format(-std::numeric_limits<double>::infinity()) == "-inf");
  CHECK(Format(std::nan("")) == "nan");
  CHECK(Format(3.0) == "3");
  CHECK(Format(-17.0) == "-17");
  CHECK(Format(3.141) == "3.141");
  CHECK(Format(0.1) == "0.1");
  CHECK(Format(-1.5) == "-1.5");
  CHECK(Format(1e18) == "1000000000000000000");
  CHECK(Format(1e21) == "1e+21");
  CHECK(Format(1.5e300) == "1.5e+300");
  CHECK(Format(1e-5) == "0.00001");
  CHECK(Format(1e-6) == "0.000001");
  CHECK(Format(1e-7) == "1e-7");
  CHECK(Format(1.25e-7) == "1.25e-7");
  CHECK(Format(0.00123456789) == "0.00123456789");
  CHECK(Format(5e-324) == "5e-324");
  CHECK(Format(1.7976931348623157e308) == "1.7976931348623157e+308");
  CHECK(Format(1234.5678901) == "1234.5678901");
  CHECK(Format(123456789.12345679) == "1.2345678912345679e+8");
}

TEST_CASE("every double reads back as itself") {
  uint32_t seed = std::random_device{}();
  MESSAGE("seed " << seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 100000; ++i) {
    uint64_t bits = random();
    double value = 0;
    std::memcpy(&value, &bits, sizeof(value));
    if (!std::isfinite(value)) continue;
    std::string text = Format(value);
    CAPTURE(text);
    REQUIRE(text.size() < kDoubleBytesMax);
    REQUIRE(std::strtod(text.c_str(), nullptr) == value);
  }
}

TEST_CASE("errors: one line each, and noted") {
  Output output;
  Writer writer(output);
  CHECK_FALSE(writer.wrote_error());
  writer.Error("WRONGTYPE Operation against a key");
  CHECK(writer.wrote_error());
  CHECK(writer.error_code() == "WRONGTYPE");
  writer.Error("ERR syntax error");
  CHECK(writer.errors() == 2);
  CHECK(writer.error_code() == "ERR");
  writer.Error("nospace");
  CHECK(writer.error_code() == "ERR");
  writer.Error(std::string(30, 'C') + " text");
  CHECK(writer.error_code() == std::string(30, 'C'));
  writer.Error(std::string(31, 'C') + " text");
  CHECK(writer.error_code() == "ERR");
  writer.ResetErrors();
  CHECK_FALSE(writer.wrote_error());
  CHECK(writer.error_code().empty());

  CheckSame([](Writer& w) { w.Error("ERR a\r\nb\nc"); }, "-ERR a  b c\r\n");
  CheckSame([](Writer& w) { w.Error("\nERR a\r\n"); }, "-ERR a\r\n");
  CheckSame([](Writer& w) { w.Error(""); }, "-\r\n");
}

TEST_CASE("deferred lengths, nested") {
  auto write = [](Writer& w) {
    w.Integer(1);
    size_t outer = w.BeginDeferred();
    w.Bulk("k");
    size_t inner = w.BeginDeferred();
    w.Integer(2);
    w.BulkPinned("pinned", 6, Pin());
    w.EndDeferredMap(inner, 1);
    size_t set = w.BeginDeferred();
    w.EndDeferredSet(set, 0);
    w.EndDeferredArray(outer, 3);
    w.Ok();
  };
  CheckBoth(write, ":1\r\n*3\r\n$1\r\nk\r\n*2\r\n:2\r\n$6\r\npinned\r\n*0\r\n+OK\r\n",
            ":1\r\n*3\r\n$1\r\nk\r\n%1\r\n:2\r\n$6\r\npinned\r\n~0\r\n+OK\r\n");
}

}  // namespace
}  // namespace fluxkv::resp
