// Eviction: the policy in force, what writers tell it, and who may ask it for victims. The face
// of this folder.
//
//   eviction.NoteChange(thread, space, node, hash, was, is);   // a writer, its key latched
//   {
//     Eviction::Session session(eviction);                // an evictor, inside an epoch
//     session.Pick(8, &victims);
//   }
//   ... for each: latch the key; if its node is still this one, and MayEvict, delete it ...
//   { Eviction::Session session(eviction);  session.NoteEvicted(v);  or  session.PutBack(v); }
//
// V1. While a policy is in force, whoever changes the newest version of a key says so
//     (NoteChange) before it lets go of the key's latch. Evictable, and so filed, is a key with
//     a live version, and a deadline if only volatile keys are wanted. The one exception is V3.
//     A node is unlinked only when it is not filed.
// V2. A space covers the keys whose ScanHash is below `filed_below`. It is raised with the
//     latches of all keys in between held, after those that are there were filed: whoever has
//     another key's latch sees no difference. One that begins empty while a policy is in force
//     covers everything, if there is a number for it. So a change of policy files the keys that
//     are there a page at a time, and so are those of a loaded database.
// V3. A victim is no longer filed. Its evictor asks MayEvict under the key's latch: if so, it
//     deletes the key without NoteChange and says NoteEvicted later; if not (somebody changed
//     the key since, and said so), it leaves the key alone and says PutBack. Each victim is given
//     back by one of the two, and counts in keys() until then as if it were filed.
// V4. A Session begins by reading the events of all threads. Requires: the thread is inside an
//     epoch which it does not leave before it has let go of the Session and of the victims'
//     nodes (E2).
// V5. Switch comes with all latches held. DropSpace comes after the keyspace was replaced, which
//     was done with all latches held, and before memory of its nodes is freed.
//
// Lock order: latches of keys, then a Session, then an inbox. A Session is let go of before a
// victim's latch is taken.
//
// Threads: NoteChange and File with the number of the calling thread's handle; all others any.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/limits.h"
#include "engine/eviction/access.h"
#include "engine/eviction/books.h"
#include "engine/eviction/policy.h"
#include "engine/eviction/tick_times.h"
#include "engine/eviction/void_entries.h"
#include "engine/key.h"
#include "engine/latch.h"

namespace fluxkv::engine {

// What a keyspace has for Eviction. Changed with all latches held (filed_below: V2), read with one.
struct EvictionSpace {
  static constexpr uint64_t kEverything = ~uint64_t{0};
  bool numbered = false;  // else it covers nothing
  SpaceNumber number = 0;
  uint64_t filed_below = 0;
  AccessKind fields = AccessKind::kSeconds;  // what keys left that are not filed yet
  bool Covers(uint64_t scan_hash) const { return scan_hash < filed_below; }
};

// The newest version of a key, as far as it matters here.
struct KeyState {
  bool live = false;      // neither absent nor a tombstone
  int64_t expiry_ms = 0;  // kNoExpiry: none
};

class Eviction {
 public:
  static constexpr size_t kWakeEvents = 1024;  // an inbox that grew to this wants a Session
  // Events that a Session acts on when it begins: what writers leave between two, so that victims
  // are picked from all keys; and few, where that is not wanted or not to be had.
  static constexpr size_t kFilesAtOnce = 1024, kFilesFew = 64;

  Eviction() = default;
  Eviction(const Eviction&) = delete;
  Eviction& operator=(const Eviction&) = delete;

  AccessClock& clock() { return clock_; }
  PolicyKind kind() const { return kind_.load(std::memory_order_relaxed); }
  // Both return whether the collector should be woken. Requires: V1, V2.
  bool NoteChange(size_t thread, const EvictionSpace& space, const Node* node, uint64_t hash,
                  KeyState was, KeyState is);
  // For the walk after a Switch: the key is filed if it is evictable.
  bool File(size_t thread, SpaceNumber space, const Node* node, uint64_t hash, KeyState is);

  // Whether a victim may be deleted, now that its key is latched and is found to be so (V3).
  bool MayEvict(const Victim& victim, KeyState is) const;

  class Session;
  // What a policy that is no longer in force leaves behind.
  struct Former;

