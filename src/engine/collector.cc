#include "engine/collector.h"

#include <algorithm>
#include <chrono>

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/vectors.h"
#include "engine/store.h"

namespace fluxkv::engine {

namespace {

constexpr size_t kWakeDropped = 64;  // dropped roots that wake the collector
constexpr int64_t kIntervalMsDefault = 100;
// Deadlines and garbage lie in inboxes for so long at the most: a key whose deadline came sooner
// goes so much later.
constexpr int64_t kTickMs = 25;
constexpr int64_t kReturnEveryUs = 20'000;
// Free pages: so long in one turn, and after so many nodes of a keyspace that is destroyed.
constexpr int64_t kReturnUs = 2'000;
constexpr size_t kReturnRuns = 16;
constexpr size_t kReturnNodes = 4096;

// Whether some are left.
bool ReturnSome() {
  const int64_t until_us = MonotonicUs() + kReturnUs;
  bool more = true;
  while (more && MonotonicUs() < until_us) more = GiveBackFreePages(kReturnRuns);
  return more;
}

void FreeHistory(History* entry, FreedKeyspace* freed) {
  while (entry != nullptr) {
    History* older = entry->older.load(std::memory_order_relaxed);
    freed->bytes += AllocatedBytes(sizeof(History));
    ++freed->versions_kept;
    if (entry->version != nullptr) {
      freed->bytes += entry->version->AllocatedBytes() + entry->version->PastBytes();
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
    freed->bytes += head->AllocatedBytes() + head->PastBytes();
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
  size_t nodes = 0;
  keyspace->index.VisitAll([&](Node* node) {
    FreeNode(node, &freed);
    if (++nodes % kReturnNodes == 0) ReturnSome();
  });
  delete keyspace;
  return freed;
}

Collector::Collector(Store& store) : store_(store) {
  handle_ = store_.Attach();
  txn_ = std::make_unique<Transaction>(*handle_);
  evictor_ = std::make_unique<Evictor>(*handle_);
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
  evictor_.reset();
  // What is closed is in no keyspace any more (G5); the other nodes go with theirs.
  TakeInboxes();
  garbage_.erase(garbage_.begin(), garbage_.begin() + static_cast<ptrdiff_t>(buried_));
  garbage_.insert(garbage_.end(), held_.begin(), held_.end());
  for (const Garbage& g : garbage_) {
    if (g.node->head() == Node::Closed()) Node::Delete(g.node);
  }
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

uint64_t Collector::RequestVacuum() {
  std::lock_guard lock(mutex_);
  wake_.notify_one();
  return ++vacuums_wanted_;
}

bool Collector::VacuumEnded(uint64_t ticket, Vacuumed* result) const {
  std::lock_guard lock(mutex_);
  *result = vacuumed_last_;
  return vacuums_done_ >= ticket;
}

Vacuumed Collector::Vacuum() {
  const uint64_t ticket = RequestVacuum();
  std::unique_lock lock(mutex_);
  vacuumed_.wait(lock, [&] { return vacuums_done_ >= ticket || stop_; });
  return vacuumed_last_;
}

VacuumStats Collector::figures() const {
  std::lock_guard lock(mutex_);
  return figures_;
}

// ---- The thread

void Collector::Run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    const uint64_t wanted = vacuums_wanted_;
    const bool vacuum = wanted != vacuums_done_;
    woken_ = false;
    lock.unlock();
    Vacuumed vacuumed;
    if (vacuum) {
      vacuumed = TurnsForVacuum();
    } else {
      Turn();
    }
    const int64_t wait_ms = WaitMs();
    const Vacuumed given = Given();
    lock.lock();
    figures_.since_start = given;
    figures_.nodes_waiting = garbage_.size() - buried_;
    figures_.nodes_held = held_.size();
    if (vacuum || passed_.ended_at_ms > figures_.last.ended_at_ms)
      figures_.last = vacuum ? vacuumed : passed_;
    if (vacuum) {
      vacuumed_last_ = vacuumed;
      vacuums_done_ = wanted;
      vacuumed_.notify_all();
    }
    if (wait_ms == 0) continue;
    wake_.wait_for(lock, std::chrono::milliseconds(wait_ms),
                   [&] { return stop_ || woken_ || vacuums_wanted_ != vacuums_done_; });
  }
  vacuumed_.notify_all();
  policy_set_.notify_all();
}

bool Collector::expiring() const {
  return active_expiry_.load() && !store_.ExpiryPaused();
}

int64_t Collector::WaitMs() const {
  if (returning_ || more_is_due_ || more_to_settle_ || buried_ < pass_end_ || deadlines_.sweeping())
    return 0;
  if (walking() || evicting() || !policy_is_tidy_) return 0;
  const auto* interval = store_.options.vacuum_interval_ms;
  int64_t wait =
      interval == nullptr ? kIntervalMsDefault : interval->load(std::memory_order_relaxed);
  if (expiring()) wait = std::min(wait, deadlines_.next_ms() - store_.clock.now_ms());
  return std::clamp<int64_t>(wait, 1, kTickMs);
}

void Collector::Turn() {
  store_.clock.Tick();
  if (policy_wanted_.load(std::memory_order_relaxed)) FollowPolicy();
  TakeInboxes();
  more_is_due_ = Expire();
  more_to_settle_ = SettleRanges();
  if (buried_ == pass_end_ && !vacuuming_ && PassIsDue()) BeginPass(/*look_at_held=*/false);
  Bury();
  backlog_.store(garbage_.size() - buried_, std::memory_order_relaxed);
  if (!more_is_due_ || vacuuming_) Sweep();
  if (policy_.kind != PolicyKind::kNone) {
    WalkForPolicy();
    TidyPolicy();
    EvictToLimit();
  }
  FreeDroppedRoots();
  filed_deadlines_.store(deadlines_.size(), std::memory_order_relaxed);
  handle_->reclaimer().AdoptOrphans();
  handle_->reclaimer().Collect();
  handle_->shared().retired_bytes.store(handle_->reclaimer().retired_bytes(),
                                        std::memory_order_relaxed);
  MakePagesReady();
  if (const int64_t now_us = MonotonicUs(); now_us >= return_next_us_) {
    ReturnFreePages();
    return_next_us_ = now_us + kReturnEveryUs;
    returning_ = true;
  }
  if (returning_ || FreePagesNow().waiting >= kFreePagesMany)
    returning_ = ReturnSome() && FreePagesNow().waiting >= kFreePagesMany;
}

Vacuumed Collector::TurnsForVacuum() {
  const Vacuumed before = Given();
  const int64_t until_ms = store_.clock.Tick();
  TakeWalks();
  const uint64_t until_walk = walks_ended_ + walks_.size();
  do {
    Turn();
  } while (!stop_ && ((expiring() && deadlines_.next_ms() <= until_ms) ||
                      (settling() && walks_ended_ < until_walk) || walking() || !policy_is_tidy_));
  vacuuming_ = true;
  while (!stop_ && buried_ < pass_end_) Turn();
  TakeInboxes();  // the tombstones of what expired
  BeginPass(/*look_at_held=*/true);
  do {
    Turn();
  } while (!stop_ && (buried_ < pass_end_ || deadlines_.sweeping()));
  vacuuming_ = false;
  return GivenSince(before);
}

Vacuumed Collector::Given() const {
  return {.versions = versions_freed_,
          .keys = keys_buried_,
          .bytes = -handle_->shared().used_bytes.load(std::memory_order_relaxed) -
                   handle_->shared().garbage_bytes.load(std::memory_order_relaxed),
          .took_ms = 0,
          .ended_at_ms = store_.clock.now_ms()};
}

Vacuumed Collector::GivenSince(const Vacuumed& before) const {
  Vacuumed given = Given();
  given.versions -= before.versions;
  given.keys -= before.keys;
  given.bytes -= before.bytes;
  given.took_ms = given.ended_at_ms - before.ended_at_ms;
  return given;
}

void Collector::TakeInboxes() {
  filed_in_turn_ = 0;
  store_.VisitShared([&](const HandleShared& seen) {
    auto& shared = const_cast<HandleShared&>(seen);
    shared.inbox_latch.Lock();
    inbox_garbage_.swap(shared.garbage);
    inbox_deadlines_.swap(shared.deadlines);
    shared.inbox_latch.Unlock();
    garbage_.insert(garbage_.end(), inbox_garbage_.begin(), inbox_garbage_.end());
    for (const auto& d : inbox_deadlines_) deadlines_.Add(d);
    filed_in_turn_ += inbox_deadlines_.size();
    const size_t garbage = inbox_garbage_.size(), deadlines = inbox_deadlines_.size();
    inbox_garbage_.clear();
    inbox_deadlines_.clear();
    GiveBackRoom(&inbox_garbage_, garbage);
    GiveBackRoom(&inbox_deadlines_, deadlines);
  });
}

std::optional<uint32_t> Collector::NumberOf(uint64_t keyspace_id) {
  if (store_.Root(last_db_)->keyspace->id == keyspace_id) return last_db_;
  const std::optional<uint32_t> db = store_.DatabaseOf(keyspace_id);
  if (db) last_db_ = *db;
  return db;
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
    Handle::Scope in_epoch(*handle_);  // SWAPDB drops roots of keyspaces that live on (R5)
    const RangeDeletes* deletes = d.root->keyspace->range_deletes();
    const bool settled = deletes == nullptr || deletes->settled();  // G7
    if (!settled || store_.snapshots.Needs(d.root->stamp.load(), d.replaced_at)) {
      keep.push_back(d);
      continue;
    }
    RootVersion* newer = store_.roots[d.db].load();
    while (newer->older.load() != d.root) newer = newer->older.load();
    newer->older.store(d.root->older.load());
    Keyspace* keyspace = d.root->keyspace;
    handle_->reclaimer().Retire(d.root, sizeof(RootVersion),
                                [](void* p) { delete static_cast<RootVersion*>(p); });
    if (keyspace->roots.fetch_sub(1) != 1) continue;
    if (keyspace->keys_with_expiry() > deadlines_.size() / 4)
      LookAtAllDeadlines();  // what it leaves
    keys_buried_ += keyspace->keys();
    versions_freed_ += keyspace->keys();
    ForgetNodesOf(keyspace);
    handle_->reclaimer().Retire(
        new Doomed{keyspace, &handle_->shared()}, limits::kEpochRetiredBytesMax, [](void* p) {
          auto* doomed = static_cast<Doomed*>(p);
          const FreedKeyspace freed = DestroyKeyspace(doomed->keyspace);
          HandleShared& shared = *doomed->shared;
          shared.garbage_bytes.store(shared.garbage_bytes.load() -
                                     static_cast<int64_t>(freed.bytes));
          shared.versions_kept.store(shared.versions_kept.load() -
                                     static_cast<int64_t>(freed.versions_kept));
          delete doomed;
        });
  }
  std::lock_guard lock(mutex_);
  dropped_.insert(dropped_.end(), keep.begin(), keep.end());
}

}  // namespace fluxkv::engine
