// An interval of keys in byte order.
// Threads: a value.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fluxkv::engine {

// The first key behind all that begin with `prefix`; nullopt if there is none.
std::optional<std::string> PrefixEnd(std::string_view prefix);

// Keys from `low`, included, to `high`, not included; nullopt: to the last one.
struct KeyInterval {
  std::string low;
  std::optional<std::string> high;
  static KeyInterval OfPrefix(std::string_view prefix);
  bool Holds(std::string_view key) const { return low <= key && (!high || key < *high); }
  bool empty() const { return high && *high <= low; }
};

}  // namespace fluxkv::engine
