// LCS: the longest common subsequence of two strings.
#include <cstdint>
#include <limits>
#include <optional>

#include "base/parse.h"
#include "command/arguments.h"
#include "command/context.h"
#include "command/errors.h"
#include "command/services.h"
#include "command/table.h"
#include "command/value_support.h"
#include "types/lcs.h"
#include "types/string_value.h"

namespace fluxkv::command {
namespace {

struct LcsOptions {
  bool length = false;
  bool indexes = false;
  bool match_lengths = false;
  int64_t match_length_min = 0;
};

bool ReadLcsOptions(Context& c, LcsOptions* o) {
  for (size_t i = 3; i < c.args.size(); ++i) {
    if (EqualsIgnoreCase(c.args[i], "idx")) {
      o->indexes = true;
    } else if (EqualsIgnoreCase(c.args[i], "len")) {
      o->length = true;
    } else if (EqualsIgnoreCase(c.args[i], "withmatchlen")) {
      o->match_lengths = true;
    } else if (EqualsIgnoreCase(c.args[i], "minmatchlen") && i + 1 < c.args.size()) {
      if (!ReadInteger(c, ++i, &o->match_length_min)) return false;
    } else {
      c.reply.Error(errors::kSyntax);
      return false;
    }
  }
  if (o->length && o->indexes) {
    c.reply.Error("ERR If you want both the length and indexes, please just use IDX.");
    return false;
  }
  return true;
}

bool CheckSizes(Context& c, size_t first, size_t second) {
  constexpr size_t kTooLong = std::numeric_limits<uint32_t>::max() - 1;
  if (first >= kTooLong || second >= kTooLong) {
    c.reply.Error("ERR String too long for LCS");
    return false;
  }
  int64_t bound = c.services.config.settings().proto_max_bulk_bytes.load(std::memory_order_relaxed);
  std::optional<uint64_t> bytes = types::LcsTableBytes(first, second);
  if (!bytes || *bytes > static_cast<uint64_t>(bound)) {
    c.reply.Error("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
    return false;
  }
  return true;
}

void WriteRange(Context& c, uint32_t begin, uint32_t end) {
  c.reply.ArrayHeader(2);
  c.reply.Integer(begin);
  c.reply.Integer(end);
}

void WriteMatches(Context& c, const types::LcsResult& result, const LcsOptions& o) {
  c.reply.MapHeader(2);
  c.reply.Bulk("matches");
  size_t mark = c.reply.BeginDeferred();
  size_t count = 0;
  for (const types::LcsMatch& match : result.matches) {
    if (match.size() < o.match_length_min) continue;
    c.reply.ArrayHeader(o.match_lengths ? 3 : 2);
    WriteRange(c, match.first_begin, match.first_end);
    WriteRange(c, match.second_begin, match.second_end);
    if (o.match_lengths) c.reply.Integer(match.size());
    ++count;
  }
  c.reply.EndDeferredArray(mark, count);
  c.reply.Bulk("len");
  c.reply.Integer(static_cast<int64_t>(result.text.size()));
}

void Lcs(Context& c) {
  const engine::Version* first = c.Lookup(c.Key(1));
  const engine::Version* second = c.Lookup(c.Key(2));
  for (const engine::Version* version : {first, second}) {
    if (version != nullptr && version->type() != types::kTypeString) {
      return c.reply.Error("ERR The specified keys must contain string values");
    }
  }
  LcsOptions o;
  types::StringView a(first);
  types::StringView b(second);
  if (!ReadLcsOptions(c, &o) || !CheckSizes(c, a.size(), b.size())) return;
  if (o.length) return c.reply.Integer(types::ComputeLcsLength(a.bytes(), b.bytes()));
  std::optional<types::LcsResult> result = types::ComputeLcs(a.bytes(), b.bytes());
  if (!result) {
    return c.reply.Error("ERR Insufficient memory, failed allocating transient memory for LCS");
  }
  if (o.indexes) return WriteMatches(c, *result, o);
  c.reply.Bulk(result->text);
}

constexpr Command kLcsRows[] = {
    {.name = "lcs",
     .arity = -3,
     .flags = kReadonly,
     .keys = {1, 2, 1},
     .group = Group::kString,
     .acl = kAclString,
     .since = "7.0.0",
     .complexity = "O(N*M), N and M being the sizes of the two strings.",
     .summary = "Returns the longest common subsequence of two strings, its length or its places.",
     .scope = Scope::kRead,
     .handler = &Lcs},
};

}  // namespace

std::span<const Command> LcsCommands() {
  return kLcsRows;
}

}  // namespace fluxkv::command
