// PLANTED(NAME): whether the bug of this name is to be there. The tests' build has it when the
// environment says FLUXKV_PLANT=NAME; everywhere else it is the constant false. A planted bug shows
// that the tests see what they are there for (tests/README.md).
//
//   if (!PLANTED(SKIP_SYNC)) file.Sync();
#pragma once

#ifdef FLUXKV_PLANTS

#include <cstdlib>
#include <string_view>

namespace fluxkv::internal {
inline bool IsPlanted(std::string_view name) {
  const char* planted = std::getenv("FLUXKV_PLANT");
  return planted != nullptr && planted == name;
}
}  // namespace fluxkv::internal

// Asked once for each place.
#define PLANTED(NAME)                                                 \
  ([] {                                                               \
    static const bool planted = ::fluxkv::internal::IsPlanted(#NAME); \
    return planted;                                                   \
  }())

#else
#define PLANTED(NAME) false
#endif
