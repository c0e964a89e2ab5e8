// Goal: memory that another thread's epoch kept is freed soon, although nobody asks the loop for
// anything; a loop that is at it ends when it is told to; pages that a loop freed go back to the
// system.
// Method: a thread that stays inside an epoch; objects that count when they are freed. The timer of
// the loop alone would take more than a minute.
#include <atomic>
#include <chrono>
#include <cstring>
#include <future>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "base/memory.h"
#include "tests/server/loop_fixture.h"

namespace fluxkv::server {
namespace {

constexpr size_t kObjects = 200'000;
constexpr size_t kKept = 64;  // so many are not worth it

std::atomic<size_t>& Freed() {
  static std::atomic<size_t> freed{0};
  return freed;
}

void Retire(engine::Handle& handle, size_t count) {
  const engine::Handle::Scope in_epoch(handle);
  static char object;
  for (size_t i = 0; i < count; ++i)
    handle.reclaimer().Retire(&object, 1, [](void*) { Freed().fetch_add(1); });
}

TEST_CASE("freeing: a loop without work frees what was kept") {
  LoopFixture f;
  engine::Handle& handle = f.loop().state().handle;
  engine::Reclaimer other(handle.store().epochs);
  Freed() = 0;
  other.Enter();
  f.loop().RunTask([&] { Retire(handle, kObjects); });
  f.FinishTurn();
  CHECK(Freed() == 0);
  other.Leave();
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (Freed() < kObjects - kKept && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(Freed() >= kObjects - kKept);
}

#ifdef FLUXKV_JEMALLOC
TEST_CASE("freeing: pages that a loop has no use for go back to the system") {
  LoopFixture f;
  constexpr size_t kPiece = 8192, kPieces = 4096;
  const uint32_t given_before = FreePagesNow().runs_given;
  f.loop().RunTask([&] {
    UseDataArena(1);  // as a server's loops do
    std::vector<void*> pieces;
    for (size_t i = 0; i < kPieces; ++i) pieces.push_back(Allocate(kPiece));
    for (void* piece : pieces) std::memset(piece, 1, kPiece);
    for (void* piece : pieces) Free(piece, kPiece);
    mallctl("arena.4096.purge", nullptr, nullptr, nullptr, 0);
  });
  f.FinishTurn();
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  const auto all = [&] {
    return FreePagesNow().runs_given != given_before && FreePagesNow().waiting == 0;
  };
  while (!all() && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(all());
}
#endif

TEST_CASE("freeing: a loop that has more to free can be stopped") {
  LoopFixture f;
  engine::Handle& handle = f.loop().state().handle;
  engine::Reclaimer other(handle.store().epochs);
  f.CloseOwnClient();
  while (f.loop().stats().connected != 0) std::this_thread::yield();
  f.FinishTurn();
  f.FinishTurn();  // its handle is closed
  Freed() = 0;
  other.Enter();
  std::promise<void> holds, sent;
  f.loop().RunTask([&] {
    Retire(handle, kObjects);
    holds.set_value();
    sent.get_future().wait();
  });
  holds.get_future().wait();
  f.loop().RunTask([&] {
    other.Leave();
    Retire(handle, 1);
    CHECK(handle.has_more_to_free());
  });
  f.loop().Stop(0);  // in the same turn
  sent.set_value();
  f.StopLoop();
  CHECK(Freed() > 0);
}

}  // namespace
}  // namespace fluxkv::server
