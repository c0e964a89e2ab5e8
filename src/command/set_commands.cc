// Setting whole values, with conditions and deadlines:
// SET SETNX SETEX PSETEX GETSET GETEX GETDEL DELIFEQ.
#include <cstdint>
#include <string_view>

#include "base/parse.h"
#include "command/context.h"
#include "command/errors.h"
#include "command/table.h"
#include "command/value_support.h"
#include "config/notify_flags.h"
#include "types/string_value.h"

namespace fluxkv::command {
namespace {

enum class Deadline : uint8_t { kNone, kEx, kPx, kExAt, kPxAt, kKeep, kPersist };
enum class Condition : uint8_t { kAlways, kIfAbsent, kIfPresent, kIfEqual };

struct Options {
  Condition condition = Condition::kAlways;
  Deadline deadline = Deadline::kNone;
  bool get = false;
  size_t deadline_argument = 0;  // of kEx, kPx, kExAt, kPxAt
  size_t expected_argument = 0;  // of kIfEqual
  bool sets_deadline() const { return deadline >= Deadline::kEx && deadline <= Deadline::kPxAt; }
};

// Which options a command knows beyond EX, PX, EXAT and PXAT.
enum class Grammar : uint8_t { kSet, kGetEx };

// The options that stand alone. False if `word` is none that may stand here.
bool TakeWord(std::string_view word, Grammar grammar, Options* o) {
  auto take_condition = [o](Condition condition) {
    if (o->condition != Condition::kAlways && o->condition != condition) return false;
    o->condition = condition;
    return true;
  };
  auto take_deadline = [o](Deadline deadline) {
    if (o->deadline != Deadline::kNone && o->deadline != deadline) return false;
    o->deadline = deadline;
    return true;
  };
  if (grammar == Grammar::kGetEx) {
    return EqualsIgnoreCase(word, "persist") && take_deadline(Deadline::kPersist);
  }
  if (EqualsIgnoreCase(word, "nx")) return take_condition(Condition::kIfAbsent);
  if (EqualsIgnoreCase(word, "xx")) return take_condition(Condition::kIfPresent);
  if (EqualsIgnoreCase(word, "keepttl")) return take_deadline(Deadline::kKeep);
  if (!EqualsIgnoreCase(word, "get")) return false;
  o->get = true;
  return true;
}

// The options with a value behind them, which is argument number `value`. The kind may be repeated,
// as in Redis: the last one counts.
bool TakePair(std::string_view word, size_t value, Grammar grammar, Options* o) {
  if (grammar == Grammar::kSet && EqualsIgnoreCase(word, "ifeq")) {
    if (o->condition != Condition::kAlways) return false;
    o->condition = Condition::kIfEqual;
    o->expected_argument = value;
    return true;
  }
  Deadline deadline = EqualsIgnoreCase(word, "ex")     ? Deadline::kEx
                      : EqualsIgnoreCase(word, "px")   ? Deadline::kPx
                      : EqualsIgnoreCase(word, "exat") ? Deadline::kExAt
                      : EqualsIgnoreCase(word, "pxat") ? Deadline::kPxAt
                                                       : Deadline::kNone;
  if (deadline == Deadline::kNone) return false;
  if (o->deadline != Deadline::kNone && o->deadline != deadline) return false;
  o->deadline = deadline;
  o->deadline_argument = value;
  return true;
}

bool ReadSetOptions(Context& c, size_t first, Grammar grammar, Options* o) {
  for (size_t i = first; i < c.args.size(); ++i) {
    if (TakeWord(c.args[i], grammar, o)) continue;
    if (i + 1 < c.args.size() && TakePair(c.args[i], i + 1, grammar, o)) {
      ++i;
      continue;
    }
    c.reply.Error(errors::kSyntax);
    return false;
  }
  return true;
}

bool ReadDeadlineOption(Context& c, const Options& o, int64_t* deadline_ms) {
  TimeUnit unit = o.deadline == Deadline::kEx || o.deadline == Deadline::kExAt
                      ? TimeUnit::kSeconds
                      : TimeUnit::kMilliseconds;
  bool relative = o.deadline == Deadline::kEx || o.deadline == Deadline::kPx;
  return ReadDeadline(c, o.deadline_argument, unit, relative, deadline_ms);
}

// Sets the key whatever it holds.
void Store(Context& c, const engine::Key& key, std::string_view value, int64_t deadline_ms) {
  c.txn.Put(c.db(), key, types::NewString(value, deadline_ms));
  c.Notify(config::kNotifyString, "set", key.bytes);
}

void StoreFresh(Context& c, const engine::Key& key, std::string_view value) {
  if (WantsNewEvents(c)) NotifyIfNew(c, c.txn.Peek(c.db(), key), key);
  Store(c, key, value, engine::kNoExpiry);
}

bool ConditionHolds(const Context& c, const Options& o, const engine::Version* old) {
  switch (o.condition) {
    case Condition::kAlways:
      return true;
    case Condition::kIfAbsent:
      return old == nullptr;
    case Condition::kIfPresent:
      return old != nullptr;
    case Condition::kIfEqual:
      return old != nullptr && types::StringView(*old).bytes() == c.args[o.expected_argument];
  }
  return false;
}

// A deadline that has passed already leaves no key.
void StoreWithDeadline(Context& c, const engine::Key& key, const engine::Version* old,
                       std::string_view value, int64_t deadline_ms) {
  if (deadline_ms <= c.txn.now_ms()) {
    DeleteAndNotify(c, key);
    return;
  }
  NotifyIfNew(c, old, key);
  Store(c, key, value, deadline_ms);
  c.Notify(config::kNotifyGeneric, "expire", key.bytes);
}

void SetWithOptions(Context& c) {
  Options o;
  int64_t deadline_ms = engine::kNoExpiry;
  if (!ReadSetOptions(c, 3, Grammar::kSet, &o)) return;
  if (o.sets_deadline() && !ReadDeadlineOption(c, o, &deadline_ms)) return;

  engine::Key key = c.Key(1);
  const engine::Version* old = o.get ? c.Lookup(key) : c.txn.Get(c.db(), key);
  bool reads_value = o.get || o.condition == Condition::kIfEqual;
  if (old != nullptr && reads_value && !c.CheckString(*old)) return;
  bool holds = ConditionHolds(c, o, old);
  if (o.get && old != nullptr) {
    ReplyString(c, *old);
  } else if (o.get || !holds) {
    c.reply.Null();
  } else {
    c.reply.Ok();
  }
  if (!holds) return;
  if (o.sets_deadline()) {
    StoreWithDeadline(c, key, old, c.args[2], deadline_ms);
    return;
  }
  NotifyIfNew(c, old, key);
  bool keeps = o.deadline == Deadline::kKeep && old != nullptr;
  Store(c, key, c.args[2], keeps ? old->expiry_ms() : engine::kNoExpiry);
}

void Set(Context& c) {
  if (!CheckStorable(c, c.args[2])) return;
  if (c.args.size() > 3) return SetWithOptions(c);
  StoreFresh(c, c.Key(1), c.args[2]);
  c.reply.Ok();
}

void Setnx(Context& c) {
  if (!CheckStorable(c, c.args[2])) return;
  engine::Key key = c.Key(1);
  if (c.txn.Get(c.db(), key) != nullptr) return c.reply.Integer(0);
  NotifyIfNew(c, nullptr, key);
  Store(c, key, c.args[2], engine::kNoExpiry);
  c.reply.Integer(1);
}

void SetWithTtl(Context& c, TimeUnit unit) {
  int64_t deadline_ms = 0;
  if (!CheckStorable(c, c.args[3])) return;
  if (!ReadDeadline(c, 2, unit, /*relative=*/true, &deadline_ms)) return;
  engine::Key key = c.Key(1);
  StoreWithDeadline(c, key, c.txn.Get(c.db(), key), c.args[3], deadline_ms);
  c.reply.Ok();
}

void Setex(Context& c) {
  SetWithTtl(c, TimeUnit::kSeconds);
}
void Psetex(Context& c) {
  SetWithTtl(c, TimeUnit::kMilliseconds);
}

// Answers the value of args[1]: false after answering nil or WRONGTYPE.
bool ReplyValue(Context& c, const engine::Version* version) {
  if (version == nullptr) {
    c.reply.Null();
    return false;
  }
  if (!c.CheckString(*version)) return false;
  ReplyString(c, *version);
  return true;
}

void Getset(Context& c) {
  if (!CheckStorable(c, c.args[2])) return;
  engine::Key key = c.Key(1);
  const engine::Version* old = c.Lookup(key);
  if (!ReplyValue(c, old) && old != nullptr) return;
  NotifyIfNew(c, old, key);
  Store(c, key, c.args[2], engine::kNoExpiry);
}

void Getdel(Context& c) {
  engine::Key key = c.Key(1);
  if (ReplyValue(c, c.Lookup(key))) DeleteAndNotify(c, key);
}

void Getex(Context& c) {
  Options o;
  if (!ReadSetOptions(c, 2, Grammar::kGetEx, &o)) return;
  engine::Key key = c.Key(1);
  const engine::Version* old = c.Lookup(key);
  // As in Redis the time is judged only for a key that is there.
  int64_t deadline_ms = engine::kNoExpiry;
  if (old != nullptr && o.sets_deadline()) {
    if (!c.CheckString(*old) || !ReadDeadlineOption(c, o, &deadline_ms)) return;
  }
  if (!ReplyValue(c, old)) return;
  if (o.deadline == Deadline::kPersist) {
    if (!old->has_expiry()) return;
    c.txn.Put(c.db(), key, engine::Version::NewWithExpiry(*old, engine::kNoExpiry));
    c.Notify(config::kNotifyGeneric, "persist", key.bytes);
  } else if (o.sets_deadline() && deadline_ms <= c.txn.now_ms()) {
    DeleteAndNotify(c, key);
  } else if (o.sets_deadline()) {
    c.txn.Put(c.db(), key, engine::Version::NewWithExpiry(*old, deadline_ms));
    c.Notify(config::kNotifyGeneric, "expire", key.bytes);
  }
}

void Delifeq(Context& c) {
  engine::Key key = c.Key(1);
  const engine::Version* old = c.txn.Get(c.db(), key);
  if (old != nullptr && !c.CheckString(*old)) return;
  bool equal = old != nullptr && types::StringView(*old).bytes() == c.args[2];
  if (equal) DeleteAndNotify(c, key);
  c.reply.Integer(equal ? 1 : 0);
}

constexpr Command kSetRows[] = {
    {.name = "delifeq",
     .arity = 3,
     .flags = kWrite | kFast,
     .keys = {1, 1, 1},
     .group = Group::kString,
     .acl = kAclString,
     .since = "9.0.0",
     .complexity = "O(N), N being the size of the value.",
     .summary = "Deletes a key if its string value is the one given.",
     .scope = Scope::kWrite,
     .handler = &Delifeq},
    {.name = "getdel",
     .arity = 2,
     .flags = kWrite | kFast,
     .keys = {1, 1, 1},
     .group = Group::kString,
     .acl = kAclString,
     .since = "6.2.0",
     .summary = "Returns the string value of a key and deletes the key.",
     .scope = Scope::kWrite,
     .handler = &Getdel},
    {.name = "getex",
     .arity = -2,
     .flags = kWrite | kFast,
     .keys = {1, 1, 1},
     .group = Group::kString,
     .acl = kAclString,
     .since = "6.2.0",
     .summary = "Returns the string value of a key and sets or removes its expiry.",
     .scope = Scope::kWrite,
     .handler = &Getex},
    {.name = "getset",
     .arity = 3,
     .flags = kWrite | kDenyOom | kFast,
     .keys = {1, 1, 1},
     .group = Group::kString,
     .acl = kAclString,
     .summary = "Sets a key and returns the string value it had before.",
     .scope = Scope::kWrite,
     .handler = &Getset},
    {.name = "psetex",
     .arity = 4,
     .flags = kWrite | kDenyOom,
     .keys = {1, 1, 1},
     .group = Group::kString,
     .acl = kAclString,
     .since = "2.6.0",
     .summary = "Sets a key with a time to live in milliseconds.",
     .scope = Scope::kWrite,
     .handler = &Psetex},
    {.name = "set",
     .arity = -3,
     .flags = kWrite | kDenyOom,
     .keys = {1, 1, 1},
     .group = Group::kString,
     .acl = kAclString,
     .summary = "Sets a key to a string, whatever it held, with conditions and expiry if wanted.",
     .scope = Scope::kWrite,
     .handler = &Set},
    {.name = "setex",
     .arity = 4,
     .flags = kWrite | kDenyOom,
     .keys = {1, 1, 1},
     .group = Group::kString,
     .acl = kAclString,
     .since = "2.0.0",
     .summary = "Sets a key with a time to live in seconds.",
     .scope = Scope::kWrite,
     .handler = &Setex},
    {.name = "setnx",
     .arity = 3,
     .flags = kWrite | kDenyOom | kFast,
     .keys = {1, 1, 1},
     .group = Group::kString,
     .acl = kAclString,
     .summary = "Sets a key if it does not exist.",
     .scope = Scope::kWrite,
     .handler = &Setnx},
};

}  // namespace

std::span<const Command> SetCommands() {
  return kSetRows;
}

}  // namespace fluxkv::command
