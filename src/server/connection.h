// One client's connection: it reads requests, runs them in order and sends the replies.
//
// C1. A connection belongs to one loop from Open to its close callback, and is freed there only: a
//     request to libuv that is under way may still use its memory until then.
// C2. Requests run in the order they came, replies leave in that order. A request that has to wait
//     (parked, paused, because the client does not read or the log takes no more) keeps all later
//     ones waiting.
// C3. At most one write request is under way; the output it sends from is not touched meanwhile
//     (replies go to the other one).
// C4. The thread is inside an epoch while requests run, and outside of it when a callback returns.
// C5. Whatever is written goes to `held_`, and what tells of a commit that the log has not got to
//     is closed as a hold there before anything follows it (engine/commit_log.h, D4). Only
//     `held_` says what may be sent, and it is asked when nothing else is being sent.
// C6. A connection that holds something and sends nothing is in the loop's list of those that hold.
//     One that sends asks again when it has sent.
//
// Threads: its loop's. Owns: the socket, the session, input and output.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <uv.h>

#include "command/dispatch.h"
#include "command/mailbox.h"
#include "command/parked.h"
#include "command/session.h"
#include "resp/output.h"
#include "resp/request_parser.h"
#include "server/held_replies.h"
#include "server/input_buffer.h"

namespace fluxkv::server {

class EventLoop;

class Connection {
 public:
  // Takes over the socket. `info` is complete.
  Connection(EventLoop& loop, std::shared_ptr<command::ClientInfo> info);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // False if libuv refuses the socket; the connection then frees itself.
  bool Open();
  // Ends it now. The object goes with its close callback.
  void Close();
  // Ends it when what is written has been sent, or the client does not take it for a while.
  void CloseAfterOutput();
  // As the server stops: lets a command that is working finish, then closes.
  void Stop();

  void Deliver(const command::Delivery& delivery);
  // Sends what there is and may be sent; then goes on with requests that waited for that. Called at
  // the end of a loop turn.
  void Flush();
  // One more step of a parked command, or one more try of one that was put back.
  void Resume();
  // Now and then: time-outs, limits, memory.
  void Visit(int64_t now_ms);

  bool closed() const { return closed_; }
  uint64_t id() const { return session_.info->id; }
  bool waits_for_log() const { return waits_ == Waits::kLog; }
  // Whether Resume should be called in the next turn (0), at a time, or not by time (INT64_MAX).
  int64_t resume_at_ms() const;

  // Places in the lists of the loop; kNowhere: not in it.
  static constexpr size_t kNowhere = SIZE_MAX;
  size_t index = kNowhere;
  size_t flush_index = kNowhere;
  size_t waiting_index = kNowhere;
  size_t holding_index = kNowhere;

 private:
  enum class Waits : uint8_t { kNot, kParked, kPaused, kLog, kOutput };
  // A parked command with the reply that it is writing: that may not be sent in part, because a
  // length may still be missing in front of it.
  struct ParkedCommand {
    std::unique_ptr<command::Parked> command;
    resp::Output reply;
  };
  union Handle {
    uv_handle_t any;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  };

  ~Connection();  // by the close callback

  // connection.cc: running requests.
  void Execute();
  size_t ParseBatch(bool* more);
  void Prefetch(size_t count);
  bool RunBatch(size_t count);
  bool RunOne(size_t unread_before, size_t unread_behind,
              std::span<const std::string_view> arguments);
  bool MustWait(std::span<const std::string_view> arguments);
  void GoOn();
  void HoldUnlessSafe(size_t begin, engine::Stamp stamp, bool is_push);
  bool OutputTaken();
  void RefuseProtocol();
  void PutBack(size_t unread_bytes);
  void Wait(Waits reason);
  void StopWaiting();
  void AfterExecute();
  void AfterInputEnd();
  void ResumeParked();
  void FinishParked();
  void Unblock(bool with_error);
  bool CheckOutputLimit();
  void Kill();
  void CloseOverLimit(std::string_view limit);
  void CheckQueryLimit();
  void ShowBlocked(bool blocked);
  void ShrinkBuffers(int64_t idle_ms);
  void PublishFigures();

  // connection_io.cc: reading and writing.
  static void OnAllocate(uv_handle_t* handle, size_t suggested, uv_buf_t* buffer);
  static void OnRead(uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer);
  static void OnWritten(uv_write_t* request, int status);
  static void OnClosed(uv_handle_t* handle);
  void Received(char* at, size_t count);
  void UpdateReading();
  void Release();
  bool TryWrite();
  bool QueueWrite();
  void Written(size_t bytes);
  size_t output_size() const { return held_.output().size() + sending_->size(); }
  size_t output_backlog() const { return output_size() + held_.record_bytes(); }
  size_t output_held() const;
  size_t output_memory() const;
  size_t input_wanted() const;

  EventLoop& loop_;
  command::Session session_;
  resp::RequestParser parser_;
  InputBuffer input_;
  std::array<resp::Output, 2> outputs_;
  HeldReplies held_{&outputs_[0]};        // replies and messages are appended here
  resp::Output* sending_ = &outputs_[1];  // sent first; in use while a write is under way
  std::unique_ptr<ParkedCommand> parked_;
  std::string protocol_error_;

  Handle handle_;
  uv_write_t write_;
  size_t write_bytes_ = 0;  // of the write under way; 0: none

  Waits waits_ = Waits::kNot;
  bool reading_ = false;
  bool input_ended_ = false;
  bool draining_ = false;  // closes when the output is sent
  bool stopping_ = false;
  bool closed_ = false;
  bool shown_blocked_ = false;
  bool has_protocol_error_ = false;

  int64_t last_progress_ms_ = 0;  // of sending
  int64_t soft_limit_since_ms_ = 0;
  size_t output_peak_ = 0;  // largest reply backlog since the last visit
};

}  // namespace fluxkv::server
