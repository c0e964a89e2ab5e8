// The one node of a key: its bytes, the newest version, the second of its last access. Index and
// list point at it. Its head, flags and the key's size are one word, so that twelve bytes come
// before the key: memory is handed out in steps of sixteen, and a key of 17 to 20 bytes takes two
// of them and not three.
//
// N1. The key never changes. head changes under the key's latch only; readers load it with acquire.
// N2. head is null (linked, nothing committed yet), a version, or kClosed. Closed is for ever: the
//     collector closes a node under the key's latch and unlinks it from index and list before it
//     lets go of the latch, so a writer, which looks up under the latch, never meets a closed
//     node; a reader that does looks the key up again. The collector's own list may hold a closed
//     node for a while (G5).
// N3. The flags are changed under the key's latch only: who changes one writes the head again.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>

#include "base/check.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/planted.h"
#include "engine/version.h"

namespace fluxkv::engine {

class Node {
 public:
  static Node* New(std::string_view key, uint32_t access_s) {
    Node* node = new (AllocateNode(BytesFor(key.size()))) Node(key.size(), access_s);
    char* bytes = node->tail();
    if (key.size() >= kLong) [[unlikely]] {
      const auto size = static_cast<uint32_t>(key.size());
      std::memcpy(bytes, &size, sizeof(size));
      bytes += sizeof(size);
    }
    if (!key.empty()) std::memcpy(bytes, key.data(), key.size());
    return node;
  }
  static void Delete(Node* node) {
    const size_t size = BytesFor(node->key().size());
    node->~Node();
    FreePlace(node, size);
  }
  static Version* Closed() { return reinterpret_cast<Version*>(uintptr_t{8}); }

  std::string_view key() const {
    const size_t size = short_size();
    if (size == kLong) [[unlikely]]
      return LongKey();
    return {const_cast<Node*>(this)->tail(), size};
  }
  // As the allocator rounds them.
  static size_t AllocatedBytes(size_t key_size) {
    return fluxkv::AllocatedBytes(BytesFor(key_size));
  }
  size_t AllocatedBytes() const { return AllocatedBytes(key().size()); }

  // The pairing for head: set_head releases what the version points at, head acquires it.
  Version* head() const { return HeadIn(word_.load(std::memory_order_acquire)); }
  void set_head(Version* version) { word_.store(With(version), std::memory_order_release); }
  // For a commit under tracking: ordered before its reading of the marks, as a reader's mark is
  // before its load of head.
  void set_head_ordered(Version* version) { word_.store(With(version), std::memory_order_seq_cst); }
  Version* head_ordered() const { return HeadIn(word_.load(std::memory_order_seq_cst)); }

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

  enum Flag : uint64_t {
    kFiled = 1,   // the expiry queue has an entry at or before the head's deadline, if the head has
                  // one
    kQueued = 2,  // the collector has the node on its list
  };
  bool has(Flag flag) const { return (word_.load(std::memory_order_relaxed) & flag) != 0; }
  // With release, since a reader may take the head from this store.
  void set(Flag flag) {
    word_.store(word_.load(std::memory_order_relaxed) | flag, std::memory_order_release);
  }
  void clear(Flag flag) {
    word_.store(word_.load(std::memory_order_relaxed) & ~uint64_t{flag}, std::memory_order_release);
  }

 private:
  // From the lowest bit: flags, the head's address, the key's size. Programs have addresses of 48
  // bits at most unless they ask for more, those of versions and Closed() have zeros where the
  // flags are. kLong is no size but says that it lies before the key, in four bytes.
  static constexpr int kSizeShift = 48;
  static constexpr uint64_t kHeadMask = (uint64_t{1} << kSizeShift) - 8;
  static constexpr size_t kLong = 0xffff;
  static_assert(alignof(Version) >= 8 && ((kFiled | kQueued) & kHeadMask) == 0);
  static constexpr size_t kHeaderBytes = sizeof(uint64_t) + sizeof(uint32_t);

  Node(size_t key_size, uint32_t access_s)
      : word_(std::min(key_size, kLong) << kSizeShift), access_s_(access_s) {}

  static size_t BytesFor(size_t key_size) {
    const size_t tail = key_size < kLong ? key_size : sizeof(uint32_t) + key_size;
    return std::max(sizeof(Node), kHeaderBytes + tail);
  }
  static Version* HeadIn(uint64_t word) { return reinterpret_cast<Version*>(word & kHeadMask); }
  // The word with another head.
  uint64_t With(const Version* head) const {
    const auto address = reinterpret_cast<uint64_t>(head);
    DEBUG_ASSERT((address & ~kHeadMask) == 0);
    const uint64_t others = word_.load(std::memory_order_relaxed) & ~kHeadMask;
    return (PLANTED(HEAD_FORGETS_FLAGS) ? others >> kSizeShift << kSizeShift : others) | address;
  }

  size_t short_size() const { return word_.load(std::memory_order_relaxed) >> kSizeShift; }
  std::string_view LongKey() const {
    uint32_t size;
    const char* at = const_cast<Node*>(this)->tail();
    std::memcpy(&size, at, sizeof(size));
    return {at + sizeof(size), size};
  }
  char* tail() { return reinterpret_cast<char*>(this) + kHeaderBytes; }

  std::atomic<uint64_t> word_;
  std::atomic<uint32_t> access_s_;
  // Then, where the compiler would leave four bytes unused: the size of a long key; the key.
};
static_assert(sizeof(Node) == 16);
static_assert(limits::kKeyBytesMax <= UINT32_MAX);

}  // namespace fluxkv::engine
