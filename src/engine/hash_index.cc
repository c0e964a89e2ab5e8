#include "engine/hash_index.h"

#include <algorithm>
#include <memory>

#include "base/check.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/planted.h"
#include "base/prefetch.h"

namespace fluxkv::engine {

namespace {
constexpr size_t kBucketsPerCount =
    10;  // empty ones among them: Collect is bounded, as SCAN is in Redis
constexpr int kReserveDepthMax = 24;
// A segment is made for somewhat more entries than it is given.
constexpr size_t Spacious(size_t entries) {
  return entries + entries / 16 + 4;
}
}  // namespace

HashIndex::HashIndex() {
  auto directory = std::make_unique<Directory>(0);
  directory->segments[0].store(SegmentRef(NewSegment(0, 0, 0)), std::memory_order_relaxed);
  directory_.store(directory.release(), std::memory_order_release);
}

HashIndex::~HashIndex() {
  Directory* directory = directory_.load(std::memory_order_acquire);
  Segment* last = nullptr;
  for (auto& entry : directory->segments) {
    Segment* segment = entry.load(std::memory_order_relaxed).segment();
    if (segment != last) DeleteSegment(segment);
    last = segment;
  }
  delete directory;
}

HashIndex::Segment* HashIndex::NewSegment(int depth, uint64_t prefix, size_t size, int tag_bits) {
  const size_t bytes = kSegmentLines[size] * limits::kCacheLineBytes;
  auto* segment =
      new (AllocatePlace(bytes, limits::kCacheLineBytes)) Segment(depth, prefix, size, tag_bits);
  for (size_t i = 0; i < segment->homes + kSpillBuckets; ++i) new (segment->buckets() + i) Bucket;
  bytes_.fetch_add(AllocatedBytes(bytes), std::memory_order_relaxed);
  return segment;
}

void HashIndex::DeleteSegment(Segment* segment) {
  const size_t bytes = segment->bytes();
  segment->~Segment();  // buckets need none
  FreePlace(segment, bytes);
}

uint64_t HashIndex::Segment::HashBehind(size_t home) const {
  // A bucket's range must be whole in SCAN's order.
  static_assert(kDepthMax + kPlaceBits <= kScanHashBits);
  if (home + 1 == homes) return depth == 0 ? 0 : (prefix + 1) << (64 - depth);
  return PrefixInPlace() | FirstPlace(home + 1) << (64 - depth - kPlaceBits);
}

// A home has at most 1 << kUntoldBits places, one after the other, so that each has other low bits;
// the tag's first bits are those of the entry's place.
uint64_t HashIndex::Segment::HashFrom(uint64_t first, uint16_t tag) const {
  constexpr int kUntoldBits = kPlaceBits - kToldBits;
  constexpr uint64_t kUntoldMask = (uint64_t{1} << kUntoldBits) - 1;
  DEBUG_ASSERT(homes >= kHomesThatTell);
  const uint64_t untold = tag >> (kTagBits - kUntoldBits);
  const uint64_t place = first + ((untold - first) & kUntoldMask);
  const uint64_t behind = tag & ((uint64_t{1} << (kTagBits - kUntoldBits)) - 1);
  return PrefixInPlace() | place << (64 - depth - kPlaceBits) |
         behind << (64 - depth - kToldBits - kTagBits);
}

Node* HashIndex::Find(const Key& key) const {
  Backoff backoff;
  for (;;) {
    const SegmentRef segment = SegmentOf(key.hash);
    const uint16_t tag = segment.TagOf(key.hash);
    const Bucket* home = segment.segment()->buckets() + segment.HomeOf(key.hash);
    const Bucket* bucket = home;
    const Bucket* end = bucket + 1 + (bucket->meta.load(std::memory_order_acquire) & kSpillMask);
    for (; bucket != end; ++bucket) {
      for (size_t slot = 0; slot < kSlots; ++slot) {
        const NodeRef ref = bucket->At(slot, tag);
        if (ref && ref.node()->key() == key.bytes) return ref.node();
      }
    }
    if ((home->meta.load(std::memory_order_acquire) & kMoved) == 0) return nullptr;  // H3
    backoff.Pause();
  }
}

void HashIndex::FindByHash(uint64_t hash, std::vector<Node*>* nodes) const {
  const size_t before = nodes->size();
  Backoff backoff;
  for (;;) {
    const SegmentRef segment = SegmentOf(hash);
    const uint16_t tag = segment.TagOf(hash);
    const Bucket* home = segment.segment()->buckets() + segment.HomeOf(hash);
    const Bucket* bucket = home;
    const Bucket* end = bucket + 1 + (bucket->meta.load(std::memory_order_acquire) & kSpillMask);
    for (; bucket != end; ++bucket) {
      for (size_t slot = 0; slot < kSlots; ++slot) {
        const NodeRef ref = bucket->At(slot, tag);
        if (ref && HashBytes(ref.node()->key()) == hash) nodes->push_back(ref.node());
      }
    }
    if ((home->meta.load(std::memory_order_acquire) & kMoved) == 0) return;  // H3
    nodes->resize(before);
    backoff.Pause();
  }
}

void HashIndex::Prefetch(uint64_t hash) const {
  const SegmentRef segment = SegmentOf(hash);
  __builtin_prefetch(segment.segment()->buckets() + segment.HomeOf(hash));
}

Node* HashIndex::PrefetchNode(uint64_t hash, bool for_write) const {
  const SegmentRef segment = SegmentOf(hash);
  const uint16_t tag = segment.TagOf(hash);
  const Bucket& bucket = segment.segment()->buckets()[segment.HomeOf(hash)];
  for (size_t slot = 0; slot < kSlots; ++slot) {
    const NodeRef ref = bucket.At(slot, tag);
    if (!ref) continue;
    __builtin_prefetch(ref.node());
    return ref.node();
  }
  if (for_write) PrefetchForWrite(segment.segment());  // Insert latches it
  return nullptr;
}

void HashIndex::Reserve(size_t entries) {
  int depth = 0;
  while (depth < kReserveDepthMax && Spacious(entries >> depth) > EntriesMax(kSizeMax)) ++depth;
  Directory* old = directory_.load(std::memory_order_relaxed);
  if (depth <= old->depth) return;
  ASSERT(old->depth == 0);
  Segment* only = old->segments[0].load(std::memory_order_relaxed).segment();
  ASSERT(only->entries == 0);
  bytes_.fetch_sub(AllocatedBytes(only->bytes()), std::memory_order_relaxed);
  DeleteSegment(only);
  delete old;
  auto* directory = new Directory(depth);
  for (size_t i = 0; i < directory->segments.size(); ++i)
    directory->segments[i].store(SegmentRef(NewSegment(depth, i, SizeFor(entries >> depth))),
                                 std::memory_order_relaxed);
  bytes_.fetch_add((directory->segments.size() - 1) * sizeof(SegmentRef),
                   std::memory_order_relaxed);
  directory_.store(directory, std::memory_order_release);
}

bool HashIndex::Place(Segment* segment, Node* node, uint64_t hash) {
  if (segment->entries >= EntriesMax(segment->size)) return false;
  const size_t home = segment->HomeOf(hash);
  for (size_t distance = 0; distance <= kSpillBuckets; ++distance) {
    Bucket& bucket = segment->buckets()[home + distance];
    for (size_t slot = 0; slot < kSlots; ++slot) {
      if (bucket.nodes[slot].load(std::memory_order_relaxed)) continue;
      auto& meta = segment->buckets()[home].meta;
      const uint16_t old = meta.load(std::memory_order_relaxed);
      if ((old & kSpillMask) < distance)  // H1
        meta.store(static_cast<uint16_t>((old & ~kSpillMask) | distance),
                   std::memory_order_release);
      bucket.SetStray(slot, distance > 0 && !PLANTED(INDEX_FORGET_STRAYS));
      bucket.tags[slot].store(segment->TagOf(hash), std::memory_order_release);
      bucket.nodes[slot].store(NodeRef(node), std::memory_order_release);
      ++segment->entries;
      return true;
    }
  }
  return false;
}

void HashIndex::Insert(Node* node, uint64_t hash, Reclaimer& reclaimer) {
  for (;;) {
    Segment* segment = SegmentOf(hash).segment();
    segment->latch.Lock();
    bool done = false;
    if (!segment->moved) {
      done = Place(segment, node, hash);
      if (!done) Grow(segment, reclaimer);
    }
    segment->latch.Unlock();
    if (done) return;
  }
}

void HashIndex::Remove(Node* node, uint64_t hash) {
  const NodeRef wanted(node);
  for (;;) {
    Segment* segment = SegmentOf(hash).segment();
    segment->latch.Lock();
    if (segment->moved) {
      segment->latch.Unlock();
      continue;
    }
    const size_t home = segment->HomeOf(hash);
    for (size_t distance = 0; distance <= kSpillBuckets; ++distance) {
      for (auto& slot : segment->buckets()[home + distance].nodes) {
        if (slot.load(std::memory_order_relaxed) != wanted) continue;
        slot.store({}, std::memory_order_release);
        --segment->entries;
        segment->latch.Unlock();
        return;
      }
    }
    ASSERT(false && "the index does not hold the node");
  }
}

size_t HashIndex::SizeFor(size_t entries) {
  size_t size = 0;
  while (size < kSizeMax && Spacious(entries) > EntriesMax(size)) ++size;
  return size;
}

void HashIndex::Build(int depth, uint64_t prefix, size_t size, const HashedNodes& nodes,
                      std::vector<Segment*>* built) {
  // With a seeded hash this many keys with one prefix cannot come together by chance.
  ASSERT(depth <= kDepthMax);
  DEBUG_ASSERT(nodes.Suffice(depth));
  const int tag_bits = std::min(nodes.known_bits - depth - kToldBits, kTagBits);
  Segment* segment = NewSegment(depth, prefix, size, tag_bits);
  for (const HashedNode& n : nodes.all) {
    if (Place(segment, n.node, n.hash)) continue;
    // Rare: the nodes crowd into few buckets. The segment is still private, so it is simply made
    // anew, larger or as two.
    bytes_.fetch_sub(AllocatedBytes(segment->bytes()), std::memory_order_relaxed);
    DeleteSegment(segment);
    return BuildLarger(depth, prefix, size, nodes, built);
  }
  built->push_back(segment);
}

void HashIndex::BuildLarger(int depth, uint64_t prefix, size_t size, const HashedNodes& nodes,
                            std::vector<Segment*>* built) {
  if (size < kSizeMax) return Build(depth, prefix, size + 1, nodes, built);
  BuildHalves(depth, prefix, nodes, built);
}

void HashIndex::BuildHalves(int depth, uint64_t prefix, const HashedNodes& nodes,
                            std::vector<Segment*>* built) {
  HashedNodes halves[2];
  for (HashedNodes& half : halves) {
    half.known_bits = nodes.known_bits;
    half.all.reserve(nodes.all.size() * 5 / 8);
  }
  for (const HashedNode& n : nodes.all) halves[HighBits(n.hash, depth + 1) & 1].all.push_back(n);
  for (uint64_t number = 0; number < 2; ++number) {
    HashedNodes& half = halves[number];
    if (!half.Suffice(depth + 1)) ReadKeys(&half);
    Build(depth + 1, prefix * 2 + number, SizeFor(half.all.size()), half, built);
  }
}

void HashIndex::ReadKeys(HashedNodes* nodes) {
  for (const HashedNode& n : nodes->all) __builtin_prefetch(n.node);
  for (HashedNode& n : nodes->all) n.hash = HashBytes(n.node->key());
  nodes->known_bits = 64;
  keys_read_.fetch_add(nodes->all.size(), std::memory_order_relaxed);
}

HashIndex::HashedNodes HashIndex::NodesOf(Segment* segment) {
  const bool told = segment->homes >= kHomesThatTell;
  HashedNodes nodes;
  nodes.known_bits = segment->known_bits();
  nodes.all.reserve(segment->entries);
  std::vector<HashedNode*> strays;
  for (size_t home = 0; home < segment->homes + kSpillBuckets; ++home) {
    const Bucket& bucket = segment->buckets()[home];
    const uint64_t first = segment->FirstPlace(home);
    for (size_t slot = 0; slot < kSlots; ++slot) {
      const NodeRef ref = bucket.nodes[slot].load(std::memory_order_relaxed);
      if (!ref) continue;
      HashedNode& n = nodes.all.emplace_back(HashedNode{0, ref.node()});
      if (!told) continue;
      if (bucket.IsStray(slot)) {
        __builtin_prefetch(n.node);
        strays.push_back(&n);  // `all` has its room already
      } else {
        n.hash = segment->HashFrom(first, bucket.tags[slot].load(std::memory_order_relaxed));
        DEBUG_ASSERT(PLANTED(INDEX_FORGET_STRAYS) ||
                     (n.hash ^ HashBytes(n.node->key())) >> (64 - nodes.known_bits) == 0);
      }
    }
  }
  if (!told) ReadKeys(&nodes);
  for (HashedNode* n : strays) n->hash = HashBytes(n->node->key());
  keys_read_.fetch_add(strays.size(), std::memory_order_relaxed);
  return nodes;
}

void HashIndex::Grow(Segment* segment, Reclaimer& reclaimer) {
  std::vector<Segment*> built;
  BuildLarger(segment->depth, segment->prefix, segment->size, NodesOf(segment), &built);
  for (Bucket& bucket : segment->all_buckets()) {
    bucket.meta.store(static_cast<uint16_t>(bucket.meta.load(std::memory_order_relaxed) | kMoved),
                      std::memory_order_release);
  }
  segment->moved = !PLANTED(SPLIT_UNMARKED);
  std::lock_guard lock(directory_mutex_);
  for (Segment* part : built) PublishSegment(part, reclaimer);
  bytes_.fetch_sub(AllocatedBytes(segment->bytes()), std::memory_order_relaxed);
  reclaimer.Retire(segment, segment->bytes(),
                   [](void* p) { DeleteSegment(static_cast<Segment*>(p)); });
}

void HashIndex::PublishSegment(Segment* segment, Reclaimer& reclaimer) {
  Directory* directory = directory_.load(std::memory_order_relaxed);
  while (directory->depth < segment->depth) {
    auto* doubled = new Directory(directory->depth + 1);
    for (size_t i = 0; i < doubled->segments.size(); ++i) {
      doubled->segments[i].store(directory->segments[i / 2].load(std::memory_order_relaxed),
                                 std::memory_order_relaxed);
    }
    directory_.store(doubled, std::memory_order_release);
    const size_t old_bytes = directory->segments.size() * sizeof(SegmentRef);
    reclaimer.Retire(directory, old_bytes, [](void* p) { delete static_cast<Directory*>(p); });
    bytes_.fetch_add(old_bytes, std::memory_order_relaxed);
    directory = doubled;
  }
  const size_t span = size_t{1} << (directory->depth - segment->depth);
  for (size_t i = 0; i < span; ++i)
    directory->segments[segment->prefix * span + i].store(SegmentRef(segment),
                                                          std::memory_order_release);
}

bool HashIndex::CollectBucket(const Segment& segment, size_t home, uint64_t from,
                              std::vector<Entry>* out) const {
  const size_t before = out->size();
  const size_t spill = segment.buckets()[home].meta.load(std::memory_order_acquire) & kSpillMask;
  for (size_t i = home; i <= home + spill; ++i) {
    for (const auto& slot : segment.buckets()[i].nodes) {
      const NodeRef ref = slot.load(std::memory_order_acquire);
      if (ref) __builtin_prefetch(ref.node());
    }
  }
  for (size_t i = home; i <= home + spill; ++i) {
    for (const auto& slot : segment.buckets()[i].nodes) {
      const NodeRef ref = slot.load(std::memory_order_acquire);
      if (!ref) continue;
      Node* node = ref.node();
      const uint64_t hash = HashBytes(node->key());
      if (segment.HomeOf(hash) == home && ScanHash(hash) >= from)
        out->push_back({ScanHash(hash), node});
    }
  }
  if ((segment.buckets()[home].meta.load(std::memory_order_acquire) & kMoved) != 0) {
    out->resize(before);
    return false;
  }
  std::sort(out->begin() + static_cast<ptrdiff_t>(before), out->end(),
            [](const Entry& a, const Entry& b) { return a.scan_hash < b.scan_hash; });
  return true;
}

uint64_t HashIndex::Collect(uint64_t from, size_t count, std::vector<Entry>* out) const {
  constexpr int kShift = 64 - kScanHashBits;
  uint64_t position = from << kShift;
  Backoff backoff;
  for (size_t buckets = 1;; ++buckets) {
    const Segment* segment = SegmentOf(position).segment();
    const size_t home = segment->HomeOf(position);
    // After growth a home may begin before it.
    const uint64_t at = PLANTED(PAGE_FROM_ITS_START) ? from : position >> kShift;
    if (!CollectBucket(*segment, home, at, out)) {
      backoff.Pause();
      continue;
    }
    position = segment->HashBehind(home);
    if (position == 0) return 0;  // past the last bucket
    if (out->size() >= count || buckets >= kBucketsPerCount * count) return position >> kShift;
  }
}

}  // namespace fluxkv::engine
