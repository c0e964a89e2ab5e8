// Making room: the limit under every policy, what goes first, what a change of policy, FLUSHDB and
// SWAPDB do to that, and that memory is given back to the last byte.

#include "engine/evictor.h"

#include <numeric>

#include "engine/collector.h"
#include "test_support.h"

namespace fluxkv::engine {
namespace {

using Room = Evictor::Room;

constexpr std::array kPolicies = {PolicyKind::kRandom, PolicyKind::kLru, PolicyKind::kLfu,
                                  PolicyKind::kArc, PolicyKind::kTtl};

void Use(Database& database, PolicyKind kind, bool volatile_only = false) {
  database.SetPolicy(kind, volatile_only);
  database.AwaitPolicy();
  database.Vacuum();  // until all keys are filed
}

std::string SevenDigits(size_t n) {
  return "key:" + std::to_string(1000000 + n);
}

// Fills database `db` with `count` keys, each with a deadline far away.
void Fill(Session& session, const Clock& clock, size_t count, uint32_t db = 0,
          std::string_view value = "v") {
  for (size_t i = 0; i < count; ++i)
    session.Set(db, SevenDigits(i), value, clock.now_ms() + 3'600'000 + static_cast<int64_t>(i));
}

// Writes down each key that is evicted.
Options Recording(std::vector<std::string>* evicted) {
  Options options;
  options.on_evicted = [evicted](uint32_t, std::string_view key, Stamp) {
    evicted->emplace_back(key);
  };
  return options;
}

}  // namespace

TEST_CASE("evictor: the limit holds under a flood, and memory comes back to the last byte") {
  FLUXKV_SEEDED(seed);
  constexpr size_t kThreads = 4, kValueMost = 4096;
  constexpr uint64_t kLimit = 2 << 20;
  for (const PolicyKind kind : kPolicies) {
    CAPTURE(static_cast<int>(kind));
    Clock clock;
    Database database({}, clock);
    Use(database, kind);
    const int64_t before = DataBytes(database);
    std::atomic<uint64_t> most{0}, refused{0};
    RunThreads(kThreads, [&](size_t thread) {
      Session session(database);
      Evictor evictor(session.handle());
      std::mt19937_64 random(seed + thread);
      for (int i = 0; i < 8000 / kSlower; ++i) {
        if (evictor.MakeRoom(kLimit, 0) == Room::kNone) ++refused;
        const std::string value(random() % kValueMost, 'x');
        session.Set(0, SevenDigits(random() % 50000), value, clock.now_ms() + 3'600'000);
        const uint64_t used = database.used_bytes();
        uint64_t seen = most.load();
        while (used > seen && !most.compare_exchange_weak(seen, used)) {
        }
        if (random() % 4 == 0) session.Get(0, SevenDigits(random() % 50000));
        if (random() % 16 == 0) session.Delete(0, SevenDigits(random() % 50000));
      }
    });
    // One value more than room was made for, from each thread; a node and what the index and the
    // list may have grown by.
    CHECK(most.load() <= kLimit + kLimit / 100 + kThreads * (kValueMost + 1024) + (64u << 10));
    CHECK(refused.load() == 0);
    CHECK(database.stats().evicted_keys > 0);
    Session session(database);
    const uint64_t left = session.Count(0);
    CHECK(left > 0);
    CHECK(database.policy_figures().entries - database.policy_figures().void_entries == left);
    for (size_t i = 0; i < 50000; ++i) session.Delete(0, SevenDigits(i));
    session.LeaveEpoch();
    database.Vacuum();
    database.Vacuum();
    CHECK(DataBytes(database) == before);
    CHECK(database.stats().garbage_bytes == 0);
  }
}

TEST_CASE("evictor: without a policy, or when nothing may go, there is no room") {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  Evictor evictor(session.handle());
  for (size_t i = 0; i < 100; ++i) session.Set(0, SevenDigits(i), "v");
  const uint64_t used = database.used_bytes();
  CHECK(evictor.MakeRoom(used, 0) == Room::kEnough);
  CHECK(evictor.MakeRoom(used - 1, 0) == Room::kNone);
  Use(database, PolicyKind::kLru, /*volatile_only=*/true);
  CHECK(evictor.MakeRoom(used - 1, 0) == Room::kNone);
  CHECK(session.Count(0) == 100);
  CHECK(database.stats().evicted_keys == 0);
  session.Set(0, SevenDigits(7), "v", clock.now_ms() + 3'600'000);
  session.Set(0, SevenDigits(8), "v", clock.now_ms() + 3'600'000);
  CHECK(evictor.MakeRoom(1, 0) == Room::kNone);  // they go all the same
  CHECK(session.Count(0) == 98);
  CHECK(session.Get(0, SevenDigits(7)) == "(absent)");
  CHECK(session.Get(0, SevenDigits(9)) == "v");
}

TEST_CASE("evictor: while another thread has the last victim in its hands, there is room") {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  Evictor evictor(session.handle());
  Use(database, PolicyKind::kLru, /*volatile_only=*/true);
  session.Set(0, SevenDigits(0), "v");
  session.Set(0, SevenDigits(1), std::string(100'000, 'x'), clock.now_ms() + 3'600'000);
  // Far from either: the policy's own bytes may be measured anew meanwhile.
  const uint64_t limit = database.used_bytes() - 50'000;
  Eviction& eviction = session.handle().store().eviction;
  std::vector<Victim> victims;
  { Eviction::Session(eviction).Pick(1, &victims); }
  REQUIRE(victims.size() == 1);
  CHECK(evictor.MakeRoom(limit, 0) == Room::kMore);
  CHECK(session.Count(0) == 2);
  { Eviction::Session(eviction).PutBack(victims[0]); }
  CHECK(evictor.MakeRoom(limit, 0) == Room::kEnough);
  CHECK(session.Count(0) == 1);
  CHECK(evictor.MakeRoom(1, 0) == Room::kNone);
}

TEST_CASE("evictor: nobody is refused while keys are filed for a new policy") {
  constexpr size_t kKeys = 5000;
  Clock clock;
  Database database({}, clock);
  Session session(database);
  Evictor evictor(session.handle());
  Eviction& eviction = session.handle().store().eviction;
  for (size_t i = 0; i < kKeys; ++i) session.Set(0, SevenDigits(i), "v");
  for (int round = 0; round < 400 / kSlower; ++round) {
    database.SetPolicy(PolicyKind::kLru, false);
    while (eviction.kind() == PolicyKind::kNone) {
    }
    REQUIRE(evictor.MakeRoom(database.used_bytes() - 1, 0) != Room::kNone);
    database.SetPolicy(PolicyKind::kNone, false);
    database.AwaitPolicy();
    session.Set(0, SevenDigits(static_cast<size_t>(round) % kKeys), "v");
  }
  session.LeaveEpoch();
}

TEST_CASE("evictor: LRU takes what was used longest ago, in the order of use") {
  FLUXKV_SEEDED(seed);
  constexpr size_t kKeys = 500;
  Clock clock;
  std::vector<std::string> evicted;
  Database recording(Recording(&evicted), clock);
  Session session(recording);
  Use(recording, PolicyKind::kLru);
  Fill(session, clock, kKeys);
  std::vector<size_t> order(kKeys);
  std::iota(order.begin(), order.end(), size_t{0});
  std::mt19937_64 random(seed);
  std::shuffle(order.begin(), order.end(), random);
  // Reads and overwrites count alike.
  for (const size_t i : order) {
    if (i % 3 == 0) {
      session.Set(0, SevenDigits(i), "w");
    } else {
      session.Get(0, SevenDigits(i));
    }
  }
  Evictor evictor(session.handle());
  CHECK(evictor.MakeRoom(recording.used_bytes() - 20000, 0) == Room::kEnough);
  REQUIRE(evicted.size() > 100);
  REQUIRE(evicted.size() < kKeys);
  for (size_t i = 0; i < evicted.size(); ++i) REQUIRE(evicted[i] == SevenDigits(order[i]));
}

TEST_CASE("evictor: the nearest deadline goes first under volatile-ttl") {
  Clock clock;
  std::vector<std::string> evicted;
  Database database(Recording(&evicted), clock);
  Session session(database);
  Use(database, PolicyKind::kTtl, true);
  Fill(session, clock, 300);
  session.Set(0, SevenDigits(250), "v", clock.now_ms() + 1'000'000);  // moved to the front
  session.Set(0, SevenDigits(0), "v");                                // and this one out of it
  Evictor evictor(session.handle());
  CHECK(evictor.MakeRoom(database.used_bytes() - 5000, 0) == Room::kEnough);
  REQUIRE(evicted.size() > 20);
  CHECK(evicted[0] == SevenDigits(250));
  for (size_t i = 1; i < evicted.size(); ++i) REQUIRE(evicted[i] == SevenDigits(i));
}

TEST_CASE("evictor: what an eviction frees counts at once, however small the values") {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  Use(database, PolicyKind::kLru);
  Fill(session, clock, 20000);
  database.Vacuum();  // the policy is measured now and then alone, and here
  const uint64_t used = database.used_bytes();
  Evictor evictor(session.handle());
  CHECK(evictor.MakeRoom(used - used / 20, 0) == Room::kEnough);
  const uint64_t evicted = database.stats().evicted_keys;
  CHECK(evicted >= 500);
  CHECK(evicted <= 2500);
}

TEST_CASE("evictor: a change of policy files what is there, and forgets the former order") {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  Fill(session, clock, 20000 / kSlower);
  session.LeaveEpoch();
  for (const PolicyKind kind : kPolicies) {
    CAPTURE(static_cast<int>(kind));
    Use(database, kind);
    session.EnterEpoch();
    CHECK(database.policy_figures().entries == session.Count(0));
    Evictor evictor(session.handle());
    const uint64_t limit = database.used_bytes() - database.used_bytes() / 16;
    CHECK(evictor.MakeRoom(limit, 0) == Room::kEnough);
    CHECK(database.used_bytes() <= limit);
    session.LeaveEpoch();
  }
  Use(database, PolicyKind::kNone);
  CHECK(database.policy_figures().entries == 0);
  CHECK(database.stats().eviction_bytes == 0);
}

TEST_CASE("evictor: a walk beside writers files each key once") {
  FLUXKV_SEEDED(seed);
  constexpr size_t kKeys = 20000, kThreads = 4;
  Clock clock;
  Database database({}, clock);
  {
    Session session(database);
    Fill(session, clock, kKeys / 2);
  }
  for (int round = 0; round < 20 / kSlower + 1; ++round) {
    const PolicyKind kind = kPolicies[static_cast<size_t>(round) % kPolicies.size()];
    CAPTURE(static_cast<int>(kind));
    std::atomic<bool> done{false};
    RunThreads(kThreads, [&](size_t thread) {
      if (thread == 0) {
        Use(database, kind);
        done = true;
        return;
      }
      Session session(database);
      std::mt19937_64 random(seed + static_cast<uint64_t>(round) * kThreads + thread);
      while (!done) {
        const std::string key = SevenDigits(random() % kKeys);
        if (random() % 2 == 0) {
          session.Set(0, key, "v", clock.now_ms() + 3'600'000 + static_cast<int64_t>(thread));
        } else {
          session.Delete(0, key);
        }
      }
    });
    database.Vacuum();
    Session session(database);
    const PolicyFigures figures = database.policy_figures();
    REQUIRE(figures.entries - figures.void_entries == session.Count(0));
  }
}

TEST_CASE("evictor: a policy that is taken back before it knows all keys") {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  Fill(session, clock, 20000);  // more than are filed at once
  session.LeaveEpoch();
  for (int i = 0; i < 3; ++i) {
    database.SetPolicy(PolicyKind::kLru, false);
    database.AwaitPolicy();
    database.SetPolicy(PolicyKind::kNone, false);
    database.AwaitPolicy();
    database.Vacuum();  // ends
    CHECK_FALSE(database.store().collector->walking());
  }
  Use(database, PolicyKind::kLru);
  session.EnterEpoch();
  CHECK(database.policy_figures().entries == 20000);
}

TEST_CASE("evictor: databases that were swapped or cleared") {
  Clock clock;
  std::set<uint32_t> seen;
  Options options;
  options.on_evicted = [&](uint32_t db, std::string_view, Stamp) { seen.insert(db); };
  Database database(std::move(options), clock);
  Session session(database);
  Use(database, PolicyKind::kLru);
  for (uint32_t db = 0; db < 3; ++db) Fill(session, clock, 1000, db);
  Transaction& txn = session.txn();
  txn.BeginExclusive();
  txn.SwapDatabases(0, 5);
  txn.ClearDatabase(1);
  REQUIRE(txn.Commit());
  Fill(session, clock, 10, 1);
  CHECK(database.policy_figures().entries - database.policy_figures().void_entries == 2010);
  Evictor evictor(session.handle());
  CHECK(evictor.MakeRoom(1, 0) == Room::kNone);  // index and list stay
  CHECK(seen == std::set<uint32_t>{1, 2, 5});
  for (uint32_t db : {0u, 1u, 2u, 5u}) CHECK(session.Count(db) == 0);
  CHECK(database.stats().evicted_keys == 2010);
}

// Clears a database more often than there are numbers, beside another with so many keys; each key
// that is left is known to the policy.
void ClearOften(PolicyKind kind, size_t keys, int times) {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  Use(database, kind);
  Fill(session, clock, keys);
  for (int i = 0; i < times; ++i) {
    session.Set(1, "k", "v");
    session.txn().BeginExclusive();
    session.txn().ClearDatabase(1);
    session.Finish();
  }
  session.Set(1, "k", "v");
  session.LeaveEpoch();
  database.Vacuum();
  session.EnterEpoch();
  const PolicyFigures figures = database.policy_figures();
  CHECK(figures.entries - figures.void_entries == keys + 1);
}

TEST_CASE("evictor: many cleared databases use up no numbers") {
  ClearOften(PolicyKind::kArc, 0, 70000 / kSlower);
}

TEST_CASE("evictor: numbers come back beside so many keys that no sweep is due [slow]") {
  ClearOften(PolicyKind::kLru, 600000, 70000);
}

TEST_CASE("evictor: a cleared database is garbage at once, though a snapshot reads it") {
  Clock clock;
  Database database({}, clock);
  Session session(database), reader(database);
  Use(database, PolicyKind::kLru);
  Fill(session, clock, 1000, 0, std::string(1000, 'x'));
  Fill(session, clock, 1000, 1, std::string(1000, 'x'));
  REQUIRE(reader.txn().BeginSnapshot(Isolation::kSnapshot, true));
  const uint64_t used = database.used_bytes();
  Transaction& txn = session.txn();
  txn.BeginExclusive();
  txn.SwapDatabases(0, 1);  // both stay
  txn.ClearDatabase(1);
  REQUIRE(txn.Commit());
  CHECK(database.used_bytes() < used - 1000u * 1000);
  CHECK(database.used_bytes() > 1000u * 1000);
  CHECK(database.stats().garbage_bytes >= 1000u * 1000);
  const std::string seventh = SevenDigits(7);
  CHECK(Text(reader.txn().Get(0, Key(seventh))) == std::string(1000, 'x'));
  REQUIRE(reader.txn().Commit());
  reader.LeaveEpoch();
  session.LeaveEpoch();
  database.Vacuum();
  database.Vacuum();
  CHECK(database.stats().garbage_bytes == 0);
}

TEST_CASE("evictor: no limit, room for many values at once, and an end to one call") {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  Evictor evictor(session.handle());
  Fill(session, clock, 20000);
  // Room for more is wished for: without a policy the limit alone counts.
  CHECK(evictor.MakeRoom(database.used_bytes(), 1 << 20) == Room::kEnough);
  Use(database, PolicyKind::kLru);
  CHECK(evictor.MakeRoom(0, 1 << 20) == Room::kEnough);
  CHECK(session.Count(0) == 20000);
  const uint64_t used = database.used_bytes();
  CHECK(evictor.MakeRoom(used, 50000) == Room::kEnough);
  CHECK(database.used_bytes() <= used - 50000);
  const uint64_t before = session.Count(0);
  CHECK(evictor.MakeRoom(used / 4, 0) == Room::kMore);
  CHECK(session.Count(0) <= before - 4096);
  CHECK(session.Count(0) >= before - 4096 - 16);
}

TEST_CASE("evictor: what is a little over the limit is made up for by several calls") {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  Evictor evictor(session.handle());
  Use(database, PolicyKind::kLru);
  Fill(session, clock, 20000);
  database.Vacuum();  // the policy's own bytes are measured here
  const uint64_t limit = database.used_bytes() - database.used_bytes() / 40;
  const uint64_t before = session.Count(0);
  CHECK(evictor.MakeRoom(limit, 0) == Room::kMore);
  CHECK(session.Count(0) == before - 64);
  int calls = 1;
  while (evictor.MakeRoom(limit, 0) == Room::kMore) REQUIRE(++calls < 100);
  CHECK(calls > 2);
  // Room that was asked for is made at once.
  const uint64_t used = database.used_bytes();
  CHECK(evictor.MakeRoom(used, used / 40) == Room::kEnough);
}

TEST_CASE("evictor: large values among small keys do not go over the limit together") {
  constexpr size_t kValue = 60'000;
  Clock clock;
  Database database({}, clock);
  Session session(database);
  Evictor evictor(session.handle());
  Use(database, PolicyKind::kLru);
  Fill(session, clock, 40000, 0, std::string(100, 'x'));
  database.Vacuum();
  const uint64_t limit = database.used_bytes();
  uint64_t most = 0;
  for (size_t i = 0; i < 60; ++i) {
    CHECK(evictor.MakeRoom(limit, 0) != Room::kNone);
    session.Set(0, "large:" + std::to_string(i), std::string(kValue, 'x'));
    most = std::max(most, database.used_bytes());
  }
  // One that went over, one more on top of it, and what the policy's books may have grown by.
  CHECK(most <= limit + 3 * kValue);
}

TEST_CASE("evictor: the collector goes down to a limit that fell") {
  Clock clock;
  std::atomic<int64_t> limit{0};
  Options options;
  options.memory_limit = &limit;
  Database database(std::move(options), clock);
  Use(database, PolicyKind::kLfu);
  Session session(database);
  Fill(session, clock, 20000, 0, std::string(100, 'x'));
  session.LeaveEpoch();
  limit = static_cast<int64_t>(database.used_bytes() / 2);
  do {
    database.Vacuum();
  } while (database.evicting());
  CHECK(database.used_bytes() <= static_cast<uint64_t>(limit.load()));
  session.EnterEpoch();
  CHECK(session.Count(0) > 5000);
}

TEST_CASE("evictor: what snapshots hold back is garbage, and evicts nobody") {
  Clock clock;
  Database database({}, clock);
  Session session(database), reader(database);
  Use(database, PolicyKind::kLru);
  Fill(session, clock, 1000, 0, std::string(1000, 'x'));
  const auto live_bytes = [&] {
    return DataBytes(database) - static_cast<int64_t>(database.stats().garbage_bytes);
  };
  const int64_t live = live_bytes();
  REQUIRE(reader.txn().BeginSnapshot(Isolation::kSnapshot, true));
  Fill(session, clock, 1000, 0, std::string(1000, 'y'));
  CHECK(live_bytes() == live);
  CHECK(database.stats().garbage_bytes >= 1000u * 1000);
  Evictor evictor(session.handle());
  CHECK(evictor.MakeRoom(database.used_bytes(), 0) == Room::kEnough);
  CHECK(session.Count(0) == 1000);
  const std::string seventh = SevenDigits(7);
  CHECK(Text(reader.txn().Get(0, Key(seventh))) == std::string(1000, 'x'));
  REQUIRE(reader.txn().Commit());
  reader.LeaveEpoch();
  session.LeaveEpoch();
  database.Vacuum();
  CHECK(database.stats().garbage_bytes == 0);
  CHECK(live_bytes() == live);
}

TEST_CASE("evictor: idle times and frequencies, as the policy keeps them") {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  Transaction& txn = session.txn();
  const auto put = [&](std::string_view key, auto set) {
    const Key k(key);
    session.Latch(0, k);
    txn.Put(0, k, NewValue("v"));
    set(k);
    session.Finish();
  };
  for (const PolicyKind kind : {PolicyKind::kNone, PolicyKind::kLru, PolicyKind::kArc}) {
    CAPTURE(static_cast<int>(kind));
    Use(database, kind);
    session.Reenter();
    put("a", [&](const Key& k) { txn.SetIdleSeconds(0, k, 1000); });
    put("b", [](const Key&) {});
    txn.BeginRead();
    const uint64_t idle = txn.IdleSeconds(0, Key("a")).value();
    CHECK(idle >= 900);
    CHECK(idle <= 1100);
    CHECK(txn.IdleSeconds(0, Key("b")).value() <= 2);
    CHECK_FALSE(txn.IdleSeconds(0, Key("none")).has_value());
    session.Finish();
    session.Get(0, "a");
    txn.BeginRead();
    CHECK(txn.IdleSeconds(0, Key("a")).value() <= 2);
    session.Finish();
  }
  // A time without such a policy is not lost.
  Use(database, PolicyKind::kNone);
  session.Reenter();
  put("c", [&](const Key& k) { txn.SetIdleSeconds(0, k, 500); });
  Use(database, PolicyKind::kLru);
  session.Reenter();
  txn.BeginRead();
  CHECK(txn.IdleSeconds(0, Key("c")).value() >= 450);
  CHECK(txn.IdleSeconds(0, Key("c")).value() <= 550);
  session.Finish();
  Use(database, PolicyKind::kLfu);
  session.Reenter();
  put("a", [&](const Key& k) { txn.SetFrequency(0, k, 100); });
  put("new", [](const Key&) {});
  txn.BeginRead();
  CHECK(txn.Frequency(0, Key("a")).value() == 100);
  CHECK(txn.Frequency(0, Key("new")).value() == kFrequencyInitial);
  session.Finish();
  // A value that is read and written back is one use.
  database.SetLfuLogFactor(0);
  session.Reenter();
  const Key k("new");
  session.Latch(0, k);
  CHECK(txn.Get(0, k) != nullptr);
  txn.Put(0, k, NewValue("w"));
  session.Finish();
  txn.BeginRead();
  CHECK(txn.Frequency(0, k).value() == kFrequencyInitial + 1);
  session.Finish();
}

}  // namespace fluxkv::engine
