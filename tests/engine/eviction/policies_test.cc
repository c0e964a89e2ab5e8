// Goal: each policy takes the victims that its definition says, while keys are read, overwritten,
// deleted, written again, and given and robbed of deadlines.
// Method: random traces against plain models that are told everything at once: the exact
// policies (LRU, ARC, earliest deadline) victim for victim, LFU by the order that the counters
// give, random by counting how often each key goes. Small scenes from other systems' bugs
// besides.
#include <cmath>
#include <deque>
#include <list>
#include <set>

#include "engine/eviction/orders.h"
#include "tests/engine/eviction/eviction_support.h"

namespace fluxkv::engine {
namespace {

// ---- LRU

class LruModel {
 public:
  void Use(uint64_t key) {
    Erase(key);
    order_.push_back(key);
  }
  void Erase(uint64_t key) { order_.remove(key); }
  uint64_t Evict() {
    const uint64_t key = order_.front();
    order_.pop_front();
    return key;
  }

 private:
  std::list<uint64_t> order_;  // least recently used first
};

template <class Model>
void SameVictims(PolicyKind kind, uint64_t seed, size_t room, uint64_t universe, int requests) {
  std::mt19937_64 random(seed);
  EvictionCache cache(kind);
  Model model;
  for (int i = 0; i < requests; ++i) {
    // Half of the uses go to a tenth of the keys, which move on with time.
    const uint64_t hot = random() % (universe / 10) + static_cast<uint64_t>(i) / 1000;
    const uint64_t key = random() % 2 == 0 ? hot % universe : random() % universe;
    if (cache.Has(key) && random() % 50 == 0) {
      cache.Delete(key);
      model.Erase(key);
      continue;
    }
    if (!cache.Has(key) && cache.size() >= room) {
      const std::optional<uint64_t> victim = cache.Evict();
      REQUIRE(victim.has_value());
      REQUIRE(*victim == model.Evict());
    }
    cache.Use(key);
    model.Use(key);
    if (random() % 64 == 0) cache.recorder().Sync(EvictionCache::kNowS);
    if (random() % 512 == 0) cache.Tidy(random() % 2000);
    REQUIRE(cache.evictable() == cache.size());
  }
}

TEST_CASE("eviction policies: LRU takes the victims of the plain model") {
  FLUXKV_SEEDED(seed);
  SameVictims<LruModel>(PolicyKind::kLru, seed, 3, 20, 20000 / kSlower);
  SameVictims<LruModel>(PolicyKind::kLru, seed + 1, 100, 400, 40000 / kSlower);
  SameVictims<LruModel>(PolicyKind::kLru, seed + 2, 1000, 3000, 40000 / kSlower);
}

TEST_CASE("eviction policies: LRU over many buckets stays at the tail of the plain model [slow]") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  EvictionCache cache(PolicyKind::kLru);
  std::map<uint64_t, uint64_t> used;              // key to time
  std::set<std::pair<uint64_t, uint64_t>> order;  // (time, key)
  const size_t room = 20000 / kSlower;
  for (uint64_t i = 0; i < 8 * room; ++i) {
    const uint64_t key = std::min(random() % (2 * room), random() % (4 * room));
    if (!cache.Has(key) && cache.size() >= room) {
      const uint64_t victim = cache.Evict().value();
      const auto rank = std::distance(order.begin(), order.find({used.at(victim), victim}));
      REQUIRE(rank <= static_cast<std::ptrdiff_t>(room / 500));  // what close_ allows, twice
      order.erase({used.at(victim), victim});
      used.erase(victim);
    }
    if (used.count(key) > 0) order.erase({used.at(key), key});
    used[key] = i;
    order.emplace(i, key);
    cache.Use(key);
    if (i % 32 == 0) cache.recorder().Sync(EvictionCache::kNowS);
    if (i % 4096 == 0) cache.Tidy(1000);
  }
}

// ---- ARC, as arc_policy.h has it, with lists that are searched

class ArcModel {
 public:
  void Use(uint64_t key) {
    ++now_;
    if (auto it = keys_.find(key); it != keys_.end()) {
      it->second.used = now_;
      it->second.again = true;
      return;
    }
    bool again = false;
    const auto b1 = static_cast<double>(ghosts_[0].size());
    const auto b2 = static_cast<double>(ghosts_[1].size());
    const auto c = static_cast<double>(keys_.size() + 1);
    for (int list = 0; list < 2; ++list) {
      auto ghost = std::find(ghosts_[list].begin(), ghosts_[list].end(), key);
      if (ghost == ghosts_[list].end()) continue;
      ghosts_[list].erase(ghost);
      again = true;
      target_ += list == 0 ? std::max(1.0, b2 / b1) : -std::max(1.0, b1 / b2);
      target_ = std::clamp(target_, 0.0, c);
    }
    keys_[key] = {now_, again, again};
    TrimGhosts();
  }
  void Erase(uint64_t key) { keys_.erase(key); }
  uint64_t Evict() {
    const auto in_t1 = [](const auto& k) { return !k.second.in_t2; };
    const auto t1 = static_cast<size_t>(std::count_if(keys_.begin(), keys_.end(), in_t1));
    bool from_t1 = t1 == keys_.size();
    if (t1 > 0 && !from_t1) from_t1 = static_cast<double>(t1) >= std::max(1.0, target_);
    // Keys of T1 that come before the victim and were used again are met, and go to T2.
    while (true) {
      auto least = keys_.end();
      for (auto it = keys_.begin(); it != keys_.end(); ++it) {
        if (it->second.in_t2 != from_t1 &&
            (least == keys_.end() || it->second.Turn() < least->second.Turn()))
          least = it;
      }
      if (least == keys_.end()) {
        from_t1 = !from_t1;
        continue;
      }
      if (from_t1 && least->second.again) {
        least->second.in_t2 = true;
        continue;
      }
      const uint64_t key = least->first;
      keys_.erase(least);
      WalkT1();
      ghosts_[from_t1 ? 0 : 1].push_back(key);
      TrimGhosts();
      return key;
    }
  }

