#include "engine/eviction/ghosts.h"

#include <algorithm>
#include <bit>

#include "base/memory.h"
#include "base/planted.h"

namespace fluxkv::engine {

size_t Ghosts::SegmentOf(uint32_t fingerprint) const {
  const size_t power = std::bit_ceil(segments_.size());
  const size_t segment = fingerprint & (power - 1);
  return segment < segments_.size() ? segment : segment - power / 2;
}

namespace {
// Vectors that grow by a quarter and give back what they had when they were longer: lists shrink
// and grow against each other for ever.
void Append(books::Vector<uint32_t>* ghosts, uint32_t fingerprint) {
  if (ghosts->size() == ghosts->capacity()) ghosts->reserve(ghosts->size() * 5 / 4 + 8);
  ghosts->push_back(fingerprint);
}

void Erase(books::Vector<uint32_t>* ghosts, books::Vector<uint32_t>::iterator at) {
  ghosts->erase(at);
  if (ghosts->capacity() > ghosts->size() * 2 + 16) ghosts->shrink_to_fit();
}
}  // namespace

void Ghosts::Add(List list, uint32_t fingerprint) {
  Append(&segments_[SegmentOf(fingerprint)][list], fingerprint);
  ++sizes_[list];
  if (sizes_[kOnce] + sizes_[kAgain] > segments_.size() * kPerSegment) SplitNext();
}

std::optional<Ghosts::List> Ghosts::Take(uint32_t fingerprint) {
  for (const List list : {kOnce, kAgain}) {
    books::Vector<uint32_t>& ghosts = segments_[SegmentOf(fingerprint)][list];
    auto it = std::find(ghosts.begin(), ghosts.end(), fingerprint);
    if (it == ghosts.end()) continue;
    Erase(&ghosts, it);
    --sizes_[list];
    return list;
  }
  return std::nullopt;
}

bool Ghosts::DropOldest(List list, uint32_t near) {
  const size_t first = SegmentOf(near);
  for (size_t i = 0; i < std::min(kSegmentsTried, segments_.size()); ++i) {
    books::Vector<uint32_t>& ghosts = segments_[(first + i) % segments_.size()][list];
    if (ghosts.empty()) continue;
    Erase(&ghosts, PLANTED(EVICTION_DROP_YOUNGEST_GHOST) ? ghosts.end() - 1 : ghosts.begin());
    --sizes_[list];
    return true;
  }
  return false;
}

void Ghosts::SplitNext() {
  const size_t added = segments_.size();
  const size_t split = added - std::bit_floor(added);
  segments_.emplace_back();
  for (const List list : {kOnce, kAgain}) {
    books::Vector<uint32_t>& ghosts = segments_[split][list];
    books::Vector<uint32_t>& moved = segments_[added][list];
    books::Vector<uint32_t> kept;
    for (const uint32_t ghost : ghosts) Append(SegmentOf(ghost) == split ? &kept : &moved, ghost);
    ghosts = std::move(kept);
  }
}

size_t Ghosts::allocated_bytes() const {
  size_t bytes = segments_.capacity() * sizeof(Segment);
  for (const Segment& segment : segments_) {
    for (const auto& list : segment) {
      if (list.capacity() > 0) bytes += AllocatedBytes(list.capacity() * sizeof(uint32_t));
    }
  }
  return bytes;
}

}  // namespace fluxkv::engine
