// Numbers of options as people write them: the other way round than ParseValue.
//
//   HumanText(option, "536870912") == "512mb"      // of a size
//   HumanText(option, "60000") == "1min"           // of a time that counts milliseconds
//
// Threads: pure functions.
#pragma once

#include <string>

#include "config/option.h"

namespace fluxkv::config {

// The canonical text of a value, with sizes and times in the largest unit that divides them.
// ParseValue makes the same value of both. Options that have the unit in their name stay numbers.
std::string HumanText(const Option& option, const std::string& canonical);

}  // namespace fluxkv::config
