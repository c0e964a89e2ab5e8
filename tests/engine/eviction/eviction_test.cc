// Goal: whatever threads file, unfile, read and evict at once, nothing that was freed is looked
// at, and each evictable key has exactly one entry; spaces and policies can be exchanged
// meanwhile.
// Method: a table of keys with a latch each, whose nodes writers make, change and retire through
// the engine's epochs while evictors and readers run; at the end all that is left is evicted and
// compared with the table. Under ThreadSanitizer and AddressSanitizer this is the proof for the
// order of events. Single-threaded cases for spaces and for changes of policy.
#include "engine/eviction/eviction.h"

#include "engine/epoch.h"
#include "tests/engine/eviction/eviction_support.h"

namespace fluxkv::engine {
namespace {

constexpr uint64_t kKeys = 512;

// What stands for the keyspace. A node and the state of its key change under the key's latch.
class Table {
 public:
  struct Slot {
    Latch latch;
    std::atomic<Node*> node{nullptr};
    KeyState state;  // guarded by latch
  };

  explicit Table(PolicyKind kind, bool volatile_only) {
    Eviction::Session session(eviction);
    session.Switch(kind, volatile_only, EvictionCache::kNowS);
    space.number = *session.NewSpace();
    space.filed_below = EvictionSpace::kEverything;
  }

  static void Retire(Reclaimer& reclaimer, Node* node) {
    reclaimer.Retire(node, node->AllocatedBytes(),
                     [](void* p) { Node::Delete(static_cast<Node*>(p)); });
  }
  // Requires: the slot's latch held.
  void Change(size_t thread, Slot& slot, uint64_t key, KeyState is, AccessRecorder& recorder,
              Reclaimer& reclaimer) {
    const std::string_view bytes(reinterpret_cast<const char*>(&key), sizeof(key));
    Node* node = slot.node.load(std::memory_order_relaxed);
    if (node == nullptr) node = Node::New(bytes, recorder.Fresh());
    eviction.NoteChange(thread, space, node, HashBytes(bytes), slot.state, is);
    slot.state = is;
    slot.node.store(is.live ? node : nullptr, std::memory_order_release);
    if (!is.live) Retire(reclaimer, node);
  }
  // Returns how many of the victims it deleted.
  size_t Evict(size_t count, Reclaimer& reclaimer) {
    std::vector<Victim> victims;
    { Eviction::Session(eviction).Pick(count, &victims); }
    std::vector<bool> deleted;
    for (const Victim& victim : victims) {
      Node* node = victim.entry.node();
      Slot& slot = slots[EvictionCache::KeyOf(node)];
      slot.latch.Lock();
      const bool same = slot.node.load(std::memory_order_relaxed) == node &&
                        eviction.MayEvict(victim, slot.state);
      if (same) {
        slot.node.store(nullptr, std::memory_order_release);
        slot.state = {};
        Retire(reclaimer, node);
      }
      slot.latch.Unlock();
      deleted.push_back(same);
    }
    Eviction::Session session(eviction);
    for (size_t i = 0; i < victims.size(); ++i) {
      if (deleted[i]) {
        session.NoteEvicted(victims[i]);
      } else {
        session.PutBack(victims[i]);
      }
    }
    return static_cast<size_t>(std::count(deleted.begin(), deleted.end(), true));
  }

