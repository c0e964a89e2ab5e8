// Goal: a range delete is one delete at one moment for everybody, whatever of it is settled, and
// what it leaves behind is what ordinary deletes would have left.
// Method: each kind of reader and each kind of change while nothing, some and all is settled; then
// threads that write, read and delete ranges of the same keys. Random histories against a model are
// in transaction_model_test.cc, interleavings in tests/isolation.
#include "engine/collector.h"
#include "engine/evictor.h"
#include "engine/range_deletes.h"
#include "tests/engine/test_support.h"

namespace fluxkv::engine {
namespace {

constexpr int64_t kHourMs = 3'600'000;
const KeyInterval kAll{};

// By a range delete, not key by key.
std::shared_ptr<const RangeDelete> DeleteRange(Session& session, KeyInterval interval,
                                               uint32_t db = 0) {
  session.txn().BeginExclusive();
  auto deleted = session.txn().DeleteRange(
      db, std::move(interval), [](std::string_view) {}, /*few=*/0);
  session.Finish();
  return deleted;
}

void VacuumOutsideEpoch(Database& database, Session& session) {
  session.LeaveEpoch();
  database.Vacuum();
  session.EnterEpoch();
}

std::string FourDigits(size_t n) {
  return "k" + std::to_string(1000 + n);
}

TEST_CASE("range delete: key by key, with the same figures at the end") {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  const int64_t empty = DataBytes(database);
  for (const bool by_range : {false, true}) {
    for (size_t i = 0; i < 300; ++i) {
      const std::string value(i % 7 == 0 ? kBlobBytesMin : i, 'v');
      session.Set(0, FourDigits(i), value, i % 3 == 0 ? clock.now_ms() + kHourMs : kNoExpiry);
    }
    session.Set(0, "j", "stays");
    session.Set(0, "l", "stays");
    CHECK(database.database_stats(0).keys == 302);
    CHECK(database.database_stats(0).keys_with_expiry == 100);
    if (by_range) {
      const auto deleted = DeleteRange(session, KeyInterval::OfPrefix("k"));
      REQUIRE(deleted != nullptr);
      VacuumOutsideEpoch(database, session);
      CHECK(deleted->settled());
      CHECK(deleted->keys() == 300);
    } else {
      for (size_t i = 0; i < 300; ++i) session.Delete(0, FourDigits(i));
      VacuumOutsideEpoch(database, session);
    }
    CHECK(database.stats().range_deletes == 0);
    CHECK(database.database_stats(0).keys == 2);
    CHECK(database.database_stats(0).keys_with_expiry == 0);
    session.Delete(0, "j");
    session.Delete(0, "l");
    VacuumOutsideEpoch(database, session);
    CHECK(DataBytes(database) == empty);
    CHECK(database.stats().versions_kept == 0);
  }
}

TEST_CASE("range delete: few keys are deleted by the commit itself") {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  for (size_t i = 0; i < 10; ++i) session.Set(0, FourDigits(i), "v");
  session.Set(0, FourDigits(3), "v", 1);  // past its deadline: not there
  std::vector<std::string> seen;
  session.txn().BeginExclusive();
  CHECK(session.txn().DeleteRange(0, {FourDigits(2), FourDigits(6)}, [&](std::string_view key) {
    seen.emplace_back(key);
  }) == nullptr);
  session.Finish();
  CHECK(seen == std::vector<std::string>{FourDigits(2), FourDigits(4), FourDigits(5)});
  CHECK(session.Get(0, FourDigits(2)) == "(absent)");
  CHECK(session.Get(0, FourDigits(6)) == "v");
  CHECK(database.stats().range_deletes == 0);
}

TEST_CASE("range delete: everybody sees it while nothing of it is settled") {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  database.LimitSettling(0);
  for (size_t i = 0; i < 200; ++i) session.Set(0, FourDigits(i), "old");
  Transaction before(session.handle()), after(session.handle()), copy(session.handle());
  REQUIRE(before.BeginSnapshot(Isolation::kSnapshot, /*read_only=*/true));
  const auto deleted = DeleteRange(session, kAll);
  REQUIRE(deleted != nullptr);
  REQUIRE(after.BeginSnapshot(Isolation::kSnapshot, /*read_only=*/true));
  REQUIRE(copy.BeginCopy());
  for (const uint64_t more : {0, 100, 200}) {
    CAPTURE(more);
    database.LimitSettling(more);
    VacuumOutsideEpoch(database, session);
    database.LimitSettling(0);
    CHECK(deleted->settled() == (more == 200));
    CHECK(session.Get(0, FourDigits(7)) == "(absent)");
    CHECK(session.Get(0, FourDigits(150)) == "(absent)");
    CHECK(session.Count(0) == 0);
    session.txn().BeginExclusive();
    CHECK(session.txn().CountKeys(0) == 0);
    CHECK_FALSE(session.txn().RandomKey(0).has_value());
    CHECK_FALSE(session.txn().Delete(0, Key("k1007")));
    session.Finish();
    CHECK(Text(before.Get(0, Key("k1007"))) == "old");
    CHECK(before.CountKeys(0) == 200);
    for (Transaction* t : {&after, &copy}) {
      CHECK(Text(t->Get(0, Key("k1007"))) == "(absent)");
      CHECK(t->CountKeys(0) == 0);
      if (t == &after) CHECK(t->CountKeysQuickly(0) == 0);
      CHECK_FALSE(t->RandomKey(0).has_value());
      std::vector<ScanEntry> page;
      for (const char* prefix : {"", "k"}) {
        uint64_t next = 0;
        t->ScanPage(0, 0, 1000, prefix, &page, &next);
      }
      CHECK(page.empty());
      CHECK_FALSE(t->IdleSeconds(0, Key("k1007")).has_value());
    }
  }
  CHECK(deleted->keys() == 200);
  before.Rollback();
  after.Rollback();
  copy.Rollback();
  VacuumOutsideEpoch(database, session);
  CHECK(database.stats().versions_kept == 0);
  CHECK(database.vacuum_stats().nodes_held == 0);
}

TEST_CASE("range delete: an answer depends on its stamp") {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  database.LimitSettling(0);
  for (const char* key : {"a", "b"}) session.Set(0, key, "old");
  const auto deleted = DeleteRange(session, kAll);
  session.txn().ForgetDependencies();
  CHECK(session.Get(0, "a") == "(absent)");
  CHECK(session.txn().depends_on() == deleted->stamp());
}

TEST_CASE("range delete: who writes a key settles it first") {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  database.LimitSettling(0);
  for (size_t i = 0; i < 10; ++i) session.Set(0, FourDigits(i), "old");
  const auto first = DeleteRange(session, {FourDigits(2), FourDigits(8)});
  const auto second = DeleteRange(session, kAll);
  Transaction reader(session.handle());
  REQUIRE(reader.BeginSnapshot(Isolation::kSnapshot, /*read_only=*/true));
  session.Set(0, FourDigits(3), "new");
  session.Set(0, FourDigits(9), "new");
  session.Set(0, "k", "new");
  CHECK(first->keys() == 1);
  CHECK(second->keys() == 1);
  CHECK(Text(reader.Get(0, Key("k1003"))) == "(absent)");
  const auto third = DeleteRange(session, kAll);
  CHECK(session.Get(0, FourDigits(3)) == "(absent)");
  session.Set(0, FourDigits(3), "newer");
  CHECK(third->keys() == 1);
  CHECK(session.Count(0) == 1);
  database.LimitSettling(std::nullopt);
  VacuumOutsideEpoch(database, session);
  CHECK(Text(reader.Get(0, Key("k1003"))) == "(absent)");
  CHECK(reader.CountKeys(0) == 0);
  CHECK(session.Get(0, FourDigits(3)) == "newer");
  CHECK(first->keys() == 6);
  CHECK(second->keys() == 4);
  CHECK(third->keys() == 3);
}

TEST_CASE(
    "range delete: a deadline that was past is not its doing, one that comes later is no more") {
  Clock clock;
  std::set<std::string> expired, gone;
  Database database(
      {.on_expired = [&](uint32_t, std::string_view key, Stamp) { expired.emplace(key); },
       .on_deleted = [&](uint32_t, std::string_view key, Stamp) { gone.emplace(key); }},
      clock);
  Session session(database);
  database.set_active_expiry(false);
  database.LimitSettling(0);
  const int64_t now_ms = clock.now_ms();
  session.Set(0, "past", "v", now_ms - 1);
  session.Set(0, "soon", "v", now_ms + 20);
  session.Set(0, "later", "v", now_ms + kHourMs);
  const WatchToken past = database.Watch(0, Key("past"));
  const auto deleted = DeleteRange(session, kAll);
  while (clock.Tick() < now_ms + 21) std::this_thread::yield();
  database.set_active_expiry(true);
  VacuumOutsideEpoch(database, session);  // the deadlines are due: "soon" is settled by that
  CHECK(session.Count(0) == 0);
  CHECK(deleted->keys() == 1);
  database.LimitSettling(std::nullopt);
  VacuumOutsideEpoch(database, session);
  CHECK(deleted->keys() == 2);
  CHECK(expired == std::set<std::string>{"past"});
  CHECK(gone == std::set<std::string>{"later", "soon"});
  const Key key("past");
  session.Latch(0, key);
  CHECK_FALSE(database.Changed(past));  // it was not there when it was watched
  session.txn().Rollback();
  database.Unwatch(past);
}

TEST_CASE("range delete: watched keys that are there count as changed") {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  session.Set(0, "a", "v");
  session.Set(0, "b", "v");
  session.Set(0, "c", "v");
  session.Delete(0, "c");
  database.LimitSettling(0);
  std::map<std::string, WatchToken> tokens;
  const auto changed = [&] {
    std::string all;
    for (const auto& [name, token] : tokens) {
      const Key key(name);
      session.Latch(0, key);
      if (database.Changed(token)) all += name;
      session.txn().Rollback();
    }
    return all;
  };
  for (const char* name : {"a", "c", "d", "x"}) tokens[name] = database.Watch(0, Key(name));
  const auto deleted = DeleteRange(session, {"a", "w"});
  CHECK(changed() == "a");
  const WatchToken after = database.Watch(0, Key("b"));  // it is absent
  database.LimitSettling(std::nullopt);
  VacuumOutsideEpoch(database, session);
  REQUIRE(deleted->settled());
  CHECK(changed() == "a");
  tokens["b"] = after;
  CHECK(changed() == "a");
  session.Set(0, "b", "v");
  CHECK(changed() == "ab");
  for (const auto& [name, token] : tokens) database.Unwatch(token);
}

TEST_CASE("range delete: with its database swapped or flushed before it is settled") {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  for (const bool flush : {false, true}) {
    for (const uint64_t settled : {0, 5}) {
      CAPTURE(flush);
      CAPTURE(settled);
      database.LimitSettling(settled);
      for (size_t i = 0; i < 20; ++i) session.Set(0, FourDigits(i), "old");
      const auto deleted = DeleteRange(session, {FourDigits(0), FourDigits(15)});
      VacuumOutsideEpoch(database, session);
      CHECK(deleted->keys() == settled);
      Transaction reader(session.handle());
      REQUIRE(reader.BeginSnapshot(Isolation::kSnapshot, /*read_only=*/true));
      session.txn().BeginExclusive();
      if (flush)
        session.txn().ClearDatabase(0);
      else
        session.txn().SwapDatabases(0, 3);
      session.Finish();
      CHECK(session.Count(0) == 0);
      CHECK(session.Count(3) == (flush ? 0 : 5));
      database.LimitSettling(std::nullopt);
      VacuumOutsideEpoch(database, session);
      CHECK(deleted->settled());
      CHECK(deleted->keys() == 15);
      CHECK(reader.CountKeys(0) == 5);
      CHECK(Text(reader.Get(0, Key("k1003"))) == "(absent)");
      CHECK(Text(reader.Get(0, Key("k1016"))) == "old");
      reader.Rollback();
      session.txn().BeginExclusive();
      session.txn().ClearDatabase(3);
      session.Finish();
      VacuumOutsideEpoch(database, session);
      CHECK(database.stats().range_deletes == 0);
      CHECK(database.stats().versions_kept == 0);
    }
  }
  session.LeaveEpoch();
  for (int i = 0; i < 5; ++i) database.Vacuum();
  session.EnterEpoch();
  CHECK(DataBytes(database) == 0);
}

TEST_CASE("range delete: a walk over a transaction's own deletions can be stopped") {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  Transaction txn(session.handle());
  REQUIRE(txn.BeginSnapshot(Isolation::kSnapshot, /*read_only=*/false));
  constexpr size_t kKeys = 1000;
  for (size_t i = 0; i < kKeys; ++i) {
    const std::string name = FourDigits(i);
    txn.DeleteFound(0, Key(std::string_view(name)));
  }
  for (const auto direction : {Transaction::Direction::kUp, Transaction::Direction::kDown}) {
    size_t asked = 0;
    const auto visit = [](std::string_view, const Version&) { return true; };
    CHECK(txn.WalkInterval(0, kAll, direction, visit, [&](std::string_view) {
      ++asked;
      return true;
    }));
    CHECK(asked == kKeys / Transaction::kHiddenMost);
    CHECK_FALSE(
        txn.WalkInterval(0, kAll, direction, visit, [](std::string_view) { return false; }));
  }
  txn.Rollback();
}

// What SWAPDB drops is a root; its keyspace lives on, and others leave range deletes in it while
// the collector looks whether those are settled.
TEST_CASE("range delete: threads that swap databases and delete ranges of them") {
  FLUXKV_SEEDED(seed);
  Clock clock;
  Database database({}, clock);
  const uint64_t rounds = 800 / kSlower;
  std::atomic<int64_t> written{0}, deleted_keys{0};
  RunThreads(3, [&](size_t thread) {
    Session session(database);
    std::mt19937_64 random(seed + thread);
    std::vector<std::shared_ptr<const RangeDelete>> mine;
    for (uint64_t i = 0; i < rounds; ++i) {
      const uint32_t db = random() % 2;
      const std::string name = FourDigits(random() % 200);
      const Key key{std::string_view(name)};
      switch (random() % 4) {
        case 0:
          session.txn().BeginExclusive();
          session.txn().SwapDatabases(0, 1);
          session.Finish();
          break;
        case 1:  // also of what is dead already, so that it is never done at once
          session.txn().BeginExclusive();
          mine.push_back(session.txn().DeleteRange(
              db, kAll, [](std::string_view) {}, 0));
          session.Finish();
          if (mine.back() == nullptr) mine.pop_back();
          break;
        default:
          session.Latch(db, key);
          if (session.txn().Get(db, key) == nullptr) ++written;
          session.txn().Put(db, key, NewValue("v"));
          session.Finish();
      }
      session.Breathe();
    }
    for (const auto& deleted : mine) {
      while (!deleted->settled()) {
        session.Reenter();
        std::this_thread::yield();
      }
      deleted_keys += static_cast<int64_t>(deleted->keys());
    }
  });
  Session session(database);
  VacuumOutsideEpoch(database, session);
  const auto left = static_cast<int64_t>(session.Count(0) + session.Count(1));
  CHECK(deleted_keys.load() == written.load() - left);
  CHECK(database.stats().range_deletes == 0);
}

TEST_CASE("range delete: what it ended is no victim") {
  Clock clock;
  std::set<std::string> evicted;
  Database database(
      {.on_evicted = [&](uint32_t, std::string_view key, Stamp) { evicted.emplace(key); }}, clock);
  database.SetPolicy(PolicyKind::kLru, false);
  database.AwaitPolicy();
  Session session(database);
  database.LimitSettling(0);
  for (size_t i = 0; i < 100; ++i) session.Set(0, FourDigits(i), std::string(100, 'v'));
  const auto deleted = DeleteRange(session, {FourDigits(0), FourDigits(50)});
  Evictor evictor(session.handle());
  CHECK(evictor.MakeRoom(1, 0) == Evictor::Room::kNone);
  CHECK(evicted.size() == 50);
  CHECK(deleted->keys() == 50);
  CHECK_FALSE(evicted.contains(FourDigits(3)));
  CHECK(session.Count(0) == 0);
}

TEST_CASE("range delete: one that an open transaction's snapshot does not see conflicts with it") {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  for (const uint64_t limit : {0, 1000}) {
    database.LimitSettling(limit);
    for (const char* key : {"a", "b", "z"}) session.Set(0, key, "v");
    Transaction writer(session.handle()), reader(session.handle()), other(session.handle());
    for (Transaction* t : {&writer, &reader, &other})
      REQUIRE(t->BeginSnapshot(Isolation::kSerializable, /*read_only=*/false));
    writer.Put(0, Key("a"), NewValue("w"));
    CHECK(Text(reader.Get(0, Key("b"))) == "v");
    reader.Put(0, Key("z"), NewValue("r"));
    CHECK(Text(other.Get(0, Key("c"))) == "(absent)");
    other.Put(0, Key("d"), NewValue("o"));
    DeleteRange(session, {"a", "d"});
    session.Set(0, "y", "v");
    CHECK(session.Get(0, "z") == "v");  // it comes after the range delete, so the reader does not
    VacuumOutsideEpoch(database, session);
    CHECK_FALSE(writer.Commit());
    CHECK(writer.conflict_reason() == "key 'a' was written since");
    CHECK_FALSE(reader.Commit());
    CHECK(reader.conflict_reason() ==
          "key 'b', which was read, was overwritten, and key 'z', which it writes, was read since");
    CHECK(other.Commit());
    database.LimitSettling(std::nullopt);
    VacuumOutsideEpoch(database, session);
    DeleteRange(session, kAll);
    VacuumOutsideEpoch(database, session);
  }
}

// Pairs of keys are written together; range deletes of them come beside. Nobody sees one of a pair
// alone, and nobody who knows of a range delete sees what it deleted.
TEST_CASE("range delete: threads that read, write and delete ranges") {
  FLUXKV_SEEDED(seed);
  Clock clock;
  Database database({}, clock);
  constexpr uint64_t kPairs = 300;
  const uint64_t rounds = 3000 / kSlower;
  const auto left = [](uint64_t n) { return "l" + std::to_string(100 + n); };
  const auto right = [](uint64_t n) { return "r" + std::to_string(100 + n); };
  std::atomic<Stamp> newest_delete{0};  // of all keys
  std::atomic<uint64_t> broken{0}, late{0}, deletes{0};
  std::atomic<size_t> running{2};
  std::atomic<int64_t> written{0}, deleted_keys{0};
  const auto read_pair = [&](Transaction& txn, uint64_t n, Stamp known) {
    const std::string l = left(n), r = right(n);
    const Version* a = txn.Get(0, Key(std::string_view(l)));
    const Version* b = txn.Get(0, Key(std::string_view(r)));
    if (Text(a) != Text(b)) ++broken;
    for (const Version* v : {a, b}) {
      if (v != nullptr && v->stamp() <= known) ++late;
    }
  };
  RunThreads(5, [&](size_t thread) {
    Session session(database);
    Transaction& txn = session.txn();
    std::mt19937_64 random(seed + thread);
    if (thread < 2) {  // writers
      for (uint64_t i = 0; i < 20 * rounds; ++i) {
        const uint64_t n = random() % kPairs;
        const std::string l = left(n), r = right(n);
        const Key key_l{std::string_view(l)}, key_r{std::string_view(r)};
        const std::array<LatchKey, 2> latches = {{{0, key_l.hash}, {0, key_r.hash}}};
        txn.BeginLatched(latches);
        const bool was_there = txn.Get(0, key_l) != nullptr;
        if (random() % 8 == 0) {
          txn.Delete(0, key_l);
          txn.Delete(0, key_r);
          if (was_there) --written;
        } else {
          const std::string text = std::to_string(random());
          txn.Put(0, key_l, NewValue(text));
          txn.Put(0, key_r, NewValue(text));
          if (!was_there) ++written;
        }
        session.Finish();
      }
      --running;
      return;
    }
    std::vector<std::shared_ptr<const RangeDelete>> mine;
    const auto await = [&](size_t most) {
      while (mine.size() > most) {
        if (!mine.front()->settled()) {
          session.Reenter();
          std::this_thread::yield();
          continue;
        }
        deleted_keys += static_cast<int64_t>(mine.front()->keys());
        mine.erase(mine.begin());
      }
    };
    while (running.load() != 0) {
      const Stamp known = newest_delete.load();
      const uint64_t n = random() % kPairs;
      if (thread == 2 && random() % 64 == 0) {
        if (auto deleted = DeleteRange(session, kAll); deleted != nullptr) {
          Stamp newest = newest_delete.load();
          while (newest < deleted->stamp() &&
                 !newest_delete.compare_exchange_weak(newest, deleted->stamp())) {
          }
          mine.push_back(std::move(deleted));
          ++deletes;
        }
        await(3);
      } else if (random() % 2 == 0) {
        txn.BeginRead();
        const std::string l = left(n);
        const Version* v = txn.Get(0, Key(std::string_view(l)));
        if (v != nullptr && v->stamp() <= known) ++late;
        txn.Rollback();
      } else {
        if (!txn.BeginSnapshot(Isolation::kSnapshot, /*read_only=*/true)) continue;
        for (uint64_t i = 0; i < 8; ++i) read_pair(txn, (n + i) % kPairs, known);

        size_t lefts = 0, met = 0;
        txn.Walk(0, {}, false, {}, [&](std::string_view key, const Version& version) {
          if (version.stamp() <= known) ++late;
          if (key[0] == 'l') ++lefts;
          ++met;
          return true;
        });
        if (met != 2 * lefts) ++broken;
        txn.Rollback();
      }
      session.Breathe();
    }
    await(0);
  });
  CHECK(broken.load() == 0);
  CHECK(late.load() == 0);
  CHECK(deletes.load() > 0);
  Session session(database);
  VacuumOutsideEpoch(database, session);
  const auto pairs = static_cast<int64_t>(session.Count(0)) / 2;
  CHECK(deleted_keys.load() == 2 * (written.load() - pairs));
  CHECK(database.stats().range_deletes == 0);
}

}  // namespace
}  // namespace fluxkv::engine
