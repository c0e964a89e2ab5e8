#include "engine/collector.h"

#include <algorithm>
#include <chrono>
#include <string>

#include "base/check.h"
#include "engine/store.h"
#include "engine/transaction.h"

namespace fluxkv::engine {

namespace {

constexpr size_t kBatch = 64;        // items between two epochs
constexpr size_t kWakeDropped = 64;  // dropped roots that wake the collector
constexpr size_t kCompactMin = 4096;
constexpr int64_t kRetryMs =
    100;  // a deadline that had to wait (its database was being swapped) comes again after this
constexpr int64_t kHeldLookMs =
    1000;  // nodes that snapshots or watches hold are looked at this often at the least
constexpr int64_t kIntervalMsDefault = 100;

bool Later(const HandleShared::Deadline& a, const HandleShared::Deadline& b) {
  return a.at_ms > b.at_ms;
}

void FreeHistory(History* entry, FreedKeyspace* freed) {
  while (entry != nullptr) {
    History* older = entry->older.load(std::memory_order_relaxed);
    freed->bytes += AllocatedBytes(sizeof(History));
    ++freed->versions_kept;
    if (entry->version != nullptr) {
      freed->bytes += entry->version->AllocatedBytes();
      VersionDeleter()(entry->version);
    }
    delete entry;
    entry = older;
  }
}

void FreeNode(Node* node, FreedKeyspace* freed) {
  Version* head = node->head();
  freed->bytes += node->AllocatedBytes();
  if (head != nullptr && head != Node::Closed()) {
    freed->bytes += head->AllocatedBytes();
    FreeHistory(head->older(), freed);
    VersionDeleter()(head);
  }
  Node::Delete(node);
}

// A keyspace on its way out, and whose figures its bytes are taken from.
struct Doomed {
  Keyspace* keyspace;
  HandleShared* shared;
};

}  // namespace

FreedKeyspace DestroyKeyspace(Keyspace* keyspace) {
  FreedKeyspace freed;
  keyspace->index.VisitAll([&](Node* node) { FreeNode(node, &freed); });
  delete keyspace;
  return freed;
}

Collector::Collector(Store& store) : store_(store) {
  handle_ = store_.Attach();
  txn_ = std::make_unique<Transaction>(*handle_);
  thread_ = std::thread([this] { Run(); });
}

Collector::~Collector() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
  txn_.reset();
  handle_->reclaimer().Collect();
  handle_.reset();
}

void Collector::Wake() {
  {
    std::lock_guard lock(mutex_);
    woken_ = true;
  }
  wake_.notify_one();
}

void Collector::DropRoot(uint32_t db, RootVersion* before, Stamp replaced_at) {
  std::lock_guard lock(mutex_);
  dropped_.push_back({db, before, replaced_at});
  if (dropped_.size() % kWakeDropped != 0) return;
  woken_ = true;
  wake_.notify_one();
}

void Collector::Vacuum() {
  std::unique_lock lock(mutex_);
  uint64_t wanted = ++vacuums_wanted_;
  wake_.notify_one();
  vacuumed_.wait(lock, [&] { return vacuums_done_ >= wanted || stop_; });
}

void Collector::Run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    const uint64_t wanted = vacuums_wanted_;
    const bool vacuum = wanted != vacuums_done_;
    woken_ = false;
    lock.unlock();
    Round(vacuum);
    if (vacuum) Round(true);  // what the first round deleted can be buried now
    const int64_t wait_ms = WaitMs();
    lock.lock();
    if (vacuum) {
      vacuums_done_ = wanted;
      vacuumed_.notify_all();
    }
    wake_.wait_for(lock, std::chrono::milliseconds(wait_ms),
                   [&] { return stop_ || woken_ || vacuums_wanted_ != vacuums_done_; });
  }
  vacuumed_.notify_all();
}

int64_t Collector::WaitMs() {
  const auto* interval = store_.options.vacuum_interval_ms;
  int64_t wait =
      interval == nullptr ? kIntervalMsDefault : interval->load(std::memory_order_relaxed);
  if (!deadlines_.empty() && active_expiry_.load() && !store_.ExpiryPaused())
    wait = std::min(wait, deadlines_.front().at_ms - store_.clock.now_ms());
  return std::clamp<int64_t>(wait, 1, kIntervalMsDefault);
}

