// Running requests, and what ends a connection.
#include "server/connection.h"

#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <string_view>

#include <unistd.h>

#include "base/hash.h"
#include "base/relaxed.h"
#include "engine/handle.h"
#include "resp/writer.h"
#include "server/event_loop.h"

namespace fluxkv::server {
namespace {

// A client that leaves so much unread has its commands wait.
constexpr size_t kOutputBytesMax = 1024 * 1024;
constexpr size_t kUnauthenticatedInputBytesMax = 1024 * 1024;  // as Redis
constexpr size_t kBatchArgumentsKept = 1024;
constexpr int64_t kDrainStallMs = 5000;          // a closing client that takes nothing so long
constexpr int64_t kDrainStallStoppingMs = 1000;  // the same while the server stops
constexpr int64_t kIdleMs = 2000;                // then buffers are given back
constexpr size_t kInputBytesKept = 32 * 1024;    // as Redis: PROTO_RESIZE_THRESHOLD
constexpr size_t kReplyBufferBytesMin = 1024;

}  // namespace

Connection::Connection(EventLoop& loop, std::shared_ptr<command::ClientInfo> info) : loop_(loop) {
  session_.info = std::move(info);
  session_.authenticated = loop.services().config.settings().requirepass_set.load(kRelaxed) == 0;
}

Connection::~Connection() = default;

void Connection::Execute() {
  bool more = true;
  while (more && waits_ == Waits::kNot && !draining_ && !closed_) {
    size_t count = ParseBatch(&more);
    if (count > 1) Prefetch(count);
    loop_.dispatcher().BeginBatch(count);
    if (!RunBatch(count)) return;
    if (has_protocol_error_) return RefuseProtocol();
    if (more) loop_.state().handle.Breathe(count);
  }
}

// Parses what the loop's batch takes. `more`: there may be further requests in the input.
size_t Connection::ParseBatch(bool* more) {
  const config::Settings& settings = loop_.services().config.settings();
  resp::RequestParser::Limits limits;
  limits.bulk_bytes_max = static_cast<size_t>(settings.proto_max_bulk_bytes.load(kRelaxed));
  limits.authenticated = session_.authenticated || settings.requirepass_set.load(kRelaxed) == 0;
  EventLoop::Batch& batch = loop_.batch();
  size_t count = 0;
  while (count < batch.size()) {
    EventLoop::Request& request = batch[count];
    request.unread_before = input_.size();
    std::string_view unread = input_.unread();
    if (unread.empty()) break;
    size_t consumed = 0;
    auto outcome = parser_.Next(unread, limits, request.arguments, consumed, protocol_error_);
    input_.Skip(consumed);
    if (outcome == resp::RequestParser::Outcome::kNeedMore) break;
    if (outcome == resp::RequestParser::Outcome::kError) {
      has_protocol_error_ = true;
      break;
    }
    request.unread_behind = input_.size();
    ++count;
    // AUTH changes the limits of what follows. Arguments that had quotes are the parser's, until
    // it is called again.
    const char* first = request.arguments[0].data();
    bool in_place = first >= unread.data() && first < unread.data() + unread.size();
    if (!limits.authenticated || !in_place) {
      *more = true;
      return count;
    }
  }
  *more = count == batch.size();
  return count;
}

static_assert(limits::kBatchCommandsMax <= engine::OrderedList::kPrefetchMost);

// Starts the memory reads of all requests of the batch before the first one runs.
void Connection::Prefetch(size_t count) {
  EventLoop::Batch& batch = loop_.batch();
  engine::Handle& handle = loop_.state().handle;
  const bool runs_at_once = !session_.in_multi && session_.open == nullptr;
  for (size_t i = 0; i < count; ++i) {
    EventLoop::Request& request = batch[i];
    request.has_key = false;
    if (request.arguments.size() < 2) continue;
    const command::Command* row = loop_.dispatcher().Find(request.arguments);
    if (row == nullptr || row->keys.first != 1) continue;
    if (row->scope != command::Scope::kRead && row->scope != command::Scope::kWrite) continue;
    request.has_key = true;
    request.makes_key = row->scope == command::Scope::kWrite &&
                        (row->flags & command::kDenyOom) != 0 && runs_at_once;
    request.key_hash = HashBytes(request.arguments[1]);
  }
  // Apart from the hashing, and so close together: what each waits for is mostly the translation of
  // an address, and several of these go side by side.
  for (size_t i = 0; i < count; ++i) {
    if (batch[i].has_key) handle.PrefetchIndex(session_.db, batch[i].key_hash);
  }
  std::array<const engine::Node*, limits::kBatchCommandsMax> nodes;
  std::array<std::string_view, limits::kBatchCommandsMax> absent;
  std::array<uint64_t, limits::kBatchCommandsMax> absent_hashes;
  size_t absent_count = 0;
  for (size_t i = 0; i < count; ++i) {
    const EventLoop::Request& request = batch[i];
    nodes[i] = request.has_key
                   ? handle.PrefetchNode(session_.db, request.key_hash, request.makes_key)
                   : nullptr;
    if (nodes[i] == nullptr && request.has_key && request.makes_key) {
      absent[absent_count] = request.arguments[1];
      absent_hashes[absent_count++] = request.key_hash;
    }
  }
  if (absent_count > 1) {
    handle.PrefetchPlaces(session_.db, std::span(absent).first(absent_count),
                          std::span(absent_hashes).first(absent_count));
  }
  for (size_t i = 0; i < count; ++i) {
    if (nodes[i] != nullptr) engine::Handle::PrefetchVersion(nodes[i]);
  }
}

// False when the requests behind have to wait, or the connection ends.
bool Connection::RunBatch(size_t count) {
  EventLoop::Batch& batch = loop_.batch();
  bool go_on = true;
  for (size_t i = 0; i < count && go_on; ++i) {
    EventLoop::Request& request = batch[i];
    go_on = RunOne(request.unread_before, request.unread_behind, request.arguments);
  }
  // With the one that was not whole, and those that were not run.
  for (size_t i = 0; i < std::min(count + 1, batch.size()); ++i) {
    if (batch[i].arguments.capacity() > kBatchArgumentsKept) {
      std::vector<std::string_view>().swap(batch[i].arguments);
    }
  }
  return go_on;
}

bool Connection::RunOne(size_t unread_before, size_t unread_behind,
                        std::span<const std::string_view> arguments) {
  if (session_.info->Has(command::kClientKilled)) [[unlikely]] {
    Kill();
    return false;
  }
  if (loop_.services().clients.PauseMode(loop_.now_ms()) != 0 || loop_.LogTakesNoMore())
      [[unlikely]] {
    if (MustWait(arguments)) {
      PutBack(unread_before);
      return false;
    }
  }
  resp::Output& output = held_.output();
  size_t begin = output.Mark();
  std::unique_ptr<command::Parked> parked = loop_.dispatcher().Run(session_, arguments, output);
  if (parked != nullptr) [[unlikely]] {
    PutBack(unread_behind);
    parked_ = std::make_unique<ParkedCommand>();
    parked_->command = std::move(parked);
    Wait(Waits::kParked);
    return false;
  }
  HoldUnlessSafe(begin, session_.reply_stamp, /*is_push=*/false);
  if (session_.close_after_reply) [[unlikely]] {
    CloseAfterOutput();
    return false;
  }
  if (!CheckOutputLimit()) return false;
  if (output_backlog() > kOutputBytesMax && !OutputTaken()) [[unlikely]] {
    if (!closed_) PutBack(unread_behind);
    return false;
  }
  return true;
}

// True if this request has to wait before it runs; the connection then waits.
bool Connection::MustWait(std::span<const std::string_view> arguments) {
  command::Dispatcher& dispatcher = loop_.dispatcher();
  if (dispatcher.MustPause(session_, arguments)) {
    Wait(Waits::kPaused);
  } else if (loop_.LogTakesNoMore() && dispatcher.MustWaitForLog(session_, arguments)) {
    Wait(Waits::kLog);
  }
  return waits_ != Waits::kNot;
}

// C5.
void Connection::HoldUnlessSafe(size_t begin, engine::Stamp stamp, bool is_push) {
  if (!loop_.commit_log().IsSafe(stamp)) [[unlikely]]
    held_.Close(begin, stamp, is_push);
}

// Sends; if the client does not take it or it may not be sent yet, its requests wait.
bool Connection::OutputTaken() {
  output_peak_ = std::max(output_peak_, output_size());
  if (has_output() && !holds_first_output()) loop_.NoteAnswered();
  if (!TryWrite()) return false;
  if (output_backlog() <= kOutputBytesMax) return true;
  Wait(Waits::kOutput);
  return false;
}

void Connection::RefuseProtocol() {
  resp::Writer writer(held_.output(), session_.protocol);
  writer.Error(protocol_error_);
  loop_.stats().CountError(writer.error_code());
  loop_.log().Verbose("Client id={} addr={} is closed: {}", id(), session_.info->address,
                      protocol_error_);
  CloseAfterOutput();
}

// Makes the last `unread_bytes` of the input unread again: requests that were parsed ahead.
void Connection::PutBack(size_t unread_bytes) {
  has_protocol_error_ = false;  // it is found again
  if (unread_bytes == input_.size() && !parser_.in_request()) return;
  input_.PutBack(unread_bytes - input_.size());
  parser_.Reset();
}

void Connection::Wait(Waits reason) {
  waits_ = reason;
  if (reason == Waits::kOutput) return;
  bool put_back = reason != Waits::kParked;
  if (put_back) session_.info->flags.fetch_or(command::kClientPaused, kRelaxed);
  ShowBlocked(put_back || parked_->command->blocked());
  loop_.AddWaiting(*this);
}

void Connection::StopWaiting() {
  if (waits_ == Waits::kPaused || waits_ == Waits::kLog) {
    session_.info->flags.fetch_and(~uint32_t{command::kClientPaused}, kRelaxed);
  }
  waits_ = Waits::kNot;
  ShowBlocked(false);
  loop_.RemoveWaiting(*this);
}

void Connection::ShowBlocked(bool blocked) {
  if (blocked == shown_blocked_) return;
  shown_blocked_ = blocked;
  command::ClientInfo& info = *session_.info;
  if (blocked) {
    info.flags.fetch_or(command::kClientBlocked, kRelaxed);
    loop_.stats().blocked.fetch_add(1, kRelaxed);
  } else {
    info.flags.fetch_and(~uint32_t{command::kClientBlocked}, kRelaxed);
    loop_.stats().blocked.fetch_sub(1, kRelaxed);
  }
}

// After requests ran or input came: nothing of the loop's buffer is used any more, what is written
// is sent at the end of the turn.
void Connection::AfterExecute() {
  if (closed_) return;
  input_.Settle(input_wanted());
  CheckQueryLimit();
  if (closed_) return;
  if ((input_ended_ || stopping_) && waits_ == Waits::kNot && !draining_) CloseAfterOutput();
  PublishFigures();
  UpdateReading();
  if (!closed_ && (draining_ || output_size() > 0)) loop_.ScheduleFlush(*this);
}

// The client sends no more. What it sent is still answered, but nobody waits for it (WAIT, or the
// end of a pause).
void Connection::AfterInputEnd() {
  reading_ = false;
  UpdatePolling();
  bool blocked = waits_ == Waits::kParked && parked_->command->blocked();
  if (blocked || waits_ == Waits::kPaused) return CloseAfterOutput();
  AfterExecute();
}

int64_t Connection::resume_at_ms() const {
  if (waits_ == Waits::kPaused) return loop_.services().clients.pause_until_ms();
  if (waits_ == Waits::kLog) return loop_.log_retry_at_ms();
  return waits_ == Waits::kParked ? parked_->command->wake_at_ms()
                                  : std::numeric_limits<int64_t>::max();
}

void Connection::Resume() {
  if (closed_) return;
  if (waits_ == Waits::kParked) return ResumeParked();
  if (waits_ == Waits::kPaused || (waits_ == Waits::kLog && !loop_.LogTakesNoMore())) GoOn();
}

// Runs the requests that waited.
void Connection::GoOn() {
  StopWaiting();
  {
    engine::Handle::Scope in_epoch(loop_.state().handle);
    Execute();
  }
  AfterExecute();
}

void Connection::ResumeParked() {
  if (session_.info->Has(command::kClientKilled)) return Kill();
  bool done = false;
  {
    engine::Handle::Scope in_epoch(loop_.state().handle);
    done = loop_.dispatcher().Resume(session_, *parked_->command, parked_->reply);
  }
  if (done) return FinishParked();
  if (CheckOutputLimit()) ShowBlocked(parked_->command->blocked());
}

// The reply is whole; the requests behind go on.
void Connection::FinishParked() {
  size_t begin = held_.output().Mark();
  held_.output().Append(std::move(parked_->reply));
  HoldUnlessSafe(begin, session_.reply_stamp, /*is_push=*/false);
  parked_.reset();
  StopWaiting();
  if (session_.close_after_reply) {
    CloseAfterOutput();
  } else if (CheckOutputLimit() && (output_backlog() <= kOutputBytesMax || OutputTaken())) {
    engine::Handle::Scope in_epoch(loop_.state().handle);
    Execute();
  }
  AfterExecute();
}

void Connection::Unblock(bool with_error) {
  if (waits_ != Waits::kParked) return;
  bool done = false;
  {
    engine::Handle::Scope in_epoch(loop_.state().handle);
    done = loop_.dispatcher().Unblock(session_, *parked_->command, with_error, parked_->reply);
  }
  if (done) FinishParked();
}

void Connection::Deliver(const command::Delivery& delivery) {
  using Kind = command::Delivery::Kind;
  if (closed_) return;
  if (delivery.kind == Kind::kKill) return Kill();
  if (draining_) return;
  switch (delivery.kind) {
    case Kind::kUnblockTimeout:
    case Kind::kUnblockError:
      return Unblock(delivery.kind == Kind::kUnblockError);
    default:
      break;
  }
  size_t begin = held_.output().Mark();
  command::Dispatcher::WriteDelivery(session_, delivery, held_.output());
  HoldUnlessSafe(begin, delivery.stamp, /*is_push=*/true);
  if (CheckOutputLimit()) loop_.ScheduleFlush(*this);
}

size_t Connection::output_held() const {
  return held_.output().bytes_held() + held_.record_bytes() + sending_->bytes_held() +
         (parked_ != nullptr ? parked_->reply.bytes_held() : 0);
}

size_t Connection::output_memory() const {
  return held_.output().memory_bytes() + held_.memory_bytes() + sending_->memory_bytes();
}

// CLIENT KILL: what the socket takes at once is still sent.
void Connection::Kill() {
  if (TryWrite()) Close();
}

// client-output-buffer-limit. False when the connection was closed for it. A client in MONITOR is
// fed by others like a subscriber and is given a subscriber's limits; by those of its class in
// Redis (normal, without limits) one that does not read would take all memory.
bool Connection::CheckOutputLimit() {
  auto client_class = session_.subscriptions() > 0 || session_.monitoring
                          ? config::ClientClass::kPubsub
                          : config::ClientClass::kNormal;
  const config::OutputBufferLimit& limit =
      loop_.services().config.settings().output_buffer_limit(client_class);
  auto held = static_cast<int64_t>(output_held());
  int64_t hard = limit.hard_bytes.load(kRelaxed);
  if (hard > 0 && held >= hard) {
    CloseOverLimit("hard");
    return false;
  }
  int64_t soft = limit.soft_bytes.load(kRelaxed);
  if (soft <= 0 || held < soft) {
    soft_limit_since_ms_ = 0;
    return true;
  }
  int64_t now = loop_.now_ms();
  if (soft_limit_since_ms_ == 0) soft_limit_since_ms_ = now;
  if (now - soft_limit_since_ms_ <= limit.soft_seconds.load(kRelaxed) * 1000) return true;
  CloseOverLimit("soft");
  return false;
}

void Connection::CloseOverLimit(std::string_view limit) {
  loop_.log().Warning(
      "Client id={} addr={} omem={} scheduled to be closed ASAP for overcoming of output buffer "
      "limits ({} limit).",
      id(), session_.info->address, output_held(), limit);
  loop_.stats().output_buffer_disconnects.Add(1);
  Close();
}

// client-query-buffer-limit.
void Connection::CheckQueryLimit() {
  const config::Settings& settings = loop_.services().config.settings();
  size_t held = input_.size() + session_.queue_bytes;
  auto most = static_cast<size_t>(settings.query_buffer_bytes_max.load(kRelaxed));
  bool over = held > most || (held > kUnauthenticatedInputBytesMax && !session_.authenticated &&
                              settings.requirepass_set.load(kRelaxed) != 0);
  if (!over) return;
  loop_.log().Warning(
      "Closing client that reached max query buffer length: id={} addr={} qbuf={} multi-mem={}",
      id(), session_.info->address, input_.size(), session_.queue_bytes);
  loop_.stats().query_buffer_disconnects.Add(1);
  Close();
}

void Connection::Visit(int64_t now_ms) {
  if (draining_) {
    int64_t stall = loop_.stopping() ? kDrainStallStoppingMs : kDrainStallMs;
    if (now_ms - last_progress_ms_ > stall) Close();
    return;
  }
  loop_.dispatcher().TendTransaction(session_);
  int64_t idle_ms = now_ms - session_.info->last_active_ms.load(kRelaxed);
  int64_t timeout_s = loop_.services().config.settings().timeout_s.load(kRelaxed);
  // One that takes its replies, however slowly, is not idle.
  int64_t unused_ms = std::min(idle_ms, now_ms - last_progress_ms_);
  bool working = waits_ == Waits::kParked || waits_ == Waits::kPaused || waits_ == Waits::kLog ||
                 held_.holds_any();
  if (timeout_s > 0 && unused_ms > timeout_s * 1000 && !working && !session_.monitoring &&
      session_.subscriptions() == 0) {
    loop_.log().Verbose("Closing idle client id={} addr={}", id(), session_.info->address);
    return Close();
  }
  if (!CheckOutputLimit()) return;
  ShrinkBuffers(idle_ms);
  PublishFigures();
}

void Connection::ShrinkBuffers(int64_t idle_ms) {
  if (idle_ms > kIdleMs) {
    input_.Shrink(0, /*all=*/true);
  } else if (input_.capacity() > kInputBytesKept && input_.capacity() / 2 > input_.peak() &&
             input_wanted() == 0) {
    input_.Shrink(std::max(input_.peak(), InputBuffer::kReadBytesMin), /*all=*/false);
  }
  input_.ResetPeak();
  if (output_size() == 0) {
    resp::Output& output = held_.output();
    sending_->ShrinkIfIdle();
    held_.ShrinkIfIdle();
    if (output.memory_bytes() >= 2 * kReplyBufferBytesMin &&
        output_peak_ < output.memory_bytes() / 2 && idle_ms > 0) {
      output.ShrinkIfIdle();
      output.Reserve(std::max(kReplyBufferBytesMin, output_peak_ + 1));
    }
  }
  output_peak_ = output_size();
}

void Connection::PublishFigures() {
  command::ClientInfo& info = *session_.info;
  size_t input_free = input_.capacity() > input_.size() ? input_.capacity() - input_.size() : 0;
  info.input_bytes.store(input_.size(), kRelaxed);
  info.input_free_bytes.store(input_free, kRelaxed);
  info.output_buffer_bytes.store(output_memory(), kRelaxed);
  info.output_bytes.store(output_held(), kRelaxed);
  info.output_parts.store(full_ ? 1 : 0, kRelaxed);
  info.total_bytes.store(sizeof(Connection) + sizeof(command::ClientInfo) + input_.capacity() +
                             output_memory() + parser_.memory_bytes() + session_.queue_bytes +
                             info.transaction_bytes.load(kRelaxed),
                         kRelaxed);
}

void Connection::Stop() {
  stopping_ = true;
  bool working = waits_ == Waits::kParked && !parked_->command->blocked();
  if (!working && !draining_) CloseAfterOutput();
}

void Connection::CloseAfterOutput() {
  if (closed_ || draining_) return;
  draining_ = true;
  last_progress_ms_ = loop_.now_ms();
  session_.info->flags.fetch_or(command::kClientCloseSoon, kRelaxed);
  parked_.reset();
  command::CloseSessionTransaction(session_, loop_.services());  // it runs nothing any more
  StopWaiting();
  UpdateReading();
  loop_.ScheduleFlush(*this);
}

void Connection::Close() {
  if (closed_) return;
  StopWaiting();
  closed_ = true;
  reading_ = false;
  parked_.reset();
  loop_.dispatcher().Forget(session_);
  loop_.Remove(*this);
  auto* handle = reinterpret_cast<uv_handle_t*>(&poll_);
  if (polled_) {
    uv_close(handle, &OnClosed);  // first: libuv must not poll a descriptor that may be another's
    close(fd());
  } else {
    close(fd());
    OnClosed(handle);
  }
}

}  // namespace fluxkv::server
