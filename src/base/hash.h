// The one hash of keys: XXH3 with 64 bits (xxhash.com), seeded anew in each process so that nobody
// outside can choose keys that collide. The index, the latches, the read marks and SCAN's cursor
// all use it; nothing that outlives the process does.
#pragma once

#define XXH_INLINE_ALL
#include <cstdint>
#include <string_view>

#include <xxhash.h>

namespace fluxkv {

namespace internal {
// Drawn before main and before all other initializers, and never written again.
[[gnu::visibility("hidden")]] extern uint64_t hash_seed;
}  // namespace internal

inline uint64_t HashBytes(std::string_view bytes) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), internal::hash_seed);
}

// Spreads an already good hash again, with a number mixed in (splitmix64's finalizer,
// Steele et al. 2014).
inline uint64_t MixHash(uint64_t hash, uint64_t salt) {
  uint64_t x = hash + salt * 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

}  // namespace fluxkv
