// Goal: whoever reads a ring of keys, each naming the next, sees one ring of all of them.
// Method: the Cycle workload of FoundationDB: writers exchange two neighbours by interactive
// transactions, latched ones and exclusive ones; readers go around by interactive transactions,
// by plain reads and by walks. Exit code 1 when a reader that committed has seen no ring.
#include <atomic>
#include <cstdio>
#include <random>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "engine/database.h"
#include "engine/handle.h"
#include "engine/transaction.h"
#include "tests/isolation/token_values.h"
#include "tests/isolation/tool_arguments.h"

namespace fluxkv::isolation {
namespace {

struct Figures {
  std::atomic<uint64_t> exchanges{0}, conflicts{0}, rings{0}, broken{0};
};

class Ring {
 public:
  Ring(engine::Database& database, const KeyNames& keys, engine::Isolation isolation,
       std::atomic<bool>& stop, Figures& figures)
      : database_(database), keys_(keys), isolation_(isolation), stop_(stop), figures_(figures) {}

  void Make() {
    auto handle = database_.Attach();
    engine::Handle::Scope epoch(*handle);
    engine::Transaction txn(*handle);
    txn.BeginExclusive();
    for (uint32_t key = 0; key < keys_.size(); ++key) Point(txn, key, (key + 1) % keys_.size());
    ASSERT(txn.Commit());
  }

  void Run(uint64_t seed) {
    auto handle = database_.Attach();
    std::mt19937_64 random(seed);
    while (!stop_.load(std::memory_order_relaxed)) {
      engine::Handle::Scope epoch(*handle);
      engine::Transaction txn(*handle);
      switch (random() % 8) {
        case 0:
          Walked(txn);
          break;
        case 1:
          ReadPlainly(txn);
          break;
        case 2:
          ReadAround(txn, random() % 2 == 0);
          break;
        case 3:
          ExchangeLatched(txn, Any(random));
          break;
        case 4:
          if (random() % 16 == 0) ExchangeAlone(txn, Any(random));
          break;
        default:
          Exchange(txn, Any(random));
      }
    }
  }

 private:
  uint32_t Any(std::mt19937_64& random) const {
    return static_cast<uint32_t>(random() % keys_.size());
  }
  uint32_t Next(engine::Transaction& txn, uint32_t key) const {
    const engine::Version* version = txn.Get(0, keys_.key(key));
    return version == nullptr ? keys_.size() : static_cast<uint32_t>(TokenOf(*version));
  }
  void Point(engine::Transaction& txn, uint32_t key, uint32_t to) const {
    txn.Put(0, keys_.key(key), TokenValue(to));
  }

  // a -> b -> c -> d becomes a -> c -> b -> d.
  void Swap(engine::Transaction& txn, uint32_t a) {
    const uint32_t b = Next(txn, a);
    const uint32_t c = b < keys_.size() ? Next(txn, b) : b;
    const uint32_t d = c < keys_.size() ? Next(txn, c) : c;
    if (d >= keys_.size()) return Broken("a writer met a key that points nowhere");
    Point(txn, a, c);
    Point(txn, c, b);
    Point(txn, b, d);
  }

  void Exchange(engine::Transaction& txn, uint32_t a) {
    ASSERT(txn.BeginSnapshot(isolation_, false));
    Swap(txn, a);
    Count(txn.Commit());
  }

  // The keys are learned without a latch, then declared, then looked at again.
  void ExchangeLatched(engine::Transaction& txn, uint32_t a) {
    txn.BeginRead();
    const uint32_t b = Next(txn, a), c = b < keys_.size() ? Next(txn, b) : b;
    txn.Rollback();
    if (c >= keys_.size()) return Broken("a key points nowhere");
    const std::vector<engine::LatchKey> latches{keys_.latch(a), keys_.latch(b), keys_.latch(c)};
    txn.BeginLatched(latches);
    if (Next(txn, a) == b && Next(txn, b) == c) Swap(txn, a);
    Count(txn.Commit());
  }

  void ExchangeAlone(engine::Transaction& txn, uint32_t a) {
    txn.BeginExclusive();
    Swap(txn, a);
    Count(txn.Commit());
  }

