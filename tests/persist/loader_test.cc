// Goal: a database that was loaded is the one that was written: every key with its value, deadline
// and order, databases where they were, memory counted to the byte, nothing else.
// Method: random snapshots and records against plain maps; what was loaded is then used, emptied
// and counted. Most numbers of keys are small, so that every way of building the list is taken.
#include "engine/loader.h"

#include "tests/persist/life.h"

namespace fluxkv::persist {
namespace {

struct Target {
  Clock clock;
  engine::Database database{
      {.databases = kTestDatabases, .vacuum_interval_ms = nullptr, .on_expired = {}}, clock};
  types::TypeLoader values;
  engine::Session session{database};
  int64_t bytes_at_start = engine::DataBytes(database);

  TestContents Contents() {
    std::string error;
    TestContents contents = ReadContents(database, session.handle(), &error);
    CHECK(error == "");
    return contents;
  }
  void Vacuum() {
    session.LeaveEpoch();
    database.Vacuum();
    session.EnterEpoch();
  }
};

class RandomLog {
 public:
  explicit RandomLog(uint64_t seed) : random(seed), keys(1 + random() % 60) {}

  std::string Key() {
    const uint64_t n = random() % keys;
    switch (n % 5) {
      case 0:
        return n == 0 ? "" : std::string("\0\xff", 2) + std::to_string(n);
      case 1:
        return std::string(n * 5, 'k');
      default:
        return "key" + std::to_string(n);
    }
  }
  // A value with what a put says of it; `type` and `encoding` as strings have them.
  TestValue Value(uint8_t* encoding) {
    TestValue value;
    if (random() % 4 == 0)
      value.expiry_ms = random() % 2 == 0 ? 1 : kFarFuture + static_cast<int64_t>(random() % 9);
    *encoding = static_cast<uint8_t>(random() % 3);
    size_t size = random() % 50;
    if (random() % 20 == 0) size = engine::kBlobBytesMin - 2 + random() % 4;
    if (*encoding == 0) size = sizeof(int64_t);
    for (size_t i = 0; i < size; ++i) value.text.push_back(static_cast<char>(random()));
    return value;
  }
  std::string Record() {
    std::string body;
    if (random() % 25 == 0) {
      const auto a = static_cast<uint32_t>(random() % kTestDatabases);
      const auto b = (a + 1) % kTestDatabases;
      switch (random() % 3) {
        case 0:
          engine::AppendRoots(&body, {{a, engine::RootChange::kFresh}});
          model[a].clear();
          break;
        case 1:
          engine::AppendRoots(&body, {{a, b}, {b, a}});
          std::swap(model[a], model[b]);
          break;
        default:  // SWAPDB and FLUSHDB in one
          engine::AppendRoots(&body, {{a, engine::RootChange::kFresh}, {b, a}});
          model[b] = std::exchange(model[a], {});
      }
    }
    if (random() % 12 == 0) {
      const auto db = static_cast<uint32_t>(random() % kTestDatabases);
      engine::KeyInterval interval{random() % 3 == 0 ? "" : Key(), std::nullopt};
      if (random() % 3 != 0) interval.high = Key();
      if (!interval.empty()) {
        engine::AppendDeleteRange(&body, db, interval);
        std::erase_if(model[db], [&](const auto& key) { return interval.Holds(key.first); });
      }
    }
    for (uint64_t changes = random() % 3 + (body.empty() ? 1 : 0); changes > 0; --changes) {
      const auto db = static_cast<uint32_t>(random() % kTestDatabases);
      const std::string key = Key();
      if (random() % 3 == 0) {
        engine::AppendDelete(&body, db, key);  // sometimes of what a deadline has ended
        model[db].erase(key);
      } else {
        uint8_t encoding;
        const TestValue value = Value(&encoding);
        engine::AppendPut(&body, {.db = db,
                                  .key = key,
                                  .type = 1,
                                  .encoding = encoding,
                                  .expiry_ms = value.expiry_ms,
                                  .value = value.text});
        model[db][key] = value;
      }
    }
    return body;
  }
  uint64_t EraseExpired() {
    uint64_t erased = 0;
    for (TestKeys& of : model)
      erased += std::erase_if(of, [](const auto& key) { return key.second.expiry_ms == 1; });
    return erased;
  }

