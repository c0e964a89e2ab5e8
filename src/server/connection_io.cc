// Reading and writing of a connection.
#include <algorithm>

#include "command/errors.h"
#include "command/refusals.h"
#include "engine/handle.h"
#include "server/connection.h"
#include "server/event_loop.h"

namespace fluxkv::server {
namespace {

constexpr int kPiecesMax = 64;                   // of one write
constexpr size_t kWriteBytesMax = 1024 * 1024;   // of one write, so that progress is seen
constexpr int kWritesPerTurnMax = 4;             // then others have their turn
constexpr size_t kWaitingInputBytesMax = 65536;  // read while a request waits, to see a disconnect
constexpr size_t kOutputResumeBytes = 256 * 1024;
constexpr size_t kReplyBufferBytesMax = 16 * 1024;  // as Redis: PROTO_REPLY_CHUNK_BYTES

// One writer, so no locked instruction.
void AddTo(std::atomic<uint64_t>& figure, uint64_t n) {
  figure.store(figure.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

// The first pieces of `output`; returns how many, and their bytes.
unsigned FillBuffers(const resp::Output& output, uv_buf_t* buffers, size_t* bytes) {
  iovec pieces[kPiecesMax];
  int count = output.FillIovecs(pieces, kPiecesMax);
  unsigned used = 0;
  *bytes = 0;
  for (int i = 0; i < count && *bytes < kWriteBytesMax; ++i) {
    size_t size = std::min(pieces[i].iov_len, kWriteBytesMax - *bytes);
    buffers[used].base = static_cast<char*>(pieces[i].iov_base);
    buffers[used++].len = size;
    *bytes += size;
  }
  return used;
}

}  // namespace

bool Connection::Open() {
  const command::ClientInfo& info = *session_.info;
  handle_.any.data = nullptr;
  int failed = 0;
  if ((info.flags.load(std::memory_order_relaxed) & command::kClientUnixSocket) != 0) {
    uv_pipe_init(loop_.uv(), &handle_.pipe, 0);
    handle_.any.data = this;
    failed = uv_pipe_open(&handle_.pipe, info.fd);
  } else {
    uv_tcp_init(loop_.uv(), &handle_.tcp);
    handle_.any.data = this;
    failed = uv_tcp_open(&handle_.tcp, info.fd);
  }
  if (failed != 0) return false;
  write_.data = this;
  PublishFigures();
  UpdateReading();
  return true;
}

size_t Connection::input_wanted() const {
  return parser_.in_request() ? parser_.bytes_wanted() : 0;
}

void Connection::OnAllocate(uv_handle_t* handle, size_t, uv_buf_t* buffer) {
  auto& self = *static_cast<Connection*>(handle->data);
  std::span<char> room = self.input_.Room(self.loop_.read_buffer(), self.input_wanted());
  buffer->base = room.data();
  buffer->len = room.size();
}

void Connection::OnRead(uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
  auto& self = *static_cast<Connection*>(stream->data);
  if (count > 0) {
    self.Received(buffer->base, static_cast<size_t>(count));
  } else if (count == UV_EOF) {
    self.input_ended_ = true;
    self.AfterInputEnd();
  } else if (count < 0) {
    self.loop_.log().Verbose("Reading from client id={} addr={}: {}", self.id(),
                             self.session_.info->address, uv_strerror(static_cast<int>(count)));
    self.Close();
  }
}

void Connection::Received(char* at, size_t count) {
  int64_t now = loop_.services().clock.Tick();
  session_.info->last_active_ms.store(now, std::memory_order_relaxed);
  command::LoopStats& stats = loop_.stats();
  stats.net_reads.Add(1);
  stats.net_input_bytes.Add(count);
  AddTo(session_.info->net_input_bytes, count);
  input_.Received(at, count);
  if (waits_ == Waits::kNot) {
    engine::Handle::Scope in_epoch(loop_.state().handle);
    Execute();
  }
  AfterExecute();
}

// Reads unless what has been read must be run first. While a request waits a little is read still,
// so that the end of the connection is seen.
void Connection::UpdateReading() {
  bool wanted = !closed_ && !draining_ && !input_ended_ && waits_ != Waits::kOutput &&
                (waits_ == Waits::kNot || input_.size() < kWaitingInputBytesMax);
  if (wanted == reading_) return;
  reading_ = wanted;
  if (!wanted) {
    uv_read_stop(&handle_.stream);
  } else if (uv_read_start(&handle_.stream, &OnAllocate, &OnRead) != 0) {
    Close();
  }
}

void Connection::Flush() {
  if (closed_) return;
  output_peak_ = std::max(output_peak_, output_size());
  if (!TryWrite()) return;
  resp::Output& output = held_.output();
  if (output_peak_ >= output.memory_bytes() && output.memory_bytes() < kReplyBufferBytesMax &&
      output.empty()) {
    output.Reserve(kReplyBufferBytesMax);  // a client with long replies gets a larger buffer
  }
  command::ClientInfo& info = *session_.info;
  info.output_bytes.store(output_held(), std::memory_order_relaxed);
  info.output_buffer_bytes.store(output_memory(), std::memory_order_relaxed);
  info.output_parts.store(write_bytes_ != 0 ? 1 : 0, std::memory_order_relaxed);
  if (draining_ && output_size() == 0) return Close();
  if (held_.holds_any() && write_bytes_ == 0) loop_.AddHolding(*this, held_.awaited());  // C6
  if (waits_ == Waits::kOutput && output_backlog() <= kOutputResumeBytes) GoOn();
}

// C5: what may be sent becomes what is sent. Requires: nothing else is.
void Connection::Release() {
  const engine::CommitLog& log = loop_.commit_log();
  if (held_.holds_any() && log.admission() == engine::CommitLog::Admission::kFailed) [[unlikely]] {
    size_t lost = held_.Fail(log.safe(), command::NotKnownToLast(log.failure()));
    for (; lost > 0; --lost) loop_.stats().CountError(command::errors::kLogCode);
  }
  held_.Release(log.safe(), sending_);
}

// Writes as long as the socket takes it. False when the connection was closed by an error.
bool Connection::TryWrite() {
  for (int i = 0; write_bytes_ == 0; ++i) {
    if (sending_->empty()) Release();
    if (sending_->empty()) return true;
    if (i == kWritesPerTurnMax) return QueueWrite();
    uv_buf_t buffers[kPiecesMax];
    size_t bytes = 0;
    unsigned count = FillBuffers(*sending_, buffers, &bytes);
    int written = uv_try_write(&handle_.stream, buffers, count);
    if (written == UV_EAGAIN) return QueueWrite();
    if (written < 0) {
      loop_.log().Verbose("Error writing to client id={} addr={}: {}", id(), session_.info->address,
                          uv_strerror(written));
      Close();
      return false;
    }
    Written(static_cast<size_t>(written));
    if (static_cast<size_t>(written) < bytes) return QueueWrite();
    if (sending_->empty() && held_.output().empty()) {
      Release();  // the next replies use the same buffer again
      return true;
    }
  }
  return true;
}

// The rest goes when the socket takes it (C3).
bool Connection::QueueWrite() {
  uv_buf_t buffers[kPiecesMax];
  size_t bytes = 0;
  unsigned count = FillBuffers(*sending_, buffers, &bytes);
  if (uv_write(&write_, &handle_.stream, buffers, count, &OnWritten) != 0) {
    Close();
    return false;
  }
  write_bytes_ = bytes;
  return true;
}

void Connection::Written(size_t bytes) {
  sending_->Consume(bytes);
  command::LoopStats& stats = loop_.stats();
  stats.net_writes.Add(1);
  stats.net_output_bytes.Add(bytes);
  AddTo(session_.info->net_output_bytes, bytes);
  last_progress_ms_ = loop_.now_ms();
}

void Connection::OnWritten(uv_write_t* request, int status) {
  auto& self = *static_cast<Connection*>(request->data);
  size_t bytes = std::exchange(self.write_bytes_, 0);
  if (self.closed_) return;
  if (status != 0) {
    self.Close();
    return;
  }
  self.Written(bytes);
  self.Flush();
}

void Connection::OnClosed(uv_handle_t* handle) {
  auto* self = static_cast<Connection*>(handle->data);
  EventLoop& loop = self->loop_;
  delete self;
  loop.Freed();
}

}  // namespace fluxkv::server
