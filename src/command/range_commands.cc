// Keys in order: RANGE, PREFIX, COUNTRANGE.
//
// Bounds are written as range_bounds.h says. With REV the higher bound comes first, as in ZRANGE. A
// cursor is "0" at the start and at the end, else the bound "(" and the last key given.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/parse.h"
#include "command/arguments.h"
#include "command/context.h"
#include "command/errors.h"
#include "command/key_walk.h"
#include "command/range_bounds.h"
#include "command/table.h"
#include "types/string_value.h"

namespace fluxkv::command {
namespace {

struct RangeOptions {
  enum class Show : uint8_t { kKeys, kValues, kBoth };
  bool down = false;
  Show show = Show::kKeys;
  std::optional<int64_t> limit;
  std::optional<std::string_view> cursor;
};

// False after answering the error.
bool ReadRangeOptions(Context& c, size_t first, RangeOptions* o) {
  using Show = RangeOptions::Show;
  for (size_t i = first; i < c.args.size(); ++i) {
    const std::string_view word = c.args[i];
    const bool has_value = i + 1 < c.args.size();
    if (EqualsIgnoreCase(word, "rev")) {
      o->down = true;
    } else if (EqualsIgnoreCase(word, "keys")) {
      o->show = Show::kKeys;
    } else if (EqualsIgnoreCase(word, "values")) {
      o->show = Show::kValues;
    } else if (EqualsIgnoreCase(word, "withvalues")) {
      o->show = Show::kBoth;
    } else if (EqualsIgnoreCase(word, "limit") && has_value) {
      int64_t limit = 0;
      if (!ReadInteger(c, ++i, &limit)) return false;
      if (limit < 0) {
        c.reply.Error(errors::kPositive);
        return false;
      }
      o->limit = limit;
    } else if (EqualsIgnoreCase(word, "cursor") && has_value) {
      o->cursor = c.args[++i];
      if (o->cursor != "0" && !o->cursor->starts_with('(')) {
        c.reply.Error("ERR invalid cursor");
        return false;
      }
    } else {
      c.reply.Error(errors::kSyntax);
      return false;
    }
  }
  return true;
}

class RangeWalk final : public KeyWalk {
 public:
  RangeWalk(uint32_t db, engine::KeyInterval interval, const RangeOptions& o, int protocol)
      : KeyWalk(db, std::move(interval), o.down ? Direction::kDown : Direction::kUp),
        show_(o.show),
        limit_(o.limit),
        with_cursor_(o.cursor.has_value()),
        in_pairs_(protocol != 2) {}

  void Answer(resp::Writer& reply) const override {
    if (with_cursor_) {
      reply.ArrayHeader(2);
      reply.Bulk(more_ ? "(" + last_ : std::string("0"));
    }
    const bool flat = show_ == RangeOptions::Show::kBoth && !in_pairs_;
    reply.ArrayHeader(static_cast<size_t>(flat ? 2 * given_ : given_));
    given_bulks_.WriteTo(reply);
  }

 private:
  bool See(std::string_view key, const engine::Version& version) override {
    using Show = RangeOptions::Show;
    if (limit_ && given_ >= *limit_) {
      more_ = given_ > 0;
      return false;
    }
    ++given_;
    if (with_cursor_ && limit_) last_ = key;
    if (show_ == Show::kBoth && in_pairs_) given_bulks_.AddRaw("*2\r\n");
    if (show_ != Show::kValues) given_bulks_.Add(key);
    if (show_ != Show::kKeys) given_bulks_.Add(types::StringView(version).bytes());
    return true;
  }
  size_t bytes() const override { return given_bulks_.bytes(); }
  void Forget() override {
    given_bulks_.Clear();
    given_ = 0;
    more_ = false;
  }

  const RangeOptions::Show show_;
  const std::optional<int64_t> limit_;
  const bool with_cursor_, in_pairs_;
  Bulks given_bulks_;
  int64_t given_ = 0;
  bool more_ = false;
  std::string last_;
};

void Walk(Context& c, engine::KeyInterval interval, const RangeOptions& o) {
  if (o.cursor && *o.cursor != "0") {
    std::string last(o.cursor->substr(1));
    if (!o.down) last.push_back('\0');
    if (o.down && (!interval.high || last < *interval.high)) interval.high = std::move(last);
    if (!o.down && last > interval.low) interval.low = std::move(last);
  }
  RunWalk(c, std::make_unique<RangeWalk>(c.db(), std::move(interval), o, c.session.protocol));
}

void Range(Context& c) {
  RangeOptions o;
  if (!ReadRangeOptions(c, 3, &o)) return;
  auto interval = o.down ? IntervalOf(c.args[2], c.args[1]) : IntervalOf(c.args[1], c.args[2]);
  if (!interval) return c.reply.Error(errors::kBadBound);
  Walk(c, std::move(*interval), o);
}

void Prefix(Context& c) {
  RangeOptions o;
  if (!ReadRangeOptions(c, 2, &o)) return;
  Walk(c, engine::KeyInterval::OfPrefix(c.args[1]), o);
}

void Countrange(Context& c) {
  auto interval = IntervalOf(c.args[1], c.args[2]);
  if (!interval) return c.reply.Error(errors::kBadBound);
  RunWalk(c, std::make_unique<CountWalk>(c.db(), std::move(*interval)));
}

constexpr std::string_view kRangeCost =
    "O(log(N)+M) where N is the number of keys and M the number of keys in the range or returned";

constexpr Command kRangeRows[] = {
    {.name = "range",
     .arity = -3,
     .flags = kReadonly,
     .group = Group::kGeneric,
     .acl = kAclKeyspace,
     .complexity = kRangeCost,
     .summary = "Returns the keys between two bounds in order, or their values, of one moment.",
     .scope = Scope::kSnapshot,
     .handler = &Range},
    {.name = "prefix",
     .arity = -2,
     .flags = kReadonly,
     .group = Group::kGeneric,
     .acl = kAclKeyspace,
     .complexity = kRangeCost,
     .summary = "Returns the keys that begin so in order, or their values, of one moment.",
     .scope = Scope::kSnapshot,
     .handler = &Prefix},
    {.name = "countrange",
     .arity = 3,
     .flags = kReadonly,
     .group = Group::kGeneric,
     .acl = kAclKeyspace,
     .complexity = kRangeCost,
     .summary = "Counts the keys between two bounds, of one moment.",
     .scope = Scope::kSnapshot,
     .handler = &Countrange},
};

}  // namespace

std::span<const Command> RangeCommands() {
  return kRangeRows;
}

}  // namespace fluxkv::command
