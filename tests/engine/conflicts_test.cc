// Goal: read marks and ranges never say less than what was registered (C3, C4, C5), at and beyond
// their bounds too.
// Method: small cases by hand; then random ranges against a plain list of all of them.
#include "engine/conflicts.h"

#include <mutex>

#include "tests/engine/test_support.h"

namespace fluxkv::engine {
namespace {

KeyRange Range(uint32_t db, std::string low, std::string high) {
  return {.db = db, .whole = false, .low = std::move(low), .high = std::move(high)};
}
KeyRange Whole(uint32_t db) {
  return {.db = db, .whole = true, .low = {}, .high = {}};
}

TEST_CASE("conflicts: marks only rise") {
  Conflicts conflicts;
  CHECK(conflicts.MarkOf(0, 5) == 0);
  conflicts.Mark(0, 5, 10);
  CHECK(conflicts.MarkOf(0, 5) == 10);
  conflicts.Mark(0, 5, 7);
  CHECK(conflicts.MarkOf(0, 5) == 10);
  conflicts.Mark(0, 5, 11);
  CHECK(conflicts.MarkOf(0, 5) == 11);
  RunThreads(4, [&](size_t thread) {
    for (uint64_t i = 0; i < 1000; ++i) conflicts.Mark(1, 9, i * 4 + thread);
  });
  CHECK(conflicts.MarkOf(1, 9) == 999 * 4 + 3);
}

TEST_CASE("conflicts: tracking counts the live") {
  Conflicts conflicts;
  CHECK_FALSE(conflicts.tracking());
  TrackedTransaction a, b;
  conflicts.Begin(&a);
  conflicts.Begin(&b);
  conflicts.SetSnapshot(&a, 3);
  CHECK(a.snapshot == 3);
  conflicts.End(&a);
  CHECK(conflicts.tracking());
  conflicts.End(&b);
  CHECK_FALSE(conflicts.tracking());
}

TEST_CASE("conflicts: a write into a live range lowers pi") {
  Conflicts conflicts;
  TrackedTransaction a, b;
  conflicts.Begin(&a);
  conflicts.Begin(&b);
  conflicts.AddRange(&a, Range(0, "b", "d0"));  // the end is not in it
  conflicts.AddRange(&b, Whole(1));
  {
    std::lock_guard lock(conflicts.commit_mutex());
    conflicts.NoteWrite(nullptr, 0, "a", 5);
    conflicts.NoteWrite(nullptr, 0, "d0", 5);
    conflicts.NoteWrite(nullptr, 1, "c", 9);
    conflicts.NoteWrite(&a, 0, "c", 1);  // its own
  }
  CHECK(a.range_pi == kStampPending);
  CHECK(b.range_pi == 9);
  {
    std::lock_guard lock(conflicts.commit_mutex());
    conflicts.NoteWrite(nullptr, 0, "b", 8);
    conflicts.NoteWrite(nullptr, 0, "d", 7);
    conflicts.NoteWrite(nullptr, 0, "c", 20);
    conflicts.NoteWholeWrite(1, 6);
  }
  CHECK(a.range_pi == 7);
  CHECK(b.range_pi == 6);
  conflicts.End(&a);
  conflicts.End(&b);
}

TEST_CASE("conflicts: ranges that touch do not meet") {
  const auto prefix = [](std::string_view p) {
    return KeyRange::Around(0, KeyInterval::OfPrefix(p));
  };
  const KeyRange january = prefix("2024-01"), february = prefix("2024-02"), year = prefix("2024-");
  const KeyRange from_february = KeyRange::Around(0, {"2024-02", std::nullopt});
  CHECK_FALSE(january.Meets(february));
  CHECK_FALSE(february.Meets(january));
  CHECK_FALSE(january.Meets(from_february));
  CHECK_FALSE(from_february.Meets(january));
  CHECK(february.Meets(from_february));
  CHECK(from_february.Meets(february));
  CHECK(year.Meets(february));
  CHECK(january.Meets(year));
  CHECK(january.Holds(0, "2024-01-31"));
  CHECK_FALSE(january.Holds(0, "2024-02"));
}

TEST_CASE("conflicts: more ranges than fit become the whole database") {
  Conflicts conflicts;
  TrackedTransaction a;
  conflicts.Begin(&a);
  for (size_t i = 0; i < Conflicts::kRangesPerTransactionMax * 2; ++i) {
    const std::string key = std::to_string(1000 + i);
    conflicts.AddRange(&a, Range(0, key, key + "!"));
    conflicts.AddRange(&a, Range(0, key, key + "!"));
  }
  CHECK(a.ranges.size() <= Conflicts::kRangesPerTransactionMax);
  std::lock_guard lock(conflicts.commit_mutex());
  for (size_t i = 0; i < Conflicts::kRangesPerTransactionMax * 2; ++i) {
    a.range_pi = kStampPending;
    conflicts.NoteWrite(nullptr, 0, std::to_string(1000 + i), 5);
    CHECK(a.range_pi == 5);
  }
}

TEST_CASE("conflicts: committed ranges never say less than a list of all") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  Conflicts conflicts;
  TrackedTransaction live;
  conflicts.Begin(&live);
  conflicts.SetSnapshot(&live, 100);
  std::vector<std::pair<KeyRange, Stamp>> all;
  const auto key = [&] { return std::string(1, static_cast<char>('a' + random() % 20)); };
  for (Stamp position = 90; position < 90 + Conflicts::kCommittedRangesMax * 4; ++position) {
    KeyRange range = Range(static_cast<uint32_t>(random() % 3), key(), key() + key());
    if (random() % 50 == 0) range = Whole(range.db);
    conflicts.MarkRange(range, position);
    all.emplace_back(range, position);
    std::lock_guard lock(conflicts.commit_mutex());
    for (int i = 0; i < 4; ++i) {
      const auto db = static_cast<uint32_t>(random() % 3);
      const std::string k = key();
      Stamp expected = 0;
      for (const auto& [r, p] : all) {
        if (r.Holds(db, k)) expected = std::max(expected, p);
      }
      if (expected > 100) REQUIRE(conflicts.RangeMarkOf(db, k) >= expected);
      REQUIRE(conflicts.RangeMarkOf(db, k) <= position);
    }
  }
  conflicts.End(&live);
  std::lock_guard lock(conflicts.commit_mutex());
  CHECK(conflicts.RangeMarkOf(0, "c") == 0);  // nobody is left to whom it matters
}

TEST_CASE("conflicts: read-only snapshots reach everything until their stamp is known") {
  Conflicts conflicts;
  auto reader = conflicts.BeginReadOnly();
  const auto reaches = [&](Stamp pi) {
    std::lock_guard lock(conflicts.commit_mutex());
    return conflicts.ReadOnlyReaches(pi);
  };
  CHECK(reaches(1000000));
  conflicts.SetReadOnlySnapshot(reader, 5);
  CHECK(reaches(4));
  CHECK(reaches(5));
  CHECK_FALSE(reaches(6));
  conflicts.EndReadOnly(reader);
  CHECK_FALSE(reaches(1));
}

}  // namespace
}  // namespace fluxkv::engine
