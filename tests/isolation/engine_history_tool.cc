// Goal: whatever threads do to a few hot keys at once, the recorded history is strictly
// serializable (or, at the snapshot level, shows nothing but write skew).
// Method: threads mix every kind of transaction that the engine has, record what each saw and
// wrote with its times and commit stamp; after each round of some seconds the checker looks for
// cycles. Exit code 1 and the cycle on an anomaly.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>
#include <optional>
#include <random>
#include <thread>

#include "base/check.h"
#include "base/clock.h"
#include "engine/database.h"
#include "engine/handle.h"
#include "engine/transaction.h"
#include "tests/isolation/token_values.h"
#include "tests/isolation/tool_arguments.h"

namespace fluxkv::isolation {
namespace {

constexpr int kTries = 3;
constexpr int64_t kRoundNs = 2'000'000'000;
constexpr size_t kRoundTransactionsMax = 60'000;  // of one thread
constexpr uint64_t kTokensOfAThread = uint64_t{1} << 40;

struct Sizes {
  int64_t threads, keys;
  engine::Isolation isolation;
};

struct Totals {
  uint64_t transactions = 0, conflicts = 0, skews = 0;
};

// One thread's part of a round.
class Worker {
 public:
  Worker(engine::Database& database, const KeyNames& keys, engine::Isolation isolation,
         uint64_t seed, uint64_t first_token, std::atomic<bool>& stop)
      : database_(database),
        handle_(database.Attach()),
        keys_(keys),
        isolation_(isolation),
        random_(seed),
        token_(first_token),
        stop_(stop) {}

  void Run() {
    while (!stop_.load(std::memory_order_relaxed) && records_.size() < kRoundTransactionsMax)
      Step();
  }
  // Overwrites all keys: the beginning of a round.
  void WriteAll() {
    Latched("start", [this](Recorder& r) {
      for (uint32_t key = 0; key < keys_.size(); ++key) r.Overwrite(key, ++token_);
    });
  }
  void AddTo(History* history) const {
    for (const Entry& e : records_)
      history->Add(e.record, std::span(operations_).subspan(e.first, e.count));
  }
  uint64_t conflicts() const { return conflicts_; }
  size_t size() const { return records_.size(); }
  uint64_t token() const { return token_; }

 private:
  struct Entry {
    TransactionRecord record;
    size_t first, count;
  };

  uint32_t AnyKey() { return static_cast<uint32_t>(random_() % keys_.size()); }
  bool Chance(uint64_t of) { return random_() % of == 0; }

  void Step() {
    switch (random_() % 20) {
      case 0:
      case 1:
      case 2:
        return OneKeyUpdate();
      case 3:
      case 4:
        return ManyKeyUpdate();
      case 5:
      case 6:
      case 7:
        return Read(1);
      case 8:
      case 9:
        return Read(2 + random_() % 3);
      case 10:
        return ReadOnlyInteractive();
      case 11:
      case 12:
      case 13:
        return SnapshotExec();
      case 14:
        return Chance(40) ? ClearOne() : Chance(4) ? DeleteRange() : OneKeyUpdate();
      default:
        return Interactive();
    }
  }

  void Save(const char* label, int64_t begin, Outcome outcome, uint64_t order,
            const Recorder& recorder) {
    const bool writes = std::any_of(
        recorder.operations.begin(), recorder.operations.end(), [](const Operation& op) {
          return op.kind == Op::kAppend || op.kind == Op::kOverwrite || op.kind == Op::kDelete;
        });
    records_.push_back({{.begin = begin,
                         .end = MonotonicNs(),
                         .order = writes ? order : 0,
                         .outcome = outcome,
                         .label = label},
                        operations_.size(),
                        recorder.operations.size()});
    operations_.insert(operations_.end(), recorder.operations.begin(), recorder.operations.end());
  }

