#include "command/value_support.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/limits.h"
#include "base/parse.h"
#include "command/arguments.h"
#include "command/errors.h"
#include "command/services.h"
#include "command/table.h"
#include "config/notify_flags.h"
#include "types/string_value.h"

namespace fluxkv::command {
namespace {

resp::Pin PinBlob(engine::Blob* blob) {
  blob->AddReference();
  return resp::Pin(blob, [](void* object) { static_cast<engine::Blob*>(object)->Release(); });
}

}  // namespace

void ReplyInvalidExpiry(Context& c) {
  c.reply.Error("ERR invalid expire time in '" + CommandTable::FullName(*c.command) + "' command");
}

bool ReadDeadline(Context& c, size_t argument, TimeUnit unit, bool relative, int64_t* deadline_ms) {
  int64_t time = 0;
  if (!ReadInteger(c, argument, &time)) return false;
  bool bad = time <= 0;
  if (unit == TimeUnit::kSeconds) bad |= __builtin_mul_overflow(time, kMsPerSecond, &time);
  if (relative) bad |= __builtin_add_overflow(time, c.txn.now_ms(), &time);
  if (bad) {
    ReplyInvalidExpiry(c);
    return false;
  }
  *deadline_ms = time;
  return true;
}

size_t StringBytesMax(const Context& c) {
  int64_t bound = c.services.config.settings().proto_max_bulk_bytes.load(std::memory_order_relaxed);
  return std::min(static_cast<size_t>(bound), limits::kValueBytesMax);
}

bool CheckGrownSize(Context& c, uint64_t size, uint64_t added) {
  uint64_t total = 0;
  if (!__builtin_add_overflow(size, added, &total) && total <= StringBytesMax(c)) return true;
  c.reply.Error(errors::kStringTooLong);
  return false;
}

bool CheckStorable(Context& c, std::string_view value) {
  if (value.size() <= limits::kValueBytesMax) [[likely]]
    return true;
  c.reply.Error(errors::kStringTooLong);
  return false;
}

void ReplyString(Context& c, const engine::Version& version) {
  types::StringView view(version);
  ReplyStringPart(c, version, view.bytes());
}

void ReplyStringPart(Context& c, const engine::Version& version, std::string_view part) {
  if (part.size() >= engine::kBlobBytesMin) {
    if (engine::Blob* blob = version.blob()) {
      c.reply.BulkPinned(part.data(), part.size(), PinBlob(blob));
      return;
    }
  }
  c.reply.Bulk(part);
}

const engine::Version* LookupUntouched(Context& c, const engine::Key& key) {
  const engine::Version* version = c.txn.Peek(c.db(), key);
  (version != nullptr ? c.loop.stats.keyspace_hits : c.loop.stats.keyspace_misses).Add(1);
  return version;
}

void NotifyIfNew(Context& c, const engine::Version* before, const engine::Key& key) {
  if (before == nullptr) c.Notify(config::kNotifyNew, "new", key.bytes);
}

void DeleteAndNotify(Context& c, const engine::Key& key) {
  if (c.txn.Delete(c.db(), key)) c.Notify(config::kNotifyGeneric, "del", key.bytes);
}

int64_t ShownReferences(const engine::Version& version) {
  constexpr int64_t kSharedIntegers = 10000;
  constexpr int64_t kShared = std::numeric_limits<int32_t>::max();
  if (types::EncodingName(version) != "int") return 1;
  const std::optional<int64_t> value = ParseInt64(types::StringView(version).bytes());
  return value && *value >= 0 && *value < kSharedIntegers ? kShared : 1;
}

bool WantsNewEvents(const Context& c) {
  return (c.services.config.settings().notify() & config::kNotifyNew) != 0;
}

}  // namespace fluxkv::command
