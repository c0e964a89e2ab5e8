// Strings as arrays of integers of any width: BITFIELD BITFIELD_RO.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/limits.h"
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

enum class Kind : uint8_t { kGet, kSet, kIncrement };

struct Operation {
  Kind kind;
  types::FieldType type;
  types::Overflow overflow;
  uint64_t offset;
  int64_t value;
};

struct Program {
  std::vector<Operation> operations;
  bool writes = false;
  uint64_t last_written_bit = 0;
};

bool ReadFieldType(Context& c, std::string_view text, types::FieldType* type) {
  bool is_signed = text.starts_with('i');
  std::optional<int64_t> bits;
  if (is_signed || text.starts_with('u')) bits = ParseInt64(text.substr(1));
  if (!bits || *bits < 1 || *bits > (is_signed ? 64 : 63)) {
    c.reply.Error(
        "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but "
        "i64 is.");
    return false;
  }
  *type = {is_signed, static_cast<uint8_t>(*bits)};
  return true;
}

bool ReadOverflow(Context& c, std::string_view text, types::Overflow* overflow) {
  if (EqualsIgnoreCase(text, "wrap")) {
    *overflow = types::Overflow::kWrap;
  } else if (EqualsIgnoreCase(text, "sat")) {
    *overflow = types::Overflow::kSaturate;
  } else if (EqualsIgnoreCase(text, "fail")) {
    *overflow = types::Overflow::kFail;
  } else {
    c.reply.Error("ERR Invalid OVERFLOW type specified");
    return false;
  }
  return true;
}

std::optional<Kind> KindNamed(std::string_view name, size_t arguments_behind) {
  if (EqualsIgnoreCase(name, "get") && arguments_behind >= 2) return Kind::kGet;
  if (EqualsIgnoreCase(name, "set") && arguments_behind >= 3) return Kind::kSet;
  if (EqualsIgnoreCase(name, "incrby") && arguments_behind >= 3) return Kind::kIncrement;
  return std::nullopt;
}

bool ReadProgram(Context& c, Program* program) {
  types::Overflow overflow = types::Overflow::kWrap;
  size_t i = 2;
  while (i < c.args.size()) {
    size_t behind = c.args.size() - i - 1;
    if (EqualsIgnoreCase(c.args[i], "overflow") && behind >= 1) {
      if (!ReadOverflow(c, c.args[i + 1], &overflow)) return false;
      i += 2;
      continue;
    }
    std::optional<Kind> kind = KindNamed(c.args[i], behind);
    if (!kind) {
      c.reply.Error(errors::kSyntax);
      return false;
    }
    Operation operation{*kind, {}, overflow, 0, 0};
    if (!ReadFieldType(c, c.args[i + 1], &operation.type)) return false;
    if (!ReadBitOffset(c, c.args[i + 2], operation.type.bits, &operation.offset)) return false;
    if (*kind != Kind::kGet) {
      if (!ReadInteger(c, i + 3, &operation.value)) return false;
      program->writes = true;
      program->last_written_bit =
          std::max(program->last_written_bit, operation.offset + operation.type.bits - 1);
    }
    program->operations.push_back(operation);
    i += *kind == Kind::kGet ? 3 : 4;
  }
  return true;
}

enum class Outcome : uint8_t { kRefused, kSame, kChanged };

// Runs SET or INCRBY on the payload and answers.
Outcome RunWrite(Context& c, const Operation& operation, engine::Version& version) {
  int64_t old = types::GetField(version.payload(), operation.type, operation.offset);
  std::optional<int64_t> next =
      operation.kind == Kind::kSet
          ? types::FitField(operation.type, operation.value, operation.overflow)
          : types::AddField(operation.type, old, operation.value, operation.overflow);
  if (!next) {
    c.reply.Null();
    return Outcome::kRefused;
  }
  types::SetField(version.mutable_payload(), operation.type, operation.offset, *next);
  c.reply.Integer(operation.kind == Kind::kSet ? old : *next);
  return *next != old ? Outcome::kChanged : Outcome::kSame;
}

void RunReads(Context& c, const Program& program) {
  const engine::Version* version = c.Lookup(c.Key(1));
  if (version != nullptr && !c.CheckString(*version)) return;
  types::StringView view(version);
  c.reply.ArrayHeader(program.operations.size());
  for (const Operation& operation : program.operations) {
    c.reply.Integer(types::GetField(view.bytes(), operation.type, operation.offset));
  }
}

void RunWrites(Context& c, const Program& program) {
  engine::Key key = c.Key(1);
  const engine::Version* old = c.txn.Get(c.db(), key);
  if (old != nullptr && !c.CheckString(*old)) return;
  size_t size = static_cast<size_t>(program.last_written_bit / 8) + 1;
  if (size > limits::kValueBytesMax) return c.reply.Error(errors::kStringTooLong);
  const bool grows = old == nullptr || size > types::StringSize(*old);
  engine::VersionPtr version = types::CopyGrown(old, size);
  bool changed = false;
  bool told = false;
  c.reply.ArrayHeader(program.operations.size());
  for (const Operation& operation : program.operations) {
    if (operation.kind == Kind::kGet) {
      c.reply.Integer(types::GetField(version->payload(), operation.type, operation.offset));
      continue;
    }
    Outcome outcome = RunWrite(c, operation, *version);
    changed |= outcome == Outcome::kChanged;
    // As in Redis, a write into a value that grew is told even if it left the field as it was.
    told |= outcome == Outcome::kChanged || (grows && outcome == Outcome::kSame);
  }
  if (!changed && !grows) return;
  c.txn.Put(c.db(), key, std::move(version));
  NotifyIfNew(c, old, key);
  if (told) c.Notify(config::kNotifyString, "setbit", key.bytes);
}

void Bitfield(Context& c) {
  Program program;
  if (!ReadProgram(c, &program)) return;
  program.writes ? RunWrites(c, program) : RunReads(c, program);
}

void BitfieldRo(Context& c) {
  Program program;
  if (!ReadProgram(c, &program)) return;
  if (program.writes) return c.reply.Error("ERR BITFIELD_RO only supports the GET subcommand");
  RunReads(c, program);
}

constexpr Command kBitfieldRows[] = {
    {.name = "bitfield",
     .arity = -2,
     .flags = kWrite | kDenyOom,
     .keys = {1, 1, 1},
     .group = Group::kBitmap,
     .acl = kAclBitmap,
     .since = "3.2.0",
     .complexity = "O(N), N being the size of the value if something is written, else the number "
                   "of operations.",
     .summary = "Reads, sets and adds to integers of any width inside a string.",
     .scope = Scope::kWrite,
     .handler = &Bitfield},
    {.name = "bitfield_ro",
     .arity = -2,
     .flags = kReadonly | kFast,
     .keys = {1, 1, 1},
     .group = Group::kBitmap,
     .acl = kAclBitmap,
     .since = "6.0.0",
     .complexity = "O(N), N being the number of operations.",
     .summary = "Reads integers of any width inside a string.",
     .scope = Scope::kRead,
     .handler = &BitfieldRo},
};

}  // namespace

std::span<const Command> BitfieldCommands() {
  return kBitfieldRows;
}

}  // namespace fluxkv::command
