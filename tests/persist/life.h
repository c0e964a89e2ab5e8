// A process as the tests of durability see it, from its start to its end: a database, and
// Persistence with its threads on a file system in memory; and the model of what its commits did.
//
//   Life life(files, {.mode = Mode::kFull});
//   REQUIRE(life.Start() == "");
//   life.Set(0, "key", "value");
//   CHECK(life.Contents() == life.history.At(life.stamp()));
//
// Threads: one, but for what Persistence starts. Errors: as texts, empty if there was none.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "engine/loader.h"
#include "persist/persistence.h"
#include "persist/recovery.h"
#include "tests/engine/test_support.h"
#include "tests/persist/lossy_file_system.h"
#include "types/string_value.h"
#include "types/value_loader.h"

namespace fluxkv::persist {

using engine::TestSeed;

inline constexpr uint32_t kTestDatabases = 4;
inline constexpr int64_t kFarFuture = int64_t{1} << 50;

struct TestValue {
  std::string text;
  int64_t expiry_ms = engine::kNoExpiry;
  bool operator==(const TestValue&) const = default;
};
using TestKeys = std::map<std::string, TestValue>;
using TestContents = std::array<TestKeys, kTestDatabases>;

engine::VersionPtr StringValue(const std::string& text, int64_t expiry_ms);

// What databases held after each commit.
class History {
 public:
  // A commit's changes, applied to what was there before it.
  void Add(Stamp stamp, std::function<void(TestContents&)> change) {
    changes_.emplace_back(stamp, std::move(change));
  }
  // After every commit up to this stamp, without keys that are past their deadline.
  TestContents At(Stamp stamp, int64_t now_ms = Clock().now_ms()) const;
  // The newest commit at or below this stamp; 0: none.
  Stamp NewestUpTo(Stamp stamp) const;
  // Commits above this stamp were lost.
  void Forget(Stamp above);

 private:
  std::vector<std::pair<Stamp, std::function<void(TestContents&)>>> changes_;
};

// Every live key of the database, found in order of key; `error` when SCAN, the count or the order
// disagree.
TestContents ReadContents(engine::Database& database, engine::Handle& handle, std::string* error);

// A database loaded from a directory, without a log behind it.
struct Loaded {
  std::string error;
  TestContents contents;
  Recovered recovered;
};
Loaded Load(FileSystem& files);

struct LifeOptions {
  Mode mode = Mode::kFull;
  uint64_t segment_bytes = kSegmentBytesMin;
  size_t segments = 8;
  int64_t interval_ms = 5;
  int64_t snapshot_after_bytes = 0;
};

struct Life {
  Life(LossyFileSystem& on, LifeOptions options);
  ~Life();

  std::string Start();  // Open, Load and Start
  std::string Stop(bool save = false);

  // Each is one commit, waits for nothing, and returns its stamp.
  Stamp Set(uint32_t db, const std::string& key, const std::string& text,
            int64_t expiry_ms = engine::kNoExpiry);
  Stamp Delete(uint32_t db, const std::string& key);
  Stamp SetMany(const std::vector<std::pair<uint32_t, std::string>>& keys, const std::string& text);
  Stamp DeleteRange(uint32_t db, const engine::KeyInterval& interval);
  Stamp Clear(uint32_t db);
  Stamp Swap(uint32_t a, uint32_t b);
  Stamp ClearAndSwap(uint32_t a, uint32_t b, const std::string& key, const std::string& text);
  // Any of them.
  Stamp Random(std::mt19937_64& random);

  Stamp safe() const { return database.store().log.safe(); }
  engine::CommitLog& log() { return database.store().log; }
  // Waits up to ten seconds.
  bool WaitFor(const std::function<bool()>& condition);
  bool WaitSafe(Stamp stamp) {
    return WaitFor([&] {
      log().Wake();
      return log().IsSafe(stamp);
    });
  }
  bool WaitAdmission(engine::CommitLog::Admission admission) {
    return WaitFor([&] { return log().admission() == admission; });
  }
  std::string Snapshot();  // taken, waited for
  std::string Switch(Mode mode);
  TestContents Contents();

  LossyFileSystem& files;
  Clock clock;
  mutable engine::Database database;
  types::TypeLoader values;
  std::unique_ptr<Logger> logger;
  std::atomic<int64_t> interval_ms, commits{0}, bytes{0}, snapshot_after_bytes,
      snapshot_interval_s{0};
  std::vector<SavePoint> save_points;
  Options options;
  std::unique_ptr<Persistence> persistence;
  std::unique_ptr<engine::Session> session;
  History history;
};

// Fails the test unless a start from `left` finds the state after some commit, at or above
// `promised`.
inline void CheckCrash(LossyFileSystem& left, const History& history, Stamp promised) {
  const Loaded loaded = Load(left);
  REQUIRE(loaded.error == "");
  REQUIRE(loaded.contents == history.At(loaded.recovered.stamp));
  REQUIRE(history.NewestUpTo(loaded.recovered.stamp) >= history.NewestUpTo(promised));
}

}  // namespace fluxkv::persist
