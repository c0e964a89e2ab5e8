#include "engine/ordered_list.h"

#include <algorithm>
#include <cstring>

#include "base/byte_order.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/planted.h"
#include "base/prefetch.h"
#include "engine/latch.h"

namespace fluxkv::engine {

OrderedList::OrderedList() : head_(NewBlock({}, kHeightMax)) {}

OrderedList::~OrderedList() {
  DeleteBlocks();
  DeleteBlock(head_);
}

void OrderedList::DeleteBlocks() {
  for (Tower* tower = head_->tower->next(0).load(std::memory_order_relaxed); tower != nullptr;) {
    Tower* next = tower->next(0).load(std::memory_order_relaxed);
    bytes_.fetch_sub(BlockBytes(*tower->block), std::memory_order_relaxed);
    DeleteBlock(tower->block);
    tower = next;
  }
}

std::vector<Node*> OrderedList::TakeAll() {
  std::vector<Node*> nodes;
  for (const Tower* tower = head_->tower; tower != nullptr;
       tower = tower->next(0).load(std::memory_order_relaxed)) {
    Sort(tower->block);
    for (size_t i = 0; i < tower->block->size(); ++i)
      nodes.push_back(tower->block->slots[i].node());
  }
  DeleteBlocks();
  head_->set_size(0, 0);
  for (size_t level = 0; level < kHeightMax; ++level)
    head_->tower->next(level).store(nullptr, std::memory_order_relaxed);
  return nodes;
}

OrderedList::Appender::Appender(OrderedList& list) : list_(list), block_(list.head_) {
  ASSERT(block_->size() == 0 && block_->tower->next(0).load() == nullptr);
  last_.fill(block_->tower);
}

void OrderedList::Appender::Append(Node* node) {
  size_t count = block_->size();
  if (count == kEntriesAppended) {
    EndBlock();
    block_ = list_.NewBlock(node->key());
    for (size_t level = 0; level < block_->tower->height; ++level) {
      last_[level]->next(level).store(block_->tower, std::memory_order_release);
      last_[level] = block_->tower;
    }
    count = 0;
  }
  block_->slots[count].Set({NodeRef(node), 0});
  block_->set_size(count + 1, count + 1);
}

void OrderedList::Appender::EndBlock() {
  const size_t count = block_->size();
  if (count > 0)
    MakeHeads(block_, SharedBytes(block_->tower->low(), block_->slots[count - 1].node()->key()));
}

size_t OrderedList::BlockBytes(const Block& block) {
  return AllocatedBytes(sizeof(Block)) + AllocatedBytes(block.tower->bytes());
}

OrderedList::Block* OrderedList::NewBlock(std::string_view low, uint32_t height) {
  auto* block = new Block;
  const Tower tower{block, height, static_cast<uint32_t>(low.size())};
  block->tower = new (AllocatePlace(tower.bytes())) Tower(tower);
  for (size_t level = 0; level < height; ++level)
    new (&block->tower->next(level)) std::atomic<Tower*>(nullptr);
  if (!low.empty())
    std::memcpy(const_cast<char*>(block->tower->low().data()), low.data(), low.size());
  bytes_.fetch_add(BlockBytes(*block), std::memory_order_relaxed);
  return block;
}

void OrderedList::DeleteBlock(Block* block) {
  FreePlace(block->tower, block->tower->bytes());
  delete block;
}

uint32_t OrderedList::HeightFor(std::string_view low) {
  uint64_t bits = MixHash(HashBytes(low), 1);
  uint32_t height = 1;
  while (height < kHeightMax && bits % kTowerOdds == 0) {
    ++height;
    bits /= kTowerOdds;
  }
  return height;
}

// ---- Heads

uint32_t OrderedList::HeadOf(std::string_view key, size_t shared) {
  DEBUG_ASSERT(shared <= key.size());
  const std::string_view rest = key.substr(shared, sizeof(uint32_t));
  unsigned char bytes[sizeof(uint32_t)] = {};
  std::memcpy(bytes, rest.data(), rest.size());
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

uint32_t OrderedList::SharedBytes(std::string_view a, std::string_view b) {
  const size_t both = std::min(a.size(), b.size());
  return static_cast<uint32_t>(
      std::mismatch(a.begin(), a.begin() + static_cast<ptrdiff_t>(both), b.begin()).first -
      a.begin());
}

bool OrderedList::IsBelow(Entry a, Entry b) {
  return a.head != b.head ? a.head < b.head : BytesLess(a.ref.node()->key(), b.ref.node()->key());
}

void OrderedList::MakeHeads(Block* block, uint32_t shared) {
  block->shared = shared;
  for (Slot& slot : std::span(block->slots, block->size()))
    slot.head = HeadOf(slot.node()->key(), shared);
}

void OrderedList::Fill(Block* block, size_t at, std::span<const Slot> more, uint32_t shared) {
  for (size_t i = 0; i < more.size(); ++i) block->slots[at + i].Set(more[i].entry());
  const size_t count = at + more.size();
  block->set_size(count, count);
  const uint32_t now = SharedBytes(block->tower->low(), block->slots[count - 1].node()->key());
  if ((at > 0 && shared != block->shared) || shared > now || shared + kSharedLag <= now)
    return MakeHeads(block, now);
  block->shared = shared;
}

void OrderedList::Append(Block* block, Node* node) {
  const std::string_view key = node->key();
  const size_t count = block->size();
  size_t sorted = block->sorted.load(std::memory_order_relaxed);
  const std::string_view shared = block->tower->low().substr(0, block->shared);
  if (count == 0) {
    block->shared = SharedBytes(block->tower->low(), key);
  } else if (!key.starts_with(shared) && !PLANTED(LIST_STALE_HEADS)) {
    MakeHeads(block, SharedBytes(shared, key));
  }
  const Entry entry{NodeRef(node), HeadOf(key, block->shared)};
  block->slots[count].Set(entry);
  // Keys that ascend need no sorting.
  if (sorted == count && (count == 0 || IsBelow(block->slots[count - 1].entry(), entry))) ++sorted;
  block->set_size(count + 1, sorted);
  if (count + 1 - sorted == kUnsortedMost) Sort(block);
}

void OrderedList::Sort(Block* block) {
  const size_t count = block->size();
  size_t old = block->sorted.load(std::memory_order_relaxed);
  std::array<Entry, kUnsortedMost> copies;
  const std::span late = std::span(copies).first(count - old);
  for (size_t i = 0; i < late.size(); ++i) late[i] = block->slots[old + i].entry();
  std::sort(late.begin(), late.end(), IsBelow);
  // From behind, where there is room: each of the others is moved once at most.
  size_t to = count;
  const auto move_down_to = [&](size_t first) {
    while (old > first) block->slots[--to].Set(block->slots[--old].entry());
  };
  for (size_t i = late.size(); i-- > 0;) {
    size_t above = old;
    while (above > 0 && block->slots[above - 1].head > late[i].head) --above;
    size_t same = above;
    while (same > 0 && block->slots[same - 1].head == late[i].head) --same;
    const Slot* slots = block->slots;
    const Slot* place =
        std::upper_bound(slots + same, slots + above, late[i],
                         [](Entry a, const Slot& b) { return IsBelow(a, b.entry()); });
    move_down_to(static_cast<size_t>(place - slots));
    block->slots[--to].Set(late[i]);
  }
  block->sorted.store(static_cast<uint16_t>(count), std::memory_order_release);
  DEBUG_ASSERT(IsSorted(*block));
}

bool OrderedList::IsSorted(const Block& block) {
  for (size_t i = 0; i < block.size(); ++i) {
    const std::string_view key = block.slots[i].node()->key();
    if (block.slots[i].head != HeadOf(key, block.shared)) return false;
    if (i > 0 && !(block.slots[i - 1].node()->key() < key)) return false;
  }
  return true;
}

// ---- Finding blocks

OrderedList::Block* OrderedList::Descend(std::string_view key) const {
  const Tower* tower = head_->tower;
  const Tower* above = nullptr;  // known to be behind the key
  for (size_t level = kHeightMax; level-- > 0;) {
    for (;;) {
      const Tower* next = tower->next(level).load(std::memory_order_acquire);
      if (next == above) break;
      // While the line of the next one comes, what is needed if it is behind the key.
      if (level > 0) {
        __builtin_prefetch(tower->next(level - 1).load(std::memory_order_relaxed));
      } else {
        __builtin_prefetch(tower->block);
      }
      if (next == nullptr || BytesLess(key, next->low())) {
        above = next;
        break;
      }
      tower = next;
    }
  }
  return tower->block;
}

void OrderedList::PrefetchTower(const Tower* tower) {
  __builtin_prefetch(tower);
  __builtin_prefetch(reinterpret_cast<const char*>(tower) + kTowerBytesUsual - 1);
}

void OrderedList::PrefetchBlock(const Block* block) {
  for (size_t at = limits::kCacheLineBytes; at < sizeof(Block); at += limits::kCacheLineBytes)
    PrefetchForWrite(reinterpret_cast<const char*>(block) + at);
}

void OrderedList::PrefetchEnd(const Block* block) {
  const size_t count = block->size(), sorted = block->sorted.load(std::memory_order_relaxed);
  if (count < kEntries && count + 1 < sorted + kUnsortedMost)
    return PrefetchForWrite(&block->slots[count]);
  PrefetchBlock(block);
}

void OrderedList::Prefetch(std::span<const std::string_view> keys, std::span<Place> places) const {
  DEBUG_ASSERT(keys.size() <= kPrefetchMost && keys.size() == places.size());
  const size_t count = keys.size();
  if (count <= 2 || !std::is_sorted(keys.begin(), keys.end(), BytesLess))
    return PrefetchEach(keys, places);
  // Keys that ascend are often those of one block, and are if the first and the last one are.
  std::array<Place, 2> ends;
  PrefetchEach(std::array{keys.front(), keys.back()}, ends);
  if (ends[0] == ends[1]) return std::fill(places.begin(), places.end(), ends[0]);
  PrefetchEach(keys.subspan(1, count - 2), places.subspan(1, count - 2));
  places.front() = ends[0];
  places.back() = ends[1];
}

void OrderedList::PrefetchEach(std::span<const std::string_view> keys,
                               std::span<Place> places) const {
  struct Descent {
    size_t of;  // the key
    const Tower* tower;
    const Tower* above;  // known to be behind the key
    size_t level;        // the next tower there has been asked for
  };
  std::array<Descent, kPrefetchMost> descents;
  size_t under_way = 0;
  // Goes down to a level whose next tower is to be compared; false when there is none.
  const auto ask = [&](Descent& d) {
    for (;; --d.level) {
      const Tower* next = d.tower->next(d.level).load(std::memory_order_acquire);
      if (next != d.above) {
        if (next != nullptr) PrefetchTower(next);  // null: it was unlinked just now
        return true;
      }
      if (d.level == 0) break;
    }
    PrefetchForWrite(d.tower->block);
    places[d.of] = Place(this, d.tower->block);
    return false;
  };
  for (size_t i = 0; i < keys.size(); ++i) {
    descents[under_way] = {i, head_->tower, nullptr, kHeightMax - 1};
    if (ask(descents[under_way])) ++under_way;
  }
  while (under_way > 0) {
    for (size_t i = 0; i < under_way;) {
      Descent& d = descents[i];
      const Tower* next = d.tower->next(d.level).load(std::memory_order_acquire);
      (next == nullptr || BytesLess(keys[d.of], next->low()) ? d.above : d.tower) = next;
      if (ask(d)) {
        ++i;
      } else {
        d = descents[--under_way];
      }
    }
  }
  for (const Place& place : places) PrefetchEnd(place.block_);
}

OrderedList::Block* OrderedList::DescendBelow(std::optional<std::string_view> key) const {
  const Tower* tower = head_->tower;
  for (size_t level = kHeightMax; level-- > 0;) {
    for (;;) {
      const Tower* next = tower->next(level).load(std::memory_order_acquire);
      if (next == nullptr || (key && !BytesLess(next->low(), *key))) break;
      tower = next;
    }
  }
  return tower->block;
}

void OrderedList::Predecessors(std::string_view key, std::array<Tower*, kHeightMax>* out) const {
  Tower* tower = head_->tower;
  for (size_t level = kHeightMax; level-- > 0;) {
    for (;;) {
      Tower* next = tower->next(level).load(std::memory_order_acquire);
      if (next == nullptr || !BytesLess(next->low(), key)) break;
      tower = next;
    }
    (*out)[level] = tower;
  }
}

bool OrderedList::TryLatch(Block* block) {
  Backoff backoff;
  for (;;) {
    uint64_t version = block->version.load(std::memory_order_relaxed);
    if ((version & kDead) != 0) return false;
    if ((version & kLatched) == 0 && block->version.compare_exchange_weak(
                                         version, version | kLatched, std::memory_order_acquire))
      return true;
    backoff.Pause();
  }
}

bool OrderedList::TryLatchNow(Block* block) {
  uint64_t version = block->version.load(std::memory_order_relaxed);
  return (version & (kDead | kLatched)) == 0 &&
         block->version.compare_exchange_strong(version, version | kLatched,
                                                std::memory_order_acquire);
}

void OrderedList::Unlatch(Block* block, bool dead) {
  uint64_t version = block->version.load(std::memory_order_relaxed) & ~kLatched;
  block->version.store((version + kVersionStep) | (dead ? kDead : 0), std::memory_order_release);
}

bool OrderedList::IsIn(const Block& block, std::string_view key) {
  const Tower* next = block.tower->next(0).load(std::memory_order_acquire);
  return !BytesLess(key, block.tower->low()) && (next == nullptr || BytesLess(key, next->low()));
}

OrderedList::Block* OrderedList::LatchFor(std::string_view key, Block* guess) {
  for (;; guess = nullptr) {
    Block* block = guess;
    if (PLANTED(LIST_TRUST_PLACE) && block != nullptr && TryLatch(block)) return block;
    if (block == nullptr || !IsIn(*block, key)) block = Descend(key);
    if (!TryLatch(block)) continue;       // L4
    if (IsIn(*block, key)) return block;  // its range may have shrunk by a split
    Unlatch(block);
  }
}

// ---- Changes

void OrderedList::Insert(Node* node, Reclaimer&, Place place) {
  Block* block = LatchFor(node->key(), place.list_ == this ? place.block_ : nullptr);
  if (block->size() == kEntries) {
    SplitAndInsert(block, node);
  } else {
    Append(block, node);
  }
  Unlatch(block);
}

void OrderedList::SplitAndInsert(Block* block, Node* node) {
  Sort(block);
  // Keys that come in ascending order leave full blocks behind; others are halved.
  const bool last = BytesLess(block->slots[kEntries - 1].node()->key(), node->key());
  const size_t keep = last ? kEntries : kEntries / 2;
  Block* right = NewBlock(last ? node->key() : block->slots[keep].node()->key());
  if (!last) {
    Fill(right, 0, std::span(block->slots).subspan(keep), block->shared);
    Fill(block, keep, {}, block->shared);
  }
  Append(BytesLess(node->key(), right->tower->low()) ? block : right, node);

  std::lock_guard lock(structure_mutex_);
  std::array<Tower*, kHeightMax> before;
  Predecessors(right->tower->low(), &before);
  DEBUG_ASSERT(before[0] == block->tower);
  for (size_t level = 0; level < right->tower->height; ++level) {  // L5
    auto& link = before[level]->next(level);
    right->tower->next(level).store(link.load(std::memory_order_relaxed),
                                    std::memory_order_relaxed);
    link.store(right->tower, std::memory_order_release);
  }
}

void OrderedList::Remove(std::span<Node* const> nodes, Reclaimer& reclaimer) {
  while (!nodes.empty()) {
    Block* block = LatchFor(nodes[0]->key());
    nodes = nodes.subspan(TakeOut(block, nodes));
    if (block->size() == 0 && block != head_) {
      Unlink(block, reclaimer);
    } else {
      TakeOverNext(block, reclaimer);
      Unlatch(block);
    }
  }
}

size_t OrderedList::TakeOut(Block* block, std::span<Node* const> nodes) {
  PrefetchBlock(block);
  if (nodes.size() > 1) Sort(block);
  const size_t count = block->size();
  size_t sorted = block->sorted.load(std::memory_order_relaxed), kept = 0, taken = 0;
  for (size_t i = 0; i < count; ++i) {
    const Entry entry = block->slots[i].entry();
    if (taken < nodes.size() && entry.ref.node() == nodes[taken]) {
      ++taken;
      if (kept < sorted) --sorted;
    } else {
      if (kept != i) block->slots[kept].Set(entry);
      ++kept;
    }
  }
  ASSERT(taken > 0);  // else a node is not in the list, or they are not in order
  block->set_size(kept, sorted);
  return taken;
}

void OrderedList::TakeOverNext(Block* block, Reclaimer& reclaimer) {
  const size_t count = block->size();
  if (count >= kEntriesMerged) return;
  // Only a split of this block, or the next one's unlinking under its own latch, can change this.
  Tower* next_tower = block->tower->next(0).load(std::memory_order_acquire);
  Block* next = next_tower == nullptr ? nullptr : next_tower->block;
  if (next == nullptr || count + next->size() > kEntriesMerged) return;
  if (!PLANTED(LIST_MERGE_UNLATCHED) && !TryLatchNow(next)) return;
  const size_t more = next->size();
  if (count + more > kEntriesMerged) return Unlatch(next);
  Sort(block);
  Sort(next);
  if (more > 0) Fill(block, count, std::span(next->slots).first(more), next->shared);
  Unlink(next, reclaimer);
}

void OrderedList::Unlink(Block* block, Reclaimer& reclaimer) {
  {
    std::lock_guard lock(structure_mutex_);
    const Tower* tower = block->tower;
    std::array<Tower*, kHeightMax> before;
    Predecessors(tower->low(), &before);
    for (size_t level = tower->height; level-- > 0;) {
      auto& link = before[level]->next(level);
      DEBUG_ASSERT(link.load(std::memory_order_relaxed) == tower);
      link.store(tower->next(level).load(std::memory_order_relaxed), std::memory_order_release);
    }
    bytes_.fetch_sub(BlockBytes(*block), std::memory_order_relaxed);
  }
  Unlatch(block, /*dead=*/!PLANTED(LIST_UNLINKED_ALIVE));
  reclaimer.Retire(block, BlockBytes(*block), [](void* p) { DeleteBlock(static_cast<Block*>(p)); });
}

bool OrderedList::TryRead(Block* block, Page* page) const {
  const uint64_t version = block->version.load(std::memory_order_acquire);
  if ((version & (kLatched | kDead)) != 0) return false;
  if (block->in_order() || PLANTED(LIST_READ_UNSORTED)) {
    CopyTo(*block, page);
    return block->version.load(std::memory_order_acquire) == version;
  }
  if (!PLANTED(LIST_SORT_UNLATCHED) && !TryLatchNow(block)) return false;
  Sort(block);
  CopyTo(*block, page);
  Unlatch(block);
  return true;
}

void OrderedList::CopyTo(const Block& block, Page* page) const {
  page->count = block.size();
  for (size_t i = 0; i < page->count; ++i) page->nodes[i] = block.slots[i].node();
  const Tower* next = block.tower->next(0).load(std::memory_order_acquire);
  page->last = next == nullptr;
  if (next != nullptr) page->next = next->low();
  page->first = &block == head_;
  page->low = block.tower->low();
}

void OrderedList::Read(std::string_view key, Page* page) const {
  Backoff backoff;
  for (;;) {
    // A split may have taken the key away since the descent.
    if (TryRead(Descend(key), page) && (page->last || page->next > key)) return;
    backoff.Pause();
  }
}

void OrderedList::ReadBelow(std::optional<std::string_view> key, Page* page) const {
  Backoff backoff;
  for (;;) {
    if (TryRead(DescendBelow(key), page) && (page->last || (key && page->next >= *key))) return;
    backoff.Pause();
  }
}

}  // namespace fluxkv::engine
