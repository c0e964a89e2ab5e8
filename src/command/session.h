// What the server knows of one connection's conversation: selected database, protocol, the queue of
// MULTI, watched keys, subscriptions. Owned by its connection, used on the connection's loop only;
// what other loops may see is in `info`.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "command/client_info.h"
#include "command/command.h"
#include "command/open_transaction.h"
#include "engine/database.h"

namespace fluxkv::command {

// One command of MULTI's queue, with its arguments copied.
struct QueuedCommand {
  const Command* command;
  std::vector<std::string> arguments;
};

// A command of which the connection waits for the answer.
struct ParkedCall {
  const Command* command;
  std::vector<std::string> arguments;
  std::vector<size_t> redacted;
  uint64_t ns;  // it has run so far
};

enum class ReplyMode : uint8_t { kOn, kOff, kSkipNext, kSkip };  // CLIENT REPLY

struct Session {
  std::shared_ptr<ClientInfo>
      info;  // id, addresses, names, counters: readable by every loop (CLIENT LIST)

  uint32_t db = 0;
  int protocol = 2;
  bool authenticated = false;
  bool close_after_reply = false;  // QUIT, CLIENT KILL of itself, protocol errors
  bool no_touch = false;
  bool no_evict = false;
  bool monitoring = false;
  ReplyMode reply_mode = ReplyMode::kOn;

  // The newest commit that the last reply tells of, and that any reply so far does
  // (engine/commit_log.h, D4); 0: none.
  engine::Stamp reply_stamp = 0;
  engine::Stamp newest_stamp = 0;

  bool in_multi = false;
  bool multi_failed = false;  // a queued command was refused: EXEC answers EXECABORT
  std::vector<QueuedCommand> queue;
  size_t queue_bytes = 0;
  std::map<std::pair<uint32_t, std::string>, engine::WatchToken> watched;  // by database and key

  std::unique_ptr<OpenTransaction> open;  // of BEGIN; null: none
  bool conflict_answered = false;         // COMMIT failed: a ROLLBACK behind it is no error

  std::unique_ptr<ParkedCall> parked;  // null: none

  std::unordered_set<std::string> channels, patterns, shard_channels;
  size_t subscriptions() const { return channels.size() + patterns.size() + shard_channels.size(); }
};

struct Services;

// Changes of a session that other loops see in its info.
void SetFlag(Session& session, ClientFlag flag, bool on);
void SelectDatabase(Session& session, uint32_t db);
void SetProtocol(Session& session, int protocol);
void BeginMulti(Session& session);
void QueueCommand(Session& session, const Command& command,
                  std::span<const std::string_view> arguments);
// Drops the queue; watches stay.
void ClearQueue(Session& session);
// The end of MULTI by EXEC or DISCARD: drops the queue and all watches.
void EndMulti(Session& session, engine::Database& database);
// Releases all watches.
void ReleaseWatches(Session& session, engine::Database& database);
void ShowSubscriptions(Session& session);
// Gives back what the session holds outside itself: queue, watches, subscriptions, monitor.
void ReleaseSession(Session& session, Services& services);

}  // namespace fluxkv::command
