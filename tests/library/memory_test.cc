// Goal: the limit holds whatever the policy, eviction does what it is asked, vacuum gives back what
// nobody can read.
// Method: many more bytes written than there is room for, by single calls and by transactions.
#include "tests/library/library_support.h"

namespace fluxkv {
namespace {

constexpr uint64_t kLimit = 4 << 20;

TEST_CASE("library: the limit holds under each policy") {
  for (const Policy policy :
       {Policy::kRandom, Policy::kLru, Policy::kLfu, Policy::kArc, Policy::kTtl}) {
    Database db = OpenOrFail({.memory_limit = kLimit, .policy = policy});
    const std::string value(1000, 'x');
    for (int i = 0; i < 20'000 / kSlower; ++i) {
      const std::string key = "key" + std::to_string(i);
      // kTtl chooses among keys with a deadline.
      REQUIRE(db.Insert(key, value, std::chrono::hours(1 + i % 9)).ok());
      if (i % 500 == 0) REQUIRE(db.memory()->used_bytes < kLimit + (64 << 10));
    }
    const MemoryFigures m = *db.memory();
    CHECK(m.used_bytes < kLimit + (64 << 10));
    CHECK(m.keys > 500);
    if (kSlower == 1) CHECK(m.evicted_keys > 10'000);
  }
}

TEST_CASE("library: without a policy the program makes room itself") {
  Database db = OpenOrFail({.memory_limit = kLimit});
  const std::string value(10'000, 'x');
  Status status;
  int inserted = 0;
  while (status.ok() && inserted < 1000) {
    status = db.Insert("key" + std::to_string(inserted), value);
    if (status.ok()) ++inserted;
  }
  CHECK(KindOf(status) == ErrorKind::kOutOfMemory);
  CHECK(inserted > 200);
  Transaction t = std::move(*db.Begin());
  REQUIRE(t.Insert("more", value).ok());
  CHECK(KindOf(t.Commit()) == ErrorKind::kOutOfMemory);
  CHECK(t.is_open());
  CHECK(KindOf(db.Evict(0)) == ErrorKind::kInvalid);
  for (int i = 0; i < 5; ++i) REQUIRE(db.Remove("key" + std::to_string(i)).ok());
  CHECK(t.Commit().ok());
  CHECK(ValueOf(db, "more") == value);
  CHECK(db.SetMemoryLimit(2 * kLimit).ok());
  CHECK(db.Insert("another", value).ok());
  CHECK(db.SetMemoryLimit(0).ok());
  CHECK(db.memory()->limit_bytes == 0);
}

TEST_CASE("library: evict by number and by bytes") {
  // The collector has nothing to give back meanwhile, and files what it has to before `half`.
  Database db = OpenOrFail(
      {.memory_limit = 64 << 20, .policy = Policy::kLru, .vacuum_interval = std::chrono::hours(1)});
  for (int i = 0; i < 1000; ++i)
    REQUIRE(db.Insert("key" + std::to_string(i), std::string(1000, 'x')).ok());
  for (int i = 0; i < 10; ++i) REQUIRE(db.Get("key" + std::to_string(i)).ok());
  CHECK(*db.Evict(0, 3) == 3);
  CHECK(db.memory()->keys == 997);
  REQUIRE(db.Vacuum().ok());
  const uint64_t half = db.memory()->used_bytes / 2;
  const uint64_t evicted = *db.Evict(half);
  CHECK(evicted > 300);
  CHECK(evicted < 600);
  CHECK(db.memory()->used_bytes <= half + (64 << 10));  // the policy's own books may grow
  for (int i = 0; i < 10; ++i) CHECK(*db.Contains("key" + std::to_string(i)));  // used of late
  CHECK(*db.Evict(64 << 20) == 0);
  CHECK(*db.Evict(0) == 997 - evicted);
  CHECK(db.memory()->keys == 0);
  CHECK(db.memory()->evicted_keys == 1000);
  CHECK(KindOf(db.SetMemoryLimit(0)) == ErrorKind::kInvalid);
}

TEST_CASE("library: of keys with a deadline alone") {
  Database db = OpenOrFail(
      {.memory_limit = kLimit, .policy = Policy::kLru, .evict_only_with_deadline = true});
  const std::string value(1000, 'x');
  for (int i = 0; i < 100; ++i) REQUIRE(db.Insert("keep" + std::to_string(i), value).ok());
  for (int i = 0; i < 10'000; ++i)
    REQUIRE(db.Insert("cache" + std::to_string(i), value, std::chrono::hours(1)).ok());
  CHECK(db.memory()->evicted_keys > 5000);
  CHECK(db.List(Range::Prefix("keep"))->size() == 100);
  REQUIRE(db.Evict(0).ok());
  CHECK(db.memory()->keys == 100);
  Status status;
  for (int i = 0; status.ok() && i < 10'000; ++i)
    status = db.Insert("more" + std::to_string(i), value);
  CHECK(KindOf(status) == ErrorKind::kOutOfMemory);
}

TEST_CASE("library: an eviction is in the log") {
  TempDir dir;
  Options options{.directory = dir.Path("data"), .memory_limit = 64 << 20, .policy = Policy::kLru};
  {
    Database db = OpenOrFail(options);
    for (int i = 0; i < 100; ++i) REQUIRE(db.Insert("key" + std::to_string(i), "x").ok());
    CHECK(*db.Evict(0, 60) == 60);
  }
  Database db = OpenOrFail(options);
  CHECK(db.List()->size() == 40);
  // What is loaded is brought down to the limit.
  REQUIRE(db.Insert("large", std::string(2 << 20, 'x')).ok());
  REQUIRE(db.Close().ok());
  options.memory_limit = 1 << 20;
  db = OpenOrFail(options);
  CHECK(db.memory()->used_bytes <= 1 << 20);
}

TEST_CASE("library: vacuum gives back what nobody can read") {
  Database db = OpenOrFail({.vacuum_interval = std::chrono::hours(1)});
  for (int i = 0; i < 500; ++i) REQUIRE(db.Insert("key" + std::to_string(i), "1").ok());
  Transaction holds = std::move(*db.Begin(Level::kReadOnly));
  for (int i = 0; i < 500; ++i) REQUIRE(db.Insert("key" + std::to_string(i), "2").ok());
  for (int i = 0; i < 100; ++i) REQUIRE(db.Remove("key" + std::to_string(i)).ok());
  REQUIRE(db.Vacuum().ok());
  CHECK(db.memory()->old_versions >= 500);
  CHECK(ValueOf(holds, "key0") == "1");
  holds.Rollback();
  REQUIRE(db.Vacuum().ok());
  CHECK(db.memory()->old_versions == 0);
  CHECK(db.memory()->keys == 400);
  CHECK(db.Vacuum()->versions == 0);
  CHECK(*db.Remove("key100") == "2");
  const VacuumFigures figures = *db.Vacuum();
  CHECK(figures.keys == 1);
  CHECK(figures.bytes > 0);
}

}  // namespace
}  // namespace fluxkv
