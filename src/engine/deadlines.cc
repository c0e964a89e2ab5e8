#include "engine/deadlines.h"

#include <algorithm>

#include "base/check.h"

namespace fluxkv::engine {

namespace {
bool Earlier(const Deadlines::Entry& a, const Deadlines::Entry& b) {
  return a.at_ms < b.at_ms;
}
bool Later(const Deadlines::Entry& a, const Deadlines::Entry& b) {
  return a.at_ms > b.at_ms;
}

// A time that splits the entries in two, both with some of them.
// Requires: they are not all of one millisecond.
int64_t MiddleMs(std::vector<Deadlines::Entry>* entries, int64_t least_ms) {
  const auto middle = entries->begin() + static_cast<ptrdiff_t>(entries->size() / 2);
  std::nth_element(entries->begin(), middle, entries->end(), Earlier);
  if (middle->at_ms > least_ms) return middle->at_ms;
  // Half of them or more are of the least; those behind the middle are not in order.
  int64_t next_ms = Deadlines::kNever;
  for (const auto& e : *entries) {
    if (e.at_ms > least_ms) next_ms = std::min(next_ms, e.at_ms);
  }
  return next_ms;
}
}  // namespace

void Deadlines::Push(Array* array, const Entry& entry) {
  array->sorted &= array->entries.empty() || entry.at_ms <= array->entries.back().at_ms;
  array->earliest_ms = std::min(array->earliest_ms, entry.at_ms);
  array->entries.push_back(entry);
}

void Deadlines::Refresh(Array* array) {
  array->sorted = array->entries.size() < 2;
  array->earliest_ms = kNever;
  for (const Entry& e : array->entries) array->earliest_ms = std::min(array->earliest_ms, e.at_ms);
}

void Deadlines::Add(const Entry& entry) {
  ++size_;
  if (arrays_.empty()) return Push(&arrays_.emplace(entry.at_ms, Array())->second, entry);
  auto at = arrays_.upper_bound(entry.at_ms);
  at = at == arrays_.begin() ? BeginEarlier(at, entry.at_ms) : std::prev(at);
  if (at->second.entries.size() >= kArray) return AddToFull(at, entry);
  Push(&at->second, entry);
}

void Deadlines::AddToFull(Arrays::iterator at, const Entry& entry) {
  auto& entries = at->second.entries;
  const auto [least, most] = std::minmax_element(entries.begin(), entries.end(), Earlier);
  const int64_t least_ms = least->at_ms, most_ms = most->at_ms;
  // Deadlines that come in order of time, or of one millisecond, leave full arrays behind.
  if (entry.at_ms > most_ms || (entry.at_ms == most_ms && least_ms == most_ms))
    return Push(&arrays_.emplace(entry.at_ms, Array())->second, entry);
  // All of one millisecond, and the new one is before it: the array is its alone from now on.
  const int64_t split_ms = least_ms == most_ms ? least_ms : MiddleMs(&entries, least_ms);
  const auto later = std::partition(entries.begin(), entries.end(),
                                    [&](const Entry& e) { return e.at_ms < split_ms; });
  Array& upper = arrays_.emplace(split_ms, Array())->second;
  upper.entries.assign(later, entries.end());
  entries.erase(later, entries.end());
  Refresh(&at->second);
  Refresh(&upper);
  Push(entry.at_ms < split_ms ? &at->second : &upper, entry);
}

Deadlines::Arrays::iterator Deadlines::BeginEarlier(Arrays::iterator at, int64_t begin_ms) {
  const bool next_to_sweep = at == sweep_;
  auto moved = arrays_.extract(at);
  moved.key() = begin_ms;
  at = arrays_.insert(std::move(moved));
  if (next_to_sweep) sweep_ = at;
  return at;
}

void Deadlines::Erase(Arrays::iterator at) {
  if (at == sweep_) ++sweep_;
  arrays_.erase(at);
}

void Deadlines::TakeDue(int64_t now_ms, size_t most, std::vector<Entry>* due) {
  while (due->size() < most && next_ms() <= now_ms) {
    Array& array = arrays_.begin()->second;
    if (!array.sorted) std::sort(array.entries.begin(), array.entries.end(), Later);
    array.sorted = true;
    while (due->size() < most && !array.entries.empty() && array.entries.back().at_ms <= now_ms) {
      due->push_back(array.entries.back());
      array.entries.pop_back();
      --size_;
    }
    if (array.entries.empty()) {
      Erase(arrays_.begin());
    } else {
      array.earliest_ms = array.entries.back().at_ms;
    }
  }
}

Deadlines::Arrays::iterator Deadlines::NextToSweep() {
  DCHECK(sweeping());
  const Arrays::iterator at = sweep_++;
  if (at == arrays_.begin()) return at;
  const Arrays::iterator before = std::prev(at);
  if (before->second.entries.size() > kSparse) return at;
  before->second.entries.insert(before->second.entries.end(), at->second.entries.begin(),
                                at->second.entries.end());
  Erase(at);
  return before;
}

void Deadlines::Settle(Arrays::iterator at, size_t shown) {
  auto& entries = at->second.entries;
  DCHECK(entries.size() <= shown);
  size_ -= shown - entries.size();
  if (entries.empty()) return Erase(at);
  if (entries.capacity() > 2 * entries.size()) entries.shrink_to_fit();
  Refresh(&at->second);
}

}  // namespace fluxkv::engine
