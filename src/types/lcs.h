// The longest common subsequence of two strings, with the ranges that match (LCS).
//
//   LcsResult result = ComputeLcs("ohmytext", "mynewtext");   // "mytext", length 6
//
// Threads: pure functions.
// Source:  dynamic programming over all pairs of prefixes (Wagner and Fischer 1974); among several
//          longest subsequences the one that Redis answers: walking back from both ends, a step in
//          the first string only where that keeps more than a step in the second.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fluxkv::types {

// Bytes first_begin to first_end of the first string, both inclusive, are those of the second.
struct LcsMatch {
  uint32_t first_begin = 0;
  uint32_t first_end = 0;
  uint32_t second_begin = 0;
  uint32_t second_end = 0;
  uint32_t size() const { return first_end - first_begin + 1; }
};

struct LcsResult {
  std::string text;
  std::vector<LcsMatch> matches;  // the last one first
};

// Bytes that ComputeLcs takes for its table. Requires: both sizes below 2^32 - 1. nullopt when it
// does not fit 64 bits.
std::optional<uint64_t> LcsTableBytes(size_t first, size_t second);
// nullopt when the table cannot be allocated. Requires: LcsTableBytes is a number.
std::optional<LcsResult> ComputeLcs(std::string_view first, std::string_view second);
// The length alone, with two rows of the table.
uint32_t ComputeLcsLength(std::string_view first, std::string_view second);

}  // namespace fluxkv::types
