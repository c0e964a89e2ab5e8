// How a policy names a node: its address, and the space (the keyspace's number for the policies)
// that it was filed in. Six bytes, one for each evictable key. Threads: a value.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

#include "base/hash.h"
#include "base/memory.h"
#include "engine/node.h"

namespace fluxkv::engine {

// The number by which entries name a keyspace. Given out and taken back by Eviction; swaps of
// databases do not change it.
using SpaceNumber = uint16_t;

class Entry {
 public:
  Entry() = default;
  Entry(const Node* node, SpaceNumber space) : space_(space) {
    const AddressBits bits = BitsOf(node);
    std::memcpy(address_.data(), &bits, sizeof bits);
  }

  // Requires: not a default one. Whether it may be looked at is for VoidEntries to say
  // (void_entries.h, E2).
  Node* node() const { return static_cast<Node*>(AddressOf(address())); }
  SpaceNumber space() const { return space_; }
  // Of entries that differ they differ.
  uint64_t bits() const { return uint64_t{address()} << 16 | space_; }
  friend bool operator==(Entry a, Entry b) { return a.bits() == b.bits(); }

 private:
  AddressBits address() const {
    AddressBits bits = 0;
    std::memcpy(&bits, address_.data(), sizeof bits);
    return bits;
  }

  std::array<uint16_t, sizeof(AddressBits) / 2> address_ = {};  // in halves, to be packed
  SpaceNumber space_ = 0;
};
static_assert(sizeof(Entry) == sizeof(AddressBits) + sizeof(SpaceNumber));

}  // namespace fluxkv::engine

template <>
struct std::hash<fluxkv::engine::Entry> {
  size_t operator()(fluxkv::engine::Entry entry) const {
    return static_cast<size_t>(fluxkv::MixHash(entry.bits(), 0));
  }
};
