// What CONFIG REWRITE writes: a TOML file of the options that were changed while running.
//
//   auto text = OverrideText(path, base, values, changed);
//
// Threads: pure function. Errors: one sentence when TOML cannot hold a value.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "config/option_value.h"

namespace fluxkv::config {

// Of the changed options, those whose value is not what defaults and file (`base`) give. `path`:
// the file that it will be read after. Vectors by index of the option.
Result<std::string> OverrideText(const std::string& path, const std::vector<Value>& base,
                                 const std::vector<Value>& values,
                                 const std::vector<bool>& changed);

}  // namespace fluxkv::config
