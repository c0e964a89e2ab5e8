// Which keys were evicted lately: two lists of 32-bit fingerprints, each in order of eviction
// (the B1 and B2 of ARC). Four bytes a ghost and the slack of vectors.
//
// Fingerprints are spread over segments by their low bits. Each segment keeps its own two lists
// in order, is searched from end to end, and grows with the others by linear hashing (W. Litwin,
// 1980): when there are too many ghosts for the segments, the next segment in turn is split in
// two.
//
// S1. A fingerprint f is in segment f mod 2^n, where 2^n is the largest power of two for which
//     that segment exists.
// S2. In a segment, a list is in order of eviction. Across segments order is kept only as far as
//     all of them get and lose ghosts alike; up to kPerSegment ghosts there is one segment.
// S3. Two keys with one fingerprint are taken for each other, and then a key that was never seen
//     counts as seen: one new key in 2^32 / ghosts.
//
// Threads: under the policy's lock.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "engine/eviction/books.h"

namespace fluxkv::engine {

class Ghosts {
 public:
  enum List : uint8_t { kOnce, kAgain };  // evicted after one use, after several
  static constexpr size_t kPerSegment = 256;

  void Add(List list, uint32_t fingerprint);
  // Removes the ghost and says which list it was in.
  std::optional<List> Take(uint32_t fingerprint);
  // Drops an oldest ghost of the list, from the segment of `near` or one of those behind it.
  // False: none was found there.
  bool DropOldest(List list, uint32_t near);

  size_t size(List list) const { return sizes_[list]; }
  size_t allocated_bytes() const;

 private:
  using Segment = std::array<books::Vector<uint32_t>, 2>;
  static constexpr size_t kSegmentsTried = 64;

  size_t SegmentOf(uint32_t fingerprint) const;
  void SplitNext();

  books::Vector<Segment> segments_ = books::Vector<Segment>(1);
  std::array<size_t, 2> sizes_{};
};

}  // namespace fluxkv::engine
