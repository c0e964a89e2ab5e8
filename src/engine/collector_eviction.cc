// The collector's part in eviction: changes of policy, filing what a policy does not know yet, the
// limit when nobody writes.

#include <algorithm>

#include "base/check.h"
#include "base/planted.h"
#include "engine/collector.h"
#include "engine/store.h"

namespace fluxkv::engine {

namespace {

constexpr size_t kPageKeys = 256;  // filed under all latches: some tens of microseconds
constexpr size_t kWalkPages = 16;  // a turn; fewer keys than are tidied
constexpr int64_t kMeasureMs = 100;
constexpr size_t kEvictMost = 1024;  // a turn
// Entries that a session tidies: some tenths of a millisecond; and sessions a turn.
constexpr size_t kTidyPiece = 1 << 10;
constexpr int kTidyPieces = 16;
constexpr int kGiveWayMost = 212;  // pauses: some hundred microseconds

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
      Eviction::Session session(store_.eviction);
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
      const EvictionSpace& space = store_.Root(db)->keyspace->eviction();
      if (space.numbered && space.filed_below == EvictionSpace::kEverything) break;
      // Before the first page, so that who finds no victim waits for one.
      walking_.store(true, std::memory_order_release);
      if (pages++ >= kWalkPages || !FilePage(db)) {
        more = true;
        break;
      }
    }
  }
  walking_.store(more, std::memory_order_release);
}

bool Collector::FilePage(uint32_t db) {
  const auto now_s = static_cast<uint32_t>(store_.clock.now_ms() / 1000);
  // Brings what the latched part will look at.
  unfiled_.clear();
  const Keyspace* seen = store_.Root(db)->keyspace;
  seen->index.Collect(seen->eviction().filed_below, kPageKeys, &unfiled_);
  for (const HashIndex::Entry& e : unfiled_) __builtin_prefetch(e.node);
  for (const HashIndex::Entry& e : unfiled_) Handle::PrefetchVersion(e.node);

  txn_->BeginExclusive();
  Keyspace* keyspace = store_.Root(db)->keyspace;
  EvictionSpace space = keyspace->eviction();
  bool numbered = space.numbered;
  if (!numbered) {
    Eviction::Session session(store_.eviction);
    const std::optional<SpaceNumber> number = session.NewSpace();
    numbered = number.has_value();  // else when some were swept
    space = {.numbered = numbered, .number = number.value_or(0), .fields = space.fields};
  }
  if (numbered && space.filed_below != EvictionSpace::kEverything) {
    unfiled_.clear();
    const uint64_t next = keyspace->index.Collect(space.filed_below, kPageKeys, &unfiled_);
    for (const HashIndex::Entry& e : unfiled_) {
      Node* node = e.node;
      const uint32_t field = node->access_s();
      node->NoteAccess(store_.eviction.Converted(space.fields, field, now_s));
      store_.eviction.File(handle_->number(), space.number, node, HashBytes(node->key()),
                           StateOf(node->head()));
    }
    space.filed_below = next == 0 ? EvictionSpace::kEverything : next;
  }
  keyspace->SetEviction(space);
  txn_->Rollback();
  return numbered;
}

void Collector::TidyPolicy() {
  const int64_t now_ms = store_.clock.now_ms();
  policy_is_tidy_ = false;
  for (int piece = 0; piece < kTidyPieces && !policy_is_tidy_; ++piece) {
    // Who came to evict meanwhile hardly gets in between two sessions by itself.
    Backoff backoff;
    for (int i = 0; i < kGiveWayMost && store_.eviction.wanted(); ++i) backoff.Pause();
    Handle::Scope in_epoch(*handle_);
    Eviction::Session session(store_.eviction);
    policy_is_tidy_ = session.Tidy(static_cast<uint32_t>(now_ms / 1000), kTidyPiece);
  }
  if (now_ms - policy_measured_at_ms_ < kMeasureMs && policy_is_tidy_ && !vacuuming_) return;
  policy_measured_at_ms_ = now_ms;
  Handle::Scope in_epoch(*handle_);
  Eviction::Session session(store_.eviction);
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
