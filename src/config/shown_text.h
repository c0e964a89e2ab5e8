// Names and values from outside, fit for one line of the log or of an error.
//
//   "unknown option '" + OneLine(name) + "'"
//   ShownValue(option, "536870912") == "\"536870912\""
//
// Threads: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "config/option.h"

namespace fluxkv::config {

// At most the first 128 bytes, with a space for each control character.
std::string OneLine(std::string_view text);
// In quotes, with escapes, cut after 128 bytes; of a password only that there is one.
std::string ShownValue(const Option& option, std::string_view text);

}  // namespace fluxkv::config
