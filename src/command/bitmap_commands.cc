// Strings as arrays of bits: SETBIT GETBIT BITCOUNT BITPOS BITOP.
// BITFIELD is in bitfield_commands.cc.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/parse.h"
#include "command/arguments.h"
#include "command/bit_offset.h"
#include "command/context.h"
#include "command/errors.h"
#include "command/table.h"
#include "command/value_support.h"
#include "config/notify_flags.h"
#include "types/bits.h"
#include "types/string_value.h"

namespace fluxkv::command {
namespace {

void Setbit(Context& c) {
  uint64_t offset = 0;
  if (!ReadBitOffset(c, c.args[2], 0, &offset)) return;
  std::optional<int64_t> bit = ParseInt64(c.args[3]);
  if (!bit || *bit < 0 || *bit > 1) return c.reply.Error(errors::kBitValue);
  engine::Key key = c.Key(1);
  const engine::Version* old = c.txn.Get(c.db(), key);
  if (old != nullptr && !c.CheckString(*old)) return;
  types::StringView view(old);
  bool was = types::GetBit(view.bytes(), offset);
  size_t size = static_cast<size_t>(offset / 8) + 1;
  if (was != (*bit == 1) || size > view.size()) {
    engine::VersionPtr version = types::CopyGrown(old, size);
    types::SetBit(version->mutable_payload(), offset, *bit == 1);
    c.txn.Put(c.db(), key, std::move(version));
    NotifyIfNew(c, old, key);
    c.Notify(config::kNotifyString, "setbit", key.bytes);
  }
  c.reply.Integer(was ? 1 : 0);
}

void Getbit(Context& c) {
  uint64_t offset = 0;
  if (!ReadBitOffset(c, c.args[2], 0, &offset)) return;
  const engine::Version* version = c.Lookup(c.Key(1));
  if (version != nullptr && !c.CheckString(*version)) return;
  c.reply.Integer(types::GetBit(types::StringView(version).bytes(), offset) ? 1 : 0);
}

// The part of a string that BITCOUNT or BITPOS looks at, as typed.
struct BitRange {
  int64_t start = 0;
  int64_t end = -1;
  bool in_bits = false;
  bool has_end = false;
};
struct BitSpan {
  uint64_t first;
  uint64_t last;
};

bool ReadUnit(Context& c, std::string_view text, BitRange* range) {
  range->in_bits = EqualsIgnoreCase(text, "bit");
  if (range->in_bits || EqualsIgnoreCase(text, "byte")) return true;
  c.reply.Error(errors::kSyntax);
  return false;
}

// First and last bit of a range in a string of `size` bytes; nullopt when it is empty.
std::optional<BitSpan> Resolve(const BitRange& range, size_t size) {
  int64_t total = static_cast<int64_t>(size) * (range.in_bits ? 8 : 1);
  int64_t start = range.start < 0 ? range.start + total : range.start;
  int64_t end = range.end < 0 ? range.end + total : range.end;
  start = std::max<int64_t>(start, 0);
  end = std::min(std::max<int64_t>(end, 0), total - 1);
  if (start > end) return std::nullopt;
  auto first = static_cast<uint64_t>(start);
  auto last = static_cast<uint64_t>(end);
  if (range.in_bits) return BitSpan{first, last};
  return BitSpan{first * 8, last * 8 + 7};
}

void Bitcount(Context& c) {
  BitRange range;
  size_t count = c.args.size();
  if (count > 5) return c.reply.Error(errors::kSyntax);
  if (count > 2) {
    if (!ReadInteger(c, 2, &range.start)) return;
    if (count > 3 && !ReadInteger(c, 3, &range.end)) return;  // without an end as Valkey 8
    if (count == 5 && !ReadUnit(c, c.args[4], &range)) return;
  }
  const engine::Version* version = c.Lookup(c.Key(1));
  if (version != nullptr && !c.CheckString(*version)) return;
  types::StringView view(version);
  // Both before the string's start would be clamped to its first byte otherwise.
  bool reversed = range.start < 0 && range.end < 0 && range.start > range.end;
  std::optional<BitSpan> span = Resolve(range, view.size());
  if (reversed || !span) return c.reply.Integer(0);
  c.reply.Integer(static_cast<int64_t>(types::CountBits(view.bytes(), span->first, span->last)));
}

bool ReadBitposRange(Context& c, BitRange* range) {
  size_t count = c.args.size();
  if (count > 6) {
    c.reply.Error(errors::kSyntax);
    return false;
  }
  if (count >= 4 && !ReadInteger(c, 3, &range->start)) return false;
  if (count == 6 && !ReadUnit(c, c.args[5], range)) return false;
  if (count >= 5 && !ReadInteger(c, 4, &range->end)) return false;
  range->has_end = count >= 5;
  return true;
}

void Bitpos(Context& c) {
  int64_t bit = 0;
  BitRange range;
  if (!ReadInteger(c, 2, &bit)) return;
  if (bit != 0 && bit != 1) return c.reply.Error("ERR The bit argument must be 1 or 0.");
  if (!ReadBitposRange(c, &range)) return;
  const engine::Version* version = c.Lookup(c.Key(1));
  // An absent key is an endless row of zeros.
  if (version == nullptr) return c.reply.Integer(bit == 1 ? -1 : 0);
  if (!c.CheckString(*version)) return;
  types::StringView view(*version);
  std::optional<BitSpan> span = Resolve(range, view.size());
  if (!span) return c.reply.Integer(-1);
  std::optional<uint64_t> found = types::FindBit(view.bytes(), bit == 1, span->first, span->last);
  if (found) return c.reply.Integer(static_cast<int64_t>(*found));
  // Without an end given, zeros follow the string.
  bool zero_behind = bit == 0 && !range.has_end;
  c.reply.Integer(zero_behind ? static_cast<int64_t>(span->last + 1) : -1);
}

std::optional<types::BitOperation> OperationNamed(std::string_view name) {
  if (EqualsIgnoreCase(name, "and")) return types::BitOperation::kAnd;
  if (EqualsIgnoreCase(name, "or")) return types::BitOperation::kOr;
  if (EqualsIgnoreCase(name, "xor")) return types::BitOperation::kXor;
  if (EqualsIgnoreCase(name, "not")) return types::BitOperation::kNot;
  return std::nullopt;
}

void Bitop(Context& c) {
  constexpr size_t kFirstSource = 3;
  std::optional<types::BitOperation> operation = OperationNamed(c.args[1]);
  if (!operation) return c.reply.Error(errors::kSyntax);
  if (*operation == types::BitOperation::kNot && c.args.size() != kFirstSource + 1) {
    return c.reply.Error("ERR BITOP NOT must be called with a single source key.");
  }
  std::vector<types::StringView> views;
  views.reserve(c.args.size() - kFirstSource);
  for (size_t i = kFirstSource; i < c.args.size(); ++i) {
    const engine::Version* version = c.Lookup(c.Key(i));
    if (version != nullptr && !c.CheckString(*version)) return;
    views.emplace_back(version);
  }
  std::vector<std::string_view> sources;
  sources.reserve(views.size());
  size_t size = 0;
  for (const types::StringView& view : views) {
    sources.push_back(view.bytes());
    size = std::max(size, view.size());
  }
  engine::Key target = c.Key(2);
  if (size == 0) {
    DeleteAndNotify(c, target);
  } else {
    engine::VersionPtr version = types::NewRaw(size, engine::kNoExpiry);
    types::CombineBits(*operation, sources, version->mutable_payload());
    if (WantsNewEvents(c)) NotifyIfNew(c, c.txn.Peek(c.db(), target), target);
    c.txn.Put(c.db(), target, std::move(version));
    c.Notify(config::kNotifyString, "set", target.bytes);
  }
  c.reply.Integer(static_cast<int64_t>(size));
}

constexpr Command kBitmapRows[] = {
    {.name = "bitcount",
     .arity = -2,
     .flags = kReadonly,
     .keys = {1, 1, 1},
     .group = Group::kBitmap,
     .acl = kAclBitmap,
     .since = "2.6.0",
     .complexity = "O(N), N being the number of bytes counted.",
     .summary = "Counts the ones among the bits of a string or of a part of it.",
     .scope = Scope::kRead,
     .handler = &Bitcount},
    {.name = "bitop",
     .arity = -4,
     .flags = kWrite | kDenyOom,
     .keys = {2, -1, 1},
     .group = Group::kBitmap,
     .acl = kAclBitmap,
     .since = "2.6.0",
     .complexity = "O(N), N being the number of bytes of all sources.",
     .summary = "Combines strings bit by bit (AND, OR, XOR, NOT) and stores the result.",
     .scope = Scope::kWrite,
     .handler = &Bitop},
    {.name = "bitpos",
     .arity = -3,
     .flags = kReadonly,
     .keys = {1, 1, 1},
     .group = Group::kBitmap,
     .acl = kAclBitmap,
     .since = "2.8.7",
     .complexity = "O(N), N being the number of bytes searched.",
     .summary = "Finds the first bit of a string that is one, or zero.",
     .scope = Scope::kRead,
     .handler = &Bitpos},
    {.name = "getbit",
     .arity = 3,
     .flags = kReadonly | kFast,
     .keys = {1, 1, 1},
     .group = Group::kBitmap,
     .acl = kAclBitmap,
     .since = "2.2.0",
     .summary = "Returns one bit of a string.",
     .scope = Scope::kRead,
     .handler = &Getbit},
    {.name = "setbit",
     .arity = 4,
     .flags = kWrite | kDenyOom,
     .keys = {1, 1, 1},
     .group = Group::kBitmap,
     .acl = kAclBitmap,
     .since = "2.2.0",
     .complexity = "O(N), N being the size of the value afterwards.",
     .summary = "Sets or clears one bit of a string and returns what it was.",
     .scope = Scope::kWrite,
     .handler = &Setbit},
};

}  // namespace

bool ReadBitOffset(Context& c, std::string_view text, unsigned field_bits, uint64_t* offset) {
  bool in_fields = field_bits > 0 && text.starts_with('#');
  if (in_fields) text.remove_prefix(1);
  std::optional<int64_t> value = ParseInt64(text);
  bool bad = !value;
  if (!bad && in_fields) bad = __builtin_mul_overflow(*value, int64_t{field_bits}, &*value);
  bad = bad || *value < 0 || static_cast<uint64_t>(*value) / 8 >= StringBytesMax(c);
  if (bad) {
    c.reply.Error(errors::kBitOffset);
    return false;
  }
  *offset = static_cast<uint64_t>(*value);
  return true;
}

std::span<const Command> BitmapCommands() {
  return kBitmapRows;
}

}  // namespace fluxkv::command
