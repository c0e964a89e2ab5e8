// An interactive transaction: what BEGIN opens on a connection, until COMMIT or ROLLBACK. Commands
// between them run in its snapshot and add to its private writes; what they tell others (keyspace
// events, PUBLISH) waits for COMMIT.
//
// A conflict, a time-out or too much memory ends it while the session keeps it: then it is over,
// holds nothing any more, and refuses commands until COMMIT or ROLLBACK.
// Threads: the connection's loop.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/handle.h"
#include "engine/transaction.h"

namespace fluxkv::command {

// A keyspace event of a command that has not been committed.
struct PendingEvent {
  uint32_t type;
  std::string event, key;
  uint32_t db;
};

// A PUBLISH or SPUBLISH.
struct PendingMessage {
  std::string channel, payload;
  bool shard;
};

enum class TransactionLevel : uint8_t { kNone, kSerializable, kSnapshot, kReadOnly };
std::string_view NameOf(TransactionLevel level);  // as CLIENT LIST shows it

struct OpenTransaction {
  OpenTransaction(engine::Handle& handle, TransactionLevel level, int64_t now_ms)
      : txn(handle), level(level), began_at_ms(now_ms) {}

  engine::Transaction txn;
  const TransactionLevel level;
  const int64_t began_at_ms;
  std::string over_because;  // empty: it is open
  bool adds_data = false;    // some command was one that may need memory
  std::vector<PendingEvent> events;
  std::vector<PendingMessage> messages;
  uint64_t told_bytes = 0;  // of those two

  bool over() const { return !over_because.empty(); }
  bool has_writes() const { return !over() && txn.writes() != 0; }
  uint64_t held_bytes() const { return txn.write_bytes() + txn.note_bytes() + told_bytes; }
  void Tell(PendingEvent event) {
    told_bytes += sizeof event + event.event.size() + event.key.size();
    events.push_back(std::move(event));
  }
  void Tell(PendingMessage message) {
    told_bytes += sizeof message + message.channel.size() + message.payload.size();
    messages.push_back(std::move(message));
  }
  // Rolls back; the session keeps it.
  void End(std::string reason) {
    txn.Rollback();
    over_because = std::move(reason);
    events = {};
    messages = {};
    told_bytes = 0;
  }
};

struct Command;
struct Session;
struct Services;
class LoopState;

// Why the command cannot run while the session's transaction is open; empty: it can.
std::string RefusedInTransaction(const OpenTransaction& open, const Command& command);
// The session has a transaction from now on, or none; ClientInfo and the server's figures show it.
void OpenSessionTransaction(Session& session, Services& services,
                            std::unique_ptr<OpenTransaction> open);
void CloseSessionTransaction(Session& session, Services& services);
// What ClientInfo shows of its memory.
void ShowTransactionMemory(Session& session);
// Ends the session's transaction, if it has one, when it was open for too long.
void EndIfTooOld(Session& session, Services& services, LoopState& loop);
// Ends it when it holds more than it may; shows its memory. Requires: it is open.
bool EndIfTooLarge(Session& session, Services& services, LoopState& loop);
// Ends it when it is too old, or when it holds old versions that keep the server over its memory
// limit. Called now and then, outside of an epoch.
void TendTransaction(Session& session, Services& services, LoopState& loop);

}  // namespace fluxkv::command
