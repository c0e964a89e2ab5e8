// Goal: nothing that is gone stays in memory, nothing that lives is taken: dead keys are buried,
// expired keys go at their deadline and not before, dropped databases are freed, no acknowledged
// write is lost in any of it.
// Method: threads that write, delete, flush and swap beside the collector, judged by what each was
// told; byte counts before and after.
#include <mutex>

#include "tests/engine/test_support.h"

namespace fluxkv::engine {
namespace {

TEST_CASE("collector: deleting everything gives the memory back") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  Clock clock;
  Database database({}, clock);
  Session session(database);
  const int64_t bytes_at_start = DataBytes(database);
  for (int round = 0; round < 3; ++round) {
    const uint64_t keys = 3000 / kSlower;
    for (uint64_t i = 0; i < keys * 3; ++i) {
      const uint32_t db = static_cast<uint32_t>(i % 2);
      const size_t size = random() % 100 == 0 ? kBlobBytesMin * 2 : random() % 200;
      session.Set(db, KeyName(random() % keys), std::string(size, 'x'),
                  random() % 4 == 0 ? clock.now_ms() + 1000000 : kNoExpiry);
    }
    CHECK(DataBytes(database) > bytes_at_start);
    Transaction snapshot(session.handle());
    if (round == 1) REQUIRE(snapshot.BeginSnapshot(Isolation::kSerializable, false));
    if (round < 2) {
      for (uint32_t db = 0; db < 2; ++db)
        for (uint64_t i = 0; i < keys; ++i) session.Delete(db, KeyName(i));
    } else {
      session.txn().BeginExclusive();
      session.txn().ClearDatabase(0);
      session.txn().SwapDatabases(0, 1);
      session.txn().ClearDatabase(0);
      session.Finish();
    }
    if (round == 1) {
      CHECK(database.stats().versions_kept > 0);
      snapshot.Rollback();
    }
    session.LeaveEpoch();
    database.Vacuum();
    session.EnterEpoch();
    CHECK(DataBytes(database) == bytes_at_start);
    CHECK(database.stats().versions_kept == 0);
    for (uint32_t db = 0; db < 2; ++db) {
      CHECK(database.database_stats(db).keys == 0);
      CHECK(database.database_stats(db).keys_with_expiry == 0);
    }
  }
}

TEST_CASE("collector: a database dropped under a snapshot stays for it and is freed after it") {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  const int64_t bytes_at_start = DataBytes(database);
  for (uint64_t i = 0; i < 500; ++i) session.Set(0, KeyName(i), "first");
  Transaction old_one(session.handle());
  REQUIRE(old_one.BeginSnapshot(Isolation::kSnapshot, true));
  for (uint64_t i = 0; i < 500; ++i) session.Set(0, KeyName(i), "second");  // histories
  session.txn().BeginExclusive();
  session.txn().ClearDatabase(0);
  session.Finish();
  session.Set(0, KeyName(0), "third");
  for (int round = 0; round < 3; ++round) {
    session.LeaveEpoch();
    database.Vacuum();
    session.EnterEpoch();
    size_t seen = 0;
    old_one.Walk(0, "", false, "", [&](std::string_view, const Version& version) {
      seen += version.payload() == "first" ? 1 : 0;
      return true;
    });
    CHECK(seen == 500);
    CHECK(session.Get(0, KeyName(0)) == "third");
    CHECK(session.Get(0, KeyName(1)) == "(absent)");
  }
  old_one.Rollback();
  session.Delete(0, KeyName(0));
  session.LeaveEpoch();
  database.Vacuum();
  session.EnterEpoch();
  CHECK(DataBytes(database) == bytes_at_start);
  CHECK(database.stats().versions_kept == 0);
}

// Ten minutes of random transactions found this: absent at the snapshot, written and deleted since,
// buried, and the transaction did not know that it was not the first committer.
TEST_CASE("collector: a key written and deleted since a snapshot is not forgotten under it") {
  for (const Isolation isolation : {Isolation::kSnapshot, Isolation::kSerializable}) {
    Clock clock;
    Database database({}, clock);
    Session session(database);
    const int64_t bytes_at_start = DataBytes(database);
    Transaction open(session.handle()), reader(session.handle());
    REQUIRE(open.BeginSnapshot(isolation, false));
    REQUIRE(reader.BeginSnapshot(Isolation::kSnapshot, true));
    const Key key("a");
    CHECK(open.Get(0, key) == nullptr);
    session.Set(0, "a", "1");
    session.Delete(0, "a");
    session.LeaveEpoch();
    database.Vacuum();
    session.EnterEpoch();
    open.Put(0, key, NewValue("2"));
    CHECK(!open.Commit());
    CHECK(open.conflict_reason().find("'a'") != std::string::npos);
    // Who only reads does not keep it.
    session.Set(0, "b", "1");
    session.Delete(0, "b");
    session.LeaveEpoch();
    database.Vacuum();
    session.EnterEpoch();
    if (isolation == Isolation::kSnapshot) CHECK(DataBytes(database) == bytes_at_start);
    reader.Rollback();
  }
}

TEST_CASE("collector: overwriting one key for ever keeps memory bounded") {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  session.Set(0, "k", "0");
  const uint64_t used = database.stats().used_bytes;
  const int rounds = 1000000 / kSlower;
  uint64_t most_used = 0, most_retired = 0;
  for (int i = 0; i < rounds; ++i) {
    session.Set(0, "k", std::to_string(i));
    if (i % 10000 != 0) continue;
    const EngineStats s = database.stats();
    most_used = std::max(most_used, s.used_bytes);
    most_retired = std::max(most_retired, s.retired_bytes);
  }
  CHECK(most_used <= used + 1000);
  CHECK(most_retired < limits::kEpochRetiredBytesMax * 4);
}

TEST_CASE("collector: snapshots keep one version each of a key, no more") {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  std::vector<std::unique_ptr<Transaction>> open;
  for (uint64_t n = 0; n < 5; ++n) {
    session.Set(0, "k", "at " + std::to_string(n));
    open.push_back(std::make_unique<Transaction>(session.handle()));
    REQUIRE(open.back()->BeginSnapshot(Isolation::kSnapshot, n % 2 == 0));
    for (int i = 0; i < 1000; ++i) session.Set(0, "k", "between");
    CHECK(database.stats().versions_kept <= n + 1);
    CHECK(database.stats().live_snapshots == n + 1);
    CHECK(database.stats().oldest_snapshot == open.front()->snapshot());
  }
  for (uint64_t n = 0; n < 5; ++n)
    CHECK(Text(open[n]->Get(0, Key("k"))) == "at " + std::to_string(n));
  for (const uint64_t n : {2, 0, 4, 1, 3}) {
    open[n].reset();
    session.LeaveEpoch();
    database.Vacuum();
    session.EnterEpoch();
    CHECK(database.stats().versions_kept <= database.stats().live_snapshots);
    for (uint64_t m = 0; m < 5; ++m) {
      if (open[m]) CHECK(Text(open[m]->Get(0, Key("k"))) == "at " + std::to_string(m));
    }
  }
  CHECK(database.stats().versions_kept == 0);
}

TEST_CASE("collector: put and delete by many threads lose nothing that was acknowledged") {
  FLUXKV_SEEDED(seed);
  constexpr size_t kWriters = 3;
  constexpr uint64_t kKeys = 8;  // a writer's own
  std::atomic<int64_t> interval_ms{1};
  Clock clock;
  Database database({.databases = 2, .vacuum_interval_ms = &interval_ms, .on_expired = {}}, clock);
  std::atomic<uint64_t> wrong{0};
  std::atomic<size_t> writers{kWriters};
  const int rounds = 700000 / (kSlower * kSlower);
  std::array<std::map<std::string, std::string>, kWriters> models;
  RunThreads(kWriters + 1, [&](size_t thread) {
    if (thread == kWriters) {
      while (writers > 0) database.Vacuum();
      return;
    }
    Session session(database);
    std::mt19937_64 random(seed + thread);
    auto& model = models[thread];
    for (int i = 0; i < rounds; ++i) {
      const std::string name = std::to_string(thread) + KeyName(random() % kKeys);
      const auto it = model.find(name);
      wrong += session.Get(0, name) == (it == model.end() ? "(absent)" : it->second) ? 0 : 1;
      if (random() % 2 == 0) {
        session.Delete(0, name);
        model.erase(name);
      } else {
        session.Set(0, name, model[name] = std::to_string(i));
      }
    }
    --writers;
  });
  CHECK(wrong == 0);
  Session session(database);
  uint64_t keys = 0, lost = 0;
  for (const auto& model : models) {
    keys += model.size();
    for (const auto& [name, text] : model) lost += session.Get(0, name) == text ? 0 : 1;
  }
  CHECK(lost == 0);
  CHECK(session.Count(0) == keys);
  uint64_t walked = 0;
  REQUIRE(session.txn().BeginSnapshot(Isolation::kSnapshot, true));
  session.txn().Walk(0, "", false, "", [&](std::string_view, const Version&) {
    ++walked;
    return true;
  });
  session.Finish();
  CHECK(walked == keys);
}

TEST_CASE("collector: many deadlines at once, all kept, none early") {
  const uint64_t keys = 10000;
  Clock clock;
  std::mutex mutex;
  struct Due {
    int64_t deadline_ms;
    bool moved_later;  // had an earlier deadline at first, at which it may go and come again
    bool gone = false;
  };
  std::map<std::string, Due, std::less<>> dues;  // guarded by mutex, as the rest
  uint64_t gone = 0, early = 0;
  Database database({.databases = 2,
                     .vacuum_interval_ms = nullptr,
                     .on_expired =
                         [&](uint32_t db, std::string_view key, Stamp) {
                           std::lock_guard lock(mutex);
                           const auto due = dues.find(key);
                           if (db != 1 || due == dues.end()) return;
                           const bool in_time = clock.now_ms() >= due->second.deadline_ms;
                           early += in_time || due->second.moved_later ? 0 : 1;
                           if (!in_time || due->second.gone) return;
                           due->second.gone = true;
                           ++gone;
                         }},
                    clock);
  Session session(database);
  const int64_t start = clock.Tick();
  for (uint64_t i = 0; i < keys; ++i) {
    const int64_t deadline = start + 100 + static_cast<int64_t>(i * 7919 % 300);
    {
      std::lock_guard lock(mutex);
      dues[KeyName(i)] = {.deadline_ms = deadline, .moved_later = i % 5 == 1};
    }
    // Some get another deadline first, earlier or later; some a pause without one.
    if (i % 5 == 0) session.Set(1, KeyName(i), "v", deadline + 100000);
    if (i % 5 == 1) session.Set(1, KeyName(i), "v", deadline - 90);
    if (i % 5 == 2) session.Set(1, KeyName(i), "v");
    session.Set(1, KeyName(i), "v", deadline);
    if (i % 100 == 0) session.Set(1, "stays:" + std::to_string(i), "v", start + 1000000);
  }
  session.Reenter();
  const auto all_gone = [&] {
    std::lock_guard lock(mutex);
    return gone == keys;
  };
  for (int i = 0; i < 1000 && !all_gone(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    session.Reenter();
  }
  std::lock_guard lock(mutex);
  CHECK(gone == keys);
  CHECK(early == 0);
  CHECK(session.Count(1) == keys / 100);
  CHECK(database.database_stats(1).keys_with_expiry == keys / 100);
  CHECK(database.stats().expired_keys >= keys);
}

TEST_CASE("collector: expiry switched off hides the key all the same") {
  Clock clock;
  Database database({}, clock);
  database.set_active_expiry(false);
  Session session(database);
  session.Set(0, "k", "v", clock.Tick() + 1);
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  clock.Tick();
  session.LeaveEpoch();
  database.Vacuum();
  session.EnterEpoch();
  CHECK(session.Count(0) == 1);
  CHECK(database.stats().expired_keys == 0);
  CHECK(session.Get(0, "k") == "(absent)");  // and whoever meets it removes it
  CHECK(session.Count(0) == 0);
  CHECK(database.stats().expired_keys == 1);
  session.Set(0, "k", "v", clock.Tick() + 1);
  session.Set(0, "stays", "v");
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  database.set_active_expiry(true);
  session.LeaveEpoch();
  database.Vacuum();
  session.EnterEpoch();
  CHECK(session.Count(0) == 1);
  CHECK(database.stats().expired_keys == 2);
}

TEST_CASE("collector: a deadline that was taken away or moved on is not kept") {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  const int64_t soon = clock.Tick() + 30;
  session.Set(0, "persists", "v", soon);
  session.Set(0, "later", "v", soon);
  session.Set(0, "again", "v", soon);
  session.Set(0, "persists", "v");
  session.Set(0, "later", "v", soon + 1000000);
  session.Delete(0, "again");
  session.Set(0, "again", "w");
  session.txn().BeginExclusive();
  session.txn().SwapDatabases(0, 3);
  session.Finish();
  session.LeaveEpoch();
  std::this_thread::sleep_for(std::chrono::milliseconds(80));
  database.Vacuum();
  session.EnterEpoch();
  CHECK(session.Get(3, "persists") == "v");
  CHECK(session.Get(3, "later") == "v");
  CHECK(session.Get(3, "again") == "w");
  CHECK(database.stats().expired_keys == 0);
}

// No acknowledged write lands in a keyspace that was dropped: after a flush at stamp s every key
// was written after s, and whatever was acknowledged after s is there.
TEST_CASE("collector: flushes beside writers") {
  constexpr size_t kWriters = 2;
  std::atomic<int64_t> interval_ms{1};
  Clock clock;
  Database database({.databases = 2, .vacuum_interval_ms = &interval_ms, .on_expired = {}}, clock);
  struct Told {
    std::string text;
    Stamp stamp = 0;
  };
  const int rounds = 20000 / kSlower;
  constexpr uint64_t kKeys = 20;
  std::array<std::map<std::string, Told>, kWriters> told;
  std::atomic<size_t> writers{kWriters};
  std::atomic<uint64_t> old_keys{0}, vanished{0}, flushes{0};
  std::atomic<Stamp> last_flush{0};
  RunThreads(kWriters + 1, [&](size_t thread) {
    Session session(database);
    Transaction& txn = session.txn();
    if (thread == kWriters) {
      while (writers > 0) {
        txn.BeginExclusive();
        txn.ClearDatabase(0);
        const Stamp stamp = session.Finish();
        last_flush = stamp;
        ++flushes;
        if (!txn.BeginSnapshot(Isolation::kSnapshot, true)) std::abort();
        txn.Walk(0, "", false, "", [&](std::string_view, const Version& version) {
          old_keys += version.stamp() > stamp ? 0 : 1;
          return true;
        });
        session.Finish();
        session.Reenter();
        std::this_thread::sleep_for(std::chrono::microseconds(300));
      }
      return;
    }
    for (int i = 0; i < rounds; ++i) {
      const std::string name = std::to_string(thread) + KeyName(static_cast<uint64_t>(i) % kKeys);
      const std::string text = std::to_string(i);
      const Stamp stamp = session.Set(0, name, text);
      told[thread][name] = {text, stamp};
      // Nobody else writes it: it is there, or a flush came after it.
      const bool there = session.Get(0, name) == text;
      if (there) continue;
      for (int wait = 0; wait < 1000 && last_flush < stamp; ++wait) {
        session.Reenter();
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      vanished += last_flush > stamp ? 0 : 1;
    }
    --writers;
  });
  CHECK(flushes > 0);
  CHECK(old_keys == 0);
  CHECK(vanished == 0);
  Session session(database);
  uint64_t wrong = 0, present = 0;
  for (const auto& mine : told) {
    for (const auto& [name, t] : mine) {
      const bool expected = t.stamp > last_flush;
      present += expected ? 1 : 0;
      wrong += (session.Get(0, name) == t.text) == expected ? 0 : 1;
    }
  }
  CHECK(wrong == 0);
  CHECK(session.Count(0) == present);
}

TEST_CASE("collector: swaps beside writers keep every write in one of the two databases") {
  constexpr size_t kWriters = 2;
  std::atomic<int64_t> interval_ms{1};
  Clock clock;
  Database database({.databases = 2, .vacuum_interval_ms = &interval_ms, .on_expired = {}}, clock);
  const int rounds = 20000 / kSlower;
  std::atomic<size_t> writers{kWriters};
  std::atomic<uint64_t> swaps{0}, wrong_count{0};
  RunThreads(kWriters + 1, [&](size_t thread) {
    Session session(database);
    Transaction& txn = session.txn();
    if (thread == kWriters) {
      while (writers > 0) {
        txn.BeginExclusive();
        const uint64_t before = txn.CountKeys(0);
        txn.SwapDatabases(0, 1);
        wrong_count += txn.CountKeys(1) == before ? 0 : 1;
        session.Finish();
        ++swaps;
        session.Reenter();
        std::this_thread::sleep_for(std::chrono::microseconds(300));
      }
      return;
    }
    for (int i = 0; i < rounds; ++i) {
      session.Set(0, std::to_string(thread) + KeyName(static_cast<uint64_t>(i)), "v");
      if (i % 3 == 0)  // garbage for the collector, in whichever keyspace it is now
        session.Delete(0, std::to_string(thread) + "!" + KeyName(static_cast<uint64_t>(i)));
      if (i % 3 == 1)
        session.Set(0, std::to_string(thread) + "!" + KeyName(static_cast<uint64_t>(i + 2)), "v",
                    clock.now_ms() + 5);
    }
    --writers;
  });
  CHECK(swaps > 0);
  CHECK(wrong_count == 0);
  Session session(database);
  uint64_t lost = 0;
  for (size_t w = 0; w < kWriters; ++w) {
    for (uint64_t i = 0; i < static_cast<uint64_t>(rounds); ++i) {
      const std::string name = std::to_string(w) + KeyName(i);
      const bool in_0 = session.Get(0, name) == "v", in_1 = session.Get(1, name) == "v";
      lost += in_0 != in_1 ? 0 : 1;
    }
  }
  CHECK(lost == 0);
}

}  // namespace
}  // namespace fluxkv::engine
