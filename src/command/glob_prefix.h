// What a glob says about the beginning of every key that it matches.
//
//   ParseGlobPrefix("user:*")   // {"user:", whole = false}
//   ParseGlobPrefix("a\\*b")    // {"a*b", whole = true}: exactly this key
//
// Threads: pure function.
#pragma once

#include <string>
#include <string_view>

namespace fluxkv::command {

struct GlobPrefix {
  std::string text;    // every match begins with it
  bool whole = false;  // the pattern has no special characters: only `text` itself matches
};

inline GlobPrefix ParseGlobPrefix(std::string_view pattern) {
  GlobPrefix prefix;
  for (size_t i = 0; i < pattern.size(); ++i) {
    char c = pattern[i];
    if (c == '*' || c == '?' || c == '[') return prefix;
    // A backslash at the very end stands for itself.
    if (c == '\\' && i + 1 < pattern.size()) c = pattern[++i];
    prefix.text.push_back(c);
  }
  prefix.whole = true;
  return prefix;
}

}  // namespace fluxkv::command
