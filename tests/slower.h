// How much slower a sanitizer makes everything: tests that run many rounds divide by this.
#pragma once

namespace fluxkv {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr int kSlower = 8;
#else
inline constexpr int kSlower = 1;
#endif

}  // namespace fluxkv
