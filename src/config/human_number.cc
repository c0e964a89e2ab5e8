#include "config/human_number.h"

#include <cstdint>
#include <string_view>

#include "base/parse.h"
#include "config/option_value.h"

namespace fluxkv::config {
namespace {

struct Unit {
  std::string_view suffix;
  int64_t size;
};

// Largest first. Those of times in microseconds.
constexpr Unit kSizes[] = {{"gb", 1 << 30}, {"mb", 1 << 20}, {"kb", 1 << 10}};
constexpr Unit kTimes[] = {{"d", 86400000000}, {"h", 3600000000}, {"min", 60000000},
                           {"s", 1000000},     {"ms", 1000},      {"us", 1}};

template <size_t N>
std::string InUnits(int64_t number, const Unit (&units)[N]) {
  for (const Unit& unit : units) {
    if (number > 0 && number % unit.size == 0) {
      return std::to_string(number / unit.size) + std::string(unit.suffix);
    }
  }
  return std::to_string(number);
}

std::string Size(const std::string& text) {
  auto number = ParseInt64(text);
  return number ? InUnits(*number, kSizes) : text;
}

std::string Time(const std::string& text, int64_t unit_us) {
  auto number = ParseInt64(text);
  int64_t us = 0;
  if (!number || *number <= 0 || __builtin_mul_overflow(*number, unit_us, &us)) return text;
  return InUnits(us, kTimes);
}

std::string BufferLimitsText(const Option& option, const std::string& text) {
  std::vector<std::string> words = SplitWords(option, text);
  std::string human;
  for (size_t i = 0; i < words.size(); ++i) {
    bool size = i % 4 == 1 || i % 4 == 2;
    human += (human.empty() ? "" : " ") + (size ? Size(words[i]) : words[i]);
  }
  return human;
}

}  // namespace

std::string HumanText(const Option& option, const std::string& canonical) {
  bool unit_in_name = option.name.ends_with("_ms") || option.name.ends_with("_s");
  switch (option.type) {
    case Type::kMemory:
    case Type::kMemoryOrPercent:
      return Size(canonical);
    case Type::kTimeUs:
      return Time(canonical, 1);
    case Type::kTimeMs:
      return unit_in_name ? canonical : Time(canonical, 1000);
    case Type::kTimeS:
      return unit_in_name ? canonical : Time(canonical, 1000000);
    case Type::kOutputBufferLimits:
      return BufferLimitsText(option, canonical);
    default:
      return canonical;
  }
}

}  // namespace fluxkv::config
