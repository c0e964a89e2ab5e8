// Keyspace events (option notify-keyspace-events): from a change of a key to the messages of
// __keyspace@<db>__:<key> and __keyevent@<db>__:<event>.
// Threads: PublishKeyspaceEvent from any thread; SendEvents on the loop.
#pragma once

#include <cstdint>
#include <string_view>

#include "command/pubsub.h"
#include "command/services.h"

namespace fluxkv::command {

// `flags`: what is wanted (Settings::notify()); `type`: one bit of config::NotifyFlag; `stamp`: of
// the commit that it tells of.
void PublishKeyspaceEvent(PubSub& pubsub, uint32_t flags, uint32_t db, uint32_t type,
                          std::string_view event, std::string_view key, engine::Stamp stamp);

// Whether an event of this type is to be published at all.
bool WantsEvent(uint32_t flags, uint32_t type);

// Publishes the events that the running command has gathered. After its commit, with all that it
// depends on.
void SendEvents(Services& services, LoopState& loop);

}  // namespace fluxkv::command
