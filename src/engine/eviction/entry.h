// How a policy names a node: its address, and the space (the keyspace's number for the policies)
// that it was filed in. Eight bytes, one for each evictable key. Threads: a value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "base/hash.h"
#include "engine/node.h"

namespace fluxkv::engine {

// The number by which entries name a keyspace. Given out and taken back by Eviction; swaps of
// databases do not change it.
using SpaceNumber = uint16_t;

class Entry {
 public:
  Entry() = default;
  Entry(const Node* node, SpaceNumber space)
      : bits_(reinterpret_cast<uint64_t>(node) | uint64_t{space} << kPointerBits) {}

  // Whether it may be looked at is for VoidEntries to say (void_entries.h, E2).
  Node* node() const {
    return reinterpret_cast<Node*>(bits_ & ((uint64_t{1} << kPointerBits) - 1));
  }
  SpaceNumber space() const { return static_cast<SpaceNumber>(bits_ >> kPointerBits); }
  uint64_t bits() const { return bits_; }
  friend bool operator==(Entry a, Entry b) { return a.bits_ == b.bits_; }

 private:
  static constexpr int kPointerBits = 48;  // as in the index's slots
  uint64_t bits_ = 0;
};
static_assert(sizeof(Entry) == 8);

}  // namespace fluxkv::engine

template <>
struct std::hash<fluxkv::engine::Entry> {
  size_t operator()(fluxkv::engine::Entry entry) const {
    return static_cast<size_t>(fluxkv::MixHash(entry.bits(), 0));
  }
};
