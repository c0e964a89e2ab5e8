// Goal: bytes that go through to the disk and those that go through the system's cache make one
// file, with and without a file system that can write past the cache. Method: random writes of both
// kinds to real files beside a model in memory; in /dev/shm too, which on some systems can not.
#include <random>
#include <string>

#include <unistd.h>

#include "persist/file_system.h"
#include "persist/page_buffer.h"
#include "tests/config/temp_dir.h"
#include "tests/engine/test_support.h"

namespace fluxkv::persist {
namespace {

using engine::TestSeed;

constexpr size_t kBlock = File::kBlockBytes;
constexpr size_t kBlocks = 64;

void WriteBothWays(const std::string& path, uint64_t seed) {
  CAPTURE(path);
  std::mt19937_64 random(seed);
  PosixFileSystem files;
  auto file = files.Open(path, OpenMode::kCreate);
  REQUIRE(file.ok());
  std::string model(kBlock * kBlocks, '\0');
  REQUIRE(file.value()->WriteAt(0, model).ok());
  REQUIRE(file.value()->Sync().ok());
  PageBuffer buffer(model.size());
  std::string read(model.size(), '\0');
  for (int i = 0; i < 300; ++i) {
    const bool through = random() % 3 != 0;
    const size_t at = through ? random() % kBlocks * kBlock : random() % model.size();
    const size_t left = model.size() - at;
    const size_t size = through ? (1 + random() % (left / kBlock)) * kBlock : 1 + random() % left;
    std::fill_n(buffer.data(), size, static_cast<char>('a' + i % 26));
    const std::string_view bytes{buffer.data(), size};
    const Status status =
        through ? file.value()->WriteThrough(at, bytes) : file.value()->WriteAt(at, bytes);
    REQUIRE_MESSAGE(status.ok(), status.message());
    model.replace(at, size, bytes);
    const auto got = file.value()->ReadAt(0, read.data(), read.size());
    REQUIRE(got.ok());
    REQUIRE(got.value() == read.size());
    REQUIRE((read == model));
  }
  REQUIRE(file.value()->Size().value() == model.size());
}

TEST_CASE("files: what goes through and what goes through the cache make one file") {
  FLUXKV_SEEDED(seed);
  config::TempDir directory;
  WriteBothWays(directory.Path("file"), seed);
  const std::string shared = "/dev/shm/fluxkv-" + std::to_string(::getpid());
  if (::access("/dev/shm", W_OK) == 0) {
    WriteBothWays(shared, seed);
    ::unlink(shared.c_str());
  }
}

// A segment that somebody replaces under its name stays the writer's.
TEST_CASE("files: what goes through goes to the file that was opened, whatever has its name") {
  config::TempDir directory;
  PosixFileSystem files;
  const std::string path = directory.Path("file");
  auto file = files.Open(path, OpenMode::kCreate);
  REQUIRE(file.ok());
  REQUIRE(file.value()->WriteAt(0, std::string(kBlock, 'a')).ok());
  REQUIRE(files.Rename(path, directory.Path("moved")).ok());
  directory.Write("file", "another");
  PageBuffer buffer(kBlock);
  std::fill_n(buffer.data(), kBlock, 'b');
  REQUIRE(file.value()->WriteThrough(0, {buffer.data(), kBlock}).ok());
  CHECK(directory.Read("file") == "another");
  CHECK(directory.Read("moved") == std::string(kBlock, 'b'));
}

TEST_CASE("files: a write through that the system refuses is an error that names file and place") {
  PosixFileSystem files;
  auto file = files.Open("/dev/full", OpenMode::kReadWrite);
  REQUIRE(file.ok());
  PageBuffer buffer(kBlock);
  const Status status = file.value()->WriteThrough(kBlock, {buffer.data(), kBlock});
  CHECK(status.message() == "cannot write at 4096 to /dev/full: No space left on device");
}

}  // namespace
}  // namespace fluxkv::persist
