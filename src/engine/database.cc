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

EngineStats Database::stats() const {
  EngineStats s;
  s.used_bytes = used_bytes();
  int64_t kept = 0;
  store_->VisitShared([&](const HandleShared& shared) {
    s.retired_bytes += shared.retired_bytes.load(std::memory_order_relaxed);
    s.latch_wait_ns += shared.latch_wait_ns.load(std::memory_order_relaxed);
    s.conflicts += shared.conflicts.load(std::memory_order_relaxed);
    kept += shared.versions_kept.load(std::memory_order_relaxed);
  });
  s.versions_kept = static_cast<uint64_t>(std::max<int64_t>(0, kept));
  s.expired_keys = store_->collector->expired_keys();
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
  store_->watches.Add(key.hash);  // from here on the key is not buried
  const Keyspace& keyspace = *store_->Root(db)->keyspace;
  Node* node = nullptr;
  const Version* version = Newest(keyspace, key, &node);
  WatchToken token{.db = db, .hash = key.hash, .keyspace = keyspace.id};
  token.stamp = version == nullptr ? 0 : version->stamp();
  token.live =
      version != nullptr && !version->is_tombstone() && !version->ExpiredAt(store_->clock.now_ms());
  return token;
}

void Database::Unwatch(const WatchToken& token) {
  store_->watches.Remove(token.hash);
}

bool Database::Changed(const Key& key, const WatchToken& token) const {
  const Keyspace& keyspace = *store_->Root(token.db)->keyspace;
  Node* node = nullptr;
  const Version* version = Newest(keyspace, key, &node);
  const Stamp stamp = version == nullptr ? 0 : version->stamp();
  const bool live =
      version != nullptr && !version->is_tombstone() && !version->ExpiredAt(store_->clock.now_ms());
  if (live != token.live) return true;
  // Another keyspace stands here now: a key that exists in either was touched by that.
  if (keyspace.id != token.keyspace) return live || stamp > token.stamp;
  // No node where there was a tombstone: it was buried between Add and the look-up, and nothing
  // came after.
  return stamp != token.stamp && stamp != 0;
}

void Database::set_active_expiry(bool on) {
  store_->collector->set_active_expiry(on);
}
void Database::Vacuum() {
  store_->collector->Vacuum();
}

}  // namespace fluxkv::engine
