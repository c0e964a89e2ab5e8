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

template <class Store>
int64_t Sum(Store& store) {
  int64_t sum = 0;
  fluxkv::Typed<int, int64_t, Store> accounts(store);
  for (const auto& [number, amount] : accounts.Scan()) sum += amount;
  return sum;
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

  std::atomic<int> done{0}, wrong{0};
  std::vector<std::thread> threads;
  for (uint32_t number = 0; number < kThreads; ++number) {
    threads.emplace_back([&, number] {
      Result<fluxkv::Handle> handle = db.Attach();
      if (!handle.ok()) return;
      fluxkv::TypedHandle<int, int64_t> mine(*handle);
      std::mt19937 random(number);
      for (int i = 0; i < kTransfers; ++i) {
        const auto from = static_cast<int>(random() % kAccounts);
        const auto to = static_cast<int>(random() % kAccounts);
        const Status status = mine.transaction(
            [&](TypedTransaction<int, int64_t>& t) { return Transfer(t, from, to, 7); },
            {.tries_max = 100});
        if (status.ok()) ++done;
        if (i % 10 == 0 && Sum(*handle) != kAccounts * kEach) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (wrong != 0) return 1;
  std::printf("%d transfers, the sum is %d as it was\n", done.load(), static_cast<int>(Sum(db)));
  return 0;
}
