// Which keys are watched (WATCH). The collector buries no watched key, so that a watched key's
// stamps survive until EXEC. Threads: any. `Holds` is one relaxed load when nothing is watched.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <unordered_map>

namespace fluxkv::engine {

class Watches {
 public:
  void Add(uint64_t hash);
  void Remove(uint64_t hash);
  // By hash: another key with the same hash is then held as well, which costs its node's memory for
  // a while.
  bool Holds(uint64_t hash) const;

 private:
  std::atomic<size_t> total_{0};
  mutable std::mutex mutex_;
  std::unordered_map<uint64_t, size_t> counts_;  // guarded by mutex_
};

}  // namespace fluxkv::engine