void Collector::Round(bool look_at_held) {
  const int64_t now_ms = store_.clock.Tick();
  TakeInboxes();
  Expire();
  CompactDeadlines();
  TakeInboxes();  // the tombstones of what expired
  const Stamp oldest = store_.snapshots.Oldest();
  if (!held_.empty() && (look_at_held || held_for_log_ || oldest != oldest_seen_ ||
                         now_ms - held_looked_at_ms_ >= kHeldLookMs)) {
    oldest_seen_ = oldest;
    held_for_log_ = false;
    held_looked_at_ms_ = now_ms;
    garbage_.insert(garbage_.end(), held_.begin(), held_.end());
    held_.clear();
  }
  Bury(&garbage_, &held_);
  FreeDroppedRoots();
  filed_deadlines_.store(deadlines_.size(), std::memory_order_relaxed);
  handle_->reclaimer().AdoptOrphans();
  handle_->reclaimer().Collect();
  handle_->shared().retired_bytes.store(handle_->reclaimer().retired_bytes(),
                                        std::memory_order_relaxed);
}

void Collector::TakeInboxes() {
  std::vector<HandleShared::Deadline> deadlines;
  store_.VisitShared([&](const HandleShared& seen) {
    auto& shared = const_cast<HandleShared&>(seen);
    shared.inbox_latch.Lock();
    garbage_.insert(garbage_.end(), shared.garbage.begin(), shared.garbage.end());
    shared.garbage.clear();
    deadlines.swap(shared.deadlines);
    shared.inbox_latch.Unlock();
    for (const auto& d : deadlines) File(d);
    deadlines.clear();
  });
}

// ---- Burying

void Collector::Bury(std::vector<HandleShared::Garbage>* list,
                     std::vector<HandleShared::Garbage>* held) {
  for (size_t i = 0; i < list->size();) {
    Handle::Scope in_epoch(*handle_);
    for (size_t end = std::min(list->size(), i + kBatch); i < end; ++i) {
      if (BuryOne((*list)[i]) == Verdict::kHeld) held->push_back((*list)[i]);
    }
  }
  list->clear();
}

Collector::Verdict Collector::BuryOne(const HandleShared::Garbage& item) {
  Node* node = item.node;
  const uint64_t hash = HashBytes(node->key());
  std::optional<uint32_t> db = store_.DatabaseOf(item.keyspace->id);
  if (!db) return Verdict::kHeld;  // the keyspace is dropped and frees its nodes itself
  const LatchKey latch{*db, hash};
#ifdef FLUXKV_PLANT_BURY_WITHOUT_LATCH
  txn_->BeginLatched({&latch, 0});
#else
  txn_->BeginLatched({&latch, 1});
#endif
  Verdict verdict = Verdict::kHeld;
  if (store_.Root(*db)->keyspace ==
      item.keyspace) {  // K1; else a swap came between, and it is looked at again
    Version* head = node->head();
    if (head != nullptr) PruneHistory(head);
    const bool dead = head == nullptr || (head->is_tombstone() && head->older() == nullptr);
    const bool safe = head == nullptr || store_.log.IsSafe(head->stamp());  // D4
    held_for_log_ |= dead && !safe;
    [[maybe_unused]] const bool awaited =
        head != nullptr && store_.writing_snapshots.Needs(0, head->stamp());  // G4
    if (!dead && head->older() == nullptr) {
      node->clear(Node::kQueued);
      verdict = Verdict::kDone;
#ifdef FLUXKV_PLANT_BURY_WATCHED
    } else if (dead && !awaited) {
#elif defined(FLUXKV_PLANT_BURY_UNSAFE)
    } else if (dead && !awaited && !store_.watches.Holds(hash)) {
#elif defined(FLUXKV_PLANT_BURY_BEFORE_WRITER)
    } else if (dead && safe && !store_.watches.Holds(hash)) {
#else
    } else if (dead && safe && !awaited && !store_.watches.Holds(hash)) {
#endif
      node->set_head(Node::Closed());
      item.keyspace->buried.fetch_add(1, std::memory_order_seq_cst);
      item.keyspace->index.Remove(node, hash);
      item.keyspace->list.Remove(node, handle_->reclaimer());
      const size_t bytes = node->AllocatedBytes();
      handle_->AddUsedBytes(-static_cast<int64_t>(bytes));
      if (head != nullptr) handle_->RetireVersion(head);
      handle_->reclaimer().Retire(node, bytes,
                                  [](void* p) { Node::Delete(static_cast<Node*>(p)); });
      verdict = Verdict::kDone;
    }
  }
  txn_->Rollback();  // lets go of the latch
  return verdict;
}

