// Goal: what single calls and options do, and what is answered for what cannot be.
// Method: by hand; ranges against a std::map.
#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "tests/library/library_support.h"

namespace fluxkv {
namespace {

TEST_CASE("library: single calls") {
  Database db = OpenOrFail();
  CHECK(ValueOf(db, "a") == "(none)");
  CHECK(db.Insert("a", "1").ok());
  CHECK(ValueOf(db, "a") == "1");
  CHECK(db.Insert("a", "two").ok());
  CHECK(ValueOf(db, "a") == "two");
  CHECK(*db.Contains("a"));
  CHECK(!*db.Contains("b"));
  Result<std::optional<std::string>> removed = db.Remove("a");
  REQUIRE(removed.ok());
  CHECK(*removed == "two");
  removed = db.Remove("a");
  REQUIRE(removed.ok());
  CHECK(!removed->has_value());
  CHECK(ValueOf(db, "a") == "(none)");
}

TEST_CASE("library: keys and values are bytes") {
  Database db = OpenOrFail();
  const std::string zero("a\0b", 3), large(100'000, 'x');
  CHECK(db.Insert(zero, large).ok());
  CHECK(db.Insert("", "").ok());
  CHECK(db.Insert("number", "0042").ok());
  CHECK(db.Insert("integer", "-42").ok());
  CHECK(ValueOf(db, zero) == large);
  CHECK(ValueOf(db, "a") == "(none)");
  CHECK(ValueOf(db, "") == "");
  CHECK(ValueOf(db, "number") == "0042");
  CHECK(ValueOf(db, "integer") == "-42");
  CHECK(db.List()->size() == 4);
}

TEST_CASE("library: a time to live") {
  using std::chrono::milliseconds;
  Database db = OpenOrFail();
  CHECK(db.Insert("long", "1", std::chrono::hours(1)).ok());
  CHECK(ValueOf(db, "long") == "1");
  CHECK(db.Insert("short", "1", milliseconds(20)).ok());
  std::this_thread::sleep_for(milliseconds(60));
  CHECK(ValueOf(db, "short") == "(none)");
  CHECK(ListOf(db) == "long=1 ");
  CHECK(db.Metadata()->at(0).deadline_ms.has_value());
  CHECK(db.Insert("long", "2").ok());  // for ever
  CHECK(!db.Metadata()->at(0).deadline_ms.has_value());
  CHECK(KindOf(db.Insert("k", "v", milliseconds(0))) == ErrorKind::kInvalid);
  CHECK(KindOf(db.Insert("k", "v", milliseconds(-1))) == ErrorKind::kInvalid);
  CHECK(KindOf(db.Insert("k", "v", kForever - milliseconds(1))) == ErrorKind::kInvalid);
  CHECK(ValueOf(db, "k") == "(none)");
}

TEST_CASE("library: ranges") {
  Database db = OpenOrFail();
  for (const char* key : {"a", "app", "apple", "apply", "b", "c"}) CHECK(db.Insert(key, "").ok());
  CHECK(ListOf(db) == "a= app= apple= apply= b= c= ");
  CHECK(ListOf(db, Range::Prefix("app")) == "app= apple= apply= ");
  CHECK(ListOf(db, Range::Prefix("app").Reverse().Limit(2)) == "apply= apple= ");
  CHECK(ListOf(db, Range::Between("app", "b")) == "app= apple= apply= b= ");
  CHECK(ListOf(db, Range().After("apple").Before("b")) == "apply= ");
  CHECK(ListOf(db, Range().From("apply").Limit(2)) == "apply= b= ");
  CHECK(ListOf(db, Range::Between("b", "app")) == "");
  CHECK(ListOf(db, Range().Limit(0)) == "");
  const std::string last("\xff\xff", 2);
  CHECK(db.Insert(last + "z", "").ok());
  CHECK(db.List(Range::Prefix(last))->size() == 1);
}

TEST_CASE("library: ranges are those of a std::map") {
  Database db = OpenOrFail();
  std::map<std::string, std::string> model;
  std::mt19937 random(7);
  const auto key = [&] {
    std::string k(random() % 4, 'a');
    for (char& c : k) c = "ab\x00\xff"[random() % 4];
    return k;
  };
  for (int i = 0; i < 600; ++i) {
    const std::string k = key() + key() + key(), v = std::to_string(i);
    if (random() % 4 == 0) {
      model.erase(k);
      REQUIRE(db.Remove(k).ok());
    } else {
      model[k] = v;
      REQUIRE(db.Insert(k, v).ok());
    }
  }
  for (int i = 0; i < 300; ++i) {
    const std::string low = key(), high = key();
    Range range;
    std::string prefix;
    const uint32_t kind = random() % 3;
    if (kind == 0) range = Range::Between(low, high);
    if (kind == 1) range = Range().After(low).Before(high);
    if (kind == 2) range = Range::Prefix(prefix = low);
    std::vector<Entry> expected;
    for (const auto& [k, v] : model) {
      const bool in = kind == 0   ? k >= low && k <= high
                      : kind == 1 ? k > low && k < high
                                  : k.starts_with(prefix);
      if (in) expected.push_back({k, v});
    }
    if (random() % 2 == 0) {
      range.Reverse();
      expected = {expected.rbegin(), expected.rend()};
    }
    if (random() % 2 == 0) {
      const size_t limit = random() % 40;
      range.Limit(limit);
      if (expected.size() > limit) expected.resize(limit);
    }
    REQUIRE(ListOf(db, range) == Joined(expected));
  }
}

TEST_CASE("library: what is known of keys") {
  Database db = OpenOrFail();
  REQUIRE(db.Insert("first", "123").ok());
  REQUIRE(db.Insert("second", std::string(1000, 'x')).ok());
  Result<std::vector<KeyMetadata>> all = db.Metadata();
  REQUIRE(all.ok());
  REQUIRE(all->size() == 2);
  CHECK(all->at(0).key == "first");
  CHECK(all->at(0).value_bytes == 3);
  CHECK(all->at(1).value_bytes == 1000);
  CHECK(all->at(0).memory_bytes == 32 + 32);    // twelve bytes and the key, sixteen and the value
  CHECK(all->at(1).memory_bytes >= 32 + 1016);  // and what the allocator rounds it up to
  CHECK(all->at(0).stamp < all->at(1).stamp);
  REQUIRE(db.Insert("first", "4").ok());
  CHECK(db.Metadata(Range().Limit(1))->at(0).stamp > all->at(1).stamp);
  CHECK(db.Metadata(Range::Prefix("s"))->size() == 1);
}

TEST_CASE("library: options that cannot be") {
  const auto kind = [](const Options& options) { return KindOf(Database::Open(options)); };
  CHECK(kind({.durability = Durability::kFull}) == ErrorKind::kInvalid);
  CHECK(kind({.policy = Policy::kLru}) == ErrorKind::kInvalid);
  CHECK(kind({.segments = 1}) == ErrorKind::kInvalid);
  CHECK(kind({.segment_bytes = 1000}) == ErrorKind::kInvalid);
  CHECK(kind({.databases = 0}) == ErrorKind::kInvalid);
  CHECK(kind({.databases = 4, .database = 4}) == ErrorKind::kInvalid);
  CHECK(kind({.vacuum_interval = std::chrono::milliseconds(0)}) == ErrorKind::kInvalid);
  CHECK(kind({.memory_limit = ~uint64_t{0}}) == ErrorKind::kInvalid);
  CHECK(kind({.log_file = std::string("a\0b", 3)}) == ErrorKind::kInvalid);
  TempDir dir;
  CHECK(kind({.log_file = dir.Path("")}) == ErrorKind::kIo);
  CHECK(kind({.directory = dir.Path("no/parent")}) == ErrorKind::kIo);
  CHECK(kind({.directory = dir.Path("x"), .flush_interval = std::chrono::milliseconds(0)}) ==
        ErrorKind::kInvalid);
  CHECK(kind({.directory = dir.Write("file", "")}) == ErrorKind::kIo);
  const Result<Database> bad = Database::Open({.segments = 1});
  CHECK(bad.message() == "options: segments are from 2 to 1024");
}

std::map<std::string, uint64_t> BlockedSignalsByThread() {
  std::map<std::string, uint64_t> blocked;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream status(task.path() / "status");
    for (std::string word; status >> word;) {
      if (word == "SigBlk:") status >> std::hex >> blocked[task.path().filename()];
    }
  }
  return blocked;
}

TEST_CASE("library: no signal is handled in a thread of the library") {
  std::thread([] {}).join();  // with the first thread a sanitizer starts one of its own
  const std::map<std::string, uint64_t> before = BlockedSignalsByThread();
  TempDir dir;
  Database db = OpenOrFail({.directory = dir.Path("data")});
  int started = 0;
  // One that has not begun to run has everything blocked, by the C library; the sanitizer's always.
  const auto begun = [&before](const auto& thread) {
    return before.contains(thread.first) || (thread.second >> (SIGSEGV - 1) & 1) == 0;
  };
  std::map<std::string, uint64_t> threads = BlockedSignalsByThread();
  for (int tries = 0; tries < 10'000 && !std::ranges::all_of(threads, begun); ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    threads = BlockedSignalsByThread();
  }
  for (const auto& [thread, blocked] : threads) {
    if (before.contains(thread)) {
      CHECK(blocked == before.at(thread));
      continue;
    }
    ++started;
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD, SIGPROF})
      CHECK((blocked >> (signal - 1) & 1) == 1);
    for (const int fault : {SIGSEGV, SIGBUS, SIGABRT}) CHECK((blocked >> (fault - 1) & 1) == 0);
  }
  CHECK(started >= 3);  // collector, log, snapshots
}

