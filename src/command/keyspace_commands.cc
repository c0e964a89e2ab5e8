// FLUSHDB, FLUSHALL, SWAPDB: whole databases.
#include <limits>
#include <optional>

#include "base/parse.h"
#include "command/context.h"
#include "command/errors.h"
#include "command/services.h"
#include "command/table.h"

namespace fluxkv::command {
namespace {

// ASYNC and SYNC are understood and mean the same here: the keys are gone at once, their memory is
// reclaimed behind. False after answering the error.
bool CheckFlushMode(Context& c) {
  bool good = c.args.size() == 1 || (c.args.size() == 2 && (EqualsIgnoreCase(c.args[1], "sync") ||
                                                            EqualsIgnoreCase(c.args[1], "async")));
  if (!good) c.reply.Error(errors::kSyntax);
  return good;
}

void FlushDb(Context& c) {
  if (!CheckFlushMode(c)) return;
  c.txn.ClearDatabase(c.db());
  c.reply.Ok();
}

void FlushAll(Context& c) {
  if (!CheckFlushMode(c)) return;
  for (uint32_t db = 0; db < c.services.database.databases(); ++db) c.txn.ClearDatabase(db);
  c.reply.Ok();
}

std::optional<int64_t> ParseInt32(std::string_view text) {
  auto number = ParseInt64(text);
  if (!number.has_value() || *number < std::numeric_limits<int32_t>::min() ||
      *number > std::numeric_limits<int32_t>::max()) {
    return std::nullopt;
  }
  return number;
}

void SwapDb(Context& c) {
  auto first = ParseInt32(c.args[1]);
  if (!first.has_value()) return c.reply.Error("ERR invalid first DB index");
  auto second = ParseInt32(c.args[2]);
  if (!second.has_value()) return c.reply.Error("ERR invalid second DB index");
  int64_t count = c.services.database.databases();
  if (*first < 0 || *first >= count || *second < 0 || *second >= count) {
    return c.reply.Error(errors::kDbOutOfRange);
  }
  if (*first != *second) {
    c.txn.SwapDatabases(static_cast<uint32_t>(*first), static_cast<uint32_t>(*second));
  }
  c.reply.Ok();
}

constexpr Command kKeyspaceRows[] = {
    {.name = "flushdb",
     .arity = -1,
     .flags = kWrite,
     .group = Group::kServer,
     .acl = kAclKeyspace | kAclDangerous,
     .since = "1.0.0",
     .complexity = "O(N) where N is the number of keys in the selected database",
     .summary = "Remove all keys from the current database.",
     .scope = Scope::kExclusive,
     .handler = &FlushDb},
    {.name = "flushall",
     .arity = -1,
     .flags = kWrite,
     .group = Group::kServer,
     .acl = kAclKeyspace | kAclDangerous,
     .since = "1.0.0",
     .complexity = "O(N) where N is the total number of keys in all databases",
     .summary = "Removes all keys from all databases.",
     .scope = Scope::kExclusive,
     .handler = &FlushAll},
    {.name = "swapdb",
     .arity = 3,
     .flags = kWrite | kFast,
     .group = Group::kServer,
     .acl = kAclKeyspace | kAclDangerous,
     .since = "4.0.0",
     .complexity =
         "O(N) where N is the count of clients watching or blocking on keys from both databases.",
     .summary = "Swaps two Redis databases.",
     .scope = Scope::kExclusive,
     .handler = &SwapDb},
};

}  // namespace

std::span<const Command> KeyspaceCommands() {
  return kKeyspaceRows;
}

}  // namespace fluxkv::command
