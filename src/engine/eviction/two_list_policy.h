// What ARC and LFU have in common: keys that were used once are kept apart from keys that were
// used again, so that those which come by only once do not push out the others, and what was
// evicted is remembered for a while, so that a key which comes back is taken for one that is
// used again.
//
// "Once" and "again" are LazyQueues; their ghosts are fingerprints.
//
// C1. Which list a key belongs to is said by its node. An entry in the wrong queue is put right
//     when it is met: in Pick, and by a walk over the once queue that meets kMetPerEviction of it
//     with each eviction. So once's size counts keys that were used again and not met yet.
// C2. A key that is filed while its ghost is there is marked as used again (NoteGhost).
// C3. The victim is the first of once while once has at least Target() keys, else of again.
// C4. Of each list there are no more ghosts than GhostsOnceMax and GhostsAgainMax, but for a
//     while when keys become fewer (Trim); and none when there is no key.
//
// Threads: under the lock of Eviction.
#pragma once

#include "engine/eviction/ghosts.h"
#include "engine/eviction/orders.h"
#include "engine/eviction/policy.h"

namespace fluxkv::engine {

template <class Order>
class TwoListPolicy : public Policy {
 public:
  TwoListPolicy(VoidEntries& voids, AccessClock& clock)
      : Policy(voids, clock),
        once_order_(clock, false),
        again_order_(clock, true),
        once_(voids, once_order_),
        again_(voids, again_order_) {}

  void File(Entry entry, uint64_t detail) override;
  std::optional<Victim> Pick() override;
  void PutBack(const Victim& victim) override;
  void NoteEvicted(const Victim& victim) override;
  bool Sweep(size_t budget, bool look) override;
  bool Trim(size_t budget) override;
  size_t entries() const override { return once_.size() + again_.size(); }
  void AddFigures(PolicyFigures* figures) const override;

 protected:
  // How many keys the once list should have.
  virtual double Target() const = 0;
  // The ghost of a key that is being filed was found, and taken, when there were so many.
  virtual void NoteGhost(Ghosts::List, double /*once*/, double /*again*/) {}
  // The most ghosts of keys that were evicted from each list.
  virtual size_t GhostsOnceMax() const = 0;
  virtual size_t GhostsAgainMax() const = 0;

 private:
  static constexpr size_t kMetPerEviction = 2;
  static constexpr size_t kMetAtOnce = 1024;
  static constexpr int kGhostsAtOnce = 8;  // dropped for one key

  bool FromOnce() const;
  void FileStrays();
  void TrimGhosts(uint32_t near);

  const Order once_order_, again_order_;
  size_t to_meet_ = 0;  // entries that the walk over once has to make up for
  bool sweeping_again_ = false;
  uint32_t trimmed_at_ = 0;  // where Trim goes on

 protected:
  LazyQueue once_, again_;
  Ghosts ghosts_;
};

extern template class TwoListPolicy<TickOrder>;
extern template class TwoListPolicy<FrequencyOrder>;

}  // namespace fluxkv::engine