  Epochs epochs;
  Eviction eviction;
  EvictionSpace space;
  std::array<Slot, kKeys> slots;
};

void Churn(PolicyKind kind, bool volatile_only, uint64_t seed) {
  Table table(kind, volatile_only);
  std::atomic<int> writing{3};
  constexpr int kRounds = 12000 / kSlower;
  RunThreads(6, [&](size_t thread) {
    std::mt19937_64 random(seed + thread);
    Reclaimer reclaimer(table.epochs);
    AccessRecorder recorder(table.eviction.clock(), seed + thread);
    const bool writer = thread < 3;
    for (int i = 0; writer ? i < kRounds : writing.load() > 0; ++i) {
      reclaimer.Enter();
      recorder.Sync(EvictionCache::kNowS + static_cast<uint32_t>(i) / 100);
      const uint64_t key = random() % kKeys;
      Table::Slot& slot = table.slots[key];
      if (writer) {
        slot.latch.Lock();
        const bool live = !(slot.state.live && random() % 4 == 0);
        const KeyState is{.live = live,
                          .expiry_ms = live ? static_cast<int64_t>(random() % 3 * 1000) : 0};
        table.Change(thread, slot, key, is, recorder, reclaimer);
        slot.latch.Unlock();
      } else if (thread == 3) {
        for (int n = 0; n < 16; ++n) {
          Node* node = table.slots[random() % kKeys].node.load(std::memory_order_acquire);
          if (node != nullptr) recorder.Touch(*node);
        }
      } else if (random() % 8 == 0) {
        Eviction::Session(table.eviction).Tidy(EvictionCache::kNowS, random() % 500);
      } else {
        table.Evict(1 + random() % 4, reclaimer);
      }
      reclaimer.Leave();
    }
    if (writer) writing.fetch_sub(1);
  });
  size_t expected = 0, evicted = 0;
  for (const Table::Slot& slot : table.slots) {
    const bool wanted = slot.state.live && (!volatile_only || slot.state.expiry_ms != 0);
    expected += wanted ? 1 : 0;
  }
  Reclaimer reclaimer(table.epochs);
  reclaimer.Enter();
  CHECK(Eviction::Session(table.eviction).keys() == expected);
  for (size_t i = 0; i < kKeys && Eviction::Session(table.eviction).keys() > 0; ++i)
    evicted += table.Evict(16, reclaimer);
  CHECK(evicted == expected);
  CHECK(Eviction::Session(table.eviction).keys() == 0);
  // Every entry that is left is one that was counted as void.
  const PolicyFigures left = Eviction::Session(table.eviction).figures();
  CHECK(left.entries == left.void_entries);
  for (Table::Slot& slot : table.slots) {
    if (Node* node = slot.node.load(); node != nullptr) {
      CHECK(volatile_only);
      Table::Retire(reclaimer, node);
    }
  }
  reclaimer.Leave();
}

TEST_CASE("eviction threads: files, deletions, reads and evictions at once") {
  FLUXKV_SEEDED(seed);
  for (const bool volatile_only : {false, true}) {
    Churn(PolicyKind::kLru, volatile_only, seed);
    Churn(PolicyKind::kLfu, volatile_only, seed);
    Churn(PolicyKind::kArc, volatile_only, seed);
    Churn(PolicyKind::kRandom, volatile_only, seed);
  }
  Churn(PolicyKind::kTtl, true, seed);
}

TEST_CASE("eviction: entries of a dropped space go without a look, its number comes again") {
  for (const PolicyKind kind : {PolicyKind::kLru, PolicyKind::kLfu, PolicyKind::kArc,
                                PolicyKind::kRandom, PolicyKind::kTtl}) {
    EvictionCache cache(kind);
    EvictionSpace other{.number = Eviction::Session(cache.eviction()).NewSpace().value(),
                        .filed_below = EvictionSpace::kEverything};
    std::vector<Node*> nodes;
    for (uint64_t i = 0; i < 5000; ++i) {
      Node* node = nodes.emplace_back(Node::New(std::to_string(i), cache.recorder().Fresh()));
      cache.eviction().NoteChange(0, other, node, HashBytes(node->key()), {},
                                  {.live = true, .expiry_ms = static_cast<int64_t>(i + 1)});
      if (i % 10 == 0) cache.Insert(i, 100000);
    }
    for (size_t i = 0; i < 100; ++i)
      cache.eviction().NoteChange(0, other, nodes[i], HashBytes(nodes[i]->key()),
                                  {.live = true, .expiry_ms = static_cast<int64_t>(i + 1)}, {});
    CHECK(cache.evictable() == 5400);
    { Eviction::Session(cache.eviction()).DropSpace(other.number); }
    for (Node* node : nodes) Node::Delete(node);
    CHECK(cache.evictable() == 500);
    CHECK(Eviction::Session(cache.eviction()).NewSpace() != other.number);
    while (!cache.Tidy(500)) {
    }
    CHECK(cache.figures().void_entries == 0);
    CHECK(cache.figures().entries == 500);
    CHECK(Eviction::Session(cache.eviction()).NewSpace() == other.number);
    size_t evicted = 0;
    while (cache.Evict()) ++evicted;
    CHECK(evicted == 500);
  }
}

TEST_CASE("eviction: a change of policy files every key once, a page at a time") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  EvictionCache cache(PolicyKind::kLru);
  for (uint64_t key = 0; key < 3000; ++key) cache.Insert(key, static_cast<int64_t>(key % 2));
  for (const auto& [kind, volatile_only] :
       std::vector<std::pair<PolicyKind, bool>>{{PolicyKind::kArc, false},
                                                {PolicyKind::kTtl, true},
                                                {PolicyKind::kLfu, false},
                                                {PolicyKind::kRandom, true},
                                                {PolicyKind::kLru, false}}) {
    const AccessKind former = cache.eviction().clock().kind();
    {
      Eviction::Session session(cache.eviction());
      session.Switch(kind, volatile_only, EvictionCache::kNowS);
      cache.space() = {.number = session.NewSpace().value(), .filed_below = 0};
    }
    cache.recorder().Sync(EvictionCache::kNowS);
    // The walk, in order of hash, with writes between its pages.
    constexpr uint64_t kPages = 50;
    for (uint64_t page = 1; page <= kPages; ++page) {
      const uint64_t below = page == kPages ? EvictionSpace::kEverything
                                            : (uint64_t{1} << kScanHashBits) / kPages * page;
      for (const auto& [key, known] : cache.keys()) {
        const uint64_t hash = HashBytes(known.node->key()), at = ScanHash(hash);
        if (at < cache.space().filed_below || at >= below) continue;
        const uint32_t field = known.node->access_s();
        known.node->ReplaceAccess(field,
                                  cache.eviction().Converted(former, field, EvictionCache::kNowS));
        cache.eviction().File(1, cache.space().number, known.node, hash, known.state);
      }
      cache.space().filed_below = below;
      for (int i = 0; i < 30; ++i) {
        const uint64_t key = random() % 3500;
        if (!cache.Has(key)) {
          cache.Insert(key, static_cast<int64_t>(random() % 2));
        } else if (random() % 2 == 0) {
          cache.Delete(key);
        } else {
          cache.SetDeadline(key, static_cast<int64_t>(random() % 3));
        }
      }
      if (page % 10 == 0) cache.Evict();
    }
    size_t expected = 0;
    for (const auto& [key, known] : cache.keys())
      expected += !volatile_only || known.state.expiry_ms != 0 ? 1 : 0;
    REQUIRE(cache.evictable() == expected);
  }
}

constexpr std::array kKinds = {PolicyKind::kLru, PolicyKind::kLfu, PolicyKind::kArc,
                               PolicyKind::kRandom, PolicyKind::kTtl};

// So many victims, which are in the caller's hands now.
std::vector<Victim> Picked(EvictionCache& cache, size_t count) {
  std::vector<Victim> victims;
  Eviction::Session(cache.eviction()).Pick(count, &victims);
  REQUIRE(victims.size() == count);
  return victims;
}

TEST_CASE("eviction: a victim of a former policy is nobody's") {
  EvictionCache cache(PolicyKind::kLru);
  for (uint64_t key = 0; key < 10; ++key) cache.Use(key);
  const std::vector<Victim> victims = Picked(cache, 2);
  Eviction::Session session(cache.eviction());
  session.Switch(PolicyKind::kLfu, false, EvictionCache::kNowS);
  session.PutBack(victims[0]);
  session.NoteEvicted(victims[1]);
  CHECK(session.keys() == 0);
}

TEST_CASE("eviction: a key counts while it is a victim in somebody's hands") {
  for (const PolicyKind kind : kKinds) {
    EvictionCache cache(kind);
    cache.Insert(1, 1000);
    cache.Insert(2, 2000);
    const std::vector<Victim> victims = Picked(cache, 2);
    CHECK(cache.evictable() == 2);
    // Not when somebody deleted it meanwhile; a third key is not taken for it.
    cache.Delete(EvictionCache::KeyOf(victims[0].entry.node()));
    CHECK(cache.evictable() == 1);
    cache.Insert(3, 3000);
    CHECK(cache.evictable() == 2);
    Eviction::Session session(cache.eviction());
    session.PutBack(victims[0]);
    CHECK(session.keys() == 2);
    session.NoteEvicted(victims[1]);
    CHECK(session.keys() == 1);
  }
}

TEST_CASE("eviction: a victim that was deleted by somebody else does not come again") {
  for (const PolicyKind kind : kKinds) {
    EvictionCache cache(kind);
    cache.Insert(1, 1000);
    cache.Insert(2, 2000);
    const std::vector<Victim> victims = Picked(cache, 1);
    const uint64_t deleted = EvictionCache::KeyOf(victims[0].entry.node());
    cache.Delete(deleted);
    { Eviction::Session(cache.eviction()).PutBack(victims[0]); }
    CHECK(cache.evictable() == 1);
    CHECK(cache.Evict() == 3 - deleted);
    CHECK(!cache.Evict());
    CHECK(cache.figures().entries == cache.figures().void_entries);
  }
}

TEST_CASE("eviction: idle seconds under a policy with ticks") {
  EvictionCache cache(PolicyKind::kLru);
  Eviction& eviction = cache.eviction();
  uint32_t now_s = EvictionCache::kNowS;
  cache.Use(1);
  for (int i = 0; i < 600; ++i) {
    cache.Tidy(10, now_s);
    cache.Use(2);
    cache.recorder().Sync(now_s);
    cache.Tidy(10, ++now_s);
  }
  CHECK(eviction.IdleSeconds(cache.node(2).access_s(), now_s) <= 1);
  const uint32_t idle = eviction.IdleSeconds(cache.node(1).access_s(), now_s);
  CHECK(idle >= 590);
  CHECK(idle <= 610);
  for (const uint32_t wanted : {0u, 10u, 300u, 86400u, 30 * 86400u}) {
    const uint32_t got = eviction.IdleSeconds(eviction.FieldOfIdle(wanted, now_s), now_s);
    CHECK(std::abs(static_cast<double>(got) - wanted) <= 2 + 0.06 * wanted);
  }
  CHECK(eviction.Converted(AccessKind::kSeconds, now_s - 300, now_s) ==
        eviction.FieldOfIdle(300, now_s));
}

}  // namespace
}  // namespace fluxkv::engine
