// Huge pages are asked for where memory is full, and nowhere else.
#include "base/huge_range.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <sys/mman.h>

namespace fluxkv {

namespace {

constexpr size_t kBlock = HugeRange::kBlockBytes, kPage = HugeRange::kPageBytes;

// Whether the mapping at this address has a flag (proc(5), smaps: VmFlags).
bool HasFlag(const char* address, const char* flag) {
  std::ifstream smaps("/proc/self/smaps");
  bool here = false;
  for (std::string line; std::getline(smaps, line);) {
    unsigned long begin = 0, end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2) {
      const auto at = reinterpret_cast<uintptr_t>(address);
      here = begin <= at && at < end;
    } else if (here && line.starts_with("VmFlags:")) {
      return line.find(flag) != std::string::npos;
    }
  }
  return false;
}

bool AsksForHugePages(const char* address) {
  return HasFlag(address, " hg");
}

bool KernelHasHugePages() {
  return std::ifstream("/sys/kernel/mm/transparent_hugepage/enabled").good();
}

}  // namespace

TEST_CASE("huge range: blocks that gave back pages are off huge pages until they are full again") {
  const auto range = std::make_unique<HugeRange>();
  REQUIRE(range->Reserve(0));
  auto* memory = static_cast<char*>(range->Allocate(nullptr, 4 * kBlock, kPage));
  REQUIRE(memory != nullptr);
  CHECK(reinterpret_cast<uintptr_t>(memory) % kBlock == 0);
  std::memset(memory, 1, 4 * kBlock);
  const bool kernel = KernelHasHugePages();
  if (kernel) CHECK(AsksForHugePages(memory + kBlock));

  // As much as is allowed to be missing, and one page more; across the border of two blocks.
  char* const border = memory + 2 * kBlock;
  constexpr size_t kMost = HugeRange::kMissingMost * kPage;
  range->GiveBack(border - kMost, kMost + kPage);
  CHECK(border[-1] == 0);  // H3
  CHECK(border[0] == 0);
  CHECK(border[kPage] == 1);
  if (kernel) CHECK(AsksForHugePages(border - 1));
  range->GiveBack(border - kMost - kPage, kPage);
  CHECK(!AsksForHugePages(border - 1));
  CHECK(!AsksForHugePages(border - kBlock));
  if (kernel) {
    CHECK(AsksForHugePages(border - kBlock - 1));
    CHECK(AsksForHugePages(border));
  }
  CHECK(range->figures().small_blocks == 1);
  CHECK(range->figures().missing_pages == HugeRange::kMissingMost + 2);
  // Half full is not nearly full.
  constexpr size_t kFew = HugeRange::kMissingFew * kPage;
  range->Take(border - kMost, kMost - kFew);
  CHECK(!AsksForHugePages(border - 1));
  range->Take(border - kMost - kPage, kPage);
  CHECK(range->figures().small_blocks == 0);
  CHECK(range->figures().missing_pages == HugeRange::kMissingFew + 1);
  if (kernel) CHECK(AsksForHugePages(border - 1));
  if (kernel) CHECK(AsksForHugePages(border - kBlock));
}

TEST_CASE("huge range: blocks that became empty are on huge pages until they give back again") {
  const auto range = std::make_unique<HugeRange>();
  REQUIRE(range->Reserve(0));
  auto* memory = static_cast<char*>(range->Allocate(nullptr, 8 * kBlock, kPage));
  REQUIRE(memory != nullptr);
  std::memset(memory, 1, 8 * kBlock);
  range->GiveBack(memory + kPage, 8 * kBlock - kPage);
  CHECK(range->figures().small_blocks == 1);
  CHECK(range->figures().missing_pages == 8 * HugeRange::kBlockPages - 1);
  range->Take(memory + 4 * kBlock, kBlock / 2);
  CHECK(range->figures().small_blocks == 1);
  std::memset(memory + 4 * kBlock, 2, kBlock / 2);
  // Whatever the kernel put under the other half is given back with the page.
  range->GiveBack(memory + 4 * kBlock, kPage);
  CHECK(range->figures().small_blocks == 2);
  CHECK(!AsksForHugePages(memory + 4 * kBlock));
  std::vector<unsigned char> resident(HugeRange::kBlockPages);
  REQUIRE(mincore(memory + 4 * kBlock, kBlock, resident.data()) == 0);
  size_t pages = 0;
  for (const unsigned char page : resident) pages += page & 1;
  CHECK(pages == HugeRange::kBlockPages / 2 - 1);
  CHECK(memory[4 * kBlock + kPage] == 2);
  CHECK(memory[4 * kBlock] == 0);
  CHECK(memory[0] == 1);
}

