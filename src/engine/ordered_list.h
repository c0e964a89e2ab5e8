// The ordered list: all nodes of a database in byte order of their keys. A skiplist of fat blocks
// (after the B-skiplist of Luo et al., arXiv 2507.21492: several keys to a list node make inserts
// and scans cheap), with one difference: towers stand on blocks, not on keys, so an insert touches
// one block and links a tower only when that block splits.
//
// A block holds up to kEntries nodes, in key order but for the last ones (L8). Its tower has its
// low bound, which is fixed when it is made, and the links; its range reaches to the next block's
// low bound. The head has no low bound and is never removed. A descent reads towers alone, each of
// which is a line or two.
//
// Beside each node the block has its key's head: the four bytes behind the prefix that all keys of
// the block share, as a number (abbreviated keys after Graefe and Larson, "B-Tree Indexes and CPU
// Caches", 2001). So keys are put in order without a look at any, save those whose heads are the
// same.
//
// A new node goes behind the others of its block, whatever its key: that touches two lines, where
// its place in their order would take half of the block. Later, many are put in order together
// (L8).
//
// L1. A node is in exactly one block, whose range holds its key, from Insert until Remove.
// L2. The low bound never changes. slots, count, sorted and shared change under the block's latch
//     (its version is odd meanwhile).
// L3. next pointers change under structure_mutex_; next of a block that splits, or takes over the
//     entries of the next one, changes with its latch held as well, so that slots, count and
//     next(0) copied between two equal even versions are of one moment.
// L4. A block that is empty, or whose entries the one before it took over, is unlinked under its
//     latch and marked dead when the latch is let go; whoever meets a dead block starts over from
//     the head. Its own next pointers stay, so that a walker on upper levels can go on through it.
// L5. A block is linked at level n only after every level below.
// L6. A block that lost entries takes over those of the next one when they are few together: where
//     keys come and go at random, blocks are some six tenths full.
// L7. Low bound and keys of a block begin with the same `shared` bytes; the head beside a node is
//     HeadOf its key. Only who holds the latch looks at them. A key that shares less than the
//     others makes all heads of its block anew, a look at each key; for a family of keys in order
//     that happens as many times as their common prefix is long at most.
// L8. The first `sorted` entries are in order. Those behind them, fewer than kUnsortedMost, are as
//     they came; whoever needs the order, a reader too, first has all put in order under the latch.
// Latch order: block latch, then structure_mutex_. Who holds a block latch only tries for a second.
//
// Threads: Insert and Remove from any thread inside an epoch (the caller holds the key's latch);
//          Prefetch, Read, ReadBelow from any inside an epoch.
// Owns:    blocks and towers, not nodes.
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
  struct Entry {
    NodeRef ref;
    uint32_t head = 0;  // L7
  };
  struct Slot {
    std::atomic<NodeRef> ref;
    uint32_t head = 0;

    Node* node() const { return ref.load(std::memory_order_acquire).node(); }
    Entry entry() const { return {ref.load(std::memory_order_relaxed), head}; }
    void Set(Entry entry) {
      ref.store(entry.ref, std::memory_order_release);
      head = entry.head;
    }
  };
  struct Block;

 public:
  // Two blocks are a page: of many blocks that became few, those that are left hold few pages.
  static constexpr size_t kBlockBytes = 2048;
  static constexpr size_t kEntries = (kBlockBytes - 24) / sizeof(Slot);
  // So many new entries are put in order together, at the latest.
  static constexpr size_t kUnsortedMost = 32;
  // An appended block leaves a little room, so that the first inserts do not split every block.
  static constexpr uint32_t kEntriesAppended = kEntries * 9 / 10;
  // Two neighbours with so many together become one, which has room for some inserts.
  static constexpr uint32_t kEntriesMerged = kEntries * 15 / 16;
  static constexpr int kHeightMax = 12;
  static constexpr uint64_t kTowerOdds = 4;  // one block in so many reaches the next level

  OrderedList();
  ~OrderedList();  // Requires: nobody is inside an epoch with a pointer into it
  OrderedList(const OrderedList&) = delete;
  OrderedList& operator=(const OrderedList&) = delete;

  // Where Prefetch found that a key belongs: a guess, which saves Insert the search. It must
  // not be used outside the epoch it was got in.
  class Place {
   public:
    Place() = default;
    explicit operator bool() const { return block_ != nullptr; }
    friend bool operator==(const Place&, const Place&) = default;

   private:
    friend class OrderedList;
    Place(const OrderedList* list, Block* block) : list_(list), block_(block) {}
    const OrderedList* list_ = nullptr;
    Block* block_ = nullptr;
  };
  // Asks for the cache lines that Insert of these keys will need. Their descents go side by side,
  // so that the misses of one are waited for beside those of the others (group prefetching; Chen,
  // Ailamaki, Gibbons and Mowry, ICDE 2004). Requires: at most kPrefetchMost keys, a place for
  // each.
  static constexpr size_t kPrefetchMost = 32;
  void Prefetch(std::span<const std::string_view> keys, std::span<Place> places) const;

  // Requires: no node with this key is in the list; the place was got in this epoch, for whatever
  // key and list.
  void Insert(Node* node, Reclaimer& reclaimer, Place place);
  void Insert(Node* node, Reclaimer& reclaimer) { Insert(node, reclaimer, Place()); }
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
  struct Tower {  // the links of its levels and the low bound are behind it
    Block* const block;
    const uint32_t height;
    const uint32_t low_bytes;

    std::atomic<Tower*>& next(size_t level) {
      return reinterpret_cast<std::atomic<Tower*>*>(this + 1)[level];
    }
    const std::atomic<Tower*>& next(size_t level) const {
      return const_cast<Tower*>(this)->next(level);
    }
    std::string_view low() const {  // of the head: empty
      return {reinterpret_cast<const char*>(this + 1) + height * sizeof(std::atomic<Tower*>),
              low_bytes};
    }
    size_t bytes() const {
      return sizeof(Tower) + height * sizeof(std::atomic<Tower*>) + low_bytes;
    }
  };
  struct Block : InPlaceArena {
    std::atomic<uint64_t> version{0};  // kLatched, kDead, then a counter
    Tower* tower = nullptr;            // never changes
    std::atomic<uint16_t> count{0};
    std::atomic<uint16_t> sorted{0};  // L8
    uint32_t shared = 0;              // L7
    Slot slots[kEntries] = {};

    size_t size() const { return count.load(std::memory_order_acquire); }
    bool in_order() const { return sorted.load(std::memory_order_acquire) == size(); }
    void set_size(size_t all, size_t in_order) {
      sorted.store(static_cast<uint16_t>(in_order), std::memory_order_release);
      count.store(static_cast<uint16_t>(all), std::memory_order_release);
    }
  };
  static_assert(sizeof(Block) <= kBlockBytes && sizeof(Block) + sizeof(Slot) > kBlockBytes);
  static constexpr size_t kTowerBytesUsual = 48;
  // Heads are left as they are until the keys share so many bytes more: new ones are a look at each
  // key.
  static constexpr uint32_t kSharedLag = 2;
  static constexpr uint64_t kLatched = 1, kDead = 2, kVersionStep = 4;

  // The number that the first bytes behind `shared` are, big-endian; those that are missing count
  // as 0. Of keys that have the same `shared` bytes, the one with the smaller head is the smaller.
  static uint32_t HeadOf(std::string_view key, size_t shared);
  static uint32_t SharedBytes(std::string_view a, std::string_view b);
  // By key. Requires: their heads were made with the same `shared`.
  static bool IsBelow(Entry a, Entry b);
  // These change a block; so they require that it is latched, or nobody else's yet.
  static void MakeHeads(Block* block, uint32_t shared);
  // The block has its first `at` entries from now on and these behind them, no others. `shared`:
  // what the heads of these were made with. Requires: all are in key order, and there is one.
  static void Fill(Block* block, size_t at, std::span<const Slot> more, uint32_t shared);
  // Requires: the block's range holds the key, and there is room.
  static void Append(Block* block, Node* node);
  // L8: all entries in order.
  static void Sort(Block* block);
  static bool IsSorted(const Block& block);  // as heads and keys tell

  // The last block whose low bound is <= key, as the towers tell; it may be dead.
  Block* Descend(std::string_view key) const;
  // What it takes to compare with a low bound of usual length.
  static void PrefetchTower(const Tower* tower);
  // All of a block but its first line.
  static void PrefetchBlock(const Block* block);
  // What it takes to insert into a block whose first line is there.
  static void PrefetchEnd(const Block* block);
  // Prefetch, with a descent for each key.
  void PrefetchEach(std::span<const std::string_view> keys, std::span<Place> places) const;
  // The last block whose low bound is < key, of all if it is nullopt; it may be dead.
  Block* DescendBelow(std::optional<std::string_view> key) const;
  // The last tower at each level whose low bound is < key. Requires: structure_mutex_ held.
  void Predecessors(std::string_view key, std::array<Tower*, kHeightMax>* out) const;
  // Whether the block's range holds the key; final while the block is latched.
  static bool IsIn(const Block& block, std::string_view key);
  // The block for `key`, latched and alive. `guess`: where to look first; null for none.
  Block* LatchFor(std::string_view key, Block* guess = nullptr);
  static bool TryLatch(Block* block);     // false if dead
  static bool TryLatchNow(Block* block);  // false if dead or latched
  static void Unlatch(Block* block, bool dead = false);
  // A copy of the block, in order; false when it was not of one moment, or the block is dead.
  bool TryRead(Block* block, Page* page) const;
  void CopyTo(const Block& block, Page* page) const;
  // Takes out of the block those of the first nodes that it holds; how many they are.
  static size_t TakeOut(Block* block, std::span<Node* const> nodes);
  // L6. Requires: the block is latched.
  void TakeOverNext(Block* block, Reclaimer& reclaimer);
  // Unlinks a block that nothing is in any more and lets go of its latch.
  void Unlink(Block* block, Reclaimer& reclaimer);
  void SplitAndInsert(Block* block, Node* node);
  Block* NewBlock(std::string_view low, uint32_t height);
  Block* NewBlock(std::string_view low) { return NewBlock(low, HeightFor(low)); }
  static void DeleteBlock(Block* block);
  static size_t BlockBytes(const Block& block);
  // By the seeded hash, so nobody can choose keys that all get the same.
  static uint32_t HeightFor(std::string_view low);

  // Deletes all blocks but the head.
  void DeleteBlocks();

  mutable std::mutex structure_mutex_;
  std::atomic<size_t> bytes_{0};
  Block* const head_;
};

// Requires: the list is empty, and nobody else uses it until the appender goes.
class OrderedList::Appender {
 public:
  explicit Appender(OrderedList& list);
  ~Appender() { EndBlock(); }
  Appender(const Appender&) = delete;
  Appender& operator=(const Appender&) = delete;
  // Requires: the key is above that of every node before it.
  void Append(Node* node);

 private:
  void EndBlock();

  OrderedList& list_;
  Block* block_;                         // the last one; its heads come when it ends
  std::array<Tower*, kHeightMax> last_;  // the last one at each level
};

}  // namespace fluxkv::engine
