// Huge pages are asked for where memory is full, and nowhere else.
#include "base/huge_range.h"

#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include <doctest/doctest.h>

namespace fluxkv {

namespace {

constexpr size_t kBlock = HugeRange::kBlockBytes, kPage = HugeRange::kPageBytes;

// Whether the kernel was asked for huge pages at this address (proc(5), smaps: VmFlags hg).
bool AsksForHugePages(const char* address) {
  std::ifstream smaps("/proc/self/smaps");
  bool here = false;
  for (std::string line; std::getline(smaps, line);) {
    unsigned long begin = 0, end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2 && line[0] != 'V') {
      const auto at = reinterpret_cast<uintptr_t>(address);
      here = begin <= at && at < end;
    } else if (here && line.starts_with("VmFlags:")) {
      return line.find(" hg") != std::string::npos;
    }
  }
  return false;
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
  REQUIRE(range->GiveBack(border - kMost, kMost + kPage));
  CHECK(border[-1] == 0);  // H3
  CHECK(border[0] == 0);
  CHECK(border[kPage] == 1);
  if (kernel) CHECK(AsksForHugePages(border - 1));
  REQUIRE(range->GiveBack(border - kMost - kPage, kPage));
  CHECK(!AsksForHugePages(border - 1));
  CHECK(!AsksForHugePages(border - kBlock));
  if (kernel) {
    CHECK(AsksForHugePages(border - kBlock - 1));
    CHECK(AsksForHugePages(border));
  }
  // Nearly full is not full.
  range->Take(border - kMost, kMost);
  CHECK(!AsksForHugePages(border - 1));
  range->Take(border - kMost - kPage, kPage);
  if (kernel) CHECK(AsksForHugePages(border - 1));
  if (kernel) CHECK(AsksForHugePages(border - kBlock));
}

TEST_CASE("huge range: small extents are never on huge pages, and the range has an end") {
  const auto range = std::make_unique<HugeRange>();
  REQUIRE(range->Reserve(0));
  const size_t left = range->left();
  auto* small = static_cast<char*>(range->Allocate(nullptr, kBlock, kPage));
  REQUIRE(small != nullptr);
  CHECK(range->left() == left - kBlock);
  CHECK(!AsksForHugePages(small));
  REQUIRE(range->GiveBack(small, kBlock));
  range->Take(small, kBlock);
  CHECK(!AsksForHugePages(small));
  // At an address that is not the next one it cannot be.
  CHECK(range->Allocate(small, kPage, kPage) == nullptr);
  CHECK(range->Allocate(small + kBlock, kPage, kPage) == small + kBlock);
  CHECK(range->Allocate(nullptr, HugeRange::kBytes, kPage) == nullptr);
  CHECK(range->left() == left - kBlock - kPage);
}

}  // namespace fluxkv