void Collector::PruneHistory(Version* head) {
  Stamp until = head->stamp();
  std::atomic<History*>* link = nullptr;  // null: head's own
  for (History* entry = head->older(); entry != nullptr;) {
    History* older = entry->older.load(std::memory_order_acquire);
    const Stamp from = entry->version == nullptr ? 0 : entry->version->stamp();
    if (store_.snapshots.Needs(from, until)) {
      until = from;
      link = &entry->older;
    } else {
      if (link == nullptr) {
        head->set_older(older);
      } else {
        link->store(older, std::memory_order_release);
      }
      handle_->AddVersionsKept(-1);
      handle_->AddUsedBytes(-static_cast<int64_t>(AllocatedBytes(sizeof(History))));
      if (entry->version != nullptr) handle_->RetireVersion(entry->version);
      handle_->RetireHistory(entry);
    }
    entry = older;
  }
}

// ---- Expiry

void Collector::File(const HandleShared::Deadline& deadline) {
  deadlines_.push_back(deadline);
  std::push_heap(deadlines_.begin(), deadlines_.end(), Later);
}

// Deadlines that were moved about and keys that were deleted leave entries behind. One entry a key,
// the earliest, is enough, and none for a key that has no deadline any more. Twice as many entries
// as were left last time pay for the next visit.
void Collector::CompactDeadlines() {
  if (deadlines_.size() < compact_at_) return;
  std::sort(deadlines_.begin(), deadlines_.end(), [](const auto& a, const auto& b) {
    return std::tie(a.keyspace, a.hash, a.at_ms) < std::tie(b.keyspace, b.hash, b.at_ms);
  });
  deadlines_.erase(std::unique(deadlines_.begin(), deadlines_.end(),
                               [](const auto& a, const auto& b) {
                                 return a.keyspace == b.keyspace && a.hash == b.hash;
                               }),
                   deadlines_.end());
  size_t kept = 0;
  for (size_t i = 0; i < deadlines_.size();) {
    Handle::Scope in_epoch(*handle_);
    for (size_t end = std::min(deadlines_.size(), i + kBatch); i < end; ++i) {
      if (HasDeadline(deadlines_[i])) deadlines_[kept++] = deadlines_[i];
    }
  }
  deadlines_.resize(kept);
  deadlines_.shrink_to_fit();
  std::make_heap(deadlines_.begin(), deadlines_.end(), Later);
  compact_at_ = std::max<size_t>(kCompactMin, deadlines_.size() * 2);
}

// Whether a key that the entry is for is still there with a deadline; nodes without one are no
// longer filed (G3).
bool Collector::HasDeadline(const HandleShared::Deadline& entry) {
  std::optional<uint32_t> db = store_.DatabaseOf(entry.keyspace);
  if (!db) return false;  // dropped
  const LatchKey latch{*db, entry.hash};
  txn_->BeginLatched({&latch, 1});
  const Keyspace* keyspace = store_.Root(*db)->keyspace;
  bool found = keyspace->id != entry.keyspace;  // swapped meanwhile: not now
  std::vector<Node*> nodes;
  if (!found) keyspace->index.FindByHash(entry.hash, &nodes);
  for (Node* node : nodes) {
    const Version* head = node->head();
    if (head != nullptr && head->has_expiry()) {
      found = true;
    } else {
      node->clear(Node::kFiled);
    }
  }
  txn_->Rollback();
  return found;
}

