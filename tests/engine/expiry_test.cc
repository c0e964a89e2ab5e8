// Goal: keys past their deadline go in order of it, many to a commit, all of them and no other;
// nobody sees one meanwhile, but for who began before it; nothing of them stays in memory, not even
// of deadlines that were moved (G2, G3, G5).
// Method: deadlines in the past, filed while expiry is off, so that nothing depends on how fast the
// test runs; then threads that set, move, delete, swap and clear beside the collector, judged by
// what each was told.
#include <mutex>

#include "tests/engine/test_support.h"

namespace fluxkv::engine {
namespace {

// A store whose expired events are kept, in the order in which they came.
struct Watched {
  struct Event {
    uint32_t db;
    std::string key;
    Stamp stamp;
  };

  void Vacuum() {
    session.LeaveEpoch();
    database.Vacuum();
    session.EnterEpoch();
  }
  // Until the clock has passed it.
  void PassTime(int64_t at_ms) {
    session.LeaveEpoch();
    while (clock.Tick() <= at_ms) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    session.EnterEpoch();
  }

  std::mutex mutex;
  std::vector<Event> events;  // guarded by mutex
  Clock clock;
  Database database{{.databases = 3,
                     .vacuum_interval_ms = nullptr,
                     .on_expired =
                         [this](uint32_t db, std::string_view key, Stamp stamp) {
                           std::lock_guard lock(mutex);
                           events.push_back({db, std::string(key), stamp});
                         }},
                    clock};
  Session session{database};
};

TEST_CASE("expiry: a storm goes in order of deadline, many keys to a commit, and leaves nothing") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  Watched w;
  w.database.set_active_expiry(false);
  const int64_t bytes_at_start = DataBytes(w.database);
  const uint64_t list_bytes = w.database.stats().list_bytes;
  const uint64_t keys = 60000 / kSlower;
  const int64_t now_ms = w.clock.Tick();
  std::map<std::string, int64_t> deadlines;
  for (uint64_t i = 0; i < keys; ++i) {
    const int64_t at_ms = now_ms - static_cast<int64_t>(random() % 1000);
    w.session.Set(1, KeyName(i), "value", deadlines[KeyName(i)] = at_ms);
    if (i % 10 == 0) w.session.Set(1, "stays:" + KeyName(i), "v", now_ms + 1'000'000);
    if (i % 10 == 1) w.session.Set(1, "stays:" + KeyName(i), "v");
  }
  CHECK(w.session.Count(1) == keys + keys / 5);
  w.Vacuum();  // a turn that has read a part of the inboxes must not go on to expire it
  const Stamp before = w.database.stats().stamp;
  w.database.set_active_expiry(true);
  w.Vacuum();
  const Stamp commits = w.database.stats().stamp - before;
  CHECK(commits <= keys / 32);  // 64 to a commit, but for the end
  CHECK(w.session.Count(1) == keys / 5);
  CHECK(w.database.database_stats(1).keys_with_expiry == keys / 10);
  CHECK(w.database.stats().expired_keys == keys);
  CHECK(w.database.stats().filed_deadlines == keys / 10);
  {
    std::lock_guard lock(w.mutex);
    REQUIRE(w.events.size() == keys);
    uint64_t disorder = 0, wrong = 0;
    for (size_t i = 0; i < w.events.size(); ++i) {
      wrong += w.events[i].db == 1 && deadlines.contains(w.events[i].key) ? 0 : 1;
      if (i == 0) continue;
      disorder += deadlines[w.events[i - 1].key] <= deadlines[w.events[i].key] ? 0 : 1;
      disorder += w.events[i - 1].stamp <= w.events[i].stamp ? 0 : 1;
    }
    CHECK(disorder == 0);
    CHECK(wrong == 0);
  }
  for (uint64_t i = 0; i < keys; ++i) {
    if (i % 10 < 2) w.session.Delete(1, "stays:" + KeyName(i));
  }
  w.Vacuum();
  CHECK(DataBytes(w.database) == bytes_at_start);
  CHECK(w.database.stats().list_bytes == list_bytes);
}

TEST_CASE("expiry: who began before the deadlines sees the keys, nobody else does") {
  Watched w;
  const int64_t bytes_at_start = DataBytes(w.database);
  const uint64_t keys = 3000 / kSlower;
  const int64_t at_ms = w.clock.Tick() + 500;
  w.database.set_active_expiry(false);
  for (uint64_t i = 0; i < keys; ++i) w.session.Set(0, KeyName(i), std::to_string(i), at_ms);
  Transaction before(w.session.handle());
  REQUIRE(before.BeginSnapshot(Isolation::kSnapshot, true));
  REQUIRE(before.now_ms() < at_ms);  // else the machine stood still for half a second
  w.PassTime(at_ms);
  for (const bool active : {false, true}) {
    w.database.set_active_expiry(active);
    w.Vacuum();
    uint64_t seen = 0, others = 0;
    for (uint64_t i = 0; i < keys; ++i) {
      const std::string name = KeyName(i);
      seen += Text(before.Get(0, Key(std::string_view(name)))) == std::to_string(i) ? 1 : 0;
      if (i % 2 == 0 || active) others += w.session.Get(0, KeyName(i)) == "(absent)" ? 0 : 1;
    }
    CHECK(seen == keys);
    CHECK(others == 0);
  }
  CHECK(w.database.stats().versions_kept == keys);
  before.Rollback();
  w.Vacuum();
  CHECK(w.database.stats().versions_kept == 0);
  CHECK(DataBytes(w.database) == bytes_at_start);
}

TEST_CASE("expiry: a key whose deadline was moved goes at the later one") {
  Watched w;
  const uint64_t keys = 100;
  const int64_t early_ms = w.clock.Tick() + 200, late_ms = early_ms + 100;
  for (uint64_t i = 0; i < keys; ++i) {
    w.session.Set(0, KeyName(i), "v", early_ms);
    w.session.Set(0, KeyName(i), "v", i % 2 == 0 ? late_ms : kNoExpiry);
  }
  REQUIRE(w.clock.Tick() < early_ms);  // else the machine stood still
  w.PassTime(early_ms);
  w.Vacuum();
  if (w.clock.Tick() < late_ms) CHECK(w.database.stats().expired_keys == 0);
  w.PassTime(late_ms);
  w.Vacuum();
  CHECK(w.database.stats().expired_keys == keys / 2);
  CHECK(w.session.Count(0) == keys / 2);
  CHECK(w.database.stats().filed_deadlines == 0);
}

TEST_CASE("expiry: deadlines that move about leave one entry a key") {
  Watched w;
  const int64_t far_ms = w.clock.Tick() + 86'400'000;
  const uint64_t keys = 2000 / kSlower;
  for (int round = 0; round < 40; ++round) {
    for (uint64_t i = 0; i < keys; ++i) {
      // Earlier each time, or taken away and set again, at one moment or at many.
      if (i % 2 == 0) w.session.Set(0, KeyName(i), "v");
      w.session.Set(0, KeyName(i), "v",
                    i % 3 == 0 ? far_ms : far_ms - round * 1000 + static_cast<int64_t>(i));
    }
    w.Vacuum();
    // So many begin a sweep, which leaves one a key.
    CHECK(w.database.stats().filed_deadlines < std::max<uint64_t>(4096, 2 * keys));
  }
  for (uint64_t i = 0; i < keys; ++i) w.session.Delete(0, KeyName(i));
  for (int i = 0; i < 20000 / kSlower; ++i) {  // each leaves an entry
    w.session.Set(0, "more", "v", far_ms - i);
    w.session.Set(0, "more", "v");
  }
  w.Vacuum();
  CHECK(w.database.stats().filed_deadlines < std::max<uint64_t>(4096, 2 * keys));
  CHECK(w.session.Count(0) == 1);
}

// Nodes that were closed with a neighbour while they were on a list still (G5) are freed when their
// keyspace is dropped meanwhile, and held ones are not forgotten.
TEST_CASE("expiry: neighbours that are buried together are freed once") {
  Watched w;
  const int64_t bytes_at_start = DataBytes(w.database);
  const int64_t past_ms = w.clock.Tick() - 1;
  for (int round = 0; round < 30; ++round) {
    Transaction snapshot(w.session.handle());
    for (uint64_t i = 0; i < 500; ++i) w.session.Set(0, KeyName(i), "v");
    if (round % 3 == 1) REQUIRE(snapshot.BeginSnapshot(Isolation::kSnapshot, true));
    for (uint64_t i = 0; i < 500; ++i) {
      if ((i + static_cast<uint64_t>(round)) % 3 == 0) w.session.Delete(0, KeyName(i));
      if ((i + static_cast<uint64_t>(round)) % 3 == 1) w.session.Set(0, KeyName(i), "v", past_ms);
    }
    const WatchToken token = w.database.Watch(0, Key("key:7"));
    if (round % 2 == 0) w.Vacuum();
    snapshot.Rollback();
    w.database.Unwatch(token);
    w.session.txn().BeginExclusive();
    if (round % 5 == 0) w.session.txn().SwapDatabases(0, 2);
    if (round % 4 != 0) w.session.txn().ClearDatabase(0);
    w.session.Finish();
  }
  w.session.txn().BeginExclusive();
  for (uint32_t db = 0; db < 3; ++db) w.session.txn().ClearDatabase(db);
  w.session.Finish();
  w.Vacuum();
  CHECK(DataBytes(w.database) == bytes_at_start);
  CHECK(w.database.stats().versions_kept == 0);
}

TEST_CASE("expiry: threads that set, move, delete and swap beside the collector") {
  FLUXKV_SEEDED(seed);
  constexpr size_t kWriters = 3;
  constexpr uint64_t kKeys = 200;  // a writer's own
  std::atomic<int64_t> interval_ms{1};
  Clock clock;
  std::atomic<uint64_t> events{0}, events_of_lasting{0};
  Database database({.databases = 2,
                     .vacuum_interval_ms = &interval_ms,
                     .on_expired =
                         [&](uint32_t, std::string_view key, Stamp) {
                           ++events;
                           events_of_lasting += key.front() == 'l' ? 1 : 0;
                         }},
                    clock);
  std::atomic<size_t> writers{kWriters};
  std::atomic<uint64_t> lost{0}, late{0}, torn{0};
  const int rounds = 60000 / (kSlower * kSlower);
  RunThreads(kWriters + 1, [&](size_t thread) {
    Session session(database);
    std::mt19937_64 random(seed + thread);
    if (thread == kWriters) {  // swaps, and snapshots in which nothing goes
      while (writers > 0) {
        session.txn().BeginExclusive();
        session.txn().SwapDatabases(0, 1);
        session.Finish();
        if (!session.txn().BeginSnapshot(Isolation::kSnapshot, true)) std::abort();
        std::array<std::vector<std::string>, 2> walks;
        for (auto& walk : walks) {
          for (uint32_t db = 0; db < 2; ++db) {
            session.txn().Walk(db, "", false, "", [&](std::string_view key, const Version&) {
              walk.emplace_back(key);
              return true;
            });
          }
        }
        torn += walks[0] == walks[1] ? 0 : 1;
        session.Finish();
        session.Reenter();
        std::this_thread::sleep_for(std::chrono::microseconds(500));
      }
      return;
    }
    const std::string own = std::to_string(thread) + ":";
    for (int i = 0; i < rounds; ++i) {
      const std::string name = own + KeyName(random() % kKeys);
      const std::string lasting = "l" + name;
      // In both databases at once, so that swaps do not matter.
      const auto set = [&](const std::string& key, int64_t at_ms) {
        const Key k{std::string_view(key)};
        const std::array<LatchKey, 2> latches{{{0, k.hash}, {1, k.hash}}};
        session.txn().BeginLatched(latches);
        for (uint32_t db = 0; db < 2; ++db) session.txn().Put(db, k, NewValue("v", at_ms));
        session.Finish();
      };
      const int64_t now_ms = clock.Tick();
      switch (random() % 4) {
        case 0:
          set(name, now_ms + static_cast<int64_t>(random() % 8));
          break;
        case 1:  // a short deadline that is moved away in time, or taken away
          set(lasting, now_ms + 100'000);
          set(lasting, random() % 2 == 0 ? kNoExpiry : now_ms + 50'000);
          lost += session.Get(0, lasting) == "v" ? 0 : 1;
          break;
        case 2:
          session.Delete(0, name);
          break;
        default: {
          set(name, now_ms - 1);
          late += session.Get(1, name) == "(absent)" ? 0 : 1;
        }
      }
    }
    --writers;
  });
  CHECK(lost == 0);
  CHECK(late == 0);
  CHECK(torn == 0);
  CHECK(events > 0);
  CHECK(events_of_lasting == 0);
  Session session(database);
  const int64_t end_ms = clock.Tick() + 10;
  session.LeaveEpoch();
  while (clock.Tick() <= end_ms) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  database.Vacuum();
  session.EnterEpoch();
  for (uint32_t db = 0; db < 2; ++db) {
    REQUIRE(session.txn().BeginSnapshot(Isolation::kSnapshot, true));
    uint64_t short_lived = 0;
    session.txn().Walk(db, "", false, "", [&](std::string_view key, const Version&) {
      short_lived += key.front() == 'l' ? 0 : 1;
      return true;
    });
    CHECK(short_lived == 0);
    session.Finish();
  }
  session.txn().BeginExclusive();
  session.txn().ClearDatabase(0);
  session.txn().ClearDatabase(1);
  session.Finish();
  session.LeaveEpoch();
  database.Vacuum();
  session.EnterEpoch();
  CHECK(DataBytes(database) == 0);
  CHECK(database.stats().versions_kept == 0);
}

}  // namespace
}  // namespace fluxkv::engine
