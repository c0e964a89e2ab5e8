// How index, list and eviction policy name a node: the bits that tell its address (base/memory.h),
// four bytes instead of eight, or none. Threads: a value; a std::atomic of it is lock-free.
#pragma once

#include <atomic>

#include "base/check.h"
#include "base/memory.h"
#include "engine/node.h"

namespace fluxkv::engine {

class NodeRef {
 public:
  constexpr NodeRef() = default;
  explicit NodeRef(const Node* node) : bits_(BitsOf(node)) {
    DEBUG_ASSERT(bits_ == 0 || AddressOf(bits_) == node);
  }

  explicit operator bool() const { return bits_ != 0; }
  // Requires: not none.
  Node* node() const { return static_cast<Node*>(AddressOf(bits_)); }
  AddressBits bits() const { return bits_; }
  friend bool operator==(NodeRef a, NodeRef b) { return a.bits_ == b.bits_; }

 private:
  AddressBits bits_ = 0;
};
static_assert(std::atomic<NodeRef>::is_always_lock_free);

}  // namespace fluxkv::engine
