#include "engine/eviction/void_entries.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/planted.h"

namespace fluxkv::engine {

VoidEntries::Space& VoidEntries::At(SpaceNumber space) {
  ASSERT(space < spaces_.size() && spaces_[space].state != State::kFree);
  return spaces_[space];
}

void VoidEntries::NoteRemoved(Entry entry) {
  Space& space = At(entry.space());
  ASSERT(space.entries > 0);
  --space.entries;
  if (space.state != State::kDropped) return;
  --pending_;
  if (space.entries == 0) space = {};
}

void VoidEntries::Add(Entry entry) {
  if (dropped(entry.space())) return;
  ++ShardOf(entry)[entry];
  ++At(entry.space()).voids;
  ++void_count_;
  ++pending_;
}

bool VoidEntries::UseUp(Entry entry) {
  if (void_count_ == 0) return false;
  Map& voids = ShardOf(entry);
  auto it = voids.find(entry);
  if (it == voids.end()) return false;
  if (--it->second == 0) voids.erase(it);
  if (voids.empty()) voids = {};
  Space& space = At(entry.space());
  --space.voids;
  --void_count_;
  if (space.state == State::kUsed) --pending_;
  return true;
}

bool VoidEntries::Take(Entry entry) {
  const bool used_up = !PLANTED(EVICTION_FORGET_VOIDS) && UseUp(entry);
  if (!used_up && !dropped(entry.space())) return false;
  NoteRemoved(entry);
  return true;
}

std::optional<SpaceNumber> VoidEntries::NewSpace() {
  size_t number = 0;
  while (number < spaces_.size() && spaces_[number].state != State::kFree) ++number;
  if (number == kSpacesMax) return std::nullopt;
  if (number == spaces_.size()) spaces_.emplace_back();
  spaces_[number].state = State::kUsed;
  return static_cast<SpaceNumber>(number);
}

void VoidEntries::DropSpace(SpaceNumber number) {
  Space& space = At(number);
  ASSERT(space.state == State::kUsed);
  ASSERT(space.voids <= space.entries);
  const bool left = !PLANTED(EVICTION_REUSE_SPACE) && space.entries > 0;
  if (!left) {
    space = {};
    return;
  }
  space.state = State::kDropped;
  pending_ += space.entries - space.voids;
}

size_t VoidEntries::allocated_bytes() const {
  size_t bytes = spaces_.capacity() * sizeof(Space);
  for (const Map& voids : shards_) {
    if (voids.empty()) continue;
    bytes += voids.bucket_count() * sizeof(void*);
    bytes += voids.size() * AllocatedBytes(sizeof(void*) + sizeof(Map::value_type));
  }
  return bytes;
}

}  // namespace fluxkv::engine
