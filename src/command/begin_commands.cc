// BEGIN, COMMIT, ROLLBACK: interactive transactions (open_transaction.h).
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/parse.h"
#include "command/context.h"
#include "command/errors.h"
#include "command/notify.h"
#include "command/open_transaction.h"
#include "command/services.h"
#include "command/table.h"
#include "engine/store.h"

namespace fluxkv::command {
namespace {

// nullopt: a syntax error.
std::optional<TransactionLevel> LevelOf(const Context& c) {
  const bool weaker = c.services.config.start().isolation == config::Isolation::kSnapshot;
  std::optional<TransactionLevel> level;
  bool read_only = false;
  for (size_t i = 1; i < c.args.size(); ++i) {
    const bool serializable = EqualsIgnoreCase(c.args[i], "serializable");
    if ((serializable || EqualsIgnoreCase(c.args[i], "snapshot")) && !level && !read_only) {
      level = serializable ? TransactionLevel::kSerializable : TransactionLevel::kSnapshot;
    } else if (EqualsIgnoreCase(c.args[i], "readonly") && !read_only) {
      read_only = true;
    } else {
      return std::nullopt;
    }
  }
  // What reads at one snapshot and writes nothing is serializable anyhow.
  if (read_only) return TransactionLevel::kReadOnly;
  return level.value_or(weaker ? TransactionLevel::kSnapshot : TransactionLevel::kSerializable);
}

void Begin(Context& c) {
  const std::optional<TransactionLevel> level = LevelOf(c);
  if (!level) return c.reply.Error(errors::kSyntax);
  if (c.session.open != nullptr) return c.reply.Error("ERR BEGIN calls can not be nested");
  const auto most = static_cast<uint64_t>(
      c.services.config.settings().transactions_open_max.load(std::memory_order_relaxed));
  auto open = std::make_unique<OpenTransaction>(c.loop.handle, *level, c.services.clock.now_ms());
  open->txn.set_client(c.session.info->id);
  const bool read_only = *level == TransactionLevel::kReadOnly;
  const auto isolation = *level == TransactionLevel::kSnapshot ? engine::Isolation::kSnapshot
                                                               : engine::Isolation::kSerializable;
  if (c.services.stats.open_transactions.load(std::memory_order_relaxed) >= most ||
      !open->txn.BeginSnapshot(isolation, read_only))
    return c.reply.Error("ERR too many open transactions (transactions.max_open)");
  c.loop.stats.transactions_begun.Add(1);
  c.session.conflict_answered = false;
  OpenSessionTransaction(c.session, c.services, std::move(open));
  c.reply.Ok();
}

// The reason is a copy: it may be the transaction's own.
void AnswerConflict(Context& c, const std::string reason) {
  c.txn.DependOn(c.services.database.store().stamp.load());  // it tells of somebody up to here
  CloseSessionTransaction(c.session, c.services);
  c.session.conflict_answered = true;
  c.reply.Error("CONFLICT " + reason);
}

void Commit(Context& c) {
  Session& session = c.session;
  if (session.open == nullptr) return c.reply.Error("ERR COMMIT without BEGIN");
  OpenTransaction& open = *session.open;
  if (open.over()) return AnswerConflict(c, open.over_because);
  if (!open.txn.Commit()) {
    c.loop.stats.transaction_conflicts.Add(1);
    return AnswerConflict(c, open.txn.conflict_reason());
  }
  c.txn.DependOn(open.txn.depends_on());
  c.loop.stats.transactions_committed.Add(1);
  c.reply.Integer(static_cast<int64_t>(open.txn.commit_stamp()));
  c.loop.events = std::move(open.events);
  SendEvents(c.services, c.loop);
  for (const PendingMessage& message : open.messages) {
    c.services.pubsub.Publish(message.channel, message.payload, message.shard,
                              StampOfMessage(session, c.loop));
  }
  CloseSessionTransaction(session, c.services);
}

void Rollback(Context& c) {
  if (c.session.open != nullptr) {
    if (!c.session.open->over()) c.loop.stats.transactions_rolled_back.Add(1);
    CloseSessionTransaction(c.session, c.services);
  } else if (!std::exchange(c.session.conflict_answered, false)) {
    return c.reply.Error("ERR ROLLBACK without BEGIN");
  }
  c.reply.Ok();
}

constexpr uint32_t kBeginFlags = kNoScript | kNoMulti;

constexpr Command kBeginRows[] = {
    {.name = "begin",
     .arity = -1,
     .flags = kBeginFlags | kFast,
     .group = Group::kTransactions,
     .acl = kAclTransaction,
     .summary = "Opens an interactive transaction: BEGIN [SERIALIZABLE|SNAPSHOT] [READONLY].",
     .handler = &Begin},
    {.name = "commit",
     .arity = 1,
     .flags = kBeginFlags | kEndsTransaction,
     .group = Group::kTransactions,
     .acl = kAclTransaction,
     .complexity = "O(N) where N is the number of keys written and read",
     .summary = "Commits the open transaction: answers its stamp, or -CONFLICT.",
     .handler = &Commit},
    {.name = "rollback",
     .arity = 1,
     .flags = kBeginFlags | kEndsTransaction,
     .group = Group::kTransactions,
     .acl = kAclTransaction,
     .complexity = "O(N) where N is the number of keys written",
     .summary = "Ends the open transaction without a trace.",
     .handler = &Rollback},
};

}  // namespace

std::span<const Command> BeginCommands() {
  return kBeginRows;
}

}  // namespace fluxkv::command
