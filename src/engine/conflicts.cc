#include "engine/conflicts.h"

#include <algorithm>

#include "base/check.h"
#include "base/planted.h"

namespace fluxkv::engine {

namespace {
constexpr size_t kNotedBytesMax = 256;  // of a range's bound
}  // namespace

KeyRange KeyRange::Around(uint32_t db, const KeyInterval& interval) {
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
  return range;
}

void Conflicts::Begin(TrackedTransaction* transaction) {
  tracking_.fetch_add(1, std::memory_order_seq_cst);
  std::lock_guard lock(commit_mutex_);
  live_.push_back(transaction);
}

void Conflicts::SetSnapshot(TrackedTransaction* transaction, Stamp snapshot) {
  std::lock_guard lock(commit_mutex_);
  transaction->snapshot = snapshot;
}

void Conflicts::End(TrackedTransaction* transaction) {
  {
    std::lock_guard lock(commit_mutex_);
    live_.erase(std::find(live_.begin(), live_.end(), transaction));
    DropOldRanges();
  }
  tracking_.fetch_sub(1, std::memory_order_seq_cst);
}

void Conflicts::DropOldRanges() {
  Stamp oldest = kStampPending;
  for (const TrackedTransaction* t : live_) oldest = std::min(oldest, t->snapshot);
  // eta starts at the snapshot, so a mark at or below every live snapshot adds nothing.
  std::erase_if(committed_, [oldest](const CommittedRange& c) { return c.position <= oldest; });
}

Conflicts::ReadOnly Conflicts::BeginReadOnly() {
  std::lock_guard lock(commit_mutex_);
  return read_only_.insert(read_only_.end(),
                           kStampPending);  // until its stamp is known it reaches everything
}

void Conflicts::SetReadOnlySnapshot(ReadOnly reader, Stamp snapshot) {
  std::lock_guard lock(commit_mutex_);
  *reader = snapshot;
}

void Conflicts::EndReadOnly(ReadOnly reader) {
  std::lock_guard lock(commit_mutex_);
  read_only_.erase(reader);
}

void Conflicts::Mark(uint32_t db, uint64_t hash, Stamp position) {
  if (PLANTED(DROP_READ_MARKS)) return;
  auto& mark = marks_[MarkIndex(db, hash)];
  Stamp seen = mark.load(std::memory_order_seq_cst);
  // A mark that is already there must still be ordered before the caller's load: the exchange with
  // itself does that.
  while (!mark.compare_exchange_weak(seen, std::max(seen, position), std::memory_order_seq_cst)) {
  }
}

void Conflicts::AddRange(TrackedTransaction* transaction, KeyRange range) {
  std::lock_guard lock(commit_mutex_);
  auto& ranges = transaction->ranges;
  for (const KeyRange& r : ranges) {
    if (r.Covers(range)) return;
  }
  if (range.whole || ranges.size() >= kRangesPerTransactionMax) {
    std::erase_if(ranges, [&](const KeyRange& r) { return r.db == range.db; });
    range = {.db = range.db, .whole = true, .low = {}, .high = {}};
  }
  ranges.push_back(std::move(range));
}

void Conflicts::MarkRange(KeyRange range, Stamp position) {
  std::lock_guard lock(commit_mutex_);
  MarkRangeLocked(std::move(range), position);
}

void Conflicts::MarkRangeLocked(KeyRange range, Stamp position) {
  if (live_.empty()) return;
  for (CommittedRange& c : committed_) {
    if (c.range == range) {
      c.position = std::max(c.position, position);
      return;
    }
  }
  if (committed_.size() >= kCommittedRangesMax) {
    DropOldRanges();
    Stamp newest = position;
    if (committed_.size() >= kCommittedRangesMax) {
      for (const CommittedRange& c : committed_) {
        if (c.range.db == range.db) newest = std::max(newest, c.position);
      }
      std::erase_if(committed_, [&](const CommittedRange& c) { return c.range.db == range.db; });
      range = KeyRange{.db = range.db, .whole = true, .low = {}, .high = {}};
      position = newest;
    }
  }
  committed_.push_back({std::move(range), position});
}

Stamp Conflicts::RangeMarkOf(uint32_t db, std::string_view key) const {
  Stamp mark = 0;
  for (const CommittedRange& c : committed_) {
    if (c.position > mark && c.range.Holds(db, key)) mark = c.position;
  }
  return mark;
}

void Conflicts::NoteWrite(const TrackedTransaction* self, uint32_t db, std::string_view key,
                          Stamp pi) {
  for (TrackedTransaction* t : live_) {
    if (t == self || t->range_pi <= pi) continue;
    for (const KeyRange& r : t->ranges) {
      if (!r.Holds(db, key)) continue;
      t->range_pi = pi;
      break;
    }
  }
}

void Conflicts::NoteWholeWrite(uint32_t db, Stamp pi) {
  for (TrackedTransaction* t : live_) {
    for (const KeyRange& r : t->ranges) {
      if (r.db == db) t->range_pi = std::min(t->range_pi, pi);
    }
  }
}

void Conflicts::NoteRangeWrite(const KeyRange& range, Stamp pi) {
  for (TrackedTransaction* t : live_) {
    for (const KeyRange& r : t->ranges) {
      if (r.Meets(range)) t->range_pi = std::min(t->range_pi, pi);
    }
  }
}

bool Conflicts::ReadOnlyReaches(Stamp pi) const {
  for (Stamp s : read_only_) {
    if (s >= pi) return true;
  }
  return false;
}

}  // namespace fluxkv::engine
