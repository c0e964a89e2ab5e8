// Range deletes: how one is committed, and how a key is settled (range_deletes.h).

#include <utility>

#include "base/check.h"
#include "base/hash.h"
#include "engine/collector.h"
#include "engine/handle.h"
#include "engine/interval_walk.h"
#include "engine/store.h"
#include "engine/transaction.h"

namespace fluxkv::engine {

std::shared_ptr<const RangeDelete> Transaction::DeleteRange(
    uint32_t db, KeyInterval interval, const std::function<void(std::string_view key)>& visit,
    size_t few) {
  DEBUG_ASSERT(mode_ == Mode::kExclusive && writes_.empty() && overlay_.empty() &&
               range_delete_ == nullptr && !interval.empty());
  Keyspace* keyspace = store_.Root(db)->keyspace;  // K1
  read_ranges_.push_back(KeyRange::Around(db, interval));
  size_t nodes = 0;
  std::vector<std::string_view> found;
  const bool all = VisitUp(keyspace->list, interval, [&](const Node& node) {
    if (++nodes > few) return false;
    if (Visible(NewestOf(*keyspace, node))) found.push_back(node.key());
    return true;
  });
  if (all) {
    for (std::string_view key : found) {
      visit(key);
      AddWrite(keyspace, db, Key(key)).value.reset();
    }
    return nullptr;
  }
  ++write_count_;
  range_keyspace_ = keyspace;
  range_delete_ = std::make_shared<RangeDelete>(std::move(interval), now_ms_);
  return range_delete_;
}

// R1, R5.
void Transaction::InstallRangeDelete() {
  const RangeDeletes* before = nullptr;
  const RangeDeletes* after = nullptr;
  do {  // the collector may take one out meanwhile
    delete after;
    before = range_keyspace_->range_deletes();
    after = RangeDeletes::With(before, range_delete_);
  } while (!range_keyspace_->ExchangeRangeDeletes(before, after));
  handle_.RetireRangeDeletes(before);
}

bool Transaction::Settle(uint32_t db, Keyspace* keyspace, Node* node, uint64_t hash) {
  const RangeDeletes* deletes = keyspace->range_deletes();
  if (deletes == nullptr) [[likely]]
    return false;
  Version* old = node->head();
  if (old == Node::Closed()) return false;
  RangeDelete* end = deletes->EndOf(node->key(), old, kStampPending);
  if (end == nullptr) return false;
  const Stamp stamp = end->stamp();
  DEBUG_ASSERT(stamp != kStampPending && old->stamp() < stamp);
  Write w{.keyspace = keyspace,
          .db = db,
          .hash = hash,
          .key = node->key(),
          .value = nullptr,
          .access = std::nullopt,
          .node = node,
          .installed = Version::NewTombstone().release(),
          .old = old};
  const bool needed = !store_.snapshots.none() && store_.snapshots.Needs(old->stamp(), stamp);
  LinkOld(&w, stamp, stamp, needed);
  CountKeyChange(w);
  PublishWrite(w, stamp);  // R6
  end->CountKeys(1);       // before the collector can see that there is nothing to do
  node->set_head_ordered(w.installed);
  int64_t used = 0, garbage = 0;
  const bool wake = AccountFor(w, &used, &garbage);
  if (used != 0) handle_.AddUsedBytes(used);
  if (garbage != 0) handle_.AddGarbageBytes(garbage);
  if (wake) store_.collector->Wake();
  const Options& options = store_.options;
  if (options.on_deleted && (!options.wants_deleted || options.wants_deleted()))
    settled_.push_back({db, std::string(node->key()), stamp});
  return true;
}

}  // namespace fluxkv::engine
