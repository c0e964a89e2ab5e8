// Burying: what is dead leaves index and list, what snapshots held back is freed.

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/planted.h"
#include "base/vectors.h"
#include "engine/collector.h"
#include "engine/store.h"

namespace fluxkv::engine {

namespace {

constexpr size_t kBuryMost = 8192;     // nodes a turn: some milliseconds
constexpr int64_t kHeldLookMs = 1000;  // held nodes are looked at this often at the least,
constexpr size_t kHeldMany = 1 << 16;  // so many also at the most
constexpr int64_t kPassMsDefault = 100;

bool LooksDead(const Version* head) {
  return head == nullptr ||
         (head != Node::Closed() && head->is_tombstone() && head->older() == nullptr);
}

}  // namespace

// ---- Passes

bool Collector::PassIsDue() const {
  const auto* interval = store_.options.vacuum_interval_ms;
  const int64_t every_ms =
      interval == nullptr ? kPassMsDefault : interval->load(std::memory_order_relaxed);
  return garbage_.size() - buried_ >= kWakeEntries ||
         store_.clock.now_ms() - passed_at_ms_ >= every_ms;
}

void Collector::BeginPass(bool look_at_held) {
  const int64_t now_ms = store_.clock.now_ms();
  const Stamp oldest = store_.snapshots.Oldest(), safe = store_.log.safe();
  const bool changed = oldest != oldest_seen_ || (held_for_log_ && safe != safe_seen_);
  looking_at_held_ =
      look_at_held || now_ms >= held_look_next_ms_ || (changed && held_.size() < kHeldMany);
  if (looking_at_held_) {
    oldest_seen_ = oldest;
    safe_seen_ = safe;
    held_for_log_ = false;
    garbage_.insert(garbage_.end(), held_.begin(), held_.end());
    const size_t before = held_.size();
    held_.clear();
    GiveBackRoom(&held_, before);
  }
  passed_at_ms_ = now_ms;
  before_pass_ = Given();
  pass_end_ = garbage_.size();
  passing_ = true;
}

void Collector::Bury() {
  const bool too_many = garbage_.size() - buried_ > kWaitingMost;
  if (more_is_due_ && !too_many) return;
  for (size_t n = 0; n < kBuryMost && buried_ < pass_end_; n += kBatch) {
    BuryBatch();
    if (!too_many && expiring() && deadlines_.next_ms() <= store_.clock.Tick()) break;
  }
  if (buried_ == pass_end_ && std::exchange(passing_, false)) {
    const int64_t now_ms = store_.clock.now_ms();
    // What takes long to look at is looked at less often.
    if (looking_at_held_)
      held_look_next_ms_ = now_ms + std::max(kHeldLookMs, 4 * (now_ms - passed_at_ms_));
    const Vacuumed given = GivenSince(before_pass_);
    if (given.versions + given.keys > 0) passed_ = given;
  }
  if (buried_ < garbage_.size() / 2) return;
  const size_t before = garbage_.size();
  garbage_.erase(garbage_.begin(), garbage_.begin() + static_cast<ptrdiff_t>(buried_));
  pass_end_ -= buried_;
  buried_ = 0;
  GiveBackRoom(&garbage_, before);
}

void Collector::BuryBatch() {
  Handle::Scope in_epoch(*handle_);
  const auto batch = std::span(garbage_).subspan(buried_, std::min(kBatch, pass_end_ - buried_));
  for (const Garbage& g : batch) __builtin_prefetch(g.node);
  for (const Garbage& g : batch) Handle::PrefetchVersion(g.node);
  for (const Garbage& g : batch) {
    if (LookAt(g) == Verdict::kHeld) held_.push_back(g);
  }
  buried_ += batch.size();
  backlog_.store(garbage_.size() - buried_, std::memory_order_relaxed);
}

// Without the latch this is a guess; what comes of it is decided under the latch.
Collector::Verdict Collector::LookAt(const Garbage& item) {
  const Version* head = item.node->head();
  if (head == Node::Closed()) {  // G5
    RetireClosed(item.node);
    return Verdict::kDone;
  }
  if (!LooksDead(head)) {
    const Verdict verdict = Prune(item);
    if (verdict != Verdict::kDead) return verdict;
  }
  return BuryWithNeighbours(item);
}

void Collector::RetireClosed(Node* node) {
  const size_t bytes = node->AllocatedBytes();
  ++keys_buried_;
  handle_->AddGarbageBytes(-static_cast<int64_t>(bytes));
  handle_->reclaimer().Retire(node, bytes, [](void* p) { Node::Delete(static_cast<Node*>(p)); });
}

void Collector::ForgetNodesOf(const Keyspace* keyspace) {
  garbage_.erase(garbage_.begin(), garbage_.begin() + static_cast<ptrdiff_t>(buried_));
  pass_end_ -= buried_;
  buried_ = 0;
  const auto of_it = [&](const Garbage& g) {
    if (g.keyspace != keyspace) return false;
    if (g.node->head() == Node::Closed()) RetireClosed(g.node);  // the keyspace knows it no more
    return true;
  };
  // What came after the pass began stays after its end.
  const auto end = garbage_.begin() + static_cast<ptrdiff_t>(pass_end_);
  garbage_.erase(std::remove_if(end, garbage_.end(), of_it), garbage_.end());
  const auto pass_end = garbage_.begin() + static_cast<ptrdiff_t>(pass_end_);
  const auto kept_end = std::remove_if(garbage_.begin(), pass_end, of_it);
  pass_end_ = static_cast<size_t>(kept_end - garbage_.begin());
  garbage_.erase(kept_end, pass_end);
  std::erase_if(held_, of_it);
}

// ---- Versions that snapshots held back

Collector::Verdict Collector::Prune(const Garbage& item) {
  const std::optional<uint32_t> db = NumberOf(item.keyspace->id);
  if (!db) return Verdict::kHeld;  // the keyspace is dropped and frees its nodes itself
  const LatchKey latch{*db, HashBytes(item.node->key())};
  txn_->BeginLatched({&latch, 1});
  Verdict verdict = Verdict::kHeld;
  if (store_.Root(*db)->keyspace == item.keyspace) {  // K1; else it is looked at again
    Version* head = item.node->head();
    if (head != nullptr) PruneHistory(head);
    if (LooksDead(head)) {
      verdict = Verdict::kDead;
    } else if (head->older() == nullptr) {
      item.node->clear(Node::kQueued);
      verdict = Verdict::kDone;
    }
  }
  txn_->Rollback();  // lets go of the latch
  return verdict;
}

void Collector::PruneHistory(Version* head) {
  Stamp until = head->stamp();
  std::atomic<History*>* link = nullptr;  // null: head's own
  for (History* entry = head->older(); entry != nullptr;) {
    History* older = entry->older.load(std::memory_order_acquire);
    const Stamp from = entry->version == nullptr ? 0 : entry->version->stamp();
    if (store_.snapshots.Needs(from, until)) {
      until = from;
      link = &entry->older;
    } else {
      auto bytes = static_cast<int64_t>(AllocatedBytes(sizeof(History)));
      if (link != nullptr) {
        link->store(older, std::memory_order_release);
      } else if (older != nullptr) {
        head->set_older(older);
      } else {
        bytes += static_cast<int64_t>(Past::Bytes());
        handle_->RetirePast(head->TakePast());
      }
      handle_->AddVersionsKept(-1);
      if (entry->version != nullptr) {
        ++versions_freed_;
        bytes +=
            static_cast<int64_t>(entry->version->AllocatedBytes() + entry->version->PastBytes());
        handle_->RetireVersion(entry->version);
      }
      handle_->AddGarbageBytes(-bytes);
      handle_->RetireHistory(entry);
    }
    entry = older;
  }
}

// ---- Dead nodes

bool Collector::IsSafe(const Version* head) const {
  return head == nullptr || PLANTED(BURY_UNSAFE) || store_.log.IsSafe(head->stamp());
}

bool Collector::MayBury(const Version* head, uint64_t hash) const {
  if (!LooksDead(head) || !IsSafe(head)) return false;
  const bool awaited = head != nullptr && store_.writing_snapshots.Needs(0, head->stamp());  // G4
  if (awaited && !PLANTED(BURY_BEFORE_WRITER)) return false;
  return PLANTED(BURY_WATCHED) || !store_.watches.Holds(hash);
}

void Collector::FindCandidates(uint32_t db, const Node* item) {
  const std::span nodes = std::span(page_.nodes).first(page_.count);
  candidates_.clear();
  for (const Node* node : nodes) __builtin_prefetch(node);
  for (Node* node : nodes) {
    if (!node->has(Node::kQueued)) continue;
    Handle::PrefetchVersion(node);
    candidates_.push_back({node, 0});
  }
  std::erase_if(candidates_,
                [&](const Candidate& c) { return c.node != item && !LooksDead(c.node->head()); });
  // So its latch will be held: only the collector takes the flag away and unlinks nodes.
  DEBUG_ASSERT(std::any_of(candidates_.begin(), candidates_.end(),
                           [&](const Candidate& c) { return c.node == item; }));
  if (candidates_.size() > kBatch) {  // G6: the nearest ones
    const auto at = std::find_if(candidates_.begin(), candidates_.end(),
                                 [&](const Candidate& c) { return c.node == item; });
    const auto before = std::min<ptrdiff_t>(at - candidates_.begin(), kBatch / 2);
    const auto first = std::min(at - before, candidates_.end() - kBatch);
    candidates_.erase(first + kBatch, candidates_.end());
    candidates_.erase(candidates_.begin(), first);
  }
  DEBUG_ASSERT(candidates_.size() <= kBatch);
  latch_keys_.clear();
  for (Candidate& c : candidates_) {
    c.hash = HashBytes(c.node->key());
    handle_->PrefetchIndex(db, c.hash);
    latch_keys_.push_back({db, c.hash});
  }
}

Collector::Verdict Collector::BuryWithNeighbours(const Garbage& item) {
  const Version* seen = item.node->head();
  if (LooksDead(seen) && !IsSafe(seen)) {
    held_for_log_ = true;
    return Verdict::kHeld;
  }
  const std::optional<uint32_t> db = NumberOf(item.keyspace->id);
  if (!db) return Verdict::kHeld;  // the keyspace is dropped and frees its nodes itself
  item.keyspace->list.Read(item.node->key(), &page_);
  FindCandidates(*db, item.node);
  if (PLANTED(BURY_WITHOUT_LATCH)) latch_keys_.clear();
  txn_->BeginLatched(latch_keys_);
  Verdict verdict = Verdict::kHeld;
  if (store_.Root(*db)->keyspace == item.keyspace) {  // K1; else it is looked at again
    closed_.clear();
    for (const Candidate& c : candidates_) {
      if (MayBury(c.node->head(), c.hash)) closed_.push_back(c);
    }
    const Version* head = item.node->head();
    held_for_log_ |= LooksDead(head) && !IsSafe(head);
    if (!LooksDead(head) && head->older() == nullptr) {
      item.node->clear(Node::kQueued);
      verdict = Verdict::kDone;
    }
    Unlink(item.keyspace);
  }
  txn_->Rollback();  // lets go of the latches
  if (item.node->head() != Node::Closed()) return verdict;
  RetireClosed(item.node);
  return Verdict::kDone;
}

void Collector::Unlink(Keyspace* keyspace) {
  nodes_.clear();
  for (const Candidate& c : closed_) {
    Version* head = c.node->head();
    c.node->set_head(Node::Closed());
    if (head != nullptr) {
      ++versions_freed_;
      handle_->AddGarbageBytes(-static_cast<int64_t>(head->AllocatedBytes()));
      handle_->RetireVersion(head);
    }
    nodes_.push_back(c.node);
  }
  keyspace->buried.fetch_add(closed_.size(), std::memory_order_seq_cst);
  for (const Candidate& c : closed_) keyspace->index.Remove(c.node, c.hash);
  keyspace->list.Remove(nodes_, handle_->reclaimer());
  if (PLANTED(RETIRE_NEIGHBOURS)) {
    for (Node* node : nodes_) RetireClosed(node);
  }
}

}  // namespace fluxkv::engine