  // Minutes after which a counter falls by one; 0: never, and no ageing by evictions either.
  void SetLfuDecayTime(uint32_t minutes);
  void SetLfuLogFactor(uint32_t factor) { clock_.set_log_factor(factor); }
  // What OBJECT IDLETIME and FREQ answer for a node's field, and fields for RESTORE. IDLETIME
  // means nothing under LFU, nor FREQ under anything else.
  uint32_t IdleSeconds(uint32_t field, uint32_t now_s);
  uint32_t FieldOfIdle(uint32_t idle_s, uint32_t now_s);
  // For the walk after a Switch: what a field of the former kind says, in the present one.
  uint32_t Converted(AccessKind former, uint32_t field, uint32_t now_s);
  uint8_t Frequency(uint32_t field) const { return DecayedCounter(field, clock_.age()); }
  uint32_t FieldOfFrequency(uint8_t counter) const { return FrequencyField(counter, clock_.age()); }
  // Nanoseconds that threads waited for the policy.
  uint64_t waited_ns() const { return waited_ns_.load(std::memory_order_relaxed); }
  // Whether a thread waits for the policy. Any thread.
  bool wanted() const { return waiting_.load(std::memory_order_relaxed) > 0; }

 private:
  struct Event {
    Entry entry;
    uint64_t detail;  // as Policy::File
    bool filed;
  };
  struct alignas(limits::kCacheLineBytes) Inbox {
    Latch latch;
    std::vector<Event> events;  // guarded by latch
  };

  bool Evictable(KeyState key) const {
    return key.live && (key.expiry_ms != 0 || !volatile_only_.load(std::memory_order_relaxed));
  }
  bool Post(size_t thread, const Event& event);
  void LockPolicy();
  void ReadInboxes();
  void FileUnfiled(size_t most);
  size_t keys() const;
  uint32_t IdleOfTicks(uint32_t field, uint32_t now_s);

  AccessClock clock_;
  std::atomic<PolicyKind> kind_{PolicyKind::kNone};
  std::atomic<bool> volatile_only_{false};
  std::array<Inbox, limits::kThreadsMax> inboxes_;
  std::atomic<size_t> inboxes_used_{0};  // those below may have something
  std::atomic<uint64_t> waited_ns_{0};
  std::atomic<int> waiting_{0};
  std::atomic<uint32_t> generation_{0};  // of policies; changed as kind_ is

  Latch latch_;  // guards what follows
  VoidEntries voids_;
  std::unique_ptr<Policy> policy_;
  books::Deque<Event> unfiled_;  // filed events that were read and not acted on yet
  size_t in_hands_ = 0;          // victims of this policy that are with their evictors
  std::vector<Event> read_;      // scratch
  TickTimes times_;
  uint32_t decay_minutes_ = 1;
  uint32_t decayed_until_ = 0;  // in decay times since 1970
  // The clock at the end of the last sweep that looked.
  uint64_t renewed_at_ = 0, renewed_age_ = 0;
  bool sweeping_ = false, looking_ = false;
  bool number_wanted_ = false;  // NewSpace found none since the last sweep
};

struct Eviction::Former {
  std::unique_ptr<Policy> policy;
  VoidEntries voids;
  books::Deque<Event> unfiled;
};

// The lock on a policy, with the events of all threads read. Requires: V4.
class Eviction::Session {
 public:
  explicit Session(Eviction& eviction, size_t files_most = kFilesAtOnce);
  ~Session() { eviction_.latch_.Unlock(); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Appends up to `count` victims; fewer when there are no more, when others have them in their
  // hands, or (rarely) when all that was looked at was void: ask again while keys() are more than
  // in_hands(), in another Session so that others get in.
  void Pick(size_t count, std::vector<Victim>* victims);
  void PutBack(const Victim& victim);
  void NoteEvicted(const Victim& victim);
  // That could be evicted, or are just about to be; too few for a moment when a key was changed
  // between the reading of two threads' events.
  size_t keys() const { return eviction_.keys(); }
  // Victims that are with their evictors: while there are some nobody can say that there is no
  // room.
  size_t in_hands() const { return eviction_.in_hands_; }

  // Whether no event that was read is left to be acted on.
  bool all_filed() const { return eviction_.unfiled_.empty(); }
  // The work of the background, for the collector each round: each kind of it for about `budget`
  // entries, and a bucket's more. False: there is more to do at once.
  bool Tidy(uint32_t now_s, size_t budget);

  // nullopt: all numbers are in use or wait to be swept; Tidy, then try again.
  std::optional<SpaceNumber> NewSpace();
  void DropSpace(SpaceNumber space);  // V5
  // Puts another policy in force, with no entries and no spaces; make new spaces, which cover
  // nothing, and walk the keys (V2). Returns the former one: let it go outside of all locks, that
  // may take a while. Requires: V5.
  Former Switch(PolicyKind kind, bool volatile_only, uint32_t now_s);
  PolicyFigures figures() const;

 private:
  bool TakeFromHands(const Victim& victim);  // false: of a former policy
  Eviction& eviction_;
};

}  // namespace fluxkv::engine
