// Reads of many keys: ordered walks, pages in hash order, counts, a random key.

#include <algorithm>
#include <functional>

#include "base/check.h"
#include "base/hash.h"
#include "engine/handle.h"
#include "engine/interval_walk.h"
#include "engine/store.h"
#include "engine/tracked_state.h"
#include "engine/transaction.h"

namespace fluxkv::engine {

namespace {

// A page of SCAN comes from the ordered list when its prefix covers at most this many keys for each
// one asked for.
constexpr size_t kPrefixKeysPerCount = 64;
constexpr size_t kPrefixKeysMax = 4096;
// A page of SCAN gives up after so many pieces of the index that hold no live key.
constexpr int kScanPiecesMax = 10;
constexpr int kRandomTries = 32;
constexpr size_t kVersionsAhead = 8;  // asked for before it is their turn

}  // namespace

void Transaction::NoteRange(uint32_t db, const KeyInterval& interval) {
  if (!serializable_ && !leave_marks_) return;
  KeyRange range = KeyRange::Around(db, interval);
  if (serializable_) {
    store_.conflicts.AddRange(&tracked_->transaction, std::move(range));
  } else if (mode_ == Mode::kSnapshot) {
    store_.conflicts.MarkRange(std::move(range), snapshot_);
  }
}

const Version* Transaction::FindInRange(const Keyspace& keyspace, const Node& node) {
  if (mode_ != Mode::kSnapshot) return NewestOf(keyspace, node);
  if (serializable_)
    tracked_->walk_pi = std::min(tracked_->walk_pi, OverwriterPi(keyspace, node, snapshot_));
  return VisibleAt(keyspace, node, snapshot_);
}

std::span<const uint32_t> Transaction::OwnWrites(const Keyspace* keyspace,
                                                 const KeyInterval& interval) {
  const auto before = [](const Keyspace* a, std::string_view key_a, const Keyspace* b,
                         std::string_view key_b) {
    return a != b ? std::less<>()(a, b) : key_a < key_b;
  };
  const auto in_order = [&](uint32_t a, uint32_t b) {
    return before(writes_[a].keyspace, writes_[a].key, writes_[b].keyspace, writes_[b].key);
  };
  // Writes are added, never taken out.
  const auto known = static_cast<ptrdiff_t>(write_order_.size());
  for (size_t i = write_order_.size(); i < writes_.size(); ++i)
    write_order_.push_back(static_cast<uint32_t>(i));
  std::sort(write_order_.begin() + known, write_order_.end(), in_order);
  std::inplace_merge(write_order_.begin(), write_order_.begin() + known, write_order_.end(),
                     in_order);
  const auto first_from = [&](std::string_view key) {
    return std::partition_point(write_order_.begin(), write_order_.end(), [&](uint32_t i) {
      return before(writes_[i].keyspace, writes_[i].key, keyspace, key);
    });
  };
  const auto begin = first_from(interval.low);
  const auto end = interval.high ? first_from(*interval.high)
                                 : std::partition_point(begin, write_order_.end(), [&](uint32_t i) {
                                     return writes_[i].keyspace == keyspace;
                                   });
  return {begin, std::max(begin, end)};
}

bool Transaction::WalkInterval(uint32_t db, const KeyInterval& interval, Direction direction,
                               const Visit& visit, const PassOn& pass_on) {
  DEBUG_ASSERT(mode_ == Mode::kExclusive || mode_ == Mode::kSnapshot);
  Keyspace* keyspace = KeyspaceOf(db);
  NoteRange(db, interval);
  size_t hidden = 0;
  std::span<const uint32_t> own = OwnWrites(keyspace, interval);
  const bool up = direction == Direction::kUp;
  const auto next_own = [&]() -> const Write& { return writes_[up ? own.front() : own.back()]; };
  const auto pass_own = [&] { own = up ? own.subspan(1) : own.first(own.size() - 1); };
  const auto pass_hidden = [&](std::string_view key) {
    return ++hidden % kHiddenMost != 0 || !pass_on || pass_on(key);
  };
  const auto visit_own = [&](const Write& w) {
    if (!Visible(w.value.get())) return pass_hidden(w.key);
    hidden = 0;
    return visit(w.key, *w.value);
  };
  const auto visit_node = [&](const Node& node) {
    const std::string_view key = node.key();
    for (; !own.empty() && (up ? next_own().key < key : next_own().key > key); pass_own()) {
      if (!visit_own(next_own())) return false;
    }
    if (!own.empty() && next_own().key == key) {
      const Write& write = next_own();
      pass_own();
      return visit_own(write);
    }
    const Version* version = FindInRange(*keyspace, node);
    if (Visible(version)) {
      hidden = 0;
      return visit(key, *version);
    }
    NoteExpired(db, key, version);
    return pass_hidden(key);
  };
  if (!(up ? VisitUp(keyspace->list, interval, visit_node)
           : VisitDown(keyspace->list, interval, visit_node)))
    return false;
  for (; !own.empty(); pass_own()) {
    if (!visit_own(next_own())) return false;
  }
  return true;
}

bool Transaction::Walk(uint32_t db, std::string_view start, bool after, std::string_view prefix,
                       const Visit& visit) {
  KeyInterval interval = KeyInterval::OfPrefix(prefix);
  if (start >= prefix) {
    interval.low = start;
    if (after) interval.low.push_back('\0');  // the next key that there can be
  }
  return WalkInterval(db, interval, Direction::kUp, visit);
}

size_t Transaction::range_deletes(uint32_t db) const {
  const RootVersion* root =
      mode_ == Mode::kSnapshot ? store_.RootAt(db, snapshot_) : store_.Root(db);
  const RangeDeletes* deletes = root->keyspace->range_deletes();
  return deletes == nullptr ? 0 : deletes->size();
}

uint64_t Transaction::CountByWalk(const Keyspace& keyspace) {
  uint64_t count = 0;
  VisitUp(keyspace.list, {}, [&](const Node& node) {
    const Version* newest = NewestOf(keyspace, node);
    count += newest != nullptr && !newest->is_tombstone() ? 1 : 0;
    return true;
  });
  return count;
}

uint64_t Transaction::CountKeys(uint32_t db) {
  if (mode_ == Mode::kSnapshot) {
    uint64_t count = 0;
    Walk(db, {}, false, {}, [&](std::string_view, const Version&) {
      ++count;
      return true;
    });
    return count;
  }
  Keyspace* keyspace = KeyspaceOf(db);
  uint64_t count = keyspace->range_deletes() != nullptr ? CountByWalk(*keyspace) : keyspace->keys();
  for (const Write& w : writes_) {
    if (w.keyspace != keyspace) continue;
    Node* node = nullptr;
    const Version* newest = Newest(*keyspace, Key(w.key, w.hash), &node);
    const bool was_live = newest != nullptr && !newest->is_tombstone();
    count += (w.value != nullptr ? 1 : 0) - (was_live ? 1 : 0);
  }
  return count;
}

uint64_t Transaction::CountKeysQuickly(uint32_t db) {
  if (mode_ != Mode::kSnapshot || !(read_only_ || copying_) || leave_marks_) return CountKeys(db);
  const Keyspace& keyspace = *store_.Root(db)->keyspace;
  if (copying_) return keyspace.keys();  // a copy wants to know about how many
  if (keyspace.range_deletes() != nullptr) return CountKeys(db);
  const uint64_t keys = keyspace.keys();
  if (keyspace.range_deletes() != nullptr) return CountKeys(db);
  DependOn(store_.stamp.load(std::memory_order_seq_cst));  // a commit counts after it has its stamp
  return keys;
}

std::optional<std::string> Transaction::RandomKey(uint32_t db, bool may_walk) {
  Keyspace* keyspace = KeyspaceOf(db);
  NoteRange(db, {});
  std::vector<HashIndex::Entry> entries;
  for (int i = 0; i < kRandomTries; ++i) {
    entries.clear();
    random_ = MixHash(random_, reinterpret_cast<uintptr_t>(this));
    keyspace->index.Collect(ScanHash(random_), 1, &entries);
    if (entries.empty()) continue;
    const Node& node = *entries[MixHash(random_, 1) % entries.size()].node;
    const Key key(node.key());
    if (FindWrite(keyspace, key) == nullptr && Visible(FindInRange(*keyspace, node)))
      return std::string(node.key());
  }
  // Few keys, mostly dead ones, or own writes: the first one that a walk finds.
  std::optional<std::string> found;
  if (!may_walk) return found;
  Walk(db, {}, false, {}, [&](std::string_view key, const Version&) {
    found = std::string(key);
    return false;
  });
  return found;
}

bool Transaction::ScanPrefixPage(uint32_t db, uint64_t cursor, size_t count,
                                 std::string_view prefix, std::vector<ScanEntry>* page,
                                 uint64_t* next) {
  struct Found {
    uint64_t scan_hash;
    ScanEntry entry;
  };
  std::vector<Found> found;
  const size_t most = std::min(kPrefixKeysPerCount * count, kPrefixKeysMax);
  const auto see = [&](std::string_view key, const Version& version) {
    found.push_back({ScanHash(HashBytes(key)), {key, &version}});
    return found.size() <= most;
  };
  size_t hidden = 0;
  const bool all =
      WalkInterval(db, KeyInterval::OfPrefix(prefix), Direction::kUp, see,
                   [&](std::string_view) { return (hidden += kHiddenMost) <= kPrefixKeysMax; });
  if (!all) return false;
  std::sort(found.begin(), found.end(),
            [](const Found& a, const Found& b) { return a.scan_hash < b.scan_hash; });
  *next = 0;
  size_t taken = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    if (found[i].scan_hash < cursor) continue;
    if (taken >= count && found[i].scan_hash != found[i - 1].scan_hash) {
      *next = found[i].scan_hash;
      break;
    }
    page->push_back(found[i].entry);
    ++taken;
  }
  return true;
}