TEST_CASE("huge range: small extents are never on huge pages, and the range has an end") {
  const auto range = std::make_unique<HugeRange>();
  REQUIRE(range->Reserve(0));
  const size_t left = range->left();
  auto* small = static_cast<char*>(range->Allocate(nullptr, kBlock, kPage));
  REQUIRE(small != nullptr);
  CHECK(range->left() == left - kBlock);
  CHECK(!AsksForHugePages(small));
  if (KernelHasHugePages()) CHECK(HasFlag(small, " nh"));
  range->GiveBack(small, kBlock);
  range->Take(small, kBlock);
  CHECK(!AsksForHugePages(small));
  // At an address that is not the next one it cannot be.
  CHECK(range->Allocate(small, kPage, kPage) == nullptr);
  CHECK(range->Allocate(small + kBlock, kPage, kPage) == small + kBlock);
  CHECK(range->Allocate(nullptr, HugeRange::kBytes, kPage) == nullptr);
  CHECK(range->left() == left - kBlock - kPage);
}

// H5
TEST_CASE("huge range: the next block is resident before anybody comes to it") {
  const auto range = std::make_unique<HugeRange>();
  REQUIRE(range->Reserve(0));
  constexpr size_t kBlocks = 32, kUsed = 10;
  auto* memory = static_cast<char*>(range->Allocate(nullptr, kBlocks * kBlock, kPage));
  REQUIRE(memory != nullptr);
  const auto resident = [&](size_t block) {
    unsigned char pages[HugeRange::kBlockPages];
    REQUIRE(mincore(memory + block * kBlock, kBlock, pages) == 0);
    return std::all_of(pages, pages + HugeRange::kBlockPages, [](auto p) { return (p & 1) != 0; });
  };
  range->NoteUsed(memory + kPage);
  range->MakeReady();  // too little is in use
  CHECK(!resident(1));
  range->NoteUsed(memory + kUsed * kBlock - kPage);
  range->NoteUsed(memory + 3 * kPage);  // it stands
  for (int i = 0; i < 3; ++i) range->MakeReady();
  CHECK(!resident(kUsed - 1));
  CHECK(resident(kUsed));
  CHECK(!resident(kUsed + 1));
  CHECK(memory[kUsed * kBlock] == 0);
  range->NoteUsed(memory + kUsed * kBlock + kPage);
  range->MakeReady();
  CHECK(resident(kUsed + 1));
  range->NoteUsed(memory + kBlocks * kBlock);  // all of it: the first block of the next extent
  range->MakeReady();
  CHECK(!resident(kBlocks - 1));
  CHECK(resident(kBlocks));
  CHECK(range->Allocate(nullptr, 4 * kBlock, kPage) == memory + kBlocks * kBlock);
  CHECK(memory[kBlocks * kBlock] == 0);
  memory[(kBlocks + 4) * kBlock - 1] = 1;
  // An extent that ends in the middle of a block: nothing behind it becomes resident.
  auto* odd = static_cast<char*>(range->Allocate(nullptr, 4 * kBlock + kBlock / 2, kPage));
  REQUIRE(odd == memory + (kBlocks + 4) * kBlock);
  range->NoteUsed(odd + 4 * kBlock - kPage);
  range->MakeReady();
  CHECK(!resident(kBlocks + 8));
  // After a small extent nothing is made ready.
  auto* small = static_cast<char*>(range->Allocate(nullptr, kBlock, kPage));
  range->NoteUsed(small);
  range->MakeReady();
  unsigned char page = 0;
  REQUIRE(mincore(small, kPage, &page) == 0);
  CHECK((page & 1) == 0);
}

TEST_CASE("huge range: pages that the kernel would not have back are zeros all the same") {
  const auto range = std::make_unique<HugeRange>();
  REQUIRE(range->Reserve(0));
  auto* memory = static_cast<char*>(range->Allocate(nullptr, 4 * kBlock, kPage));
  REQUIRE(memory != nullptr);
  std::memset(memory, 1, 4 * kBlock);
  char* const locked = memory + kBlock;
  REQUIRE(mlock(locked, kPage) == 0);
  range->GiveBack(locked - kPage, 3 * kPage);
  CHECK(range->figures().missing_pages == 3);
  range->Take(locked - kPage, 3 * kPage);
  CHECK(locked[-1] == 0);
  CHECK(locked[0] == 0);
  CHECK(locked[kPage - 1] == 0);
  CHECK(locked[2 * kPage - 1] == 0);
  CHECK(locked[2 * kPage] == 1);
  CHECK(locked[-static_cast<ptrdiff_t>(kPage) - 1] == 1);
  munlock(locked, kPage);
}

}  // namespace fluxkv