  template <class Body>
  void Latched(const char* label, Body body, std::vector<uint32_t> keys = {}) {
    engine::Handle::Scope epoch(*handle_);
    engine::Transaction txn(*handle_);
    Recorder recorder(txn, keys_);
    const int64_t begin = MonotonicNs();
    if (keys.empty()) {
      txn.BeginExclusive();
    } else {
      std::vector<engine::LatchKey> latches;
      for (uint32_t key : keys) latches.push_back(keys_.latch(key));
      txn.BeginLatched(latches);
    }
    body(recorder);
    ASSERT(txn.Commit());
    Save(label, begin, Outcome::kCommitted, txn.commit_stamp(), recorder);
  }

  void OneKeyUpdate() {
    const uint32_t key = AnyKey();
    const uint64_t kind = random_() % 8;
    Latched("update",
            [&](Recorder& r) {
              if (kind == 0) return r.Delete(key, ++token_);
              if (kind == 1) return r.Overwrite(key, ++token_);
              if (kind == 2) return static_cast<void>(r.Read(key));  // a failed NX
              r.Append(key, ++token_);
            },
            {key});
  }

  void ManyKeyUpdate() {
    const uint32_t a = AnyKey(), b = (a + 1 + AnyKey() % (keys_.size() - 1)) % keys_.size();
    const uint64_t kind = random_() % 3;
    Latched(kind == 0   ? "mset"
            : kind == 1 ? "rename"
                        : "copy",
            [&](Recorder& r) {
              if (kind == 0) {
                r.Overwrite(a, ++token_);
                r.Overwrite(b, ++token_);
              } else if (r.Read(a)) {
                r.Overwrite(b, ++token_);
                if (kind == 1) r.Delete(a, ++token_);
              }
            },
            {a, b});
  }

  void ClearOne() {
    const uint32_t db = random_() % 2;
    Latched("clear", [&](Recorder& r) {
      r.ClearDatabase(db, token_ + 1);
      token_ += keys_.size();
    });
  }

  // Settled at once, or for a while by those alone who write the keys.
  void DeleteRange() {
    database_.LimitSettling(Chance(2) ? std::nullopt : std::optional<uint64_t>(random_() % 4));
    engine::KeyInterval interval = engine::KeyInterval::OfPrefix("k");
    if (Chance(2)) interval.low = keys_.name(AnyKey());
    const uint32_t db = random_() % 2;
    engine::Transaction reader(*handle_);
    Latched("delrange", [&](Recorder& r) {
      r.DeleteRange(reader, db, interval, token_ + 1);
      token_ += keys_.size();
    });
  }

  // Without latch or snapshot, as the dispatcher does it.
  void Read(uint64_t count) {
    std::vector<uint32_t> keys;
    for (uint64_t i = 0; i < count; ++i) keys.push_back(AnyKey());
    engine::Handle::Scope epoch(*handle_);
    engine::Transaction txn(*handle_);
    Recorder recorder(txn, keys_);
    const int64_t begin = MonotonicNs();
    const auto read_all = [&] {
      recorder.Clear();
      for (uint32_t key : keys) {
        recorder.Read(key);
        if (count > 1 && Chance(16)) std::this_thread::yield();
      }
    };
    for (int i = 0; i < kTries; ++i) {
      txn.BeginRead();
      read_all();
      if (txn.Validate()) {
        ASSERT(txn.Commit());
        return Save(count == 1 ? "get" : "mget", begin, Outcome::kCommitted, 0, recorder);
      }
      txn.Rollback();
    }
    ASSERT(txn.BeginSnapshot(engine::Isolation::kSnapshot, true));
    read_all();
    ASSERT(txn.Commit());
    Save("mget at snapshot", begin, Outcome::kCommitted, 0, recorder);
  }

  // Between steps of an interactive transaction its thread is somewhere else.
  void Think() {
    handle_->Leave();
    switch (random_() % 4) {
      case 0:
        std::this_thread::yield();
        break;
      case 1:
        std::this_thread::sleep_for(std::chrono::microseconds(random_() % 200));
        break;
    }
    handle_->Enter();
  }

