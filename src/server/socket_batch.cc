#include "server/socket_batch.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <liburing.h>

#include "base/check.h"

namespace fluxkv::server {

struct SocketBatch::Ring {
  io_uring ring;
  bool open = false;
  Ring() = default;
  ~Ring() {
    if (open) io_uring_queue_exit(&ring);
  }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
};

namespace {
constexpr int kFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
}  // namespace

SocketBatch::SocketBatch() = default;
SocketBatch::~SocketBatch() = default;

bool SocketBatch::Open(std::string* why) {
  // One thread submits and takes the results, and nothing interrupts it for them.
  io_uring_params params{};
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
  auto ring = std::make_unique<Ring>();
  const int failed = io_uring_queue_init_params(kMost, &ring->ring, &params);
  if (failed != 0) {
    *why = std::strerror(-failed);
    return false;
  }
  ring->open = true;
  ring_ = std::move(ring);
  io_uring_register_ring_fd(&ring_->ring);  // saves a look-up; without it all works
  return true;
}

void SocketBatch::Receive(int fd, std::span<char> room) {
  DEBUG_ASSERT(!full());
  calls_[count_++] = {.fd = fd,
                      .sends = false,
                      .first_piece = pieces_.size(),
                      .piece_count = 1,
                      .message = {},
                      .result = 0};
  pieces_.push_back({room.data(), room.size()});
}

void SocketBatch::Send(int fd, std::span<const iovec> pieces) {
  DEBUG_ASSERT(!full() && !pieces.empty());
  calls_[count_++] = {.fd = fd,
                      .sends = true,
                      .first_piece = pieces_.size(),
                      .piece_count = pieces.size(),
                      .message = {},
                      .result = 0};
  pieces_.insert(pieces_.end(), pieces.begin(), pieces.end());
}

void SocketBatch::Run() {
  for (size_t i = 0; i < count_; ++i) {
    Call& call = calls_[i];
    call.message.msg_iov = &pieces_[call.first_piece];
    call.message.msg_iovlen = call.piece_count;
  }
  // A single call is no dearer by itself.
  if (ring_ != nullptr && count_ > 1) return RunInRing();
  for (size_t i = 0; i < count_; ++i) {
    Call& call = calls_[i];
    call.result = call.sends ? SendNow(call.fd, {call.message.msg_iov, call.piece_count})
                             : ReceiveNow(call.fd, *call.message.msg_iov);
  }
}

ssize_t SocketBatch::ReceiveNow(int fd, const iovec& room) {
  ssize_t result = 0;
  do {
    result = recv(fd, room.iov_base, room.iov_len, kFlags);
  } while (result < 0 && errno == EINTR);
  return result < 0 ? -errno : result;
}

ssize_t SocketBatch::SendNow(int fd, std::span<const iovec> pieces) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(pieces.data());
  message.msg_iovlen = pieces.size();
  ssize_t result = 0;
  do {
    result = pieces.size() == 1 ? send(fd, pieces[0].iov_base, pieces[0].iov_len, kFlags)
                                : sendmsg(fd, &message, kFlags);
  } while (result < 0 && errno == EINTR);
  return result < 0 ? -errno : result;
}

void SocketBatch::RunInRing() {
  io_uring* ring = &ring_->ring;
  for (size_t i = 0; i < count_; ++i) {
    Call& call = calls_[i];
    call.result = -EAGAIN;
    io_uring_sqe* sqe = io_uring_get_sqe(ring);
    ASSERT(sqe != nullptr);  // there is one for each call
    const iovec& piece = *call.message.msg_iov;
    // MSG_DONTWAIT: the kernel tries once and does not wait for the socket.
    if (!call.sends) {
      io_uring_prep_recv(sqe, call.fd, piece.iov_base, piece.iov_len, kFlags);
    } else if (call.piece_count == 1) {
      io_uring_prep_send(sqe, call.fd, piece.iov_base, piece.iov_len, kFlags);
    } else {
      io_uring_prep_sendmsg(sqe, call.fd, &call.message, kFlags);
    }
    io_uring_sqe_set_data64(sqe, i);
  }
  // What is submitted ends by itself. What cannot be, for so many tries, has not begun.
  constexpr int kTriesMost = 100;
  size_t submitted = 0, ended = 0;
  for (int tries = 0; ended < count_ && tries < kTriesMost; ++tries) {
    const int taken = io_uring_submit_and_wait(ring, static_cast<unsigned>(count_ - ended));
    if (taken > 0) submitted += static_cast<size_t>(taken);
    unsigned head = 0, seen = 0;
    io_uring_cqe* cqe = nullptr;
    io_uring_for_each_cqe(ring, head, cqe) {
      const ssize_t result = cqe->res;
      // A call alone would have tried again, or found memory.
      const bool again = result == -EINTR || result == -ENOMEM;
      calls_[io_uring_cqe_get_data64(cqe)].result = again ? -EAGAIN : result;
      ++seen;
    }
    io_uring_cq_advance(ring, seen);
    ended += seen;
    const bool failed = taken < 0 && taken != -EINTR && taken != -EAGAIN && taken != -EBUSY;
    if (failed && ended >= submitted) break;
  }
  if (ended < count_) ring_.reset();
}

void SocketBatch::Clear() {
  count_ = 0;
  pieces_.clear();
}

}  // namespace fluxkv::server
