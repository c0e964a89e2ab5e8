// Goal: BytesLess orders as string_view does.
// Method: strings of all lengths up to beyond the longest that it looks at by words, which begin
// alike or are equal, with bytes on both sides of 127; each in a place of its own size, so that a
// read beyond its end is found.
#include "base/byte_order.h"

#include <random>
#include <vector>

#include <doctest/doctest.h>

namespace fluxkv {
namespace {

TEST_CASE("byte order: as string_view has it") {
  const auto seed = std::random_device()();
  MESSAGE("seed " << seed);
  std::mt19937_64 random(seed);
  const auto bytes = [&](size_t size) {
    std::vector<char> result(size);
    for (char& c : result) c = static_cast<char>(random() % 256);
    return result;
  };
  size_t wrong = 0, less = 0, equal = 0;
  for (size_t round = 0; round < 20'000; ++round) {
    std::vector<char> a = bytes(round % 80);
    std::vector<char> b = a;
    b.resize(random() % 80);
    a.shrink_to_fit();
    b.shrink_to_fit();
    if (!b.empty() && random() % 4 != 0) b[random() % b.size()] = static_cast<char>(random() % 256);
    const std::string_view x(a.data(), a.size()), y(b.data(), b.size());
    wrong += BytesLess(x, y) == (x < y) ? 0 : 1;
    wrong += BytesLess(y, x) == (y < x) ? 0 : 1;
    less += x < y ? 1 : 0;
    equal += x == y ? 1 : 0;
  }
  CHECK(wrong == 0);
  CHECK(less > 1000);
  CHECK(equal > 10);
}

}  // namespace
}  // namespace fluxkv
