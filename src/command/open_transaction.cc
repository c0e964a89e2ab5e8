#include "command/open_transaction.h"

#include <algorithm>
#include <utility>

#include "base/parse.h"
#include "command/command.h"
#include "command/services.h"
#include "command/session.h"
#include "command/table.h"

namespace fluxkv::command {
namespace {

// Old versions may take an eighth of the limit beyond it before who holds them is ended.
constexpr uint64_t kOldVersionsShare = 8;

// What neither reads nor writes keys in the transaction, yet acts for the whole server or changes
// what a transaction is.
bool ActsOutside(const Command& command) {
  if (command.scope == Scope::kExclusive || (command.flags & kNotInTransaction) != 0) return true;
  if (command.group == Group::kConnection || command.parent == "client") return false;
  if (command.scope != Scope::kNone) return false;
  return (command.flags & (kAdmin | kBlocking)) != 0;
}

bool MayFollowTheEnd(const Command& command) {
  return command.group == Group::kConnection || command.parent == "client" ||
         (command.flags & kEndsTransaction) != 0;
}

bool HoldsTooMuch(const OpenTransaction& open, const Services& services) {
  const int64_t limit = services.config.settings().maxmemory_bytes.load(std::memory_order_relaxed);
  if (limit <= 0) return false;
  const engine::EngineStats engine = services.database.stats();
  const auto most = static_cast<uint64_t>(limit);
  return engine.used_bytes + engine.garbage_bytes > most + most / kOldVersionsShare &&
         engine.oldest_snapshot == open.txn.snapshot();
}

}  // namespace

std::string_view NameOf(TransactionLevel level) {
  constexpr std::string_view kNames[] = {"none", "serializable", "snapshot", "readonly"};
  return kNames[static_cast<size_t>(level)];
}

std::string RefusedInTransaction(const OpenTransaction& open, const Command& command) {
  if (open.over() && !MayFollowTheEnd(command))
    return "CONFLICT the transaction is over: " + open.over_because + "; ROLLBACK, then try again";
  if (open.over()) return {};
  if (ActsOutside(command))
    return "ERR '" + CommandTable::FullName(command) +
           "' is not allowed between BEGIN and COMMIT or ROLLBACK";
  if (open.level == TransactionLevel::kReadOnly && (command.flags & kWrite) != 0)
    return "READONLY '" + CommandTable::FullName(command) +
           "' is not allowed in a READONLY transaction";
  return {};
}

void OpenSessionTransaction(Session& session, Services& services,
                            std::unique_ptr<OpenTransaction> open) {
  session.info->transaction_level.store(static_cast<uint32_t>(open->level),
                                        std::memory_order_relaxed);
  session.info->transaction_began_ms.store(open->began_at_ms, std::memory_order_relaxed);
  services.stats.open_transactions.fetch_add(1, std::memory_order_relaxed);
  session.open = std::move(open);
  ShowTransactionMemory(session);
}

void CloseSessionTransaction(Session& session, Services& services) {
  if (session.open == nullptr) return;
  session.open.reset();
  session.info->transaction_level.store(static_cast<uint32_t>(TransactionLevel::kNone),
                                        std::memory_order_relaxed);
  services.stats.open_transactions.fetch_sub(1, std::memory_order_relaxed);
  ShowTransactionMemory(session);
}

void ShowTransactionMemory(Session& session) {
  const uint64_t bytes = session.open == nullptr ? 0 : session.open->held_bytes();
  session.info->transaction_bytes.store(bytes, std::memory_order_relaxed);
}

void TendTransaction(Session& session, Services& services, LoopState& loop) {
  OpenTransaction& open = *session.open;
  if (open.over() || session.parked != nullptr) return;
  const int64_t timeout_ms =
      services.config.settings().transaction_timeout_ms.load(std::memory_order_relaxed);
  if (timeout_ms > 0 && services.clock.now_ms() - open.began_at_ms > timeout_ms) {
    open.End("it was open for longer than transactions.timeout");
  } else if (HoldsTooMuch(open, services)) {
    open.End("snapshot too old: memory is short, and it holds the oldest versions");
  } else {
    return;
  }
  loop.stats.transactions_ended.Add(1);
  ShowTransactionMemory(session);
}

}  // namespace fluxkv::command
