#include "engine/snapshots.h"

#include <algorithm>

namespace fluxkv::engine {

std::optional<size_t> Snapshots::Take(SnapshotHolder holder, int64_t now_ms) {
  count_.fetch_add(1, std::memory_order_seq_cst);  // S3
  for (size_t i = 0; i < slots_.size(); ++i) {
    Stamp free = kFree;
    if (slots_[i].load(std::memory_order_relaxed) != kFree ||
        !slots_[i].compare_exchange_strong(free, kChoosing, std::memory_order_seq_cst))
      continue;
    size_t used = used_.load(std::memory_order_seq_cst);
    while (used < i + 1 && !used_.compare_exchange_weak(used, i + 1, std::memory_order_seq_cst)) {
    }
    told_[i].began_at_ms.store(now_ms, std::memory_order_relaxed);
    told_[i].kind.store(holder.kind, std::memory_order_relaxed);
    told_[i].client.store(holder.client, std::memory_order_relaxed);
    return i;
  }
  count_.fetch_sub(1, std::memory_order_seq_cst);
  return std::nullopt;
}

void Snapshots::Release(size_t slot) {
  slots_[slot].store(kFree, std::memory_order_seq_cst);
  count_.fetch_sub(1, std::memory_order_seq_cst);
}

bool Snapshots::Needs(Stamp from, Stamp until) const {
  if (none()) return false;
  size_t used = used_.load(std::memory_order_seq_cst);
  for (size_t i = 0; i < used; ++i) {
    Stamp stamp = slots_[i].load(std::memory_order_seq_cst);
    if (stamp == kChoosing || (stamp != kFree && from <= stamp && stamp < until)) return true;
  }
  return false;
}

size_t Snapshots::CountTransactions() const {
  size_t count = 0;
  const size_t used = used_.load(std::memory_order_seq_cst);
  for (size_t i = 0; i < used; ++i) {
    const Stamp stamp = slots_[i].load(std::memory_order_acquire);
    if (stamp == kFree || stamp == kChoosing) continue;
    if (told_[i].kind.load(std::memory_order_relaxed) != SnapshotHolder::Kind::kCopy) ++count;
  }
  return count;
}

std::optional<SnapshotFigure> Snapshots::OldestFigure(bool with_copies) const {
  std::optional<SnapshotFigure> oldest;
  const size_t used = used_.load(std::memory_order_seq_cst);
  for (size_t i = 0; i < used && !none(); ++i) {
    const Stamp stamp = slots_[i].load(std::memory_order_acquire);
    if (stamp == kFree || stamp == kChoosing || (oldest && oldest->stamp <= stamp)) continue;
    if (!with_copies &&
        told_[i].kind.load(std::memory_order_relaxed) == SnapshotHolder::Kind::kCopy)
      continue;
    oldest = {.stamp = stamp,
              .began_at_ms = told_[i].began_at_ms.load(std::memory_order_relaxed),
              .holder = {.kind = told_[i].kind.load(std::memory_order_relaxed),
                         .client = told_[i].client.load(std::memory_order_relaxed)}};
  }
  return oldest;
}

Stamp Snapshots::Oldest() const {
  Stamp oldest = kStampPending;
  size_t used = used_.load(std::memory_order_seq_cst);
  for (size_t i = 0; i < used && !none(); ++i) {
    Stamp stamp = slots_[i].load(std::memory_order_seq_cst);
    if (stamp == kFree) continue;
    oldest = std::min(oldest, stamp == kChoosing ? 0 : stamp);
  }
  return oldest;
}

}  // namespace fluxkv::engine
