// A priority queue of entries whose keys rise without anybody telling it: who uses a key only
// stores into the node, and the queue finds out when the entry's turn comes. A calendar of
// buckets (cf. R. Brown, Calendar Queues, CACM 1988), cut by how many entries they have and not
// by time.
//
//   LazyQueue queue(voids, order);
//   queue.File(entry, order.KeyOf(node));
//   std::optional<LazyQueue::Item> first = queue.Pop();
//
// Each bucket has a start. Entries are filed by the key their node has at that moment; the bucket
// with the lowest start is opened when its turn comes: its nodes' real keys are read, and it goes
// to the front, a heap by real key. Pop takes the first of the front, if its key is still that.
//
// L1. An entry in a bucket has a key not below the bucket's start, as long as keys do not fall.
//     (A key that did fall is found late, and that is all.)
// L2. While Pop looks at no more than kLooksMax entries, what it returns has the smallest real
//     key of all; among equal keys, the one that was filed with it first, as far as buckets
//     remember.
// L3. When that would take more (after a pass over all keys, say), Pop returns the smallest of
//     what it has looked at. So one Pop looks at some thirty thousand entries at the most, those
//     included that splits of buckets look at (kSplitLooks).
// L4. A bucket has kBucketMax entries, four times as many while splitting it would cost too much;
//     the front at most kFrontMax more than that.
// L5. A node is looked at only after VoidEntries::Take said that its entry is not void (E2).
//
// Memory: 6 bytes an entry, and about 700 for each bucket of kBucketMax / 2 entries and more.
// Threads: under the policy's lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "engine/eviction/books.h"
#include "engine/eviction/entry.h"
#include "engine/eviction/void_entries.h"

namespace fluxkv::engine {

class LazyQueue {
 public:
  static constexpr size_t kBucketMax = 1024;
  static constexpr size_t kFrontMax = 2048;
  static constexpr size_t kLooksMax = 4096;
  // What each filing adds to what splits may cost; a split costs a look at each entry.
  static constexpr size_t kSplitLooks = 4;

  // What the queue is ordered by, and what belongs in it.
  class Order {
   public:
    virtual ~Order() = default;
    virtual uint64_t KeyOf(Node& node) const = 0;
    virtual bool Belongs(const Node&) const { return true; }
  };
  struct Item {
    uint64_t key;
    uint64_t filed;  // order among equal keys
    Entry entry;
  };

  LazyQueue(VoidEntries& voids, const Order& order) : voids_(voids), order_(order) {}
  LazyQueue(const LazyQueue&) = delete;
  LazyQueue& operator=(const LazyQueue&) = delete;

  void File(Entry entry, uint64_t key);
  // Takes out the first. nullopt: nothing is left, or all that was looked at (L3) was void or
  // went to strays; then call it again.
  std::optional<Item> Pop();
  // Entries that were met and belong elsewhere; they are out of the queue. The owner takes them.
  std::vector<Item>& strays() { return strays_; }

  size_t size() const { return size_; }
  size_t allocated_bytes() const;

  // Meets about `budget` entries, those in buckets in order and then the front, and drops the
  // void ones; with `look`, reads the keys of the others too (which lets Order renew what nodes
  // say). True when it came to the end of a round; until then the next call goes on.
  bool Sweep(size_t budget, bool look);

 private:
  // Several buckets may have one start: first filed, first opened.
  using Bucket = books::Deque<Entry>;
  using Buckets = books::Multimap<uint64_t, Bucket>;
  static bool Later(const Item& a, const Item& b) {
    return a.key != b.key ? a.key > b.key : a.filed > b.filed;
  }
  static void Sort(std::vector<Item>* items);  // first in front

  uint64_t Horizon() const { return buckets_.empty() ? ~uint64_t{0} : buckets_.begin()->first; }
  void Place(Entry entry, uint64_t key);
  bool MaySplit(size_t entries);
  void PushFront(Entry entry, uint64_t key);
  Item PopFront();
  size_t OpenFirstBucket();
  void SpillFront();
  void Split(Buckets::iterator bucket);
  // The entry's real key; nullopt: it was void, and is dropped.
  std::optional<uint64_t> Look(Entry entry);
  // The same, and what does not belong here goes to strays_.
  std::optional<uint64_t> LookOrStray(Entry entry);
  void SweepBucket(Bucket& bucket, bool look);
  bool JoinBefore(Buckets::iterator bucket);

  VoidEntries& voids_;
  const Order& order_;
  std::vector<Item> front_;  // a heap, first on top
  Buckets buckets_;
  std::optional<Buckets::iterator> sweeping_;  // where Sweep goes on
  std::vector<Item> strays_;
  size_t split_credit_ = 4 * kBucketMax;
  uint64_t filed_ = 0;
  uint64_t highest_ = 0;  // of the keys that were filed in buckets
  size_t size_ = 0;       // in front_ and buckets_
};

}  // namespace fluxkv::engine