void Transaction::ScanPage(uint32_t db, uint64_t cursor, size_t count, std::string_view prefix,
                           std::vector<ScanEntry>* page, uint64_t* next) {
  DEBUG_ASSERT(mode_ == Mode::kExclusive || mode_ == Mode::kSnapshot);
  count = std::min<size_t>(count, size_t{1} << 40);
  if (!prefix.empty() && ScanPrefixPage(db, cursor, count, prefix, page, next)) return;
  Keyspace* keyspace = KeyspaceOf(db);
  NoteRange(db, {});
  std::vector<HashIndex::Entry> entries;
  const uint64_t first = cursor;
  int pieces = 0;
  do {
    entries.clear();
    *next = keyspace->index.Collect(cursor, count - page->size(), &entries);
    for (size_t i = 0; i < std::min(entries.size(), kVersionsAhead); ++i)
      Handle::PrefetchVersion(entries[i].node);
    for (size_t i = 0; i < entries.size(); ++i) {
      const HashIndex::Entry& e = entries[i];
      if (i + kVersionsAhead < entries.size())
        Handle::PrefetchVersion(entries[i + kVersionsAhead].node);
      if (!writes_.empty() && FindWrite(keyspace, Key(e.node->key())) != nullptr) continue;
      const Version* version = FindInRange(*keyspace, *e.node);
      if (Visible(version)) {
        page->push_back({e.node->key(), version});
      } else {
        NoteExpired(db, e.node->key(), version);
      }
    }
    cursor = *next;
  } while (*next != 0 && page->size() < count && ++pieces < kScanPiecesMax);
  for (const Write& w : writes_) {
    const uint64_t scan_hash = ScanHash(w.hash);
    if (w.keyspace == keyspace && scan_hash >= first && (*next == 0 || scan_hash < *next) &&
        Visible(w.value.get())) {
      page->push_back({w.key, w.value.get()});
    }
  }
}

}  // namespace fluxkv::engine
