#include "command/range_bounds.h"

#include <string>
#include <utility>

namespace fluxkv::command {
namespace {

// Where a bound lies between keys: before `key`, or behind all.
struct Place {
  bool behind_all = false;
  std::string key;
};

// A bound as the place from which on keys are not below it (`low`), or from which on they are above
// it. nullopt: it is none.
std::optional<Place> PlaceOf(std::string_view bound, bool low) {
  if (bound == "-") return Place{};
  if (bound == "+") return Place{.behind_all = true, .key = {}};
  if (bound.empty() || (bound[0] != '[' && bound[0] != '(')) return std::nullopt;
  const bool included = bound[0] == '[';
  std::string key(bound.substr(1));
  if (included != low) key.push_back('\0');  // the next key that there can be
  return Place{.behind_all = false, .key = std::move(key)};
}

}  // namespace

std::optional<engine::KeyInterval> IntervalOf(std::string_view low, std::string_view high) {
  std::optional<Place> from = PlaceOf(low, /*low=*/true), to = PlaceOf(high, /*low=*/false);
  if (!from || !to) return std::nullopt;
  if (from->behind_all) return engine::KeyInterval{{}, std::string()};  // holds nothing
  engine::KeyInterval interval{std::move(from->key), std::nullopt};
  if (!to->behind_all) interval.high = std::move(to->key);
  return interval;
}

}  // namespace fluxkv::command