TEST_CASE("library: options may be chained") {
  TempDir dir;
  Database db = OpenOrFail(Options()
                               .WithDirectory(dir.Path("data"))
                               .WithDurability(Durability::kNone)
                               .WithLevel(Level::kSnapshot)
                               .WithMemoryLimit(1 << 20)
                               .WithPolicy(Policy::kLru)
                               .WithDatabase(3)
                               .WithLogFile(dir.Path("log")));
  CHECK(db.memory()->limit_bytes == 1 << 20);
}

TEST_CASE("library: after Close everything answers that it is closed") {
  Database db = OpenOrFail();
  Handle handle = std::move(*db.Attach());
  REQUIRE(db.Insert("a", "1").ok());
  Transaction open = std::move(*handle.Begin());
  REQUIRE(open.Insert("b", "1").ok());
  Cursor cursor = db.Scan();
  CHECK(db.Close().ok());
  CHECK(db.Close().ok());
  CHECK(KindOf(db.Get("a")) == ErrorKind::kClosed);
  CHECK(KindOf(db.Insert("a", "2")) == ErrorKind::kClosed);
  CHECK(KindOf(db.Remove("a")) == ErrorKind::kClosed);
  CHECK(KindOf(db.List()) == ErrorKind::kClosed);
  CHECK(KindOf(db.Metadata()) == ErrorKind::kClosed);
  CHECK(KindOf(db.Begin()) == ErrorKind::kClosed);
  CHECK(KindOf(db.Attach()) == ErrorKind::kClosed);
  CHECK(KindOf(db.memory()) == ErrorKind::kClosed);
  CHECK(KindOf(db.Vacuum()) == ErrorKind::kClosed);
  CHECK(KindOf(db.Save()) == ErrorKind::kClosed);
  CHECK(KindOf(db.Evict(0)) == ErrorKind::kClosed);
  CHECK(KindOf(handle.Get("a")) == ErrorKind::kClosed);
  CHECK(KindOf(open.Get("a")) == ErrorKind::kClosed);
  CHECK(KindOf(open.Insert("a", "2")) == ErrorKind::kClosed);
  CHECK(KindOf(open.Commit()) == ErrorKind::kClosed);
  CHECK(!open.is_open());
  CHECK(cursor.Next() == nullptr);
  CHECK(KindOf(cursor.status()) == ErrorKind::kClosed);
}

