#include "engine/eviction/two_list_policy.h"

#include <algorithm>

namespace fluxkv::engine {

template <class Order>
void TwoListPolicy<Order>::File(Entry entry, uint64_t detail) {
  const uint32_t fingerprint = static_cast<uint32_t>(detail);
  Node& node = *entry.node();
  const auto once = static_cast<double>(ghosts_.size(Ghosts::kOnce));
  const auto again = static_cast<double>(ghosts_.size(Ghosts::kAgain));
  if (const std::optional<Ghosts::List> ghost = ghosts_.Take(fingerprint); ghost) {
    NoteGhost(*ghost, once, again);
    Order::MarkUsedAgain(node);
  }
  (Order::UsedAgain(node) ? again_ : once_).File(entry, once_order_.KeyOf(node));
  TrimGhosts(fingerprint);
}

template <class Order>
bool TwoListPolicy<Order>::FromOnce() const {
  if (once_.size() == 0 || again_.size() == 0) return again_.size() == 0;
  return static_cast<double>(once_.size()) >= std::max(1.0, Target());
}

template <class Order>
void TwoListPolicy<Order>::FileStrays() {
  for (const LazyQueue::Item& stray : once_.strays()) again_.File(stray.entry, stray.key);
  once_.strays().clear();
  for (const LazyQueue::Item& stray : again_.strays()) once_.File(stray.entry, stray.key);
  again_.strays().clear();
}

template <class Order>
std::optional<Victim> TwoListPolicy<Order>::Pick() {
  // When all that Pop met in one list belonged to the other, the other has a victim: a writer that
  // needs room does not wait until all of them are put right.
  const bool from_once = FromOnce();
  for (const bool once : {from_once, !from_once}) {
    const std::optional<LazyQueue::Item> item = (once ? once_ : again_).Pop();
    FileStrays();
    if (!item) continue;
    const uint64_t hash = HashBytes(item->entry.node()->key());
    return Victim{.entry = item->entry,
                  .key = item->key,
                  .fingerprint = FingerprintOf(hash, item->entry.space()),
                  .again = !once};
  }
  return std::nullopt;
}

template <class Order>
void TwoListPolicy<Order>::PutBack(const Victim& victim) {
  (victim.again ? again_ : once_).File(victim.entry, victim.key);
}

template <class Order>
void TwoListPolicy<Order>::NoteEvicted(const Victim& victim) {
  to_meet_ += kMetPerEviction;
  if (to_meet_ >= std::min(once_.size(), kMetAtOnce)) {
    once_.Sweep(to_meet_, true);
    FileStrays();
    to_meet_ = 0;
  }
  ghosts_.Add(victim.again ? Ghosts::kAgain : Ghosts::kOnce, victim.fingerprint);
  TrimGhosts(victim.fingerprint);
}

template <class Order>
void TwoListPolicy<Order>::TrimGhosts(uint32_t near) {
  for (int i = 0; i < kGhostsAtOnce; ++i) {
    const bool once_over = ghosts_.size(Ghosts::kOnce) > GhostsOnceMax();
    if (!once_over && ghosts_.size(Ghosts::kAgain) <= GhostsAgainMax()) return;
    if (!ghosts_.DropOldest(once_over ? Ghosts::kOnce : Ghosts::kAgain, near)) return;
  }
}

template <class Order>
bool TwoListPolicy<Order>::Trim(size_t budget) {
  if (entries() == 0) ghosts_ = {};
  const auto trimmed = [this] {
    return ghosts_.size(Ghosts::kOnce) <= GhostsOnceMax() &&
           ghosts_.size(Ghosts::kAgain) <= GhostsAgainMax();
  };
  for (size_t i = 0; i < budget && !trimmed(); i += kGhostsAtOnce) TrimGhosts(++trimmed_at_);
  return trimmed();
}

template <class Order>
bool TwoListPolicy<Order>::Sweep(size_t budget, bool look) {
  const bool done = (sweeping_again_ ? again_ : once_).Sweep(budget, look);
  FileStrays();
  if (!done) return false;
  sweeping_again_ = !sweeping_again_;
  return !sweeping_again_;
}

template <class Order>
void TwoListPolicy<Order>::AddFigures(PolicyFigures* figures) const {
  figures->allocated_bytes +=
      once_.allocated_bytes() + again_.allocated_bytes() + ghosts_.allocated_bytes();
  figures->target = Target();
  figures->once = once_.size();
  figures->again = again_.size();
  figures->ghosts_once = ghosts_.size(Ghosts::kOnce);
  figures->ghosts_again = ghosts_.size(Ghosts::kAgain);
}

template class TwoListPolicy<TickOrder>;
template class TwoListPolicy<FrequencyOrder>;

}  // namespace fluxkv::engine
