#include "engine/watches.h"

#include "base/check.h"
#include "engine/store.h"

namespace fluxkv::engine {

namespace {

// The newest version if the key is there at `now_ms`.
bool IsLive(const Version* version, int64_t now_ms) {
  return version != nullptr && !version->is_tombstone() && !version->ExpiredAt(now_ms);
}

const Version* NewestIn(const Keyspace& keyspace, const WatchedKey& watched) {
  Node* node = nullptr;
  return Newest(keyspace, Key(watched.key, watched.hash), &node);
}

}  // namespace

WatchedKey* Watches::Add(uint32_t db, const Key& key, const Keyspace& keyspace, int64_t now_ms) {
  total_.fetch_add(1, std::memory_order_seq_cst);  // from here on the key is not buried
  auto watched = std::make_unique<WatchedKey>(
      WatchedKey{.db = db, .key = std::string(key.bytes), .hash = key.hash});
  WatchedKey* added = watched.get();
  watched_.emplace(key.hash, std::move(watched));
  const Version* newest = NewestIn(keyspace, *added);
  added->stamp = newest == nullptr ? 0 : newest->stamp();
  added->live = IsLive(newest, now_ms);
  return added;
}

void Watches::Remove(WatchedKey* watched) {
  std::lock_guard lock(mutex_);
  auto [first, last] = watched_.equal_range(watched->hash);
  while (first != last && first->second.get() != watched) ++first;
  ASSERT(first != last);
  watched_.erase(first);
  total_.fetch_sub(1, std::memory_order_seq_cst);
}

bool Watches::Changed(const WatchedKey& watched, const Keyspace& keyspace, int64_t now_ms) {
  if (watched.touched) return true;
  const Version* newest = NewestIn(keyspace, watched);
  if (IsLive(newest, now_ms) != watched.live) return true;
  // No node where there was a tombstone: it was buried while Add looked, and nothing came after.
  if (newest == nullptr || newest->stamp() == watched.stamp) return false;
  // What was past its deadline when it was watched has been removed for that.
  return watched.live || watched.stamp == 0 || newest->expired_stamp() != watched.stamp;
}

void Watches::RebaseOne(WatchedKey& watched, const Keyspace& before, const Keyspace& after,
                        int64_t now_ms) {
  if (&before == &after) return;
  const Version* newest = NewestIn(after, watched);
  if (watched.live || IsLive(newest, now_ms) || Changed(watched, before, now_ms)) {
    watched.touched = true;
  } else {
    watched.stamp = newest == nullptr ? 0 : newest->stamp();
  }
}

bool Watches::Holds(uint64_t hash) const {
  if (total_.load(std::memory_order_seq_cst) == 0) return false;
  std::lock_guard lock(mutex_);
  return watched_.contains(hash);
}

}  // namespace fluxkv::engine
