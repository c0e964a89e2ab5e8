// A thread's access to the store: its epoch, its commit slot, what it retired and what it left for
// the collector.
//
//   std::unique_ptr<Handle> handle = database.Attach();
//   Handle::Scope in_epoch(*handle);
//   Transaction txn(*handle);
//
// Threads: one thread only, but for `shared`.
// Owns:    nothing that outlives it: what the thread retired is handed on when the handle goes.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "engine/commit_log.h"
#include "engine/epoch.h"
#include "engine/eviction/access.h"
#include "engine/key.h"
#include "engine/latch.h"
#include "engine/node.h"
#include "engine/ordered_list.h"
#include "engine/version.h"

namespace fluxkv::engine {

class Keyspace;
class RangeDeletes;
class Store;

// What other threads see of a handle. It belongs to the Store and outlives the handle.
struct alignas(limits::kCacheLineBytes) HandleShared {
  static constexpr Stamp kNotCommitting = ~Stamp{0};
  // While its thread commits: a stamp that the commit's own will not be below. A snapshot waits
  // until it is above its stamp.
  std::atomic<Stamp> commit_floor{kNotCommitting};

  // Figures: one writer, relaxed. Bytes may be negative: a thread frees what another allocated.
  // Of used_bytes: what a new reader can find, a key's node and newest version. Of garbage_bytes:
  // dead nodes with their tombstones, and what snapshots hold back; the collector frees both.
  alignas(limits::kCacheLineBytes) std::atomic<int64_t> used_bytes{0};
  std::atomic<int64_t> garbage_bytes{0};
  std::atomic<int64_t> versions_kept{0};
  std::atomic<uint64_t> retired_bytes{0};
  std::atomic<uint64_t> latch_wait_ns{0};
  std::atomic<uint64_t> page_wait_ns{0};
  std::atomic<uint64_t> conflicts{0};

  // For the collector: nodes to look at, deadlines to file.
  struct Garbage {
    Keyspace* keyspace;
    Node* node;
  };
  struct Deadline {
    int64_t at_ms;
    uint64_t hash;
    uint64_t keyspace;
  };
  alignas(limits::kCacheLineBytes) Latch inbox_latch;
  std::vector<Garbage> garbage;     // guarded by inbox_latch
  std::vector<Deadline> deadlines;  // guarded by inbox_latch

  LogQueue log;  // records that the log thread has not taken yet
};

class Handle {
 public:
  ~Handle();
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  // Inside an epoch nothing that the thread can reach is freed. Enter once a batch, leave before
  // sleeping. Does not nest.
  void Enter();
  void Leave();
  bool inside() const { return reclaimer_.inside(); }
  // Frees some of what was retired; true when more could be (Reclaimer, E4). For who has nothing
  // else to do. Requires: outside an epoch.
  bool FreeSome();
  bool has_more_to_free() const { return reclaimer_.behind(); }
  // Leaves and enters again when enough commands or retired bytes have passed; pointers got before
  // are dead then. Call it between commands. Requires: inside an epoch; no transaction but
  // kSnapshot ones open.
  void Breathe(size_t commands);

  // Waits until the eviction policy that was asked for is in force (Database::SetPolicy), and goes
  // by it. Cheap when it is. Requires: no key latched.
  void AwaitPolicy();

  // Bring the cache lines that a command on this key will need, in steps with other keys' steps in
  // between; hints only.
  void PrefetchIndex(uint32_t db, uint64_t hash) const;
  const Node* PrefetchNode(uint32_t db, uint64_t hash, bool for_write) const;
  static void PrefetchVersion(const Node* node);
  // Of keys that are not there and will be made, in this order; until the epoch is left. Requires:
  // as many hashes, at most OrderedList::kPrefetchMost; inside an epoch.
  void PrefetchPlaces(uint32_t db, std::span<const std::string_view> keys,
                      std::span<const uint64_t> hashes);

  // For a loop that has answered and will free more: wakes the collector where many free pages wait
  // for it, and waits for it, a millisecond at most, where resident memory would run away from the
  // data; but not for long while the collector has other things to do. Outside of an epoch.
  void AwaitFreePages();

  class Scope {
   public:
    explicit Scope(Handle& handle) : handle_(handle) { handle_.Enter(); }
    ~Scope() { handle_.Leave(); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Handle& handle_;
  };

  // ---- for the engine's own files
  Store& store() const { return store_; }
  Reclaimer& reclaimer() { return reclaimer_; }
  HandleShared& shared() { return shared_; }
  size_t number() const { return number_; }
  AccessRecorder& recorder() { return recorder_; }
  // What PrefetchPlaces found for the key, if anything; places are taken in the order of its keys.
  OrderedList::Place TakePlace(uint64_t hash);
  void AddUsedBytes(int64_t bytes) { Add(shared_.used_bytes, bytes); }
  void AddGarbageBytes(int64_t bytes) { Add(shared_.garbage_bytes, bytes); }
  void AddVersionsKept(int64_t n) { Add(shared_.versions_kept, n); }
  void AddLatchWait(uint64_t ns) {
    if (ns != 0) Add(shared_.latch_wait_ns, ns);
  }
  void AddConflict() { Add(shared_.conflicts, uint64_t{1}); }
  void RetireVersion(Version* version);  // whoever calls it has taken its bytes off the figures
  void RetireHistory(History* entry);    // the entry, not its version
  void RetirePast(Past* past);
  void RetireRangeDeletes(const RangeDeletes* list);  // may be null
  void LeaveGarbage(Keyspace* keyspace, Node* node);
  void LeaveDeadline(int64_t at_ms, uint64_t hash, uint64_t keyspace);

 private:
  friend class Store;
  Handle(Store& store, HandleShared& shared, size_t number);
  template <class T>
  static void Add(std::atomic<T>& figure, T n) {
    figure.store(figure.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }

  Store& store_;
  HandleShared& shared_;
  const size_t number_;
  Reclaimer reclaimer_;
  AccessRecorder recorder_;
  size_t commands_in_epoch_ = 0;
  uint32_t page_runs_seen_ = 0;      // given back when AwaitFreePages looked last
  uint32_t page_waits_in_vain_ = 0;  // one behind the other, none given back in them
  size_t place_next_ = 0, place_count_ = 0;
  std::array<uint64_t, OrderedList::kPrefetchMost> place_hashes_;
  std::array<OrderedList::Place, OrderedList::kPrefetchMost> places_;
};

}  // namespace fluxkv::engine
