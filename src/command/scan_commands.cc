// Whole databases: KEYS SCAN RANDOMKEY DBSIZE.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/parse.h"
#include "command/arguments.h"
#include "command/context.h"
#include "command/errors.h"
#include "command/glob_prefix.h"
#include "command/parked.h"
#include "command/services.h"
#include "command/table.h"
#include "command/value_support.h"
#include "types/string_value.h"

namespace fluxkv::command {
namespace {

// KEYS looks at the clock after this many keys.
constexpr size_t kKeysPerClockRead = 32;
constexpr int64_t kSliceNs = 1'000'000;
// COUNT is a hint; a page never asks for more than this.
constexpr int64_t kScanCountMax = 100'000;
constexpr int64_t kScanCountDefault = 10;

// The keys of a database that match a glob, found in slices: a walk in byte order over the keys
// with the glob's literal prefix. The found ones are kept as finished bulks.
class KeyMatcher {
 public:
  KeyMatcher(uint32_t db, std::string_view pattern)
      : db_(db), pattern_(pattern), prefix_(ParseGlobPrefix(pattern)) {}

  // Goes on in `txn` for about `slice_ns`, or to the end if it is 0. True when the end was reached.
  bool Run(engine::Transaction& txn, int64_t slice_ns) {
    if (prefix_.whole) {
      if (txn.Peek(db_, engine::Key(prefix_.text)) != nullptr) Add(prefix_.text);
      return true;
    }
    const int64_t stop_ns = slice_ns == 0 ? 0 : MonotonicNs() + slice_ns;
    size_t seen = 0;
    bool stopped = false;
    const bool all = pattern_ == "*";
    txn.Walk(db_, started_ ? std::string_view(resume_) : std::string_view(prefix_.text), started_,
             prefix_.text, [&](std::string_view key, const engine::Version&) {
               if (all || GlobMatch(pattern_, key)) Add(key);
               if (stop_ns == 0 || ++seen % kKeysPerClockRead != 0) return true;
               if (MonotonicNs() < stop_ns) return true;
               resume_.assign(key);
               started_ = true;
               stopped = true;
               return false;
             });
    return !stopped;
  }

  void Answer(resp::Writer& reply) const {
    reply.ArrayHeader(count_);
    reply.Raw(bulks_);
  }
  const std::string& pattern() const { return pattern_; }

 private:
  void Add(std::string_view key) {
    bulks_.append("$").append(std::to_string(key.size())).append("\r\n");
    bulks_.append(key).append("\r\n");
    ++count_;
  }

  const uint32_t db_;
  const std::string pattern_;
  const GlobPrefix prefix_;
  bool started_ = false;
  std::string resume_;  // the last key looked at, once started_
  std::string bulks_;
  size_t count_ = 0;
};

// A KEYS that takes longer than one slice: it goes on over a snapshot of its own.
class ParkedKeys final : public Parked {
 public:
  ParkedKeys(engine::Handle& handle, uint64_t client, uint32_t db, std::string_view pattern)
      : txn_(handle), matcher_(db, pattern) {
    txn_.set_client(client);
  }

  // False when there are too many live snapshots.
  bool Begin() { return txn_.BeginSnapshot(engine::Isolation::kSnapshot, /*read_only=*/true); }
  bool Step(Context& c) override {
    if (!matcher_.Run(txn_, kSliceNs)) return false;
    c.txn.DependOn(txn_.depends_on());
    txn_.Rollback();
    matcher_.Answer(c.reply);
    return true;
  }
  bool Unblock(Context&, bool) override { return false; }

 private:
  engine::Transaction txn_;
  KeyMatcher matcher_;
};

void Keys(Context& c) {
  KeyMatcher matcher(c.db(), c.args[1]);
  const bool may_park = !c.in_exec && c.txn.mode() == engine::Transaction::Mode::kSnapshot;
  if (matcher.Run(c.txn, may_park ? kSliceNs : 0)) return matcher.Answer(c.reply);
  auto parked = std::make_unique<ParkedKeys>(c.loop.handle, c.session.info->id, c.db(), c.args[1]);
  if (parked->Begin()) {
    c.parked = std::move(parked);
    return;
  }
  matcher.Run(c.txn, 0);
  matcher.Answer(c.reply);
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

void Randomkey(Context& c) {
  std::optional<std::string> key = c.txn.RandomKey(c.db());
  key ? c.reply.Bulk(*key) : c.reply.Null();
}

void Dbsize(Context& c) {
  // In EXEC it agrees with the reads beside it.
  const uint64_t keys = c.in_exec ? c.txn.CountKeys(c.db()) : c.txn.CountKeysQuickly(c.db());
  c.reply.Integer(static_cast<int64_t>(keys));
}

constexpr Command kRows[] = {
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
  return kRows;
}

}  // namespace fluxkv::command
