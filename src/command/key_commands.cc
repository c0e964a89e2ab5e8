// Keys as such: DEL UNLINK EXISTS TOUCH TYPE. Moving them is in move_commands.cc, their deadlines
// in expire_commands.cc, what is known about them in object_commands.cc.
#include <cstdint>

#include "command/context.h"
#include "command/table.h"
#include "command/value_support.h"
#include "config/notify_flags.h"
#include "types/string_value.h"

namespace fluxkv::command {
namespace {

// Values are freed when no reader can see them any more, never by the command: UNLINK has nothing
// to do that DEL has not.
void Del(Context& c) {
  int64_t deleted = 0;
  for (size_t i = 1; i < c.args.size(); ++i) {
    engine::Key key = c.Key(i);
    if (!c.txn.Delete(c.db(), key)) continue;
    c.Notify(config::kNotifyGeneric, "del", key.bytes);
    ++deleted;
  }
  c.reply.Integer(deleted);
}

void Exists(Context& c) {
  int64_t found = 0;
  c.ForKeys(1, [&](const engine::Key& key) { found += LookupUntouched(c, key) != nullptr; });
  c.reply.Integer(found);
}

void Touch(Context& c) {
  int64_t found = 0;
  c.ForKeys(1, [&](const engine::Key& key) { found += c.Lookup(key) != nullptr; });
  c.reply.Integer(found);
}

void Type(Context& c) {
  const engine::Version* version = LookupUntouched(c, c.Key(1));
  c.reply.SimpleString(version == nullptr ? "none" : types::TypeName(version->type()));
}

constexpr Command kKeyRows[] = {
    {.name = "del",
     .arity = -2,
     .flags = kWrite,
     .keys = {1, -1, 1},
     .group = Group::kGeneric,
     .acl = kAclKeyspace,
     .complexity = "O(N), N being the number of keys.",
     .summary = "Deletes keys and returns how many there were.",
     .scope = Scope::kWrite,
     .handler = &Del},
    {.name = "exists",
     .arity = -2,
     .flags = kReadonly | kFast,
     .keys = {1, -1, 1},
     .group = Group::kGeneric,
     .acl = kAclKeyspace,
     .complexity = "O(N), N being the number of keys.",
     .summary = "Counts how many of the keys named exist.",
     .scope = Scope::kRead,
     .handler = &Exists},
    {.name = "touch",
     .arity = -2,
     .flags = kReadonly | kFast,
     .keys = {1, -1, 1},
     .group = Group::kGeneric,
     .acl = kAclKeyspace,
     .since = "3.2.1",
     .complexity = "O(N), N being the number of keys.",
     .summary = "Notes an access to keys and returns how many there are.",
     .scope = Scope::kRead,
     .handler = &Touch},
    {.name = "type",
     .arity = 2,
     .flags = kReadonly | kFast,
     .keys = {1, 1, 1},
     .group = Group::kGeneric,
     .acl = kAclKeyspace,
     .summary = "Returns the name of the type of a key's value.",
     .scope = Scope::kRead,
     .handler = &Type},
    {.name = "unlink",
     .arity = -2,
     .flags = kWrite | kFast,
     .keys = {1, -1, 1},
     .group = Group::kGeneric,
     .acl = kAclKeyspace,
     .since = "4.0.0",
     .complexity = "O(N), N being the number of keys.",
     .summary = "Deletes keys and returns how many there were; memory is freed later.",
     .scope = Scope::kWrite,
     .handler = &Del},
};

}  // namespace

std::span<const Command> KeyCommands() {
  return kKeyRows;
}

}  // namespace fluxkv::command
