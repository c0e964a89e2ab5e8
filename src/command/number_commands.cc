// Strings as numbers: INCR DECR INCRBY DECRBY INCRBYFLOAT.
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "base/parse.h"
#include "command/arguments.h"
#include "command/context.h"
#include "command/errors.h"
#include "command/table.h"
#include "command/value_support.h"
#include "config/notify_flags.h"
#include "types/string_value.h"

namespace fluxkv::command {
namespace {

int64_t ExpiryOf(const engine::Version* version) {
  return version == nullptr ? engine::kNoExpiry : version->expiry_ms();
}

void Add(Context& c, int64_t increment) {
  engine::Key key = c.Key(1);
  const engine::Version* old = c.txn.Get(c.db(), key);
  int64_t value = 0;
  if (old != nullptr) {
    if (!c.CheckString(*old)) return;
    std::optional<int64_t> number = types::TryInt(*old);
    if (!number) return c.reply.Error(errors::kNotInteger);
    value = *number;
  }
  if (__builtin_add_overflow(value, increment, &value)) return c.reply.Error(errors::kOverflow);
  c.txn.Put(c.db(), key, types::NewInt(value, ExpiryOf(old)));
  NotifyIfNew(c, old, key);
  c.Notify(config::kNotifyString, "incrby", key.bytes);
  c.reply.Integer(value);
}

void Incr(Context& c) {
  Add(c, 1);
}
void Decr(Context& c) {
  Add(c, -1);
}

void Incrby(Context& c) {
  int64_t increment = 0;
  if (ReadInteger(c, 2, &increment)) Add(c, increment);
}

void Decrby(Context& c) {
  int64_t decrement = 0;
  if (!ReadInteger(c, 2, &decrement)) return;
  if (decrement == std::numeric_limits<int64_t>::min()) {
    return c.reply.Error("ERR decrement would overflow");
  }
  Add(c, -decrement);
}

void Incrbyfloat(Context& c) {
  engine::Key key = c.Key(1);
  const engine::Version* old = c.txn.Get(c.db(), key);
  if (old != nullptr && !c.CheckString(*old)) return;
  std::optional<long double> value = 0.0L;
  if (old != nullptr) value = ParseLongDouble(types::StringView(*old).bytes());
  std::optional<long double> increment = ParseLongDouble(c.args[2]);
  if (!value || !increment) return c.reply.Error(errors::kNotFloat);
  long double sum = *value + *increment;
  if (std::isnan(sum) || std::isinf(sum)) {
    return c.reply.Error("ERR increment would produce NaN or Infinity");
  }
  std::string text = FormatLongDouble(sum);
  c.txn.Put(c.db(), key, types::NewText(text, ExpiryOf(old)));
  NotifyIfNew(c, old, key);
  c.Notify(config::kNotifyString, "incrbyfloat", key.bytes);
  c.reply.Bulk(text);
}

constexpr Command kNumberRows[] = {
    {.name = "decr",
     .arity = 2,
     .flags = kWrite | kDenyOom | kFast,
     .keys = {1, 1, 1},
     .group = Group::kString,
     .acl = kAclString,
     .summary = "Lowers the whole number that a key holds by one; an absent key counts as 0.",
     .scope = Scope::kWrite,
     .handler = &Decr},
    {.name = "decrby",
     .arity = 3,
     .flags = kWrite | kDenyOom | kFast,
     .keys = {1, 1, 1},
     .group = Group::kString,
     .acl = kAclString,
     .summary = "Subtracts from the whole number that a key holds; an absent key counts as 0.",
     .scope = Scope::kWrite,
     .handler = &Decrby},
    {.name = "incr",
     .arity = 2,
     .flags = kWrite | kDenyOom | kFast,
     .keys = {1, 1, 1},
     .group = Group::kString,
     .acl = kAclString,
     .summary = "Raises the whole number that a key holds by one; an absent key counts as 0.",
     .scope = Scope::kWrite,
     .handler = &Incr},
    {.name = "incrby",
     .arity = 3,
     .flags = kWrite | kDenyOom | kFast,
     .keys = {1, 1, 1},
     .group = Group::kString,
     .acl = kAclString,
     .summary = "Adds to the whole number that a key holds; an absent key counts as 0.",
     .scope = Scope::kWrite,
     .handler = &Incrby},
    {.name = "incrbyfloat",
     .arity = 3,
     .flags = kWrite | kDenyOom | kFast,
     .keys = {1, 1, 1},
     .group = Group::kString,
     .acl = kAclString,
     .since = "2.6.0",
     .summary = "Adds to the decimal number that a key holds; an absent key counts as 0.",
     .scope = Scope::kWrite,
     .handler = &Incrbyfloat},
};

}  // namespace

std::span<const Command> NumberCommands() {
  return kNumberRows;
}

}  // namespace fluxkv::command
