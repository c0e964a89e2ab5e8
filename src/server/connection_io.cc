// Reading and writing of a connection.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "command/errors.h"
#include "command/refusals.h"
#include "engine/handle.h"
#include "server/connection.h"
#include "server/event_loop.h"
#include "server/socket_batch.h"

namespace fluxkv::server {
namespace {

constexpr size_t kWriteBytesMax = 1024 * 1024;   // of one write, so that progress is seen
constexpr int kWritesPerTurnMax = 4;             // then others have their turn
constexpr size_t kWaitingInputBytesMax = 65536;  // read while a request waits, to see a disconnect
constexpr size_t kOutputResumeBytes = 256 * 1024;
constexpr size_t kReplyBufferBytesMax = 16 * 1024;  // as Redis: PROTO_REPLY_CHUNK_BYTES

// One writer, so no locked instruction.
void AddTo(std::atomic<uint64_t>& figure, uint64_t n) {
  figure.store(figure.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

}  // namespace

bool Connection::Open() {
  poll_.data = this;
  if (uv_poll_init(loop_.uv(), &poll_, fd()) != 0) return false;
  polled_ = true;
  PublishFigures();
  UpdateReading();
  return !closed_;
}

size_t Connection::input_wanted() const {
  return parser_.in_request() ? parser_.bytes_wanted() : 0;
}

// ---- When the socket is ready

// Reads unless what has been read must be run first. While a request waits a little is read still,
// so that the end of the connection is seen.
void Connection::UpdateReading() {
  bool wanted = !closed_ && !draining_ && !input_ended_ && waits_ != Waits::kOutput &&
                (waits_ == Waits::kNot || input_.size() < kWaitingInputBytesMax);
  if (wanted == reading_) return;
  reading_ = wanted;
  UpdatePolling();
}

void Connection::UpdatePolling() {
  if (closed_) return;
  const int events = (reading_ ? UV_READABLE : 0) | (full_ ? UV_WRITABLE : 0);
  if (events == 0) {
    uv_poll_stop(&poll_);
  } else if (uv_poll_start(&poll_, events, &OnReady) != 0) {
    Close();
  }
}

// An error of the socket (`status`) comes out when it is read or written; libuv has stopped then.
void Connection::OnReady(uv_poll_t* handle, int status, int events) {
  auto& self = *static_cast<Connection*>(handle->data);
  if (self.full_ && (status < 0 || (events & UV_WRITABLE) != 0)) {
    self.full_ = false;
    self.loop_.ScheduleFlush(self);
    self.UpdatePolling();
  } else if (status < 0) {
    self.UpdatePolling();
  }
  if (self.reading_ && (status < 0 || (events & UV_READABLE) != 0)) self.loop_.AddReadable(self);
}

void Connection::AwaitSocket() {
  full_ = true;
  UpdatePolling();
}

// ---- Reading

std::span<char> Connection::ReadRoom(std::span<char> loop_buffer) {
  return input_.Room(loop_buffer, input_wanted());
}

void Connection::Received(std::span<char> room, ssize_t result) {
  if (closed_ || draining_ || result == -EAGAIN) return;
  if (result == 0) {
    input_ended_ = true;
    return AfterInputEnd();
  }
  if (result < 0) {
    loop_.log().Verbose("Reading from client id={} addr={}: {}", id(), session_.info->address,
                        std::strerror(static_cast<int>(-result)));
    return Close();
  }
  const auto count = static_cast<size_t>(result);
  int64_t now = loop_.services().clock.Tick();
  session_.info->last_active_ms.store(now, std::memory_order_relaxed);
  command::LoopStats& stats = loop_.stats();
  stats.net_reads.Add(1);
  stats.net_input_bytes.Add(count);
  AddTo(session_.info->net_input_bytes, count);
  input_.Received(room.data(), count);
  if (waits_ == Waits::kNot) {
    engine::Handle::Scope in_epoch(loop_.state().handle);
    Execute();
  }
  AfterExecute();
}

// ---- Writing

// C5: what may be sent becomes what is sent. Requires: nothing else is.
void Connection::Release() {
  const engine::CommitLog& log = loop_.commit_log();
  if (held_.holds_any() && log.admission() == engine::CommitLog::Admission::kFailed) [[unlikely]] {
    size_t lost = held_.Fail(log.safe(), command::NotKnownToLast(log.failure()));
    for (; lost > 0; --lost) loop_.stats().CountError(command::errors::kLogCode);
  }
  held_.Release(log.safe(), sending_);
}

size_t Connection::NextPieces(std::span<iovec> pieces, int round) {
  if (closed_ || full_) return 0;
  if (round == 0) output_peak_ = std::max(output_peak_, output_size());
  if (sending_->empty()) Release();
  if (sending_->empty()) return 0;
  if (round == kWritesPerTurnMax) {
    AwaitSocket();
    return 0;
  }
  const auto most = static_cast<int>(std::min(pieces.size(), kPiecesMax));
  const auto count = static_cast<size_t>(sending_->FillIovecs(pieces.data(), most));
  offered_bytes_ = 0;
  for (size_t i = 0; i < count; ++i) {
    pieces[i].iov_len = std::min(pieces[i].iov_len, kWriteBytesMax - offered_bytes_);
    offered_bytes_ += pieces[i].iov_len;
    if (offered_bytes_ == kWriteBytesMax) return i + 1;
  }
  return count;
}

bool Connection::Sent(ssize_t result) {
  if (result == -EAGAIN) {
    AwaitSocket();
    return false;
  }
  if (result < 0) {
    loop_.log().Verbose("Error writing to client id={} addr={}: {}", id(), session_.info->address,
                        std::strerror(static_cast<int>(-result)));
    Close();
    return false;
  }
  const auto bytes = static_cast<size_t>(result);
  sending_->Consume(bytes);
  command::LoopStats& stats = loop_.stats();
  stats.net_writes.Add(1);
  stats.net_output_bytes.Add(bytes);
  AddTo(session_.info->net_output_bytes, bytes);
  last_progress_ms_ = loop_.now_ms();
  if (bytes < offered_bytes_) {
    AwaitSocket();
    return false;
  }
  if (!sending_->empty() || !held_.output().empty()) return true;
  Release();  // the next replies use the same buffer again
  return false;
}

// At once, as long as the socket takes it. False when the connection was closed by an error.
bool Connection::TryWrite() {
  iovec pieces[kPiecesMax];
  bool more = true;
  for (int round = 0; more; ++round) {
    const size_t count = NextPieces(pieces, round);
    more = count != 0 && Sent(SocketBatch::SendNow(fd(), {pieces, count}));
  }
  return !closed_;
}

void Connection::AfterFlush() {
  if (closed_) return;
  resp::Output& output = held_.output();
  if (output_peak_ >= output.memory_bytes() && output.memory_bytes() < kReplyBufferBytesMax &&
      output.empty()) {
    output.Reserve(kReplyBufferBytesMax);  // a client with long replies gets a larger buffer
  }
  command::ClientInfo& info = *session_.info;
  info.output_bytes.store(output_held(), std::memory_order_relaxed);
  info.output_buffer_bytes.store(output_memory(), std::memory_order_relaxed);
  info.output_parts.store(full_ ? 1 : 0, std::memory_order_relaxed);
  if (draining_ && output_size() == 0) return Close();
  if (held_.holds_any() && !full_) loop_.AddHolding(*this, held_.awaited());  // C6
  if (waits_ == Waits::kOutput && output_backlog() <= kOutputResumeBytes) GoOn();
}

void Connection::OnClosed(uv_handle_t* handle) {
  auto* self = static_cast<Connection*>(handle->data);
  EventLoop& loop = self->loop_;
  delete self;
  loop.Freed();
}

}  // namespace fluxkv::server
