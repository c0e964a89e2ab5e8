#include "resp/output.h"

#include <algorithm>
#include <deque>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace fluxkv::resp {
namespace {

void CountRelease(void* counter) {
  ++*static_cast<int*>(counter);
}

// What would be sent, in pieces of at most `count_max`.
std::string Waiting(const Output& output, int count_max = 1024) {
  std::vector<iovec> pieces(static_cast<size_t>(count_max));
  int count = output.FillIovecs(pieces.data(), count_max);
  std::string out;
  for (int i = 0; i < count; ++i) {
    const iovec& piece = pieces[static_cast<size_t>(i)];
    CHECK(piece.iov_len > 0);
    out.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
  }
  return out;
}

TEST_CASE("a pin is released exactly once, whoever holds it last") {
  int released = 0;
  {
    Pin pin(&released, CountRelease);
    Pin moved(std::move(pin));
    Pin target;
    target = std::move(moved);
    CHECK(released == 0);
    target = Pin(&released, CountRelease);
    CHECK(released == 1);
  }
  CHECK(released == 2);
}

TEST_CASE("text and pinned values leave in order, pins are released when sent") {
  Output output;
  int released = 0;
  std::string value = "VALUE";
  CHECK(output.empty());
  CHECK(output.bytes_held() == 0);
  output.Append("ab");
  output.AppendPinned(value.data(), value.size(), Pin(&released, CountRelease));
  output.AppendPinned(value.data(), 2, Pin(&released, CountRelease));
  output.Append("cd");
  CHECK(output.size() == 11);
  CHECK(output.bytes_held() >= 11);
  CHECK(Waiting(output) == "abVALUEVAcd");
  CHECK(Waiting(output, 1) == "ab");
  CHECK(Waiting(output, 2) == "abVALUE");
  output.Consume(4);
  CHECK(Waiting(output) == "LUEVAcd");
  CHECK(released == 0);
  output.Consume(3);
  CHECK(released == 1);
  output.Consume(3);
  CHECK(released == 2);
  CHECK(Waiting(output) == "d");
  output.Consume(1);
  CHECK(output.empty());
  CHECK(output.size() == 0);
  CHECK(output.bytes_held() == 0);
}

TEST_CASE("an empty pinned value is released at once") {
  Output output;
  int released = 0;
  output.AppendPinned("", 0, Pin(&released, CountRelease));
  CHECK(released == 1);
  CHECK(output.empty());
}

TEST_CASE("destruction releases what was not sent") {
  int released = 0;
  {
    Output output;
    output.AppendPinned("abc", 3, Pin(&released, CountRelease));
    output.Consume(1);
    CHECK(released == 0);
  }
  CHECK(released == 1);
}

TEST_CASE("Truncate drops what came after the mark, also when part was sent before") {
  Output output;
  int released = 0;
  output.Append("one");
  output.AppendPinned("two", 3, Pin(&released, CountRelease));
  output.Consume(4);
  size_t mark = output.Mark();
  output.AppendPinned("three", 5, Pin(&released, CountRelease));
  output.Append("four");
  output.AppendPinned("five", 4, Pin(&released, CountRelease));
  output.Truncate(mark);
  CHECK(released == 2);
  CHECK(Waiting(output) == "wo");
  output.Truncate(mark);
  CHECK(Waiting(output) == "wo");
  output.Append("!");
  CHECK(Waiting(output) == "wo!");
  output.Consume(3);
  CHECK(released == 3);
}

TEST_CASE("InsertAt moves text and pins behind it; earlier marks stay") {
  Output output;
  output.Append("a");
  size_t outer = output.Mark();
  output.AppendPinned("PP", 2, Pin());
  size_t inner = output.Mark();
  output.Append("b");
  output.AppendPinned("QQ", 2, Pin());
  output.Append("c");
  output.InsertAt(inner, "<inner>");
  CHECK(Waiting(output) == "aPP<inner>bQQc");
  output.InsertAt(outer, "<outer>");
  CHECK(Waiting(output) == "a<outer>PP<inner>bQQc");
  output.InsertAt(output.Mark(), "<end>");
  CHECK(Waiting(output) == "a<outer>PP<inner>bQQc<end>");
  output.Truncate(outer);
  CHECK(Waiting(output) == "a");
}

TEST_CASE("Append(Output&&) takes over what the other has not sent") {
  Output first;
  Output second;
  int released = 0;
  first.Append("1");
  second.Append("xy");
  second.AppendPinned("PIN", 3, Pin(&released, CountRelease));
  second.Append("z");
  second.Consume(3);
  first.Append(std::move(second));
  CHECK(Waiting(first) == "1INz");
  CHECK(second.empty());
  CHECK(released == 0);
  second.Append("again");
  CHECK(Waiting(second) == "again");
  first.Consume(3);
  CHECK(released == 1);
}

TEST_CASE("AppendPrefix takes over the beginning only, what stays keeps its marks") {
  Output from, to;
  int released = 0;
  to.Append("0");
  from.Append("sent");
  from.Consume(4);
  from.Append("ab");
  from.AppendPinned("PIN", 3, Pin(&released, CountRelease));
  from.AppendPinned("NEXT", 4, Pin(&released, CountRelease));
  size_t mark = from.Mark();
  from.Append("cd");
  CHECK(from.FirstMark() == 4);
  to.AppendPrefix(std::move(from), 1);
  CHECK(Waiting(to) == "0a");
  to.AppendPrefix(std::move(from), 4);
  CHECK(Waiting(to) == "0abPIN");
  CHECK(Waiting(from) == "NEXTcd");
  CHECK(from.FirstMark() == 9);
  CHECK(released == 0);
  to.AppendPrefix(std::move(from), 0);
  CHECK(Waiting(to) == "0abPIN");
  from.Truncate(mark);
  CHECK(Waiting(from) == "NEXT");
  from.Append("!");
  to.AppendPrefix(std::move(from), from.size());
  CHECK(Waiting(to) == "0abPINNEXT!");
  CHECK(from.empty());
  to.Consume(to.size());
  CHECK(released == 2);
}

TEST_CASE("ShrinkIfIdle frees the buffer only when nothing waits") {
  Output output;
  output.Append(std::string(1 << 20, 'x'));
  output.ShrinkIfIdle();
  CHECK(output.size() == 1 << 20);
  output.Consume(output.size());
  CHECK(output.memory_bytes() >= 1 << 20);
  output.ShrinkIfIdle();
  CHECK(output.memory_bytes() == 0);
  output.Append("y");
  CHECK(Waiting(output) == "y");
}

TEST_CASE("a slow reader does not make the buffer grow beyond what waits") {
  Output output;
  for (int i = 0; i < 10000; ++i) {
    output.Append(std::string(100, 'x'));
    output.Consume(i < 10 ? 90 : 100);
  }
  CHECK(output.size() == 100);
  CHECK(output.memory_bytes() <= 4096);
}

// The same operations on a string and a queue of marks.
TEST_CASE("random operations agree with a plain string") {
  uint32_t seed = std::random_device{}();
  MESSAGE("seed " << seed);
  std::mt19937 random(seed);
  std::string source;
  for (int i = 0; i < 6000; ++i) source += static_cast<char>('a' + i % 26);
  for (int round = 0; round < 300; ++round) {
    Output output;
    std::string model;
    std::vector<size_t> marks;  // as offsets in the whole stream
    size_t sent = 0;
    int pinned = 0;
    int released = 0;
    for (int step = 0; step < 200; ++step) {
      size_t size = random() % (step % 20 == 0 ? 3000 : 20);
      switch (random() % 7) {
        case 0:
        case 1:
          output.Append(std::string_view(source).substr(0, size));
          model += source.substr(0, size);
          break;
        case 2:
          output.AppendPinned(source.data() + size, size, Pin(&released, CountRelease));
          model += source.substr(size, size);
          ++pinned;
          break;
        case 3: {
          size_t bytes = std::min(size * 3, output.size());
          output.Consume(bytes);
          model.erase(0, bytes);
          sent += bytes;
          break;
        }
        case 4:
          marks.push_back(output.Mark());
          break;
        case 5:
          if (!marks.empty() && marks.back() >= sent) {
            output.InsertAt(marks.back(), "<insert>");
            model.insert(marks.back() - sent, "<insert>");
            marks.pop_back();
          }
          break;
        case 6:
          if (!marks.empty() && marks.back() >= sent && random() % 4 == 0) {
            output.Truncate(marks.back());
            model.resize(marks.back() - sent);
            marks.pop_back();
          }
          break;
      }
      REQUIRE(output.size() == model.size());
      REQUIRE(output.empty() == model.empty());
      REQUIRE(Waiting(output) == model);
    }
    output.Consume(output.size());
    REQUIRE(output.empty());
    REQUIRE(released == pinned);
  }
}

}  // namespace
}  // namespace fluxkv::resp
