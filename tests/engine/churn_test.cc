// Goal: what changes whole databases or is deleted early leaves nothing behind
// and shows nothing wrong.
// Method: swaps, clears and deletes in a loop beside a reader,
// then a look at the figures after a vacuum.

#include "tests/engine/test_support.h"

namespace fluxkv::engine {
namespace {

void PutLatched(Handle& handle, const Key& key, VersionPtr value) {
  Transaction t(handle);
  const LatchKey latch{0, key.hash};
  t.BeginLatched({&latch, 1});
  t.Put(0, key, std::move(value));
  if (!t.Commit()) std::abort();
}

TEST_CASE("churn: a single read beside swaps never answers for the other database") {
  Clock clock;
  Database database({}, clock);
  std::unique_ptr<Handle> handle = database.Attach();
  const Key x("x");
  const auto swap_and_put = [&] {
    Handle::Scope epoch(*handle);
    Transaction t(*handle);
    t.BeginExclusive();
    t.SwapDatabases(0, 1);
    t.Put(0, x, NewValue("a"));
    t.Put(1, x, NewValue("b"));
    if (!t.Commit()) std::abort();
  };
  swap_and_put();
  std::atomic<bool> stop{false};
  std::atomic<long> wrong{0}, reads{0};
  std::thread reader([&] {
    std::unique_ptr<Handle> own = database.Attach();
    Transaction t(*own);
    while (!stop.load()) {
      Handle::Scope epoch(*own);
      t.BeginRead();
      const Version* version = t.Get(0, x);
      const bool is_a = version != nullptr && version->payload() == "a";
      if (t.Validate()) {
        ++reads;
        if (!is_a) ++wrong;
      }
      if (!t.Commit()) std::abort();
    }
  });
  for (int i = 0; i < 20000 / kSlower; ++i) swap_and_put();
  stop = true;
  reader.join();
  CHECK(reads.load() > 0);
  CHECK(wrong.load() == 0);
}

TEST_CASE("churn: a keyspace that is swapped about is always found") {
  Clock clock;
  Database database({}, clock);
  Store& store = database.store();
  std::atomic<bool> stop{false};
  std::thread swapper([&] {
    std::unique_ptr<Handle> handle = database.Attach();
    Transaction t(*handle);
    while (!stop) {
      Handle::Scope epoch(*handle);
      t.BeginExclusive();
      t.SwapDatabases(0, 15);
      if (!t.Commit()) std::abort();
    }
  });
  std::unique_ptr<Handle> handle = database.Attach();
  uint64_t id = 0;
  {
    Handle::Scope epoch(*handle);
    id = store.Root(0)->keyspace->id;
  }
  int missed = 0;
  for (int i = 0; i < 200000 / kSlower; ++i) {
    Handle::Scope epoch(*handle);
    if (!store.DatabaseOf(id)) ++missed;
  }
  stop = true;
  swapper.join();
  CHECK(missed == 0);
  Handle::Scope epoch(*handle);
  CHECK_FALSE(store.DatabaseOf(uint64_t{1} << 40).has_value());
}

TEST_CASE("churn: dropped databases are freed while more are dropped") {
  Clock clock;
  Database database({}, clock);
  std::unique_ptr<Handle> handle = database.Attach();
  const uint64_t before = database.used_bytes();
  for (int i = 0; i < 5000 / kSlower; ++i) {
    Handle::Scope epoch(*handle);
    const std::string key = "k" + std::to_string(i % 7);
    PutLatched(*handle, Key(key), NewValue("v"));
    Transaction t(*handle);
    t.BeginExclusive();
    t.ClearDatabase(0);
    REQUIRE(t.Commit());
  }
  database.Vacuum();
  database.Vacuum();
  CHECK(database.used_bytes() <= before);
  CHECK(database.stats().retired_bytes < (8u << 20));
  Handle::Scope epoch(*handle);
  Transaction t(*handle);
  t.BeginExclusive();  // an empty database is not replaced
  const Stamp stamp = database.stats().stamp;
  t.ClearDatabase(0);
  REQUIRE(t.Commit());
  CHECK(database.stats().stamp == stamp);
}

TEST_CASE("churn: deadlines of deleted keys do not pile up") {
  Clock clock;
  Database database({}, clock);
  std::unique_ptr<Handle> handle = database.Attach();
  const int64_t far_ms = clock.now_ms() + 86'400'000;
  for (int i = 0; i < 40000 / kSlower; ++i) {
    Handle::Scope epoch(*handle);
    const std::string name = "session:" + std::to_string(i);
    const Key key(name);
    PutLatched(*handle, key, NewValue("v", far_ms));
    Transaction t(*handle);
    const LatchKey latch{0, key.hash};
    t.BeginLatched({&latch, 1});
    REQUIRE(t.Delete(0, key));
    REQUIRE(t.Commit());
    if (i % 5000 == 4999) database.Vacuum();
  }
  {
    Handle::Scope epoch(*handle);
    PutLatched(*handle, Key("stays"), NewValue("v", far_ms));
  }
  database.Vacuum();
  CHECK(database.stats().filed_deadlines >= 1);
  CHECK(database.stats().filed_deadlines < 10000);
  CHECK(database.database_stats(0).keys_with_expiry == 1);
}

}  // namespace
}  // namespace fluxkv::engine
