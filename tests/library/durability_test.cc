// Goal: what was committed is there when the directory is opened again, by each durability's
// promise; a directory that another one has, or that is damaged, is an error.
// Method: small directories, opened again and again; files cut, and every so many bytes flipped.
#include <algorithm>
#include <filesystem>
#include <thread>

#include "tests/library/library_support.h"

namespace fluxkv {
namespace {

namespace fs = std::filesystem;

Options Small(const std::string& directory, Durability durability) {
  return {
      .directory = directory, .durability = durability, .segment_bytes = 64 << 10, .segments = 4};
}

TEST_CASE("library: what was committed is there again") {
  for (const Durability mode : {Durability::kRelaxed, Durability::kFull}) {
    TempDir dir;
    const Options options = Small(dir.Path("data"), mode);
    {
      Database db = OpenOrFail(options);
      REQUIRE(db.Insert("a", "1").ok());
      REQUIRE(db.Insert("b", "2").ok());
      REQUIRE(db.Remove("a").ok());
      REQUIRE(db.Insert("soon", "gone", std::chrono::milliseconds(20)).ok());
      REQUIRE(db.transaction([](Transaction& t) {
                  REQUIRE(t.Insert("c", "3").ok());
                  return t.Insert("d", "4");
                }).ok());
      Transaction open = std::move(*db.Begin());
      REQUIRE(open.Insert("never", "1").ok());
      CHECK(db.Sync().ok());
    }  // closes; `open` went before
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    Database db = OpenOrFail(options);
    CHECK(ListOf(db) == "b=2 c=3 d=4 ");
    CHECK(db.Insert("b", "5").ok());
    CHECK(db.Close().ok());
    db = OpenOrFail(options);
    CHECK(ListOf(db) == "b=5 c=3 d=4 ");
  }
}

// A copy of the files is what a process that was killed just then leaves.
TEST_CASE("library: a commit that has returned is in the files") {
  for (const Durability mode : {Durability::kRelaxed, Durability::kFull}) {
    TempDir dir;
    Database db = OpenOrFail(Small(dir.Path("data"), mode));
    for (int i = 0; i < 20; ++i) {
      REQUIRE(db.Insert("key" + std::to_string(i % 7), std::to_string(i)).ok());
      const std::string copy = dir.Path("copy" + std::to_string(i));
      fs::copy(dir.Path("data"), copy);
      Database killed = OpenOrFail(Small(copy, mode));
      REQUIRE(ListOf(killed) == ListOf(db));
    }
  }
}

TEST_CASE("library: the log is used again behind snapshots, and stays bounded") {
  TempDir dir;
  const Options options = Small(dir.Path("data"), Durability::kRelaxed);
  {
    Database db = OpenOrFail(options);
    for (int i = 0; i < 2000; ++i)
      REQUIRE(db.Insert("key" + std::to_string(i % 100), std::string(1000, 'x')).ok());
    uintmax_t bytes = 0;
    for (const auto& entry : fs::directory_iterator(dir.Path("data"))) {
      std::error_code gone;  // files come and go meanwhile
      const uintmax_t size = entry.file_size(gone);
      if (!gone) bytes += size;
    }
    CHECK(bytes < 1 << 20);
    REQUIRE(db.Insert("large", std::string(300'000, 'y')).ok());  // more than a segment
  }
  Database db = OpenOrFail(options);
  CHECK(db.List()->size() == 101);
  CHECK(ValueOf(db, "large") == std::string(300'000, 'y'));
}

TEST_CASE("library: without a log, what was saved") {
  TempDir dir;
  const Options options = Small(dir.Path("data"), Durability::kNone);
  {
    Database db = OpenOrFail(options);
    CHECK(!fs::exists(dir.Path("data")));
    REQUIRE(db.Insert("saved", "1").ok());
    CHECK(db.Save().ok());
    REQUIRE(db.Insert("lost", "1").ok());
    CHECK(KindOf(db.Sync()) == ErrorKind::kInvalid);
  }
  Database db = OpenOrFail(options);
  CHECK(ListOf(db) == "saved=1 ");
  Database memory = OpenOrFail();
  CHECK(KindOf(memory.Save()) == ErrorKind::kInvalid);
  CHECK(KindOf(memory.Sync()) == ErrorKind::kInvalid);
}

TEST_CASE("library: numbered databases of one directory") {
  TempDir dir;
  Options options = Small(dir.Path("data"), Durability::kRelaxed);
  for (const uint32_t number : {0u, 15u}) {
    options.database = number;
    Database db = OpenOrFail(options);
    CHECK(ListOf(db) == "");
    REQUIRE(db.Insert("in", std::to_string(number)).ok());
  }
  Database db = OpenOrFail(options);
  CHECK(ListOf(db) == "in=15 ");
  REQUIRE(db.Close().ok());
  options.database = 0;
  options.databases = 1;                                          // too few for what is there
  CHECK(KindOf(Database::Open(options)) == ErrorKind::kInvalid);  // in the log
  options.databases = 16;
  db = OpenOrFail(options);
  REQUIRE(db.Save().ok());
  REQUIRE(db.Close().ok());
  options.databases = 1;
  const Result<Database> saved = Database::Open(options);  // in the snapshot
  CHECK(KindOf(saved) == ErrorKind::kInvalid);
  CHECK(saved.message().find("(option databases)") != std::string::npos);
}

TEST_CASE("library: one at a time") {
  TempDir dir;
  const Options options = Small(dir.Path("data"), Durability::kRelaxed);
  Database db = OpenOrFail(options);
  const Result<Database> second = Database::Open(options);
  CHECK(KindOf(second) == ErrorKind::kLocked);
  CHECK(db.Insert("a", "1").ok());
  CHECK(db.Close().ok());
  Database third = OpenOrFail(options);
  CHECK(ListOf(third) == "a=1 ");
}

TEST_CASE("library: a slash at the end of a directory's name means nothing") {
  TempDir dir;
  Database db = OpenOrFail(Small(dir.Path("data//"), Durability::kRelaxed));
  CHECK(db.Insert("a", "1").ok());
  CHECK(KindOf(Database::Open(Small(dir.Path("data"), Durability::kRelaxed))) ==
        ErrorKind::kLocked);
  CHECK(db.Close().ok());
  db = OpenOrFail(Small(dir.Path("data"), Durability::kRelaxed));
  CHECK(ListOf(db) == "a=1 ");
}

TEST_CASE("library: a relative directory stays where it was") {
  TempDir dir;
  const fs::path before = fs::current_path();
  fs::current_path(dir.Path(""));
  Options options = Small("data", Durability::kRelaxed);
  Database db = OpenOrFail(options);
  fs::current_path(before);
  CHECK(db.Insert("a", "1").ok());
  CHECK(db.Save().ok());
  CHECK(db.Close().ok());
  options.directory = dir.Path("data");
  db = OpenOrFail(options);
  CHECK(ListOf(db) == "a=1 ");
}

TEST_CASE("library: a damaged directory is an error, or is as it was") {
  TempDir dir;
  {
    Database db = OpenOrFail(Small(dir.Path("data"), Durability::kFull));
    for (int i = 0; i < 20; ++i) REQUIRE(db.Insert("old" + std::to_string(i), "1").ok());
    REQUIRE(db.Save().ok());
    for (int i = 0; i < 20; ++i) REQUIRE(db.Insert("new" + std::to_string(i), "1").ok());
  }
  int damaged = 0, torn = 0;
  for (const auto& entry : fs::directory_iterator(dir.Path("data"))) {
    const std::string name = entry.path().filename();
    const std::string bytes = dir.Read("data/" + name);
    const size_t size = std::min<size_t>(bytes.size(), 6000);
    for (size_t at = 0; at < size; at += name.starts_with("lock") ? 1000 : 97 * kSlower) {
      const std::string copy = "copy-" + name + "-" + std::to_string(at);
      fs::copy(dir.Path("data"), dir.Path(copy));
      std::string changed = bytes;
      changed[at] = static_cast<char>(changed[at] ^ 0x40);
      dir.Write(copy + "/" + name, changed);
      Result<Database> opened = Database::Open(Small(dir.Path(copy), Durability::kRelaxed));
      if (opened.ok()) {
        const size_t keys = opened->List()->size();
        REQUIRE(keys >= 20);  // the end of the log may be cut, the rest may not
        torn += keys < 40;
        REQUIRE(opened->Close().ok());  // before its files go
      } else {
        REQUIRE(opened.kind() == ErrorKind::kDamaged);
        REQUIRE(opened.message().find(copy) != std::string::npos);
        ++damaged;
      }
      fs::remove_all(dir.Path(copy));
    }
  }
  CHECK(damaged > 0);
  MESSAGE(damaged << " refused, " << torn << " cut");
}

}  // namespace
}  // namespace fluxkv
