// Goal: nothing is freed that a thread inside an epoch may still hold, and everything is freed in
// the end (E1 to E3), and in pieces (E4).
// Method: step by step with several Reclaimers on one thread; then many threads that swap shared
// objects, each with a canary that is overwritten when it is freed, the memory itself kept.
#include "engine/epoch.h"

#include "tests/engine/test_support.h"

namespace fluxkv::engine {
namespace {

constexpr uint64_t kAlive = 0x600d600d600d600d;
constexpr uint64_t kFreed = 0xdeaddeaddeaddead;

struct Canary {
  std::atomic<uint64_t> word{kAlive};
  static void Poison(void* p) {
    static_cast<Canary*>(p)->word.store(kFreed, std::memory_order_relaxed);
  }
  bool alive() const { return word.load(std::memory_order_relaxed) == kAlive; }
};

void Visit(Reclaimer& reclaimer, int times) {
  for (int i = 0; i < times; ++i) {
    reclaimer.Enter();
    reclaimer.Leave();
    reclaimer.Collect();
  }
}

TEST_CASE("epoch: a thread inside keeps what was retired since") {
  Epochs epochs;
  Reclaimer reader(epochs), writer(epochs);
  for (int round = 0; round < 20; ++round) {
    Canary first, second;
    Visit(writer, round % 4);  // the reader enters at whatever epoch it is
    reader.Enter();
    const uint64_t entered = epochs.current();
    writer.Enter();
    writer.Retire(&first, 10, Canary::Poison);
    writer.Leave();
    Visit(writer, 5);
    CHECK(epochs.current() <= entered + 1);  // E1
    writer.Enter();
    writer.Retire(&second, 10, Canary::Poison);
    writer.Leave();
    Visit(writer, 20);
    CHECK(first.alive());
    CHECK(second.alive());
    CHECK(writer.retired_bytes() == 20);
    reader.Leave();
    Visit(writer, 5);
    CHECK_FALSE(first.alive());
    CHECK_FALSE(second.alive());
    CHECK(writer.retired_bytes() == 0);
    CHECK(writer.pending() == 0);
  }
}

TEST_CASE("epoch: the unlinker's own epoch counts, and a late reader's") {
  Epochs epochs;
  Reclaimer reader(epochs), writer(epochs), third(epochs);
  Canary canary;
  writer.Enter();
  const uint64_t entered = epochs.current();
  Visit(third, 5);  // moves to entered + 1 and stops there
  CHECK(epochs.current() == entered + 1);
  reader.Enter();  // at entered + 1; may have found the object
  writer.Retire(&canary, 1, Canary::Poison);
  writer.Leave();
  Visit(third, 5);
  Visit(writer, 5);
  CHECK(epochs.current() == entered + 2);
  CHECK(canary.alive());
  reader.Leave();
  Visit(writer, 5);
  CHECK_FALSE(canary.alive());
}

TEST_CASE("epoch: what was kept for long is freed in small pieces") {
  constexpr size_t kObjects = 40000, kPiece = Reclaimer::kFreesAtLeave;
  Epochs epochs;
  Reclaimer reader(epochs), writer(epochs);
  std::vector<Canary> all(kObjects + 10000);
  size_t made = 0, freed_before = 0;
  const auto freed = [&] {
    return static_cast<size_t>(
        std::count_if(all.begin(), all.end(), [](const Canary& c) { return !c.alive(); }));
  };
  const auto retire = [&](size_t count) {
    writer.Enter();
    for (size_t i = 0; i < count; ++i) writer.Retire(&all[made++], 100, Canary::Poison);
    writer.Leave();
  };
  reader.Enter();
  while (made < kObjects) retire(50);
  CHECK(freed() == 0);
  CHECK_FALSE(writer.behind());  // nothing can be freed
  reader.Leave();

  retire(50);  // as it goes on: a piece each time, and more than it retires
  CHECK(writer.behind());
  CHECK(freed() == kPiece);
  for (int i = 0; i < 20; ++i) {
    freed_before = freed();
    retire(50);
    CHECK(freed() == freed_before + kPiece);
  }
  // Who retires much at once frees as much: it is not longer than what it did itself.
  freed_before = freed();
  retire(5000);
  CHECK(freed() == freed_before + 10000);
  // With nothing else to do, piece by piece until all is gone.
  for (size_t rounds = 0; writer.behind(); ++rounds) {
    REQUIRE(rounds <= kObjects / kPiece + 3);
    freed_before = freed();
    writer.CollectSome();
    CHECK(freed() <= freed_before + kPiece);
  }
  CHECK(freed() == made);
  CHECK(writer.pending() == 0);
  CHECK(writer.retired_bytes() == 0);
}

TEST_CASE("epoch: what a Reclaimer leaves behind is freed") {
  Canary canary;
  {
    Epochs epochs;
    Reclaimer reader(epochs);
    reader.Enter();
    {
      Reclaimer writer(epochs);
      writer.Enter();
      writer.Retire(&canary, 1, Canary::Poison);
      writer.Leave();
    }
    CHECK(canary.alive());
    reader.Leave();
  }
  CHECK_FALSE(canary.alive());
}

TEST_CASE("epoch: slots are taken again") {
  Epochs epochs;
  for (int round = 0; round < 3; ++round) {
    std::vector<std::unique_ptr<Reclaimer>> all;
    std::set<size_t> slots;
    for (size_t i = 0; i < limits::kThreadsMax; ++i) {
      all.push_back(std::make_unique<Reclaimer>(epochs));
      slots.insert(all.back()->slot());
    }
    CHECK(slots.size() == limits::kThreadsMax);
  }
}

TEST_CASE("epoch: many threads never meet a freed object") {
  FLUXKV_SEEDED(seed);
  constexpr size_t kCells = 8, kThreads = 4;
  const int rounds = 200000 / kSlower;
  // Every object ever made, by the thread that made it; outlives the Epochs.
  std::array<std::vector<std::unique_ptr<Canary>>, kThreads + 1> pools;
  const auto make = [&](size_t thread) {
    return pools[thread].emplace_back(std::make_unique<Canary>()).get();
  };
  const auto alive = [&] {
    size_t count = 0;
    for (const auto& pool : pools)
      for (const auto& canary : pool) count += canary->alive() ? 1 : 0;
    return count;
  };
  std::atomic<uint64_t> met_freed{0}, retired{0};
  {
    Epochs epochs;
    std::array<std::atomic<Canary*>, kCells> cells;
    for (auto& cell : cells) cell.store(make(kThreads));
    RunThreads(kThreads, [&](size_t thread) {
      Reclaimer mine(epochs);
      std::mt19937_64 random(seed + thread);
      for (int i = 0; i < rounds; ++i) {
        mine.Enter();
        std::array<Canary*, kCells> held;
        for (size_t c = 0; c < kCells; ++c) held[c] = cells[c].load(std::memory_order_acquire);
        if (random() % 2 == 0) {
          Canary* old = cells[random() % kCells].exchange(make(thread), std::memory_order_acq_rel);
          mine.Retire(old, sizeof(Canary), Canary::Poison);
          ++retired;
        }
        if (random() % 64 == 0) std::this_thread::yield();
        for (const Canary* c : held) met_freed += c->alive() ? 0 : 1;
        mine.Leave();
        if (random() % 4 == 0) mine.Collect();
      }
    });
    CHECK(met_freed == 0);
    CHECK(alive() < retired / 2 + kCells);  // it does free while it runs
  }
  CHECK(alive() == kCells);
}

}  // namespace
}  // namespace fluxkv::engine
