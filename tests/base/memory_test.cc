// Nodes lie in their range, from which four bytes tell them, until it is full.
#include "base/memory.h"

#include <chrono>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

namespace fluxkv {

#ifdef FLUXKV_JEMALLOC
TEST_CASE("memory: sizes are those that the allocator takes") {
  for (size_t size = 9; size < 100'000; ++size) REQUIRE(AllocatedBytes(size) == nallocx(size, 0));
  for (size_t power = size_t{1} << 17; power <= size_t{1} << 34; power *= 2) {
    for (size_t eighth = 0; eighth < 8; ++eighth) {
      for (const size_t beside : {-1, 0, 1}) {
        const size_t size = power + power / 8 * eighth + beside;
        REQUIRE(AllocatedBytes(size) == nallocx(size, 0));
      }
    }
  }
}
#endif

TEST_CASE("memory: a node's bits tell its address, whatever its size and thread") {
  struct Piece {
    char* memory;
    size_t size;
  };
  constexpr size_t kThreads = 3, kPieces = 20000;
  std::vector<std::vector<Piece>> pieces(kThreads);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&mine = pieces[t], t] {
      std::mt19937_64 random(t);
      for (size_t i = 0; i < kPieces; ++i) {
        // Now and then one that needs an extent of its own.
        const size_t size = random() % 1000 == 0 ? 17 + random() % (24 << 20) : 17 + random() % 300;
        auto* memory = static_cast<char*>(AllocateNode(size));
        memory[0] = memory[size - 1] = static_cast<char>(i);
        mine.push_back({memory, size});
        if (i % 3 != 0) continue;
        FreePlace(mine[i / 2].memory, mine[i / 2].size);
        auto* again = static_cast<char*>(AllocateNode(mine[i / 2].size));
        again[0] = again[mine[i / 2].size - 1] = static_cast<char>(i / 2);
        mine[i / 2].memory = again;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(BitsOf(nullptr) == 0);
  size_t wrong = 0;
  for (const std::vector<Piece>& mine : pieces) {
    for (size_t i = 0; i < mine.size(); ++i) {
      const AddressBits bits = BitsOf(mine[i].memory);
      wrong += bits == 0 || AddressOf(bits) != mine[i].memory ? 1 : 0;
      wrong += mine[i].memory[0] != static_cast<char>(i) ? 1 : 0;
      wrong += mine[i].memory[mine[i].size - 1] != static_cast<char>(i) ? 1 : 0;
      FreePlace(mine[i].memory, mine[i].size);
    }
  }
  CHECK(wrong == 0);
}

#ifdef FLUXKV_JEMALLOC
namespace {

void PurgeAllArenas() {
  CHECK(mallctl("arena.4096.purge", nullptr, nullptr, nullptr, 0) == 0);
}

void GiveBackAll() {
  while (GiveBackFreePages(1024)) {
  }
}

}  // namespace

TEST_CASE("memory: books lie in the first arena, whoever allocates them") {
  const auto arena_of = [](void* memory) {
    unsigned arena = ~0u;
    size_t size = sizeof(arena);
    if (mallctl("arenas.lookup", &arena, &size, &memory, sizeof(memory)) != 0) return ~0u;
    return arena;
  };
  unsigned of_version = 0, of_books = 0, of_next = 0;
  std::thread([&] {
    UseDataArena(3);
    void* version = Allocate(96);
    of_version = arena_of(version);
    void* books = AllocateBooks(96);
    of_books = arena_of(books);
    FreePlace(books, 96);
    void* next = Allocate(96);  // not what the books left
    of_next = arena_of(next);
    Free(version, 96);
    Free(next, 96);
  }).join();
  CHECK(of_books == 0);
  CHECK(of_version != 0);
  CHECK(of_next == of_version);
}

TEST_CASE(
    "memory: pages of versions wait for GiveBackFreePages, and are zeros for who wants zeros") {
  constexpr size_t kPiece = size_t{1} << 20;
  std::thread([kPiece] {
    UseDataArena(2);
    PurgeAllArenas();
    GiveBackAll();
    for (const bool give_back : {false, true, false, true}) {
      void* used = Allocate(kPiece);
      std::memset(used, 0x5a, kPiece);
      Free(used, kPiece);
      PurgeAllArenas();
      CHECK(FreePagesNow().waiting >= kPiece);
      if (give_back) {
        GiveBackAll();
        CHECK(FreePagesNow().waiting == 0);
      }
      auto* zeros = static_cast<char*>(mallocx(kPiece, MALLOCX_ZERO));
      const auto page_of = [](void* at) { return reinterpret_cast<uintptr_t>(at) / 4096; };
      CHECK(page_of(zeros) == page_of(used));  // the allocator varies the offset in it
      CHECK(zeros[0] == 0);
      CHECK(std::memcmp(zeros, zeros + 1, kPiece - 1) == 0);
      Free(zeros, kPiece);
    }
  }).join();
}

TEST_CASE(
    "memory: pages of large values are kept for the next ones, unless other data needs them") {
  constexpr size_t kValue = 1 << 20, kValues = 96, kSmall = 4096;
  unsigned arena = ~0u;
  const auto dirty_bytes = [&] {
    uint64_t epoch = 1;
    size_t size = sizeof(epoch), pages = 0, pages_size = sizeof(pages);
    mallctl("epoch", &epoch, &size, &epoch, size);
    const std::string name = "stats.arenas." + std::to_string(arena) + ".pdirty";
    REQUIRE(mallctl(name.c_str(), &pages, &pages_size, nullptr, 0) == 0);
    return pages * 4096;
  };
  const auto look = [] {  // ten times a second it looks at what is in use
    std::this_thread::sleep_for(std::chrono::milliseconds(110));
    ReturnFreePages();
  };
  const auto use_large = [&] {
    std::vector<void*> values;
    for (size_t i = 0; i < kValues; ++i) {
      values.push_back(AllocateLarge(kValue));
      std::memset(values.back(), 1, kValue);
    }
    size_t size = sizeof(arena);
    REQUIRE(mallctl("arenas.lookup", &arena, &size, &values[0], sizeof(void*)) == 0);
    look();  // sees how much is in use
    for (void* value : values) Free(value, kValue);
  };
  use_large();
  look();
  CHECK(dirty_bytes() >= kValue * kValues / 4);
  use_large();
  CHECK(dirty_bytes() <= kValue * (kValues + 2));  // the same pages
  std::vector<void*> data;
  for (size_t i = 0; i < kValue * kValues / kSmall; ++i) data.push_back(Allocate(kSmall));
  look();
  CHECK(dirty_bytes() <= kValue * kValues / 4);
  for (void* memory : data) Free(memory, kSmall);
}

TEST_CASE("memory: the range of the nodes tells when it is nearly full, and when no longer") {
  REQUIRE(ReserveAddresses());
  CHECK(!NodeRangeHasLess(size_t{1} << 30));
  CHECK(NodeRangeHasLess(kNodeRange));
  // Addresses alone: none of these pages is touched.
  constexpr size_t kPiece = size_t{1} << 20;
  std::vector<void*> pieces;
  while (!NodeRangeHasLess(size_t{1} << 30) && pieces.size() < kNodeRange / kPiece) {
    pieces.push_back(AllocateNode(kPiece));
    // What was used counts after ten milliseconds.
    if (pieces.size() % 512 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(11));
  }
  CHECK(pieces.size() >= 61 << 10);
  CHECK(pieces.size() <= 63 << 10);
  CHECK(!NodeRangeHasLess(size_t{1} << 20));
  for (void* piece : pieces) FreePlace(piece, kPiece);
  // What was freed counts, although no extent may follow; it takes a moment to be known.
  while (NodeRangeHasLess(kNodeRange / 2))
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  void* again = AllocateNode(kPiece);
  CHECK(AddressOf(BitsOf(again)) == again);
  FreePlace(again, kPiece);
}

TEST_CASE("memory: places that were freed are given back, and taken again") {
  constexpr size_t kPlace = 1024, kPlaces = 64 << 10;
  std::vector<void*> places(kPlaces);
  const auto fill = [&] {
    for (void*& place : places) {
      if (place == nullptr) place = AllocatePlace(kPlace);
    }
  };
  const auto purge = [] {
    PurgeAllArenas();
    GiveBackAll();
  };
  fill();
  purge();
  const HugeRange::Figures full = PlaceRangeFigures();
  for (size_t i = 0; i < kPlaces; ++i) {
    if (i % 64 != 0) FreePlace(std::exchange(places[i], nullptr), kPlace);
  }
  purge();
  const HugeRange::Figures shrunk = PlaceRangeFigures();
  CHECK(shrunk.missing_pages >= full.missing_pages + kPlaces / 8);
  CHECK(shrunk.small_blocks >= full.small_blocks + 8);
  fill();
  const HugeRange::Figures again = PlaceRangeFigures();
  CHECK(again.missing_pages <= full.missing_pages + kPlaces / 64);
  CHECK(again.small_blocks <= full.small_blocks + 2);
  for (void* place : places) FreePlace(place, kPlace);
}
#endif

}  // namespace fluxkv
