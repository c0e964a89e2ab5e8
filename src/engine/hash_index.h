// The hash index: from a key to its node with two cache misses, readers without latch or store.
// (The directory is small, and its entries say what a look-up must know of a segment.)
// Extendible hashing (Fagin et al., 1979) over segments of a bounded size, addressed by the hash's
// high bits, so that position order is hash order (SCAN).
//
// A segment has some home buckets of one cache line (kSlots slots and its meta) and kSpillBuckets
// more behind them. An entry lives in its home bucket or one of the next kSpillBuckets. A slot is
// a tag of 16 bits of the hash and a node; the tag is a hint, the node's key decides. A slot that
// is given to another entry gets the tag first. A segment that is full is built anew, larger, and
// from the largest size as two; no table is ever doubled, so growth never stalls. The two largest
// are such that a segment is 0.7 full then, not 0.5: uniform hashes fill all segments at the same
// time, so halving alone would leave the whole index half empty.
//
// Growth reads few keys. The tag's bits begin kToldBits behind the segment's prefix; those between
// follow from home bucket and tag together where there are enough homes. So prefix, home and tag
// give the hash's first bits, which are what a new segment needs, but for one of the tag's bits
// each time a segment is halved: that one is then zero in all tags of the segment and in what is
// looked for. Keys are read when fewer than kTagBitsMin would be left, in small segments, and of
// entries that do not live in their home bucket.
//
// H1. A bucket's meta says how many buckets beyond it an entry whose home it is may live; that
//     number only grows, and is stored before the entry is.
// H2. Slots and meta of a segment change under the segment's latch; readers load them with acquire.
// H3. An entry never moves inside a segment. Growth copies entries to new segments, marks every
//     bucket of the old one moved, then publishes the new ones in the directory: so a reader that
//     misses in a bucket not marked moved has not missed an entry that was there before its
//     look-up began, and one that misses in a marked bucket starts over.
// H4. Insert and Remove of one key never run at the same time (the caller holds the key's latch).
// H5. A bucket's meta has a bit for each of its slots whose entry has another home (a stray).
// H6. The directory has 2^depth entries; a segment of depth d <= depth stands in 2^(depth-d)
//     neighbouring ones.
//
// Threads: Find, Prefetch, Collect from any thread inside an epoch; Insert, Remove under the
//          key's latch, inside an epoch.
// Owns:    segments and directories, not nodes.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/memory.h"
#include "engine/epoch.h"
#include "engine/key.h"
#include "engine/latch.h"
#include "engine/node_ref.h"

namespace fluxkv::engine {

class HashIndex {
 public:
  static constexpr size_t kSlots =
      (limits::kCacheLineBytes - sizeof(uint16_t)) / (sizeof(NodeRef) + sizeof(uint16_t));
  // With three, a sixth of the segments grew before they were full, because four neighbouring
  // buckets were.
  static constexpr size_t kSpillBuckets = 5;
  // The sizes of segments in cache lines, the header's included: what the allocator has classes
  // for.
  static constexpr std::array<size_t, 4> kSegmentLines = {16, 40, 80, 112};
  static constexpr size_t HomeBuckets(size_t size) {
    return kSegmentLines[size] - 1 - kSpillBuckets;
  }
  // Fuller than this a segment grows even if an entry would still find room: probing stays at one
  // line mostly.
  static constexpr size_t EntriesMax(size_t size) { return HomeBuckets(size) * kSlots * 13 / 16; }
  static constexpr size_t kSizeMax = kSegmentLines.size() - 1;

  HashIndex();
  ~HashIndex();  // Requires: nobody is inside an epoch with a pointer into it
  HashIndex(const HashIndex&) = delete;
  HashIndex& operator=(const HashIndex&) = delete;

  // The node of the key, or null.
  Node* Find(const Key& key) const;
  // All nodes whose key has this hash. Requires: a latch that keeps keys of this hash from coming
  // and going.
  void FindByHash(uint64_t hash, std::vector<Node*>* nodes) const;
  // Makes room for so many entries at once. Requires: empty, and nobody else uses the index.
  void Reserve(size_t entries);
  // Requires: the key is not there.
  void Insert(Node* node, uint64_t hash, Reclaimer& reclaimer);
  // Requires: the node is there.
  void Remove(Node* node, uint64_t hash);

  // Asks for the cache line that Find will look at first.
  void Prefetch(uint64_t hash) const;
  // The node that Find would most likely return, from the tag alone; asks for its line. May be null
  // or another key's. `for_write`: if there is none, asks for what Insert needs.
  Node* PrefetchNode(uint64_t hash, bool for_write) const;

  // All nodes whose ScanHash is in [from, next), in that order, bucket by bucket until there are at
  // least `count` or many buckets were empty; returns next, 0 when the end was reached.
  struct Entry {
    uint64_t scan_hash;
    Node* node;
  };
  uint64_t Collect(uint64_t from, size_t count, std::vector<Entry>* out) const;

