// The live snapshots: who may still read old versions. A snapshot is one number, a stamp; it sees
// every commit at or below it.
//
// S1. A snapshot publishes itself here before it chooses its stamp; an overwriter looks here after
//     it took its own stamp. So either the snapshot's stamp covers the overwriter, or the
//     overwriter sees the snapshot (both sides seq_cst).
// S2. A slot holds kFree, kChoosing (its stamp may turn out to be anything from now on: everything
//     is kept), or the stamp.
// S3. count_ is raised before a slot is taken and lowered after it is freed:
//     count 0 means no snapshot.
//
// Threads: all methods from any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/limits.h"
#include "engine/version.h"

namespace fluxkv::engine {

// Whose a snapshot is, for people to read.
struct SnapshotHolder {
  enum class Kind : uint8_t { kInternal, kCopy, kClient };
  Kind kind = Kind::kInternal;
  uint64_t client = 0;  // its id
};

// A live snapshot as a figure: its fields may be of different moments.
struct SnapshotFigure {
  Stamp stamp = 0;
  int64_t began_at_ms = 0;
  SnapshotHolder holder;
};

class Snapshots {
 public:
  static constexpr Stamp kFree = ~Stamp{0};
  static constexpr Stamp kChoosing = kFree - 1;

  Snapshots() {
    for (auto& slot : slots_) slot.store(kFree, std::memory_order_relaxed);
  }

  // A slot, published as choosing; nullopt when all are taken.
  std::optional<size_t> Take(SnapshotHolder holder = {}, int64_t now_ms = 0);
  void Choose(size_t slot, Stamp stamp) { slots_[slot].store(stamp, std::memory_order_seq_cst); }
  void Release(size_t slot);

  bool none() const { return count_.load(std::memory_order_seq_cst) == 0; }
  // Whether a live snapshot may read a version that was newest from `from`
  // until just before `until`.
  bool Needs(Stamp from, Stamp until) const;
  // The oldest live snapshot; kStampPending if there is none. A choosing one counts as 0.
  Stamp Oldest() const;
  // The oldest one whose stamp is chosen; nullopt if there is none.
  std::optional<SnapshotFigure> OldestFigure(bool with_copies = true) const;
  // Those whose stamp is chosen, without copies of the store.
  size_t CountTransactions() const;
  size_t count() const { return count_.load(std::memory_order_relaxed); }

 private:
  struct Told {  // figures: relaxed, written by who holds the slot
    std::atomic<int64_t> began_at_ms{0};
    std::atomic<SnapshotHolder::Kind> kind{SnapshotHolder::Kind::kInternal};
    std::atomic<uint64_t> client{0};
  };

  std::array<std::atomic<Stamp>, limits::kSnapshotsMax> slots_;
  std::array<Told, limits::kSnapshotsMax> told_;
  std::atomic<size_t> count_{0};
  std::atomic<size_t> used_{0};  // slots at and above were never taken
};

}  // namespace fluxkv::engine
