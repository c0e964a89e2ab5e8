#include "engine/eviction/policy.h"

#include "engine/eviction/arc_policy.h"
#include "engine/eviction/lfu_policy.h"
#include "engine/eviction/lru_policy.h"
#include "engine/eviction/random_policy.h"
#include "engine/eviction/ttl_policy.h"

namespace fluxkv::engine {

AccessKind AccessKindOf(PolicyKind kind) {
  if (kind == PolicyKind::kLru || kind == PolicyKind::kArc) return AccessKind::kTicks;
  return kind == PolicyKind::kLfu ? AccessKind::kFrequency : AccessKind::kSeconds;
}

std::unique_ptr<Policy> NewPolicy(PolicyKind kind, VoidEntries& voids, AccessClock& clock) {
  if (kind == PolicyKind::kLru) return std::make_unique<LruPolicy>(voids, clock);
  if (kind == PolicyKind::kLfu) return std::make_unique<LfuPolicy>(voids, clock);
  if (kind == PolicyKind::kArc) return std::make_unique<ArcPolicy>(voids, clock);
  if (kind == PolicyKind::kRandom) return std::make_unique<RandomPolicy>(voids, clock);
  if (kind == PolicyKind::kTtl) return std::make_unique<TtlPolicy>(voids, clock);
  return nullptr;
}

}  // namespace fluxkv::engine
