// Reads of many keys: ordered walks, pages in hash order, counts, a random key.

#include <algorithm>
#include <functional>

#include "base/check.h"
#include "base/hash.h"
#include "engine/handle.h"
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
constexpr size_t kNotedBytesMax = 256;  // of a range's bound

// The first key behind all that begin with `prefix`; nullopt if there is none.
std::optional<std::string> PrefixEnd(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty()) {
    if (static_cast<unsigned char>(end.back()) != 0xff) {
      end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
      return end;
    }
    end.pop_back();
  }
  return std::nullopt;
}

}  // namespace

KeyInterval KeyInterval::OfPrefix(std::string_view prefix) {
  return {std::string(prefix), PrefixEnd(prefix)};
}

void Transaction::NoteRange(uint32_t db, const KeyInterval& interval) {
  if (!serializable_ && !leave_marks_) return;
  // Bounds may be as long as keys, and are kept for long: wider ones of bounded length do.
  KeyRange range{.db = db,
                 .whole = interval.low.empty() && !interval.high,
                 .low = interval.low.substr(0, kNotedBytesMax),
                 .high = interval.high.value_or(""),
                 .to_end = !interval.high};
  if (range.high.size() > kNotedBytesMax) {
    const std::optional<std::string> above = PrefixEnd(range.high.substr(0, kNotedBytesMax));
    range.to_end = !above.has_value();
    range.high = above.value_or("");
  }
  if (serializable_) {
    store_.conflicts.AddRange(&tracked_->transaction, std::move(range));
  } else if (mode_ == Mode::kSnapshot) {
    store_.conflicts.MarkRange(std::move(range), snapshot_);
  }
}

const Version* Transaction::FindInRange(const Node& node) {
  if (mode_ == Mode::kExclusive) {
    bool closed = false;
    const Version* version = NewestOf(node, &closed);
    return closed ? nullptr : version;
  }
  if (serializable_) {
    bool closed = false;
    const Version* newest = NewestOf(node, &closed);
    tracked_->walk_pi = std::min(tracked_->walk_pi, OverwriterPi(newest, snapshot_));
  }
  return VisibleAt(node, snapshot_);
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

namespace {

// visit(node) for the nodes of the interval in order while it returns true; whether it always did.
template <class VisitNode>
bool VisitUp(const OrderedList& list, const KeyInterval& interval, VisitNode visit) {
  OrderedList::Page page;
  std::string position = interval.low;
  for (;;) {
    list.Read(position, &page);
    for (size_t i = 0; i < page.count; ++i) {
      const std::string_view key = page.nodes[i]->key();
      if (key < position) continue;
      if (interval.high && key >= *interval.high) return true;
      if (!visit(*page.nodes[i])) return false;
    }
    if (page.last) return true;
    position = page.next;
  }
}

template <class VisitNode>
bool VisitDown(const OrderedList& list, const KeyInterval& interval, VisitNode visit) {
  OrderedList::Page page;
  std::optional<std::string> end = interval.high;
  for (;;) {
    list.ReadBelow(end, &page);
    for (size_t i = page.count; i-- > 0;) {
      const std::string_view key = page.nodes[i]->key();
      if (end && key >= *end) continue;
      if (key < interval.low) return true;
      if (!visit(*page.nodes[i])) return false;
    }
    if (page.first || page.low <= interval.low) return true;
    end = page.low;
  }
}

}  // namespace

bool Transaction::WalkInterval(uint32_t db, const KeyInterval& interval, Direction direction,
                               const Visit& visit) {
  DCHECK(mode_ == Mode::kExclusive || mode_ == Mode::kSnapshot);
  Keyspace* keyspace = KeyspaceOf(db);
  NoteRange(db, interval);
  std::span<const uint32_t> own = OwnWrites(keyspace, interval);
  const bool up = direction == Direction::kUp;
  const auto next_own = [&]() -> const Write& { return writes_[up ? own.front() : own.back()]; };
  const auto pass_own = [&] { own = up ? own.subspan(1) : own.first(own.size() - 1); };
  const auto visit_own = [&](const Write& w) {
    return !Visible(w.value.get()) || visit(w.key, *w.value);
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
    const Version* version = FindInRange(node);
    if (Visible(version)) return visit(key, *version);
    NoteExpired(db, key, version);
    return true;
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
  uint64_t count = keyspace->keys();
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
  const uint64_t keys = store_.Root(db)->keyspace->keys();
  DependOn(store_.stamp.load(std::memory_order_seq_cst));  // a commit counts after it has its stamp
  return keys;
}

std::optional<std::string> Transaction::RandomKey(uint32_t db) {
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
    if (FindWrite(keyspace, key) == nullptr && Visible(FindInRange(node)))
      return std::string(node.key());
  }
  // Few keys, mostly dead ones, or own writes: the first one that a walk finds.
  std::optional<std::string> found;
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
  const bool all = Walk(db, {}, false, prefix, [&](std::string_view key, const Version& version) {
    found.push_back({ScanHash(HashBytes(key)), {key, &version}});
    return found.size() <= most;
  });
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
  DCHECK(mode_ == Mode::kExclusive || mode_ == Mode::kSnapshot);
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
    for (const HashIndex::Entry& e : entries) {
      if (!writes_.empty() && FindWrite(keyspace, Key(e.node->key())) != nullptr) continue;
      const Version* version = FindInRange(*e.node);
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
