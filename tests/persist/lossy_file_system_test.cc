// Goal: the file system that the tests of the log stand on loses what a disk may lose and keeps
// what it promised to keep; else those tests would prove nothing.
// Method: the same few operations, crashed with many seeds; each outcome that may happen must
// happen, and none that may not.
#include "tests/persist/lossy_file_system.h"

#include <set>

#include <doctest/doctest.h>

#include "persist/page_buffer.h"

namespace fluxkv::persist {
namespace {

std::unique_ptr<File> Create(LossyFileSystem& files, const std::string& path) {
  auto file = files.Open(path, OpenMode::kCreate);
  REQUIRE(file.ok());
  return std::move(file.value());
}

TEST_CASE("lossy files: synced bytes stay, others are lost, kept, torn or reordered") {
  LossyFileSystem files;
  auto file = Create(files, "d/a");
  REQUIRE(files.SyncDirectory("d").ok());
  REQUIRE(file->WriteAt(0, "0123456789").ok());
  REQUIRE(file->Sync().ok());
  REQUIRE(file->WriteAt(10, "abcdef").ok());
  REQUIRE(file->WriteAt(16, "ghijkl").ok());
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    const std::string left = files.Crash(seed)->Content("d/a");
    REQUIRE(left.starts_with("0123456789"));
    seen.insert(left);
  }
  CHECK(seen.contains("0123456789"));
  CHECK(seen.contains("0123456789abcdefghijkl"));
  CHECK(seen.contains("0123456789abc"));                                           // torn
  CHECK(seen.contains(std::string("0123456789") + std::string(6, 0) + "ghijkl"));  // reordered
  CHECK(files.Kill()->Content("d/a") == "0123456789abcdefghijkl");
  // The same seed, the same outcome; and of earlier moments too.
  CHECK(files.Crash(7)->Content("d/a") == files.Crash(7)->Content("d/a"));
  CHECK(files.CrashAfter(4, 7)->Content("d/a") == "0123456789");
  CHECK(files.KillAfter(5)->Content("d/a") == "0123456789abcdef");
}

TEST_CASE("lossy files: what was written through stays, what was not synced beside it may go") {
  LossyFileSystem files;
  auto file = Create(files, "d/a");
  constexpr size_t kBlock = File::kBlockBytes;
  REQUIRE(file->WriteAt(0, std::string(2 * kBlock, '0')).ok());
  REQUIRE(file->Sync().ok());
  REQUIRE(files.SyncDirectory("d").ok());
  REQUIRE(file->WriteAt(0, "lost").ok());
  PageBuffer buffer(kBlock);
  std::fill_n(buffer.data(), kBlock, 'x');
  REQUIRE(file->WriteThrough(kBlock, {buffer.data(), kBlock}).ok());
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const std::string left = files.Crash(seed)->Content("d/a");
    REQUIRE(left.substr(kBlock) == std::string(kBlock, 'x'));
    seen.insert(left.substr(0, 4));
  }
  CHECK(seen.contains("0000"));
  CHECK(seen.contains("lost"));
}

TEST_CASE("lossy files: names stay in order, and for good when the directory is synced") {
  LossyFileSystem files;
  auto file = Create(files, "d/a");
  REQUIRE(file->WriteAt(0, "x").ok());
  REQUIRE(file->Sync().ok());
  CHECK(files.Crash(0)->Kill()->operations() == 0);
  std::set<std::vector<std::string>> seen;
  const auto look = [&] {
    seen.clear();
    for (uint64_t seed = 0; seed < 200; ++seed) {
      auto left = files.Crash(seed);
      REQUIRE(left->CreateDirectory("d").ok());
      seen.insert(left->List("d").value());
    }
    return seen;
  };
  CHECK(look() == std::set<std::vector<std::string>>{{}, {"a"}});
  REQUIRE(files.SyncDirectory("d").ok());
  CHECK(look() == std::set<std::vector<std::string>>{{"a"}});
  REQUIRE(files.Rename("d/a", "d/b").ok());
  auto second = Create(files, "d/c");
  REQUIRE(files.Remove("d/b").ok());
  CHECK(look() == std::set<std::vector<std::string>>{{"a"}, {"b"}, {"b", "c"}, {"c"}});
  REQUIRE(files.SyncDirectory("d").ok());
  CHECK(look() == std::set<std::vector<std::string>>{{"c"}});
}

TEST_CASE("lossy files: after a sync that failed, one that goes well brings nothing back") {
  LossyFileSystem files;
  auto file = Create(files, "d/a");
  REQUIRE(files.SyncDirectory("d").ok());
  files.Fail(Operation::kSync, 1, /*once=*/true, "Input/output error");
  REQUIRE(file->WriteAt(0, "lost").ok());
  Status failed = file->Sync();
  REQUIRE(!failed.ok());
  CHECK(failed.message() == "cannot sync d/a: Input/output error");
  REQUIRE(file->WriteAt(4, "kept").ok());
  REQUIRE(file->Sync().ok());
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 50; ++seed) seen.insert(files.Crash(seed)->Content("d/a"));
  CHECK(seen == std::set<std::string>{"lostkept", std::string(4, 0) + "kept"});
}

TEST_CASE("lossy files: faults come when told, once or until they are mended") {
  LossyFileSystem files;
  auto file = Create(files, "d/a");
  files.Fail(Operation::kWrite, 2, /*once=*/false, "No space left on device");
  CHECK(file->WriteAt(0, "first").ok());
  Status failed = file->WriteAt(5, "second");
  REQUIRE(!failed.ok());
  CHECK(failed.message() == "cannot write at 5 to d/a: No space left on device");
  CHECK(!file->WriteAt(5, "second").ok());
  CHECK(std::string("firstsecond").starts_with(files.Content("d/a")));
  files.Recover();
  CHECK(file->WriteAt(5, "second").ok());
  CHECK(files.faults() == 2);
  for (auto [operation, name] :
       {std::pair(Operation::kCreate, "create"), {Operation::kRename, "rename"}}) {
    files.Fail(operation, 1, true, "Input/output error");
    Status status = operation == Operation::kCreate
                        ? std::move(files.Open("d/b", OpenMode::kCreate)).status()
                        : files.Rename("d/a", "d/b");
    REQUIRE(!status.ok());
    CHECK(status.message().find(name) != std::string::npos);
    CHECK(!files.Exists("d/b"));
  }
  CHECK(files.Lock("d/lock").ok());
  auto held = files.Lock("d/lock");
  REQUIRE(held.ok());
  CHECK(!files.Lock("d/lock").ok());
}

}  // namespace
}  // namespace fluxkv::persist
