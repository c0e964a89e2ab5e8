// The ordered list: all nodes of a database in byte order of their keys. A skiplist of fat blocks
// (after the B-skiplist of Luo et al., arXiv 2507.21492: several keys to a list node make inserts
// and scans cheap), with one difference: towers stand on blocks, not on keys, so an insert touches
// one block and links a tower only when that block splits.
//
// A block holds up to kEntries nodes in key order. Its low bound is fixed when it is made;
// its range reaches to the next block's low bound. The head has no low bound and is never removed.
//
// L1. A node is in exactly one block, whose range holds its key, from Insert until Remove.
// L2. low never changes. entries and count change under the block's latch
//     (its version is odd meanwhile).
// L3. next pointers change under structure_mutex_; next of a block that splits, or takes over the
//     entries of the next one, changes with its latch held as well, so that entries, count and
//     next(0) copied between two equal even versions are of one moment.
// L4. A block that is empty, or whose entries the one before it took over, is unlinked under its
//     latch and marked dead when the latch is let go; whoever meets a dead block starts over from
//     the head. Its own next pointers stay, so that a walker on upper levels can go on through it.
// L5. A block is linked at level n only after every level below.
// L6. A block that lost entries takes over those of the next one when they are few together: where
//     keys come and go at random, blocks are some six tenths full.
// Latch order: block latch, then structure_mutex_. Who holds a block latch only tries for a second.
//
// Threads: Insert and Remove from any thread inside an epoch (the caller holds the key's latch);
//          Seek, Read from any inside an epoch.
// Owns:    blocks, not nodes.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/memory.h"
#include "engine/epoch.h"
#include "engine/node_ref.h"

namespace fluxkv::engine {

class OrderedList {
 public:
  // Four blocks are a page: of many blocks that became few, those that are left hold few pages.
  static constexpr size_t kBlockBytes = 1024;
  static constexpr size_t kEntries = (kBlockBytes - 40) / sizeof(NodeRef);
  // An appended block leaves a little room, so that the first inserts do not split every block.
  static constexpr uint32_t kEntriesAppended = kEntries * 9 / 10;
  // Two neighbours with so many together become one, which has room for some inserts.
  static constexpr uint32_t kEntriesMerged = kEntries * 15 / 16;
  static constexpr int kHeightMax = 12;
  static constexpr uint64_t kTowerOdds = 8;  // one block in so many reaches the next level

  OrderedList();
  ~OrderedList();  // Requires: nobody is inside an epoch with a pointer into it
  OrderedList(const OrderedList&) = delete;
  OrderedList& operator=(const OrderedList&) = delete;

  // Requires: no node with this key is in the list.
  void Insert(Node* node, Reclaimer& reclaimer);
  // Those of one block cost one search together.
  // Requires: the nodes are in the list, and here in ascending order of key.
  void Remove(std::span<Node* const> nodes, Reclaimer& reclaimer);
  void Remove(Node* node, Reclaimer& reclaimer) { Remove({&node, 1}, reclaimer); }

  // A copy of one block, of one moment.
  struct Page {
    size_t count = 0;
    std::array<Node*, kEntries> nodes;
    bool last = false;      // nothing follows
    std::string_view next;  // else where the next block begins (valid inside the epoch)
    bool first = false;     // nothing is before it
    std::string_view low;   // else where the block begins (valid inside the epoch)
  };
  // The block whose range holds `key`.
  void Read(std::string_view key, Page* page) const;
  // The block whose range holds the keys just below `key`; nullopt: the last one.
  void ReadBelow(std::optional<std::string_view> key, Page* page) const;

  size_t allocated_bytes() const { return bytes_.load(std::memory_order_relaxed); }

  // Takes all nodes out, in order, and leaves the list empty. Requires: nobody else uses the list.
  std::vector<Node*> TakeAll();
  // Fills an empty list with nodes that come in ascending order, without a search.
  class Appender;

 private:
  struct Low {  // a block's low bound, allocated with its bytes behind it
    uint32_t size;
    std::string_view key() const { return {reinterpret_cast<const char*>(this + 1), size}; }
  };
  struct Block : InPlaceArena {
    std::atomic<uint64_t> version{0};  // kLatched, kDead, then a counter
    const Low* low = nullptr;          // null: the head
    std::atomic<uint32_t> count{0};
    uint32_t height = 1;
    std::atomic<Block*> next0{nullptr};
    std::atomic<Block*>* tower = nullptr;  // next pointers of levels 1 to height-1
    std::atomic<NodeRef> entries[kEntries] = {};

    std::atomic<Block*>& next(int level) { return level == 0 ? next0 : tower[level - 1]; }
    const std::atomic<Block*>& next(int level) const {
      return level == 0 ? next0 : tower[level - 1];
    }
    Node* node(size_t at) const { return entries[at].load(std::memory_order_acquire).node(); }
    void set_node(size_t at, const Node* node) {
      entries[at].store(NodeRef(node), std::memory_order_release);
    }
  };
  static_assert(sizeof(Block) == kBlockBytes);
  static constexpr uint64_t kLatched = 1, kDead = 2, kVersionStep = 4;

  // The last block whose low bound is <= key, as the towers tell; it may be dead.
  Block* Descend(std::string_view key) const;
  // The last block whose low bound is < key, of all if it is nullopt; it may be dead.
  Block* DescendBelow(std::optional<std::string_view> key) const;
  // The last block at each level whose low bound is < key. Requires: structure_mutex_ held.
  void Predecessors(std::string_view key, std::array<Block*, kHeightMax>* out) const;
  // The block for `key`, latched and alive.
  Block* LatchFor(std::string_view key);
  static bool TryLatch(Block* block);     // false if dead
  static bool TryLatchNow(Block* block);  // false if dead or latched
  static void Unlatch(Block* block, bool dead = false);
  // A copy of the block; false when it was not of one moment, or the block is dead.
  static bool TryRead(const Block* block, Page* page);
  // Takes out of a latched block those of the first nodes that it holds; how many they are.
  static size_t TakeOut(Block* block, std::span<Node* const> nodes);
  // L6. Requires: the block is latched.
  void TakeOverNext(Block* block, Reclaimer& reclaimer);
  // Unlinks a block that nothing is in any more and lets go of its latch.
  void Unlink(Block* block, Reclaimer& reclaimer);
  void SplitAndInsert(Block* block, Node* node, size_t position);
  Block* NewBlock(std::string_view low, uint32_t height);
  static void DeleteBlock(Block* block);
  static size_t BlockBytes(const Block& block);
  uint32_t RandomHeight();

  // Deletes all blocks but the head.
  void DeleteBlocks();

  Block* head_;
  mutable std::mutex structure_mutex_;
  uint64_t random_ = 0x853c49e6748fea9bULL;  // guarded by structure_mutex_
  std::atomic<size_t> bytes_{0};
};

// Requires: the list is empty, and nobody else uses it until the appender goes.
class OrderedList::Appender {
 public:
  explicit Appender(OrderedList& list);
  // Requires: the key is above that of every node before it.
  void Append(Node* node);

 private:
  OrderedList& list_;
  Block* block_;                         // the last one
  std::array<Block*, kHeightMax> last_;  // the last one at each level
};

}  // namespace fluxkv::engine
