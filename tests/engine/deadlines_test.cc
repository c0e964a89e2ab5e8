// Goal: the expiry queue gives back every entry once, in order of time and not before its time,
// however they came; its arrays stay about half full, and not of the same entry; a sweep shows each
// that stays.
// Method: random histories against a multiset, in shapes that deadlines have: all of one moment,
// rising, falling, spread over years.
#include "engine/deadlines.h"

#include <set>
#include <tuple>

#include "tests/engine/test_support.h"

namespace fluxkv::engine {
namespace {

using Entry = Deadlines::Entry;
using Triple = std::tuple<int64_t, uint64_t, uint64_t>;

Triple AsTriple(const Entry& e) {
  return {e.at_ms, e.hash, e.keyspace};
}

// What the queue should hold; each step says whether the queue did as it should.
class DeadlinesModel {
 public:
  void Add(int64_t at_ms) {
    const Entry entry{at_ms, ++hash_, hash_ % 3};
    queue.Add(entry);
    entries_.insert(AsTriple(entry));
  }
  bool Take(int64_t now_ms, size_t most) {
    std::vector<Entry> due;
    queue.TakeDue(now_ms, most, &due);
    bool right = due.size() <= most;
    int64_t last_ms = std::numeric_limits<int64_t>::min();
    for (const Entry& e : due) {
      right &= e.at_ms >= last_ms && e.at_ms <= now_ms && entries_.erase(AsTriple(e)) == 1;
      last_ms = e.at_ms;
    }
    // What stays is later than what was taken, and due only if there was no room.
    right &= due.size() == most || queue.next_ms() > now_ms;
    return right && queue.next_ms() >= last_ms && Agrees();
  }
  // Drops entries whose hash is a multiple of `of`, and moves the others of one array about.
  bool Sweep(uint64_t of, size_t arrays, std::mt19937_64* random) {
    bool right = true;
    if (!queue.sweeping()) queue.BeginSweep();
    for (; arrays > 0 && queue.sweeping(); --arrays) {
      queue.SweepArray([&](std::vector<Entry>* shown) {
        for (const Entry& e : *shown) right &= entries_.contains(AsTriple(e));
        std::erase_if(*shown, [&](const Entry& e) {
          return e.hash % of == 0 && entries_.erase(AsTriple(e)) == 1;
        });
        std::shuffle(shown->begin(), shown->end(), *random);
      });
    }
    return right && Agrees();
  }
  bool Agrees() const {
    const int64_t next_ms = entries_.empty() ? Deadlines::kNever : std::get<0>(*entries_.begin());
    return queue.size() == entries_.size() && queue.next_ms() == next_ms;
  }
  size_t size() const { return entries_.size(); }
  bool HoldsHashesOf(uint64_t of) const {
    return std::any_of(entries_.begin(), entries_.end(),
                       [&](const Triple& e) { return std::get<1>(e) % of == 0; });
  }

  Deadlines queue;

 private:
  std::set<Triple> entries_;
  uint64_t hash_ = 0;
};

int64_t Deadline(int shape, int64_t now_ms, int i, std::mt19937_64* random) {
  const auto below = [&](uint64_t n) { return static_cast<int64_t>((*random)() % n); };
  switch (shape) {
    case 0:
      return now_ms + 1000;  // of one moment
    case 1:
      return now_ms + 100 + i / 3;  // rising
    case 2:
      return now_ms + 100000 - i;  // falling
    case 3:
      return now_ms + below(1000);
    case 4:
      return now_ms + below(3) * 500;  // a few moments
    default:
      return now_ms + (int64_t{1} << below(40)) + below(100);
  }
}

TEST_CASE("deadlines: random histories against a model") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  for (int shape = 0; shape < 7; ++shape) {
    CAPTURE(shape);
    DeadlinesModel model;
    int64_t now_ms = 1'000'000;
    const int steps = 60000 / kSlower;
    for (int i = 0; i < steps; ++i) {
      model.Add(Deadline(shape == 6 ? static_cast<int>(random() % 6) : shape, now_ms, i, &random));
      if (random() % 50 == 0) {
        now_ms += static_cast<int64_t>(random() % 40);
        REQUIRE(model.Take(now_ms, random() % 100 + 1));
      }
      if (random() % 1000 == 0) REQUIRE(model.Sweep(random() % 20 + 1, random() % 8, &random));
    }
    // Half full or better, but for what was taken and swept since.
    CHECK(model.queue.arrays() <= model.size() / (Deadlines::kSparse / 2) + 64);
    while (model.queue.sweeping()) REQUIRE(model.Sweep(7, 1, &random));
    REQUIRE(model.Sweep(7, ~size_t{0}, &random));
    CHECK(!model.HoldsHashesOf(7));
    while (model.size() > 0) {
      now_ms = std::max(now_ms, model.queue.next_ms());
      REQUIRE(model.Take(now_ms, 1000));
    }
    CHECK(model.queue.next_ms() == Deadlines::kNever);
    CHECK(model.queue.arrays() == 0);
  }
}

TEST_CASE("deadlines: what a sweep leaves is joined") {
  std::mt19937_64 random(1);
  DeadlinesModel model;
  for (int i = 0; i < 200000 / kSlower; ++i) model.Add(1000 + i % 20000);
  REQUIRE(model.Sweep(1, ~size_t{0}, &random));
  CHECK(model.queue.arrays() == 0);
  for (int i = 0; i < 200000 / kSlower; ++i) model.Add(i % 2 == 0 ? 5000 : i);
  const size_t before = model.queue.arrays();
  // Most go; the rest lies in few arrays after one more sweep.
  for (uint64_t of = 2; of < 12; ++of) REQUIRE(model.Sweep(of, ~size_t{0}, &random));
  CHECK(model.queue.arrays() < before);
  CHECK(model.queue.arrays() <= model.size() / Deadlines::kSparse + 2);
}

TEST_CASE("deadlines: what comes again and again does not pile up") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  Deadlines queue;
  constexpr size_t kKeys = 5000;
  for (size_t i = 0; i < 100 * kKeys; ++i) {
    const uint64_t key = random() % kKeys;
    queue.Add({1000 + static_cast<int64_t>(key % 2), key, 1});
  }
  CHECK(queue.size() >= kKeys);
  CHECK(queue.size() <= 4 * kKeys);
  // All that is left twice lies in one array, where who sweeps finds it.
  for (queue.BeginSweep(); queue.sweeping();) {
    queue.SweepArray([&](std::vector<Entry>* shown) {
      std::set<Triple> here;
      std::erase_if(*shown, [&](const Entry& e) { return !here.insert(AsTriple(e)).second; });
    });
  }
  CHECK(queue.size() == kKeys);
}

TEST_CASE("deadlines: falling ones between full arrays do not get an array each") {
  Deadlines queue;
  for (int64_t at = 1; at <= 512; ++at) queue.Add({at, static_cast<uint64_t>(at), 1});
  for (int64_t at = 20000; at > 10000; --at) queue.Add({at, static_cast<uint64_t>(at), 1});
  CHECK(queue.size() == 512 + 10000);
  CHECK(queue.arrays() <= 10512 / (Deadlines::kArray / 4) + 2);
  std::vector<Deadlines::Entry> due;
  queue.TakeDue(20000, 20000, &due);
  CHECK(due.size() == 10512);
  CHECK(std::is_sorted(due.begin(), due.end(),
                       [](const auto& a, const auto& b) { return a.at_ms < b.at_ms; }));
}

}  // namespace
}  // namespace fluxkv::engine
