// Goal: what a LazyQueue gives out first is the smallest by real key, however keys rose while it
// did not look, and what is void never comes out. Method: random filing, rising, voiding and
// popping against a scan of all nodes; queues of a few entries and of many buckets; a queue in
// which every key rose, where a Pop must stay bounded.
#include "engine/eviction/lazy_queue.h"

#include <unordered_map>

#include "tests/engine/eviction/eviction_support.h"

namespace fluxkv::engine {
namespace {

// The key of a node is its field; counts how often it is asked.
class FieldOrder : public LazyQueue::Order {
 public:
  uint64_t KeyOf(Node& node) const override {
    ++looks;
    return node.access_s();
  }
  mutable uint64_t looks = 0;
};

class Fixture {
 public:
  Fixture() : queue(voids, order) { space = *voids.NewSpace(); }
  ~Fixture() {
    for (Node* node : live) Node::Delete(node);
  }
  Node* File(uint32_t key) {
    Node* node = Node::New("k", key);
    live.push_back(node);
    voids.NoteAdded(Entry(node, space));
    queue.File(Entry(node, space), key);
    return node;
  }
  void Void(size_t i) {
    voids.Add(Entry(live[i], space));
    Drop(i);
  }
  void Drop(size_t i) {
    Node::Delete(live[i]);
    live[i] = live.back();
    live.pop_back();
  }
  Node* Pop() {
    const auto item = queue.Pop();
    if (!item) return nullptr;
    voids.NoteRemoved(item->entry);
    return item->entry.node();
  }

  VoidEntries voids;
  FieldOrder order;
  LazyQueue queue;
  SpaceNumber space = 0;
  std::vector<Node*> live;
};

void AgainstScan(uint64_t seed, size_t size, uint32_t rise, int operations) {
  std::mt19937_64 random(seed);
  Fixture f;
  uint32_t now = 0;
  for (int i = 0; i < operations; ++i) {
    const uint64_t what = random() % 16;
    if (f.live.size() < size && what < 6) {
      f.File(now += random() % 2);
    } else if (what < 13 && !f.live.empty()) {
      for (uint32_t n = 0; n < 4; ++n) {
        Node* node = f.live[random() % f.live.size()];
        if (rise > 0) now += random() % rise;
        if (now > node->access_s()) node->NoteAccess(now);
      }
    } else if (what == 13 && !f.live.empty()) {
      f.Void(random() % f.live.size());
    } else if (what == 14 && random() % 64 == 0) {
      f.queue.Sweep(random() % 2000, random() % 2 == 0);
    } else if (!f.live.empty()) {
      const auto least = std::min_element(f.live.begin(), f.live.end(), [](Node* a, Node* b) {
        return a->access_s() < b->access_s();
      });
      const uint32_t key = (*least)->access_s();
      Node* popped = f.Pop();
      REQUIRE(popped != nullptr);
      REQUIRE(popped->access_s() == key);
      f.Drop(static_cast<size_t>(std::find(f.live.begin(), f.live.end(), popped) - f.live.begin()));
    }
    REQUIRE(f.queue.size() - f.voids.pending() == f.live.size());
  }
  while (!f.live.empty()) {
    Node* popped = f.Pop();
    if (popped == nullptr) continue;
    f.Drop(static_cast<size_t>(std::find(f.live.begin(), f.live.end(), popped) - f.live.begin()));
  }
  while (f.queue.Pop()) {
  }
  CHECK(f.queue.size() == 0);
  CHECK(f.voids.pending() == 0);
}

TEST_CASE("eviction queue: a few keys against a scan") {
  FLUXKV_SEEDED(seed);
  AgainstScan(seed, 8, 2, 40000 / kSlower);
  AgainstScan(seed + 1, 300, 1, 40000 / kSlower);
}

TEST_CASE("eviction queue: many buckets against a scan [slow]") {
  FLUXKV_SEEDED(seed);
  AgainstScan(seed, 6000, 3, 16000 / kSlower);
  AgainstScan(seed + 1, 12000, 1, 16000 / kSlower);
}

TEST_CASE("eviction queue: equal keys come out in the order of filing") {
  Fixture f;
  for (uint32_t i = 0; i < 10000; ++i) f.File(7);
  const std::vector<Node*> filed = f.live;
  for (Node* node : filed) REQUIRE(f.Pop() == node);
}

TEST_CASE("eviction queue: one pop is bounded when every key rose") {
  Fixture f;
  constexpr uint32_t kKeys = 60000;
  for (uint32_t i = 0; i < kKeys; ++i) f.File(i);
  for (Node* node : f.live) node->NoteAccess(node->access_s() + kKeys);
  uint64_t most = 0, pops = 0;
  for (; pops < kKeys / 2; ++pops) {
    const uint64_t before = f.order.looks;
    REQUIRE(f.Pop() != nullptr);
    most = std::max(most, f.order.looks - before);
  }
  // Besides its own looks (L3), a Pop may split a bucket for each thousand entries it files.
  CHECK(most <= 4 * (LazyQueue::kLooksMax + 2 * LazyQueue::kBucketMax));
  CHECK(f.order.looks <= 12 * uint64_t{kKeys});
}

TEST_CASE("eviction queue: one pop is bounded when what rose goes to full buckets everywhere") {
  Fixture f;
  constexpr uint32_t kKeys = 200000, kOld = 4000;
  std::mt19937_64 random(1);
  for (uint32_t i = 0; i < kKeys; ++i) f.File(i);  // buckets that were filled to the brim
  for (uint32_t i = 0; i < kOld; ++i)
    f.live[i]->NoteAccess(kOld + static_cast<uint32_t>(random() % (kKeys - kOld)));
  uint64_t most = 0;
  uint32_t last = 0;
  for (uint32_t pops = 0; pops < kKeys / 2; ++pops) {
    const uint64_t before = f.order.looks;
    const Node* popped = f.Pop();
    REQUIRE(popped != nullptr);
    most = std::max(most, f.order.looks - before);
    REQUIRE(popped->access_s() >= last);
    last = popped->access_s();
  }
  CHECK(most <= 32768);
}

TEST_CASE("eviction queue: a sweep joins what it leaves small") {
  Fixture f;
  for (uint32_t i = 0; i < 100000; ++i) f.File(i);
  std::mt19937_64 random(1);
  while (f.live.size() > 200) f.Void(random() % f.live.size());
  while (!f.queue.Sweep(100000, false)) {
  }
  CHECK(f.queue.size() == 200);
  CHECK(f.queue.allocated_bytes() < 100000);
  std::sort(f.live.begin(), f.live.end(),
            [](const Node* a, const Node* b) { return a->access_s() < b->access_s(); });
  const std::vector<Node*> in_order = f.live;
  for (Node* node : in_order) REQUIRE(f.Pop() == node);
}

TEST_CASE("eviction queue: a sweep drops all that is void, in steps") {
  Fixture f;
  for (uint32_t i = 0; i < 20000; ++i) f.File(i);
  while (f.live.size() > 5000) f.Void(f.live.size() - 1);
  CHECK(f.voids.pending() == 15000);
  int steps = 0;
  while (!f.queue.Sweep(1000, false)) ++steps;
  CHECK(steps >= 10);
  CHECK(f.voids.pending() == 0);
  CHECK(f.queue.size() == 5000);
  CHECK(f.order.looks < 20000);
}

}  // namespace
}  // namespace fluxkv::engine
