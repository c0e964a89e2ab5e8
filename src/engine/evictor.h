// Makes room: asks the eviction policy for victims and deletes them, each by a commit of its own,
// until what is used is within the limit. Every loop has one, and the collector.
//
//   Evictor evictor(handle);
//   if (evictor.MakeRoom(limit, 0) == Evictor::Room::kNone) ...  // -OOM
//
// R1. What counts against the limit is used_bytes: what a new reader can find. A deleted key counts
//     as garbage at once, so that nobody evicts twice because the collector has not come by.
// R2. One call evicts at most kVictimsMost keys (some milliseconds); the caller goes on then, and
//     the next one continues, as does the collector. Values up to 64 KB need far fewer. Where
//     little is over the limit and no room was asked for besides, kVictimsNear are enough, or as
//     many more as bring it down to what the last call left: so what a growing policy or index
//     took at once is made up for by many calls, and what is written does not add to it.
// R3. Who evicts while many dead nodes wait for the collector gives it a millisecond or two first,
//     so that they do not pile up faster than it can unlink them.
//
// Threads: its handle's.
// Errors:  none; without room the caller changes nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/eviction/policy.h"
#include "engine/handle.h"
#include "engine/transaction.h"

namespace fluxkv::engine {

class Evictor {
 public:
  enum class Room : uint8_t {
    kEnough,
    kMore,  // not done: so many were evicted, or keys are being filed or in another's hands
    kNone,  // over the limit, and nothing can go
  };

  explicit Evictor(Handle& handle);
  Evictor(const Evictor&) = delete;
  Evictor& operator=(const Evictor&) = delete;

  // Evicts while more than `limit` bytes are used, and tries to make room for `more` bytes besides.
  // kNone is about the limit alone. A limit of 0 is none. Requires: inside an epoch; no transaction
  // of this thread open but kSnapshot ones.
  Room MakeRoom(uint64_t limit, uint64_t more);
  // The first part alone, for at most `most` keys, and without waiting for anybody.
  Room Evict(uint64_t limit, size_t most);
  // Keys that this one has evicted so far.
  uint64_t evicted() const { return evicted_count_; }

 private:
  static constexpr size_t kBatch = 16;  // victims a session
  static constexpr size_t kVictimsMost = 4096;
  static constexpr size_t kVictimsNear = 64;

  bool IsOver(uint64_t limit) const;
  int64_t OverBy(uint64_t limit) const;  // bytes, 0 if it is not
  Room EvictNear(uint64_t limit);        // R2
  // The batch: evicts while more than `target` bytes are used, puts the others back.
  void EvictBatch(uint64_t target);
  bool EvictOne(const Victim& victim);
  void WaitForCollector(uint64_t limit);

  Handle& handle_;
  Store& store_;
  Transaction txn_;
  std::vector<Victim> victims_;
  std::vector<bool> evicted_;
  uint64_t evicted_count_ = 0;
  int64_t left_over_ = 0;  // R2: bytes over the limit when MakeRoom last ended
};

}  // namespace fluxkv::engine
