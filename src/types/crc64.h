// The checksum at the end of a DUMP payload and of an RDB file: CRC-64 with Jones's polynomial,
// reflected, starting at 0, without a final exclusive-or. Crc64("123456789") is e9c6d914c4b8d9ca,
// and so is Crc64("6789", Crc64("12345")).
// Threads: pure function.
// Source:  D. T. Jones, "An Improved 64-bit Cyclic Redundancy Check for Protein Sequences" (2002);
//          eight tables, eight bytes a step (Kounavis and Berry 2005).
#pragma once

#include <cstdint>
#include <string_view>

namespace fluxkv::types {

uint64_t Crc64(std::string_view bytes, uint64_t before = 0);

}  // namespace fluxkv::types
