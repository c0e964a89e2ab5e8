#include "engine/watches.h"

namespace fluxkv::engine {

void Watches::Add(uint64_t hash) {
  std::lock_guard lock(mutex_);
  ++counts_[hash];
  total_.fetch_add(1, std::memory_order_seq_cst);
}

void Watches::Remove(uint64_t hash) {
  std::lock_guard lock(mutex_);
  auto it = counts_.find(hash);
  if (--it->second == 0) counts_.erase(it);
  total_.fetch_sub(1, std::memory_order_seq_cst);
}

bool Watches::Holds(uint64_t hash) const {
  if (total_.load(std::memory_order_seq_cst) == 0) return false;
  std::lock_guard lock(mutex_);
  return counts_.contains(hash);
}

}  // namespace fluxkv::engine
