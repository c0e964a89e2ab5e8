// From words to the value of an option, with Redis's error texts.
//
//   Result<Value> value = ParseValue(option, {"512mb"}, current_text);
//   value.value().text == "536870912", .number == 536870912
//
// Threads: pure functions (kDirectory asks the file system).
// Errors:  one sentence, as Redis ends its CONFIG SET error.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/option.h"

namespace fluxkv::config {

struct Value {
  std::string text;    // canonical, as CONFIG GET shows it
  int64_t number = 0;  // of numbers, booleans (0, 1), enums (index) and flags
};

struct BufferLimit {
  int64_t hard_bytes = 0;
  int64_t soft_bytes = 0;
  int64_t soft_seconds = 0;
};
using BufferLimits = std::array<BufferLimit, kClientClasses>;

// A snapshot is taken when so many seconds have passed
// and so many changes were made since the last.
struct SavePoint {
  int64_t seconds = 0;
  int64_t changes = 0;
  bool operator==(const SavePoint&) const = default;
};

// `words` as given; `current` is the canonical text the option has now, for options that are
// changed in part.
Result<Value> ParseValue(const Option& option, std::span<const std::string> words,
                         const std::string& current);

// Why this version cannot do what a valid value asks for; nullopt if it can.
std::optional<std::string> UnsupportedReason(const Option& option, const Value& value);

// What CONFIG SET and one quoted argument give:
// split at spaces where the option takes several words.
std::vector<std::string> SplitWords(const Option& option, std::string_view text);

Result<BufferLimits> ParseBufferLimits(std::span<const std::string> words, BufferLimits current);
std::vector<double> PercentilesOf(const std::string& canonical);
std::vector<SavePoint> SavePointsOf(const std::string& canonical);
// The words of a further `save` of one file or command line: as in Redis, they add to those of
// `current`, and an empty one removes them.
std::vector<std::string> AddSavePoints(const std::string& current,
                                       const std::vector<std::string>& words);

// The value as a TOML literal: bare where it is a number or a truth value, else quoted. Nullopt for
// text that is not UTF-8.
std::optional<std::string> TomlLiteral(const Option& option, std::string_view text);

}  // namespace fluxkv::config