 private:
  struct Known {
    uint64_t used;
    bool again, in_t2;
    uint64_t filed = used;
    uint64_t Turn() const { return in_t2 ? used : filed; }
  };
  // C1: with each eviction two keys of T1 are met; here, all of them when that is due.
  void WalkT1() {
    const auto in_t1 = [](const auto& k) { return !k.second.in_t2; };
    to_meet_ += 2;
    if (to_meet_ < std::count_if(keys_.begin(), keys_.end(), in_t1)) return;
    to_meet_ = 0;
    for (auto& [key, known] : keys_) known.in_t2 = known.in_t2 || known.again;
  }
  void TrimGhosts() {
    while (true) {
      size_t t1 = 0;
      for (const auto& [key, known] : keys_) t1 += known.in_t2 ? 0 : 1;
      const size_t b1 = ghosts_[0].size(), b2 = ghosts_[1].size();
      const bool once_over = b1 > 0 && t1 + b1 > keys_.size();
      if (!once_over && b1 + b2 <= keys_.size()) return;
      ghosts_[once_over || b2 == 0 ? 0 : 1].pop_front();
    }
  }

  std::map<uint64_t, Known> keys_;
  std::array<std::deque<uint64_t>, 2> ghosts_;
  double target_ = 0;
  uint64_t now_ = 0;
  std::ptrdiff_t to_meet_ = 0;
};

TEST_CASE("eviction policies: ARC takes the victims of the plain model") {
  FLUXKV_SEEDED(seed);
  // Without deletions: there the policy is told late, and lists have a void entry more for a
  // while.
  const auto run = [](uint64_t run_seed, size_t room, uint64_t universe, int requests) {
    std::mt19937_64 random(run_seed);
    EvictionCache cache(PolicyKind::kArc);
    ArcModel model;
    for (int i = 0; i < requests; ++i) {
      const uint64_t hot = random() % (universe / 10) + static_cast<uint64_t>(i) / 1000;
      const uint64_t key = random() % 2 == 0 ? hot % universe : random() % universe;
      if (!cache.Has(key) && cache.size() >= room) REQUIRE(cache.Evict() == model.Evict());
      cache.Use(key);
      model.Use(key);
      cache.evictable();  // a Session: events are read one by one, as the model has them
    }
  };
  run(seed, 3, 20, 20000 / kSlower);
  run(seed + 1, 50, 300, 30000 / kSlower);
  run(seed + 2, 240, 700, 20000 / kSlower);
}

TEST_CASE("eviction policies: ARC learns how many keys seen once to keep") {
  // A loop over more keys than there is room for, all used twice at once: only T1 can help.
  EvictionCache cache(PolicyKind::kArc);
  const auto use = [&](uint64_t key) {
    if (!cache.Has(key) && cache.size() >= 100) cache.Evict();
    cache.Use(key);
    cache.evictable();
  };
  for (uint64_t i = 0; i < 1000; ++i) {
    use(i % 40);  // T2
    use(i % 40);
  }
  CHECK(cache.figures().target == 0);
  for (uint64_t i = 0; i < 4000; ++i) use(1000 + i / 2 - (i % 2) * std::min<uint64_t>(i / 2, 80));
  CHECK(cache.figures().target > 20);
  const PolicyFigures f = cache.figures();
  CHECK(f.once + f.ghosts_once <= f.entries);
  CHECK(f.ghosts_once + f.ghosts_again <= f.entries);
}

// ---- LFU

TEST_CASE("eviction policies: LFU takes the lowest of the list whose turn it is [slow]") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  for (const size_t room : {5ul, 200ul, 5000ul / kSlower}) {
    EvictionCache cache(PolicyKind::kLfu, false, seed);
    const FrequencyOrder order(cache.eviction().clock(), true);
    std::map<uint64_t, bool> used_again;  // at any time; a counter may have decayed since
    // Keys that were never used again are in the once list; the others may be in either, those
    // that the policy has not met yet and those whose counters decayed there in the once list.
    const auto check_eviction = [&] {
      uint64_t lowest_once = ~uint64_t{0}, again_at_most = 0;
      std::map<uint64_t, uint64_t> places;
      for (const auto& [key, known] : cache.keys()) {
        places[key] = order.KeyOf(*known.node);
        if (used_again.at(key)) {
          ++again_at_most;
        } else {
          lowest_once = std::min(lowest_once, places[key]);
        }
      }
      const PolicyFigures f = cache.figures();
      REQUIRE(f.again <= again_at_most);
      const bool once_first = 20 * f.once >= f.entries || f.again == 0;
      const uint64_t victim = cache.Evict().value();
      if (once_first && lowest_once != ~uint64_t{0}) {
        REQUIRE(places.at(victim) <= lowest_once);
      } else if (!once_first) {
        size_t lower = 0;
        for (const auto& [key, place] : places)
          lower += used_again.at(key) && place < places.at(victim) ? 1 : 0;
        REQUIRE(lower <= again_at_most - f.again);
      }
    };
    for (size_t i = 0; i < std::max<size_t>(2000, 10 * room); ++i) {
      const uint64_t key = std::min(random() % (3 * room), random() % (6 * room));
      const bool known = cache.Has(key);
      if (!known && cache.size() >= room) {
        if (room <= 200 || i % 64 == 0) {
          check_eviction();
        } else {
          cache.Evict();
        }
      }
      cache.Use(key);
      cache.evictable();  // a Session: it is filed, and marked if its ghost was there
      used_again[key] = known || FrequencyOrder::UsedAgain(cache.node(key));
      cache.recorder().Sync(EvictionCache::kNowS);
    }
  }
}

