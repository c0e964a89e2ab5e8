// What the server calls itself. kRedisVersion is the release whose commands, replies and errors it
// follows; clients choose their behaviour by it.
// Threads: constants.
#pragma once

#include <string_view>

namespace fluxkv {

inline constexpr std::string_view kVersion = "0.1.0";
inline constexpr std::string_view kRedisVersion = "7.2.4";

}  // namespace fluxkv
