#include "base/hash.h"

#include <sys/random.h>

#include "base/check.h"

namespace fluxkv::internal {

constinit uint64_t hash_seed = 0;

namespace {

// Before any initializer without a priority: a program's global may open a database, and what that
// has filed must be found later.
[[gnu::constructor(101)]] void DrawHashSeed() {
  ASSERT(getrandom(&hash_seed, sizeof(hash_seed), 0) == sizeof(hash_seed));
}

}  // namespace
}  // namespace fluxkv::internal