TEST_CASE("eviction policies: LFU counters age with the minutes, and with what is evicted") {
  EvictionCache cache(PolicyKind::kLfu);
  const auto frequency = [&](uint64_t key) {
    return cache.eviction().Frequency(cache.node(key).access_s());
  };
  uint32_t now_s = EvictionCache::kNowS / 60 * 60;
  cache.Tidy(100, now_s);
  for (uint64_t key = 0; key < 100; ++key) cache.Use(key);
  while (frequency(1) < 20) cache.Use(1);
  cache.Tidy(100, now_s + 59);
  CHECK(frequency(1) == 20);
  cache.Tidy(100, now_s += 60);
  CHECK(frequency(1) == 19);
  cache.eviction().SetLfuDecayTime(10);
  cache.Tidy(100, now_s);
  cache.Tidy(100, now_s += 600);
  CHECK(frequency(1) == 18);
  cache.eviction().SetLfuDecayTime(0);
  cache.Tidy(100, now_s += 60000);
  CHECK(frequency(1) == 18);
  for (uint64_t key = 1000; key < 2000; ++key) {
    cache.Evict();
    cache.Use(key);
  }
  CHECK(frequency(1) == 18);  // lfu-decay-time 0: nothing decays
  cache.eviction().SetLfuDecayTime(1);
  for (uint64_t key = 2000; key < 12000; ++key) {
    cache.Evict();
    cache.recorder().Sync(now_s);
    cache.Use(key);
    cache.Use(key);
  }
  CHECK(!cache.Has(1));  // a hundred turnovers have passed
}

