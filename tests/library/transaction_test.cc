// Goal: transactions of the library: what they see, what they leave, how closures are repeated.
// Method: by hand, two of them side by side in one thread.
#include <optional>
#include <stdexcept>

#include "tests/library/library_support.h"

namespace fluxkv {
namespace {

Transaction BeginOrFail(Database& db, Level level = Level::kSerializable) {
  Result<Transaction> begun = db.Begin(level);
  REQUIRE(begun.ok());
  return std::move(*begun);
}

TEST_CASE("library: a transaction sees its snapshot and its own writes") {
  Database db = OpenOrFail();
  REQUIRE(db.Insert("a", "1").ok());
  REQUIRE(db.Insert("c", "3").ok());
  Transaction t = BeginOrFail(db);
  REQUIRE(db.Insert("a", "other").ok());
  CHECK(ValueOf(t, "a") == "1");
  CHECK(t.Insert("b", "2").ok());
  CHECK(*t.Contains("b"));
  CHECK(*t.Remove("c") == "3");
  CHECK(!t.Remove("c")->has_value());
  CHECK(ListOf(t) == "a=1 b=2 ");
  CHECK(ListOf(t, Range().Reverse()) == "b=2 a=1 ");
  CHECK(t.Commit().ok());  // before the other one, which nobody has seen yet
  CHECK(!t.is_open());
  CHECK(t.stamp() > 0);
  CHECK(ListOf(db) == "a=other b=2 ");
  CHECK(KindOf(t.Commit()) == ErrorKind::kClosed);
  CHECK(KindOf(t.Get("a")) == ErrorKind::kClosed);
  t.Rollback();  // of nothing
}

TEST_CASE("library: one that goes out of scope rolls back") {
  Database db = OpenOrFail();
  REQUIRE(db.Insert("a", "1").ok());
  {
    Transaction t = BeginOrFail(db);
    REQUIRE(t.Insert("a", "2").ok());
    REQUIRE(t.Insert("b", "2").ok());
    CHECK(db.memory()->open_transactions == 1);
  }
  CHECK(db.memory()->open_transactions == 0);
  CHECK(ListOf(db) == "a=1 ");
  Transaction t = BeginOrFail(db);
  REQUIRE(t.Remove("a").ok());
  t.Rollback();
  CHECK(!t.is_open());
  CHECK(ListOf(db) == "a=1 ");
}

TEST_CASE("library: the first committer wins") {
  Database db = OpenOrFail();
  for (const Level level : {Level::kSerializable, Level::kSnapshot}) {
    Transaction first = BeginOrFail(db, level), second = BeginOrFail(db, level);
    REQUIRE(first.Insert("x", "first").ok());
    REQUIRE(second.Insert("x", "second").ok());
    CHECK(second.Commit().ok());
    const Status status = first.Commit();
    CHECK(KindOf(status) == ErrorKind::kConflict);
    CHECK(status.message() == "key 'x' was written since");
    CHECK(!first.is_open());
    CHECK(ValueOf(db, "x") == "second");
  }
}

// Each reads both and takes from one, as if the other were still there.
std::vector<ErrorKind> WriteSkew(Level level) {
  Database db = OpenOrFail();
  REQUIRE(db.Insert("x", "1").ok());
  REQUIRE(db.Insert("y", "1").ok());
  Transaction first = BeginOrFail(db, level), second = BeginOrFail(db, level);
  for (Transaction* t : {&first, &second}) {
    CHECK(ValueOf(*t, "x") == "1");
    CHECK(ValueOf(*t, "y") == "1");
  }
  REQUIRE(first.Insert("x", "0").ok());
  REQUIRE(second.Insert("y", "0").ok());
  return {KindOf(first.Commit()), KindOf(second.Commit())};
}

TEST_CASE("library: write skew") {
  CHECK(WriteSkew(Level::kSnapshot) == std::vector{ErrorKind::kOther, ErrorKind::kOther});
  CHECK(WriteSkew(Level::kSerializable) == std::vector{ErrorKind::kOther, ErrorKind::kConflict});
}

TEST_CASE("library: a phantom in a range that was read as empty") {
  Database db = OpenOrFail();
  Transaction t = BeginOrFail(db);
  CHECK(ListOf(t, Range::Prefix("user:")) == "");
  REQUIRE(t.Insert("count", "0").ok());
  Transaction other = BeginOrFail(db);
  CHECK(ValueOf(other, "count") == "(none)");
  REQUIRE(other.Insert("user:1", "ada").ok());
  CHECK(other.Commit().ok());
  CHECK(KindOf(t.Commit()) == ErrorKind::kConflict);
}

TEST_CASE("library: what only reads neither writes nor conflicts") {
  Database db = OpenOrFail({.level = Level::kReadOnly});
  REQUIRE(db.Insert("a", "1").ok());
  Transaction t = std::move(*db.Begin());
  CHECK(ValueOf(t, "a") == "1");
  REQUIRE(db.Insert("a", "2").ok());
  CHECK(ValueOf(t, "a") == "1");
  CHECK(KindOf(t.Insert("a", "3")) == ErrorKind::kReadOnly);
  CHECK(KindOf(t.Remove("a")) == ErrorKind::kReadOnly);
  CHECK(t.Commit().ok());
  CHECK(ValueOf(db, "a") == "2");
}

TEST_CASE("library: writes of one transaction are bounded") {
  Database db = OpenOrFail({.transaction_bytes = 10'000});
  Transaction t = BeginOrFail(db);
  Status status;
  int inserted = 0;
  while (status.ok() && inserted < 100) {
    status = t.Insert("key" + std::to_string(inserted), std::string(1000, 'x'));
    if (status.ok()) ++inserted;
  }
  CHECK(KindOf(status) == ErrorKind::kOutOfMemory);
  CHECK(inserted >= 8);
  CHECK(inserted <= 10);
  CHECK(t.Commit().ok());
  CHECK(db.memory()->keys == static_cast<uint64_t>(inserted));
}

TEST_CASE("library: there may be thousands of them, but not more than that") {
  Database db = OpenOrFail();
  std::vector<Transaction> open;
  Result<Transaction> next = db.Begin(Level::kSnapshot);
  for (; next.ok() && open.size() < 10'000; next = db.Begin(Level::kSnapshot))
    open.push_back(std::move(*next));
  CHECK(next.kind() == ErrorKind::kTooMany);
  CHECK(open.size() == 4096);
  CHECK(KindOf(db.List()) == ErrorKind::kTooMany);
  CHECK(db.Insert("a", "1").ok());
  CHECK(ValueOf(db, "a") == "1");
  open.clear();
  CHECK(ListOf(db) == "a=1 ");
}

// ---- Closures

TEST_CASE("library: what a closure may return") {
  Database db = OpenOrFail();
  const Status nothing = db.transaction([](Transaction& t) { CHECK(t.Insert("a", "1").ok()); });
  CHECK(nothing.ok());
  const Status status = db.transaction([](Transaction& t) { return t.Insert("b", "2"); });
  CHECK(status.ok());
  const Result<std::optional<std::string>> result =
      db.transaction([](Transaction& t) { return t.Get("b"); });
  CHECK(*result == "2");
  const Result<int> number = db.transaction([](Transaction&) { return 7; });
  CHECK(*number == 7);
  const std::string outside = "outside";
  const Result<std::string> copied =
      db.transaction([&](Transaction&) -> const std::string& { return outside; });
  CHECK(*copied == "outside");
  CHECK(db.transaction([](Transaction&) -> const Status { return {}; }).ok());
  const Level none = static_cast<Level>(9);
  CHECK(KindOf(db.Begin(none)) == ErrorKind::kInvalid);
  CHECK(KindOf(db.transaction([](Transaction&) {}, {.level = none})) == ErrorKind::kInvalid);
  CHECK(db.transaction([](Transaction&) {}, {.tries_max = 0}).ok());
  Handle handle = std::move(*db.Attach());
  CHECK(handle.transaction([](Transaction& t) { return t.Insert("c", "3"); }).ok());
  CHECK(ListOf(db) == "a=1 b=2 c=3 ");
}

TEST_CASE("library: a closure's error rolls back and comes out") {
  Database db = OpenOrFail();
  int runs = 0;
  const Status status = db.transaction([&](Transaction& t) {
    ++runs;
    REQUIRE(t.Insert("a", "1").ok());
    return Status::Error("not today");
  });
  CHECK(status.message() == "not today");
  CHECK(runs == 1);
  const Result<int> result = db.transaction([](Transaction& t) -> Result<int> {
    REQUIRE(t.Insert("a", "1").ok());
    return Status::Error(ErrorKind::kInvalid, "no number");
  });
  CHECK(result.kind() == ErrorKind::kInvalid);
  CHECK(ListOf(db) == "");
  CHECK(db.memory()->open_transactions == 0);
}

TEST_CASE("library: a closure's exception rolls back and goes on") {
  Database db = OpenOrFail();
  const auto run = [&] {
    return db.transaction([](Transaction& t) {
      REQUIRE(t.Insert("a", "1").ok());
      throw std::runtime_error("thrown");
    });
  };
  CHECK_THROWS_WITH(static_cast<void>(run()), "thrown");
  CHECK(ListOf(db) == "");
  CHECK(db.memory()->open_transactions == 0);
  CHECK(db.Insert("a", "2").ok());  // no latch is left
}

TEST_CASE("library: a conflict repeats the closure, so many times at most") {
  Database db = OpenOrFail();
  REQUIRE(db.Insert("n", "0").ok());
  int runs = 0;
  const auto in_the_way = [&](Transaction& t, int times) {
    const Result<std::optional<std::string>> n = t.Get("n");
    if (++runs <= times) REQUIRE(db.Insert("n", std::to_string(100 + runs)).ok());
    return t.Insert("n", **n + "+");
  };
  CHECK(db.transaction([&](Transaction& t) { return in_the_way(t, 3); }).ok());
  CHECK(runs == 4);
  CHECK(ValueOf(db, "n") == "103+");
  runs = 0;
  const Status status = db.transaction([&](Transaction& t) { return in_the_way(t, 1000); },
                                       {.level = Level::kSnapshot, .tries_max = 5});
  CHECK(runs == 5);
  CHECK(KindOf(status) == ErrorKind::kConflict);
  CHECK(status.message() ==
        "5 tries ended in a conflict, the last because key 'n' was written since");
  CHECK(ValueOf(db, "n") == "105");
}

TEST_CASE("library: a closure may ask for another try, or end the transaction itself") {
  Database db = OpenOrFail();
  int runs = 0;
  const Status again = db.transaction([&](Transaction& t) {
    REQUIRE(t.Insert("a", std::to_string(runs)).ok());
    return ++runs < 3 ? Status::Error(ErrorKind::kConflict, "not yet") : Status();
  });
  CHECK(again.ok());
  CHECK(ListOf(db) == "a=2 ");
  CHECK(db.transaction([](Transaction& t) {
            REQUIRE(t.Insert("b", "1").ok());
            t.Rollback();
          }).ok());
  CHECK(db.transaction([](Transaction& t) {
            REQUIRE(t.Insert("c", "1").ok());
            return t.Commit();
          }).ok());
  CHECK(ListOf(db) == "a=2 c=1 ");
}

TEST_CASE(
    "library: a closure whose transaction Close has ended is not told that it was committed") {
  Database db = OpenOrFail();
  const auto closes = [&](Transaction& t) {
    REQUIRE(t.Insert("a", "1").ok());
    CHECK(db.Close().ok());
    CHECK(!t.is_open());
    CHECK(!t.ended());
  };
  CHECK(KindOf(db.transaction(closes)) == ErrorKind::kClosed);
  db = OpenOrFail();
  const Result<int> number = db.transaction([&](Transaction& t) {
    closes(t);
    return 7;
  });
  CHECK(KindOf(number) == ErrorKind::kClosed);
  db = OpenOrFail();
  Handle handle = std::move(*db.Attach());
  CHECK(KindOf(handle.transaction([&](Transaction& t) {
          REQUIRE(t.Insert("a", "1").ok());
          handle = std::move(*db.Attach());
        })) == ErrorKind::kClosed);
  CHECK(ListOf(db) == "");
  // What it wanted to leave is as it is.
  CHECK(db.transaction([&](Transaction& t) {
            REQUIRE(db.Close().ok());
            t.Rollback();
          }).ok());
  db = OpenOrFail();
  std::optional<Transaction> taken;
  CHECK(db.transaction([&](Transaction& t) { taken = std::move(t); }).ok());
  CHECK(taken->is_open());
}

TEST_CASE("library: transactions side by side in one thread, and in one another") {
  Database db = OpenOrFail();
  const Status outer = db.transaction([&](Transaction& t) {
    REQUIRE(t.Insert("outer", "1").ok());
    CHECK(db.transaction([](Transaction& inner) { return inner.Insert("inner", "1"); }).ok());
    CHECK(db.Insert("single", "1").ok());
    CHECK(ListOf(t) == "outer=1 ");
  });
  CHECK(outer.ok());
  CHECK(ListOf(db) == "inner=1 outer=1 single=1 ");
}

}  // namespace
}  // namespace fluxkv