  std::mt19937_64 random;
  uint64_t keys;
  TestContents model;
};

TEST_CASE("loader: random snapshots and logs are loaded as they were written") {
  FLUXKV_SEEDED(seed);
  for (uint64_t round = 0; round < static_cast<uint64_t>(120 / kSlower); ++round) {
    INFO("round ", round);
    RandomLog log(seed + round);
    Target target;
    {
      engine::Loader loader(target.database, target.session.handle(), target.values);
      Stamp stamp = 5;
      if (log.random() % 3 != 0) {  // a snapshot
        for (uint32_t db = 0; db < kTestDatabases; ++db) {
          for (uint64_t i = log.random() % 100; i > 0; --i) {
            uint8_t encoding;
            log.model[db][log.Key()] = log.Value(&encoding);
          }
          REQUIRE(loader.Expect(db, log.random() % 200).ok());
          for (const auto& [key, value] : log.model[db])
            REQUIRE(loader
                        .Append({.db = db,
                                 .key = key,
                                 .type = 1,
                                 .encoding = 2,
                                 .expiry_ms = value.expiry_ms,
                                 .value = value.text},
                                stamp)
                        .ok());
        }
      }
      for (uint64_t i = log.random() % 200; i > 0; --i)
        REQUIRE(loader.Apply(++stamp, log.Record()).ok());
      uint64_t all = 0;
      for (const TestKeys& keys : log.model) all += keys.size();
      CHECK(loader.keys() == all);
      target.database.store().stamp.store(stamp);
      loader.Install(target.clock.Tick());
      CHECK(loader.expired_keys() == log.EraseExpired());
    }
    REQUIRE(target.Contents() == log.model);
    for (uint32_t db = 0; db < kTestDatabases; ++db) {
      const engine::DatabaseStats stats = target.database.database_stats(db);
      uint64_t deadlines = 0;
      for (const auto& [key, value] : log.model[db]) deadlines += value.expiry_ms != 0 ? 1 : 0;
      CHECK(stats.keys == log.model[db].size());
      CHECK(stats.keys_with_expiry == deadlines);
    }
    target.Vacuum();
    // As many bytes as the same keys take that were written.
    Target written;
    for (uint32_t db = 0; db < kTestDatabases; ++db)
      for (const auto& [key, value] : log.model[db])
        written.session.Set(db, key, value.text, value.expiry_ms);
    written.Vacuum();
    CHECK(engine::DataBytes(target.database) == engine::DataBytes(written.database));
    // It can be written to, and emptied.
    for (uint32_t db = 0; db < kTestDatabases; ++db) {
      target.session.Set(db, "new", "x");
      for (const auto& [key, value] : log.model[db]) {
        if (log.random() % 2 == 0) target.session.Delete(db, key);
      }
      target.session.Delete(db, "new");
    }
    target.Vacuum();
    for (uint32_t db = 0; db < kTestDatabases; ++db)
      for (const auto& [key, value] : log.model[db]) target.session.Delete(db, key);
    target.Vacuum();
    CHECK(engine::DataBytes(target.database) == target.bytes_at_start);
    CHECK(target.database.stats().versions_kept == 0);
  }
}

TEST_CASE("loader: the old data is there until everything is put in place") {
  Target target;
  target.session.Set(0, "old", "x");
  for (bool install : {false, true}) {
    engine::Loader loader(target.database, target.session.handle(), target.values);
    std::string body;
    engine::AppendPut(&body, {.db = 0, .key = "new", .type = 1, .encoding = 2, .value = "y"});
    REQUIRE(loader.Apply(10, body).ok());
    CHECK(target.session.Get(0, "old") == "x");
    CHECK(target.session.Get(0, "new") == "(absent)");
    target.database.store().stamp.store(10);
    if (install) loader.Install(target.clock.now_ms());
  }
  CHECK(target.session.Get(0, "old") == "(absent)");
  CHECK(target.session.Get(0, "new") == "y");
  target.session.Delete(0, "new");
  target.Vacuum();
  CHECK(engine::DataBytes(target.database) == target.bytes_at_start);
}

TEST_CASE("loader: deadlines that were loaded end their keys") {
  Target target;
  {
    engine::Loader loader(target.database, target.session.handle(), target.values);
    for (int i = 0; i < 200; ++i) {
      std::string body;
      engine::AppendPut(&body, {.db = 0,
                                .key = std::to_string(i),
                                .type = 1,
                                .encoding = 2,
                                .expiry_ms = target.clock.Tick() + (i % 2 == 0 ? 60 : 100'000),
                                .value = "v"});
      REQUIRE(loader.Apply(static_cast<Stamp>(i) + 1, body).ok());
    }
    target.database.store().stamp.store(200);
    loader.Install(target.clock.now_ms());
  }
  target.session.LeaveEpoch();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  target.database.Vacuum();
  target.session.EnterEpoch();
  CHECK(target.database.stats().expired_keys == 100);
  CHECK(target.database.database_stats(0).keys == 100);
  CHECK(target.session.Get(0, "2") == "(absent)");
  CHECK(target.session.Get(0, "3") == "v");
}

TEST_CASE("loader: what makes no sense is an error that says what") {
  Target target;
  engine::Loader loader(target.database, target.session.handle(), target.values);
  const auto error = [](Status status) { return status.ok() ? std::string() : status.message(); };
  std::string body;
  engine::AppendPut(&body, {.db = 4, .key = "k", .type = 1, .encoding = 2, .value = "v"});
  CHECK(error(loader.Apply(1, body)) == "it has a database 4, the server has 4 (option databases)");
  CHECK(error(loader.Expect(99, 1)).find("database 99") != std::string::npos);
  body.clear();
  engine::AppendPut(&body, {.db = 0, .key = "k", .type = 9, .encoding = 2, .value = "v"});
  CHECK(
      error(loader.Apply(1, body))
          .find(
              "key k has a value of a type that this version does not know (type 9, encoding 2)") ==
      0);
  body.clear();
  engine::AppendPut(&body, {.db = 0, .key = "k", .type = 1, .encoding = 0, .value = "short"});
  CHECK(error(loader.Apply(1, body)).find("encoding 0") != std::string::npos);
  CHECK(error(loader.Apply(1, "not a record at all")) == "a change in it makes no sense");
  using Roots = std::vector<engine::RootChange>;
  for (const Roots& roots : {Roots{{0, 1}}, Roots{{0, 9}}, Roots{{9, 0}}, Roots{{0, 1}, {1, 1}},
                             Roots{{0, 1}, {0, 2}}}) {
    engine::Loader other(target.database, target.session.handle(), target.values);
    body.clear();
    engine::AppendRoots(&body, roots);
    CHECK(error(other.Apply(1, body)) != "");
  }
  CHECK(loader.Append({.db = 0, .key = "b", .type = 1, .encoding = 2, .value = "v"}, 1).ok());
  CHECK(error(loader.Append({.db = 0, .key = "a", .type = 1, .encoding = 2, .value = "v"}, 1)) ==
        "its keys are not in order");
  CHECK(error(loader.Append({.db = 0, .key = "b", .type = 1, .encoding = 2, .value = "v"}, 1)) !=
        "");
  CHECK(error(loader.Append({.kind = engine::ChangeKind::kDelete, .db = 0, .key = "z"}, 1)) != "");
}

}  // namespace
}  // namespace fluxkv::persist