TEST_CASE("eviction policies: LFU takes what was popular weeks ago before what is used now") {
  EvictionCache cache(PolicyKind::kLfu);
  uint32_t now_s = EvictionCache::kNowS / 60 * 60;
  cache.Tidy(1000, now_s);
  for (uint64_t key = 0; key < 20; ++key) {
    for (int i = 0; i < 3000; ++i) cache.Use(key);
  }
  cache.evictable();
  // Each day some use of the others; key 0 is left alone for longer than ages can tell.
  for (int day = 0; day < 30; ++day) {
    now_s += 86400;
    for (int i = 0; i < 50; ++i) cache.Tidy(1000, now_s);
    for (uint64_t key = 1; key < 20; ++key) {
      for (int i = 0; i < 20; ++i) cache.Use(key);
    }
    CHECK(cache.eviction().Frequency(cache.node(1).access_s()) > 0);
    if (day >= 1) CHECK(cache.eviction().Frequency(cache.node(0).access_s()) == 0);
  }
  CHECK(cache.Evict() == 0u);
}

TEST_CASE("eviction policies: ghosts go with the keys") {
  for (const PolicyKind kind : {PolicyKind::kArc, PolicyKind::kLfu}) {
    CAPTURE(static_cast<int>(kind));
    EvictionCache cache(kind);
    for (uint64_t key = 0; key < 30000; ++key) {
      if (cache.size() >= 10000) cache.Evict();
      cache.Use(key);
      if (key % 3 == 0) cache.Use(key);
    }
    cache.evictable();
    const PolicyFigures full = cache.figures();
    CHECK(full.ghosts_once + full.ghosts_again > 2000);
    const auto few = [&](size_t keys) {
      while (cache.size() > keys) cache.Delete(cache.keys().begin()->first);
      for (int i = 0; i < 20; ++i) cache.Tidy(20000);
      return cache.figures();
    };
    const PolicyFigures left = few(100);
    CHECK(left.ghosts_once + left.ghosts_again <= 2 * left.entries);
    CHECK(left.target <= static_cast<double>(left.entries));
    const PolicyFigures empty = few(0);
    CHECK(empty.entries == 0);
    CHECK(empty.ghosts_once + empty.ghosts_again == 0);
  }
}

TEST_CASE("eviction policies: the figure of TTL's memory is that of its buckets") {
  EvictionCache cache(PolicyKind::kTtl, true);
  const size_t before = cache.figures().allocated_bytes;
  for (uint64_t key = 0; key < 20000; ++key) cache.Insert(key, 1000 + static_cast<int64_t>(key));
  cache.Tidy(100000);  // all are filed
  const size_t rising = cache.figures().allocated_bytes - before;
  constexpr size_t kItem = sizeof(Entry) <= 8 ? 16 : 24;  // with the deadline
  CHECK(rising >= 20000 * kItem);
  CHECK(rising <= 20000 * kItem * 5 / 4);  // full buckets are left behind without slack
  for (uint64_t key = 0; key < 20000; ++key) cache.Delete(key);
  cache.Tidy(100000);
  CHECK(cache.figures().entries == 0);
  CHECK(cache.figures().allocated_bytes <= before + 64);
}

