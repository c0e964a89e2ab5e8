// Goal: pages that are free go back to the system once, neighbours together, and never while they
// are in use; who takes them has zeros (F1 to F4).
// Method: against a model that knows of each page who has it, with a system that checks it and
// overwrites what it is given; then with threads and the kernel.
#include "base/free_pages.h"

#include <atomic>
#include <cstring>
#include <memory>
#include <random>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <sys/mman.h>

namespace fluxkv {

namespace {

constexpr size_t kSmallPage = FreePages::kPageBytes, kChunk = FreePages::kChunkBytes;

// Small pages, as values have them.
class Mapping {
 public:
  explicit Mapping(size_t size) : size_(size) {
    void* got =
        mmap(nullptr, size + kChunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(got != MAP_FAILED);
    got_ = static_cast<char*>(got);
    begin_ = got_ + kChunk - reinterpret_cast<uintptr_t>(got_) % kChunk;
    madvise(got_, size + kChunk, MADV_NOHUGEPAGE);
  }
  ~Mapping() { munmap(got_, size_ + kChunk); }
  char* page(size_t number) const { return begin_ + number * kSmallPage; }

  size_t Resident(size_t first, size_t count) const {
    std::vector<unsigned char> of_pages(count);
    REQUIRE(mincore(page(first), count * kSmallPage, of_pages.data()) == 0);
    size_t resident = 0;
    for (unsigned char of_page : of_pages) resident += of_page & 1;
    return resident;
  }

 private:
  size_t size_;
  char* got_;
  char* begin_;
};

bool IsZero(const char* pages, size_t size) {
  return pages[0] == 0 && std::memcmp(pages, pages + 1, size - 1) == 0;
}

// What the system was told, by the tests that look at it. Of one thread.
struct System {
  std::set<char*> has;  // pages
  std::vector<size_t> runs;
  size_t wrong = 0;

