// Rules over several options together. They hold for the values that are in force in the end, so
// they are checked when all files and the command line are read,
// and for each CONFIG SET as a whole.
//
// Threads: pure functions. Errors: one sentence that names the options and what is allowed.
#pragma once

#include <cstddef>
#include <vector>

#include "base/result.h"
#include "config/option_value.h"

namespace fluxkv::config {

// Whether the option with this index in AllOptions() is in one of the rules.
bool IsCombined(size_t index);
// `values`: of all options, by index.
Status CheckCombination(const std::vector<Value>& values);

}  // namespace fluxkv::config
