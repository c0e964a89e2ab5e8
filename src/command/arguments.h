// Arguments of commands as numbers, with the error replies that Redis has for them.
//
//   int64_t count = 0;
//   if (!ReadInteger(c, 2, &count)) return;  // has answered
//
// Threads: the connection's loop.
// Errors: false after the error reply has been written; the result is then not touched.
#pragma once

#include <cstdint>
#include <string_view>

#include "command/context.h"
#include "command/errors.h"

namespace fluxkv::command {

bool ReadInteger(Context& c, size_t argument, int64_t* value,
                 std::string_view error = errors::kNotInteger);
// A time in milliseconds from now, 0 or more, that can be added to the clock.
bool ReadTimeoutMs(Context& c, size_t argument, int64_t* timeout_ms);
// "on" or "off"; else a syntax error.
bool ReadOnOff(Context& c, size_t argument, bool* on);

}  // namespace fluxkv::command
