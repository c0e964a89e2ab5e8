#include "config/linked_options.h"

#include <algorithm>

#include "config/option_table.h"

namespace fluxkv::config {
namespace {

struct State {
  Durability mode;
  bool append_only;
  AppendFsync fsync;
};

Durability ModeOf(const Value& value) {
  return static_cast<Durability>(value.number);
}

AppendFsync FsyncOf(const Value& value) {
  return static_cast<AppendFsync>(value.number);
}

// appendfsync for a mode that was set by its own name: the one it had, if the mode leaves it open.
AppendFsync FsyncFor(Durability mode, AppendFsync before) {
  if (mode == Durability::kFull) return AppendFsync::kAlways;
  bool too_strong = mode == Durability::kRelaxed && before == AppendFsync::kAlways;
  return too_strong ? AppendFsync::kEverysec : before;
}

Durability ModeFor(bool append_only, AppendFsync fsync) {
  if (!append_only) return Durability::kNone;
  return fsync == AppendFsync::kAlways ? Durability::kFull : Durability::kRelaxed;
}

State After(const LinkedValues& before, const GivenValues& given) {
  const Value* mode = given[kLinkedMode];
  const Value* append_only = given[kLinkedAppendOnly];
  const Value* fsync = given[kLinkedAppendFsync];
  State after{};
  after.fsync = FsyncOf(fsync != nullptr ? *fsync : before[kLinkedAppendFsync]);
  if (mode == nullptr) {
    after.append_only =
        (append_only != nullptr ? *append_only : before[kLinkedAppendOnly]).number != 0;
    after.mode = ModeFor(after.append_only, after.fsync);
    return after;
  }
  after.mode = ModeOf(*mode);
  after.append_only = after.mode != Durability::kNone;
  after.fsync = FsyncFor(after.mode, after.fsync);
  return after;
}

std::string_view InRedisWords(Durability mode) {
  switch (mode) {
    case Durability::kNone:
      return "appendonly no";
    case Durability::kRelaxed:
      return "appendonly yes with appendfsync everysec or no";
    default:
      return "appendonly yes with appendfsync always";
  }
}

Value ValueOf(LinkedOption linked, int64_t number) {
  const Option& option = AllOptions()[LinkedIndexes()[linked]];
  if (option.type == Type::kBool) return Value{number != 0 ? "yes" : "no", number};
  return Value{std::string(option.values[static_cast<size_t>(number)]), number};
}

}  // namespace

const std::array<size_t, kLinkedOptions>& LinkedIndexes() {
  static const std::array<size_t, kLinkedOptions> indexes = {
      OptionIndex("durability.mode"), OptionIndex("appendonly"), OptionIndex("appendfsync")};
  return indexes;
}

std::optional<LinkedOption> LinkedOptionAt(size_t index) {
  const auto& indexes = LinkedIndexes();
  auto it = std::find(indexes.begin(), indexes.end(), index);
  if (it == indexes.end()) return std::nullopt;
  return static_cast<LinkedOption>(it - indexes.begin());
}

Result<LinkedValues> LinkedAfter(const LinkedValues& before, const GivenValues& given) {
  State after = After(before, given);
  LinkedValues values = {ValueOf(kLinkedMode, static_cast<int64_t>(after.mode)),
                         ValueOf(kLinkedAppendOnly, after.append_only ? 1 : 0),
                         ValueOf(kLinkedAppendFsync, static_cast<int64_t>(after.fsync))};
  // Only a mode that was given together with others can contradict them.
  for (size_t i = 0; i < kLinkedOptions; ++i) {
    if (given[i] == nullptr || given[i]->number == values[i].number) continue;
    return Status::Error("durability.mode " + values[kLinkedMode].text + " means " +
                         std::string(InRedisWords(after.mode)) +
                         ", which what was given with it contradicts");
  }
  return values;
}

}  // namespace fluxkv::config