  void Count(bool committed) { ++(committed ? figures_.exchanges : figures_.conflicts); }

  void ReadAround(engine::Transaction& txn, bool declared) {
    ASSERT(txn.BeginSnapshot(isolation_, declared));
    const std::vector<uint32_t> next = All(txn);
    if (txn.Commit()) return Check(next);
    ASSERT(!declared);
    ++figures_.conflicts;
  }

  void ReadPlainly(engine::Transaction& txn) {
    txn.BeginRead();
    const std::vector<uint32_t> next = All(txn);
    const bool valid = txn.Validate();
    ASSERT(txn.Commit());
    if (valid) Check(next);
  }

  void Walked(engine::Transaction& txn) {
    ASSERT(txn.BeginSnapshot(isolation_, true));
    std::vector<uint32_t> next(keys_.size(), keys_.size());
    txn.Walk(0, {}, false, "k", [&](std::string_view name, const engine::Version& version) {
      for (uint32_t key = 0; key < keys_.size(); ++key) {
        if (keys_.name(key) == name) next[key] = static_cast<uint32_t>(TokenOf(version));
      }
      return true;
    });
    ASSERT(txn.Commit());
    Check(next);
  }

  std::vector<uint32_t> All(engine::Transaction& txn) const {
    std::vector<uint32_t> next;
    for (uint32_t key = 0; key < keys_.size(); ++key) next.push_back(Next(txn, key));
    return next;
  }

  void Check(const std::vector<uint32_t>& next) {
    ++figures_.rings;
    uint32_t at = 0, length = 0;
    do {
      at = next[at];
      ++length;
    } while (at != 0 && at < next.size() && length <= next.size());
    if (at == 0 && length == next.size()) return;
    std::string seen;
    for (uint32_t to : next) seen += " " + std::to_string(to);
    Broken("a reader saw no ring:" + seen);
  }

  void Broken(const std::string& what) {
    if (figures_.broken++ == 0) std::printf("%s\n", what.c_str());
    stop_.store(true);
  }

  engine::Database& database_;
  const KeyNames& keys_;
  const engine::Isolation isolation_;
  std::atomic<bool>& stop_;
  Figures& figures_;
};

bool RunLevel(engine::Isolation isolation, const ToolArguments& arguments, int64_t ms) {
  Clock clock;
  engine::Database database({}, clock);
  const KeyNames keys(static_cast<uint32_t>(std::max<int64_t>(4, arguments.Number("keys"))), 0);
  std::atomic<bool> stop{false};
  Figures figures;
  Ring ring(database, keys, isolation, stop, figures);
  ring.Make();
  std::vector<std::thread> threads;
  for (int64_t i = 0; i < arguments.Number("threads"); ++i) {
    const auto seed = static_cast<uint64_t>(arguments.Number("seed") * 1000 + i);
    threads.emplace_back([&ring, seed] { ring.Run(seed); });
  }
  const int64_t until = MonotonicNs() + ms * 1'000'000;
  while (MonotonicNs() < until && !stop.load()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    clock.Tick();
  }
  stop.store(true);
  for (std::thread& t : threads) t.join();
  std::printf("%s: %llu exchanges, %llu conflicts, %llu rings read: %s\n",
              isolation == engine::Isolation::kSerializable ? "serializable" : "snapshot",
              static_cast<unsigned long long>(figures.exchanges.load()),
              static_cast<unsigned long long>(figures.conflicts.load()),
              static_cast<unsigned long long>(figures.rings.load()),
              figures.broken.load() == 0 ? "whole" : "BROKEN");
  return figures.broken.load() == 0;
}

int Main(int argc, char** argv) {
  const ToolArguments arguments(
      argc, argv, {{"seconds", "10"}, {"seed", "1"}, {"threads", "4"}, {"keys", "12"}});
  const int64_t ms = arguments.Number("seconds") * 500;
  const bool serializable = RunLevel(engine::Isolation::kSerializable, arguments, ms);
  return RunLevel(engine::Isolation::kSnapshot, arguments, ms) && serializable ? 0 : 1;
}

}  // namespace
}  // namespace fluxkv::isolation

int main(int argc, char** argv) {
  return fluxkv::isolation::Main(argc, argv);
}
