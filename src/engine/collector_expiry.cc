// Expiry: keys past their deadline go in order of it, a batch at a time.

#include <algorithm>
#include <string_view>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "base/planted.h"
#include "engine/collector.h"
#include "engine/store.h"

namespace fluxkv::engine {

namespace {

constexpr size_t kExpireMost = 8192;  // entries a turn: some milliseconds
constexpr size_t kSweepMin = 4096;    // fewer entries are not worth a sweep
constexpr size_t kSweepMost = 4096;   // entries a turn, beside twice what came in meanwhile

// Calls visit(span) for the entries of each keyspace and for at most `most` of them at once.
// Requires: in order of keyspace.
template <class Visit>
void ForBatches(std::span<const Deadlines::Entry> entries, size_t most, Visit visit) {
  while (!entries.empty()) {
    size_t n = 1;
    while (n < entries.size() && n < most && entries[n].keyspace == entries[0].keyspace) ++n;
    visit(entries.first(n));
    entries = entries.subspan(n);
  }
}

}  // namespace

bool Collector::Expire() {
  if (!expiring()) return false;
  for (size_t taken = 0; taken < kExpireMost; taken += kBatch) {
    due_.clear();
    deadlines_.TakeDue(store_.clock.Tick(), kBatch, &due_);
    if (due_.empty()) return false;
    // A key is met once in a batch.
    std::sort(due_.begin(), due_.end(), [](const auto& a, const auto& b) {
      return std::tie(a.keyspace, a.hash, a.at_ms) < std::tie(b.keyspace, b.hash, b.at_ms);
    });
    const auto same_key = [](const auto& a, const auto& b) {
      return a.keyspace == b.keyspace && a.hash == b.hash;
    };
    due_.erase(std::unique(due_.begin(), due_.end(), same_key), due_.end());
    Handle::Scope in_epoch(*handle_);
    ForBatches(due_, kBatch, [&](auto batch) { ExpireBatch(batch); });
  }
  return deadlines_.next_ms() <= store_.clock.now_ms();
}

Keyspace* Collector::LatchBatch(uint32_t db, std::span<const Deadlines::Entry> batch) {
  for (const auto& e : batch) handle_->PrefetchIndex(db, e.hash);
  nodes_.clear();
  for (const auto& e : batch) {
    const Node* node = handle_->PrefetchNode(db, e.hash, /*for_write=*/false);
    nodes_.push_back(const_cast<Node*>(node));
  }
  for (const Node* node : nodes_) Handle::PrefetchVersion(node);
  latch_keys_.clear();
  for (const auto& e : batch) latch_keys_.push_back({db, e.hash});
  txn_->BeginLatched(latch_keys_);
  Keyspace* keyspace = store_.Root(db)->keyspace;  // K1
  if (keyspace->id == batch[0].keyspace) return keyspace;
  txn_->Rollback();
  return nullptr;
}

void Collector::ExpireBatch(std::span<const Deadlines::Entry> batch) {
  const std::optional<uint32_t> db = NumberOf(batch[0].keyspace);
  if (!db) return;  // dropped
  Keyspace* keyspace = LatchBatch(*db, batch);
  if (keyspace == nullptr) {
    for (const auto& e : batch) deadlines_.Add(e);
    return;
  }
  gone_.clear();
  for (const auto& e : batch) {
    nodes_.clear();
    keyspace->index.FindByHash(e.hash, &nodes_);
    for (Node* node : nodes_) {
      txn_->Settle(*db, keyspace, node, e.hash);
      const Version* head = node->head();
      if (head == nullptr || !head->has_expiry()) {
        node->clear(Node::kFiled);
      } else if (head->ExpiredAt(txn_->now_ms())) {
        ASSERT(txn_->DeleteExpired(*db, Key(node->key(), e.hash)));
        node->clear(Node::kFiled);
        gone_.push_back({head->expiry_ms(), node});
      } else if (!PLANTED(FORGET_MOVED_DEADLINE)) {
        deadlines_.Add({head->expiry_ms(), e.hash, e.keyspace});
      }
    }
  }
  store_.expired_keys.fetch_add(gone_.size(), std::memory_order_relaxed);
  const int64_t kept = handle_->shared().versions_kept.load(std::memory_order_relaxed);
  ASSERT(txn_->Commit());
  versions_freed_ +=
      gone_.size() -
      static_cast<size_t>(handle_->shared().versions_kept.load(std::memory_order_relaxed) - kept);
  if (!store_.options.on_expired) return;
  std::sort(gone_.begin(), gone_.end(),
            [](const Gone& a, const Gone& b) { return a.at_ms < b.at_ms; });
  for (const Gone& g : gone_) store_.options.on_expired(*db, g.node->key(), txn_->commit_stamp());
}

// ---- The sweep

// Deadlines that were moved about and keys that were deleted leave entries behind. When there are
// twice as many entries as a sweep left, or a database with many was dropped, the next sweep looks
// at all, some a turn: then each key with a deadline has one at that deadline (two at the most, if
// it had moved), and nothing else has any, but for what came in meanwhile.
void Collector::Sweep() {
  if (!deadlines_.sweeping()) {
    if (deadlines_.size() < std::max(sweep_at_, kSweepMin)) return;
    deadlines_.BeginSweep();
  }
  const size_t most = kSweepMost + 2 * filed_in_turn_;
  for (size_t seen = 0; seen < most && deadlines_.sweeping();) {
    moved_.clear();
    seen += deadlines_.SweepArray([&](auto* entries) { SweepEntries(entries); });
    for (const auto& e : moved_) deadlines_.Add(e);
    if (expiring() && deadlines_.next_ms() <= store_.clock.Tick()) break;
  }
  if (!deadlines_.sweeping())
    sweep_at_ = std::exchange(sweep_again_, false) ? 0 : 2 * deadlines_.size();
}

void Collector::SweepEntries(std::vector<Deadlines::Entry>* entries) {
  const auto key = [](const auto& e) { return std::tie(e.keyspace, e.hash, e.at_ms); };
  const auto before = [&](const auto& a, const auto& b) { return key(a) < key(b); };
  const auto same = [&](const auto& a, const auto& b) { return key(a) == key(b); };
  std::sort(entries->begin(), entries->end(), before);
  entries->erase(std::unique(entries->begin(), entries->end(), same), entries->end());
  size_t kept = 0;
  ForBatches(*entries, kBatch, [&](std::span<const Deadlines::Entry> batch) {
    Handle::Scope in_epoch(*handle_);
    const std::optional<uint32_t> db = NumberOf(batch[0].keyspace);
    if (!db) return;  // dropped
    const Keyspace* keyspace = LatchBatch(*db, batch);
    for (const auto& e : batch) {
      if (keyspace == nullptr || StillWanted(e, *keyspace)) (*entries)[kept++] = e;
    }
    txn_->Rollback();
  });
  entries->resize(kept);
  std::sort(moved_.begin(), moved_.end(), before);
  moved_.erase(std::unique(moved_.begin(), moved_.end(), same), moved_.end());
}

bool Collector::StillWanted(const Deadlines::Entry& entry, const Keyspace& keyspace) {
  bool wanted = PLANTED(KEEP_STALE_DEADLINES);
  nodes_.clear();
  keyspace.index.FindByHash(entry.hash, &nodes_);
  for (Node* node : nodes_) {
    const Version* head = node->head();
    if (head == nullptr || !head->has_expiry()) {
      node->clear(Node::kFiled);
    } else if (head->expiry_ms() == entry.at_ms) {
      wanted = true;
    } else if (head->expiry_ms() > entry.at_ms) {
      moved_.push_back({head->expiry_ms(), entry.hash, entry.keyspace});
    }  // else an earlier entry is there (G3)
  }
  return wanted;
}

}  // namespace fluxkv::engine
