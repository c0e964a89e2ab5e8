// The collector's part in eviction: changes of policy, filing what a policy does not know yet, the
// limit when nobody writes.

#include <algorithm>

#include "base/check.h"
#include "base/planted.h"
#include "engine/collector.h"
#include "engine/store.h"

namespace fluxkv::engine {

namespace {

constexpr size_t kPageKeys = 256;  // filed under their latches: some tens of microseconds
constexpr size_t kWalkPages = 16;  // a turn; fewer keys than are tidied
constexpr int64_t kMeasureMs = 100;
constexpr size_t kEvictMost = 1024;  // a turn
// Entries that a session tidies: some tenths of a millisecond, and some tens of microseconds (or
// one bucket of the policy) while evictors come in between. And in a turn, half as many when all is
// filed: what all writers leave in the course of a turn is filed in the next one.
constexpr size_t kTidyPiece = 1 << 10, kTidyPieceBeside = 1 << 8;
constexpr size_t kTidyMost = 32 * kTidyPiece;
// Pauses for evictors: some hundred microseconds before a session, some milliseconds in a turn.
constexpr int kGiveWayMost = 212, kGiveWayAll = 16 * kGiveWayMost;

}  // namespace

void Collector::SetPolicy(PolicyKind kind, bool volatile_only) {
  std::lock_guard lock(mutex_);
  wanted_policy_ = {kind, volatile_only};
  policy_wanted_.store(true, std::memory_order_relaxed);
  woken_ = true;
  wake_.notify_one();
}

bool Collector::AwaitPolicy() {
  if (!policy_wanted_.load(std::memory_order_relaxed)) [[likely]]
    return false;
  std::unique_lock lock(mutex_);
  policy_set_.wait(lock, [&] { return !policy_wanted_.load() || stop_; });
  return true;
}

void Collector::FollowPolicy() {
  WantedPolicy wanted;
  {
    std::lock_guard lock(mutex_);
    wanted = wanted_policy_;
  }
  Eviction::Former former;  // goes when no latch is held and nobody waits: it may be large
  if (wanted != policy_) {
    Handle::Scope in_epoch(*handle_);
    // Before the policy is in force, so that who finds no victim in it waits for one.
    if (wanted.kind != PolicyKind::kNone && !PLANTED(EVICTION_WALK_UNANNOUNCED))
      walking_.store(true, std::memory_order_release);
    txn_->BeginExclusive();
    const AccessKind fields = store_.eviction.clock().kind();
    {
      Eviction::Session session(store_.eviction, Eviction::kFilesFew);
      former = session.Switch(wanted.kind, wanted.volatile_only,
                              static_cast<uint32_t>(store_.clock.now_ms() / 1000));
    }
    // Numbers of the former policy mean nothing now; those of dropped keyspaces neither.
    for (const auto& root : store_.roots) {
      for (RootVersion* version = root.load(); version != nullptr; version = version->older.load())
        version->keyspace->SetEviction({.fields = fields});
    }
    txn_->Rollback();
    policy_ = wanted;
    if (policy_.kind == PolicyKind::kNone) {
      store_.eviction_bytes.store(0, std::memory_order_relaxed);
      policy_is_tidy_ = true;
      more_to_evict_ = false;
      walking_.store(false, std::memory_order_release);  // the former policy's
    }
  }
  if (policy_.kind != PolicyKind::kNone) WalkForPolicy();
  std::lock_guard lock(mutex_);
  if (wanted_policy_ == policy_) policy_wanted_.store(false, std::memory_order_relaxed);
  policy_set_.notify_all();
}

void Collector::WalkForPolicy() {
  bool more = false;
  size_t pages = 0;
  for (uint32_t db = 0; db < store_.roots.size(); ++db) {
    for (;;) {
      Handle::Scope in_epoch(*handle_);
      const EvictionSpace space = store_.Root(db)->keyspace->eviction();
      if (space.numbered && space.filed_below == EvictionSpace::kEverything) break;
      // Before the first page, so that who finds no victim waits for one.
      walking_.store(true, std::memory_order_release);
      if (pages++ >= kWalkPages || (!space.numbered && !NumberSpace(db))) {
        more = true;
        break;
      }
      FilePage(db);
    }
  }
  walking_.store(more, std::memory_order_release);
}

bool Collector::NumberSpace(uint32_t db) {
  txn_->BeginExclusive();
  Keyspace* keyspace = store_.Root(db)->keyspace;
  EvictionSpace space = keyspace->eviction();
  if (!space.numbered) {
    Eviction::Session session(store_.eviction, Eviction::kFilesFew);
    const std::optional<SpaceNumber> number = session.NewSpace();
    space = {.numbered = number.has_value(), .number = number.value_or(0), .fields = space.fields};
    keyspace->SetEviction(space);
  }
  txn_->Rollback();
  return space.numbered;  // else when some were swept
}

void Collector::FilePage(uint32_t db) {
  constexpr int kShift = 64 - kScanHashBits;
  const auto now_s = static_cast<uint32_t>(store_.clock.now_ms() / 1000);
  // Brings what the latched part will look at, and tells which latches that are.
  Keyspace* keyspace = store_.Root(db)->keyspace;
  const EvictionSpace space = keyspace->eviction();
  const uint64_t from = space.filed_below;
  // It may be a new one, since a number was asked for.
  if (!space.numbered || from == EvictionSpace::kEverything) return;
  unfiled_.clear();
  const uint64_t next_seen = keyspace->index.Collect(from, kPageKeys, &unfiled_);
  for (const HashIndex::Entry& e : unfiled_) __builtin_prefetch(e.node);
  for (const HashIndex::Entry& e : unfiled_) Handle::PrefetchVersion(e.node);
  const uint64_t last_hash =
      next_seen == 0 ? ~uint64_t{0} : LatchTable::LastOfPart((next_seen - 1) << kShift);

  txn_->BeginLatchedRange(db, from << kShift,
                          PLANTED(EVICTION_WALK_UNLATCHED) ? from << kShift : last_hash);
  // Else it was replaced, and is walked again if it is still somebody's.
  if (store_.Root(db)->keyspace == keyspace) {
    DEBUG_ASSERT(keyspace->eviction().filed_below == from);
    unfiled_.clear();
    uint64_t next = keyspace->index.Collect(from, kPageKeys, &unfiled_);
    const uint64_t end = (last_hash >> kShift) + 1;
    if (next == 0 || next > end) next = end;  // what is behind it is not latched
    for (const HashIndex::Entry& e : unfiled_) {
      if (e.scan_hash >= next) break;
      Node* node = e.node;
      const uint32_t field = node->access_s();
      node->NoteAccess(store_.eviction.Converted(space.fields, field, now_s));
      store_.eviction.File(handle_->number(), space.number, node, HashBytes(node->key()),
                           StateOf(node->head()));
    }
    keyspace->RaiseFiledBelow(last_hash == ~uint64_t{0} && next == end ? EvictionSpace::kEverything
                                                                       : next);
  }
  txn_->Rollback();
}

void Collector::TidyPolicy() {
  const int64_t now_ms = store_.clock.now_ms();
  policy_is_tidy_ = false;
  int pauses = 0;
  for (size_t tidied = 0; tidied < kTidyMost && !policy_is_tidy_;) {
    // Who came to evict meanwhile hardly gets in between two sessions by itself.
    Backoff backoff;
    for (int i = 0; i < kGiveWayMost && pauses < kGiveWayAll && store_.eviction.wanted(); ++i) {
      backoff.Pause();
      ++pauses;
    }
    if (pauses > 0) evictors_come_ = true;
    const size_t budget = evictors_come_ ? kTidyPieceBeside : kTidyPiece;
    Handle::Scope in_epoch(*handle_);
    Eviction::Session session(store_.eviction, Eviction::kFilesFew);
    policy_is_tidy_ = session.Tidy(static_cast<uint32_t>(now_ms / 1000), budget);
    tidied += session.all_filed() ? 2 * budget : budget;
  }
  evictors_come_ = pauses > 0;
  if (now_ms - policy_measured_at_ms_ < kMeasureMs && policy_is_tidy_ && !vacuuming_) return;
  policy_measured_at_ms_ = now_ms;
  Handle::Scope in_epoch(*handle_);
  Eviction::Session session(store_.eviction, Eviction::kFilesFew);
  store_.eviction_bytes.store(session.figures().allocated_bytes, std::memory_order_relaxed);
}

void Collector::EvictToLimit() {
  const auto* limit = store_.options.memory_limit;
  const int64_t bytes = limit == nullptr ? 0 : limit->load(std::memory_order_relaxed);
  // As for other writers: not while writes are paused, nor while the log takes none.
  const bool may = bytes > 0 && may_evict_.load(std::memory_order_relaxed) &&
                   !store_.ExpiryPaused() && store_.log.admission() == CommitLog::Admission::kOpen;
  bool more = false;
  if (may) {
    Handle::Scope in_epoch(*handle_);
    more = evictor_->Evict(static_cast<uint64_t>(bytes), kEvictMost) == Evictor::Room::kMore;
  }
  more_to_evict_.store(more, std::memory_order_relaxed);
}

PolicyFigures Collector::policy_figures() const {
  return Eviction::Session(store_.eviction).figures();
}

}  // namespace fluxkv::engine
