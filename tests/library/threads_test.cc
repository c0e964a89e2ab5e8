// Goal: many threads through handles, and through the database itself, lose nothing and see no
// state that no order of their transactions has; Close beside them is safe.
// Method: transfers between accounts beside readers that add everything up; counters; an end in the
// middle of all of it. For ThreadSanitizer as well.
#include <atomic>
#include <random>
#include <thread>

#include "tests/library/library_support.h"

namespace fluxkv {
namespace {

constexpr int kThreads = 4;
constexpr int kAccounts = 16;
constexpr int64_t kEach = 100;

template <class Run>
void InThreads(int count, Run run) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back(run, i);
  for (std::thread& thread : threads) thread.join();
}

Status Transfer(TypedTransaction<int, int64_t>& t, int from, int to, int64_t amount) {
  Result<std::optional<int64_t>> had = t.Get(from), has = t.Get(to);
  if (!had.ok()) return had.status();
  if (!has.ok()) return has.status();
  if (**had < amount || from == to) return {};
  Status status = t.Insert(from, **had - amount);
  return status.ok() ? t.Insert(to, **has + amount) : status;
}

template <class Store>
int64_t Sum(Typed<int, int64_t, Store>& accounts) {
  int64_t sum = 0;
  TypedCursor<int, int64_t> cursor = accounts.Scan();
  for (const auto& entry : cursor) sum += entry.value;
  return cursor.status().ok() ? sum : -1;
}

void Bank(const Options& options, bool with_handles, int rounds) {
  Database db = OpenOrFail(options);
  TypedDatabase<int, int64_t> accounts(db);
  for (int i = 0; i < kAccounts; ++i) REQUIRE(accounts.Insert(i, kEach).ok());
  std::atomic<int> failed{0}, wrong{0};
  InThreads(kThreads, [&](int number) {
    std::mt19937 random(static_cast<uint32_t>(number));
    std::optional<Handle> own;
    if (with_handles) own = std::move(*db.Attach());
    const auto run = [&](auto& store) {
      for (int i = 0; i < rounds; ++i) {
        const int from = static_cast<int>(random() % kAccounts);
        const int to = static_cast<int>(random() % kAccounts);
        Typed mine = Typed<int, int64_t, std::remove_reference_t<decltype(store)>>(store);
        const Status moved = mine.transaction(
            [&](TypedTransaction<int, int64_t>& t) { return Transfer(t, from, to, 7); },
            {.tries_max = 1000});
        if (!moved.ok()) ++failed;
        if (i % 4 == 0 && Sum(mine) != kAccounts * kEach) ++wrong;
      }
    };
    if (own) {
      run(*own);
    } else {
      run(db);
    }
  });
  CHECK(failed == 0);
  CHECK(wrong == 0);
  CHECK(Sum(accounts) == kAccounts * kEach);
  CHECK(db.memory()->open_transactions == 0);
}

TEST_CASE("library: transfers in many threads keep the sum") {
  Bank({}, /*with_handles=*/true, 800 / kSlower);
  Bank({}, /*with_handles=*/false, 800 / kSlower);
}

TEST_CASE("library: the same with a log, and again after the end") {
  for (const Durability mode : {Durability::kRelaxed, Durability::kFull}) {
    TempDir dir;
    const Options options{.directory = dir.Path("data"),
                          .durability = mode,
                          .segment_bytes = 64 << 10,
                          .segments = 4};
    Bank(options, /*with_handles=*/true, 200 / kSlower);
    Database db = OpenOrFail(options);
    TypedDatabase<int, int64_t> accounts(db);
    CHECK(Sum(accounts) == kAccounts * kEach);
  }
}

// More threads than handles of the database: they share some, and wait for the log together.
TEST_CASE("library: many threads on the database itself, waiting for the disk together") {
  TempDir dir;
  const Options options{.directory = dir.Path("data"), .durability = Durability::kFull};
  constexpr int kMany = 40, kEachWrites = 20;
  {
    Database db = OpenOrFail(options);
    std::atomic<int> failed{0};
    InThreads(kMany, [&](int number) {
      for (int i = 0; i < kEachWrites; ++i) {
        const std::string key = std::to_string(number) + ":" + std::to_string(i);
        if (!db.Insert(key, key).ok() || db.Get(key)->value_or("") != key) ++failed;
      }
    });
    CHECK(failed == 0);
  }
  Database db = OpenOrFail(options);
  CHECK(db.List()->size() == kMany * kEachWrites);
}

TEST_CASE("library: one handle, or one transaction, in many threads") {
  Database db = OpenOrFail();
  Handle handle = std::move(*db.Attach());
  Transaction t = std::move(*db.Begin());
  InThreads(kThreads, [&](int number) {
    for (int i = 0; i < 100; ++i) {
      const std::string key = std::to_string(number * 1000 + i);
      static_cast<void>(handle.Insert("h" + key, key));
      static_cast<void>(t.Insert("t" + key, key));
    }
  });
  CHECK(t.Commit().ok());
  CHECK(db.List(Range::Prefix("h"))->size() == kThreads * 100);
  CHECK(db.List(Range::Prefix("t"))->size() == kThreads * 100);
}

TEST_CASE("library: Close beside threads that go on") {
  for (int round = 0; round < 10; ++round) {
    TempDir dir;
    Options options;
    if (round % 2 != 0) options = {.directory = dir.Path("data"), .durability = Durability::kFull};
    Database db = OpenOrFail(options);
    std::atomic<int> ready{0}, wrong{0};
    std::atomic<uint64_t> acknowledged{0};
    std::thread closer([&] {
      while (ready < kThreads) std::this_thread::yield();
      std::this_thread::sleep_for(std::chrono::milliseconds(round));
      if (!db.Close().ok()) ++wrong;
    });
    InThreads(kThreads, [&](int number) {
      std::optional<Handle> own;
      if (number % 2 == 0) own = std::move(*db.Attach());
      Transaction open = std::move(*db.Begin());
      Cursor cursor = db.Scan();
      ++ready;
      for (int i = 0;; ++i) {
        const std::string key = std::to_string(number) + ":" + std::to_string(i);
        const Status status = own ? own->Insert(key, "x") : db.Insert(key, "x");
        if (status.ok()) {
          ++acknowledged;
          static_cast<void>(open.Insert(key, "y"));
          static_cast<void>(cursor.Next());
          if (i % 16 == 0) static_cast<void>(db.Vacuum());
          continue;
        }
        if (status.kind() != ErrorKind::kClosed) ++wrong;
        break;
      }
    });
    closer.join();
    CHECK(wrong == 0);
    if (options.directory.empty()) continue;
    Database again = OpenOrFail(options);
    CHECK(again.List()->size() == acknowledged);
  }
}

// Each transaction holds two keys; of one that was acknowledged both are there afterwards.
TEST_CASE("library: Close beside closures that commit") {
  for (int round = 0; round < 20; ++round) {
    TempDir dir;
    const Options options{.directory = dir.Path("data"), .durability = Durability::kRelaxed};
    Database db = OpenOrFail(options);
    std::atomic<int> wrong{0}, begun{0};
    std::atomic<uint64_t> acknowledged{0};
    std::thread closer([&] {
      while (begun < 10 * kThreads) std::this_thread::yield();
      if (!db.Close().ok()) ++wrong;
    });
    InThreads(kThreads, [&](int number) {
      for (int i = 0;; ++i) {
        const std::string key = std::to_string(number) + ":" + std::to_string(i);
        const Status status = db.transaction([&](Transaction& t) {
          ++begun;
          const bool good = t.Insert("a" + key, "x").ok() && t.Insert("b" + key, "x").ok();
          std::this_thread::yield();
          if (!good) t.Rollback();
          return good ? Status() : Status::Error(ErrorKind::kClosed, "so Close was first");
        });
        if (status.ok()) {
          ++acknowledged;
          continue;
        }
        if (status.kind() != ErrorKind::kClosed) ++wrong;
        break;
      }
    });
    closer.join();
    CHECK(wrong == 0);
    Database again = OpenOrFail(options);
    CHECK(again.List(Range::Prefix("a"))->size() == acknowledged);
    CHECK(again.List(Range::Prefix("b"))->size() == acknowledged);
  }
}

}  // namespace
}  // namespace fluxkv
