// Goal: bytes that go through to the disk and those that go through the system's cache make one
// file; whatever the system answers to the former, all of them are written or an error says where
// not. Method: random writes of both kinds to real files beside a model in memory, in /dev/shm too;
// and a pwritev2 that stands before the C library's and answers what a test wants.
#include <atomic>
#include <deque>
#include <random>
#include <string>
#include <vector>

#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "persist/file_system.h"
#include "persist/page_buffer.h"
#include "tests/config/temp_dir.h"
#include "tests/engine/test_support.h"

namespace fluxkv::persist {
namespace {

// What pwritev2 is to answer, one call after the other: -errno, or at most so many bytes; then it
// does what it is asked.
struct Script {
  std::atomic<bool> on{false};
  std::deque<ssize_t> answers;
  std::vector<int> flags;  // of each call
};

Script& TheScript() {
  static Script script;
  return script;
}

class Answers {
 public:
  explicit Answers(std::deque<ssize_t> answers) {
    TheScript().answers = std::move(answers);
    TheScript().flags.clear();
    TheScript().on = true;
  }
  ~Answers() { TheScript().on = false; }
  const std::vector<int>& flags() const { return TheScript().flags; }
};

}  // namespace
}  // namespace fluxkv::persist

extern "C" ssize_t pwritev2(int fd, const iovec* pieces, int count, off_t offset, int flags) {
  fluxkv::persist::Script& script = fluxkv::persist::TheScript();
  iovec piece = pieces[0];
  if (script.on) {
    script.flags.push_back(flags);
    if (!script.answers.empty()) {
      const ssize_t answer = script.answers.front();
      script.answers.pop_front();
      if (answer < 0) errno = static_cast<int>(-answer);
      if (answer <= 0) return answer == 0 ? 0 : -1;
      piece.iov_len = std::min(piece.iov_len, static_cast<size_t>(answer));
    }
  }
  return ::syscall(SYS_pwritev2, fd, count == 1 ? &piece : pieces, count, offset, 0, flags);
}

