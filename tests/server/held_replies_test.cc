#include "server/held_replies.h"

#include <algorithm>
#include <array>
#include <deque>
#include <random>
#include <string>

#include <doctest/doctest.h>

namespace fluxkv::server {
namespace {

void CountRelease(void* counter) {
  ++*static_cast<int*>(counter);
}

// Takes what `output` would send.
std::string Take(resp::Output& output) {
  std::string bytes;
  while (!output.empty()) {
    iovec pieces[16];
    int count = output.FillIovecs(pieces, 16);
    size_t size = 0;
    for (int i = 0; i < count; ++i) {
      bytes.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
      size += pieces[i].iov_len;
    }
    output.Consume(size);
  }
  return bytes;
}

struct Held {
  std::array<resp::Output, 2> outputs;
  HeldReplies held{&outputs[0]};
  resp::Output* sending = &outputs[1];

  // A reply with a stamp, or a message; 0: nothing to hold for.
  void Write(std::string_view text, engine::Stamp stamp, bool is_push = false) {
    size_t begin = held.output().Mark();
    held.output().Append(text);
    if (stamp != 0) held.Close(begin, stamp, is_push);
  }
  std::string Release(engine::Stamp safe) {
    held.Release(safe, sending);
    return Take(*sending);
  }
};

TEST_CASE("with nothing held the outputs are exchanged") {
  Held h;
  resp::Output* first = &h.held.output();
  h.Write("a", 0);
  h.held.Release(0, h.sending);
  CHECK(h.sending == first);
  CHECK(&h.held.output() != first);
  CHECK(Take(*h.sending) == "a");
  h.held.Release(0, h.sending);
  CHECK(&h.held.output() == first);
}

TEST_CASE("everything behind a hold waits, in order") {
  Held h;
  h.Write("a", 0);
  h.Write("b", 5);
  h.Write("c", 0);
  h.Write("d", 3);
  h.Write("e", 7);
  CHECK(h.held.holds_any());
  CHECK(h.held.awaited() == 5);
  CHECK(h.held.record_bytes() > 0);
  CHECK(h.Release(0) == "a");
  CHECK(h.Release(4).empty());
  CHECK(h.held.awaited() == 5);
  CHECK(h.Release(6) == "bcd");
  CHECK(h.held.awaited() == 7);
  h.Write("f", 0);
  resp::Output* in_use = &h.held.output();
  h.held.Release(7, h.sending);
  CHECK(h.sending == in_use);  // all of it may go: no copy
  CHECK(Take(*h.sending) == "ef");
  CHECK(!h.held.holds_any());
  CHECK(h.held.record_bytes() == 0);
}

TEST_CASE("what was truncated leaves no hold") {
  Held h;
  size_t begin = h.held.output().Mark();
  h.held.output().Append("+OK\r\n");
  h.held.output().Truncate(begin);
  h.held.Close(begin, 9, false);
  CHECK(!h.held.holds_any());
  h.Write("a", 0);
  CHECK(h.Release(0) == "a");
}

TEST_CASE("released bytes go behind what is there") {
  Held h;
  h.sending->Append("1");
  h.Write("a", 0);
  h.Write("b", 2);
  h.held.Release(1, h.sending);
  h.held.Release(2, h.sending);
  CHECK(Take(*h.sending) == "1ab");
}

TEST_CASE("pinned values move with their replies and are released when sent") {
  Held h;
  int released = 0;
  for (engine::Stamp stamp = 1; stamp <= 3; ++stamp) {
    size_t begin = h.held.output().Mark();
    h.held.output().Append("$5\r\n");
    h.held.output().AppendPinned("VALUE", 5, resp::Pin(&released, CountRelease));
    h.held.output().Append("\r\n");
    h.held.Close(begin, stamp, false);
  }
  h.held.Release(1, h.sending);
  CHECK(released == 0);
  CHECK(Take(*h.sending) == "$5\r\nVALUE\r\n");
  CHECK(released == 1);
  CHECK(h.held.Fail(2, "ERR lost") == 1);
  CHECK(released == 2);
  CHECK(h.Release(2) == "$5\r\nVALUE\r\n-ERR lost\r\n");
  CHECK(released == 3);
}

TEST_CASE("when the log fails errors stand in the place of what is not safe, messages go") {
  Held h;
  h.Write("+a\r\n", 0);
  h.Write("+b\r\n", 4);
  h.Write("+c\r\n", 6);
  h.Write("+d\r\n", 0);
  h.Write(">message\r\n", 5, /*is_push=*/true);
  h.Write(">safe\r\n", 3, /*is_push=*/true);
  h.Write("+e\r\n", 7);
  CHECK(h.held.Fail(4, "MISCONF no") == 2);
  CHECK(!h.held.holds_any());
  CHECK(h.Release(4) == "+a\r\n+b\r\n-MISCONF no\r\n+d\r\n>safe\r\n-MISCONF no\r\n");
  h.Write("+f\r\n", 8);
  CHECK(h.held.Fail(8, "MISCONF no") == 0);
  CHECK(h.Release(8) == "+f\r\n");
}

TEST_CASE("memory of holds is given back") {
  Held h;
  for (engine::Stamp stamp = 1; stamp <= 1000; ++stamp) h.Write("x", stamp);
  CHECK(h.Release(999).size() == 999);
  h.held.ShrinkIfIdle();
  CHECK(h.held.memory_bytes() > 0);
  CHECK(h.Release(1000) == "x");
  h.held.ShrinkIfIdle();
  CHECK(h.held.memory_bytes() == 0);
}

TEST_CASE("random replies and releases agree with a plain list") {
  uint32_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 200; ++round) {
    struct Reply {
      std::string bytes;
      engine::Stamp stamp;
      bool is_push;
    };
    Held h;
    std::deque<Reply> model;
    engine::Stamp safe = 0;
    int number = 0;
    int pinned = 0;
    int released = 0;
    for (int step = 0; step < 300; ++step) {
      switch (random() % 8) {
        default: {
          Reply reply{"+" + std::to_string(number++) + "\r\n", 0, random() % 3 == 0};
          if (random() % 2 == 0) reply.stamp = safe + random() % 5;
          size_t begin = h.held.output().Mark();
          h.held.output().Append(reply.bytes);
          if (random() % 4 == 0) {
            h.held.output().AppendPinned("PINNED", 6, resp::Pin(&released, CountRelease));
            reply.bytes += "PINNED";
            ++pinned;
          }
          if (reply.stamp > safe) h.held.Close(begin, reply.stamp, reply.is_push);
          model.push_back(reply);
          break;
        }
        case 6: {
          safe += random() % 4;
          std::string expected;
          while (!model.empty() && model.front().stamp <= safe) {
            expected += model.front().bytes;
            model.pop_front();
          }
          REQUIRE(h.Release(safe) == expected);
          REQUIRE(h.held.holds_any() == !model.empty());
          if (!model.empty()) REQUIRE(h.held.awaited() == model.front().stamp);
          break;
        }
        case 7: {
          if (random() % 4 != 0) break;
          h.held.Fail(safe, "ERR");
          std::string expected;
          for (const Reply& reply : model) {
            expected += reply.stamp <= safe ? reply.bytes : reply.is_push ? "" : "-ERR\r\n";
          }
          model.clear();
          REQUIRE(h.Release(safe) == expected);
          break;
        }
      }
    }
    h.Release(~engine::Stamp{0});
    REQUIRE(released == pinned);
  }
}

}  // namespace
}  // namespace fluxkv::server
