// Goal: ghosts are found in the list they were put in, once, and the oldest go first.
// Method: against two std::deques while there is one segment, where order is exact; with many
// segments against sets, with the share of old ghosts among the dropped ones.
#include "engine/eviction/ghosts.h"

#include <deque>
#include <unordered_map>

#include "tests/engine/test_support.h"

namespace fluxkv::engine {
namespace {

TEST_CASE("eviction ghosts: a few against two lists") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  Ghosts ghosts;
  std::array<std::deque<uint32_t>, 2> model;
  for (int i = 0; i < 20000; ++i) {
    const auto list = static_cast<Ghosts::List>(random() % 2);
    const auto fingerprint = static_cast<uint32_t>(random() % 500);
    auto it0 = std::find(model[0].begin(), model[0].end(), fingerprint);
    auto it1 = std::find(model[1].begin(), model[1].end(), fingerprint);
    const bool known = it0 != model[0].end() || it1 != model[1].end();
    if (random() % 3 == 0) {
      const auto found = ghosts.Take(fingerprint);
      REQUIRE(found.has_value() == known);
      if (known) {
        REQUIRE(*found == (it0 != model[0].end() ? Ghosts::kOnce : Ghosts::kAgain));
        if (*found == Ghosts::kOnce) {
          model[0].erase(it0);
        } else {
          model[1].erase(it1);
        }
      }
    } else if (!known && model[0].size() + model[1].size() < Ghosts::kPerSegment) {
      ghosts.Add(list, fingerprint);
      model[list].push_back(fingerprint);
    } else {
      REQUIRE(ghosts.DropOldest(list, fingerprint) == !model[list].empty());
      if (!model[list].empty()) model[list].pop_front();
    }
    REQUIRE(ghosts.size(Ghosts::kOnce) == model[0].size());
    REQUIRE(ghosts.size(Ghosts::kAgain) == model[1].size());
  }
}

TEST_CASE("eviction ghosts: many keep about the order in which they came") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  Ghosts ghosts;
  constexpr uint32_t kKept = 50000 / kSlower, kAdded = 3 * kKept;
  std::vector<uint32_t> added;
  for (uint32_t i = 0; i < kAdded; ++i) {
    added.push_back(static_cast<uint32_t>(random()));
    ghosts.Add(Ghosts::kOnce, added.back());
    if (ghosts.size(Ghosts::kOnce) > kKept) REQUIRE(ghosts.DropOldest(Ghosts::kOnce, added.back()));
  }
  CHECK(ghosts.size(Ghosts::kOnce) == kKept);
  CHECK(ghosts.allocated_bytes() < 8 * kKept);
  uint32_t kept_young = 0, kept_old = 0;
  for (uint32_t i = 0; i < kAdded; ++i) {
    const bool kept = ghosts.Take(added[i]).has_value();
    const uint32_t age = kAdded - 1 - i;
    if (age < kKept * 6 / 10) kept_young += kept ? 1 : 0;
    if (age > kKept * 14 / 10) kept_old += kept ? 1 : 0;
  }
  CHECK(kept_young >= kKept * 59 / 100);
  CHECK(kept_old <= kKept / 50);
}

}  // namespace
}  // namespace fluxkv::engine
