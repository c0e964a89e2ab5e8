// Bit offsets as SETBIT, GETBIT and BITFIELD read them.
#pragma once

#include <cstdint>
#include <string_view>

#include "command/context.h"

namespace fluxkv::command {

// A place in a string of at most proto-max-bulk-len bytes. With `field_bits` above 0, "#3" counts
// in fields of that many bits. False after answering the error.
bool ReadBitOffset(Context& c, std::string_view text, unsigned field_bits, uint64_t* offset);

}  // namespace fluxkv::command