  // Every node. Requires: nobody else uses the index (destruction).
  template <class Visit>
  void VisitAll(Visit visit) const {
    const Segment* last = nullptr;
    const Directory* directory = directory_.load(std::memory_order_acquire);
    for (const auto& entry : directory->segments) {
      const Segment* segment = entry.load(std::memory_order_acquire).segment();
      if (segment == last) continue;
      last = segment;
      for (const Bucket& bucket : segment->all_buckets()) {
        for (const auto& slot : bucket.nodes) {
          if (const NodeRef ref = slot.load(std::memory_order_acquire)) visit(ref.node());
        }
      }
    }
  }

  // How many keys growth has read, for tests.
  size_t keys_read() const { return keys_read_.load(std::memory_order_relaxed); }
  // As the allocator rounds them.
  size_t allocated_bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  // Of meta.
  static constexpr uint16_t kSpillMask = 0x7;
  static_assert(kSpillBuckets <= kSpillMask);
  static constexpr uint16_t kMoved = 0x8;
  static constexpr uint16_t StrayBit(size_t slot) { return static_cast<uint16_t>(0x10 << slot); }
  static_assert(0x10 << kSlots <= 1 << 16);

  struct alignas(limits::kCacheLineBytes) Bucket {
    std::atomic<uint16_t> meta{0};
    std::atomic<uint16_t> tags[kSlots] = {};
    std::atomic<NodeRef> nodes[kSlots] = {};

    // Under the segment's latch.
    bool IsStray(size_t slot) const {
      return (meta.load(std::memory_order_relaxed) & StrayBit(slot)) != 0;
    }
    void SetStray(size_t slot, bool is) {
      if (IsStray(slot) == is) return;
      meta.store(static_cast<uint16_t>(meta.load(std::memory_order_relaxed) ^ StrayBit(slot)),
                 std::memory_order_release);
    }
    // What the slot holds if its tag is this one.
    NodeRef At(size_t slot, uint16_t tag) const {
      if (tags[slot].load(std::memory_order_acquire) != tag) return {};
      return nodes[slot].load(std::memory_order_acquire);
    }
  };
  static_assert(sizeof(Bucket) == limits::kCacheLineBytes);
  // So many bits of the hash behind the segment's prefix say where an entry lives.
  static constexpr int kPlaceBits = 16;
  static constexpr int kDepthMax = kScanHashBits - kPlaceBits;
  // Of those, the tag begins behind the first so many, which so many homes tell.
  static constexpr int kToldBits = 6;
  static constexpr size_t kHomesThatTell = size_t{1} << kToldBits;
  static constexpr int kTagBits = 16;
  // Then one look-up in sixty compares a key in vain; and with the told ones they say the place.
  static constexpr int kTagBitsMin = 10;
  static_assert(kToldBits + kTagBitsMin >= kPlaceBits);
  // All of the tag's bits are there.
  static_assert(kDepthMax + kToldBits + kTagBits <= 64);

  static uint16_t TagOf(uint64_t hash, int depth, int tag_bits) {
    const int lost = kTagBits - tag_bits;
    return static_cast<uint16_t>(hash << (depth + kToldBits) >> (64 - kTagBits) >> lost << lost);
  }

  // Rises with the hash.
  static size_t HomeOf(uint64_t hash, int depth, size_t homes) {
    return ((hash << depth) >> (64 - kPlaceBits)) * homes >> kPlaceBits;
  }

  struct alignas(limits::kCacheLineBytes) Segment {  // the buckets are behind it
    Latch latch;
    bool moved = false;     // under latch
    const uint8_t size;     // index of kSegmentLines
    const int depth;        // how many high bits of the hash all entries share
    const int tag_bits;     // valid ones of its tags; the others are zero
    const uint32_t homes;   // HomeBuckets(size)
    const uint64_t prefix;  // the hash's high bits, right-aligned
    size_t entries = 0;     // under latch

