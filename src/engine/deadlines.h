// The expiry queue: deadlines in order of time, kept in arrays of a few hundred entries that are
// put in order only when their time has come. A million deadlines within a second cost neither a
// heap of a million nor a moment at which many of them are moved at once.
//
//   queue.Add({at_ms, hash, keyspace});
//   queue.TakeDue(clock.now_ms(), 64, &due);  // earliest first
//
// Q1. Entries have an order: of time, within a millisecond of key. Arrays follow each other in it:
//     no entry is before where its array begins, none is at or after where the next array begins.
//     So the earliest entry is in the first array, and equal entries are in one.
// Q2. No array is empty. A full one (kArray) loses what is in it more than once, and is split if
//     that does not make room (kRoomy), so that a deadline which is set again and again does not
//     pile up.
//
// A sweep (BeginSweep, then SweepArray while sweeping()) hands out every entry that was there when
// it began and has not been taken since, one array after another, for the owner to drop some.
//
// Threads: one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <tuple>
#include <vector>

#include "engine/handle.h"

namespace fluxkv::engine {

class Deadlines {
 public:
  using Entry = HandleShared::Deadline;
  static constexpr size_t kArray = 512;
  static constexpr size_t kRoomy = kArray / 4 * 3;
  static constexpr size_t kSparse = kArray / 4;  // an array that a sweep leaves so small is joined
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

  Deadlines() = default;
  Deadlines(const Deadlines&) = delete;
  Deadlines& operator=(const Deadlines&) = delete;

  void Add(const Entry& entry);
  // Takes entries with at_ms <= now_ms, the earliest first, until `due` has `most`.
  void TakeDue(int64_t now_ms, size_t most, std::vector<Entry>* due);
  // The earliest, kNever if there is none.
  int64_t next_ms() const { return arrays_.empty() ? kNever : arrays_.begin()->second.earliest_ms; }
  size_t size() const { return size_; }
  size_t arrays() const { return arrays_.size(); }

  void BeginSweep() { sweep_ = arrays_.begin(); }
  bool sweeping() const { return sweep_ != arrays_.end(); }
  // visit(std::vector<Entry>*) may put the entries in another order and take some out. It must not
  // call Add. Returns how many it was shown. Requires: sweeping().
  template <class Visit>
  size_t SweepArray(Visit visit) {
    const Arrays::iterator at = NextToSweep();
    const size_t shown = at->second.entries.size();
    visit(&at->second.entries);
    Settle(at, shown);
    return shown;
  }

 private:
  struct Array {
    std::vector<Entry> entries;
    int64_t earliest_ms = kNever;
    bool sorted = true;  // latest first
  };
  struct Before {
    bool operator()(const Entry& a, const Entry& b) const {
      return std::tie(a.at_ms, a.hash, a.keyspace) < std::tie(b.at_ms, b.hash, b.keyspace);
    }
  };
  using Arrays = std::map<Entry, Array, Before>;  // by where they begin

  static void Push(Array* array, const Entry& entry);
  static void Sort(Array* array);
  static void Refresh(Array* array);
  void AddToFull(Arrays::iterator at, const Entry& entry);
  // The array begins earlier from now on.
  Arrays::iterator BeginEarlier(Arrays::iterator at, const Entry& begin);
  void Erase(Arrays::iterator at);
  Arrays::iterator NextToSweep();
  void Settle(Arrays::iterator at, size_t shown);

  Arrays arrays_;
  Arrays::iterator sweep_ = arrays_.end();  // the next array of the sweep
  size_t size_ = 0;
};

}  // namespace fluxkv::engine
