#include "command/session.h"

#include "command/services.h"

namespace fluxkv::command {
namespace {

void ShowQueue(Session& session) {
  int32_t commands = session.in_multi ? static_cast<int32_t>(session.queue.size()) : -1;
  session.info->multi_commands.store(commands, std::memory_order_relaxed);
  session.info->multi_bytes.store(session.queue_bytes, std::memory_order_relaxed);
}

void UnsubscribeAll(Session& session, PubSub& pubsub, ChannelKind kind,
                    std::unordered_set<std::string>& names) {
  for (const std::string& name : names) {
    pubsub.Unsubscribe(kind, name, session.info->id, session.info->loop);
  }
  names.clear();
}

}  // namespace

void SetFlag(Session& session, ClientFlag flag, bool on) {
  std::atomic<uint32_t>& flags = session.info->flags;
  if (on) {
    flags.fetch_or(flag, std::memory_order_relaxed);
  } else {
    flags.fetch_and(~static_cast<uint32_t>(flag), std::memory_order_relaxed);
  }
}

void SelectDatabase(Session& session, uint32_t db) {
  session.db = db;
  session.info->db.store(db, std::memory_order_relaxed);
}

void SetProtocol(Session& session, int protocol) {
  session.protocol = protocol;
  session.info->protocol.store(static_cast<uint32_t>(protocol), std::memory_order_relaxed);
}

void BeginMulti(Session& session) {
  session.in_multi = true;
  session.multi_failed = false;
  SetFlag(session, kClientMulti, true);
  ShowQueue(session);
}

void QueueCommand(Session& session, const Command& command,
                  std::span<const std::string_view> arguments) {
  QueuedCommand& queued = session.queue.emplace_back();
  queued.command = &command;
  queued.arguments.assign(arguments.begin(), arguments.end());
  session.queue_bytes += sizeof(QueuedCommand) + arguments.size() * sizeof(std::string);
  for (std::string_view argument : arguments) session.queue_bytes += argument.size();
  ShowQueue(session);
}

void ClearQueue(Session& session) {
  session.queue = {};
  session.queue_bytes = 0;
  ShowQueue(session);
}

void EndMulti(Session& session, engine::Database& database) {
  session.in_multi = false;
  session.multi_failed = false;
  ClearQueue(session);
  SetFlag(session, kClientMulti, false);
  ReleaseWatches(session, database);
}

void ReleaseWatches(Session& session, engine::Database& database) {
  for (const auto& [place, token] : session.watched) {
    database.Unwatch(token);
  }
  session.watched.clear();
  session.info->watched.store(0, std::memory_order_relaxed);
}

void ShowSubscriptions(Session& session) {
  auto show = [](std::atomic<uint32_t>& figure, size_t count) {
    figure.store(static_cast<uint32_t>(count), std::memory_order_relaxed);
  };
  show(session.info->channels, session.channels.size());
  show(session.info->patterns, session.patterns.size());
  show(session.info->shard_channels, session.shard_channels.size());
  SetFlag(session, kClientPubSub, session.subscriptions() != 0);
}

void ReleaseSession(Session& session, Services& services) {
  EndMulti(session, services.database);
  CloseSessionTransaction(session, services);
  session.conflict_answered = false;
  UnsubscribeAll(session, services.pubsub, ChannelKind::kChannel, session.channels);
  UnsubscribeAll(session, services.pubsub, ChannelKind::kPattern, session.patterns);
  UnsubscribeAll(session, services.pubsub, ChannelKind::kShard, session.shard_channels);
  ShowSubscriptions(session);
  if (session.monitoring) {
    session.monitoring = false;
    services.clients.RemoveMonitor(session.info->id);
    SetFlag(session, kClientMonitor, false);
  }
}

}  // namespace fluxkv::command
