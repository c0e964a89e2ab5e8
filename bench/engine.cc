// The engine in process, without server and log:
//
//   build/bench/engine [scaling|shapes|threads|bank] [SECONDS] [SHAPE]
//
// scaling: point reads and transfers by one thread and by two, and beside them a loop that shares
// nothing: how much of what the machine gives a second thread each of them gets (1.00: all of it).
//
// shapes: 1 to 32 tasks on as many threads as there are processors; operations a second. Keys,
// values and mix are those of FluxMap's own benchmark (benches/performance.rs there): the numbers
// below 100,000 in decimal, drawn at random when they are needed, eight bytes, and each operation a
// transaction of its own. Reads, overwrites, eight reads to two writes, inserts into fresh stores,
// 100,000 each and, with the time to make and to destroy the store, 1000 each; transactions that
// swap one pair, in one store (there it is a new one for each swap of each task, and making it
// counts); walks over all keys with a prefix, 111 or 1111.
//
// threads: the same with a thread for each task. (Threads that have done their share of a store
// wait for the next one by yielding.)
//
// bank: 1000 accounts; transfers between two that look at a third, and audits of the whole
// (READONLY): how many were aborted, and how many would have been by who checks at the end that
// nothing read has changed.
//
// SECONDS (0.5) is how long each measurement takes; scaling takes the median of nine. SHAPE: how
// the names of the shapes begin that are wanted.
#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "engine/database.h"
#include "engine/handle.h"
#include "engine/keyspace.h"
#include "engine/store.h"
#include "engine/transaction.h"

namespace fluxkv::engine {
namespace {

constexpr uint32_t kDb = 0;
constexpr uint8_t kType = 1;

constexpr size_t kValueBytes = 64;  // usually
constexpr size_t kNumberBytes = sizeof(uint64_t);

VersionPtr NewValue(int64_t number, size_t bytes = kValueBytes) {
  VersionPtr value = Version::New(kType, 0, kNoExpiry, bytes);
  std::memset(value->mutable_payload(), 'x', bytes);
  std::memcpy(value->mutable_payload(), &number, sizeof(number));
  return value;
}

int64_t NumberOf(const Version* version) {
  int64_t number = 0;
  if (version != nullptr) std::memcpy(&number, version->payload().data(), sizeof(number));
  return number;
}

std::vector<std::string> NewKeys(size_t count) {
  std::vector<std::string> keys(count);
  for (size_t i = 0; i < count; ++i) {
    char key[32];
    std::snprintf(key, sizeof(key), "key:%012zu", i);
    keys[i] = key;
  }
  return keys;
}

// One thread's way into the database, and its random numbers.
struct Worker {
  Worker(Database& database, uint64_t seed) : handle(database.Attach()), random(seed) {}
  size_t Below(size_t n) { return static_cast<size_t>(random() % n); }

  std::unique_ptr<Handle> handle;
  std::mt19937_64 random;
};

void Put(Worker& worker, std::string_view bytes, int64_t number, size_t value_bytes = kValueBytes) {
  const Key key(bytes);
  const LatchKey latch[] = {{kDb, key.hash}};
  Transaction txn(*worker.handle);
  txn.BeginLatched(latch);
  txn.Put(kDb, key, NewValue(number, value_bytes));
  static_cast<void>(txn.Commit());
}

int64_t Read(Worker& worker, std::string_view bytes) {
  Transaction txn(*worker.handle);
  txn.BeginRead();
  const int64_t number = NumberOf(txn.Get(kDb, Key(bytes)));
  txn.Rollback();
  return number;
}

void Fill(Database& database, const std::vector<std::string>& keys, int64_t number) {
  Worker worker(database, 1);
  for (const std::string& key : keys) {
    Handle::Scope in_epoch(*worker.handle);
    Put(worker, key, number);
  }
}

// Operations a second, all threads together. make(thread) gives what a thread does again and again,
// some operations a call; it returns how many.
using Work = std::function<uint64_t()>;
double Rate(size_t threads, double seconds, const std::function<Work(size_t)>& make) {
  using std::chrono::steady_clock;
  std::atomic<size_t> ready{0};
  std::atomic<bool> begin{false}, end{false};
  std::atomic<uint64_t> done{0};
  std::vector<std::thread> running;
  for (size_t t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      const Work work = make(t);
      ++ready;
      while (!begin) std::this_thread::yield();
      uint64_t mine = 0;
      while (!end.load(std::memory_order_relaxed)) mine += work();
      done += mine;
    });
  }
  while (ready < threads) std::this_thread::yield();
  const auto started = steady_clock::now();
  begin = true;
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  end = true;
  const double took = std::chrono::duration<double>(steady_clock::now() - started).count();
  for (std::thread& thread : running) thread.join();
  return static_cast<double>(done) / took;
}

