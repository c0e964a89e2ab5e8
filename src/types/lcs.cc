#include "types/lcs.h"

#include <algorithm>
#include <memory>
#include <new>

namespace fluxkv::types {
namespace {

// Row `i` from row `i - 1`: the lengths for the first i bytes against each prefix of `second`.
void FillRow(char c, std::string_view second, const uint32_t* above, uint32_t* row) {
  row[0] = 0;
  for (size_t j = 1; j <= second.size(); ++j) {
    row[j] = c == second[j - 1] ? above[j - 1] + 1 : std::max(above[j], row[j - 1]);
  }
}

// Collects the matches of the walk back: steps on the diagonal that follow each other are one.
class MatchCollector {
 public:
  explicit MatchCollector(std::vector<LcsMatch>& matches) : matches_(matches) {}
  void Extend(uint32_t i, uint32_t j) {
    if (open_ && match_.first_begin == i + 1 && match_.second_begin == j + 1) {
      match_.first_begin = i;
      match_.second_begin = j;
      return;
    }
    Close();
    match_ = {i, i, j, j};
    open_ = true;
  }
  void Close() {
    if (open_) matches_.push_back(match_);
    open_ = false;
  }

 private:
  std::vector<LcsMatch>& matches_;
  LcsMatch match_;
  bool open_ = false;
};

}  // namespace

std::optional<uint64_t> LcsTableBytes(size_t first, size_t second) {
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(uint64_t{first} + 1, uint64_t{second} + 1, &bytes) ||
      __builtin_mul_overflow(bytes, uint64_t{sizeof(uint32_t)}, &bytes)) {
    return std::nullopt;
  }
  return bytes;
}

std::optional<LcsResult> ComputeLcs(std::string_view first, std::string_view second) {
  const size_t columns = second.size() + 1;
  std::unique_ptr<uint32_t[]> table(new (std::nothrow) uint32_t[(first.size() + 1) * columns]);
  if (table == nullptr) return std::nullopt;
  std::fill_n(table.get(), columns, 0);
  for (size_t i = 1; i <= first.size(); ++i) {
    uint32_t* row = table.get() + i * columns;
    FillRow(first[i - 1], second, row - columns, row);
  }

  LcsResult result;
  result.text.resize(table[first.size() * columns + second.size()]);
  size_t left = result.text.size();
  MatchCollector collector(result.matches);
  size_t i = first.size();
  size_t j = second.size();
  while (i > 0 && j > 0) {
    if (first[i - 1] == second[j - 1]) {
      --i;
      --j;
      result.text[--left] = first[i];
      collector.Extend(static_cast<uint32_t>(i), static_cast<uint32_t>(j));
    } else {
      collector.Close();
      bool first_keeps_more = table[(i - 1) * columns + j] > table[i * columns + j - 1];
      --(first_keeps_more ? i : j);
    }
  }
  collector.Close();
  return result;
}

uint32_t ComputeLcsLength(std::string_view first, std::string_view second) {
  std::vector<uint32_t> above(second.size() + 1, 0);
  std::vector<uint32_t> row(second.size() + 1, 0);
  for (char c : first) {
    FillRow(c, second, above.data(), row.data());
    above.swap(row);
  }
  return above[second.size()];
}

}  // namespace fluxkv::types
