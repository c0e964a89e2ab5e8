// Reads and writes of many sockets, together: where the kernel has io_uring and lets us, one system
// call does them all (Axboe, "Efficient IO with io_uring", 2019); else each is a call of its own.
// Nothing is ever left under way: what a socket cannot do at once ends with -EAGAIN, and whoever
// waits for readiness does so elsewhere (libuv).
//
//   batch.Receive(fd, room);            // any number up to kMost, of either kind
//   batch.Send(other_fd, pieces);
//   batch.Run();
//   ssize_t got = batch.result(0);      // bytes, 0: the other side ended; or -errno
//   batch.Clear();
//
// Buffers and descriptors are the caller's and must stay until Run has returned.
// Threads: one, that which called Open.
// Owns:    the ring.
// Errors:  each call's own, in its result. A ring that fails is given up for good, and what it had
//          not begun ends with -EAGAIN.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

namespace fluxkv::server {

class SocketBatch {
 public:
  static constexpr size_t kMost = 64;

  SocketBatch();
  ~SocketBatch();
  SocketBatch(const SocketBatch&) = delete;
  SocketBatch& operator=(const SocketBatch&) = delete;

  // Sets the ring up. False, and why: each read and write is a system call then, and all else works
  // the same.
  bool Open(std::string* why);
  bool has_ring() const { return ring_ != nullptr; }

  bool full() const { return count_ == kMost; }
  // Requires: not full.
  void Receive(int fd, std::span<char> room);
  void Send(int fd, std::span<const iovec> pieces);
  void Run();
  // Of the call that was the `index`th to be added. Requires: Run has returned.
  ssize_t result(size_t index) const { return calls_[index].result; }
  void Clear();

  // One of them by itself, at once.
  static ssize_t ReceiveNow(int fd, const iovec& room);
  static ssize_t SendNow(int fd, std::span<const iovec> pieces);

 private:
  struct Ring;
  struct Call {
    int fd;
    bool sends;
    size_t first_piece;
    size_t piece_count;
    msghdr message;
    ssize_t result;
  };

  void RunInRing();

  std::array<Call, kMost> calls_;
  size_t count_ = 0;
  std::vector<iovec> pieces_;  // of all calls
  std::unique_ptr<Ring> ring_;
};

}  // namespace fluxkv::server
