// Goal: a batch gives each call what the system call alone would have given, with a ring and
// without one, and when the ring fails. Method: ends of socket pairs in several states, many in one
// batch.
#include "server/socket_batch.h"

#include <array>
#include <cerrno>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace fluxkv::server {
namespace {

struct Pair {
  int ours = -1, theirs = -1;
  Pair() {
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    ours = ends[0];
    theirs = ends[1];
  }
  Pair(Pair&& other) noexcept
      : ours(std::exchange(other.ours, -1)), theirs(std::exchange(other.theirs, -1)) {}
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;
  ~Pair() {
    if (ours >= 0) close(ours);
    CloseTheirs();
  }
  void CloseTheirs() {
    if (theirs >= 0) close(std::exchange(theirs, -1));
  }
  void Write(const std::string& bytes) const {
    REQUIRE(write(theirs, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  }
  std::string Read() const {
    std::string bytes(1 << 20, '\0');
    const ssize_t got = read(theirs, bytes.data(), bytes.size());
    return bytes.substr(0, got > 0 ? static_cast<size_t>(got) : 0);
  }
};

iovec Piece(const std::string& bytes) {
  return {const_cast<char*>(bytes.data()), bytes.size()};
}

// A kernel may have no ring; then both runs are the same.
void Open(SocketBatch* batch, bool with_ring) {
  std::string why;
  if (!with_ring) return;
  const bool open = batch->Open(&why);
  CHECK(open == batch->has_ring());
  CHECK(open == why.empty());
  if (!open) MESSAGE("no io_uring: ", why);
}

TEST_CASE("socket batch: what each socket gives and takes") {
  for (const bool with_ring : {false, true}) {
    CAPTURE(with_ring);
    SocketBatch batch;
    Open(&batch, with_ring);
    for (int round = 0; round < 3; ++round) {
      Pair has_bytes, has_none, ended, takes, takes_pieces, refuses;
      has_bytes.Write("hello");
      ended.CloseTheirs();
      refuses.CloseTheirs();
      const std::string one = "one", two = "two", three = "three";
      const iovec single[] = {Piece(one)}, several[] = {Piece(one), Piece(two), Piece(three)};
      char rooms[4][8];
      batch.Receive(has_bytes.ours, rooms[0]);
      batch.Receive(has_none.ours, rooms[1]);
      batch.Receive(ended.ours, rooms[2]);
      batch.Send(takes.ours, single);
      batch.Send(takes_pieces.ours, several);
      batch.Send(refuses.ours, single);
      batch.Receive(-1, rooms[3]);
      batch.Run();
      CHECK(batch.result(0) == 5);
      CHECK(std::string(rooms[0], 5) == "hello");
      CHECK(batch.result(1) == -EAGAIN);
      CHECK(batch.result(2) == 0);
      CHECK(batch.result(3) == 3);
      CHECK(takes.Read() == "one");
      CHECK(batch.result(4) == 11);
      CHECK(takes_pieces.Read() == "onetwothree");
      CHECK(batch.result(5) == -EPIPE);  // and no signal
      CHECK(batch.result(6) == -EBADF);
      batch.Clear();
    }
  }
}

TEST_CASE("socket batch: a socket that takes a part, then none") {
  for (const bool with_ring : {false, true}) {
    CAPTURE(with_ring);
    SocketBatch batch;
    Open(&batch, with_ring);
    Pair a, b;
    const std::string much(8 << 20, 'x');
    const iovec pieces[] = {Piece(much)};
    size_t sent = 0;
    for (int i = 0; i < 1000; ++i) {
      batch.Send(a.ours, pieces);
      batch.Send(b.ours, pieces);
      batch.Run();
      const ssize_t result = batch.result(0);
      CHECK(batch.result(1) == result);
      batch.Clear();
      if (result == -EAGAIN) break;
      REQUIRE(result > 0);
      REQUIRE(static_cast<size_t>(result) < much.size());
      sent += static_cast<size_t>(result);
      REQUIRE(i < 999);
    }
    size_t read_back = 0;
    for (std::string got = a.Read(); !got.empty(); got = a.Read()) read_back += got.size();
    CHECK(read_back == sent);
  }
}

TEST_CASE("socket batch: a ring that fails is given up, and nothing is lost") {
  SocketBatch batch;
  std::thread([&] { Open(&batch, true); }).join();
  if (!batch.has_ring()) return;
  Pair a, b;
  a.Write("one");
  b.Write("two");
  std::array<char, 8> room_a, room_b;
  for (const bool first : {true, false}) {  // of a thread that is not the ring's
    batch.Receive(a.ours, room_a);
    batch.Receive(b.ours, room_b);
    batch.Run();
    CHECK_FALSE(batch.has_ring());
    CHECK(batch.result(0) == (first ? -EAGAIN : 3));
    CHECK(batch.result(1) == (first ? -EAGAIN : 3));
    batch.Clear();
  }
  CHECK(std::string(room_a.data(), 3) == "one");
  CHECK(std::string(room_b.data(), 3) == "two");
}

TEST_CASE("socket batch: as many as fit, again and again") {
  for (const bool with_ring : {false, true}) {
    CAPTURE(with_ring);
    SocketBatch batch;
    Open(&batch, with_ring);
    std::vector<Pair> pairs(SocketBatch::kMost);
    std::mt19937 random(7);
    std::vector<std::array<char, 64>> rooms(pairs.size());
    for (int round = 0; round < 200; ++round) {
      std::vector<std::string> texts(pairs.size());
      const size_t count = 1 + random() % pairs.size();
      std::vector<bool> sends(count);
      for (size_t i = 0; i < count; ++i) {
        texts[i] = std::to_string(round) + ":" + std::to_string(i);
        sends[i] = random() % 2 == 0;
        if (sends[i]) {
          const iovec pieces[] = {Piece(texts[i])};
          batch.Send(pairs[i].ours, pieces);
        } else {
          pairs[i].Write(texts[i]);
          batch.Receive(pairs[i].ours, rooms[i]);
        }
      }
      CHECK(batch.full() == (count == SocketBatch::kMost));
      batch.Run();
      for (size_t i = 0; i < count; ++i) {
        REQUIRE(batch.result(i) == static_cast<ssize_t>(texts[i].size()));
        const std::string got =
            sends[i] ? pairs[i].Read() : std::string(rooms[i].data(), texts[i].size());
        REQUIRE(got == texts[i]);
      }
      batch.Clear();
    }
  }
}

}  // namespace
}  // namespace fluxkv::server
