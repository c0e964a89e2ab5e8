#include "engine/deadlines.h"

#include <algorithm>

#include "base/check.h"
#include "base/planted.h"

namespace fluxkv::engine {

void Deadlines::Push(Array* array, const Entry& entry) {
  array->sorted &= array->entries.empty() || Before()(entry, array->entries.back());
  array->earliest_ms = std::min(array->earliest_ms, entry.at_ms);
  array->entries.push_back(entry);
}

void Deadlines::Sort(Array* array) {
  if (PLANTED(EXPIRE_UNSORTED)) array->sorted = true;
  if (!array->sorted)
    std::sort(array->entries.begin(), array->entries.end(),
              [](const Entry& a, const Entry& b) { return Before()(b, a); });
  array->sorted = true;
}

void Deadlines::Refresh(Array* array) {
  array->sorted = array->entries.size() < 2;
  array->earliest_ms = kNever;
  for (const Entry& e : array->entries) array->earliest_ms = std::min(array->earliest_ms, e.at_ms);
}

void Deadlines::Add(const Entry& entry) {
  ++size_;
  if (arrays_.empty()) return Push(&arrays_[entry], entry);
  auto at = arrays_.upper_bound(entry);
  at = at == arrays_.begin() ? BeginEarlier(at, entry) : std::prev(at);
  if (at->second.entries.size() >= kArray) return AddToFull(at, entry);
  Push(&at->second, entry);
}

void Deadlines::AddToFull(Arrays::iterator at, const Entry& entry) {
  Array* array = &at->second;
  auto& entries = array->entries;
  size_ -= entries.size();
  Sort(array);
  entries.erase(std::unique(entries.begin(), entries.end(),
                            [](const Entry& a, const Entry& b) {
                              return !Before()(a, b) && !Before()(b, a);
                            }),
                entries.end());
  size_ += entries.size();
  if (entries.size() <= kRoomy) return Push(array, entry);
  // What comes in order of time leaves full arrays behind: only the latest millisecond moves on.
  size_t upper_count = entries.size() / 2;
  const int64_t latest_ms = entries.front().at_ms;
  if (entry.at_ms > latest_ms) {
    auto next = std::next(at);
    if (next == arrays_.end() || next->second.entries.size() >= kArray)
      return Push(&arrays_[entry], entry);
    return Push(&BeginEarlier(next, entry)->second, entry);
  }
  if (entry.at_ms == latest_ms) {
    const auto earlier = std::find_if(entries.begin(), entries.end(),
                                      [&](const Entry& e) { return e.at_ms < latest_ms; });
    upper_count = std::min(upper_count, static_cast<size_t>(earlier - entries.begin()));
  }
  const auto lower = entries.begin() + static_cast<ptrdiff_t>(upper_count);
  const Entry begin = *std::prev(lower);
  Array& upper = arrays_[begin];
  upper.entries.assign(entries.begin(), lower);
  upper.earliest_ms = begin.at_ms;
  entries.erase(entries.begin(), lower);
  Push(Before()(entry, begin) ? array : &upper, entry);
}

Deadlines::Arrays::iterator Deadlines::BeginEarlier(Arrays::iterator at, const Entry& begin) {
  const bool next_to_sweep = at == sweep_;
  auto moved = arrays_.extract(at);
  moved.key() = begin;
  at = arrays_.insert(std::move(moved)).position;
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
    Sort(&array);
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
  DEBUG_ASSERT(sweeping());
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
  DEBUG_ASSERT(entries.size() <= shown);
  size_ -= shown - entries.size();
  if (entries.empty()) return Erase(at);
  if (entries.capacity() > 2 * entries.size()) entries.shrink_to_fit();
  Refresh(&at->second);
}

}  // namespace fluxkv::engine