constexpr size_t kBatch = 64;  // operations an epoch, as a loop's batch of pipelined commands

Work Reads(Database& database, const std::vector<std::string>& keys, size_t thread) {
  return [worker = std::make_shared<Worker>(database, thread + 1), &keys] {
    Handle::Scope in_epoch(*worker->handle);
    for (size_t i = 0; i < kBatch; ++i) Read(*worker, keys[worker->Below(keys.size())]);
    return uint64_t{kBatch};
  };
}

// From one key to another, both latched: what MULTI/EXEC does with declared keys.
Work Transfers(Database& database, const std::vector<std::string>& keys, size_t thread) {
  return [worker = std::make_shared<Worker>(database, thread + 1), &keys] {
    Handle::Scope in_epoch(*worker->handle);
    for (size_t i = 0; i < kBatch; ++i) {
      const Key from(keys[worker->Below(keys.size())]), to(keys[worker->Below(keys.size())]);
      if (from.hash == to.hash) continue;
      const LatchKey latches[] = {{kDb, from.hash}, {kDb, to.hash}};
      Transaction txn(*worker->handle);
      txn.BeginLatched(latches);
      const int64_t has = NumberOf(txn.Get(kDb, from)), gets = NumberOf(txn.Get(kDb, to));
      txn.Put(kDb, from, NewValue(has - 1));
      txn.Put(kDb, to, NewValue(gets + 1));
      static_cast<void>(txn.Commit());
    }
    return uint64_t{kBatch};
  };
}

