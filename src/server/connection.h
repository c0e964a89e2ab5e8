// One client's connection: it reads requests, runs them in order and sends the replies.
//
// C1. A connection belongs to one loop from Open to its close callback, and is freed there only
//     (at once if libuv refused its socket): what the loop gathered in a turn may still name it
//     until then.
// C2. Requests run in the order they came, replies leave in that order. A request that has to wait
//     (parked, paused, because the client does not read or the log takes no more) keeps all later
//     ones waiting.
// C3. libuv says when the socket is ready; the loop reads and writes for many connections together
//     (socket_batch.h). Between ReadRoom and Received, and between NextPieces and Sent, it does
//     nothing else with the connection: the buffers that it was given stay as they are.
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

#include <sys/types.h>
#include <sys/uio.h>
#include <uv.h>

#include "command/dispatch.h"
#include "command/mailbox.h"
#include "command/parked.h"
#include "command/session.h"
#include "resp/output.h"
#include "resp/request_parser.h"
#include "server/held_replies.h"
#include "server/input_buffer.h"
#include "server/sync_group.h"

namespace fluxkv::server {

class EventLoop;

class Connection {
 public:
  // Takes over the socket. `info` is complete.
  Connection(EventLoop& loop, std::shared_ptr<command::ClientInfo> info);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // False if libuv refuses the socket. Close it all the same.
  bool Open();
  // Ends it now. The object goes with its close callback (C1).
  void Close();
  // Ends it when what is written has been sent, or the client does not take it for a while.
  void CloseAfterOutput();
  // As the server stops: lets a command that is working finish, then closes.
  void Stop();

  void Deliver(const command::Delivery& delivery);

  // Where to read to: the loop's buffer, or an own one.
  std::span<char> ReadRoom(std::span<char> loop_buffer);
  // What reading gave (SocketBatch::result), in that room: runs what is whole.
  void Received(std::span<char> room, ssize_t result);
  // What to send next, as `pieces`; returns how many. None: nothing may be sent, or the socket
  // takes no more for now, or this is one round too many: the others have their turn then.
  size_t NextPieces(std::span<iovec> pieces, int round);
  // What sending them gave. Whether there may be more.
  bool Sent(ssize_t result);
  // At the end of a turn, when what could be sent has been: goes on with requests that waited for
  // that.
  void AfterFlush();
  int fd() const { return session_.info->fd; }

  // One more step of a parked command, or one more try of one that was put back.
  void Resume();
  // Now and then: time-outs, limits, memory.
  void Visit(int64_t now_ms);

  bool closed() const { return closed_; }
  uint64_t id() const { return session_.info->id; }
  bool waits_for_log() const { return waits_ == Waits::kLog; }
  bool has_output() const { return output_size() != 0; }
  bool holds_output() const { return held_.holds_any(); }
  // The stamp for which the first of it is held. Requires: holds_output().
  engine::Stamp awaited() const { return held_.awaited(); }
  // Whether nothing of its output could be sent before the log got to what it tells of.
  bool holds_first_output() const { return sending_->empty() && held_.holds_first(); }
  // Whether Resume should be called in the next turn (0), at a time, or not by time (INT64_MAX).
  int64_t resume_at_ms() const;

  static constexpr size_t kPiecesMax = 64;  // of one write

  // Whether it is in the loop's list of those to read; its places in the other ones, kNowhere: not
  // in it.
  static constexpr size_t kNowhere = SIZE_MAX;
  bool to_read = false;
  size_t index = kNowhere;
  size_t flush_index = kNowhere;
  size_t waiting_index = kNowhere;
  size_t holding_index = kNowhere;
  SyncGroup::Member in_sync_group;

 private:
  enum class Waits : uint8_t { kNot, kParked, kPaused, kLog, kOutput };
  // A parked command with the reply that it is writing: that may not be sent in part, because a
  // length may still be missing in front of it.
  struct ParkedCommand {
    std::unique_ptr<command::Parked> command;
    resp::Output reply;
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
  static void OnReady(uv_poll_t* handle, int status, int events);
  static void OnClosed(uv_handle_t* handle);
  void UpdateReading();
  void UpdatePolling();
  void AwaitSocket();
  void Release();
  bool TryWrite();
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
  resp::Output* sending_ = &outputs_[1];  // sent first
  std::unique_ptr<ParkedCommand> parked_;
  std::string protocol_error_;

  uv_poll_t poll_;
  bool polled_ = false;       // libuv has it
  bool full_ = false;         // the socket takes no more: libuv says when it does
  size_t offered_bytes_ = 0;  // what NextPieces gave

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
