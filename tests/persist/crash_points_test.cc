// Goal: at whatever moment the power goes or the process is killed, a start finds the state after
// some commit, none in part, and no commit is missing that the mode's promise speaks of: in full
// mode what was safe when the power went, in relaxed mode what was safe when the process was killed
// and what was said to be on disk when the power went. Method: random commits, snapshots between
// them, small segments; every operation of the file system notes what was promised before it;
// afterwards, for every number of operations, the files as a crash then would have left them are
// loaded and compared with the model at the stamp found.
#include <mutex>

#include "tests/persist/life.h"

namespace fluxkv::persist {
namespace {

struct Promise {
  Stamp safe, durable;
};

// What was promised before each operation.
class Promises {
 public:
  explicit Promises(Life& life) : life_(life) {
    life.files.set_on_operation([this](uint64_t operation, Operation) {
      const Stamp safe = life_.safe();
      if (promises_.empty()) begin_ = operation;
      promises_.push_back({safe == engine::CommitLog::kEverything ? 0 : safe,
                           life_.persistence == nullptr ? 0 : life_.persistence->durable_stamp()});
    });
  }
  ~Promises() { life_.files.set_on_operation({}); }
  Promises(const Promises&) = delete;
  Promises& operator=(const Promises&) = delete;

  // Before the operation behind the first `operations`; nullopt: at the end.
  const Promise* After(uint64_t operations) const {
    const uint64_t i = operations - begin_;
    return i < promises_.size() ? &promises_[i] : nullptr;
  }

 private:
  Life& life_;
  uint64_t begin_ = 0;
  std::vector<Promise> promises_;
};

void RunCrashPoints(Mode mode, uint64_t seed, int commits, int seeds_a_point) {
  std::mt19937_64 random(seed);
  LossyFileSystem files;
  Life life(files,
            {.mode = mode, .segments = 4, .interval_ms = 1 + static_cast<int64_t>(random() % 3)});
  REQUIRE(life.Start() == "");
  Promises promises(life);
  // The first operations were done before anybody could be promised anything.
  const uint64_t begin = files.operations();
  uint64_t snapshots = 0;
  for (int i = 0; i < commits; ++i) {
    const Stamp stamp = life.Random(random);
    if (random() % 3 == 0) life.log().Wake();
    if (random() % 3 == 0) life.persistence->WriteLog();
    if (random() % 3 == 0) life.persistence->SyncLog();
    if (random() % 4 == 0) REQUIRE(life.WaitSafe(stamp));
    if (random() % 25 == 0) {
      REQUIRE(life.persistence->RequestSnapshot(false).ok());
      ++snapshots;
    }
    REQUIRE(life.WaitAdmission(engine::CommitLog::Admission::kOpen));
  }
  REQUIRE(life.Stop() == "");
  const uint64_t end = files.operations();
  CHECK(end > begin);
  for (uint64_t at = begin; at <= end; ++at) {
    const Promise* promise = promises.After(at);
    if (promise == nullptr) continue;
    INFO("after operation ", at, " of ", end);
    CheckCrash(*files.KillAfter(at), life.history, promise->safe);
    for (int i = 0; i < seeds_a_point; ++i) {
      INFO("power loss ", i);
      CheckCrash(*files.CrashAfter(at, seed + at + static_cast<uint64_t>(i)), life.history,
                 mode == Mode::kFull ? promise->safe : promise->durable);
    }
  }
}

}  // namespace

TEST_CASE("crash points: full mode, after every operation") {
  FLUXKV_SEEDED(seed);
  for (uint64_t i = 0; i < 2; ++i) RunCrashPoints(Mode::kFull, seed + i, 160 / kSlower, 2);
}

TEST_CASE("crash points: relaxed mode, after every operation") {
  FLUXKV_SEEDED(seed);
  for (uint64_t i = 0; i < 2; ++i) RunCrashPoints(Mode::kRelaxed, seed + i, 200 / kSlower, 2);
}

TEST_CASE("crash points: [slow] many seeds in both modes") {
  FLUXKV_SEEDED(seed);
  for (uint64_t i = 0; i < 20 / kSlower; ++i)
    RunCrashPoints(i % 2 == 0 ? Mode::kFull : Mode::kRelaxed, seed + i, 300, 2);
}

// Life after life on what a crash left; the crash may come while the next one starts.
TEST_CASE("crash points: lives that follow each other lose nothing that was promised") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  for (int chain = 0; chain < 12 / kSlower + 1; ++chain) {
    std::vector<std::unique_ptr<LossyFileSystem>> lives;
    auto files = std::make_unique<LossyFileSystem>();
    History history;
    // Of a power loss `durable`, of a kill `safe`.
    Promise promised{0, 0};
    bool killed = false;
    for (int number = 0; number < 6; ++number) {
      INFO("chain ", chain, " life ", number);
      const Mode mode = random() % 2 == 0 ? Mode::kFull : Mode::kRelaxed;
      Life life(*files, {.mode = mode, .segments = 3, .interval_ms = 2});
      Promises promises(life);
      REQUIRE(life.Start() == "");
      const uint64_t started = files->operations();
      const Stamp found = life.persistence->recovered().stamp;
      REQUIRE(life.Contents() == history.At(found));
      REQUIRE(history.NewestUpTo(found) >=
              history.NewestUpTo(killed ? promised.safe : promised.durable));
      history.Forget(found);
      life.history = history;
      for (uint64_t i = random() % 60; i > 0; --i) {
        const Stamp stamp = life.Random(random);
        if (random() % 3 == 0) REQUIRE(life.WaitSafe(stamp));
        if (random() % 25 == 0) REQUIRE(life.persistence->RequestSnapshot(false).ok());
        REQUIRE(life.WaitAdmission(engine::CommitLog::Admission::kOpen));
      }
      REQUIRE(life.Stop() == "");
      history = life.history;
      const uint64_t at = random() % (files->operations() + 1);
      if (!killed) promised.safe = promised.durable;  // what the power left is on disk
      if (at >= started) promised = {found, found};
      if (const Promise* promise = promises.After(at); promise != nullptr && at >= started) {
        promised.safe = std::max(found, promise->safe);
        promised.durable = std::max(found, mode == Mode::kFull ? promise->safe : promise->durable);
      }
      killed = random() % 2 == 0;
      auto left = killed ? files->KillAfter(at) : files->CrashAfter(at, random());
      lives.push_back(std::exchange(files, std::move(left)));
    }
  }
}

}  // namespace fluxkv::persist
