// Transfers in four threads, each with a handle of its own. Where two are in each other's way one
// of them is repeated; the sum stays what it was, at each moment that a reader sees.
//
// Prints:
// > 4000 transfers, the sum is 1000 as it was
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "fluxkv/fluxkv.h"

namespace {

using fluxkv::Result;
using fluxkv::Status;
using fluxkv::TypedTransaction;

constexpr int kThreads = 4, kTransfers = 1000, kAccounts = 10;
constexpr int64_t kEach = 100;

Status Transfer(TypedTransaction<int, int64_t>& accounts, int from, int to, int64_t amount) {
  Result<std::optional<int64_t>> has = accounts.Get(from), had = accounts.Get(to);
  if (!has.ok()) return has.status();
  if (!had.ok()) return had.status();
  if (from == to || **has < amount) return {};  // commits nothing
  Status status = accounts.Insert(from, **has - amount);
  return status.ok() ? accounts.Insert(to, **had + amount) : status;
}

// None when the walk ended early.
template <class Store>
std::optional<int64_t> Sum(Store& store) {
  int64_t sum = 0;
  fluxkv::Typed<int, int64_t, Store> accounts(store);
  fluxkv::TypedCursor<int, int64_t> cursor = accounts.Scan();
  for (const auto& [number, amount] : cursor) sum += amount;
  return cursor.status().ok() ? std::optional<int64_t>(sum) : std::nullopt;
}

}  // namespace

int main() {
  Result<fluxkv::Database> opened = fluxkv::Database::Open();
  if (!opened.ok()) return 1;
  fluxkv::Database& db = *opened;
  fluxkv::TypedDatabase<int, int64_t> accounts(db);
  for (int i = 0; i < kAccounts; ++i) {
    if (!accounts.Insert(i, kEach).ok()) return 1;
  }

  std::atomic<int> done{0}, failed{0};
  std::vector<std::thread> threads;
  for (uint32_t number = 0; number < kThreads; ++number) {
    threads.emplace_back([&, number] {
      Result<fluxkv::Handle> handle = db.Attach();
      if (!handle.ok()) {
        ++failed;
        return;
      }
      fluxkv::TypedHandle<int, int64_t> mine(*handle);
      std::mt19937 random(number);
      for (int i = 0; i < kTransfers; ++i) {
        const auto from = static_cast<int>(random() % kAccounts);
        const auto to = static_cast<int>(random() % kAccounts);
        const Status status = mine.transaction(
            [&](TypedTransaction<int, int64_t>& t) { return Transfer(t, from, to, 7); },
            {.tries_max = 100});
        ++(status.ok() ? done : failed);
        if (i % 10 == 0 && Sum(*handle) != kAccounts * kEach) ++failed;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::optional<int64_t> sum = Sum(db);
  if (failed != 0 || sum != kAccounts * kEach) {
    std::fprintf(stderr, "%d calls failed, or found a wrong sum\n", failed.load());
    return 1;
  }
  std::printf("%d transfers, the sum is %d as it was\n", done.load(), static_cast<int>(*sum));
  return 0;
}