// ---- Random

TEST_CASE("eviction policies: random takes each key equally often") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  constexpr uint64_t kKeys = 100;
  constexpr int kRounds = 40000 / kSlower;
  EvictionCache cache(PolicyKind::kRandom);
  std::array<int, kKeys> evicted{};
  for (uint64_t key = 0; key < kKeys; ++key) cache.Use(key);
  for (int i = 0; i < kRounds; ++i) {
    const uint64_t victim = cache.Evict().value();
    ++evicted[victim];
    cache.Use(victim);
    if (i % 10 == 0) {
      const uint64_t key = random() % kKeys;
      cache.Delete(key);
      cache.Use(key);
    }
  }
  const double expected = static_cast<double>(kRounds) / kKeys;
  double chi = 0;
  for (const int n : evicted) chi += (n - expected) * (n - expected) / expected;
  CHECK(chi < 180);  // 99 degrees of freedom: once in a million runs
}

// ---- Deadlines

TEST_CASE("eviction policies: the earliest deadline goes first, wherever it was moved") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  EvictionCache cache(PolicyKind::kTtl, true);
  std::set<std::pair<int64_t, uint64_t>> model;
  const auto deadline = [&] { return static_cast<int64_t>(1 + random() % 50000); };
  for (int i = 0; i < 60000 / kSlower; ++i) {
    const uint64_t key = random() % 6000;
    if (!cache.Has(key)) {
      const int64_t at = random() % 4 == 0 ? 0 : deadline();
      cache.Insert(key, at);
      if (at != 0) model.emplace(at, key);
    } else if (random() % 2 == 0) {
      const int64_t was = cache.keys().at(key).state.expiry_ms;
      const int64_t at = random() % 4 == 0 ? 0 : deadline();
      cache.SetDeadline(key, at);
      model.erase({was, key});
      if (at != 0) model.emplace(at, key);
    } else if (random() % 3 == 0) {
      model.erase({cache.keys().at(key).state.expiry_ms, key});
      cache.Delete(key);
    } else if (!model.empty()) {
      // Of two keys with one deadline either may go.
      const uint64_t victim = cache.Evict().value();
      REQUIRE(cache.evicted_state().expiry_ms == model.begin()->first);
      model.erase({model.begin()->first, victim});
      if (i % 50 != 0) continue;
      cache.Tidy(100);
    }
    if (i % 100 == 0) REQUIRE(cache.evictable() == model.size());
  }
}

TEST_CASE("eviction policies: volatile ones know only keys with a deadline") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  for (const PolicyKind kind :
       {PolicyKind::kLru, PolicyKind::kLfu, PolicyKind::kArc, PolicyKind::kRandom}) {
    EvictionCache cache(kind, true);
    for (int i = 0; i < 20000 / kSlower; ++i) {
      const uint64_t key = random() % 300;
      if (!cache.Has(key)) {
        cache.Insert(key, static_cast<int64_t>(random() % 2));
      } else if (random() % 4 == 0) {
        cache.SetDeadline(key, static_cast<int64_t>(random() % 3));
      } else if (random() % 4 == 0) {
        cache.Delete(key);
      } else if (random() % 4 == 0) {
        if (cache.Evict()) REQUIRE(cache.evicted_state().expiry_ms != 0);
      } else {
        cache.Use(key);
      }
      if (i % 100 == 0) {
        cache.Tidy(200);
        size_t with_deadline = 0;
        for (const auto& [k, known] : cache.keys()) with_deadline += known.state.expiry_ms != 0;
        REQUIRE(cache.evictable() == with_deadline);
      }
    }
  }
}

// ---- Scenes