void Collector::Expire() {
  if (!active_expiry_.load() || store_.ExpiryPaused()) return;
  while (!deadlines_.empty() && deadlines_.front().at_ms <= store_.clock.Tick()) {
    Handle::Scope in_epoch(*handle_);
    for (size_t i = 0;
         i < kBatch && !deadlines_.empty() && deadlines_.front().at_ms <= store_.clock.now_ms();
         ++i) {
      std::pop_heap(deadlines_.begin(), deadlines_.end(), Later);
      const HandleShared::Deadline due = deadlines_.back();
      deadlines_.pop_back();
      ExpireHash(due);
    }
  }
}

void Collector::ExpireHash(const HandleShared::Deadline& due) {
  std::optional<uint32_t> db = store_.DatabaseOf(due.keyspace);
  if (!db) return;  // dropped
  const LatchKey latch{*db, due.hash};
  txn_->BeginLatched({&latch, 1});
  Keyspace* keyspace = store_.Root(*db)->keyspace;
  if (keyspace->id != due.keyspace) {  // swapped meanwhile
    txn_->Rollback();
    return File({store_.clock.now_ms() + kRetryMs, due.hash, due.keyspace});
  }
  std::vector<Node*> nodes;
  keyspace->index.FindByHash(due.hash, &nodes);
  std::vector<std::string> gone;
  for (Node* node : nodes) {
    const Version* head = node->head();
    node->clear(Node::kFiled);
    if (head == nullptr || head->is_tombstone() || !head->has_expiry()) continue;
    int64_t again_ms = head->expiry_ms();
    if (head->ExpiredAt(txn_->now_ms())) {
      if (txn_->DeleteExpired(*db, Key(node->key(), due.hash))) {
        gone.emplace_back(node->key());
        continue;
      }
      again_ms = store_.clock.now_ms() + kRetryMs;
    }
    node->set(Node::kFiled);
    File({again_ms, due.hash, due.keyspace});
  }
  store_.expired_keys.fetch_add(gone.size(), std::memory_order_relaxed);
  CHECK(txn_->Commit());
  if (!store_.options.on_expired) return;
  for (const std::string& key : gone) store_.options.on_expired(*db, key, txn_->commit_stamp());
}

// ---- Dropped keyspaces

void Collector::FreeDroppedRoots() {
  std::vector<DroppedRoot> candidates;
  {
    std::lock_guard lock(mutex_);
    candidates.swap(dropped_);
  }
  if (candidates.empty()) return;
  TakeInboxes();  // what was left for a dropped keyspace was left before it was dropped
  // Newest first: what is to be unlinked is then near the top of its database's chain.
  std::sort(candidates.begin(), candidates.end(), [](const DroppedRoot& a, const DroppedRoot& b) {
    return a.replaced_at > b.replaced_at;
  });
  std::vector<DroppedRoot> keep;
  for (const DroppedRoot& d : candidates) {
    if (store_.snapshots.Needs(d.root->stamp.load(), d.replaced_at)) {
      keep.push_back(d);
      continue;
    }
    Handle::Scope in_epoch(*handle_);
    RootVersion* newer = store_.roots[d.db].load();
    while (newer->older.load() != d.root) newer = newer->older.load();
    newer->older.store(d.root->older.load());
    Keyspace* keyspace = d.root->keyspace;
    handle_->reclaimer().Retire(d.root, sizeof(RootVersion),
                                [](void* p) { delete static_cast<RootVersion*>(p); });
    if (keyspace->roots.fetch_sub(1) != 1) continue;
    const auto of_it = [keyspace](const HandleShared::Garbage& g) {
      return g.keyspace == keyspace;
    };
    std::erase_if(garbage_, of_it);
    std::erase_if(held_, of_it);
    handle_->reclaimer().Retire(
        new Doomed{keyspace, &handle_->shared()}, limits::kEpochRetiredBytesMax, [](void* p) {
          auto* doomed = static_cast<Doomed*>(p);
          const FreedKeyspace freed = DestroyKeyspace(doomed->keyspace);
          HandleShared& shared = *doomed->shared;
          shared.used_bytes.store(shared.used_bytes.load() - static_cast<int64_t>(freed.bytes));
          shared.versions_kept.store(shared.versions_kept.load() -
                                     static_cast<int64_t>(freed.versions_kept));
          delete doomed;
        });
  }
  std::lock_guard lock(mutex_);
  dropped_.insert(dropped_.end(), keep.begin(), keep.end());
}

}  // namespace fluxkv::engine
