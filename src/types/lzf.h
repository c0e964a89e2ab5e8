// Unpacks LZF, the compression of long strings in DUMP payloads and RDB files.
// Threads: pure function.
// Errors:  nullopt for input that is damaged or does not give exactly `size` bytes; it never reads
//          or writes outside its buffers, and allocates only what the input can really unpack to.
// Source:  the format of LibLZF (M. Lehmann): a control byte below 32 is followed by one more
//          literal bytes than it says; else its upper 3 bits are a length (7: one more byte adds to
//          it) and its lower 5 with the next byte a distance back.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace fluxkv::types {

std::optional<std::string> UnpackLzf(std::string_view packed, size_t size);

}  // namespace fluxkv::types
