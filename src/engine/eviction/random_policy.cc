#include "engine/eviction/random_policy.h"

#include "base/planted.h"

namespace fluxkv::engine {

void RandomPolicy::TakeOut(size_t at) {
  entries_[at] = entries_.back();
  entries_.pop_back();
}

std::optional<Victim> RandomPolicy::Pick() {
  for (size_t looks = 0; looks < kLooksMax && !entries_.empty(); ++looks) {
    random_ += 0x9e3779b97f4a7c15ULL;
    const size_t among = PLANTED(EVICTION_UNEVEN) ? entries_.size() / 2 + 1 : entries_.size();
    const size_t at = MixHash(random_, 0) % among;
    const Entry entry = entries_[at];
    TakeOut(at);
    if (!voids_.Take(entry)) return Victim{.entry = entry};
  }
  return std::nullopt;
}

bool RandomPolicy::Sweep(size_t budget, bool) {
  for (; budget > 0; --budget) {
    if (swept_ >= entries_.size()) {
      swept_ = 0;
      return true;
    }
    if (voids_.Take(entries_[swept_])) {
      TakeOut(swept_);
    } else {
      ++swept_;
    }
  }
  return false;
}

}  // namespace fluxkv::engine
