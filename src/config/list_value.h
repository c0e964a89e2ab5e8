// Values of the options that take several words. ParseValue is the way in; the errors are Redis's.
// Threads: pure functions.
#pragma once

#include <span>
#include <string>

#include "config/option_value.h"

namespace fluxkv::config {

Result<Value> ParseAddresses(std::span<const std::string> words);
Result<Value> ParsePercentiles(std::span<const std::string> words);
// Classes that are not named keep the limits of `current`.
Result<Value> ParseOutputBufferLimits(std::span<const std::string> words,
                                      const std::string& current);
Result<Value> ParseSavePoints(std::span<const std::string> words);
Result<Value> ParseOomScores(std::span<const std::string> words);
Result<Value> ParseReplicaOf(std::span<const std::string> words);

}  // namespace fluxkv::config
