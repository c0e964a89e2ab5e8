#include "command/notify.h"

#include <string>

#include "config/notify_flags.h"

namespace fluxkv::command {

bool WantsEvent(uint32_t flags, uint32_t type) {
  return (flags & type) != 0 && (flags & (config::kNotifyKeyspace | config::kNotifyKeyevent)) != 0;
}

void PublishKeyspaceEvent(PubSub& pubsub, uint32_t flags, uint32_t db, uint32_t type,
                          std::string_view event, std::string_view key, engine::Stamp stamp) {
  if (!WantsEvent(flags, type) || pubsub.empty()) return;
  std::string place = "@" + std::to_string(db) + "__:";
  if ((flags & config::kNotifyKeyspace) != 0) {
    pubsub.Publish("__keyspace" + place + std::string(key), event, /*shard=*/false, stamp);
  }
  if ((flags & config::kNotifyKeyevent) != 0) {
    pubsub.Publish("__keyevent" + place + std::string(event), key, /*shard=*/false, stamp);
  }
}

void SendEvents(Services& services, LoopState& loop) {
  if (loop.events.empty()) [[likely]]
    return;
  uint32_t flags = services.config.settings().notify();
  for (const PendingEvent& event : loop.events) {
    PublishKeyspaceEvent(services.pubsub, flags, event.db, event.type, event.event, event.key,
                         loop.txn.depends_on());
  }
  loop.events.clear();
}

}  // namespace fluxkv::command
