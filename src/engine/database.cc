#include "engine/database.h"

#include <algorithm>

#include "engine/collector.h"
#include "engine/store.h"

namespace fluxkv::engine {

Database::Database(Options options, Clock& clock)
    : store_(std::make_unique<Store>(std::move(options), clock)) {}
Database::~Database() = default;

std::unique_ptr<Handle> Database::Attach() {
  return store_->Attach();
}
uint32_t Database::databases() const {
  return static_cast<uint32_t>(store_->roots.size());
}

DatabaseStats Database::database_stats(uint32_t db) const {
  const Keyspace& keyspace = *store_->Root(db)->keyspace;
  return {.keys = keyspace.keys(), .keys_with_expiry = keyspace.keys_with_expiry()};
}

uint64_t Database::used_bytes() const {
  return static_cast<uint64_t>(std::max<int64_t>(0, store_->used_bytes()));
}

PolicyFigures Database::policy_figures() const {
  return store_->collector->policy_figures();
}
void Database::SetPolicy(PolicyKind kind, bool volatile_only) {
  store_->collector->SetPolicy(kind, volatile_only);
}
bool Database::policy_pending() const {
  return store_->collector->policy_pending();
}
void Database::set_background_eviction(bool on) {
  store_->collector->set_may_evict(on);
}
bool Database::evicting() const {
  return store_->collector->evicting();
}
void Database::ResetCounts() {
  store_->expired_keys.store(0, std::memory_order_relaxed);
  store_->evicted_keys.store(0, std::memory_order_relaxed);
}
void Database::AwaitPolicy() {
  store_->collector->AwaitPolicy();
}
void Database::SetLfuLogFactor(uint32_t factor) {
  store_->eviction.SetLfuLogFactor(factor);
}
void Database::SetLfuDecayTime(uint32_t minutes) {
  store_->eviction.SetLfuDecayTime(minutes);
}

uint64_t Database::versions_kept() const {
  int64_t kept = 0;
  store_->VisitShared([&](const HandleShared& shared) {
    kept += shared.versions_kept.load(std::memory_order_relaxed);
  });
  return static_cast<uint64_t>(std::max<int64_t>(0, kept));
}

EngineStats Database::stats() const {
  EngineStats s;
  s.used_bytes = used_bytes();
  s.garbage_bytes = static_cast<uint64_t>(std::max<int64_t>(0, store_->garbage_bytes()));
  s.eviction_bytes = store_->eviction_bytes.load(std::memory_order_relaxed);
  s.evicted_keys = store_->evicted_keys.load(std::memory_order_relaxed);
  store_->VisitShared([&](const HandleShared& shared) {
    s.retired_bytes += shared.retired_bytes.load(std::memory_order_relaxed);
    s.latch_wait_ns += shared.latch_wait_ns.load(std::memory_order_relaxed);
    s.page_wait_ns += shared.page_wait_ns.load(std::memory_order_relaxed);
    s.conflicts += shared.conflicts.load(std::memory_order_relaxed);
  });
  s.latch_wait_ns += store_->eviction.waited_ns();
  s.page_wait_ns += FreePagesNow().waited_ns;
  s.versions_kept = versions_kept();
  s.expired_keys = store_->expired_keys.load(std::memory_order_relaxed);
  s.filed_deadlines = store_->collector->filed_deadlines();
  s.range_deletes = range_deletes();
  s.live_snapshots = store_->snapshots.count();
  s.stamp = store_->stamp.load(std::memory_order_relaxed);
  const Stamp oldest = store_->snapshots.Oldest();
  s.oldest_snapshot = oldest == kStampPending ? 0 : oldest;
  for (uint32_t db = 0; db < databases(); ++db) {
    const Keyspace& keyspace = *store_->Root(db)->keyspace;
    s.index_bytes += keyspace.index.allocated_bytes();
    s.list_bytes += keyspace.list.allocated_bytes();
  }
  return s;
}

WatchToken Database::Watch(uint32_t db, const Key& key) {
  std::lock_guard lock(store_->watches.mutex());
  const Keyspace& keyspace = *store_->Root(db)->keyspace;
  return {.db = db,
          .hash = key.hash,
          .watched = store_->watches.Add(db, key, keyspace, store_->clock.now_ms())};
}

void Database::Unwatch(const WatchToken& token) {
  store_->watches.Remove(token.watched);
}

bool Database::Changed(const WatchToken& token) const {
  return Watches::Changed(*token.watched, *store_->Root(token.db)->keyspace,
                          store_->clock.now_ms());
}

void Database::PauseExpiry(int64_t until_ms) {
  store_->expiry_paused_until_ms.store(until_ms, std::memory_order_relaxed);
  store_->collector->Wake();
}
void Database::LimitSettling(std::optional<uint64_t> nodes) {
  store_->collector->LimitSettling(nodes);
}
uint64_t Database::range_deletes() const {
  return store_->collector->range_deletes();
}
void Database::set_active_expiry(bool on) {
  store_->collector->set_active_expiry(on);
}
Vacuumed Database::Vacuum() {
  return store_->collector->Vacuum();
}
uint64_t Database::RequestVacuum() {
  return store_->collector->RequestVacuum();
}
bool Database::VacuumEnded(uint64_t ticket, Vacuumed* result) const {
  return store_->collector->VacuumEnded(ticket, result);
}
VacuumStats Database::vacuum_stats() const {
  VacuumStats stats = store_->collector->figures();
  stats.watched_keys = store_->watches.count();
  stats.oldest_snapshot = store_->snapshots.OldestFigure();
  return stats;
}

}  // namespace fluxkv::engine
