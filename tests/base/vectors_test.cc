// A vector that was long once keeps no more room than it needs of late, and does not let go of
// room that it will need again.
#include "base/vectors.h"

#include <cstddef>
#include <cstdint>
#include <vector>

#include <doctest/doctest.h>

namespace fluxkv {

TEST_CASE("vectors: room goes back when far less was needed, and only then") {
  constexpr size_t kLong = 1 << 20;
  std::vector<uint64_t> vector(kLong);
  // It was full: as much is expected again.
  vector.clear();
  GiveBackRoom(&vector, kLong);
  CHECK(vector.capacity() >= kLong);
  GiveBackRoom(&vector, kLong / 8);
  CHECK(vector.capacity() >= kLong);
  // What is in it counts as well.
  vector.resize(kLong / 8);
  GiveBackRoom(&vector, 0);
  CHECK(vector.capacity() >= kLong);
  vector.resize(5);
  vector[4] = 7;
  GiveBackRoom(&vector, kLong / 8 - 1);
  CHECK(vector.capacity() < 100);
  CHECK(vector.size() == 5);
  CHECK(vector[4] == 7);
}

TEST_CASE("vectors: a small one keeps its room") {
  std::vector<uint64_t> vector(10000);
  vector.clear();
  GiveBackRoom(&vector, 0);
  CHECK(vector.capacity() >= 10000);
}

}  // namespace fluxkv
