// Goal: two transactions in write skew that commit at the very same moment do not both pass their
// checks; the same for a transaction and a command that reads what the other is about to write.
// Method: two threads meet right before each commit, thousands of times.
#include <atomic>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "engine/database.h"
#include "engine/handle.h"
#include "engine/transaction.h"
#include "tests/isolation/token_values.h"

namespace fluxkv::isolation {
namespace {

constexpr uint32_t kRounds = 60'000;
// Few, so that hardly ever two share a latch, which would order the commits.
constexpr uint32_t kKeysEach = 2;

// Both threads wait here for each other, without sleeping, so that they go on together.
class Meeting {
 public:
  void Meet() {
    const uint32_t round = arrived_.fetch_add(1) / 2;
    for (uint32_t i = 0; arrived_.load() < (round + 1) * 2; ++i) {
      if (i % 1000 == 999) std::this_thread::yield();
    }
  }

 private:
  std::atomic<uint32_t> arrived_{0};
};

TEST_CASE("side by side: write skew committed at one moment [slow]") {
  Clock clock;
  engine::Database database({}, clock);
  const KeyNames keys(2 * kKeysEach, 0);
  Meeting meeting;
  std::vector<std::atomic<uint32_t>> committed(kRounds);
  const auto run = [&](uint32_t own) {
    std::unique_ptr<engine::Handle> handle = database.Attach();
    for (uint32_t round = 0; round < kRounds; ++round) {
      engine::Handle::Scope epoch(*handle);
      engine::Transaction txn(*handle);
      meeting.Meet();
      if (round > 0 && committed[round - 1] == 2) break;  // both see it: both have committed
      static_cast<void>(txn.BeginSnapshot(engine::Isolation::kSerializable, false));
      for (uint32_t i = 0; i < kKeysEach; ++i) {
        txn.Get(0, keys.key((1 - own) * kKeysEach + i));
        txn.Put(0, keys.key(own * kKeysEach + i), TokenValue(round + 1));
      }
      meeting.Meet();
      if (txn.Commit()) ++committed[round];
    }
  };
  std::thread other([&] { run(1); });
  run(0);
  other.join();
  uint32_t both = 0, none = 0;
  for (const auto& c : committed) {
    both += c == 2;
    none += c == 0 && both == 0;
  }
  CHECK(both == 0);
  CHECK(none == 0);  // the first to come passes
}

TEST_CASE("side by side: a read against a commit") {
  // T reads y, a command has written y, another command reads x while T commits a new x: if it sees
  // the old x, T must not commit.
  constexpr uint32_t kRoundsHere = kRounds / 12;
  Clock clock;
  engine::Database database({}, clock);
  const KeyNames keys(2, 0);
  Meeting meeting;
  std::atomic<uint64_t> seen{0};
  std::thread reader([&] {
    std::unique_ptr<engine::Handle> handle = database.Attach();
    for (uint32_t round = 0; round < kRoundsHere; ++round) {
      engine::Handle::Scope epoch(*handle);
      engine::Transaction txn(*handle);
      meeting.Meet();
      txn.BeginRead();
      const engine::Version* version = txn.Get(0, keys.key(0));
      seen.store(version == nullptr ? 0 : TokenOf(*version));
      static_cast<void>(txn.Commit());
      meeting.Meet();
    }
  });
  std::unique_ptr<engine::Handle> handle = database.Attach();
  uint32_t wrong = 0;
  uint64_t newest = 0;
  for (uint32_t round = 0; round < kRoundsHere; ++round) {
    engine::Handle::Scope epoch(*handle);
    engine::Transaction txn(*handle), command(*handle);
    static_cast<void>(txn.BeginSnapshot(engine::Isolation::kSerializable, false));
    txn.Get(0, keys.key(1));
    txn.Put(0, keys.key(0), TokenValue(round + 1));
    const engine::LatchKey latch = keys.latch(1);
    command.BeginLatched({&latch, 1});
    command.Put(0, keys.key(1), TokenValue(round + 1));
    static_cast<void>(command.Commit());
    meeting.Meet();
    const bool committed = txn.Commit();
    meeting.Meet();
    wrong += committed && seen.load() == newest;
    if (committed) newest = round + 1;
  }
  reader.join();
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace fluxkv::isolation
