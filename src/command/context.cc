#include "command/context.h"

#include <string>

#include "command/errors.h"
#include "command/notify.h"
#include "command/services.h"
#include "config/notify_flags.h"
#include "types/string_value.h"

namespace fluxkv::command {

const engine::Version* Context::Lookup(const engine::Key& key) {
  const engine::Version* version = txn.Get(db(), key);
  if (version != nullptr) {
    loop.stats.keyspace_hits.Add(1);
  } else {
    loop.stats.keyspace_misses.Add(1);
    Notify(config::kNotifyKeyMiss, "keymiss", key.bytes);
  }
  return version;
}

bool Context::CheckString(const engine::Version& version) {
  if (version.type() == types::kTypeString) return true;
  reply.Error(errors::kWrongType);
  return false;
}

void Context::NotifyIn(uint32_t type, std::string_view event, std::string_view key, uint32_t db) {
  if (!WantsEvent(services.config.settings().notify(), type)) return;
  loop.events.push_back({type, std::string(event), std::string(key), db});
}

void Context::Redact(size_t argument) {
  loop.redacted.push_back(argument);
}

}  // namespace fluxkv::command