TEST_CASE("library: a handle that goes ends its transactions, and its place is free") {
  Database db = OpenOrFail();
  std::optional<Transaction> left;
  {
    Handle handle = std::move(*db.Attach());
    left = std::move(*handle.Begin());
    REQUIRE(left->Insert("a", "1").ok());
  }
  CHECK(KindOf(left->Commit()) == ErrorKind::kClosed);
  CHECK(ValueOf(db, "a") == "(none)");
  CHECK(db.memory()->open_transactions == 0);
  for (int i = 0; i < 1000; ++i) REQUIRE(db.Attach().ok());
  std::vector<Handle> many;
  for (;;) {
    Result<Handle> next = db.Attach();
    if (!next.ok()) {
      CHECK(next.kind() == ErrorKind::kTooMany);
      break;
    }
    many.push_back(std::move(*next));
  }
  CHECK(many.size() >= 200);
  many.clear();
  CHECK(db.Attach().ok());
}

TEST_CASE("library: what was moved from answers an error") {
  Database db = OpenOrFail();
  Handle handle = std::move(*db.Attach());
  Handle taken = std::move(handle);
  CHECK(KindOf(handle.Get("a")) == ErrorKind::kClosed);
  Transaction t = std::move(*taken.Begin());
  Transaction other = std::move(t);
  CHECK(KindOf(t.Insert("a", "1")) == ErrorKind::kClosed);
  CHECK(!t.is_open());
  CHECK(other.is_open());
  other = std::move(*taken.Begin());  // the first one is rolled back
  CHECK(db.memory()->open_transactions == 1);
  Cursor cursor = db.Scan();
  Cursor moved = std::move(cursor);
  CHECK(cursor.Next() == nullptr);
  CHECK(!cursor.status().ok());
  CHECK(moved.status().ok());
}

}  // namespace
}  // namespace fluxkv
