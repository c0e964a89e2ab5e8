#include "engine/eviction/ttl_policy.h"

#include <algorithm>
#include <iterator>

#include "base/memory.h"
#include "base/planted.h"

namespace fluxkv::engine {

// The last bucket that begins at or before the item, or the first.
TtlPolicy::Buckets::iterator TtlPolicy::BucketOf(const Item& item) {
  auto after = buckets_.upper_bound(item);
  return after == buckets_.begin() ? after : std::prev(after);
}

void TtlPolicy::File(Entry entry, uint64_t deadline_ms) {
  const Item item{deadline_ms, entry};
  auto early = early_.find(item);
  if (early == early_.end()) return Put(item);
  if (--early->second == 0) early_.erase(early);
  --early_count_;
  voids_.NoteRemoved(entry);
}

void TtlPolicy::Unfile(Entry entry, uint64_t deadline_ms) {
  const Item item{deadline_ms, entry};
  if (TakeOut(item)) {
    voids_.NoteRemoved(entry);
  } else {
    ++early_[item];
    ++early_count_;
  }
}

void TtlPolicy::Put(const Item& item) {
  ++size_;
  if (buckets_.empty()) {
    bytes_ += BytesOf(buckets_[item] = {item});
    return;
  }
  auto bucket = BucketOf(item);
  if (item < bucket->first) {  // before all others: the first bucket begins earlier now
    auto node = buckets_.extract(bucket);
    node.key() = item;
    bucket = buckets_.insert(std::move(node)).position;
  }
  Items& items = bucket->second;
  bytes_ -= BytesOf(items);
  items.push_back(item);
  bytes_ += BytesOf(items);
  if (items.size() <= kBucketMax) return;
  const auto middle = items.begin() + kBucketMax / 2;
  std::nth_element(items.begin(), middle, items.end());
  // Equal items (D2) must not come to stand on both sides.
  const Item start = *middle;
  const auto upper =
      std::partition(items.begin(), items.end(), [&](const Item& i) { return i < start; });
  if (upper == items.begin()) return;
  bytes_ += BytesOf(buckets_.emplace(start, Items(upper, items.end())).first->second);
  bytes_ -= BytesOf(items);
  items.erase(upper, items.end());
  items.shrink_to_fit();  // with rising deadlines nothing more comes here
  bytes_ += BytesOf(items);
}

bool TtlPolicy::TakeOut(const Item& item) {
  if (buckets_.empty()) return false;
  auto bucket = BucketOf(item);
  Items& items = bucket->second;
  auto it = std::find(items.begin(), items.end(), item);
  if (it == items.end()) return false;
  *it = items.back();
  items.pop_back();
  --size_;
  if (items.empty()) {
    bytes_ -= BytesOf(items);
    buckets_.erase(bucket);
  }
  return true;
}

std::optional<Victim> TtlPolicy::Pick() {
  for (size_t looks = 0; looks < kLooksMax && !buckets_.empty(); ++looks) {
    const Items& items = buckets_.begin()->second;
    const Item first = PLANTED(EVICTION_ANY_DEADLINE)
                           ? items.front()
                           : *std::min_element(items.begin(), items.end());
    TakeOut(first);
    if (!voids_.Take(first.entry)) return Victim{.entry = first.entry, .key = first.deadline_ms};
  }
  return std::nullopt;
}

bool TtlPolicy::Sweep(size_t budget, bool) {
  auto bucket = swept_ ? buckets_.lower_bound(*swept_) : buckets_.begin();
  while (bucket != buckets_.end()) {
    if (budget == 0) {
      swept_ = bucket->first;
      return false;
    }
    Items& items = bucket->second;
    budget -= std::min(budget, items.size());
    size_ -= std::erase_if(items, [&](const Item& item) { return voids_.Take(item.entry); });
    if (items.empty()) {
      bytes_ -= BytesOf(items);
      bucket = buckets_.erase(bucket);
    } else {
      ++bucket;
    }
  }
  swept_.reset();
  return true;
}

size_t TtlPolicy::BytesOf(const Items& items) {
  return AllocatedBytes(items.capacity() * sizeof(Item)) +
         AllocatedBytes(4 * sizeof(void*) + sizeof(Buckets::value_type));
}

void TtlPolicy::AddFigures(PolicyFigures* figures) const {
  figures->allocated_bytes +=
      bytes_ +
      early_.size() * AllocatedBytes(4 * sizeof(void*) + sizeof(decltype(early_)::value_type));
}

}  // namespace fluxkv::engine
