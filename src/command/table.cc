#include "command/table.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/parse.h"

namespace fluxkv::command {
namespace {

// The bytes 'A' to 'Z' of a word in lower case, all eight at once; other bytes stay.
uint64_t LowerWord(uint64_t word) {
  constexpr uint64_t kEach = 0x0101010101010101ULL;
  uint64_t low_bits = word & (0x7f * kEach);
  uint64_t above_z = low_bits + (0x7f - 'Z') * kEach;
  uint64_t from_a = low_bits + (0x80 - 'A') * kEach;
  uint64_t ascii = ~word & (0x80 * kEach);
  return word | ((ascii & (from_a ^ above_z)) >> 2);
}

template <class T>
uint64_t LoadBytes(const char* bytes) {
  T word;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

void CheckRow(const Command& row) {
  ASSERT(!row.name.empty());
  ASSERT(row.name == ToLower(row.name));
  ASSERT(row.arity != 0);
  ASSERT(row.handler != nullptr || !row.subcommands.empty());
  ASSERT(row.keys.first >= 0 && (row.keys.first == 0 || row.keys.step > 0));
  ASSERT(row.keys.last < 0 || row.keys.last >= row.keys.first);
  bool keyed = row.scope == Scope::kRead || row.scope == Scope::kWrite;
  ASSERT(!keyed || row.keys.first > 0 || row.find_keys != nullptr);
  ASSERT((row.flags & kAfterCommit) == 0 || row.scope == Scope::kNone);
}

}  // namespace

CommandTable::Folded CommandTable::Fold(std::string_view name) {
  const char* p = name.data();
  size_t n = name.size();
  Folded folded{0, 0, n};
  // Loads that overlap: with the size they stand for exactly one name.
  if (n >= 8) {
    folded.low = LoadBytes<uint64_t>(p);
    folded.high = LoadBytes<uint64_t>(p + n - 8);
  } else if (n >= 4) {
    folded.low = LoadBytes<uint32_t>(p) | LoadBytes<uint32_t>(p + n - 4) << 32;
  } else if (n > 0) {
    folded.low = LoadBytes<uint8_t>(p) | LoadBytes<uint8_t>(p + n / 2) << 8 |
                 LoadBytes<uint8_t>(p + n - 1) << 16;
  }
  folded.low = LowerWord(folded.low);
  folded.high = LowerWord(folded.high);
  return folded;
}

size_t CommandTable::HashOf(const Folded& name) {
  constexpr uint64_t kOdd = 0x9e3779b97f4a7c15ULL;
  constexpr int kShift = 64 - 10;
  static_assert(size_t{1} << (64 - kShift) == kSlots);
  return ((name.low ^ (name.high * kOdd) ^ name.size) * kOdd) >> kShift;
}

CommandTable::CommandTable() : slots_(kSlots) {
  for (std::span<const Command> family :
       {StringCommands(),      SetCommands(),        NumberCommands(), LcsCommands(),
        BitmapCommands(),      BitfieldCommands(),   KeyCommands(),    MoveCommands(),
        ObjectCommands(),      ExpireCommands(),     ScanCommands(),   DumpCommands(),
        TransactionCommands(), BeginCommands(),      RangeCommands(),  DelrangeCommands(),
        PubSubCommands(),      ConnectionCommands(), ClientCommands(), KeyspaceCommands(),
        ServerCommands(),      SaveCommands(),       VacuumCommands(), ConfigCommands(),
        CommandCommands(),     MonitoringCommands(), DebugCommands(),  AclCommands()}) {
    AddFamily(family);
  }
  std::sort(rows_.begin(), rows_.end(),
            [](const Command* a, const Command* b) { return a->name < b->name; });
}

void CommandTable::AddFamily(std::span<const Command> family) {
  for (const Command& row : family) AddTop(row);
}

void CommandTable::AddTop(const Command& row) {
  CheckRow(row);
  Command& own = top_.emplace_back(row);
  Number(own);
  if (!row.subcommands.empty()) {
    auto& list = subcommands_.emplace_back(row.subcommands.begin(), row.subcommands.end());
    for (Command& subcommand : list) {
      CheckRow(subcommand);
      ASSERT(subcommand.handler != nullptr);
      ASSERT(subcommand.parent == row.name);
      ASSERT(std::count_if(list.begin(), list.end(), [&](const Command& other) {
               return other.name == subcommand.name;
             }) == 1);
      Number(subcommand);
    }
    own.subcommands = list;
  }
  ASSERT(own.name.size() <= kNameBytesMax);
  ASSERT(Find(own.name) == nullptr);
  rows_.push_back(&own);
  ASSERT(rows_.size() <= kSlots / 4);
  Folded name = Fold(own.name);
  size_t at = HashOf(name);
  while (slots_[at].command != nullptr) at = (at + 1) % kSlots;
  slots_[at] = {name, &own};
}

void CommandTable::Number(Command& row) {
  row.number = static_cast<uint32_t>(numbered_.size());
  numbered_.push_back(&row);
}

const Command* CommandTable::Find(std::string_view name) const {
  if (name.size() > kNameBytesMax) return nullptr;
  Folded folded = Fold(name);
  for (size_t at = HashOf(folded); slots_[at].command != nullptr; at = (at + 1) % kSlots) {
    if (slots_[at].name == folded) return slots_[at].command;
  }
  return nullptr;
}

const Command* CommandTable::FindSubcommand(const Command& container, std::string_view name) const {
  for (const Command& subcommand : container.subcommands) {
    if (EqualsIgnoreCase(subcommand.name, name)) return &subcommand;
  }
  return nullptr;
}

std::string CommandTable::FullName(const Command& command) {
  if (command.parent.empty()) return std::string(command.name);
  return std::string(command.parent) + "|" + std::string(command.name);
}

}  // namespace fluxkv::command
