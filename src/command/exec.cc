#include "command/exec.h"

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/planted.h"
#include "command/connection.h"
#include "command/keys.h"
#include "command/notify.h"
#include "command/record.h"
#include "command/services.h"
#include "engine/store.h"

namespace fluxkv::command {
namespace {

constexpr int kSnapshotTries = 3;

class QueueRunner {
 public:
  explicit QueueRunner(Context& context)
      : context_(context),
        session_(context.session),
        txn_(context.txn),
        loop_(context.loop),
        queue_(std::move(context.session.queue)),
        first_db_(context.session.db),
        first_protocol_(context.session.protocol),
        ran_(queue_.size()) {}
  void Run();

 private:
  enum class Mode : uint8_t { kLatched, kSnapshot, kExclusive };
  // What is known of a command that ran, until it is recorded.
  struct Ran {
    uint32_t db = 0;
    uint64_t ns = 0;
    std::string error;
    std::vector<size_t> redacted;
  };

  Mode Plan();
  bool Begin(Mode mode);
  bool WatchedChanged() const;
  void RunAll();
  void RunOne(size_t index, resp::Output& output);
  bool CommitAtSnapshot();
  void Answer();
  bool HeldBack(size_t index) const;
  void Record(size_t index);

  Context& context_;
  Session& session_;
  engine::Transaction& txn_;
  LoopState& loop_;
  const std::vector<QueuedCommand> queue_;
  const uint32_t first_db_;
  const int first_protocol_;
  bool only_reads_ = true;
  bool hold_back_ = false;                   // the replies go to parts_ until the commit
  std::vector<Ran> ran_;                     // by index in the queue
  std::deque<resp::Output> parts_;           // by index in the queue, if hold_back_
  std::vector<std::string_view> arguments_;  // scratch
};

// Finds the keys, each in the database selected at its place in the queue.
QueueRunner::Mode QueueRunner::Plan() {
  std::vector<engine::LatchKey>& keys = loop_.latch_keys;
  keys.clear();
  bool snapshot = false, exclusive = false;
  uint32_t db = first_db_;
  for (const QueuedCommand& queued : queue_) {
    const Command& command = *queued.command;
    arguments_.assign(queued.arguments.begin(), queued.arguments.end());
    if (IsSelect(command)) db = SelectedBy(arguments_, context_.services.database).value_or(db);
    if (command.scope == Scope::kRead || command.scope == Scope::kWrite) {
      AppendLatchKeys(command, arguments_, db, &keys);
    }
    snapshot |= command.scope == Scope::kSnapshot || command.scope == Scope::kRange;
    exclusive |= command.scope == Scope::kExclusive;
    only_reads_ &= command.scope != Scope::kWrite && command.scope != Scope::kRange;
    hold_back_ |= (command.flags & kAfterCommit) != 0;
  }
  for (const auto& [place, token] : session_.watched) keys.push_back({token.db, token.hash});
  if (exclusive || (snapshot && !session_.watched.empty())) return Mode::kExclusive;
  hold_back_ |= snapshot;
  return snapshot ? Mode::kSnapshot : Mode::kLatched;
}

bool QueueRunner::Begin(Mode mode) {
  switch (mode) {
    case Mode::kLatched:
      txn_.BeginLatched(loop_.latch_keys);
      return true;
    case Mode::kExclusive:
      txn_.BeginExclusive();
      return true;
    case Mode::kSnapshot:
      break;
  }
  txn_.set_client(session_.info->id);
  bool weaker = context_.services.config.start().isolation == config::Isolation::kSnapshot;
  return txn_.BeginSnapshot(
      weaker ? engine::Isolation::kSnapshot : engine::Isolation::kSerializable, only_reads_);
}

bool QueueRunner::WatchedChanged() const {
  if (PLANTED(EXEC_IGNORES_WATCH)) return false;
  for (const auto& [place, token] : session_.watched) {
    if (context_.services.database.Changed(token)) return true;
  }
  return false;
}

void QueueRunner::Run() {
  Mode mode = Plan();
  txn_.set_quiet(session_.no_touch);
  if (mode != Mode::kSnapshot || !CommitAtSnapshot()) {
    ASSERT(Begin(mode == Mode::kSnapshot ? Mode::kExclusive : mode));
    if (WatchedChanged()) {
      txn_.DependOn(context_.services.database.store().stamp.load());  // somebody's up to here
      txn_.Rollback();
      EndMulti(session_, context_.services.database);
      return context_.reply.NullArray();
    }
    if (!hold_back_) context_.reply.ArrayHeader(queue_.size());
    RunAll();
    ASSERT(txn_.Commit());
  }
  ReleaseWatches(session_, context_.services.database);
  Answer();
  EndMulti(session_, context_.services.database);
}

// False when it is better to run alone.
bool QueueRunner::CommitAtSnapshot() {
  for (int i = 0; i < kSnapshotTries; ++i) {
    if (!Begin(Mode::kSnapshot)) return false;
    RunAll();
    if (txn_.Commit()) return true;
  }
  return false;
}

void QueueRunner::RunAll() {
  SelectDatabase(session_, first_db_);
  SetProtocol(session_, first_protocol_);
  loop_.events.clear();
  parts_.clear();
  if (hold_back_) parts_.resize(queue_.size());
  for (size_t i = 0; i < queue_.size(); ++i) {
    if (HeldBack(i)) continue;
    RunOne(i, hold_back_ ? parts_[i] : context_.reply.output());
  }
}

// With one command held back all that touch no keys are, so that they see each other's effects in
// order. SELECT and HELLO stay at their places: the commands behind them depend on them.
bool QueueRunner::HeldBack(size_t index) const {
  const Command& command = *queue_[index].command;
  return hold_back_ && command.scope == Scope::kNone && !IsSelect(command) && !IsHello(command);
}

void QueueRunner::RunOne(size_t index, resp::Output& output) {
  const QueuedCommand& queued = queue_[index];
  arguments_.assign(queued.arguments.begin(), queued.arguments.end());
  resp::Writer reply(output, session_.protocol);
  Context context{.args = arguments_,
                  .command = queued.command,
                  .session = session_,
                  .txn = txn_,
                  .reply = reply,
                  .services = context_.services,
                  .loop = loop_,
                  .in_exec = true};
  loop_.redacted.clear();
  uint64_t begin = loop_.stopwatch.Read();
  queued.command->handler(context);
  uint64_t ns = loop_.stopwatch.Nanoseconds(loop_.stopwatch.Read() - begin);
  ASSERT(context.parked == nullptr);
  ran_[index] = {session_.db, ns, std::string(reply.error_code()),
                 std::exchange(loop_.redacted, {})};
}

// After the commit: events, then what was held back and the records (MONITOR's lines carry the
// commit's stamp), then the replies in order.
void QueueRunner::Answer() {
  SendEvents(context_.services, loop_);
  for (size_t i = 0; i < queue_.size(); ++i) {
    if (HeldBack(i)) RunOne(i, parts_[i]);
    Record(i);
  }
  if (!hold_back_) return;
  context_.reply.ArrayHeader(queue_.size());
  for (resp::Output& part : parts_) context_.reply.output().Append(std::move(part));
}

void QueueRunner::Record(size_t index) {
  const QueuedCommand& queued = queue_[index];
  Ran& ran = ran_[index];
  arguments_.assign(queued.arguments.begin(), queued.arguments.end());
  loop_.redacted = std::move(ran.redacted);
  RecordCall(context_.services, loop_,
             {session_, *queued.command, arguments_, ran.db, ran.ns, ran.error});
}

}  // namespace

void RunQueue(Context& context) {
  QueueRunner(context).Run();
}

}  // namespace fluxkv::command
