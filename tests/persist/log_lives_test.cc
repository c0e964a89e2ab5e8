// Goal: whatever happens to a log over many starts, faults and power losses, what is found is what
// was written up to some record: all that was on disk, in order, nothing twice, nothing that was
// given up before.
// Method: random lives of a writer on a file system that loses, tears and fails, without threads
// (a seed repeats everything); each ends with a power loss or a kill after a random operation, and
// the next one begins with what that left.
#include <algorithm>

#include "tests/persist/log_support.h"

namespace fluxkv::persist {
namespace {

// What the outside world knows of a log at an operation of the file system.
struct Known {
  uint64_t operation;  // from here on
  Stamp synced;        // the writer said so
  Stamp written;       // likewise
  Stamp snapshot;      // on disk
};

struct Lives {
  explicit Lives(uint64_t seed) : random(seed) {}

  // Sizes of which some make records end where segments end.
  size_t AnySize() {
    switch (random() % 6) {
      case 0:
        return random() % 9000;
      case 1:
        return 2048 - 40 - 16 - 4;
      case 2:
        return random() % 20 == 0 ? kSegmentBytesMin * (1 + random() % 3) : 4000;
      default:
        return random() % 300;
    }
  }

  void Note(const TestLog& log) {
    known.push_back(
        {log.files->operations(), log.writer.synced_stamp(), log.writer.written_stamp(), snapshot});
  }

  // One life, from a start to its end; what it leaves is in `files`.
  void Run(bool faults) {
    TestLog log(std::move(files), 2 + random() % 4, kSegmentBytesMin);
    const ReadLog read = log.Begin(snapshot);
    INFO("after life ", life, ": ", read.error);
    REQUIRE(read.error.empty());
    Judge(read);
    known.clear();
    stamp += 1000;  // as Persistence does, no stamp is used twice
    Note(log);
    const uint64_t operations_at_start = log.files->operations();
    uint64_t until_mended = 0;
    for (uint64_t step = random() % 60; step > 0; --step) {
      if (faults && random() % 12 == 0) {
        static constexpr Operation kAny[] = {Operation::kWrite,  Operation::kSync,
                                             Operation::kCreate, Operation::kRename,
                                             Operation::kRemove, Operation::kSyncDirectory};
        log.files->Fail(kAny[random() % 6], 1 + random() % 3, random() % 2 == 0,
                        "Input/output error");
        until_mended = 1 + random() % 6;
      }
      if (until_mended > 0 && --until_mended == 0) log.files->Recover();
      Step(log);
      Note(log);
    }
    End(log, operations_at_start);
  }

  void Step(TestLog& log) {
    Status status;
    if (log.writer.failed()) {
      status = log.writer.Mend(0);
    } else if (log.writer.blocked() && random() % 2 == 0) {
      status = log.writer.Resume(0);
    }
    switch (random() % 8) {
      case 0:
      case 1:
        if (!log.writer.failed()) status = log.writer.Sync();
        break;
      case 2:
        if (random() % 2 == 0) {
          TakeSnapshot(log);
          status = log.writer.SnapshotDone(snapshot);
          break;
        }
        [[fallthrough]];
      default: {
        engine::LogRecords records;
        for (uint64_t i = 1 + random() % 4; i > 0; --i) {
          AddRecord(&records, ++stamp, AnySize());
          stamps.push_back(stamp);
        }
        status = log.writer.Append(records, 0, random() % 2 == 0 ? Way::kCached : Way::kThrough);
      }
    }
    static_cast<void>(status);  // the writer knows that it has failed
  }

  // A snapshot of all commits so far, or of those up to a stamp; on disk at once.
  void TakeSnapshot(TestLog& log) {
    const Stamp of = random() % 2 == 0 || stamps.empty() ? stamp : stamps[random() % stamps.size()];
    if (of < snapshot) return;
    snapshot = of;
    Note(log);
  }

  void End(TestLog& log, uint64_t operations_at_start) {
    const uint64_t all = log.files->operations();
    const uint64_t at = operations_at_start + random() % (all - operations_at_start + 1);
    // The last thing that was known before the operation behind the crash.
    const Known* last = &known.front();
    for (const Known& k : known) {
      if (k.operation <= at) last = &k;
    }
    snapshot = last->snapshot;
    killed = random() % 3 == 0;
    // A fault loses what the system had been given; then only what is on disk is promised.
    promised = killed && log.files->faults() == 0 ? last->written : last->synced;
    files = killed ? log.files->KillAfter(at) : log.files->CrashAfter(at, random());
    ++life;
  }

  void Judge(const ReadLog& read) {
    REQUIRE(read.whole);
    const auto begin = std::upper_bound(stamps.begin(), stamps.end(), snapshot);
    const size_t found = read.stamps.size();
    REQUIRE(found <= static_cast<size_t>(stamps.end() - begin));
    REQUIRE(std::equal(read.stamps.begin(), read.stamps.end(), begin));
    const Stamp newest = found == 0 ? snapshot : read.stamps.back();
    INFO("promised ", promised, ", newest found ", newest);
    const auto promised_end = std::upper_bound(stamps.begin(), stamps.end(), promised);
    REQUIRE((promised_end - stamps.begin()) <= (begin - stamps.begin()) + static_cast<long>(found));
    // What was lost never comes back.
    stamps.erase(begin + static_cast<long>(found), stamps.end());
    stamp = std::max(stamp, newest);
  }

  std::mt19937_64 random;
  std::unique_ptr<LossyFileSystem> files = std::make_unique<LossyFileSystem>();
  std::vector<Stamp> stamps;  // of all commits that are not lost, rising
  Stamp stamp = 0, snapshot = 0, promised = 0;
  bool killed = false;
  int life = 0;
  std::vector<Known> known;
};

void RunLives(bool faults, int count) {
  FLUXKV_SEEDED(seed);
  for (int i = 0; i < count / kSlower; ++i) {
    INFO("lives ", i);
    Lives lives(seed + static_cast<uint64_t>(i));
    for (int life = 0; life < 12; ++life) lives.Run(faults);
  }
}

TEST_CASE("log lives: many starts and power losses lose nothing that was on disk") {
  RunLives(/*faults=*/false, 150);
}

TEST_CASE("log lives: with a disk that fails and recovers in between") {
  RunLives(/*faults=*/true, 150);
}

}  // namespace
}  // namespace fluxkv::persist
