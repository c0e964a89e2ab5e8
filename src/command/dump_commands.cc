// Values in RDB's form: DUMP RESTORE.
#include <cstdint>
#include <optional>

#include "base/parse.h"
#include "command/arguments.h"
#include "command/context.h"
#include "command/errors.h"
#include "command/services.h"
#include "command/table.h"
#include "command/value_support.h"
#include "config/config.h"
#include "config/notify_flags.h"
#include "types/dump.h"
#include "types/string_value.h"

namespace fluxkv::command {
namespace {

void Dump(Context& c) {
  const engine::Version* version = c.Lookup(c.Key(1));
  if (version == nullptr) return c.reply.Null();
  if (c.CheckString(*version)) c.reply.Bulk(types::DumpString(*version));
}

struct RestoreOptions {
  bool replace = false;
  bool absolute = false;
  std::optional<int64_t> idle_seconds;
  std::optional<int64_t> frequency;
};

bool ReadIdle(Context& c, size_t argument, RestoreOptions* o) {
  int64_t value = 0;
  if (!ReadInteger(c, argument, &value)) return false;
  if (value < 0) {
    c.reply.Error("ERR Invalid IDLETIME value, must be >= 0");
    return false;
  }
  o->idle_seconds = value;
  return true;
}

bool ReadFrequency(Context& c, size_t argument, RestoreOptions* o) {
  constexpr int64_t kFrequencyMax = 255;
  int64_t value = 0;
  if (!ReadInteger(c, argument, &value)) return false;
  if (value < 0 || value > kFrequencyMax) {
    c.reply.Error("ERR Invalid FREQ value, must be >= 0 and <= 255");
    return false;
  }
  o->frequency = value;
  return true;
}

bool ReadRestoreOptions(Context& c, RestoreOptions* o) {
  for (size_t i = 4; i < c.args.size(); ++i) {
    const bool has_value = i + 1 < c.args.size();
    if (EqualsIgnoreCase(c.args[i], "replace")) {
      o->replace = true;
    } else if (EqualsIgnoreCase(c.args[i], "absttl")) {
      o->absolute = true;
    } else if (EqualsIgnoreCase(c.args[i], "idletime") && has_value && !o->frequency) {
      if (!ReadIdle(c, ++i, o)) return false;
    } else if (EqualsIgnoreCase(c.args[i], "freq") && has_value && !o->idle_seconds) {
      if (!ReadFrequency(c, ++i, o)) return false;
    } else {
      c.reply.Error(errors::kSyntax);
      return false;
    }
  }
  return true;
}

// The deadline of the restored key, kNoExpiry for a time to live of 0.
bool ReadRestoreDeadline(Context& c, bool absolute, int64_t* deadline_ms) {
  int64_t ttl = 0;
  if (!ReadInteger(c, 2, &ttl)) return false;
  const bool relative = ttl > 0 && !absolute;
  if (ttl < 0 || (relative && __builtin_add_overflow(ttl, c.txn.now_ms(), &ttl))) {
    c.reply.Error("ERR Invalid TTL value, must be >= 0");
    return false;
  }
  *deadline_ms = ttl == 0 ? engine::kNoExpiry : ttl;
  return true;
}

void Restore(Context& c) {
  RestoreOptions o;
  int64_t deadline_ms = engine::kNoExpiry;
  if (!ReadRestoreOptions(c, &o)) return;
  engine::Key key = c.Key(1);
  const engine::Version* old = c.txn.Get(c.db(), key);
  if (old != nullptr && !o.replace) {
    return c.reply.Error("BUSYKEY Target key name already exists.");
  }
  if (!ReadRestoreDeadline(c, o.absolute, &deadline_ms)) return;
  types::DumpResult value = types::ParseDump(c.args[3], StringBytesMax(c));
  if (value.outcome == types::DumpOutcome::kBadFooter) {
    return c.reply.Error("ERR DUMP payload version or checksum are wrong");
  }
  if (value.outcome == types::DumpOutcome::kBadFormat) {
    return c.reply.Error("ERR Bad data format");
  }
  if (deadline_ms != engine::kNoExpiry && deadline_ms <= c.txn.now_ms()) {
    DeleteAndNotify(c, key);
  } else {
    c.txn.Put(c.db(), key, types::NewString(value.bytes, deadline_ms));
    const bool frequencies = c.services.config.settings().tracks_frequencies();
    if (o.idle_seconds && !frequencies)
      c.txn.SetIdleSeconds(c.db(), key, static_cast<uint64_t>(*o.idle_seconds));
    if (o.frequency && frequencies)
      c.txn.SetFrequency(c.db(), key, static_cast<uint8_t>(*o.frequency));
    c.Notify(config::kNotifyNew, "new", key.bytes);
    c.Notify(config::kNotifyGeneric, "restore", key.bytes);
  }
  c.reply.Ok();
}

constexpr Command kDumpRows[] = {
    {.name = "dump",
     .arity = 2,
     .flags = kReadonly,
     .keys = {1, 1, 1},
     .group = Group::kGeneric,
     .acl = kAclKeyspace,
     .since = "2.6.0",
     .complexity = "O(N), N being the size of the value.",
     .summary = "Returns a key's value in a form that RESTORE reads.",
     .scope = Scope::kRead,
     .handler = &Dump},
    {.name = "restore",
     .arity = -4,
     .flags = kWrite | kDenyOom,
     .keys = {1, 1, 1},
     .group = Group::kGeneric,
     .acl = kAclKeyspace | kAclDangerous,
     .since = "2.6.0",
     .complexity = "O(N), N being the size of the value.",
     .summary = "Creates a key from what DUMP returned.",
     .scope = Scope::kWrite,
     .handler = &Restore},
};

}  // namespace

std::span<const Command> DumpCommands() {
  return kDumpRows;
}

}  // namespace fluxkv::command