// A thread's own table, about as large as its share of the keys, read and written at random.
Work SharesNothing(size_t thread) {
  struct Own {
    explicit Own(uint64_t seed) : random(seed), table(size_t{1} << 20) {}
    std::mt19937_64 random;
    std::vector<uint64_t> table;
  };
  return [own = std::make_shared<Own>(thread + 1)] {
    for (size_t i = 0; i < kBatch; ++i) {
      uint64_t at = own->random();
      for (int n = 0; n < 8; ++n) at = own->table[at & (own->table.size() - 1)] += at >> 7 | 1;
    }
    return uint64_t{kBatch};
  };
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void Scaling(double seconds) {
  Clock clock;
  Database database({.databases = 1}, clock);
  const std::vector<std::string> keys = NewKeys(100'000);
  Fill(database, keys, 1000);
  const std::pair<const char*, std::function<Work(size_t)>> works[] = {
      {"shares nothing", SharesNothing},
      {"point reads", [&](size_t thread) { return Reads(database, keys, thread); }},
      {"transfers", [&](size_t thread) { return Transfers(database, keys, thread); }},
  };
  std::vector<double> gains[3], rates[3];
  for (int round = 0; round < 9; ++round) {
    for (size_t w = 0; w < 3; ++w) {
      const double one = Rate(1, seconds, works[w].second), two = Rate(2, seconds, works[w].second);
      rates[w].push_back(one);
      gains[w].push_back(two / one);
    }
  }
  std::printf("from one thread to two          one: op/s    gain    of what the machine gives\n");
  for (size_t w = 0; w < 3; ++w) {
    std::vector<double> shares;
    for (size_t r = 0; r < gains[w].size(); ++r) shares.push_back(gains[w][r] / gains[0][r]);
    std::printf("%-28s %13.0f %7.2f %7.2f\n", works[w].first, Median(rates[w]), Median(gains[w]),
                Median(shares));
  }
}

// Both read and both written, as BEGIN and COMMIT do it; only commits count.
Work Swaps(Database& database, const std::vector<std::string>& keys, size_t thread) {
  return [worker = std::make_shared<Worker>(database, thread + 1), &keys] {
    const Key a(keys[0]), b(keys[1]);
    Transaction txn(*worker->handle);
    if (!txn.BeginSnapshot(Isolation::kSerializable, false)) std::abort();
    Handle::Scope in_epoch(*worker->handle);
    const int64_t x = NumberOf(txn.Get(kDb, a)), y = NumberOf(txn.Get(kDb, b));
    txn.Put(kDb, a, NewValue(y, kNumberBytes));
    txn.Put(kDb, b, NewValue(x, kNumberBytes));
    return uint64_t{txn.Commit() ? 1U : 0U};
  };
}

constexpr uint64_t kNumbers = 100'000;

// A number in decimal.
class Digits {
 public:
  explicit Digits(uint64_t number)
      : end_(std::to_chars(digits_.data(), digits_.data() + digits_.size(), number).ptr) {}
  Digits(const Digits&) = delete;
  Digits& operator=(const Digits&) = delete;
  std::string_view text() const { return {digits_.data(), end_}; }

 private:
  std::array<char, 20> digits_;
  char* end_;
};

void FillNumbers(Database& database) {
  Worker worker(database, 1);
  for (uint64_t number = 0; number < kNumbers; ++number) {
    Handle::Scope in_epoch(*worker.handle);
    Put(worker, Digits(number).text(), static_cast<int64_t>(2 * number), kNumberBytes);
  }
}

// Reads and writes of keys that are there.
Work Mixed(Database& database, size_t reads_of_ten, size_t task) {
  return [worker = std::make_shared<Worker>(database, task + 1), reads_of_ten] {
    Handle::Scope in_epoch(*worker->handle);
    for (size_t i = 0; i < kBatch; ++i) {
      const Digits key(worker->random() % kNumbers);
      if (reads_of_ten == 10 || worker->Below(10) < reads_of_ten) {
        Read(*worker, key.text());
      } else {
        Put(*worker, key.text(), static_cast<int64_t>(worker->random()), kNumberBytes);
      }
    }
    return uint64_t{kBatch};
  };
}

void InsertNumbers(Database& database, size_t task, size_t count) {
  Worker worker(database, task);
  while (count > 0) {
    Handle::Scope in_epoch(*worker.handle);
    for (const size_t last = count - std::min(count, kBatch); count > last; --count) {
      Put(worker, Digits(worker.random() % kNumbers).text(), static_cast<int64_t>(worker.random()),
          kNumberBytes);
    }
  }
}

// Inserts a second into stores that are fresh and get so many. `with_making`: the time to make and
// to destroy a store counts.
double InsertRate(size_t tasks, size_t threads, double seconds, size_t inserts, bool with_making) {
  using std::chrono::steady_clock;
  std::optional<Database> database;
  std::atomic<size_t> round{0}, at_work{0};
  std::atomic<bool> end{false};
  const auto run = [&](size_t thread) {
    for (size_t task = thread; task < tasks; task += threads)
      InsertNumbers(*database, task, inserts / tasks);
  };
  std::vector<std::thread> others;
  for (size_t thread = 1; thread < threads; ++thread) {
    others.emplace_back([&, thread] {
      for (size_t seen = 0;; ++seen) {
        while (round == seen && !end) std::this_thread::yield();
        if (end) return;
        run(thread);
        --at_work;
      }
    });
  }
  Clock clock;
  double took = 0, done = 0;
  while (took < seconds) {
    auto started = steady_clock::now();
    database.emplace(Options{.databases = 1}, clock);
    if (!with_making) started = steady_clock::now();
    at_work = threads - 1;
    ++round;
    run(0);
    while (at_work > 0) std::this_thread::yield();
    const auto worked = steady_clock::now();
    database.reset();
    const auto ended = with_making ? steady_clock::now() : worked;
    took += std::chrono::duration<double>(ended - started).count();
    done += static_cast<double>(inserts / tasks * tasks);
  }
  end = true;
  for (std::thread& thread : others) thread.join();
  return done / took;
}

// Walks over all keys that begin as one of five digits does but for the last ones, at a snapshot
// each. Shorter ones do so as well: of 12345 without two digits 123, 1230 to 1239, 12300 to 12399.
Work PrefixScans(Database& database, size_t without, size_t task) {
  size_t begin_so = 1;
  for (size_t digit = 0, each = 1; digit < without; ++digit) begin_so += each *= 10;
  return [worker = std::make_shared<Worker>(database, task + 1), without, begin_so] {
    const Digits number(kNumbers / 10 + worker->random() % (kNumbers - kNumbers / 10));
    const std::string_view prefix = number.text().substr(0, number.text().size() - without);
    Transaction txn(*worker->handle);
    if (!txn.BeginSnapshot(Isolation::kSerializable, true)) std::abort();
    Handle::Scope in_epoch(*worker->handle);
    size_t seen = 0;
    txn.WalkInterval(kDb, KeyInterval::OfPrefix(prefix), Transaction::Direction::kUp,
                     [&](std::string_view, const Version& version) {
                       seen += version.payload().empty() ? 0 : 1;
                       return true;
                     });
    if (seen != begin_so) std::abort();
    txn.Rollback();
    return uint64_t{1};
  };
}

// So many tasks by turns on these threads.
double TaskRate(size_t tasks, size_t threads, double seconds,
                const std::function<Work(size_t)>& make) {
  return Rate(threads, seconds, [&](size_t thread) -> Work {
    std::vector<Work> mine;
    for (size_t task = thread; task < tasks; task += threads) mine.push_back(make(task));
    return [mine = std::move(mine), next = size_t{0}]() mutable {
      return mine[next++ % mine.size()]();
    };
  });
}

void Shapes(double seconds, std::string_view only, bool thread_each) {
  const size_t processors = std::max(std::thread::hardware_concurrency(), 1U);
  std::printf("thousand operations a second, by tasks%s\n%-24s",
              thread_each ? ", each a thread" : "", "");
  const size_t counts[] = {1, 2, 4, 8, 16, 32};
  for (const size_t tasks : counts) std::printf("%8zu", tasks);
  const std::vector<std::string> pair = {"1", "2"};
  struct Shape {
    const char* name;
    std::function<Work(Database&, size_t)> make;
    size_t inserts = 0;  // into each store, in the place of `make`
    bool with_making = false;
  };
  const Shape shapes[] = {
      {"reads", [](Database& d, size_t t) { return Mixed(d, 10, t); }},
      {"overwrites", [](Database& d, size_t t) { return Mixed(d, 0, t); }},
      {"8 reads to 2 writes", [](Database& d, size_t t) { return Mixed(d, 8, t); }},
      {"inserts, stores of 100k", {}, 100'000},
      {"inserts, stores of 1000", {}, 1000, true},
      {"swaps of one pair", [&](Database& d, size_t t) { return Swaps(d, pair, t); }},
      {"prefixes, 111 keys", [](Database& d, size_t t) { return PrefixScans(d, 2, t); }},
      {"prefixes, 1111 keys", [](Database& d, size_t t) { return PrefixScans(d, 3, t); }},
  };
  for (const Shape& shape : shapes) {
    if (!std::string_view(shape.name).starts_with(only)) continue;
    std::printf("\n%-24s", shape.name);
    for (const size_t tasks : counts) {
      const size_t threads = thread_each ? tasks : std::min(tasks, processors);
      double rate;
      if (shape.inserts > 0) {
        rate = InsertRate(tasks, threads, seconds, shape.inserts, shape.with_making);
      } else {
        Clock clock;
        Database database({.databases = 1}, clock);
        FillNumbers(database);
        rate = TaskRate(tasks, threads, seconds, [&](size_t t) { return shape.make(database, t); });
      }
      std::printf(rate < 1e6 ? "%8.1f" : "%8.0f", rate / 1000);
      std::fflush(stdout);
    }
  }
  std::printf("\n");
}

struct Outcomes {
  std::atomic<uint64_t> done{0}, aborted{0}, would_be{0};
};

// Whether a key has a newer version than the snapshot's. Past the transactions: a read of theirs
// would leave its mark, and be somebody to conflict with. Requires: inside an epoch.
bool Changed(Database& database, const Key& key, Stamp snapshot) {
  Node* node = nullptr;
  const Version* now = Newest(*database.store().Root(kDb)->keyspace, key, &node);
  return now == nullptr || now->stamp() > snapshot;
}

void Bank(double seconds) {
  constexpr size_t kAccounts = 1000;
  constexpr std::chrono::milliseconds kAuditEvery{20};
  Clock clock;
  Database database({.databases = 1}, clock);
  const std::vector<std::string> accounts = NewKeys(kAccounts);
  Fill(database, accounts, 1000);
  Outcomes transfers, audits;
  std::atomic<uint64_t> wrong{0};
  const auto transfer = [&](size_t thread) -> Work {
    return [&, worker = std::make_shared<Worker>(database, thread + 1)] {
      const Key from(accounts[worker->Below(kAccounts)]), to(accounts[worker->Below(kAccounts)]),
          looked_at(accounts[worker->Below(kAccounts)]);
      if (from.hash == to.hash) return uint64_t{0};
      Transaction txn(*worker->handle);
      if (!txn.BeginSnapshot(Isolation::kSerializable, false)) std::abort();
      {
        Handle::Scope in_epoch(*worker->handle);
        const int64_t has = NumberOf(txn.Get(kDb, from)), gets = NumberOf(txn.Get(kDb, to));
        const int64_t amount = NumberOf(txn.Get(kDb, looked_at)) > 1000 ? 2 : 1;
        txn.Put(kDb, from, NewValue(has - amount));
        txn.Put(kDb, to, NewValue(gets + amount));
      }
      std::this_thread::yield();  // a client would think, and others work
      const Stamp snapshot = txn.snapshot();
      Handle::Scope in_epoch(*worker->handle);
      const bool changed = Changed(database, from, snapshot) || Changed(database, to, snapshot) ||
                           Changed(database, looked_at, snapshot);
      const bool committed = txn.Commit();
      // What aborted had met a conflict by then, whether this saw it or came too early.
      transfers.would_be += changed || !committed ? 1 : 0;
      transfers.aborted += committed ? 0 : 1;
      ++transfers.done;
      return uint64_t{1};
    };
  };
  const auto audit = [&](size_t thread) -> Work {
    return [&, worker = std::make_shared<Worker>(database, thread + 1)] {
      Transaction txn(*worker->handle);
      if (!txn.BeginSnapshot(Isolation::kSerializable, true)) std::abort();
      int64_t sum = 0;
      for (const std::string& account : accounts) {
        Handle::Scope in_epoch(*worker->handle);
        sum += NumberOf(txn.Get(kDb, Key(account)));
      }
      Handle::Scope in_epoch(*worker->handle);
      bool changed = false;
      for (size_t i = 0; i < kAccounts && !changed; ++i)
        changed = Changed(database, Key(accounts[i]), txn.snapshot());
      audits.aborted += txn.Commit() ? 0 : 1;
      audits.would_be += changed ? 1 : 0;
      wrong += sum == static_cast<int64_t>(kAccounts) * 1000 ? 0 : 1;
      ++audits.done;
      std::this_thread::sleep_for(kAuditEvery);
      return uint64_t{1};
    };
  };
  Rate(8, seconds, [&](size_t thread) { return thread < 7 ? transfer(thread) : audit(thread); });
  const auto print = [](const char* name, const Outcomes& o) {
    const double all = static_cast<double>(o.done);
    std::printf("%-24s %9llu, aborted %7.3f %%, by validation of all reads %7.3f %%\n", name,
                static_cast<unsigned long long>(o.done), 100 * static_cast<double>(o.aborted) / all,
                100 * static_cast<double>(o.would_be) / all);
  };
  print("transfers (7 threads)", transfers);
  print("audits (1, READONLY)", audits);
  std::printf("audits with a wrong sum  %9llu\n", static_cast<unsigned long long>(wrong));
}

}  // namespace
}  // namespace fluxkv::engine

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  const double seconds = argc > 2 ? std::atof(argv[2]) : 0.5;
  const std::string_view shape = argc > 3 ? argv[3] : "";
  const auto wanted = [&](std::string_view name) { return what.empty() || what == name; };
  if (seconds <= 0 ||
      !(wanted("scaling") || wanted("shapes") || wanted("threads") || wanted("bank"))) {
    std::fprintf(stderr, "usage: engine [scaling|shapes|threads|bank] [SECONDS] [SHAPE]\n");
    return 2;
  }
  if (wanted("scaling")) fluxkv::engine::Scaling(seconds);
  if (wanted("shapes")) fluxkv::engine::Shapes(seconds, shape, /*thread_each=*/false);
  if (wanted("threads")) fluxkv::engine::Shapes(seconds, shape, /*thread_each=*/true);
  if (wanted("bank")) fluxkv::engine::Bank(seconds * 10);
  return 0;
}
