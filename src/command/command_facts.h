// What COMMAND tells about a command beyond its row: how it uses each of its keys, hints for
// proxies and cluster clients, ACL categories.
// Commands that are not listed here get what their row implies.
// Threads: pure functions over constants.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "command/command.h"

namespace fluxkv::command {

// How a command uses a key. One of the first four, then what it does with the value.
enum KeyUse : uint16_t {
  kKeyReadOnly = 1 << 0,
  kKeyReadWrite = 1 << 1,
  kKeyOverwrite = 1 << 2,
  kKeyRemove = 1 << 3,
  kKeyAccess = 1 << 4,   // returns or copies the value
  kKeyUpdate = 1 << 5,   // changes it
  kKeyInsert = 1 << 6,   // adds to it, or creates it
  kKeyDelete = 1 << 7,   // deletes it
  kKeyNotKey = 1 << 8,   // a channel, hashed like a key by a cluster
  kKeyVariable = 1 << 9  // depends on the options
};

// Keys from argument `first` on, every `step`;
// `last` counts from `first`, or from the end when negative.
struct KeyRange {
  uint16_t use = 0;
  int first = 0;
  int last = 0;
  int step = 1;
};

std::vector<KeyRange> KeyRangesOf(const Command& command);
// Names of the uses, as COMMAND shows them.
std::vector<std::string_view> KeyUseNames(uint16_t use);

std::span<const std::string_view> TipsOf(const Command& command);
// The release in which Redis deprecated it; empty if it did not.
std::string_view DeprecatedSince(const Command& command);

struct AclCategoryName {
  std::string_view name;
  uint32_t bit;  // an AclCategory; 0: no command is in it
};
// In the order of ACL CAT.
std::span<const AclCategoryName> AclCategories();
// AclCategory bits: those of the row and those that its flags and group imply.
uint32_t CategoriesOf(const Command& command);

}  // namespace fluxkv::command
