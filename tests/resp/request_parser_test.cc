#include "resp/request_parser.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/slower.h"

namespace fluxkv::resp {
namespace {

using Request = std::vector<std::string>;
using Outcome = RequestParser::Outcome;
using Limits = RequestParser::Limits;

struct Parsed {
  std::vector<Request> requests;
  std::string error;
  bool operator==(const Parsed&) const = default;
};

// A block of exactly the input's size: one byte read too far is an error of the address sanitizer.
class ExactBlock {
 public:
  explicit ExactBlock(std::string_view bytes)
      : bytes_(new char[bytes.size()]), size_(bytes.size()) {
    if (size_ > 0) std::memcpy(bytes_.get(), bytes.data(), size_);
  }
  std::string_view view() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<char[]> bytes_;
  size_t size_;
};

// Parses as a connection does, the input arriving up to each of `cuts` in turn; each arrival moves
// the buffer.
Parsed ParseInPieces(std::string_view input, const std::vector<size_t>& cuts,
                     const Limits& limits) {
  RequestParser parser;
  Parsed out;
  std::vector<std::string_view> arguments;
  size_t done = 0;
  for (size_t cut : cuts) {
    ExactBlock block(input.substr(done, cut - done));
    size_t offset = 0;
    for (;;) {
      size_t consumed = 0;
      Outcome outcome =
          parser.Next(block.view().substr(offset), limits, arguments, consumed, out.error);
      offset += consumed;
      if (outcome == Outcome::kError) return out;
      if (outcome == Outcome::kNeedMore) break;
      REQUIRE_FALSE(arguments.empty());
      out.requests.emplace_back(arguments.begin(), arguments.end());
    }
    done += offset;
  }
  return out;
}

std::vector<size_t> EveryByte(size_t size) {
  std::vector<size_t> cuts;
  for (size_t i = 0; i <= size; ++i) cuts.push_back(i);
  return cuts;
}

// The input whole, cut once at every place, and cut at every byte must all give the same.
Parsed Parse(std::string_view input, const Limits& limits = Limits()) {
  Parsed whole = ParseInPieces(input, {input.size()}, limits);
  if (input.size() < 400) {
    for (size_t cut = 0; cut <= input.size(); ++cut) {
      CAPTURE(cut);
      REQUIRE(ParseInPieces(input, {cut, input.size()}, limits) == whole);
    }
    REQUIRE(ParseInPieces(input, EveryByte(input.size()), limits) == whole);
  }
  return whole;
}

std::string Error(std::string_view input, const Limits& limits = Limits()) {
  Parsed parsed = Parse(input, limits);
  CHECK(parsed.requests.empty());
  return parsed.error;
}

std::string Encode(const Request& request) {
  std::string out = "*" + std::to_string(request.size()) + "\r\n";
  for (const std::string& argument : request) {
    out += "$" + std::to_string(argument.size()) + "\r\n" + argument + "\r\n";
  }
  return out;
}

const std::string kProtocolError = "ERR Protocol error: ";

TEST_CASE("arrays of bulks") {
  CHECK(Parse("*1\r\n$4\r\nPING\r\n").requests == std::vector<Request>{{"PING"}});
  CHECK(Parse("*2\r\n$0\r\n\r\n$2\r\n\r\n\r\n").requests == std::vector<Request>{{"", "\r\n"}});
  Request request = {"SET",
                     "key",
                     std::string(9, 'a'),
                     std::string(10, 'b'),
                     std::string(99, 'c'),
                     std::string("\0\r\n$1", 5)};
  CHECK(Parse(Encode(request)).requests == std::vector<Request>{request});
  Request long_one = {std::string(100, 'd'), std::string(999, 'e'), std::string(20000, 'f')};
  CHECK(Parse(Encode(long_one)).requests == std::vector<Request>{long_one});
}

TEST_CASE("pipelines, and empty requests are skipped") {
  Parsed parsed =
      Parse("\r\n*0\r\n*-1\r\n*-10\r\n  \r\n*1\r\n$1\r\na\r\nPING\r\n\n*1\r\n$1\r\nb\r\n");
  CHECK(parsed.error.empty());
  CHECK(parsed.requests == std::vector<Request>{{"a"}, {"PING"}, {"b"}});
}

TEST_CASE("inline commands") {
  CHECK(Parse("PING\r\n").requests == std::vector<Request>{{"PING"}});
  CHECK(Parse("PING\n").requests == std::vector<Request>{{"PING"}});
  CHECK(Parse(" set  a\tb \r\n").requests == std::vector<Request>{{"set", "a", "b"}});
  CHECK(Parse("set \"a \\x41\" 'b\\''\r\nx\r\n").requests ==
        std::vector<Request>{{"set", "a A", "b'"}, {"x"}});
  CHECK(Parse("a\r b\r\n").requests == std::vector<Request>{{"a", "b"}});
  CHECK(Parse("$4\r\n").requests == std::vector<Request>{{"$4"}});
  CHECK(Parse(std::string_view("a b\0c\r\n", 7)).requests == std::vector<Request>{{"a", "b"}});
  CHECK(Parse("get \"\"\r\n").requests == std::vector<Request>{{"get", ""}});
}

TEST_CASE("errors of arrays") {
  for (const char* input :
       {"*\r\n", "*x\r\n", "*1x\r\n", "*+1\r\n", "*01\r\n", "*-0\r\n", "*--1\r\n", "* 1\r\n",
        "*3000000000\r\n", "*2147483648\r\n", "*99999999999999999999\r\n", "**1\r\n"}) {
    CAPTURE(input);
    CHECK(Error(input) == kProtocolError + "invalid multibulk length");
  }
  CHECK(Error("*1\r\nfoo\r\n") == kProtocolError + "expected '$', got 'f'");
  CHECK(Error("*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n") ==
        kProtocolError + "expected '$', got 'f'");
  CHECK(Error("*2\r\n$1\r\na\r\n\r\n") == kProtocolError + "expected '$', got '\r'");
  for (const char* length :
       {"", "-1", "-10", "x", "1x", "+1", "01", "00", "-0", "536870913", "2000000000",
        "9223372036854775807", "99999999999999999999", "blabla"}) {
    std::string input = std::string("*2\r\n$1\r\na\r\n$") + length + "\r\n";
    CAPTURE(length);
    CHECK(Error(input) == kProtocolError + "invalid bulk length");
  }
}

TEST_CASE("requests before an error are given out") {
  Parsed parsed = Parse("*1\r\n$1\r\na\r\n*1\r\n+b\r\n");
  CHECK(parsed.requests == std::vector<Request>{{"a"}});
  CHECK(parsed.error == kProtocolError + "expected '$', got '+'");
}

TEST_CASE("counts and lengths exactly at their limits") {
  Limits limits;
  limits.arguments_max = 3;
  limits.bulk_bytes_max = 12;
  CHECK(Parse(Encode({"a", "b", "c"}), limits).requests.size() == 1);
  CHECK(Error(Encode({"a", "b", "c", "d"}), limits) == kProtocolError + "invalid multibulk length");
  CHECK(Parse(Encode({std::string(12, 'x')}), limits).requests.size() == 1);
  CHECK(Error(Encode({std::string(13, 'x')}), limits) == kProtocolError + "invalid bulk length");

  RequestParser parser;
  std::vector<std::string_view> arguments;
  size_t consumed = 0;
  std::string error;
  CHECK(parser.Next("*2147483647\r\n$536870912\r\nab", Limits(), arguments, consumed, error) ==
        Outcome::kNeedMore);
  CHECK(parser.bytes_wanted() == 536870912 + 2 - 2);
  CHECK(parser.in_request());
  CHECK(parser.memory_bytes() < 65536);
  CHECK(arguments.capacity() * sizeof(arguments[0]) < 65536);
}

TEST_CASE("before authentication only small requests") {
  Limits limits;
  limits.authenticated = false;
  Request ten(10, "a");
  CHECK(Parse(Encode(ten), limits).requests == std::vector<Request>{ten});
  CHECK(Error(Encode(Request(11, "a")), limits) ==
        kProtocolError + "unauthenticated multibulk length");
  CHECK(Error("*101\r\n", limits) == kProtocolError + "unauthenticated multibulk length");
  CHECK(Parse(Encode({std::string(16384, 'x')}), limits).requests.size() == 1);
  CHECK(Error("*1\r\n$16385\r\n", limits) == kProtocolError + "unauthenticated bulk length");
  CHECK(Error("*1\r\n$536870913\r\n", limits) == kProtocolError + "invalid bulk length");
}

TEST_CASE("errors of inline commands") {
  CHECK(Error("set \"\"\"key\"\"\" value\r\n") == kProtocolError + "unbalanced quotes in request");
  CHECK(Error("get 'a\r\n") == kProtocolError + "unbalanced quotes in request");
}

TEST_CASE("lines without an end are refused one byte behind the limit") {
  Limits limits;
  limits.inline_bytes_max = 32;
  for (size_t size : {31, 32}) {
    std::string word(size, 'a');
    CHECK(Parse(word, limits) == Parsed{});
    CHECK(Parse(word + "\n", limits).requests == std::vector<Request>{{word}});
    CHECK(Parse("*" + word.substr(1), limits) == Parsed{});
    CHECK(Parse("*1\r\n$" + word.substr(1), limits) == Parsed{});
  }
  std::string word(33, 'a');
  CHECK(Error(word, limits) == kProtocolError + "too big inline request");
  CHECK(Error(word + "\n", limits) == kProtocolError + "too big inline request");
  CHECK(Error("*" + word.substr(1), limits) == kProtocolError + "too big mbulk count string");
  CHECK(Error("*1\r\n$" + word.substr(1), limits) == kProtocolError + "too big bulk count string");
  CHECK(Error("*1\r\n" + word, limits) == kProtocolError + "too big bulk count string");

  CHECK(Error(std::string(65537, '\0')) == kProtocolError + "too big inline request");
  CHECK(Error("*" + std::string(65536, '\0')) == kProtocolError + "too big mbulk count string");
  CHECK(Parse(std::string(65536, 'a')) == Parsed{});
}

TEST_CASE("an error is said again by the next call") {
  RequestParser parser;
  std::vector<std::string_view> arguments;
  size_t consumed = 0;
  std::string input = "*2\r\n$1\r\na\r\n$x\r\n";
  for (int i = 0; i < 3; ++i) {
    std::string error;
    CHECK(parser.Next(input, Limits(), arguments, consumed, error) == Outcome::kError);
    CHECK(consumed == 0);
    CHECK(error == kProtocolError + "invalid bulk length");
  }
  parser.Reset();
  std::string error;
  CHECK(parser.Next("PING\r\n", Limits(), arguments, consumed, error) == Outcome::kRequest);
}

TEST_CASE("arguments are views into the input") {
  RequestParser parser;
  std::vector<std::string_view> arguments;
  size_t consumed = 0;
  std::string error;
  std::string input = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING a\r\n";
  REQUIRE(parser.Next(input, Limits(), arguments, consumed, error) == Outcome::kRequest);
  CHECK(arguments[0].data() == input.data() + 8);
  CHECK(consumed == 20);
  std::string_view rest = std::string_view(input).substr(consumed);
  REQUIRE(parser.Next(rest, Limits(), arguments, consumed, error) == Outcome::kRequest);
  CHECK(arguments[1].data() == rest.data() + 5);
  CHECK_FALSE(parser.in_request());
}

TEST_CASE("bytes_wanted says what is missing of the bulk under way") {
  RequestParser parser;
  std::vector<std::string_view> arguments;
  size_t consumed = 0;
  std::string error;
  std::string input = Encode({"SET", "k", std::string(1000, 'v')});
  size_t start = input.find("$1000\r\n") + 7;
  for (size_t have : {size_t{1}, start - 1, start, start + 1, start + 1000, start + 1001}) {
    CHECK(parser.Next(input.substr(0, have), Limits(), arguments, consumed, error) ==
          Outcome::kNeedMore);
    CHECK(parser.bytes_wanted() == (have < start ? 1 : start + 1002 - have));
  }
  CHECK(parser.Next(input, Limits(), arguments, consumed, error) == Outcome::kRequest);
  CHECK(consumed == input.size());
  CHECK(arguments[2].size() == 1000);
}

// A rescan at each piece would take hours here.
TEST_CASE("a million arguments, and a big bulk, in small pieces are not scanned again") {
  Request many(1000000 / kSlower, "ab");
  many.push_back(std::string(50000000 / kSlower, 'v'));
  std::string input = Encode(many);
  RequestParser parser;
  std::vector<std::string_view> arguments;
  size_t consumed = 0;
  std::string error;
  size_t have = 0;
  Outcome outcome = Outcome::kNeedMore;
  while (outcome == Outcome::kNeedMore && have < input.size()) {
    have = std::min(input.size(), have + 100);
    outcome =
        parser.Next(std::string_view(input.data(), have), Limits(), arguments, consumed, error);
  }
  REQUIRE(outcome == Outcome::kRequest);
  CHECK(have == input.size());
  CHECK(consumed == input.size());
  CHECK(arguments.size() == many.size());
  CHECK(std::equal(arguments.begin(), arguments.end(), many.begin()));
  CHECK(parser.memory_bytes() < 1 << 20);
  CHECK(ParseInPieces(input, {input.size()}, Limits()).requests == std::vector<Request>{many});
}

TEST_CASE("random requests in random pieces come out as they went in") {
  uint32_t seed = std::random_device{}();
  MESSAGE("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 2000; ++round) {
    std::vector<Request> requests;
    std::string input;
    for (uint32_t count = random() % 6; count > 0; --count) {
      Request request(1 + random() % (random() % 20 == 0 ? 3000 : 12));
      for (std::string& argument : request) {
        argument.resize(random() % (random() % 50 == 0 ? 2000 : 20));
        for (char& c : argument)
          c = static_cast<char>(random() % 8 == 0 ? "\r\n$*"[random() % 4] : random());
      }
      input += Encode(request);
      requests.push_back(std::move(request));
      if (random() % 4 == 0) input += random() % 2 == 0 ? "\r\n" : "*0\r\n";
    }
    std::vector<size_t> cuts;
    for (uint32_t count = random() % 10; count > 0; --count) {
      cuts.push_back(random() % (input.size() + 1));
    }
    cuts.push_back(input.size());
    std::sort(cuts.begin(), cuts.end());
    Parsed parsed = ParseInPieces(input, cuts, Limits());
    REQUIRE(parsed.error.empty());
    REQUIRE(parsed.requests == requests);
  }
}

}  // namespace
}  // namespace fluxkv::resp
