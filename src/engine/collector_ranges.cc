// Range deletes: each key that one ended gets its tombstone, in order of keys, a batch at a time.

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "base/planted.h"
#include "engine/collector.h"
#include "engine/store.h"

namespace fluxkv::engine {

namespace {
constexpr size_t kSettleMost = 8192;  // nodes a turn: some milliseconds
// Keys latched together. Fewer than for expiry: nobody waits for single keys here, and a writer is
// less likely to meet a latch of a collector that was descheduled.
constexpr size_t kTogether = 16;
}  // namespace

void Collector::SettleRange(Keyspace* keyspace, std::shared_ptr<RangeDelete> deleted) {
  std::lock_guard lock(mutex_);
  std::string low = deleted->interval().low;
  new_walks_.push_back({keyspace, keyspace->id, std::move(deleted), std::move(low)});
  range_deletes_.fetch_add(1, std::memory_order_release);
  woken_ = true;
  wake_.notify_one();
}

void Collector::LimitSettling(std::optional<uint64_t> nodes) {
  settle_left_.store(nodes.value_or(kSettleAll));
  Wake();
}

void Collector::TakeWalks() {
  std::lock_guard lock(mutex_);
  std::move(new_walks_.begin(), new_walks_.end(), std::back_inserter(walks_));
  new_walks_.clear();
}

bool Collector::SettleRanges() {
  TakeWalks();
  for (size_t nodes = 0; nodes < kSettleMost && settling(); nodes += OrderedList::kEntries) {
    if (!SettlePage(&walks_.front())) continue;
    EndWalk(walks_.front());
    walks_.erase(walks_.begin());
    ++walks_ended_;
  }
  return settling();
}

bool Collector::SettlePage(RangeWalk* walk) {
  Handle::Scope in_epoch(*handle_);
  walk->keyspace->list.Read(walk->position, &page_);
  const KeyInterval& interval = walk->deleted->interval();
  bool last = page_.last;
  nodes_.clear();
  for (Node* node : std::span(page_.nodes).first(page_.count)) __builtin_prefetch(node);
  for (Node* node : std::span(page_.nodes).first(page_.count)) {
    if (node->key() < walk->position) continue;
    if (interval.high && node->key() >= *interval.high) {
      last = true;
      break;
    }
    Handle::PrefetchVersion(node);
    nodes_.push_back(node);
  }
  if (!page_.last && interval.high && page_.next >= *interval.high) last = true;
  uint64_t left = settle_left_.load();
  if (nodes_.size() > left) {
    nodes_.resize(left);
    last = false;
  }
  const std::span<Node* const> nodes(nodes_);
  for (size_t i = 0; i < nodes.size(); i += kTogether) {
    if (!SettleBatch(walk, nodes.subspan(i, std::min(kTogether, nodes.size() - i))))
      return false;  // from the position on, when its number is known again
  }
  if (PLANTED(RANGE_DELETE_LEAVES_EARLY)) last |= page_.count != 0;
  const bool cut = nodes.size() == left && !last;
  if (left != kSettleAll) settle_left_.compare_exchange_strong(left, left - nodes.size());
  if (cut) {
    if (nodes.empty()) return false;
    walk->position = nodes.back()->key();
    walk->position.push_back('\0');  // the next key that there can be
  } else if (!page_.last) {
    walk->position = page_.next;
  }
  return last;
}

bool Collector::SettleBatch(RangeWalk* walk, std::span<Node* const> nodes) {
  // Who settles a key, or puts a newer version, does so for good: this may be seen without a latch.
  const auto ended = [&](const Node& node) {
    const Version* head = node.head();
    return head != nullptr && head != Node::Closed() && !head->is_tombstone() &&
           walk->deleted->Ends(node.key(), *head);
  };
  candidates_.clear();
  for (Node* node : nodes) {
    if (ended(*node)) candidates_.push_back({node, HashBytes(node->key())});
  }
  if (candidates_.empty()) return true;
  const std::optional<uint32_t> db = NumberOf(walk->keyspace_id);
  if (!db) {  // R4: it was dropped, and its versions are garbage already
    const RangeDeletes* deletes = walk->keyspace->range_deletes();
    for (const Candidate& c : candidates_) {
      const Version* head = c.node->head();
      if (deletes->EndOf(c.node->key(), head, kStampPending) == walk->deleted.get())
        walk->deleted->CountKeys(1);
    }
    return true;
  }
  latch_keys_.clear();
  for (const Candidate& c : candidates_) latch_keys_.push_back({*db, c.hash});
  txn_->BeginLatched(latch_keys_);
  const bool there = store_.Root(*db)->keyspace == walk->keyspace;  // K1
  if (there) {
    const int64_t kept = handle_->shared().versions_kept.load(std::memory_order_relaxed);
    size_t settled = 0;
    for (const Candidate& c : candidates_)
      settled += txn_->Settle(*db, walk->keyspace, c.node, c.hash) ? 1 : 0;
    versions_freed_ +=
        settled -
        static_cast<size_t>(handle_->shared().versions_kept.load(std::memory_order_relaxed) - kept);
  }
  txn_->Rollback();  // lets go of the latches
  return there;
}

void Collector::EndWalk(const RangeWalk& walk) {
  Handle::Scope in_epoch(*handle_);
  Keyspace* keyspace = walk.keyspace;
  // A dropped keyspace keeps it (R4). If it is dropped now, nobody can tell the difference: all is
  // settled.
  if (NumberOf(walk.keyspace_id)) {
    const RangeDeletes* before = nullptr;
    const RangeDeletes* after = nullptr;
    do {  // another may join meanwhile
      delete after;
      before = keyspace->range_deletes();
      after = RangeDeletes::Without(*before, *walk.deleted);
    } while (!keyspace->ExchangeRangeDeletes(before, after));
    handle_->RetireRangeDeletes(before);
  }
  walk.deleted->SetSettled();
  range_deletes_.fetch_sub(1, std::memory_order_release);
}

}  // namespace fluxkv::engine
