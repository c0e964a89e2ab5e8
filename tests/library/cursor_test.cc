// Goal: a Cursor is an input range of one moment's keys, whatever happens while it is walked, and
// holds nothing up but old versions.
// Method: concepts at compile time; writes between two steps by hand.
#include <ranges>

#include "tests/library/library_support.h"

namespace fluxkv {
namespace {

static_assert(std::ranges::input_range<Cursor>);
static_assert(std::ranges::view<std::ranges::owning_view<Cursor>>);
static_assert(std::input_iterator<Cursor::Iterator>);
static_assert(std::ranges::input_range<TypedCursor<int, int>>);
static_assert(!std::copyable<Cursor> && std::movable<Cursor>);

constexpr int kKeys = 1000;  // several pages

std::string KeyOf(int i) {
  return Codec<int>::Encode(i);
}

Database Filled() {
  Database db = OpenOrFail();
  for (int i = 0; i < kKeys; ++i) REQUIRE(db.Insert(KeyOf(i), std::to_string(i)).ok());
  return db;
}

TEST_CASE("library: a cursor in loops and views") {
  Database db = Filled();
  int next = 0;
  Cursor cursor = db.Scan();
  for (const Entry& entry : cursor) {
    REQUIRE(entry.key == KeyOf(next));
    REQUIRE(entry.value == std::to_string(next++));
  }
  CHECK(next == kKeys);
  CHECK(cursor.status().ok());
  CHECK(cursor.Next() == nullptr);
  std::string values;
  for (const Entry& entry : db.Scan(Range().Reverse()) | std::views::take(3))
    values += entry.value + " ";
  CHECK(values == "999 998 997 ");
  const auto odd = [](const Entry& e) { return (e.value.back() - '0') % 2 != 0; };
  CHECK(std::ranges::distance(db.Scan() | std::views::filter(odd)) == kKeys / 2);
  CHECK(std::ranges::distance(db.Scan(Range().Limit(300))) == 300);
}

TEST_CASE("library: a second loop goes on where the first one stopped") {
  Database db = Filled();
  Cursor cursor = db.Scan();
  int seen = 0;
  for (const Entry& entry : cursor) {
    CHECK(entry.value == std::to_string(seen));
    if (++seen == 10) break;
  }
  for (const Entry& entry : cursor) CHECK(entry.value == std::to_string(seen++));
  CHECK(seen == kKeys);
}

TEST_CASE("library: a cursor stays at its moment, and its program may write while it walks") {
  Database db = Filled();
  Cursor cursor = db.Scan();
  int seen = 0;
  for (const Entry& entry : cursor) {
    REQUIRE(entry.value == std::to_string(seen));
    // What is ahead changes, goes, and comes.
    const int ahead = kKeys - 1 - seen;
    if (seen % 3 == 0) REQUIRE(db.Insert(KeyOf(ahead), "new").ok());
    if (seen % 3 == 1) REQUIRE(db.Remove(KeyOf(ahead)).ok());
    if (seen % 3 == 2) REQUIRE(db.Insert(KeyOf(ahead) + "+", "new").ok());
    if (seen == kKeys / 2) REQUIRE(db.Vacuum().ok());  // it waits for nobody's step
    ++seen;
  }
  CHECK(seen == kKeys);
  CHECK(cursor.status().ok());
}

TEST_CASE("library: a snapshot is let go of when the walk is at its end, or its cursor goes") {
  Database db = Filled();
  const auto open = [&] { return db.memory()->open_transactions; };
  Cursor cursor = db.Scan();
  CHECK(cursor.Next() != nullptr);
  CHECK(open() == 1);
  while (cursor.Next() != nullptr) {
  }
  CHECK(open() == 0);
  {
    Cursor left = db.Scan();
    CHECK(left.Next() != nullptr);
    CHECK(open() == 1);
  }
  CHECK(open() == 0);
  Cursor few = db.Scan(Range().Limit(2));
  CHECK(few.Next() != nullptr);
  CHECK(few.Next() != nullptr);
  CHECK(open() == 0);
}

TEST_CASE("library: a cursor of a transaction") {
  Database db = Filled();
  Transaction t = std::move(*db.Begin(Level::kSnapshot));
  REQUIRE(t.Insert(KeyOf(-1), "-1").ok());
  REQUIRE(t.Remove(KeyOf(0)).ok());
  Cursor cursor = t.Scan();
  CHECK(cursor.Next()->value == "-1");
  CHECK(cursor.Next()->value == "1");
  REQUIRE(t.Insert(KeyOf(kKeys), "1000").ok());  // ahead of it
  int seen = 2;
  while (const Entry* entry = cursor.Next()) CHECK(entry->value == std::to_string(seen++));
  CHECK(seen == kKeys + 1);
  CHECK(cursor.status().ok());

  Cursor cut = t.Scan();
  CHECK(cut.Next() != nullptr);
  CHECK(t.Commit().ok());
  int rest = 0;
  while (cut.Next() != nullptr) ++rest;
  CHECK(rest < 100);  // what was in its page
  CHECK(KindOf(cut.status()) == ErrorKind::kClosed);
  CHECK(cut.status().message() == "the transaction is over: it was committed");
}

std::string Rest(Cursor& cursor) {
  std::string text;
  while (const Entry* entry = cursor.Next()) text += entry->key + "=" + entry->value + " ";
  CHECK(cursor.status().ok());
  return text;
}

TEST_CASE("library: a cursor of a transaction sees what is written ahead of it in its page") {
  Database db = OpenOrFail();
  for (const char* key : {"a", "b", "c", "d", "e"}) REQUIRE(db.Insert(key, "old").ok());
  Transaction t = std::move(*db.Begin());
  const auto write = [&] {
    REQUIRE(t.Remove("b").ok());
    REQUIRE(t.Insert("c", "new").ok());
    REQUIRE(t.Insert("bb", "x").ok());
  };
  {
    Cursor up = t.Scan(), down = t.Scan(Range().Reverse()), first = t.Scan();
    Cursor three = t.Scan(Range().Limit(3)), through = t.Scan(Range::Between("a", "c"));
    CHECK(up.Next()->key == "a");
    CHECK(three.Next()->key == "a");
    CHECK(through.Next()->key == "a");
    CHECK(down.Next()->key == "e");
    write();
    CHECK(Rest(up) == "bb=x c=new d=old e=old ");
    CHECK(Rest(three) == "bb=x c=new ");
    CHECK(Rest(through) == "bb=x c=new ");
    CHECK(Rest(down) == "d=old c=new bb=x a=old ");
    CHECK(Rest(first) == "a=old bb=x c=new d=old e=old ");
  }
  // At the last key of its page, which was the last one.
  Cursor last = t.Scan(Range().From("e"));
  CHECK(last.Next()->key == "e");
  REQUIRE(t.Insert("f", "x").ok());
  CHECK(last.Next()->key == "f");
  CHECK(last.Next() == nullptr);
  REQUIRE(t.Remove("f").ok());
  CHECK(last.Next() == nullptr);
}

TEST_CASE("library: a transaction changes all that it walks over") {
  Database db = Filled();
  int seen = 0;
  const Status status = db.transaction([&](Transaction& t) -> Status {
    Cursor cursor = t.Scan();
    for (const Entry& entry : cursor) {
      CHECK(entry.value == std::to_string(seen));
      const Status written =
          seen % 2 == 0 ? t.Insert(entry.key, "even") : t.Remove(entry.key).status();
      if (!written.ok()) return written;
      ++seen;
    }
    return cursor.status();
  });
  CHECK(status.ok());
  CHECK(seen == kKeys);
  CHECK(db.List()->size() == kKeys / 2);
}

TEST_CASE("library: large values come in pages of few") {
  Database db = OpenOrFail();
  for (int i = 0; i < 40; ++i)
    REQUIRE(db.Insert(KeyOf(i), std::string(50'000, static_cast<char>('a' + i % 26))).ok());
  int seen = 0;
  for (const Entry& entry : db.Scan(Range().Reverse())) {
    ++seen;
    CHECK(entry.value == std::string(50'000, static_cast<char>('a' + (40 - seen) % 26)));
  }
  CHECK(seen == 40);
}

}  // namespace
}  // namespace fluxkv
