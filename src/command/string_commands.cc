// Reading and changing strings: APPEND GET GETRANGE MGET MSET MSETNX SETRANGE STRLEN SUBSTR. SET
// and its relatives are in set_commands.cc, arithmetic is in number_commands.cc.
#include <cstdint>

#include "command/arguments.h"
#include "command/context.h"
#include "command/errors.h"
#include "command/table.h"
#include "command/value_support.h"
#include "config/notify_flags.h"
#include "types/string_value.h"

namespace fluxkv::command {
namespace {

void Get(Context& c) {
  const engine::Version* version = c.Lookup(c.Key(1));
  if (version == nullptr) {
    c.reply.Null();
  } else if (c.CheckString(*version)) {
    ReplyString(c, *version);
  }
}

void Mget(Context& c) {
  c.reply.ArrayHeader(c.args.size() - 1);
  c.ForKeys(1, [&](const engine::Key& key) {
    const engine::Version* version = c.Lookup(key);
    if (version == nullptr || version->type() != types::kTypeString) {
      c.reply.Null();
    } else {
      ReplyString(c, *version);
    }
  });
}

void Strlen(Context& c) {
  const engine::Version* version = c.Lookup(c.Key(1));
  if (version != nullptr && !c.CheckString(*version)) return;
  c.reply.Integer(version == nullptr ? 0 : static_cast<int64_t>(types::StringSize(*version)));
}

void Getrange(Context& c) {
  int64_t start = 0;
  int64_t end = 0;
  if (!ReadInteger(c, 2, &start) || !ReadInteger(c, 3, &end)) return;
  const engine::Version* version = c.Lookup(c.Key(1));
  if (version == nullptr) {
    c.reply.Bulk("");
  } else if (c.CheckString(*version)) {
    types::StringView view(*version);
    ReplyStringPart(c, *version, types::GetRange(view.bytes(), start, end));
  }
}

void Append(Context& c) {
  engine::Key key = c.Key(1);
  std::string_view tail = c.args[2];
  const engine::Version* old = c.txn.Get(c.db(), key);
  if (old != nullptr && !c.CheckString(*old)) return;
  size_t old_size = old == nullptr ? 0 : types::StringSize(*old);
  if (old == nullptr ? !CheckStorable(c, tail) : !CheckGrownSize(c, old_size, tail.size())) return;
  c.txn.Put(c.db(), key,
            old == nullptr ? types::NewString(tail, engine::kNoExpiry) : types::Append(*old, tail));
  NotifyIfNew(c, old, key);
  c.Notify(config::kNotifyString, "append", key.bytes);
  c.reply.Integer(static_cast<int64_t>(old_size + tail.size()));
}

void Setrange(Context& c) {
  int64_t offset = 0;
  if (!ReadInteger(c, 2, &offset)) return;
  if (offset < 0) return c.reply.Error("ERR offset is out of range");
  engine::Key key = c.Key(1);
  std::string_view patch = c.args[3];
  const engine::Version* old = c.txn.Get(c.db(), key);
  if (old != nullptr && !c.CheckString(*old)) return;
  if (patch.empty()) {
    c.reply.Integer(old == nullptr ? 0 : static_cast<int64_t>(types::StringSize(*old)));
    return;
  }
  if (!CheckGrownSize(c, static_cast<uint64_t>(offset), patch.size())) return;
  engine::VersionPtr version = types::SetRange(old, static_cast<size_t>(offset), patch);
  size_t size = version->size();
  c.txn.Put(c.db(), key, std::move(version));
  NotifyIfNew(c, old, key);
  c.Notify(config::kNotifyString, "setrange", key.bytes);
  c.reply.Integer(static_cast<int64_t>(size));
}

// The pairs of MSET and MSETNX. False after answering.
bool CheckPairs(Context& c) {
  if (c.args.size() % 2 == 0) {
    c.reply.Error("ERR wrong number of arguments for '" + CommandTable::FullName(*c.command) +
                  "' command");
    return false;
  }
  for (size_t i = 2; i < c.args.size(); i += 2) {
    if (!CheckStorable(c, c.args[i])) return false;
  }
  return true;
}

void PutPairs(Context& c) {
  const bool wants_new = WantsNewEvents(c);
  for (size_t i = 1; i < c.args.size(); i += 2) {
    engine::Key key = c.Key(i);
    if (wants_new) NotifyIfNew(c, c.txn.Peek(c.db(), key), key);
    c.txn.Put(c.db(), key, types::NewString(c.args[i + 1], engine::kNoExpiry));
    c.Notify(config::kNotifyString, "set", key.bytes);
  }
}

void Mset(Context& c) {
  if (!CheckPairs(c)) return;
  PutPairs(c);
  c.reply.Ok();
}

void Msetnx(Context& c) {
  if (!CheckPairs(c)) return;
  for (size_t i = 1; i < c.args.size(); i += 2) {
    if (c.txn.Get(c.db(), c.Key(i)) != nullptr) return c.reply.Integer(0);
  }
  PutPairs(c);
  c.reply.Integer(1);
}

constexpr Command kStringRows[] = {
    {.name = "append",
     .arity = 3,
     .flags = kWrite | kDenyOom | kFast,
     .keys = {1, 1, 1},
     .group = Group::kString,
     .acl = kAclString,
     .since = "2.0.0",
     .complexity = "O(N), N being the size of the value with what is appended.",
     .summary = "Adds bytes to the end of a string; an absent key is created.",
     .scope = Scope::kWrite,
     .handler = &Append},
    {.name = "get",
     .arity = 2,
     .flags = kReadonly | kFast,
     .keys = {1, 1, 1},
     .group = Group::kString,
     .acl = kAclString,
     .summary = "Returns the string value of a key.",
     .scope = Scope::kRead,
     .handler = &Get},
    {.name = "getrange",
     .arity = 4,
     .flags = kReadonly,
     .keys = {1, 1, 1},
     .group = Group::kString,
     .acl = kAclString,
     .since = "2.4.0",
     .complexity = "O(N), N being the size of the part returned.",
     .summary = "Returns a part of a string, named by its first and last position.",
     .scope = Scope::kRead,
     .handler = &Getrange},
    {.name = "mget",
     .arity = -2,
     .flags = kReadonly | kFast,
     .keys = {1, -1, 1},
     .group = Group::kString,
     .acl = kAclString,
     .complexity = "O(N), N being the number of keys.",
     .summary = "Returns the string values of several keys, all of one moment.",
     .scope = Scope::kRead,
     .handler = &Mget},
    {.name = "mset",
     .arity = -3,
     .flags = kWrite | kDenyOom,
     .keys = {1, -1, 2},
     .group = Group::kString,
     .acl = kAclString,
     .since = "1.0.1",
     .complexity = "O(N), N being the number of keys.",
     .summary = "Sets several keys at once.",
     .scope = Scope::kWrite,
     .handler = &Mset},
    {.name = "msetnx",
     .arity = -3,
     .flags = kWrite | kDenyOom,
     .keys = {1, -1, 2},
     .group = Group::kString,
     .acl = kAclString,
     .since = "1.0.1",
     .complexity = "O(N), N being the number of keys.",
     .summary = "Sets several keys at once, but only if none of them exists.",
     .scope = Scope::kWrite,
     .handler = &Msetnx},
    {.name = "setrange",
     .arity = 4,
     .flags = kWrite | kDenyOom,
     .keys = {1, 1, 1},
     .group = Group::kString,
     .acl = kAclString,
     .since = "2.2.0",
     .complexity = "O(N), N being the size of the value afterwards.",
     .summary =
         "Overwrites a part of a string from a position on; a gap is filled with zero bytes.",
     .scope = Scope::kWrite,
     .handler = &Setrange},
    {.name = "strlen",
     .arity = 2,
     .flags = kReadonly | kFast,
     .keys = {1, 1, 1},
     .group = Group::kString,
     .acl = kAclString,
     .since = "2.2.0",
     .summary = "Returns the number of bytes of a string.",
     .scope = Scope::kRead,
     .handler = &Strlen},
    {.name = "substr",
     .arity = 4,
     .flags = kReadonly,
     .keys = {1, 1, 1},
     .group = Group::kString,
     .acl = kAclString,
     .complexity = "O(N), N being the size of the part returned.",
     .summary = "Returns a part of a string; the old name of GETRANGE.",
     .scope = Scope::kRead,
     .handler = &Getrange},
};

}  // namespace

std::span<const Command> StringCommands() {
  return kStringRows;
}

}  // namespace fluxkv::command