  static System& The() {
    static System system;
    return system;
  }
  static void Give(char* pages, size_t size) {
    for (char* page = pages; page < pages + size; page += kSmallPage)
      The().wrong += The().has.insert(page).second ? 0 : 1;
    std::memset(pages, 0, size);
    The().runs.push_back(size / kSmallPage);
  }
  static void Take(char* pages, size_t size) {
    for (char* page = pages; page < pages + size; page += kSmallPage)
      The().wrong += The().has.erase(page) == 1 ? 0 : 1;
  }
};

void GiveToKernel(char* pages, size_t size) {
  madvise(pages, size, MADV_DONTNEED);
}

void TakeFromKernel(char*, size_t) {}

}  // namespace

TEST_CASE(
    "free pages: neighbours go back in one piece, the chunk first that is longest in the queue") {
  System::The() = {};
  Mapping memory(3 * kChunk);
  const auto pages = std::make_unique<FreePages>(System::Give, System::Take);
  CHECK_FALSE(pages->GiveBack(1));
  REQUIRE(pages->Add(memory.page(600), kSmallPage));
  for (size_t i = 0; i < 10; ++i) REQUIRE(pages->Add(memory.page(100 + (i * 7) % 10), kSmallPage));
  REQUIRE(pages->Add(memory.page(500), 40 * kSmallPage));  // in two chunks
  CHECK(pages->bytes() == 51 * kSmallPage);
  CHECK(pages->GiveBack(2));
  CHECK(System::The().runs == std::vector<size_t>{28, 1});
  CHECK(System::The().has.contains(memory.page(512)));
  CHECK(System::The().has.contains(memory.page(600)));
  CHECK(pages->bytes() == 22 * kSmallPage);
  CHECK_FALSE(pages->GiveBack(100));
  CHECK(System::The().runs == std::vector<size_t>{28, 1, 10, 12});
  CHECK(pages->bytes() == 0);
  CHECK(System::The().wrong == 0);
}

TEST_CASE("free pages: who takes pages has zeros, whether they waited or were given back") {
  System::The() = {};
  Mapping memory(2 * kChunk);
  const auto pages = std::make_unique<FreePages>(System::Give, System::Take);
  std::memset(memory.page(500), 1, 24 * kSmallPage);
  REQUIRE(pages->Add(memory.page(500), 24 * kSmallPage));
  CHECK(pages->GiveBack(1));  // the first twelve
  pages->Take(memory.page(506), 12 * kSmallPage);
  CHECK(IsZero(memory.page(506), 12 * kSmallPage));
  CHECK(pages->bytes() == 6 * kSmallPage);
  std::memset(memory.page(506), 2, 12 * kSmallPage);
  CHECK_FALSE(pages->GiveBack(100));
  CHECK(memory.page(506)[0] == 2);
  CHECK(memory.page(518)[-1] == 2);
  CHECK(System::The().has.size() == 12);
  CHECK(System::The().wrong == 0);
  // No address of a process of ours.
  CHECK_FALSE(pages->Add(reinterpret_cast<char*>(uintptr_t{1} << 48), kSmallPage));
  CHECK_FALSE(pages->Add(nullptr, kSmallPage));
  CHECK(pages->bytes() == 0);
}

TEST_CASE("free pages: against a model") {
  enum class State { kUsed, kWaits, kGiven };
  for (uint32_t seed = 0; seed < 6; ++seed) {
    System::The() = {};
    constexpr size_t kPages = 3 * kChunk / kSmallPage;
    Mapping memory(kPages * kSmallPage);
    const auto pages = std::make_unique<FreePages>(System::Give, System::Take);
    std::mt19937 random(seed);
    std::vector<State> model(kPages, State::kUsed);
    size_t waiting = 0, wrong = 0;
    for (int step = 0; step < 3000; ++step) {
      const size_t first = random() % kPages;
      const bool used = model[first] == State::kUsed;
      size_t count = 0;
      const size_t most = random() % 20 == 0 ? 600 : 1 + random() % 8;
      while (count < most && first + count < kPages &&
             (model[first + count] == State::kUsed) == used)
        ++count;
      if (used) {
        std::memset(memory.page(first), static_cast<int>(seed + 1), count * kSmallPage);
        wrong += pages->Add(memory.page(first), count * kSmallPage) ? 0 : 1;
        for (size_t i = first; i < first + count; ++i) model[i] = State::kWaits;
        waiting += count;
      } else {
        pages->Take(memory.page(first), count * kSmallPage);
        wrong += IsZero(memory.page(first), count * kSmallPage) ? 0 : 1;
        for (size_t i = first; i < first + count; ++i)
          waiting -= std::exchange(model[i], State::kUsed) == State::kWaits ? 1 : 0;
      }
      if (random() % 4 == 0) {
        System::The().runs.clear();
        const size_t runs = random() % 4;
        const bool more = pages->GiveBack(runs);
        for (size_t run : System::The().runs) waiting -= run;
        wrong += System::The().runs.size() <= runs ? 0 : 1;
        wrong += more == (runs != 0 && waiting != 0) || runs == 0 ? 0 : 1;
        for (size_t i = 0; i < kPages; ++i) {
          const bool given = System::The().has.contains(memory.page(i));
          wrong += given && model[i] == State::kUsed ? 1 : 0;
          if (given) model[i] = State::kGiven;
        }
      }
      wrong += pages->bytes() == waiting * kSmallPage ? 0 : 1;
    }
    CHECK(wrong == 0);
    CHECK(System::The().wrong == 0);
    CHECK_FALSE(pages->GiveBack(kPages));
    CHECK(pages->bytes() == 0);
  }
}

TEST_CASE("free pages: threads that use pages, while others give back what waits") {
  constexpr size_t kThreads = 2, kPages = 1024, kRounds = 3000;
  Mapping memory(kThreads * kPages * kSmallPage);
  const auto pages = std::make_unique<FreePages>(GiveToKernel, TakeFromKernel);
  std::atomic<size_t> at_work{kThreads}, wrong{0};
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(static_cast<uint32_t>(t));
      const auto begin = [&](size_t slot) { return memory.page((slot * kThreads + t) * 16); };
      constexpr size_t kSlots = kPages / 16;
      std::vector<size_t> in_use(kSlots, 0);  // pages of each
      size_t mine_wrong = 0;
      for (size_t round = 0; round < kRounds; ++round) {
        const size_t slot = random() % 4 == 0 ? random() % kSlots : round % 4;
        if (in_use[slot] == 0) {
          in_use[slot] = 1 + random() % 16;
          pages->Take(begin(slot), in_use[slot] * kSmallPage);
          mine_wrong += IsZero(begin(slot), in_use[slot] * kSmallPage) ? 0 : 1;
          std::memset(begin(slot), 0x5a, in_use[slot] * kSmallPage);
        } else {
          const char* const at = begin(slot);
          mine_wrong +=
              at[0] != 0x5a || std::memcmp(at, at + 1, in_use[slot] * kSmallPage - 1) != 0;
          mine_wrong += pages->Add(begin(slot), in_use[slot] * kSmallPage) ? 0 : 1;
          in_use[slot] = 0;
        }
      }
      for (size_t slot = 0; slot < kSlots; ++slot) {
        if (in_use[slot] != 0 && !pages->Add(begin(slot), in_use[slot] * kSmallPage)) ++mine_wrong;
      }
      wrong += mine_wrong;
      --at_work;
    });
  }
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      while (at_work > 0) pages->GiveBack(8);
    });
  }
  for (std::thread& thread : threads) thread.join();
  while (pages->GiveBack(8)) {
  }
  CHECK(wrong == 0);
  CHECK(pages->bytes() == 0);
  CHECK(memory.Resident(0, kThreads * kPages) == 0);
}

}  // namespace fluxkv