TEST_CASE("eviction policies: what was used stays, in a cache with room for two") {
  EvictionCache lru(PolicyKind::kLru);
  lru.Use(1);
  lru.Use(2);
  lru.Use(1);
  lru.Use(2);
  CHECK(lru.Evict() == 1);
  lru.Use(3);
  lru.Use(2);  // 2 is older than 3, and used later
  CHECK(lru.Evict() == 3);

  EvictionCache lfu(PolicyKind::kLfu);
  for (const uint64_t key : {1, 2, 3, 1, 3}) lfu.Use(key);
  CHECK(lfu.Evict() == 2);  // the fewest uses
  lfu.Use(4);
  CHECK(lfu.Evict() == 4);
  CHECK(lfu.Evict() == 1);  // as often as 3, and less lately

  EvictionCache arc(PolicyKind::kArc);
  for (const uint64_t key : {1, 2, 1, 3}) arc.Use(key);
  CHECK(arc.Evict() == 2);  // used once, and before 3
}

TEST_CASE("eviction policies: a key overwritten again and again has one entry") {
  for (const PolicyKind kind : {PolicyKind::kLru, PolicyKind::kLfu, PolicyKind::kArc,
                                PolicyKind::kRandom, PolicyKind::kTtl}) {
    EvictionCache cache(kind);
    for (uint64_t key = 0; key < 100; ++key) cache.Insert(key, 1000);
    for (int i = 0; i < 20000; ++i) {
      cache.Use(0);
      cache.SetDeadline(0, 1000 + i % 7);
      if (i % 100 == 0) cache.Tidy(100);
    }
    CHECK(cache.evictable() == 100);
    CHECK(cache.figures().entries == 100);
    for (int i = 0; i < 20000; ++i) {
      cache.Delete(0);
      cache.Insert(0, 1000);
      cache.Tidy(100);
    }
    CHECK(cache.evictable() == 100);
    CHECK(cache.figures().entries <= 100 + 2 * 1024);
    std::set<uint64_t> gone;
    while (const auto victim = cache.Evict()) gone.insert(*victim);
    CHECK(gone.size() == 100);
  }
}

TEST_CASE("eviction policies: there is a victim at once when all keys were used since") {
  for (const PolicyKind kind : {PolicyKind::kLru, PolicyKind::kLfu, PolicyKind::kArc}) {
    EvictionCache cache(kind);
    constexpr uint64_t kKeys = 40000;
    for (uint64_t key = 0; key < kKeys; ++key) cache.Use(key);
    for (uint64_t key = 0; key < kKeys; ++key) cache.Use(key);
    while (!cache.Tidy(1000)) {
    }
    for (int i = 0; i < 100; ++i) {
      std::vector<Victim> victims;
      Eviction::Session session(cache.eviction());
      session.Pick(1, &victims);
      REQUIRE(victims.size() == 1);
      session.PutBack(victims[0]);
    }
  }
}

TEST_CASE("eviction policies: memory for each key [slow]") {
  constexpr size_t kRoom = 100000;
  const std::map<PolicyKind, double> above = {{PolicyKind::kLru, 2.5},
                                              {PolicyKind::kLfu, 6},
                                              {PolicyKind::kRandom, 1.5},
                                              {PolicyKind::kArc, 9}};  // ghosts
  for (const auto& [kind, most] : above) {
    EvictionCache cache(kind);
    std::mt19937_64 random(7);
    for (size_t i = 0; i < 5 * kRoom; ++i) {
      const uint64_t key = std::min(random() % (4 * kRoom), random() % (4 * kRoom));
      if (!cache.Has(key) && cache.size() >= kRoom) cache.Evict();
      cache.Use(key);
      if (i % 1000 == 0) cache.Tidy(1000);
    }
    const double bytes = static_cast<double>(cache.figures().allocated_bytes) / kRoom;
    INFO("policy ", static_cast<int>(kind));
    CHECK(bytes <= sizeof(Entry) + most);
    CHECK(bytes > sizeof(Entry));
  }
}

}  // namespace
}  // namespace fluxkv::engine
