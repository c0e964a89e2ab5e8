#include "command/open_transaction.h"

#include <algorithm>
#include <utility>

#include "base/parse.h"
#include "command/command.h"
#include "command/services.h"
#include "command/session.h"
#include "command/table.h"
#include "engine/store.h"

namespace fluxkv::command {
namespace {

// After one was ended the collector has so long to free what it held, before the next goes.
constexpr int64_t kEndsApartMs = 1000;
// Old versions may take an eighth of the limit beyond it before who holds them is ended.
constexpr int64_t kOldVersionsShare = 8;

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

bool HoldsTooMuch(const OpenTransaction& open, const Services& services, LoopState& loop) {
  const int64_t limit = services.config.settings().maxmemory_bytes.load(std::memory_order_relaxed);
  if (limit <= 0) return false;
  const engine::Handle::Scope in_epoch(loop.handle);
  const engine::Store& store = services.database.store();
  return store.used_bytes() + store.garbage_bytes() > limit + limit / kOldVersionsShare &&
         store.snapshots.Oldest() == open.txn.snapshot();
}

void EndBecause(Session& session, LoopState& loop, std::string reason) {
  session.open->End(std::move(reason));
  loop.stats.transactions_ended.Add(1);
  ShowTransactionMemory(session);
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
  session.info->transaction_began_ms.store(open->began_at_ms, std::memory_order_relaxed);
  session.info->transaction_level.store(static_cast<uint32_t>(open->level),
                                        std::memory_order_release);
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

void EndIfTooOld(Session& session, Services& services, LoopState& loop) {
  if (session.open == nullptr || session.open->over()) return;
  const int64_t timeout_ms =
      services.config.settings().transaction_timeout_ms.load(std::memory_order_relaxed);
  if (timeout_ms > 0 && services.clock.now_ms() - session.open->began_at_ms > timeout_ms)
    EndBecause(session, loop, "it was open for longer than transactions.timeout");
}

bool EndIfTooLarge(Session& session, Services& services, LoopState& loop) {
  const int64_t most =
      services.config.settings().transaction_bytes_max.load(std::memory_order_relaxed);
  const bool ends = session.open->held_bytes() > static_cast<uint64_t>(most);
  if (ends) EndBecause(session, loop, "its writes and reads take more than transactions.max_bytes");
  ShowTransactionMemory(session);
  return ends;
}

void TendTransaction(Session& session, Services& services, LoopState& loop) {
  if (session.open == nullptr || session.parked != nullptr) return;  // its steps look themselves
  EndIfTooOld(session, services, loop);
  if (session.open->over() || !HoldsTooMuch(*session.open, services, loop)) return;
  const int64_t now_ms = services.clock.now_ms();
  std::atomic<int64_t>& last_end_ms = services.stats.transaction_ended_ms;
  int64_t last_ms = last_end_ms.load();
  if (now_ms - last_ms < kEndsApartMs || !last_end_ms.compare_exchange_strong(last_ms, now_ms))
    return;
  EndBecause(session, loop, "snapshot too old: memory is short, and it holds the oldest versions");
}

}  // namespace fluxkv::command
