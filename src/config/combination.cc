#include "config/combination.h"

#include <algorithm>

#include "config/linked_options.h"
#include "config/option_table.h"

namespace fluxkv::config {
namespace {

constexpr std::string_view kFlushes[] = {"durability.flush_interval_ms",
                                         "durability.flush_after_commits",
                                         "durability.flush_after_bytes"};

}  // namespace

bool IsCombined(size_t index) {
  if (LinkedOptionAt(index)) return true;
  return std::any_of(std::begin(kFlushes), std::end(kFlushes),
                     [&](std::string_view name) { return OptionIndex(name) == index; });
}

Status CheckCombination(const std::vector<Value>& values) {
  auto mode = static_cast<Durability>(values[LinkedIndexes()[kLinkedMode]].number);
  bool syncs = std::any_of(std::begin(kFlushes), std::end(kFlushes), [&](std::string_view name) {
    return values[OptionIndex(name)].number > 0;
  });
  if (mode != Durability::kRelaxed || syncs) return {};
  return Status::Error(
      "durability.mode relaxed would never sync the log, allowed is it with one or more of "
      "durability.flush_interval_ms, durability.flush_after_commits and "
      "durability.flush_after_bytes above 0");
}

}  // namespace fluxkv::config
