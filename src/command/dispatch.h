// From a parsed request to its reply: find the row, run the ordered checks, run the handler in the
// transaction that its scope asks for, commit, send keyspace events, keep statistics.
//
// Order of the checks (as Redis's processCommand): known, arity, authentication, allowed in MULTI
// and between BEGIN and COMMIT,
// memory, a log that has failed, subscribed mode, MULTI queueing. Pause and a log without room are
// asked by the connection before it calls Run (MustPause, MustWaitForLog).
// Threads: a Dispatcher is a loop's own.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "command/command.h"
#include "command/parked.h"
#include "command/services.h"
#include "command/session.h"
#include "command/table.h"
#include "resp/output.h"
#include "resp/writer.h"

namespace fluxkv::command {

class Dispatcher {
 public:
  Dispatcher(Services& services, LoopState& loop);

  // The row of a request, or null. For prefetching and pausing before Run.
  const Command* Find(std::span<const std::string_view> arguments) const;
  // True if the request must wait until the pause ends: all commands, or writes (and EXEC with a
  // queued write, PUBLISH, ...). What would be refused is refused at once.
  bool MustPause(const Session& session, std::span<const std::string_view> arguments) const;
  // True if the request would write at once, for when the log takes no more: it must wait, unless
  // it would be refused. Commands that MULTI queues write when EXEC runs.
  bool MustWaitForLog(const Session& session, std::span<const std::string_view> arguments) const;
  // Runs one request and writes its reply (unless parked: the reply comes from Resume). Requires:
  // inside an epoch. Returns what the connection has to park on, or null. This, Resume and Unblock
  // leave in session.reply_stamp which commit the reply tells of.
  std::unique_ptr<Parked> Run(Session& session, std::span<const std::string_view> arguments,
                              resp::Output& output);
  // One step of a parked command; true when it has answered.
  bool Resume(Session& session, Parked& parked, resp::Output& output);
  bool Unblock(Session& session, Parked& parked, bool with_error, resp::Output& output);
  // Undoes what the session holds outside itself: watches, subscriptions, monitor. Before the
  // session is destroyed, and at RESET.
  void Forget(Session& session);
  // Ends the session's open transaction when that is due; for when the connection is looked after.
  void TendTransaction(Session& session);
  // Writes a delivered message in the session's protocol.
  static void WriteDelivery(const Session& session, const Delivery& delivery, resp::Output& output);
  // The next `commands` calls of Run follow each other at once, so that the clock is read once a
  // command: the end of one is the start of the next. Without this call it is read twice.
  void BeginBatch(size_t commands);

 private:
  using Arguments = std::span<const std::string_view>;
  // The ordered checks. False after the command was refused or queued, with its reply.
  bool Admit(Session& session, const Command* command, Arguments arguments, resp::Writer& reply);
  // The error with which those checks refuse it; empty if they do not.
  std::string Refusal(const Session& session, const Command* command, Arguments arguments) const;
  void Refuse(Session& session, const Command* command, std::string_view error,
              resp::Writer& reply);
  // Makes room for a command that adds data; the refusal when there is none, empty else.
  std::string MakeRoom(const Session& session, const Command& command, Arguments arguments);
  bool DeniedWhenFull(const Session& session, const Command& command) const;
  // Whether it changes keys, or is EXEC and a queued command does.
  bool Writes(const Session& session, const Command& command) const;
  void NoteDependencies(Session& session) const;
  void Queue(Session& session, const Command& command, Arguments arguments, resp::Writer& reply);
  std::unique_ptr<Parked> Call(Session& session, const Command& command, Arguments arguments,
                               resp::Writer& reply);
  // Runs the handler in the transaction that its scope asks for, to its commit.
  void Execute(Context& context);
  void ExecuteAlone(Context& context);
  void ExecuteRead(Context& context);
  void ExecuteWrite(Context& context);
  void ExecuteAtSnapshot(Context& context);
  // Between BEGIN and COMMIT.
  void ExecuteInTransaction(Context& context);
  void FinishParked(Session& session, const resp::Writer& reply);
  // CLIENT REPLY OFF and SKIP.
  static void ApplyReplyMode(Session& session, const Command* command, size_t mark,
                             resp::Output& output);

  Services& services_;
  LoopState& loop_;
  const engine::CommitLog& log_;
  const Command* const exec_;
  const Command* const commit_;
  uint64_t last_ticks_ = 0;  // of the stopwatch, when the last command ended
  size_t batch_left_ = 0;    // commands whose start is last_ticks_
};

}  // namespace fluxkv::command
