#include "command/dispatch.h"

#include <algorithm>
#include <string>

#include "base/check.h"
#include "base/memory.h"
#include "base/parse.h"
#include "command/context.h"
#include "command/errors.h"
#include "command/keys.h"
#include "command/notify.h"
#include "command/record.h"
#include "command/refusals.h"
#include "engine/store.h"

namespace fluxkv::command {
namespace {

constexpr int kReadTries = 3;
bool WritesOrPublishes(const Command& command) {
  return (command.flags & (kWrite | kMayReplicate)) != 0;
}

bool ChangesKeys(const Command& command) {
  return (command.flags & kWrite) != 0 || command.scope == Scope::kExclusive;
}

// About what an argument takes as a key or as a value: with the node or the version around it, and
// half of what a key takes in the index, in the list and at the eviction policy.
uint64_t RoomOf(std::string_view argument) {
  constexpr size_t kAround = 24, kElsewhere = 16;
  return AllocatedBytes(argument.size() + kAround) + kElsewhere;
}

}  // namespace

Dispatcher::Dispatcher(Services& services, LoopState& loop)
    : services_(services),
      loop_(loop),
      log_(services.database.store().log),
      exec_(services.table.Find("exec")),
      commit_(services.table.Find("commit")) {}

const Command* Dispatcher::Find(Arguments arguments) const {
  const Command* command = services_.table.Find(arguments[0]);
  if (command == nullptr || command->subcommands.empty() || arguments.size() == 1) return command;
  return services_.table.FindSubcommand(*command, arguments[1]);
}

bool Dispatcher::MustPause(const Session& session, Arguments arguments) const {
  int mode = services_.clients.PauseMode(services_.clock.now_ms());
  if (mode == 0) [[likely]]
    return false;
  const Command* command = Find(arguments);
  if (!Refusal(session, command, arguments).empty()) return false;
  if (mode == 2) return true;
  if (session.open != nullptr) [[unlikely]]
    return command == commit_ && (session.open->has_writes() || !session.open->messages.empty());
  if (WritesOrPublishes(*command)) return true;
  return command == exec_ &&
         std::any_of(session.queue.begin(), session.queue.end(), [](const QueuedCommand& queued) {
           return WritesOrPublishes(*queued.command);
         });
}

bool Dispatcher::MustWaitForLog(const Session& session, Arguments arguments) const {
  const Command* command = Find(arguments);
  if (session.in_multi && (command != exec_ || session.multi_failed)) return false;
  return Refusal(session, command, arguments).empty() && Writes(session, *command);
}

void Dispatcher::BeginBatch(size_t commands) {
  last_ticks_ = loop_.stopwatch.Read();
  batch_left_ = commands;
}

std::unique_ptr<Parked> Dispatcher::Run(Session& session, Arguments arguments,
                                        resp::Output& output) {
  size_t mark = output.Mark();
  resp::Writer reply(output, session.protocol);
  const Command* command = Find(arguments);
  ClientInfo& info = *session.info;
  if (info.last_command.load(std::memory_order_relaxed) != command) {
    info.last_command.store(command, std::memory_order_relaxed);
  }
  info.commands.store(info.commands.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  std::unique_ptr<Parked> parked;
  loop_.txn.ForgetDependencies();
  if (session.open != nullptr) [[unlikely]]
    EndIfTooOld(session, services_, loop_);
  if (Admit(session, command, arguments, reply)) {
    parked = Call(session, *command, arguments, reply);
  } else {
    batch_left_ = 0;
  }
  NoteDependencies(session);
  if (session.reply_mode != ReplyMode::kOn && parked == nullptr) [[unlikely]] {
    ApplyReplyMode(session, command, mark, output);
  }
  return parked;
}

bool Dispatcher::Admit(Session& session, const Command* command, Arguments arguments,
                       resp::Writer& reply) {
  std::string refusal = Refusal(session, command, arguments);
  if (refusal.empty()) [[likely]]
    refusal = MakeRoom(session, *command, arguments);
  if (!refusal.empty()) [[unlikely]] {
    if (command == nullptr && LooksLikeHttp(arguments[0])) {
      session.close_after_reply = true;
    } else {
      Refuse(session, command, refusal, reply);
    }
    return false;
  }
  if (session.in_multi && (command->flags & kRunsInMulti) == 0) [[unlikely]] {
    Queue(session, *command, arguments, reply);
    return false;
  }
  return true;
}

std::string Dispatcher::Refusal(const Session& session, const Command* command,
                                Arguments arguments) const {
  if (command == nullptr) [[unlikely]]
    return UnknownCommand(services_.table, arguments);
  auto count = static_cast<int64_t>(arguments.size());
  if (command->arity > 0 ? count != command->arity : count < -command->arity) [[unlikely]]
    return WrongArity(*command);
  const config::Settings& settings = services_.config.settings();
  if (!session.authenticated && (command->flags & kNoAuth) == 0 &&
      settings.requirepass_set.load(std::memory_order_relaxed) != 0) [[unlikely]]
    return std::string(errors::kNoAuth);
  if (session.in_multi && (command->flags & kNoMulti) != 0) [[unlikely]]
    return "ERR Command not allowed inside a transaction";
  if (session.open != nullptr) [[unlikely]] {
    std::string refusal = RefusedInTransaction(*session.open, *command);
    if (!refusal.empty()) return refusal;
  }
  if (services_.stats.loading.load(std::memory_order_relaxed) && (command->flags & kLoading) == 0)
      [[unlikely]]
    return std::string(errors::kLoading);
  if (log_.admission() >= engine::CommitLog::Admission::kRefused) [[unlikely]] {
    if (Writes(session, *command)) return RefusedByLog(log_.failure());
  }
  if (session.protocol == 2 && (command->flags & kAllowedInPubSub) == 0 &&
      session.subscriptions() != 0) [[unlikely]]
    return NotWhileSubscribed(*command);
  return {};
}

void Dispatcher::Refuse(Session& session, const Command* command, std::string_view error,
                        resp::Writer& reply) {
  if (command != nullptr) loop_.stats.per_command[command->number].rejected.Add(1);
  if (command == exec_) {
    EndMulti(session, services_.database);
    reply.Error(AbortedBecause(error));
  } else {
    if (session.in_multi) session.multi_failed = true;
    reply.Error(error);
  }
  loop_.stats.CountError(reply.error_code());
}

bool Dispatcher::DeniedWhenFull(const Session& session, const Command& command) const {
  if (session.open != nullptr) [[unlikely]]
    return &command == commit_ && session.open->adds_data && session.open->has_writes();
  if ((command.flags & kDenyOom) != 0) return true;
  return &command == exec_ &&
         std::any_of(session.queue.begin(), session.queue.end(), [](const QueuedCommand& queued) {
           return (queued.command->flags & kDenyOom) != 0;
         });
}

bool Dispatcher::Writes(const Session& session, const Command& command) const {
  if (session.open != nullptr) [[unlikely]]
    return &command == commit_ && session.open->has_writes();
  if (ChangesKeys(command)) return true;
  return &command == exec_ &&
         std::any_of(session.queue.begin(), session.queue.end(),
                     [](const QueuedCommand& queued) { return ChangesKeys(*queued.command); });
}

void Dispatcher::NoteDependencies(Session& session) const {
  session.reply_stamp = loop_.txn.depends_on();
  session.newest_stamp = std::max(session.newest_stamp, session.reply_stamp);
}

std::string Dispatcher::MakeRoom(const Session& session, const Command& command,
                                 Arguments arguments) {
  const int64_t limit = services_.config.settings().maxmemory_bytes.load(std::memory_order_relaxed);
  if (!DeniedWhenFull(session, command)) [[likely]]
    return {};
  if (NodeRangeHasLess(limits::kNodeBytesLeast)) [[unlikely]]
    return std::string(errors::kNoNodes);
  if (limit == 0) [[likely]]
    return {};
  // One value may go over the limit; many may not (EXEC, MSET).
  constexpr size_t kFewArguments = 8;
  uint64_t bytes = 0;
  if (&command == exec_) {
    for (const QueuedCommand& queued : session.queue) {
      if ((queued.command->flags & kDenyOom) == 0) continue;
      for (const std::string& argument : queued.arguments) bytes += RoomOf(argument);
    }
  } else if (session.open != nullptr) {
    bytes = session.open->txn.write_bytes();
  } else if (arguments.size() > kFewArguments) {
    for (std::string_view argument : arguments) bytes += RoomOf(argument);
  }
  const auto room = loop_.evictor.MakeRoom(static_cast<uint64_t>(limit), bytes);
  return room == engine::Evictor::Room::kNone ? std::string(errors::kOom) : std::string();
}

void Dispatcher::Queue(Session& session, const Command& command, Arguments arguments,
                       resp::Writer& reply) {
  // A transaction that must fail needs no commands.
  if (!session.multi_failed) QueueCommand(session, command, arguments);
  int64_t limit =
      services_.config.settings().query_buffer_bytes_max.load(std::memory_order_relaxed);
  if (session.queue_bytes > static_cast<uint64_t>(limit)) [[unlikely]] {
    loop_.stats.query_buffer_disconnects.Add(1);
    session.multi_failed = true;
    session.close_after_reply = true;
    ClearQueue(session);
    return;
  }
  reply.Raw(resp::replies::kQueued);
}

std::unique_ptr<Parked> Dispatcher::Call(Session& session, const Command& command,
                                         Arguments arguments, resp::Writer& reply) {
  const bool in_transaction = session.open != nullptr && command.scope != Scope::kNone;
  Context context{.args = arguments,
                  .command = &command,
                  .session = session,
                  .txn = in_transaction ? session.open->txn : loop_.txn,
                  .reply = reply,
                  .services = services_,
                  .loop = loop_};
  uint64_t begin = batch_left_ != 0 ? last_ticks_ : loop_.stopwatch.Read();
  Execute(context);
  last_ticks_ = loop_.stopwatch.Read();
  if (batch_left_ != 0) --batch_left_;
  uint64_t ns = loop_.stopwatch.Nanoseconds(last_ticks_ - begin);
  if (context.parked != nullptr) [[unlikely]] {
    session.parked = std::make_unique<ParkedCall>(
        ParkedCall{&command, std::vector<std::string>(arguments.begin(), arguments.end()),
                   std::exchange(loop_.redacted, {}), ns});
    return std::move(context.parked);
  }
  RecordCall(services_, loop_, {session, command, arguments, session.db, ns, reply.error_code()});
  return nullptr;
}

void Dispatcher::Execute(Context& context) {
  engine::Transaction& txn = context.txn;
  txn.set_quiet(context.session.no_touch);
  if (context.session.open != nullptr) [[unlikely]]
    return ExecuteInTransaction(context);
  switch (context.command->scope) {
    case Scope::kNone:
      ExecuteAlone(context);
      break;
    case Scope::kRead:
      ExecuteRead(context);
      break;
    case Scope::kWrite:
      ExecuteWrite(context);
      break;
    case Scope::kSnapshot:
      ExecuteAtSnapshot(context);
      break;
    case Scope::kExclusive:
    case Scope::kRange:
      txn.BeginExclusive();
      context.command->handler(context);
      ASSERT(txn.Commit());
      break;
  }
  SendEvents(services_, loop_);
}

void Dispatcher::ExecuteAlone(Context& context) {
  const bool pending = services_.database.policy_pending();
  context.command->handler(context);
  // CONFIG SET, or EXEC with one in it: what comes next finds the new policy.
  if (!pending && services_.database.policy_pending()) [[unlikely]]
    loop_.handle.AwaitPolicy();
}

void Dispatcher::ExecuteRead(Context& context) {
  engine::Transaction& txn = loop_.txn;
  resp::Output& output = context.reply.output();
  size_t mark = output.Mark();
  for (int i = 0; i < kReadTries; ++i) {
    txn.BeginRead();
    context.command->handler(context);
    if (txn.Validate()) [[likely]] {
      ASSERT(txn.Commit());
      return;
    }
    txn.Rollback();
    output.Truncate(mark);
    context.reply.ResetErrors();
    loop_.events.clear();
  }
  ExecuteAtSnapshot(context);
}

void Dispatcher::ExecuteWrite(Context& context) {
  loop_.latch_keys.clear();
  AppendLatchKeys(*context.command, context.args, context.session.db, &loop_.latch_keys);
  loop_.txn.BeginLatched(loop_.latch_keys);
  context.command->handler(context);
  ASSERT(loop_.txn.Commit());
}

void Dispatcher::ExecuteAtSnapshot(Context& context) {
  engine::Transaction& txn = loop_.txn;
  txn.set_client(context.session.info->id);
  // With as many snapshots open as there may be, the command still has its moment: alone.
  if (!txn.BeginSnapshot(engine::Isolation::kSnapshot, /*read_only=*/true)) txn.BeginExclusive();
  context.command->handler(context);
  ASSERT(txn.Commit());
}

void Dispatcher::ExecuteInTransaction(Context& context) {
  resp::Output& output = context.reply.output();
  const size_t mark = output.Mark();
  context.command->handler(context);
  if (context.session.open == nullptr) return;  // COMMIT, which has told all, ROLLBACK, RESET
  OpenTransaction& open = *context.session.open;
  if (open.over()) return;
  open.adds_data |= (context.command->flags & kDenyOom) != 0;
  loop_.txn.DependOn(open.txn.depends_on());
  for (PendingEvent& event : loop_.events) open.Tell(std::move(event));
  loop_.events.clear();
  if (EndIfTooLarge(context.session, services_, loop_)) {
    context.parked.reset();
    output.Truncate(mark);
    context.reply.ResetErrors();
    context.reply.Error(RefusedInTransaction(open, *context.command));
  }
}

void Dispatcher::TendTransaction(Session& session) {
  command::TendTransaction(session, services_, loop_);
}

bool Dispatcher::Resume(Session& session, Parked& parked, resp::Output& output) {
  size_t mark = output.Mark();
  resp::Writer reply(output, session.protocol);
  Context context{.args = {},
                  .command = session.parked->command,
                  .session = session,
                  .txn = loop_.txn,
                  .reply = reply,
                  .services = services_,
                  .loop = loop_};
  loop_.txn.ForgetDependencies();
  uint64_t begin = loop_.stopwatch.Read();
  bool done = parked.Step(context);
  uint64_t ns = loop_.stopwatch.Nanoseconds(loop_.stopwatch.Read() - begin);
  session.parked->ns += ns;
  if (!done) return false;
  const Command* command = session.parked->command;
  FinishParked(session, reply);
  if (session.reply_mode != ReplyMode::kOn) ApplyReplyMode(session, command, mark, output);
  return true;
}

bool Dispatcher::Unblock(Session& session, Parked& parked, bool with_error, resp::Output& output) {
  size_t mark = output.Mark();
  resp::Writer reply(output, session.protocol);
  Context context{.args = {},
                  .command = session.parked->command,
                  .session = session,
                  .txn = loop_.txn,
                  .reply = reply,
                  .services = services_,
                  .loop = loop_};
  loop_.txn.ForgetDependencies();
  if (!parked.Unblock(context, with_error)) return false;
  const Command* command = session.parked->command;
  FinishParked(session, reply);
  if (session.reply_mode != ReplyMode::kOn) ApplyReplyMode(session, command, mark, output);
  return true;
}

void Dispatcher::FinishParked(Session& session, const resp::Writer& reply) {
  std::unique_ptr<ParkedCall> call = std::move(session.parked);
  std::vector<std::string_view> arguments(call->arguments.begin(), call->arguments.end());
  SendEvents(services_, loop_);
  loop_.redacted = std::move(call->redacted);
  RecordCall(services_, loop_,
             {session, *call->command, arguments, session.db, call->ns, reply.error_code()});
  NoteDependencies(session);
}

void Dispatcher::ApplyReplyMode(Session& session, const Command* command, size_t mark,
                                resp::Output& output) {
  // Confirmations of subscriptions are pushes, and pushes are always sent.
  bool pushes = command != nullptr && command->group == Group::kPubSub &&
                (command->flags & kAllowedInPubSub) != 0;
  if (!pushes) output.Truncate(mark);
  if (session.reply_mode == ReplyMode::kSkip) session.reply_mode = ReplyMode::kOn;
  if (session.reply_mode == ReplyMode::kSkipNext) session.reply_mode = ReplyMode::kSkip;
}

void Dispatcher::Forget(Session& session) {
  session.parked.reset();
  ReleaseSession(session, services_);
}

void Dispatcher::WriteDelivery(const Session& session, const Delivery& delivery,
                               resp::Output& output) {
  resp::Writer writer(output, session.protocol);
  auto push = [&](std::string_view kind, const std::unordered_set<std::string>& subscribed,
                  const std::string& to) {
    if (!subscribed.contains(to)) return;  // unsubscribed while it was under way
    bool pattern = &to == &delivery.pattern;
    writer.PushHeader(pattern ? 4 : 3);
    writer.Bulk(kind);
    if (pattern) writer.Bulk(delivery.pattern);
    writer.Bulk(delivery.message->channel);
    writer.Bulk(delivery.message->payload);
  };
  switch (delivery.kind) {
    case Delivery::Kind::kMessage:
      return push("message", session.channels, delivery.message->channel);
    case Delivery::Kind::kPatternMessage:
      return push("pmessage", session.patterns, delivery.pattern);
    case Delivery::Kind::kShardMessage:
      return push("smessage", session.shard_channels, delivery.message->channel);
    case Delivery::Kind::kMonitorLine:
      if (session.monitoring) writer.SimpleString(delivery.message->payload);
      return;
    case Delivery::Kind::kKill:
    case Delivery::Kind::kUnblockTimeout:
    case Delivery::Kind::kUnblockError:
      return;  // they ask the connection to act, nothing is written
  }
}

}  // namespace fluxkv::command
