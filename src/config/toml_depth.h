// A guard before a TOML text is parsed: each dot of a key makes a table inside a table, and toml++
// takes tables apart by recursion, so that a file of nothing but "a.a.a..." would end the stack.
//
//   if (auto line = LineOfTooManyDots(text)) ... "fluxkv.toml:3: too many dots outside of texts"
//   ...
//
// Threads: pure function.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace fluxkv::config {

// Far more than all options, each with its section before it, and as many fractions.
inline constexpr size_t kTomlDotsMax = 2048;

// The line of the dot that is one too many, counted without those in quotes and comments; nullopt
// if there is none.
std::optional<size_t> LineOfTooManyDots(std::string_view text);

}  // namespace fluxkv::config
