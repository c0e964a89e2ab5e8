// Bounds of ranges of keys, as ZRANGEBYLEX writes them: "[a" with a, "(a" without, "-" and "+" the
// ends.
// Threads: pure functions.
#pragma once

#include <optional>
#include <string_view>

#include "engine/key_interval.h"

namespace fluxkv::command {

// nullopt: a bound is none. May be empty.
std::optional<engine::KeyInterval> IntervalOf(std::string_view low, std::string_view high);

}  // namespace fluxkv::command
