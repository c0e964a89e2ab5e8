// SHA-256, for showing passwords as ACL LIST does.
// Threads: a pure function.
// Source: FIPS 180-4.
#pragma once

#include <string>
#include <string_view>

namespace fluxkv::command {

// 64 hex digits in lower case.
std::string Sha256Hex(std::string_view bytes);

}  // namespace fluxkv::command
