// A policy: which of the keys that it has entries for is to go next. It holds entries, not keys;
// Eviction (eviction.h) brings it the events and asks it for victims.
//
// P1. Each evictable node has one entry that is not void, from File to Pick, and again from
//     PutBack on. A victim that Pick returned is no longer in the policy.
// P2. File, Pick and Sweep are called only after the events of all threads were read (E2). Unfile
//     and PutBack do not look at the node.
// P3. No call looks at more than some thousand entries: Pick may return nothing although there
//     are entries, when all it met was void; it has made progress then.
//
// Threads: under the lock of Eviction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "engine/eviction/access.h"
#include "engine/eviction/entry.h"
#include "engine/eviction/void_entries.h"

namespace fluxkv::engine {

enum class PolicyKind : uint8_t { kNone, kRandom, kLru, kLfu, kArc, kTtl };

// What readers leave in nodes under this policy.
AccessKind AccessKindOf(PolicyKind kind);

// The fingerprint of a key for ghosts: spaces do not share keys.
inline uint32_t FingerprintOf(uint64_t hash, SpaceNumber space) {
  return static_cast<uint32_t>(MixHash(hash, space) >> 32);
}

struct Victim {
  Entry entry;
  uint64_t key = 0;          // its place in the order
  uint32_t fingerprint = 0;  // two-list policies
  bool again = false;        // two-list policies: from the list of keys used again
  uint32_t generation = 0;   // of the policy that picked it
};

struct PolicyFigures {
  size_t entries = 0;  // void ones included
  size_t void_entries = 0;
  size_t allocated_bytes = 0;
  // Of two-list policies. ARC: p and the sizes of T1, T2, B1, B2.
  double target = 0;
  size_t once = 0, again = 0, ghosts_once = 0, ghosts_again = 0;
};

class Policy {
 public:
  virtual ~Policy() = default;
  Policy(const Policy&) = delete;
  Policy& operator=(const Policy&) = delete;

  // `detail`: the key's deadline in milliseconds under kTtl, else its fingerprint.
  virtual void File(Entry entry, uint64_t detail) = 0;
  // The key is no longer to be evicted.
  virtual void Unfile(Entry entry, uint64_t) { voids_.Add(entry); }
  virtual std::optional<Victim> Pick() = 0;
  virtual void PutBack(const Victim& victim) = 0;
  // The victim was deleted.
  virtual void NoteEvicted(const Victim&) {}
  // Meets about so many entries more and drops the void ones; with `look`, has nodes renewed
  // (A3). True when it came to the end of a round.
  virtual bool Sweep(size_t budget, bool look) = 0;
  // Gives back some of what is kept of keys that are gone. False: there is more.
  virtual bool Trim(size_t /*budget*/) { return true; }
  virtual void AddFigures(PolicyFigures* figures) const = 0;
  virtual size_t entries() const = 0;
  // Unfile calls whose File or PutBack is still to come.
  virtual size_t early() const { return 0; }

 protected:
  Policy(VoidEntries& voids, AccessClock& clock) : voids_(voids), clock_(clock) {}
  VoidEntries& voids_;
  AccessClock& clock_;
};

// Null for kNone.
std::unique_ptr<Policy> NewPolicy(PolicyKind kind, VoidEntries& voids, AccessClock& clock);

}  // namespace fluxkv::engine