  void Interactive() {
    handle_->Enter();
    engine::Transaction txn(*handle_);
    Recorder recorder(txn, keys_);
    const int64_t begin = MonotonicNs();
    ASSERT(txn.BeginSnapshot(isolation_, false));
    const uint64_t steps = 2 + random_() % 4;
    for (uint64_t i = 0; i < steps; ++i) {
      InteractiveStep(&recorder);
      Think();
    }
    Finish("interactive", begin, txn, recorder);
    handle_->Leave();
  }

  void InteractiveStep(Recorder* recorder) {
    const uint32_t key = AnyKey();
    switch (random_() % 10) {
      case 0:
        return recorder->Walk(random_() % 2, Chance(2));
      case 1:
        return recorder->Overwrite(key, ++token_);
      case 2:
        return recorder->Append(key, ++token_);
      case 3:
        return Chance(2) ? recorder->Delete(key, ++token_) : recorder->Append(key, ++token_);
      default:
        recorder->Read(key);
    }
  }

  bool Finish(const char* label, int64_t begin, engine::Transaction& txn,
              const Recorder& recorder) {
    if (Chance(50)) {
      txn.Rollback();
      Save(label, begin, Outcome::kAborted, 0, recorder);
      return false;
    }
    const bool committed = txn.Commit();
    if (!committed) ++conflicts_;
    Save(label, begin, committed ? Outcome::kCommitted : Outcome::kAborted,
         committed ? txn.commit_stamp() : 0, recorder);
    return committed;
  }

  void ReadOnlyInteractive() {
    handle_->Enter();
    engine::Transaction txn(*handle_);
    Recorder recorder(txn, keys_);
    const int64_t begin = MonotonicNs();
    ASSERT(txn.BeginSnapshot(isolation_, true));
    const uint64_t steps = 2 + random_() % 3;
    for (uint64_t i = 0; i < steps; ++i) {
      if (Chance(4)) {
        recorder.Walk(random_() % 2, true);
      } else {
        recorder.Read(AnyKey());
      }
      Think();
    }
    ASSERT(txn.Commit());  // declared read-only: never a conflict
    Save("read-only", begin, Outcome::kCommitted, 0, recorder);
    handle_->Leave();
  }

  // A queue with undeclared reads: at a snapshot, tried again, then alone.
  void SnapshotExec() {
    engine::Handle::Scope epoch(*handle_);
    engine::Transaction txn(*handle_);
    Recorder recorder(txn, keys_);
    const uint32_t db = random_() % 2, write = AnyKey(), read = AnyKey();
    const bool tokens = Chance(2);
    const auto body = [&] {
      recorder.Clear();
      recorder.Walk(db, tokens);
      recorder.Read(read);
      if (Chance(8)) std::this_thread::yield();
      recorder.Append(write, ++token_);
    };
    for (int i = 0; i < kTries; ++i) {
      const int64_t begin = MonotonicNs();
      ASSERT(txn.BeginSnapshot(isolation_, false));
      body();
      const bool committed = txn.Commit();
      Save("exec", begin, committed ? Outcome::kCommitted : Outcome::kAborted,
           committed ? txn.commit_stamp() : 0, recorder);
      if (committed) return;
      ++conflicts_;
    }
    const int64_t begin = MonotonicNs();
    txn.BeginExclusive();
    body();
    ASSERT(txn.Commit());
    Save("exec alone", begin, Outcome::kCommitted, txn.commit_stamp(), recorder);
  }

