#include "engine/handle.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/planted.h"
#include "engine/collector.h"
#include "engine/store.h"

namespace fluxkv::engine {

namespace {
constexpr size_t kFreePagesLag = size_t{4} << 20;
constexpr int64_t kAwaitPagesNs = 1'000'000;
constexpr int64_t kAwaitPagesStepNs = 70'000;
constexpr uint32_t kWaitsInVain = 16;  // then the collector has something else to do
}  // namespace

Handle::Handle(Store& store, HandleShared& shared, size_t number)
    : store_(store),
      shared_(shared),
      number_(number),
      reclaimer_(store.epochs),
      recorder_(store.eviction.clock(), MixHash(number, 1)) {}

Handle::~Handle() {
  ASSERT(shared_.commit_floor.load() == HandleShared::kNotCommitting);
  store_.Detach(number_);
}

void Handle::Enter() {
  reclaimer_.Enter();
  recorder_.Sync(static_cast<uint32_t>(store_.clock.now_ms() / 1000));
}

void Handle::Leave() {
  recorder_.Sync(static_cast<uint32_t>(store_.clock.now_ms() / 1000));
  reclaimer_.Leave();
  commands_in_epoch_ = 0;
  if (!PLANTED(PLACES_OUTLIVE_EPOCH)) place_count_ = 0;
  shared_.retired_bytes.store(reclaimer_.retired_bytes(), std::memory_order_relaxed);
}

bool Handle::FreeSome() {
  DEBUG_ASSERT(!inside());
  reclaimer_.CollectSome();
  shared_.retired_bytes.store(reclaimer_.retired_bytes(), std::memory_order_relaxed);
  return reclaimer_.behind();
}

void Handle::AwaitFreePages() {
  DEBUG_ASSERT(!inside());
  FreePagesFigures pages = FreePagesNow();
  if (pages.waiting < kFreePagesMany) [[likely]]
    return;
  const auto moved = [&] {
    return pages.runs_given != std::exchange(page_runs_seen_, pages.runs_given);
  };
  if (moved()) page_waits_in_vain_ = 0;
  if (page_waits_in_vain_ == 0) store_.collector->Wake();
  if (pages.waiting < kFreePagesLag || page_waits_in_vain_ == kWaitsInVain) return;
  ++page_waits_in_vain_;
  const int64_t began = MonotonicNs();
  int64_t now = began;
  while (pages.waiting >= kFreePagesLag && now - began < kAwaitPagesNs) {
    std::this_thread::sleep_for(std::chrono::nanoseconds(kAwaitPagesStepNs));
    now = MonotonicNs();
    pages = FreePagesNow();
    if (moved()) page_waits_in_vain_ = 0;
  }
  Add(shared_.page_wait_ns, static_cast<uint64_t>(now - began));
}

void Handle::Breathe(size_t commands) {
  commands_in_epoch_ += commands;
  if (commands_in_epoch_ < limits::kEpochCommandsMax &&
      reclaimer_.retired_bytes() < limits::kEpochRetiredBytesMax)
    return;
  Leave();
  Enter();
}

void Handle::AwaitPolicy() {
  if (store_.collector->AwaitPolicy())
    recorder_.Sync(static_cast<uint32_t>(store_.clock.now_ms() / 1000));
}

void Handle::PrefetchIndex(uint32_t db, uint64_t hash) const {
  store_.Root(db)->keyspace->index.Prefetch(hash);
}

const Node* Handle::PrefetchNode(uint32_t db, uint64_t hash, bool for_write) const {
  return store_.Root(db)->keyspace->index.PrefetchNode(hash, for_write);
}

void Handle::PrefetchVersion(const Node* node) {
  if (node == nullptr) return;
  const char* version = reinterpret_cast<const char*>(node->head());
  __builtin_prefetch(version);
  __builtin_prefetch(version + limits::kCacheLineBytes);
}

void Handle::PrefetchPlaces(uint32_t db, std::span<const std::string_view> keys,
                            std::span<const uint64_t> hashes) {
  DEBUG_ASSERT(inside() && keys.size() == hashes.size() && keys.size() <= places_.size());
  std::copy(hashes.begin(), hashes.end(), place_hashes_.begin());
  place_next_ = 0;
  place_count_ = keys.size();
  store_.Root(db)->keyspace->list.Prefetch(keys, std::span(places_).first(place_count_));
}

OrderedList::Place Handle::TakePlace(uint64_t hash) {
  for (size_t i = place_next_; i < place_count_; ++i) {
    if (place_hashes_[i] != hash) continue;
    place_next_ = i + 1;
    return places_[i];
  }
  return {};
}

void Handle::RetireVersion(Version* version) {
  size_t bytes = version->AllocatedBytes() + version->PastBytes();
  reclaimer_.Retire(version, bytes, [](void* p) { VersionDeleter()(static_cast<Version*>(p)); });
}

void Handle::RetireHistory(History* entry) {
  reclaimer_.Retire(entry, sizeof(History), [](void* p) { delete static_cast<History*>(p); });
}

void Handle::RetirePast(Past* past) {
  reclaimer_.Retire(past, sizeof(Past), [](void* p) { Past::Delete(static_cast<Past*>(p)); });
}

void Handle::RetireRangeDeletes(const RangeDeletes* list) {
  if (list == nullptr) return;
  reclaimer_.Retire(const_cast<RangeDeletes*>(list), sizeof(RangeDeletes),
                    [](void* p) { delete static_cast<RangeDeletes*>(p); });
}

void Handle::LeaveGarbage(Keyspace* keyspace, Node* node) {
  shared_.inbox_latch.Lock();
  shared_.garbage.push_back({keyspace, node});
  bool wake = shared_.garbage.size() == Collector::kWakeEntries;
  shared_.inbox_latch.Unlock();
  if (wake) store_.collector->Wake();
}

void Handle::LeaveDeadline(int64_t at_ms, uint64_t hash, uint64_t keyspace) {
  shared_.inbox_latch.Lock();
  shared_.deadlines.push_back({at_ms, hash, keyspace});
  bool wake = shared_.deadlines.size() == Collector::kWakeEntries;
  shared_.inbox_latch.Unlock();
  if (wake) store_.collector->Wake();
}

}  // namespace fluxkv::engine
