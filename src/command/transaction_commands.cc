// MULTI, EXEC, DISCARD, WATCH, UNWATCH.
#include "command/errors.h"
#include "command/exec.h"
#include "command/services.h"
#include "command/table.h"

namespace fluxkv::command {
namespace {

void Multi(Context& c) {
  if (c.session.in_multi) {
    c.session.multi_failed = true;
    return c.reply.Error("ERR MULTI calls can not be nested");
  }
  BeginMulti(c.session);
  c.reply.Ok();
}

void Exec(Context& c) {
  if (!c.session.in_multi) return c.reply.Error("ERR EXEC without MULTI");
  if (c.session.multi_failed) {
    EndMulti(c.session, c.services.database);
    return c.reply.Error(errors::kExecAbort);
  }
  RunQueue(c);
}

void Discard(Context& c) {
  if (!c.session.in_multi) return c.reply.Error("ERR DISCARD without MULTI");
  EndMulti(c.session, c.services.database);
  c.reply.Ok();
}

void Watch(Context& c) {
  Session& session = c.session;
  if (session.in_multi) return c.reply.Error("ERR WATCH inside MULTI is not allowed");
  for (size_t i = 1; i < c.args.size(); ++i) {
    auto [at, added] = session.watched.try_emplace({session.db, std::string(c.args[i])});
    if (added) at->second = c.services.database.Watch(session.db, c.Key(i));
  }
  session.info->watched.store(static_cast<uint32_t>(session.watched.size()),
                              std::memory_order_relaxed);
  c.reply.Ok();
}

void Unwatch(Context& c) {
  ReleaseWatches(c.session, c.services.database);
  c.reply.Ok();
}

constexpr uint32_t kSessionFlags = kNoScript | kLoading | kStale | kAllowBusy | kFast;

constexpr Command kTransactionRows[] = {
    {.name = "multi",
     .arity = 1,
     .flags = kSessionFlags | kRunsInMulti | kNotInTransaction,
     .group = Group::kTransactions,
     .acl = kAclTransaction,
     .since = "1.2.0",
     .summary = "Starts a transaction.",
     .handler = &Multi},
    {.name = "exec",
     .arity = 1,
     .flags = kNoScript | kLoading | kStale | kSkipSlowlog | kRunsInMulti,
     .group = Group::kTransactions,
     .acl = kAclTransaction,
     .since = "1.2.0",
     .complexity = "Depends on commands in the transaction",
     .summary = "Executes all commands in a transaction.",
     .handler = &Exec},
    {.name = "discard",
     .arity = 1,
     .flags = kSessionFlags | kRunsInMulti,
     .group = Group::kTransactions,
     .acl = kAclTransaction,
     .since = "2.0.0",
     .complexity = "O(N), when N is the number of queued commands",
     .summary = "Discards a transaction.",
     .handler = &Discard},
    {.name = "watch",
     .arity = -2,
     .flags = kSessionFlags | kRunsInMulti | kNotInTransaction,
     .keys = {1, -1, 1},
     .group = Group::kTransactions,
     .acl = kAclTransaction,
     .since = "2.2.0",
     .complexity = "O(1) for every key.",
     .summary = "Monitors changes to keys to determine the execution of a transaction.",
     .handler = &Watch},
    {.name = "unwatch",
     .arity = 1,
     .flags = kSessionFlags | kNotInTransaction,
     .group = Group::kTransactions,
     .acl = kAclTransaction,
     .since = "2.2.0",
     .summary = "Forgets about watched keys of a transaction.",
     .handler = &Unwatch},
};

}  // namespace

std::span<const Command> TransactionCommands() {
  return kTransactionRows;
}

}  // namespace fluxkv::command