  engine::Database& database_;
  std::unique_ptr<engine::Handle> handle_;
  const KeyNames& keys_;
  const engine::Isolation isolation_;
  std::mt19937_64 random_;
  uint64_t token_;
  std::atomic<bool>& stop_;
  std::vector<Entry> records_;
  std::vector<Operation> operations_;
  uint64_t conflicts_ = 0;
};

// False on an anomaly.
bool Round(engine::Database& database, Clock& clock, const Sizes& sizes, uint64_t seed,
           int64_t length_ns, Totals* totals) {
  const KeyNames keys(static_cast<uint32_t>(sizes.keys), static_cast<uint32_t>(sizes.keys / 3));
  std::atomic<bool> stop{false};
  std::vector<std::unique_ptr<Worker>> workers;
  for (int64_t i = 0; i <= sizes.threads; ++i) {
    workers.push_back(std::make_unique<Worker>(database, keys, sizes.isolation,
                                               seed * 1000 + static_cast<uint64_t>(i),
                                               static_cast<uint64_t>(i) * kTokensOfAThread, stop));
  }
  workers[0]->WriteAll();
  std::vector<std::thread> threads;
  for (int64_t i = 1; i <= sizes.threads; ++i)
    threads.emplace_back([&workers, i] { workers[static_cast<size_t>(i)]->Run(); });
  const int64_t until = MonotonicNs() + length_ns;
  while (MonotonicNs() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    clock.Tick();
  }
  stop.store(true);
  for (std::thread& t : threads) t.join();

  History history(keys.size());
  for (const auto& worker : workers) {
    worker->AddTo(&history);
    totals->conflicts += worker->conflicts();
  }
  Report report = history.Check();
  totals->transactions += report.transactions;
  totals->skews += report.Has("G2") || report.Has("G2-realtime");
  const bool serializable = sizes.isolation == engine::Isolation::kSerializable;
  if (!report.Violates(serializable ? Level::kSerializable : Level::kSnapshot)) return true;
  std::printf("seed %llu:\n%s", static_cast<unsigned long long>(seed), report.Text().c_str());
  return false;
}

bool RunLevel(const Sizes& sizes, uint64_t seed, int64_t seconds) {
  const char* level =
      sizes.isolation == engine::Isolation::kSerializable ? "serializable" : "snapshot";
  Clock clock;
  engine::Database database({}, clock);
  Totals totals;
  const int64_t until = MonotonicNs() + seconds * 1'000'000'000;
  bool good = true;
  for (uint64_t round = 0; good && (round == 0 || MonotonicNs() < until); ++round) {
    const int64_t left = std::max<int64_t>(until - MonotonicNs(), 100'000'000);
    good = Round(database, clock, sizes, seed + round, std::min(kRoundNs, left), &totals);
  }
  std::printf("%s: %llu transactions, %llu conflicts, rounds with write skew %llu: %s\n", level,
              static_cast<unsigned long long>(totals.transactions),
              static_cast<unsigned long long>(totals.conflicts),
              static_cast<unsigned long long>(totals.skews), good ? "no anomaly" : "ANOMALY");
  if (good && sizes.isolation == engine::Isolation::kSnapshot && totals.skews == 0) {
    std::printf("no write skew appeared at the snapshot level: the workload shows nothing\n");
    return false;
  }
  return good;
}

int Main(int argc, char** argv) {
  const ToolArguments arguments(
      argc, argv,
      {{"seconds", "10"}, {"seed", "1"}, {"threads", "4"}, {"keys", "6"}, {"level", "both"}});
  const auto seed = static_cast<uint64_t>(arguments.Number("seed"));
  const std::string& level = arguments.Text("level");
  Sizes sizes{arguments.Number("threads"), std::max<int64_t>(3, arguments.Number("keys")),
              engine::Isolation::kSerializable};
  const int64_t seconds = arguments.Number("seconds") / (level == "both" ? 2 : 1);
  bool good = true;
  if (level != "snapshot") good = RunLevel(sizes, seed, seconds);
  sizes.isolation = engine::Isolation::kSnapshot;
  if (level != "serializable") good &= RunLevel(sizes, seed, seconds);
  return good ? 0 : 1;
}

}  // namespace
}  // namespace fluxkv::isolation

int main(int argc, char** argv) {
  return fluxkv::isolation::Main(argc, argv);
}