namespace fluxkv::persist {
namespace {

using engine::TestSeed;

constexpr size_t kBlock = File::kBlockBytes;
constexpr size_t kBlocks = 64;

// Calls it with the path of a file in memory, if there can be one.
template <class Use>
bool WithShared(Use use) {
  if (::access("/dev/shm", W_OK) != 0) return false;
  const std::string path = "/dev/shm/fluxkv-" + std::to_string(::getpid());
  const bool result = use(path);
  ::unlink(path.c_str());
  return result;
}

void WriteBothWays(const std::string& path, uint64_t seed) {
  CAPTURE(path);
  std::mt19937_64 random(seed);
  PosixFileSystem files;
  auto file = files.Open(path, OpenMode::kCreate);
  REQUIRE(file.ok());
  std::string model(kBlock * kBlocks, '\0');
  REQUIRE(file.value()->WriteAt(0, model).ok());
  PageBuffer buffer(model.size());
  std::string read(model.size(), '\0');
  for (int i = 0; i < 300; ++i) {
    const bool through = random() % 3 != 0;
    const size_t at = through ? random() % kBlocks * kBlock : random() % model.size();
    const size_t left = model.size() - at;
    const size_t size = through ? (1 + random() % (left / kBlock)) * kBlock : 1 + random() % left;
    std::fill_n(buffer.data(), size, static_cast<char>('a' + i % 26));
    const std::string_view bytes{buffer.data(), size};
    if (through) REQUIRE(file.value()->Sync().ok());  // it is required
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
  WithShared([seed](const std::string& path) {
    WriteBothWays(path, seed);
    return true;
  });
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
  REQUIRE(file.value()->Sync().ok());
  REQUIRE(file.value()->WriteThrough(0, {buffer.data(), kBlock}).ok());
  CHECK(directory.Read("file") == "another");
  CHECK(directory.Read("moved") == std::string(kBlock, 'b'));
}

struct Asked {
  Status status;
  std::vector<int> flags, again;  // of the calls of one write, and of one more to the same file
  bool written;
  std::string path;
};

// Writes four blocks to this file while the system answers so.
Asked Ask(const std::string& path, std::deque<ssize_t> answers) {
  PosixFileSystem files;
  Asked asked{{}, {}, {}, false, path};
  auto file = files.Open(asked.path, OpenMode::kCreate);
  REQUIRE(file.ok());
  REQUIRE(file.value()->WriteAt(0, std::string(4 * kBlock, 'a')).ok());
  REQUIRE(file.value()->Sync().ok());
  PageBuffer buffer(4 * kBlock);
  for (size_t i = 0; i < 4 * kBlock; ++i) buffer.data()[i] = static_cast<char>('b' + i % 23);
  {
    Answers script(std::move(answers));
    asked.status = file.value()->WriteThrough(0, {buffer.data(), 4 * kBlock});
    asked.flags = script.flags();
  }
  std::string read(4 * kBlock, '\0');
  REQUIRE(file.value()->ReadAt(0, read.data(), read.size()).ok());
  asked.written = read == std::string_view(buffer.data(), 4 * kBlock);
  Answers script({});
  REQUIRE(file.value()->WriteThrough(0, {buffer.data(), kBlock}).ok());
  asked.again = script.flags();
  return asked;
}

// False where the file system has no direct writes.
bool AskForAll(const std::string& path) {
  CAPTURE(path);
  const std::vector<int> once = {RWF_DSYNC};
  const Asked plain = Ask(path, {});
  REQUIRE(plain.status.ok());
  CHECK(plain.written);
  if (plain.flags.empty()) return false;
  CHECK(plain.flags == once);
  CHECK(plain.again == once);

  const Asked interrupted = Ask(path, {-EINTR, kBlock, -EINTR, 2 * kBlock});
  CHECK(interrupted.status.ok());
  CHECK(interrupted.written);
  CHECK(interrupted.flags.size() == 5);
  CHECK(interrupted.again == once);

  for (const int error : {EINVAL, EOPNOTSUPP, ENOMEM, EAGAIN}) {
    for (const std::deque<ssize_t>& answers :
         {std::deque<ssize_t>{-error}, std::deque<ssize_t>{kBlock, -error}}) {
      const Asked refused = Ask(path, answers);
      CHECK(refused.status.ok());
      CHECK(refused.written);
      CHECK(refused.flags.size() == answers.size());
      CHECK(refused.again.empty());  // not again
    }
  }

  const Asked failed = Ask(path, {kBlock, -EIO});
  CHECK(failed.status.message() ==
        "cannot write through at 4096 to " + failed.path + ": Input/output error");
  const Asked nothing = Ask(path, {0});
  CHECK(nothing.status.message() ==
        "cannot write through at 0 to " + nothing.path + ": Input/output error");
  return true;
}

TEST_CASE("files: a write through asks for the disk, and goes on or falls back as it is answered") {
  config::TempDir directory;
  const bool direct = AskForAll(directory.Path("file"));
  const bool shared_direct = WithShared(AskForAll);
  if (!direct && !shared_direct) MESSAGE("no direct writes here: only the fallback was looked at");
}

TEST_CASE("files: a file that cannot write through writes and syncs, and tells of either's error") {
  struct Plain : File {
    Status WriteAt(uint64_t offset, std::string_view bytes) override {
      calls += "write " + std::to_string(offset) + " " + std::to_string(bytes.size()) + ";";
      return write;
    }
    Result<size_t> ReadAt(uint64_t, char*, size_t) override { return size_t{0}; }
    Status Sync() override {
      calls += "sync;";
      return sync;
    }
    Result<uint64_t> Size() override { return uint64_t{0}; }
    const std::string& path() const override { return calls; }
    std::string calls;
    Status write, sync;
  };
  const std::string bytes(kBlock, 'a');
  Plain file;
  CHECK(file.WriteThrough(kBlock, bytes).ok());
  CHECK(file.calls == "write 4096 4096;sync;");
  file.sync = Status::Error(ErrorKind::kIo, "no sync");
  CHECK(file.WriteThrough(0, bytes).message() == "no sync");
  file.write = Status::Error(ErrorKind::kIo, "no write");
  CHECK(file.WriteThrough(0, bytes).message() == "no write");
  // Of a device that has no room, by the real one.
  PosixFileSystem files;
  auto full = files.Open("/dev/full", OpenMode::kReadWrite);
  REQUIRE(full.ok());
  CHECK(full.value()->WriteThrough(kBlock, bytes).message() ==
        "cannot write at 4096 to /dev/full: No space left on device");
}

}  // namespace
}  // namespace fluxkv::persist
