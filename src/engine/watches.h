// Which keys are watched (WATCH), and whether they were written since.
//
// W1. The collector buries no watched key, so a watched key's newest stamp says whether it was
//     written since.
// W2. What a database number stands for changes (FLUSHDB, SWAPDB) with mutex() held and every key
//     latched, from Rebase until the new roots are published. So a watched key's fields always
//     describe the newest root, and Add never sees half of a change.
//
// A key is written when its value, its expiry or its presence is: also by its deadline, also by a
// change of the database in which it is there before or behind. A key that was past its deadline
// already when it was watched counts as absent, and its removal as nothing.
//
// Threads: any, as each method says. `Holds` is one load when nothing is watched. Nobody who holds
// mutex() waits for a latch.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "engine/key.h"
#include "engine/keyspace.h"
#include "engine/version.h"

namespace fluxkv::engine {

// A key that one client watches.
struct WatchedKey {
  const uint32_t db;
  const std::string key;
  const uint64_t hash;
  // Changed by Add, and with every latch held; read under the key's latch.
  Stamp stamp = 0;  // of the newest version, 0 if there was none
  bool live = false;
  bool touched = false;  // its database was changed under it
};

class Watches {
 public:
  std::mutex& mutex() { return mutex_; }
  // Starts watching a key of `keyspace`. Requires: mutex() held, inside an epoch, `keyspace` read
  // under the mutex.
  WatchedKey* Add(uint32_t db, const Key& key, const Keyspace& keyspace, int64_t now_ms);
  void Remove(WatchedKey* watched);
  // Whether it was written since. Requires: inside an epoch, and the key latched.
  static bool Changed(const WatchedKey& watched, const Keyspace& keyspace, int64_t now_ms);
  // The databases' keyspaces are about to become others: `before` and `after` give them by number.
  // Requires: mutex() and every latch held, until the new roots are published.
  template <class Before, class After>
  void Rebase(Before before, After after, int64_t now_ms) {
    for (auto& [hash, watched] : watched_)
      RebaseOne(*watched, *before(watched->db), *after(watched->db), now_ms);
  }
  // By hash: another key with the same hash is then held as well, which costs its node's memory for
  // a while.
  bool Holds(uint64_t hash) const;
  size_t count() const { return total_.load(std::memory_order_relaxed); }  // a figure

 private:
  static void RebaseOne(WatchedKey& watched, const Keyspace& before, const Keyspace& after,
                        int64_t now_ms);

  std::atomic<size_t> total_{0};
  mutable std::mutex mutex_;
  std::unordered_multimap<uint64_t, std::unique_ptr<WatchedKey>> watched_;  // guarded by mutex_
};

}  // namespace fluxkv::engine
