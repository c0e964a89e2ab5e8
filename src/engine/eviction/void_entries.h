// Which entries no longer count. A policy cannot find the entry of a key that went, because
// where it lies follows from what the node said when it was filed. So the entry is declared void
// here and dropped when somebody meets it; what is void is counted, and a sweep drops the rest
// in time.
//
// Every change of a key comes as an event: filed when it became evictable, unfiled when it ceased
// to be. Events of one key are posted in their order, but may be read in another.
//
// E1. For each entry value e, of all events read: entries of e in the policy and in the hands of
//     evictors = filed(e) - evicted(e) - (unfiled(e) - voids(e)), and voids(e) >= 0 counts those
//     that are still to be dropped. Equal entries are alike: whichever is met first is dropped.
// E2. A node may be looked at through an entry e only if voids(e) is 0 after the events of all
//     threads were read, in the epoch in which they were read. (Then filed(e) > unfiled(e) among
//     the events read, so the node was evictable at some moment after this epoch began, or is
//     still to come, and whatever is unlinked later is not freed before the epoch ends.)
// E3. Entries of a dropped space are all void; its number is given out again only when none is
//     left, in the policy or in the hands of an evictor.
//
// Threads: under the policy's lock.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "engine/eviction/books.h"
#include "engine/eviction/entry.h"

namespace fluxkv::engine {

class VoidEntries {
 public:
  // A filed event was read; what became of it left the policy for good.
  void NoteAdded(Entry entry) { ++At(entry.space()).entries; }
  void NoteRemoved(Entry entry);

  // One entry of this value is void from now on.
  void Add(Entry entry);
  // An entry was met, in the policy or about to be put in: true if it is void, and used up; drop
  // it (it counts as removed). A key that went and came back at once so keeps its old entry.
  bool Take(Entry entry);

  // nullopt: all numbers are in use or wait for a sweep.
  std::optional<SpaceNumber> NewSpace();
  void DropSpace(SpaceNumber space);
  bool dropped(SpaceNumber space) const {
    return space >= spaces_.size() || spaces_[space].state != State::kUsed;
  }

  // Entries that a sweep would drop.
  size_t pending() const { return pending_; }
  size_t allocated_bytes() const;

 private:
  enum class State : uint8_t { kFree, kUsed, kDropped };
  struct Space {
    size_t entries = 0;  // and filed events that were read
    size_t voids = 0;
    State state = State::kFree;
  };
  static constexpr size_t kSpacesMax = size_t{1} << 16;
  static constexpr size_t kShards = 256;  // small maps, so that none takes long to grow
  Space& At(SpaceNumber space);
  bool UseUp(Entry entry);

  using Map = books::UnorderedMap<Entry, uint32_t>;
  Map& ShardOf(Entry entry) { return shards_[std::hash<Entry>()(entry) >> 56]; }

  std::array<Map, kShards> shards_;  // how many entries of a value are void; never 0
  size_t void_count_ = 0;            // the sum over shards_
  size_t pending_ = 0;               // void ones of spaces in use, all entries of dropped ones
  books::Vector<Space> spaces_;
};

}  // namespace fluxkv::engine
