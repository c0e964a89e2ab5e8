// Classes of keyspace notifications, as one set of bits, and their letters
// (option notify-keyspace-events).
//
//   std::optional<uint32_t> flags = ParseNotifyFlags("KEA");
//   if (*flags & kNotifyKeyevent) ...
//
// Threads: pure functions.
// Errors:  nullopt for a letter that is no class.
// Source:  Redis's letters, bits and meaning of A.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fluxkv::config {

enum NotifyFlag : uint32_t {
  kNotifyKeyspace = 1u << 0,  // K: publish to __keyspace@<db>__:<key>
  kNotifyKeyevent = 1u << 1,  // E: publish to __keyevent@<db>__:<event>
  kNotifyGeneric = 1u << 2,   // g: DEL, EXPIRE, RENAME and others of any type
  kNotifyString = 1u << 3,    // $
  kNotifyList = 1u << 4,      // l
  kNotifySet = 1u << 5,       // s
  kNotifyHash = 1u << 6,      // h
  kNotifyZset = 1u << 7,      // z
  kNotifyExpired = 1u << 8,   // x
  kNotifyEvicted = 1u << 9,   // e
  kNotifyStream = 1u << 10,   // t
  kNotifyKeyMiss = 1u << 11,  // m: not part of A
  kNotifyModule = 1u << 13,   // d
  kNotifyNew = 1u << 14,      // n: not part of A
};

inline constexpr uint32_t kNotifyAll = kNotifyGeneric | kNotifyString | kNotifyList | kNotifySet |
                                       kNotifyHash | kNotifyZset | kNotifyExpired | kNotifyEvicted |
                                       kNotifyStream | kNotifyModule;

namespace internal {
struct NotifyLetter {
  char letter;
  uint32_t flags;
};
// In the order in which FormatNotifyFlags writes them.
inline constexpr NotifyLetter kNotifyLetters[] = {
    {'A', kNotifyAll},      {'g', kNotifyGeneric},  {'$', kNotifyString}, {'l', kNotifyList},
    {'s', kNotifySet},      {'h', kNotifyHash},     {'z', kNotifyZset},   {'x', kNotifyExpired},
    {'e', kNotifyEvicted},  {'t', kNotifyStream},   {'d', kNotifyModule}, {'n', kNotifyNew},
    {'K', kNotifyKeyspace}, {'E', kNotifyKeyevent}, {'m', kNotifyKeyMiss}};
}  // namespace internal

inline std::optional<uint32_t> ParseNotifyFlags(std::string_view text) {
  uint32_t flags = 0;
  for (char c : text) {
    uint32_t found = 0;
    for (const auto& row : internal::kNotifyLetters) {
      if (row.letter == c) found = row.flags;
    }
    if (found == 0) return std::nullopt;
    flags |= found;
  }
  return flags;
}

// The canonical form: "AKE" where all classes of A are there (n is then left out, as Redis does).
inline std::string FormatNotifyFlags(uint32_t flags) {
  bool all = (flags & kNotifyAll) == kNotifyAll;
  std::string text;
  for (const auto& row : internal::kNotifyLetters) {
    bool covered_by_all = (row.flags & (kNotifyAll | kNotifyNew)) != 0 && row.letter != 'A';
    if (all && covered_by_all) continue;
    if ((flags & row.flags) == row.flags) text += row.letter;
  }
  return text;
}

}  // namespace fluxkv::config