    Segment(int d, uint64_t p, size_t s, int t)
        : size(static_cast<uint8_t>(s)),
          depth(d),
          tag_bits(t),
          homes(static_cast<uint32_t>(HomeBuckets(s))),
          prefix(p) {}
    size_t bytes() const { return kSegmentLines[size] * limits::kCacheLineBytes; }
    Bucket* buckets() { return reinterpret_cast<Bucket*>(this + 1); }
    const Bucket* buckets() const { return reinterpret_cast<const Bucket*>(this + 1); }
    std::span<Bucket> all_buckets() { return {buckets(), homes + kSpillBuckets}; }
    std::span<const Bucket> all_buckets() const { return {buckets(), homes + kSpillBuckets}; }
    size_t HomeOf(uint64_t hash) const { return HashIndex::HomeOf(hash, depth, homes); }
    uint16_t TagOf(uint64_t hash) const { return HashIndex::TagOf(hash, depth, tag_bits); }
    // How many of a hash's high bits prefix, home and tag tell.
    int known_bits() const { return depth + kToldBits + tag_bits; }
    // Those bits of an entry's hash, the others zero; `first` is its home's first place.
    // Requires: homes >= kHomesThatTell.
    uint64_t HashFrom(uint64_t first, uint16_t tag) const;
    // The first of the 1 << kPlaceBits places whose home is this one; `homes`: behind the last.
    uint64_t FirstPlace(size_t home) const {
      return ((uint64_t{home} << kPlaceBits) + homes - 1) / homes;
    }
    uint64_t PrefixInPlace() const { return depth == 0 ? 0 : prefix << (64 - depth); }
    // The lowest hash whose home is behind this one; 0 behind the last hash of all.
    uint64_t HashBehind(size_t home) const;
  };
  static_assert(sizeof(Segment) == limits::kCacheLineBytes);
  // A segment's address, with its size and how many bits its tags have lost in bits that alignment
  // leaves, and its depth in bits that no address has: a look-up does not read the header.
  class SegmentRef {
   public:
    SegmentRef() = default;
    explicit SegmentRef(Segment* segment)
        : bits_(reinterpret_cast<uintptr_t>(segment) | segment->size |
                static_cast<uint64_t>(kTagBits - segment->tag_bits) << kLostAt |
                static_cast<uint64_t>(segment->depth) << kDepthAt) {
      DEBUG_ASSERT(this->segment() == segment);
    }
    Segment* segment() const {
      return reinterpret_cast<Segment*>(bits_ & ((uint64_t{1} << kDepthAt) - 1) &
                                        ~uint64_t{limits::kCacheLineBytes - 1});
    }
    size_t HomeOf(uint64_t hash) const {
      return HashIndex::HomeOf(hash, depth(), HomeBuckets(bits_ & kSizeMask));
    }
    uint16_t TagOf(uint64_t hash) const {
      return HashIndex::TagOf(hash, depth(),
                              kTagBits - static_cast<int>(bits_ >> kLostAt & kLostMask));
    }

   private:
    static constexpr int kDepthAt = 58;
    static constexpr uint64_t kSizeMask = 3;
    static constexpr int kLostAt = 2;
    static constexpr uint64_t kLostMask = 7;
    static_assert(kSizeMax <= kSizeMask && kDepthMax < 1 << (64 - kDepthAt));
    static_assert(kTagBits - kTagBitsMin <= static_cast<int>(kLostMask));
    static_assert(((kLostMask << kLostAt) | kSizeMask) < limits::kCacheLineBytes);
    int depth() const { return static_cast<int>(bits_ >> kDepthAt); }
    uint64_t bits_ = 0;
  };
  static_assert(std::atomic<SegmentRef>::is_always_lock_free);
  struct Directory {
    int depth;
    std::vector<std::atomic<SegmentRef>> segments;
    explicit Directory(int d) : depth(d), segments(size_t{1} << d) {}
  };

  static size_t HighBits(uint64_t hash, int bits) { return bits == 0 ? 0 : hash >> (64 - bits); }

  SegmentRef SegmentOf(uint64_t hash) const {
    const Directory* directory = directory_.load(std::memory_order_acquire);
    return directory->segments[HighBits(hash, directory->depth)].load(std::memory_order_acquire);
  }
  // False when there is no room. Requires: latch held, or the segment is private.
  static bool Place(Segment* segment, Node* node, uint64_t hash);
  struct HashedNode {
    uint64_t hash;
    Node* node;
  };
  // With as many high bits of their hashes as are known.
  struct HashedNodes {
    std::vector<HashedNode> all;
    int known_bits = 64;
    bool Suffice(int depth) const { return known_bits >= depth + kToldBits + kTagBitsMin; }
  };
  HashedNodes NodesOf(Segment* segment);
  void ReadKeys(HashedNodes* nodes);
  // Private segments that hold `nodes`, of this depth or, where they are too many, deeper.
  // Requires: the bits that are known suffice for this depth.
  void Build(int depth, uint64_t prefix, size_t size, const HashedNodes& nodes,
             std::vector<Segment*>* built);
  // Those that do not fit into one segment of this depth and size.
  void BuildLarger(int depth, uint64_t prefix, size_t size, const HashedNodes& nodes,
                   std::vector<Segment*>* built);
  static size_t SizeFor(size_t entries);
  void BuildHalves(int depth, uint64_t prefix, const HashedNodes& nodes,
                   std::vector<Segment*>* built);
  // Requires: directory_mutex_ held.
  void PublishSegment(Segment* segment, Reclaimer& reclaimer);
  // Requires: segment's latch held, not moved.
  void Grow(Segment* segment, Reclaimer& reclaimer);
  bool CollectBucket(const Segment& segment, size_t home, uint64_t from,
                     std::vector<Entry>* out) const;
  Segment* NewSegment(int depth, uint64_t prefix, size_t size, int tag_bits = kTagBits);
  static void DeleteSegment(Segment* segment);

  std::atomic<Directory*> directory_;
  std::mutex directory_mutex_;  // taken with a segment's latch held; guards the directory's
                                // replacement and entries
  std::atomic<size_t> bytes_{0};
  std::atomic<size_t> keys_read_{0};
};

}  // namespace fluxkv::engine
