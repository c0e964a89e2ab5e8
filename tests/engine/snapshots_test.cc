// Goal: the table of live snapshots answers exactly what a list of them would, never missing one
// (S1 to S3).
// Method: random calls against a plain vector; then snapshots and overwriters that race for stamps
// on several threads, each pair judged by the stamps it got.
#include "engine/snapshots.h"

#include "tests/engine/test_support.h"

namespace fluxkv::engine {
namespace {

TEST_CASE("snapshots: copies of the store are no transactions") {
  Snapshots snapshots;
  const auto take = [&](SnapshotHolder::Kind kind, int64_t began_at_ms, Stamp stamp) {
    const size_t slot = snapshots.Take({.kind = kind, .client = 0}, began_at_ms).value();
    CHECK(snapshots.CountTransactions() == (stamp == 9 ? 1 : 0));  // as long as it chooses
    snapshots.Choose(slot, stamp);
    return slot;
  };
  const size_t copy = take(SnapshotHolder::Kind::kCopy, 1, 5);
  CHECK_FALSE(snapshots.OldestFigure(/*with_copies=*/false).has_value());
  CHECK(snapshots.OldestFigure()->began_at_ms == 1);
  const size_t own = take(SnapshotHolder::Kind::kInternal, 2, 7);
  CHECK(snapshots.CountTransactions() == 1);
  const size_t client = take(SnapshotHolder::Kind::kClient, 3, 9);
  CHECK(snapshots.CountTransactions() == 2);
  CHECK(snapshots.count() == 3);
  CHECK(snapshots.OldestFigure(/*with_copies=*/false)->began_at_ms == 2);
  snapshots.Release(own);
  CHECK(snapshots.OldestFigure(/*with_copies=*/false)->began_at_ms == 3);
  snapshots.Release(client);
  snapshots.Release(copy);
  CHECK(snapshots.CountTransactions() == 0);
}

TEST_CASE("snapshots against a list") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  Snapshots snapshots;
  std::vector<std::pair<size_t, Stamp>> live;  // Snapshots::kChoosing while it is choosing
  for (int i = 0; i < 20000 / kSlower; ++i) {
    const uint64_t r = random() % 10;
    if (r < 3 && live.size() < 20) {
      auto slot = snapshots.Take();
      REQUIRE(slot.has_value());
      live.emplace_back(*slot, Snapshots::kChoosing);
    } else if (r < 5 && !live.empty()) {
      auto& one = live[random() % live.size()];
      if (one.second == Snapshots::kChoosing) {
        one.second = random() % 100;
        snapshots.Choose(one.first, one.second);
      }
    } else if (r < 8 && !live.empty()) {
      const size_t which = random() % live.size();
      snapshots.Release(live[which].first);
      live.erase(live.begin() + static_cast<ptrdiff_t>(which));
    }
    const Stamp from = random() % 100, until = from + random() % 10;
    bool needs = false;
    Stamp oldest = kStampPending;
    for (const auto& [slot, stamp] : live) {
      const bool choosing = stamp == Snapshots::kChoosing;
      needs = needs || choosing || (from <= stamp && stamp < until);
      oldest = std::min(oldest, choosing ? 0 : stamp);
    }
    REQUIRE(snapshots.Needs(from, until) == needs);
    REQUIRE(snapshots.Oldest() == oldest);
    REQUIRE(snapshots.count() == live.size());
    REQUIRE(snapshots.none() == live.empty());
  }
}

TEST_CASE("snapshots are refused when all slots are taken") {
  Snapshots snapshots;
  std::set<size_t> slots;
  for (size_t i = 0; i < limits::kSnapshotsMax; ++i) slots.insert(snapshots.Take().value());
  CHECK(slots.size() == limits::kSnapshotsMax);
  CHECK_FALSE(snapshots.Take().has_value());
  CHECK(snapshots.count() == limits::kSnapshotsMax);
  snapshots.Release(17);
  CHECK(snapshots.Take() == 17);
  for (const size_t slot : slots) snapshots.Release(slot);
  CHECK(snapshots.none());
  CHECK(snapshots.Oldest() == kStampPending);
}

TEST_CASE("snapshots: either the stamp covers the overwriter, or the overwriter sees it") {
  Snapshots snapshots;
  std::atomic<Stamp> stamp{0};
  std::atomic<uint64_t> missed{0};
  // Each reader holds its snapshot while the overwriter that is next after it must have seen it.
  constexpr size_t kReaders = 2;
  std::array<std::atomic<Stamp>, kReaders> held;  // what the reader holds; kFree: nothing
  for (auto& h : held) h = Snapshots::kFree;
  std::atomic<bool> stop{false};
  std::thread overwriter([&] {
    Stamp before = 0;
    for (int i = 0; i < 1000000 / kSlower; ++i) {
      const Stamp mine = stamp.fetch_add(1, std::memory_order_seq_cst) + 1;
      const bool seen = snapshots.Needs(before, mine);
      // A snapshot at `before` that is held now was held at Needs, or chose its stamp meanwhile.
      for (auto& h : held) {
        if (h.load(std::memory_order_seq_cst) == before && !seen) ++missed;
      }
      before = mine;
    }
    stop = true;
  });
  RunThreads(kReaders, [&](size_t reader) {
    while (!stop) {
      const size_t slot = snapshots.Take().value();
      const Stamp mine = stamp.load(std::memory_order_seq_cst);
      snapshots.Choose(slot, mine);
      held[reader] = mine;
      for (int i = 0; i < 20; ++i) static_cast<void>(stamp.load());
      held[reader] = Snapshots::kFree;
      snapshots.Release(slot);
    }
  });
  overwriter.join();
  CHECK(missed == 0);
  CHECK(snapshots.none());
}

}  // namespace
}  // namespace fluxkv::engine
