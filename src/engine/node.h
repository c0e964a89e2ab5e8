// The one node of a key: its bytes, the newest version, the second of its last access. Index and
// list point at it.
//
// N1. The key never changes. head changes under the key's latch only; readers load it with acquire.
// N2. head is null (linked, nothing committed yet), a version, or kClosed. Closed is for ever: the
//     collector closes a node under the key's latch and unlinks it from index and list before it
//     lets go of the latch, so a writer, which looks up under the latch, never meets a closed
//     node; a reader that does looks the key up again. The collector's own list may hold a closed
//     node for a while (G5).
// N3. The flags are changed under the key's latch only.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>

#include "base/limits.h"
#include "base/memory.h"
#include "engine/version.h"

namespace fluxkv::engine {

class Node {
 public:
  static Node* New(std::string_view key, uint32_t access_s) {
    void* memory = AllocateNode(sizeof(Node) + key.size());
    Node* node = new (memory) Node(static_cast<uint32_t>(key.size()), access_s);
    if (!key.empty()) std::memcpy(node->bytes(), key.data(), key.size());
    return node;
  }
  static void Delete(Node* node) {
    size_t size = node->size();
    node->~Node();
    FreePlace(node, size);
  }
  static Version* Closed() { return reinterpret_cast<Version*>(uintptr_t{8}); }

  std::string_view key() const {
    return {const_cast<Node*>(this)->bytes(), meta_.load(std::memory_order_relaxed) & kKeySizeMask};
  }
  size_t AllocatedBytes() const { return fluxkv::AllocatedBytes(size()); }

  // The pairing for head: set_head releases what the version points at, head acquires it.
  Version* head() const { return head_.load(std::memory_order_acquire); }
  void set_head(Version* version) { head_.store(version, std::memory_order_release); }
  // For a commit under tracking: ordered before its reading of the marks, as a reader's mark is
  // before its load of head.
  void set_head_ordered(Version* version) { head_.store(version, std::memory_order_seq_cst); }
  Version* head_ordered() const { return head_.load(std::memory_order_seq_cst); }

  // What the last use of the key left: seconds of the shared clock, truncated to 32 bits, or what
  // the eviction policy wants (eviction/access.h). A figure: relaxed, last writer wins.
  uint32_t access_s() const { return access_s_.load(std::memory_order_relaxed); }
  void NoteAccess(uint32_t now_s) {
    if (access_s() != now_s) access_s_.store(now_s, std::memory_order_relaxed);
  }
  // For the evictor: leaves alone what a reader stored meanwhile.
  void ReplaceAccess(uint32_t seen, uint32_t with) {
    access_s_.compare_exchange_strong(seen, with, std::memory_order_relaxed);
  }

  enum Flag : uint32_t {
    kFiled = 1u << 30,   // the expiry queue has an entry at or before the head's deadline, if the
                         // head has one
    kQueued = 1u << 31,  // the collector has the node on its list
  };
  bool has(Flag flag) const { return (meta_.load(std::memory_order_relaxed) & flag) != 0; }
  void set(Flag flag) {
    meta_.store(meta_.load(std::memory_order_relaxed) | flag, std::memory_order_relaxed);
  }
  void clear(Flag flag) {
    meta_.store(meta_.load(std::memory_order_relaxed) & ~uint32_t{flag}, std::memory_order_relaxed);
  }

 private:
  static constexpr uint32_t kKeySizeMask = (1u << 30) - 1;
  static_assert(limits::kKeyBytesMax <= kKeySizeMask);

  Node(uint32_t key_size, uint32_t access_s) : access_s_(access_s), meta_(key_size) {}
  char* bytes() { return reinterpret_cast<char*>(this + 1); }
  size_t size() const { return sizeof(Node) + key().size(); }

  std::atomic<Version*> head_{nullptr};
  std::atomic<uint32_t> access_s_;
  std::atomic<uint32_t> meta_;  // low 30 bits: key size; then the flags
};
static_assert(sizeof(Node) == 16);

}  // namespace fluxkv::engine
