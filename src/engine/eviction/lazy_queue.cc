#include "engine/eviction/lazy_queue.h"

#include <algorithm>
#include <iterator>

#include "base/memory.h"
#include "base/planted.h"

namespace fluxkv::engine {

namespace {
constexpr size_t kPrefetch = 8;  // nodes asked for ahead of the one that is looked at

void PrefetchAhead(const books::Deque<Entry>& entries, size_t i) {
  if (i + kPrefetch < entries.size()) __builtin_prefetch(entries[i + kPrefetch].node());
}
}  // namespace

std::optional<uint64_t> LazyQueue::Look(Entry entry) {
  if (voids_.Take(entry)) {
    --size_;
    return std::nullopt;
  }
  return order_.KeyOf(*entry.node());
}

std::optional<uint64_t> LazyQueue::LookOrStray(Entry entry) {
  const std::optional<uint64_t> key = Look(entry);
  if (!key || order_.Belongs(*entry.node())) return key;
  --size_;
  strays_.push_back({*key, 0, entry});
  return std::nullopt;
}

void LazyQueue::File(Entry entry, uint64_t key) {
  ++size_;
  Place(entry, key);
}

bool LazyQueue::MaySplit(size_t entries) {
  if (split_credit_ < entries && entries < 4 * kBucketMax) return false;
  split_credit_ -= std::min(split_credit_, entries);
  return true;
}

void LazyQueue::Place(Entry entry, uint64_t key) {
  split_credit_ = std::min(split_credit_ + kSplitLooks, 4 * kBucketMax);
  if (key < Horizon()) return PushFront(entry, key);
  auto bucket = std::prev(buckets_.upper_bound(key));
  if (bucket->second.size() >= kBucketMax) {
    if (std::next(bucket) == buckets_.end() && key >= highest_) {
      bucket = buckets_.emplace(key, Bucket());  // the newest is full: the next begins
    } else if (MaySplit(bucket->second.size())) {
      Split(bucket);
      bucket = std::prev(buckets_.upper_bound(key));
    }
  }
  highest_ = std::max(highest_, key);
  bucket->second.push_back(entry);
}

void LazyQueue::PushFront(Entry entry, uint64_t key) {
  front_.push_back({key, filed_++, entry});
  std::push_heap(front_.begin(), front_.end(), Later);
  if (front_.size() > kFrontMax + kBucketMax) SpillFront();
}

LazyQueue::Item LazyQueue::PopFront() {
  std::pop_heap(front_.begin(), front_.end(), Later);
  const Item item = front_.back();
  front_.pop_back();
  return item;
}

std::optional<LazyQueue::Item> LazyQueue::Pop() {
  for (size_t looks = 0;;) {
    // L2, and when it has looked at enough, L3.
    while (looks < kLooksMax && !buckets_.empty() &&
           (front_.empty() || front_.front().key > Horizon()))
      looks += OpenFirstBucket() + 1;
    if (front_.empty()) return std::nullopt;
    const Item item = PopFront();
    if (!front_.empty()) __builtin_prefetch(front_.front().entry.node());  // the next one
    ++looks;
    const std::optional<uint64_t> key = LookOrStray(item.entry);
    if (!key) continue;
    const bool later = *key > item.key && !PLANTED(EVICTION_TRUST_FILED_KEY);
    if (later && looks < kLooksMax + kBucketMax) {
      Place(item.entry, *key);
      continue;
    }
    --size_;
    return Item{*key, 0, item.entry};
  }
}

// What was opened is all on the heap, later than the horizon or not: when Pop has looked long
// enough, it has those to choose from.
size_t LazyQueue::OpenFirstBucket() {
  auto first = buckets_.begin();
  const Bucket entries = std::move(first->second);
  if (sweeping_ == first) ++*sweeping_;
  buckets_.erase(first);
  for (size_t i = 0; i < entries.size(); ++i) {
    PrefetchAhead(entries, i);
    if (const std::optional<uint64_t> key = LookOrStray(entries[i]); key)
      front_.push_back({*key, filed_++, entries[i]});
  }
  std::make_heap(front_.begin(), front_.end(), Later);
  if (front_.size() > kFrontMax) SpillFront();
  return entries.size();
}

void LazyQueue::Sort(std::vector<Item>* items) {
  std::sort(items->begin(), items->end(), [](const Item& a, const Item& b) { return Later(b, a); });
}

// Keeps the earlier half of the front and files the others in buckets, so that later ones are not
// carried along.
void LazyQueue::SpillFront() {
  std::vector<Item> items = std::move(front_);
  Sort(&items);
  const size_t kept = kFrontMax / 2;
  // What is kept must be before the horizon, what is not behind it.
  if (items[kept].key < Horizon()) buckets_.emplace(items[kept].key, Bucket());
  front_.assign(items.begin(), items.begin() + kept);
  for (size_t i = kept; i < items.size(); ++i) Place(items[i].entry, items[i].key);
}

// Two buckets of a full one, by the keys that the nodes have now.
void LazyQueue::Split(Buckets::iterator bucket) {
  const Bucket entries = std::move(bucket->second);
  bucket->second.clear();
  std::vector<Item> items;
  for (size_t i = 0; i < entries.size(); ++i) {
    PrefetchAhead(entries, i);
    if (const std::optional<uint64_t> key = Look(entries[i]); key)
      items.push_back({*key, i, entries[i]});
  }
  Sort(&items);
  if (items.empty()) return;
  // Nodes whose keys have gone beyond the next bucket's start stay in the upper half (L1 holds).
  const size_t half = items.size() / 2;
  const auto next = std::next(bucket);
  uint64_t middle = items[half].key;
  if (next != buckets_.end()) middle = std::min(middle, next->first);
  Bucket upper;
  for (size_t i = 0; i < items.size(); ++i)
    (i < half ? bucket->second : upper).push_back(items[i].entry);
  buckets_.emplace_hint(next, std::max(middle, bucket->first), std::move(upper));
}

bool LazyQueue::Sweep(size_t budget, bool look) {
  if (!sweeping_) sweeping_ = buckets_.begin();
  while (*sweeping_ != buckets_.end()) {
    if (budget == 0) return false;
    auto bucket = (*sweeping_)++;
    budget -= std::min(budget, bucket->second.size() + 1);
    SweepBucket(bucket->second, look);
    if (bucket->second.empty() || JoinBefore(bucket)) buckets_.erase(bucket);
  }
  std::vector<Item> items = std::move(front_);
  front_.clear();
  for (const Item& item : items) {
    if (LookOrStray(item.entry)) front_.push_back(item);
  }
  std::make_heap(front_.begin(), front_.end(), Later);
  sweeping_.reset();
  return true;
}

// Whether what is left of a bucket was added to the one before it (L1 holds).
bool LazyQueue::JoinBefore(Buckets::iterator bucket) {
  if (bucket == buckets_.begin()) return false;
  Bucket& before = std::prev(bucket)->second;
  if (before.size() + bucket->second.size() > kBucketMax / 2) return false;
  before.insert(before.end(), bucket->second.begin(), bucket->second.end());
  return true;
}

void LazyQueue::SweepBucket(Bucket& bucket, bool look) {
  Bucket kept;
  for (size_t i = 0; i < bucket.size(); ++i) {
    if (look) PrefetchAhead(bucket, i);
    const bool stays = look ? LookOrStray(bucket[i]).has_value() : !voids_.Take(bucket[i]);
    if (stays) {
      kept.push_back(bucket[i]);
    } else if (!look) {
      --size_;
    }
  }
  bucket = std::move(kept);
}

size_t LazyQueue::allocated_bytes() const {
  // A bucket: a tree node with the deque in it, the deque's map and its blocks of 512 bytes.
  constexpr size_t kBlockEntries = 512 / sizeof(Entry);
  const size_t fixed = AllocatedBytes(4 * sizeof(void*) + sizeof(Buckets::value_type)) +
                       AllocatedBytes(kBucketMax / kBlockEntries * sizeof(void*)) + 512;
  return buckets_.size() * fixed + (size_ - front_.size()) * sizeof(Entry) +
         (front_.capacity() + strays_.capacity()) * sizeof(Item);
}

}  // namespace fluxkv::engine
