// The deadlines of keys: EXPIRE EXPIREAT PEXPIRE PEXPIREAT TTL PTTL EXPIRETIME PEXPIRETIME PERSIST.
#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/parse.h"
#include "command/arguments.h"
#include "command/context.h"
#include "command/errors.h"
#include "command/table.h"
#include "command/value_support.h"
#include "config/notify_flags.h"

namespace fluxkv::command {
namespace {

struct Conditions {
  bool if_none = false;     // NX
  bool if_some = false;     // XX
  bool if_greater = false;  // GT: no deadline counts as endless
  bool if_less = false;     // LT
};

bool ReadConditions(Context& c, Conditions* conditions) {
  for (size_t i = 3; i < c.args.size(); ++i) {
    if (EqualsIgnoreCase(c.args[i], "nx")) {
      conditions->if_none = true;
    } else if (EqualsIgnoreCase(c.args[i], "xx")) {
      conditions->if_some = true;
    } else if (EqualsIgnoreCase(c.args[i], "gt")) {
      conditions->if_greater = true;
    } else if (EqualsIgnoreCase(c.args[i], "lt")) {
      conditions->if_less = true;
    } else {
      c.reply.Error("ERR Unsupported option " + std::string(c.args[i]));
      return false;
    }
  }
  if (conditions->if_none &&
      (conditions->if_some || conditions->if_greater || conditions->if_less)) {
    c.reply.Error("ERR NX and XX, GT or LT options at the same time are not compatible");
    return false;
  }
  if (conditions->if_greater && conditions->if_less) {
    c.reply.Error("ERR GT and LT options at the same time are not compatible");
    return false;
  }
  return true;
}

// The deadline in milliseconds; it may lie in the past.
bool ReadAnyDeadline(Context& c, TimeUnit unit, int64_t base_ms, int64_t* deadline_ms) {
  int64_t time = 0;
  if (!ReadInteger(c, 2, &time)) return false;
  bool overflow = unit == TimeUnit::kSeconds && __builtin_mul_overflow(time, kMsPerSecond, &time);
  overflow = overflow || __builtin_add_overflow(time, base_ms, &time);
  if (overflow) {
    ReplyInvalidExpiry(c);
    return false;
  }
  *deadline_ms = time;
  return true;
}

bool Allows(const Conditions& conditions, const engine::Version& version, int64_t deadline_ms) {
  const bool has = version.has_expiry();
  if (conditions.if_none && has) return false;
  if (conditions.if_some && !has) return false;
  if (conditions.if_greater && (!has || deadline_ms <= version.expiry_ms())) return false;
  return !conditions.if_less || !has || deadline_ms < version.expiry_ms();
}

void SetDeadline(Context& c, TimeUnit unit, int64_t base_ms) {
  Conditions conditions;
  int64_t deadline_ms = 0;
  if (!ReadConditions(c, &conditions)) return;
  if (!ReadAnyDeadline(c, unit, base_ms, &deadline_ms)) return;
  engine::Key key = c.Key(1);
  const engine::Version* version = c.txn.Get(c.db(), key);
  if (version == nullptr || !Allows(conditions, *version, deadline_ms)) {
    return c.reply.Integer(0);
  }
  if (deadline_ms <= c.txn.now_ms()) {
    DeleteAndNotify(c, key);
  } else {
    c.txn.Put(c.db(), key, engine::Version::NewWithExpiry(*version, deadline_ms));
    c.Notify(config::kNotifyGeneric, "expire", key.bytes);
  }
  c.reply.Integer(1);
}

void Expire(Context& c) {
  SetDeadline(c, TimeUnit::kSeconds, c.txn.now_ms());
}
void Pexpire(Context& c) {
  SetDeadline(c, TimeUnit::kMilliseconds, c.txn.now_ms());
}
void Expireat(Context& c) {
  SetDeadline(c, TimeUnit::kSeconds, 0);
}
void Pexpireat(Context& c) {
  SetDeadline(c, TimeUnit::kMilliseconds, 0);
}

void ReplyDeadline(Context& c, TimeUnit unit, int64_t base_ms) {
  constexpr int64_t kNoKey = -2;
  constexpr int64_t kNoDeadline = -1;
  const engine::Version* version = LookupUntouched(c, c.Key(1));
  if (version == nullptr) return c.reply.Integer(kNoKey);
  if (!version->has_expiry()) return c.reply.Integer(kNoDeadline);
  int64_t time = version->expiry_ms() - base_ms;
  // Seconds are rounded to the nearest, without an overflow near the end of time.
  if (unit == TimeUnit::kSeconds) {
    time = time / kMsPerSecond + (time % kMsPerSecond >= kMsPerSecond / 2 ? 1 : 0);
  }
  c.reply.Integer(time);
}

void Ttl(Context& c) {
  ReplyDeadline(c, TimeUnit::kSeconds, c.txn.now_ms());
}
void Pttl(Context& c) {
  ReplyDeadline(c, TimeUnit::kMilliseconds, c.txn.now_ms());
}
void Expiretime(Context& c) {
  ReplyDeadline(c, TimeUnit::kSeconds, 0);
}
void Pexpiretime(Context& c) {
  ReplyDeadline(c, TimeUnit::kMilliseconds, 0);
}

void Persist(Context& c) {
  engine::Key key = c.Key(1);
  const engine::Version* version = c.txn.Get(c.db(), key);
  if (version == nullptr || !version->has_expiry()) return c.reply.Integer(0);
  c.txn.Put(c.db(), key, engine::Version::NewWithExpiry(*version, engine::kNoExpiry));
  c.Notify(config::kNotifyGeneric, "persist", key.bytes);
  c.reply.Integer(1);
}

constexpr Command kExpireRows[] = {
    {.name = "expire",
     .arity = -3,
     .flags = kWrite | kFast,
     .keys = {1, 1, 1},
     .group = Group::kGeneric,
     .acl = kAclKeyspace,
     .summary = "Gives a key a time to live in seconds.",
     .scope = Scope::kWrite,
     .handler = &Expire},
    {.name = "expireat",
     .arity = -3,
     .flags = kWrite | kFast,
     .keys = {1, 1, 1},
     .group = Group::kGeneric,
     .acl = kAclKeyspace,
     .since = "1.2.0",
     .summary = "Gives a key a deadline, in seconds since 1970.",
     .scope = Scope::kWrite,
     .handler = &Expireat},
    {.name = "expiretime",
     .arity = 2,
     .flags = kReadonly | kFast,
     .keys = {1, 1, 1},
     .group = Group::kGeneric,
     .acl = kAclKeyspace,
     .since = "7.0.0",
     .summary = "Returns a key's deadline in seconds since 1970.",
     .scope = Scope::kRead,
     .handler = &Expiretime},
    {.name = "persist",
     .arity = 2,
     .flags = kWrite | kFast,
     .keys = {1, 1, 1},
     .group = Group::kGeneric,
     .acl = kAclKeyspace,
     .since = "2.2.0",
     .summary = "Takes a key's deadline away.",
     .scope = Scope::kWrite,
     .handler = &Persist},
    {.name = "pexpire",
     .arity = -3,
     .flags = kWrite | kFast,
     .keys = {1, 1, 1},
     .group = Group::kGeneric,
     .acl = kAclKeyspace,
     .since = "2.6.0",
     .summary = "Gives a key a time to live in milliseconds.",
     .scope = Scope::kWrite,
     .handler = &Pexpire},
    {.name = "pexpireat",
     .arity = -3,
     .flags = kWrite | kFast,
     .keys = {1, 1, 1},
     .group = Group::kGeneric,
     .acl = kAclKeyspace,
     .since = "2.6.0",
     .summary = "Gives a key a deadline, in milliseconds since 1970.",
     .scope = Scope::kWrite,
     .handler = &Pexpireat},
    {.name = "pexpiretime",
     .arity = 2,
     .flags = kReadonly | kFast,
     .keys = {1, 1, 1},
     .group = Group::kGeneric,
     .acl = kAclKeyspace,
     .since = "7.0.0",
     .summary = "Returns a key's deadline in milliseconds since 1970.",
     .scope = Scope::kRead,
     .handler = &Pexpiretime},
    {.name = "pttl",
     .arity = 2,
     .flags = kReadonly | kFast,
     .keys = {1, 1, 1},
     .group = Group::kGeneric,
     .acl = kAclKeyspace,
     .since = "2.6.0",
     .summary = "Returns the milliseconds that a key has left.",
     .scope = Scope::kRead,
     .handler = &Pttl},
    {.name = "ttl",
     .arity = 2,
     .flags = kReadonly | kFast,
     .keys = {1, 1, 1},
     .group = Group::kGeneric,
     .acl = kAclKeyspace,
     .summary = "Returns the seconds that a key has left.",
     .scope = Scope::kRead,
     .handler = &Ttl},
};

}  // namespace

std::span<const Command> ExpireCommands() {
  return kExpireRows;
}

}  // namespace fluxkv::command
