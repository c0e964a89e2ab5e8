// Values that go to another key or database, with their expiry: RENAME RENAMENX MOVE COPY.
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <vector>

#include "base/parse.h"
#include "command/arguments.h"
#include "command/context.h"
#include "command/errors.h"
#include "command/services.h"
#include "command/table.h"
#include "command/value_support.h"
#include "config/notify_flags.h"

namespace fluxkv::command {
namespace {

engine::VersionPtr Duplicate(const engine::Version& version) {
  return engine::Version::NewWithExpiry(version, version.expiry_ms());
}

void RenameKey(Context& c, bool only_if_absent) {
  engine::Key from = c.Key(1);
  engine::Key to = c.Key(2);
  const engine::Version* version = c.txn.Get(c.db(), from);
  if (version == nullptr) return c.reply.Error(errors::kNoSuchKey);
  auto answer = [&](bool renamed) {
    only_if_absent ? c.reply.Integer(renamed ? 1 : 0) : c.reply.Ok();
  };
  if (from.bytes == to.bytes) return answer(false);
  const engine::Version* overwritten = c.txn.Get(c.db(), to);
  if (only_if_absent && overwritten != nullptr) return answer(false);
  c.txn.Put(c.db(), to, Duplicate(*version));
  c.txn.Delete(c.db(), from);
  c.Notify(config::kNotifyNew, "new", to.bytes);
  c.Notify(config::kNotifyGeneric, "rename_from", from.bytes);
  c.Notify(config::kNotifyGeneric, "rename_to", to.bytes);
  answer(true);
}

void Rename(Context& c) {
  RenameKey(c, /*only_if_absent=*/false);
}
void Renamenx(Context& c) {
  RenameKey(c, /*only_if_absent=*/true);
}

// The number of a database, without asking whether there is one.
std::optional<uint32_t> ParseDatabase(std::string_view text) {
  std::optional<int64_t> number = ParseInt64(text);
  if (!number || *number < 0 || *number > std::numeric_limits<int32_t>::max()) return std::nullopt;
  return static_cast<uint32_t>(*number);
}

bool ReadDatabase(Context& c, size_t argument, uint32_t* db) {
  int64_t number = 0;
  if (!ReadInteger(c, argument, &number)) return false;
  if (number < std::numeric_limits<int32_t>::min() ||
      number > std::numeric_limits<int32_t>::max()) {
    c.reply.Error("ERR value is out of range, value must between -2147483648 and 2147483647");
    return false;
  }
  if (number < 0 || number >= int64_t{c.services.database.databases()}) {
    c.reply.Error(errors::kDbOutOfRange);
    return false;
  }
  *db = static_cast<uint32_t>(number);
  return true;
}

bool FindMoveKeys(std::span<const std::string_view> arguments, uint32_t selected_db,
                  std::vector<DeclaredKey>* keys) {
  if (arguments.size() != 3) return false;
  std::optional<uint32_t> target = ParseDatabase(arguments[2]);
  if (!target) return false;
  keys->push_back({selected_db, 1});
  keys->push_back({*target, 1});
  return true;
}

void Move(Context& c) {
  uint32_t target = 0;
  if (!ReadDatabase(c, 2, &target)) return;
  if (target == c.db()) return c.reply.Error(errors::kSameObject);
  engine::Key key = c.Key(1);
  const engine::Version* version = c.txn.Get(c.db(), key);
  if (version == nullptr || c.txn.Get(target, key) != nullptr) return c.reply.Integer(0);
  c.txn.Put(target, key, Duplicate(*version));
  c.txn.Delete(c.db(), key);
  c.NotifyIn(config::kNotifyNew, "new", key.bytes, target);
  c.Notify(config::kNotifyGeneric, "move_from", key.bytes);
  c.NotifyIn(config::kNotifyGeneric, "move_to", key.bytes, target);
  c.reply.Integer(1);
}

// The options of COPY, for the handler and for the finder of its keys alike, as far as they are
// understood; false if not all are. Each DB is to be valid, the last one counts.
bool ParseCopyOptions(std::span<const std::string_view> arguments, bool* replace,
                      std::vector<size_t>* db_arguments) {
  for (size_t i = 3; i < arguments.size(); ++i) {
    if (EqualsIgnoreCase(arguments[i], "replace")) {
      *replace = true;
    } else if (EqualsIgnoreCase(arguments[i], "db") && i + 1 < arguments.size()) {
      db_arguments->push_back(++i);
    } else {
      return false;
    }
  }
  return true;
}

bool FindCopyKeys(std::span<const std::string_view> arguments, uint32_t selected_db,
                  std::vector<DeclaredKey>* keys) {
  bool replace = false;
  std::vector<size_t> db_arguments;
  if (arguments.size() < 3 || !ParseCopyOptions(arguments, &replace, &db_arguments)) return false;
  std::optional<uint32_t> target =
      db_arguments.empty() ? selected_db : ParseDatabase(arguments[db_arguments.back()]);
  if (!target) return false;
  keys->push_back({selected_db, 1});
  keys->push_back({*target, 2});
  return true;
}

void Copy(Context& c) {
  bool replace = false;
  std::vector<size_t> db_arguments;
  uint32_t target_db = c.db();
  bool understood = ParseCopyOptions(c.args, &replace, &db_arguments);
  for (size_t argument : db_arguments) {
    if (!ReadDatabase(c, argument, &target_db)) return;
  }
  if (!understood) return c.reply.Error(errors::kSyntax);
  engine::Key from = c.Key(1);
  engine::Key to = c.Key(2);
  if (target_db == c.db() && from.bytes == to.bytes) return c.reply.Error(errors::kSameObject);
  const engine::Version* version = c.Lookup(from);
  if (version == nullptr) return c.reply.Integer(0);
  if (c.txn.Get(target_db, to) != nullptr && !replace) return c.reply.Integer(0);
  c.txn.Put(target_db, to, Duplicate(*version));
  c.NotifyIn(config::kNotifyNew, "new", to.bytes, target_db);
  c.NotifyIn(config::kNotifyGeneric, "copy_to", to.bytes, target_db);
  c.reply.Integer(1);
}

constexpr Command kMoveRows[] = {
    {.name = "copy",
     .arity = -3,
     .flags = kWrite | kDenyOom,
     .keys = {1, 2, 1},
     .group = Group::kGeneric,
     .acl = kAclKeyspace,
     .since = "6.2.0",
     .complexity = "O(N), N being the size of a small value; large ones are shared in O(1).",
     .summary = "Copies a value with its expiry to another key, in another database if wanted.",
     .scope = Scope::kWrite,
     .handler = &Copy,
     .find_keys = &FindCopyKeys},
    {.name = "move",
     .arity = 3,
     .flags = kWrite | kFast,
     .keys = {1, 1, 1},
     .group = Group::kGeneric,
     .acl = kAclKeyspace,
     .summary = "Moves a key to another database where it does not exist.",
     .scope = Scope::kWrite,
     .handler = &Move,
     .find_keys = &FindMoveKeys},
    {.name = "rename",
     .arity = 3,
     .flags = kWrite,
     .keys = {1, 2, 1},
     .group = Group::kGeneric,
     .acl = kAclKeyspace,
     .summary = "Renames a key; what the new name held is overwritten.",
     .scope = Scope::kWrite,
     .handler = &Rename},
    {.name = "renamenx",
     .arity = 3,
     .flags = kWrite | kFast,
     .keys = {1, 2, 1},
     .group = Group::kGeneric,
     .acl = kAclKeyspace,
     .summary = "Renames a key if the new name does not exist.",
     .scope = Scope::kWrite,
     .handler = &Renamenx},
};

}  // namespace

std::span<const Command> MoveCommands() {
  return kMoveRows;
}

}  // namespace fluxkv::command
