#include "engine/ordered_list.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/hash.h"
#include "base/memory.h"
#include "engine/latch.h"

namespace fluxkv::engine {

OrderedList::OrderedList() : head_(NewBlock({}, kHeightMax)) {
  FreePlace(const_cast<Low*>(head_->low), sizeof(Low));
  head_->low = nullptr;
}

OrderedList::~OrderedList() {
  DeleteBlocks();
  DeleteBlock(head_);
}

void OrderedList::DeleteBlocks() {
  for (Block* block = head_->next0.load(std::memory_order_relaxed); block != nullptr;) {
    Block* next = block->next0.load(std::memory_order_relaxed);
    bytes_.fetch_sub(BlockBytes(*block), std::memory_order_relaxed);
    DeleteBlock(block);
    block = next;
  }
}

std::vector<Node*> OrderedList::TakeAll() {
  std::vector<Node*> nodes;
  for (Block* block = head_; block != nullptr;
       block = block->next0.load(std::memory_order_relaxed)) {
    const uint32_t count = block->count.load(std::memory_order_relaxed);
    for (uint32_t i = 0; i < count; ++i) nodes.push_back(block->node(i));
  }
  DeleteBlocks();
  head_->count.store(0, std::memory_order_relaxed);
  for (int level = 0; level < kHeightMax; ++level)
    head_->next(level).store(nullptr, std::memory_order_relaxed);
  return nodes;
}

OrderedList::Appender::Appender(OrderedList& list) : list_(list), block_(list.head_) {
  CHECK(list.head_->count.load() == 0 && list.head_->next0.load() == nullptr);
  last_.fill(block_);
}

void OrderedList::Appender::Append(Node* node) {
  uint32_t count = block_->count.load(std::memory_order_relaxed);
  if (count == kEntriesAppended) {
    block_ = list_.NewBlock(node->key(), list_.RandomHeight());
    for (uint32_t level = 0; level < block_->height; ++level) {
      last_[level]->next(static_cast<int>(level)).store(block_, std::memory_order_release);
      last_[level] = block_;
    }
    count = 0;
  }
  block_->set_node(count, node);
  block_->count.store(count + 1, std::memory_order_release);
}

size_t OrderedList::BlockBytes(const Block& block) {
  size_t bytes = AllocatedBytes(sizeof(Block));
  if (block.low != nullptr) bytes += AllocatedBytes(sizeof(Low) + block.low->size);
  if (block.height > 1) bytes += AllocatedBytes((block.height - 1) * sizeof(std::atomic<Block*>));
  return bytes;
}

OrderedList::Block* OrderedList::NewBlock(std::string_view low, uint32_t height) {
  auto* block = new Block;
  auto* bound = static_cast<Low*>(AllocatePlace(sizeof(Low) + low.size()));
  bound->size = static_cast<uint32_t>(low.size());
  if (!low.empty()) std::memcpy(reinterpret_cast<char*>(bound + 1), low.data(), low.size());
  block->low = bound;
  block->height = height;
  if (height > 1) block->tower = new std::atomic<Block*>[height - 1]();
  bytes_.fetch_add(BlockBytes(*block), std::memory_order_relaxed);
  return block;
}

void OrderedList::DeleteBlock(Block* block) {
  if (block->low != nullptr)
    FreePlace(const_cast<Low*>(block->low), sizeof(Low) + block->low->size);
  delete[] block->tower;
  delete block;
}

uint32_t OrderedList::RandomHeight() {
  random_ = MixHash(random_, 1);
  uint64_t bits = random_;
  uint32_t height = 1;
  while (height < kHeightMax && bits % kTowerOdds == 0) {
    ++height;
    bits /= kTowerOdds;
  }
  return height;
}

OrderedList::Block* OrderedList::Descend(std::string_view key) const {
  Block* block = head_;
  for (int level = kHeightMax - 1; level >= 0; --level) {
    for (;;) {
      Block* next = block->next(level).load(std::memory_order_acquire);
      if (next == nullptr || next->low->key() > key) break;
      block = next;
    }
  }
  return block;
}

OrderedList::Block* OrderedList::DescendBelow(std::optional<std::string_view> key) const {
  Block* block = head_;
  for (int level = kHeightMax - 1; level >= 0; --level) {
    for (;;) {
      Block* next = block->next(level).load(std::memory_order_acquire);
      if (next == nullptr || (key && next->low->key() >= *key)) break;
      block = next;
    }
  }
  return block;
}

void OrderedList::Predecessors(std::string_view key, std::array<Block*, kHeightMax>* out) const {
  Block* block = head_;
  for (int level = kHeightMax - 1; level >= 0; --level) {
    for (;;) {
      Block* next = block->next(level).load(std::memory_order_acquire);
      if (next == nullptr || next->low->key() >= key) break;
      block = next;
    }
    (*out)[static_cast<size_t>(level)] = block;
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

OrderedList::Block* OrderedList::LatchFor(std::string_view key) {
  for (;;) {
    Block* block = Descend(key);
    if (!TryLatch(block)) continue;  // L4
    // The range may have shrunk by a split since the descent.
    Block* next = block->next0.load(std::memory_order_acquire);
    if (next == nullptr || next->low->key() > key) return block;
    Unlatch(block);
  }
}

void OrderedList::Insert(Node* node, Reclaimer&) {
  const std::string_view key = node->key();
  Block* block = LatchFor(key);
  const uint32_t count = block->count.load(std::memory_order_relaxed);
  auto* begin = block->entries;
  auto* position = std::lower_bound(begin, begin + count, key,
                                    [](const std::atomic<NodeRef>& a, std::string_view k) {
                                      return a.load(std::memory_order_relaxed).node()->key() < k;
                                    });
  if (count == kEntries) {
    SplitAndInsert(block, node, static_cast<size_t>(position - begin));
  } else {
    for (auto* p = begin + count; p != position; --p)
      p->store((p - 1)->load(std::memory_order_relaxed), std::memory_order_release);
    position->store(NodeRef(node), std::memory_order_release);
    block->count.store(count + 1, std::memory_order_release);
  }
  Unlatch(block);
}

void OrderedList::SplitAndInsert(Block* block, Node* node, size_t position) {
  std::array<Node*, kEntries + 1> all;
  for (size_t i = 0; i < kEntries; ++i) all[i < position ? i : i + 1] = block->node(i);
  all[position] = node;
  // Keys that come in ascending order leave full blocks behind; others are halved.
  const size_t keep = position == kEntries ? kEntries : (kEntries + 1) / 2;

  std::lock_guard lock(structure_mutex_);
  Block* right = NewBlock(all[keep]->key(), RandomHeight());
  const size_t moved = all.size() - keep;
  for (size_t i = 0; i < moved; ++i) right->set_node(i, all[keep + i]);
  right->count.store(static_cast<uint32_t>(moved), std::memory_order_relaxed);
  std::array<Block*, kHeightMax> before;
  Predecessors(right->low->key(), &before);
  DCHECK(before[0] == block);
  for (uint32_t level = 0; level < right->height; ++level) {  // L5
    auto& link = before[level]->next(static_cast<int>(level));
    right->next(static_cast<int>(level))
        .store(link.load(std::memory_order_relaxed), std::memory_order_relaxed);
    link.store(right, std::memory_order_release);
  }
  for (size_t i = 0; i < keep; ++i) block->set_node(i, all[i]);
  block->count.store(static_cast<uint32_t>(keep), std::memory_order_release);
}

void OrderedList::Remove(std::span<Node* const> nodes, Reclaimer& reclaimer) {
  while (!nodes.empty()) {
    Block* block = LatchFor(nodes[0]->key());
    nodes = nodes.subspan(TakeOut(block, nodes));
    if (block->count.load(std::memory_order_relaxed) == 0 && block != head_) {
      Unlink(block, reclaimer);
    } else {
      TakeOverNext(block, reclaimer);
      Unlatch(block);
    }
  }
}

size_t OrderedList::TakeOut(Block* block, std::span<Node* const> nodes) {
  const uint32_t count = block->count.load(std::memory_order_relaxed);
  uint32_t kept = 0;
  size_t taken = 0;
  for (uint32_t i = 0; i < count; ++i) {
    Node* node = block->node(i);
    if (taken < nodes.size() && node == nodes[taken]) {
      ++taken;
      continue;
    }
    if (kept != i) block->set_node(kept, node);
    ++kept;
  }
  CHECK(taken > 0);  // else a node is not in the list, or they are not in order
  block->count.store(kept, std::memory_order_release);
  return taken;
}

void OrderedList::TakeOverNext(Block* block, Reclaimer& reclaimer) {
  const uint32_t count = block->count.load(std::memory_order_relaxed);
  if (count >= kEntriesMerged) return;
  // Only a split of this block, or the next one's unlinking under its own latch, can change this.
  Block* next = block->next0.load(std::memory_order_acquire);
  if (next == nullptr || count + next->count.load(std::memory_order_relaxed) > kEntriesMerged)
    return;
#ifndef FLUXKV_PLANT_LIST_MERGE_UNLATCHED
  if (!TryLatchNow(next)) return;
#endif
  const uint32_t more = next->count.load(std::memory_order_relaxed);
  if (count + more > kEntriesMerged) return Unlatch(next);
  for (uint32_t i = 0; i < more; ++i) block->set_node(count + i, next->node(i));
  block->count.store(count + more, std::memory_order_release);
  Unlink(next, reclaimer);
}

void OrderedList::Unlink(Block* block, Reclaimer& reclaimer) {
  {
    std::lock_guard lock(structure_mutex_);
    std::array<Block*, kHeightMax> before;
    Predecessors(block->low->key(), &before);
    for (int level = static_cast<int>(block->height) - 1; level >= 0; --level) {
      auto& link = before[static_cast<size_t>(level)]->next(level);
      DCHECK(link.load(std::memory_order_relaxed) == block);
      link.store(block->next(level).load(std::memory_order_relaxed), std::memory_order_release);
    }
    bytes_.fetch_sub(BlockBytes(*block), std::memory_order_relaxed);
  }
#ifdef FLUXKV_PLANT_LIST_UNLINKED_ALIVE
  Unlatch(block);
#else
  Unlatch(block, /*dead=*/true);
#endif
  reclaimer.Retire(block, BlockBytes(*block), [](void* p) { DeleteBlock(static_cast<Block*>(p)); });
}

bool OrderedList::TryRead(const Block* block, Page* page) {
  const uint64_t version = block->version.load(std::memory_order_acquire);
  if ((version & (kLatched | kDead)) != 0) return false;
  const size_t count = block->count.load(std::memory_order_acquire);
  for (size_t i = 0; i < count; ++i) page->nodes[i] = block->node(i);
  const Block* next = block->next0.load(std::memory_order_acquire);
  if (block->version.load(std::memory_order_acquire) != version) return false;
  page->count = count;
  page->last = next == nullptr;
  if (next != nullptr) page->next = next->low->key();
  page->first = block->low == nullptr;
  if (block->low != nullptr) page->low = block->low->key();
  return true;
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
