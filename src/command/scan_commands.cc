// Whole databases: KEYS SCAN RANDOMKEY DBSIZE.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/parse.h"
#include "command/arguments.h"
#include "command/context.h"
#include "command/errors.h"
#include "command/glob_prefix.h"
#include "command/key_walk.h"
#include "command/services.h"
#include "command/table.h"
#include "command/value_support.h"
#include "types/string_value.h"

namespace fluxkv::command {
namespace {

// COUNT is a hint; a page never asks for more than this.
constexpr int64_t kScanCountMax = 100'000;
constexpr int64_t kScanCountDefault = 10;

// The keys of a database that match a glob.
class MatchWalk final : public KeyWalk {
 public:
  MatchWalk(uint32_t db, std::string_view pattern, std::string_view prefix)
      : KeyWalk(db, engine::KeyInterval::OfPrefix(prefix)),
        pattern_(pattern),
        all_(pattern == "*") {}
  void Answer(resp::Writer& reply) const override {
    reply.ArrayHeader(found_.count());
    found_.WriteTo(reply);
  }

 private:
  bool See(std::string_view key, const engine::Version&) override {
    if (all_ || GlobMatch(pattern_, key)) found_.Add(key);
    return true;
  }
  void Forget() override { found_.Clear(); }

  const std::string pattern_;
  const bool all_;
  Bulks found_;
};

void Keys(Context& c) {
  const GlobPrefix prefix = ParseGlobPrefix(c.args[1]);
  if (prefix.whole) {
    const bool found = c.txn.Peek(c.db(), engine::Key(prefix.text)) != nullptr;
    c.reply.ArrayHeader(found ? 1 : 0);
    if (found) c.reply.Bulk(prefix.text);
    return;
  }
  RunWalk(c, std::make_unique<MatchWalk>(c.db(), c.args[1], prefix.text));
}

struct ScanOptions {
  int64_t count = kScanCountDefault;
  std::string_view pattern = "*";
  std::optional<std::string_view> type;
};

bool ReadScanOptions(Context& c, ScanOptions* o) {
  for (size_t i = 2; i < c.args.size(); i += 2) {
    const bool has_value = i + 1 < c.args.size();
    if (has_value && EqualsIgnoreCase(c.args[i], "count")) {
      if (!ReadInteger(c, i + 1, &o->count)) return false;
      if (o->count >= 1) continue;
    } else if (has_value && EqualsIgnoreCase(c.args[i], "match")) {
      o->pattern = c.args[i + 1];
      continue;
    } else if (has_value && EqualsIgnoreCase(c.args[i], "type")) {
      o->type = c.args[i + 1];
      continue;
    }
    c.reply.Error(errors::kSyntax);
    return false;
  }
  return true;
}

bool Matches(const ScanOptions& o, const engine::ScanEntry& entry) {
  if (o.type && !EqualsIgnoreCase(*o.type, types::TypeName(entry.version->type()))) return false;
  return o.pattern == "*" || GlobMatch(o.pattern, entry.key);
}

void Scan(Context& c) {
  std::optional<uint64_t> cursor = ParseUint64(c.args[1]);
  if (!cursor) return c.reply.Error("ERR invalid cursor");
  ScanOptions o;
  if (!ReadScanOptions(c, &o)) return;
  std::vector<engine::ScanEntry> page;
  uint64_t next = 0;
  // A cursor that we never gave out lies behind the last key.
  if (*cursor >> engine::kScanHashBits == 0) {
    GlobPrefix prefix = ParseGlobPrefix(o.pattern);
    auto count = static_cast<size_t>(std::min(o.count, kScanCountMax));
    c.txn.ScanPage(c.db(), *cursor, count, prefix.text, &page, &next);
  }
  c.reply.ArrayHeader(2);
  c.reply.Bulk(std::to_string(next));
  size_t mark = c.reply.BeginDeferred();
  size_t found = 0;
  for (const engine::ScanEntry& entry : page) {
    if (!Matches(o, entry)) continue;
    c.reply.Bulk(entry.key);
    ++found;
  }
  c.reply.EndDeferredArray(mark, found);
}

// The first key, for RANDOMKEY where chance meets none.
class FirstWalk final : public KeyWalk {
 public:
  explicit FirstWalk(uint32_t db) : KeyWalk(db, {}) {}
  void Answer(resp::Writer& reply) const override { found_ ? reply.Bulk(*found_) : reply.Null(); }

 private:
  bool See(std::string_view key, const engine::Version&) override {
    found_ = std::string(key);
    return false;
  }
  void Forget() override { found_.reset(); }

  std::optional<std::string> found_;
};

void Randomkey(Context& c) {
  const std::optional<std::string> key = c.txn.RandomKey(c.db(), /*may_walk=*/false);
  if (key) return c.reply.Bulk(*key);
  RunWalk(c, std::make_unique<FirstWalk>(c.db()));
}

void Dbsize(Context& c) {
  // In EXEC and in a transaction it agrees with the reads beside it.
  // While range deletes are under way a counter would be wrong.
  if (c.session.open != nullptr || (!c.in_exec && c.txn.range_deletes(c.db()) != 0))
    return RunWalk(c, std::make_unique<CountWalk>(c.db()));
  const uint64_t keys = c.in_exec ? c.txn.CountKeys(c.db()) : c.txn.CountKeysQuickly(c.db());
  c.reply.Integer(static_cast<int64_t>(keys));
}

constexpr Command kScanRows[] = {
    {.name = "dbsize",
     .arity = 1,
     .flags = kReadonly | kFast,
     .group = Group::kServer,
     .acl = kAclKeyspace,
     .summary = "Returns the number of keys of the selected database.",
     .scope = Scope::kSnapshot,
     .handler = &Dbsize},
    {.name = "keys",
     .arity = 2,
     .flags = kReadonly,
     .group = Group::kGeneric,
     .acl = kAclKeyspace | kAclDangerous,
     .complexity = "O(N), N being the number of keys that have the literal beginning of the glob.",
     .summary = "Returns all keys that match a glob, of one moment.",
     .scope = Scope::kSnapshot,
     .handler = &Keys},
    {.name = "randomkey",
     .arity = 1,
     .flags = kReadonly,
     .group = Group::kGeneric,
     .acl = kAclKeyspace,
     .summary = "Returns any key of the selected database.",
     .scope = Scope::kSnapshot,
     .handler = &Randomkey},
    {.name = "scan",
     .arity = -2,
     .flags = kReadonly,
     .group = Group::kGeneric,
     .acl = kAclKeyspace,
     .since = "2.8.0",
     .complexity = "O(COUNT) for a call, O(N) for all keys.",
     .summary = "Returns the keys of the selected database page by page.",
     .scope = Scope::kSnapshot,
     .handler = &Scan},
};

}  // namespace

std::span<const Command> ScanCommands() {
  return kScanRows;
}

}  // namespace fluxkv::command
