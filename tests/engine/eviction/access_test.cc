// Goal: a node's field tells when its key was used, over the wrap of the clock, and how often, as
// Redis's counter does; seconds come out of ticks.
// Method: ticks against a full count; the counter against the expected number of uses for each
// value; decay by age; the table of times against the clock it was fed from.
#include "engine/eviction/access.h"

#include <cmath>

#include "engine/eviction/orders.h"
#include "engine/eviction/tick_times.h"
#include "tests/engine/eviction/eviction_support.h"

namespace fluxkv::engine {
namespace {

class OneNode {
 public:
  ~OneNode() { Node::Delete(node); }
  Node* node = Node::New("k", 0);
};

TEST_CASE("eviction access: ticks are whole again, also when the field has wrapped") {
  AccessClock clock;
  clock.set_kind(AccessKind::kTicks);
  AccessRecorder recorder(clock);
  OneNode one;
  uint64_t expected = AccessClock::kBase;
  for (int round = 0; round < 50; ++round) {
    for (int i = 0; i < 100; ++i) recorder.Touch(*one.node);
    recorder.Sync(0);
    expected += 100;
    REQUIRE(clock.TickOf(one.node->access_s()) == expected);
    REQUIRE((one.node->access_s() & kSeenAgain) != 0);
    const uint64_t skipped = kTickMask / 3;
    clock.Skip(skipped);
    REQUIRE(clock.TickOf(one.node->access_s()) == expected);  // older now, and still known
    recorder.Sync(0);
    expected += skipped;
  }
}

TEST_CASE("eviction access: a tick that grows too old stays old") {
  AccessClock clock;
  clock.set_kind(AccessKind::kTicks);
  AccessRecorder recorder(clock);
  const TickOrder order(clock, false);
  OneNode old, young;
  recorder.Touch(*old.node);
  recorder.Sync(0);
  for (int i = 0; i < 100; ++i) {
    clock.Skip(kRenewTicks);
    recorder.Sync(0);
    recorder.Touch(*young.node);
    recorder.Sync(0);
    const uint64_t now = AccessClock::kBase + clock.ticks();
    REQUIRE(order.KeyOf(*young.node) == now);
    REQUIRE(order.KeyOf(*old.node) <= now - std::min(kOldestTicks, clock.ticks()) + 1);
  }
}

TEST_CASE("eviction access: two threads' accesses are ordered by their turns") {
  AccessClock clock;
  clock.set_kind(AccessKind::kTicks);
  AccessRecorder a(clock), b(clock);
  OneNode first, second;
  for (int i = 0; i < 100; ++i) {
    a.Sync(0);
    for (int n = 0; n < i; ++n) a.Touch(*first.node);
    a.Sync(0);
    b.Sync(0);
    b.Touch(*second.node);
    b.Sync(0);
    REQUIRE(clock.TickOf(second.node->access_s()) > clock.TickOf(first.node->access_s()));
  }
}

TEST_CASE("eviction access: with many keys a tick is several accesses and hot keys are let be") {
  AccessClock clock;
  clock.set_kind(AccessKind::kTicks);
  clock.Resize(1 << 20);
  AccessRecorder recorder(clock);
  OneNode hot;
  for (int i = 0; i < 16000; ++i) recorder.Fresh();
  recorder.Sync(0);
  CHECK(clock.ticks() == 1000);
  int stores = 0;
  for (int i = 0; i < 10240; ++i) {
    const uint32_t before = hot.node->access_s();
    recorder.Touch(*hot.node);
    stores += before != hot.node->access_s() ? 1 : 0;
  }
  CHECK(stores >= 9);
  CHECK(stores <= 11);
}

TEST_CASE("eviction access: the counter grows as Redis's does") {
  FLUXKV_SEEDED(seed);
  for (const uint32_t factor : {0u, 1u, 10u, 100u}) {
    AccessClock clock;
    clock.set_kind(AccessKind::kFrequency);
    clock.set_log_factor(factor);
    AccessRecorder recorder(clock, seed + factor);
    // Uses until the counter is 5 + n: the sum of (k * factor + 1) for k < n.
    constexpr int kSteps = 20, kNodes = 200;
    const double expected = factor * kSteps * (kSteps - 1) / 2.0 + kSteps;
    double uses = 0;
    OneNode one;
    for (int i = 0; i < kNodes; ++i) {
      one.node->NoteAccess(recorder.Fresh());
      REQUIRE(DecayedCounter(one.node->access_s(), clock.age()) == kFrequencyInitial);
      while (DecayedCounter(one.node->access_s(), clock.age()) < kFrequencyInitial + kSteps) {
        recorder.Touch(*one.node);
        ++uses;
      }
    }
    uses /= kNodes;
    CHECK(uses >= expected * 0.85);
    CHECK(uses <= expected * 1.15);
  }
}

TEST_CASE("eviction access: counters decay with age and never below nothing") {
  for (uint32_t start : {0u, 12345u, kAgeMask - 5, kAgeMask}) {
    const uint32_t field = FrequencyField(7, start);
    CHECK(DecayedCounter(field, start) == 7);
    CHECK(DecayedCounter(field, start + kAgeStep - 1) == 7);
    CHECK(DecayedCounter(field, start + kAgeStep) == 6);
    CHECK(DecayedCounter(field, start + 5 * kAgeStep) == 2);
    CHECK(DecayedCounter(field, start + 7 * kAgeStep) == 0);
    CHECK(DecayedCounter(field, start + 100 * kAgeStep) == 0);
    CHECK(DecayedCounter(field, start + (uint64_t{1} << kAgeBits) * 3) == 7);
    if (start > 0) CHECK(DecayedCounter(field, start - 1) == 7);  // a reader ahead of the evictor
  }
}

TEST_CASE("eviction access: seconds of ticks, close for what was lately") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  TickTimes times;
  std::vector<std::pair<uint64_t, uint32_t>> truth;
  uint64_t tick = 1000;
  for (uint32_t second = 50000; second < 70000; ++second) {
    times.Note(tick, second);
    truth.emplace_back(tick, second);
    if (second % 7000 > 1000) tick += random() % 5000;  // and stands still for a thousand seconds
  }
  CHECK(times.points() <= TickTimes::kPointsMax);
  for (int i = 0; i < 20000; ++i) {
    const auto& [t, second] = truth[random() % truth.size()];
    const double age = 70000.0 - second, got = times.SecondOf(t);
    // The first second with this tick is meant; where the clock stood that may be long before.
    const auto first = std::lower_bound(truth.begin(), truth.end(), std::make_pair(t, 0u));
    const double slack = 2 + (70000.0 - first->second) / TickTimes::kGapShare;
    REQUIRE(std::abs(got - first->second) <= slack);
    if (first->second == second) {
      const auto back = static_cast<double>(times.TickOf(second));
      REQUIRE(std::abs(back - static_cast<double>(t)) <= 5000 * (2 + age / TickTimes::kGapShare));
    }
  }
}

}  // namespace
}  // namespace fluxkv::engine
