// Goal: the ordered list holds exactly the nodes put in, in byte order, and a walk through its
// pages finds every lasting one once, beside any inserts and removals (L1 to L8).
// Method: inserts ascending, descending and random against std::set, some by places got ahead;
// removal to nothing; threads that insert, remove and walk at once.
#include "engine/ordered_list.h"

#include <algorithm>
#include <optional>

#include "engine/interval_walk.h"
#include "tests/engine/test_support.h"

namespace fluxkv::engine {
namespace {

constexpr size_t kEntryBytes = 2 * sizeof(NodeRef);  // with its key's head

// Places got ahead, of keys that may be inserted later.
struct Ahead {
  static constexpr size_t kMost = OrderedList::kPrefetchMost;
  std::vector<std::string> names;
  std::array<OrderedList::Place, kMost> places;

  void Get(const OrderedList& list) {
    const std::vector<std::string_view> keys(names.begin(), names.end());
    list.Prefetch(keys, std::span(places).first(keys.size()));
  }
};

class ListNodes {
 public:
  ~ListNodes() {
    for (Node* node : all_) Node::Delete(node);
  }
  Node* New(std::string_view key) { return all_.emplace_back(Node::New(key, 0)); }

 private:
  std::vector<Node*> all_;
};

std::string Padded(uint64_t n) {
  std::string digits = std::to_string(n);
  return std::string(10 - digits.size(), '0') + digits;
}

// The keys of an interval, by pages from its begin to its end.
std::vector<std::string> WalkUp(const OrderedList& list, const KeyInterval& interval) {
  std::vector<std::string> keys;
  VisitUp(list, interval, [&](const Node& node) {
    keys.emplace_back(node.key());
    return true;
  });
  return keys;
}

std::vector<std::string> WalkFrom(const OrderedList& list, std::string_view start) {
  return WalkUp(list, {std::string(start), std::nullopt});
}

// From the last to the first.
std::vector<std::string> WalkDown(const OrderedList& list, const KeyInterval& interval) {
  std::vector<std::string> keys;
  VisitDown(list, interval, [&](const Node& node) {
    keys.emplace_back(node.key());
    return true;
  });
  return keys;
}

// All from `start` on, all below it, and the interval between it and another key; where a block
// begins is where a walk may go wrong.
void CheckSame(const OrderedList& list, const std::map<std::string, Node*>& model,
               std::string_view start) {
  OrderedList::Page page;
  list.Read(start, &page);
  for (const std::string& at : {std::string(start), std::string(page.low)}) {
    const auto from = model.lower_bound(at);
    std::vector<std::string> above, below;
    for (auto it = from; it != model.end(); ++it) above.push_back(it->first);
    for (auto it = from; it != model.begin();) below.push_back((--it)->first);
    REQUIRE(WalkUp(list, {at, std::nullopt}) == above);
    REQUIRE(WalkDown(list, {"", at}) == below);
    if (above.empty()) continue;
    const KeyInterval some{at, above[above.size() / 2]};
    above.resize(above.size() / 2);
    REQUIRE(WalkUp(list, some) == above);
    std::reverse(above.begin(), above.end());
    REQUIRE(WalkDown(list, some) == above);
    if (some.low == *some.high) continue;
    REQUIRE(WalkUp(list, {*some.high, some.low}).empty());
    REQUIRE(WalkDown(list, {*some.high, some.low}).empty());
  }
  REQUIRE(WalkDown(list, {}).size() == model.size());
}

std::string RandomName(std::mt19937_64& random) {
  if (random() % 4 == 0) {  // short binary keys, the empty one as well
    std::string name(random() % 4, '\0');
    for (char& c : name) c = static_cast<char>(random() % 3 * 127);
    return name;
  }
  return Padded(random() % 3000);
}

TEST_CASE("ordered list: ascending, descending, alternating, then removal to nothing") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  for (int order = 0; order < 4; ++order) {
    ListNodes nodes;
    Epochs epochs;
    OrderedList list;
    const size_t empty_bytes = list.allocated_bytes();
    Reclaimer reclaimer(epochs);
    reclaimer.Enter();
    std::map<std::string, Node*> model;
    const uint64_t count = 8000 / kSlower;
    for (uint64_t i = 0; i < count; ++i) {
      const uint64_t n = order == 0   ? i
                         : order == 1 ? count - i
                         : order == 2 ? (i % 2 == 0 ? i : 100000 - i)
                                      : i * 7919 % count;
      Node* node = nodes.New(Padded(n));
      if (!model.emplace(Padded(n), node).second) continue;
      list.Insert(node, reclaimer);
    }
    CheckSame(list, model, "");
    CheckSame(list, model, Padded(count / 2));
    CHECK(list.allocated_bytes() < empty_bytes + model.size() * 32);
    while (!model.empty()) {
      auto it = order == 0   ? model.begin()
                : order == 1 ? std::prev(model.end())
                             : model.lower_bound(Padded(random() % count));
      if (it == model.end()) it = model.begin();
      list.Remove(it->second, reclaimer);
      model.erase(it);
      if (model.size() % 500 == 0) CheckSame(list, model, "");
      if (model.size() % 64 == 0) {
        reclaimer.Leave();
        reclaimer.Enter();
      }
    }
    CHECK(WalkFrom(list, "").empty());
    CHECK(list.allocated_bytes() == empty_bytes);
    reclaimer.Leave();
  }
}

TEST_CASE("ordered list: many are taken out together") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  ListNodes nodes;
  Epochs epochs;
  OrderedList list;
  const size_t empty_bytes = list.allocated_bytes();
  Reclaimer reclaimer(epochs);
  reclaimer.Enter();
  for (const uint64_t in : {2, 3, 50, 100}) {  // of so many neighbours all go but one, or one goes
    std::map<std::string, Node*> model;
    for (int i = 0; i < 5000 / kSlower; ++i) {
      const std::string name = RandomName(random);
      if (model.contains(name)) continue;
      list.Insert(model[name] = nodes.New(name), reclaimer);
    }
    while (!model.empty()) {
      std::vector<Node*> out;
      auto it = model.lower_bound(RandomName(random));
      for (uint64_t n = random() % 300; n > 0 && it != model.end(); --n) {
        const bool stays = model.size() > 100 && (random() % in == 0) == (in % 2 == 0);
        if (!stays) out.push_back(it->second);
        it = stays ? std::next(it) : model.erase(it);
      }
      list.Remove(out, reclaimer);
      if (random() % 16 == 0) CheckSame(list, model, "");
    }
    CHECK(WalkFrom(list, "").empty());
    CHECK(list.allocated_bytes() == empty_bytes);
    reclaimer.Leave();
    reclaimer.Enter();
  }
  reclaimer.Leave();
}

void AgainstSet(std::string (*random_name)(std::mt19937_64&)) {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  ListNodes nodes;
  Epochs epochs;
  OrderedList list, other;
  Reclaimer reclaimer(epochs);
  reclaimer.Enter();
  std::map<std::string, Node*> model;
  Ahead ahead;
  for (int i = 0; i < 60000 / kSlower; ++i) {
    const bool is_ahead = !ahead.names.empty() && random() % 2 == 0;
    const size_t of = random() % Ahead::kMost;  // else the place is some other key's
    const std::string name = is_ahead ? ahead.names[of % ahead.names.size()] : random_name(random);
    auto it = model.find(name);
    const bool growing = i / 5000 % 2 == 0;
    if (it == model.end()) {
      if (!growing && random() % 4 != 0) continue;
      Node* node = model[name] = nodes.New(name);
      if (ahead.names.empty()) {
        list.Insert(node, reclaimer);
      } else {
        list.Insert(node, reclaimer, ahead.places[of % ahead.names.size()]);
      }
    } else if (!growing || random() % 4 == 0) {
      list.Remove(it->second, reclaimer);
      model.erase(it);
    }
    if (i % 64 == 0) {
      reclaimer.Leave();
      reclaimer.Enter();
      ahead.names.clear();
      for (size_t n = random() % (Ahead::kMost + 1); n > 0; --n)
        ahead.names.push_back(random_name(random));
      if (random() % 2 == 0) std::sort(ahead.names.begin(), ahead.names.end());
      ahead.Get(random() % 8 == 0 ? other : list);
    }
    if (i % 997 == 0) CheckSame(list, model, random_name(random));
    if (i > 0 &&
        i % (20000 / kSlower) == 0) {  // what a load leaves is as good as what was inserted
      ahead.names.clear();
      std::vector<Node*> in_order;
      for (const auto& [key, node] : model) in_order.push_back(node);
      REQUIRE(list.TakeAll() == in_order);
      OrderedList::Appender appender(list);
      for (const auto& [key, node] : model) appender.Append(node);
    }
  }
  CheckSame(list, model, "");
  reclaimer.Leave();
}

TEST_CASE("ordered list against a set") {
  AgainstSet(RandomName);
}

// L7. Some keys begin with others, or are equal up to zero bytes, of which heads have some as well;
// a few share little with the rest of their block.
std::string RandomSharing(std::mt19937_64& random) {
  static const std::string kLong = "a/prefix/that/many/keys/of/a/block/have";
  std::string name = kLong.substr(0, random() % 8 == 0 ? random() % kLong.size() : kLong.size());
  for (size_t more = random() % 10; more > 0; --more)
    name += static_cast<char>(random() % 8 == 0 ? 0 : random() % 5 * 63);
  return name;
}

TEST_CASE("ordered list: places of keys that ascend are those of their blocks") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  ListNodes nodes;
  Epochs epochs;
  OrderedList list;
  Reclaimer reclaimer(epochs);
  reclaimer.Enter();
  constexpr uint64_t kKeys = 20'000 / kSlower;
  for (uint64_t i = 0; i < kKeys; ++i) list.Insert(nodes.New(Padded(i * 10)), reclaimer);
  for (int round = 0; round < 2000 / kSlower; ++round) {
    // Neighbours, in one block or in two, or keys of several blocks.
    const uint64_t step = round % 3 == 0 ? 100 : 1, first = random() % (kKeys * 10);
    Ahead together, alone;
    for (size_t i = 0; i < Ahead::kMost; ++i) together.names.push_back(Padded(first + i * step));
    together.Get(list);
    for (size_t i = 0; i < Ahead::kMost; ++i) {
      alone.names = {together.names[i]};
      alone.Get(list);
      REQUIRE(together.places[i] == alone.places[0]);
    }
  }
  reclaimer.Leave();
}

// L8, with every number of keys that may be unsorted, and one more; in one block or two.
TEST_CASE("ordered list: what came since a block was last read is in order when it is read") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  for (size_t late = 0; late <= OrderedList::kUnsortedMost + 1; ++late) {
    ListNodes nodes;
    Epochs epochs;
    OrderedList list;
    Reclaimer reclaimer(epochs);
    reclaimer.Enter();
    std::map<std::string, Node*> model;
    const auto insert = [&] {
      // A fourth of the heads is the same, however little the keys share.
      const std::string name = (random() % 4 == 0 ? "user:" : "") + std::to_string(random());
      list.Insert(model[name] = nodes.New(name), reclaimer);
    };
    const size_t before = random() % OrderedList::kEntries;
    while (model.size() < before) insert();
    CheckSame(list, model, "");  // they are in order now
    while (model.size() < before + late) insert();
    if (late % 2 == 0 && !model.empty()) {  // from among those in order, or not
      const auto it = std::next(model.begin(), static_cast<ptrdiff_t>(random() % model.size()));
      list.Remove(it->second, reclaimer);
      model.erase(it);
    }
    CheckSame(list, model, "");
    reclaimer.Leave();
  }
}

TEST_CASE("ordered list: keys that share much and little") {
  AgainstSet(RandomSharing);
}

TEST_CASE("ordered list: blocks stay half full when keys come and go at random") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  ListNodes nodes;
  Epochs epochs;
  OrderedList list;
  Reclaimer reclaimer(epochs);
  reclaimer.Enter();
  const size_t kKeys = 20000 / kSlower;
  std::map<std::string, Node*> model;
  std::vector<std::string> names;
  const auto insert = [&] {
    std::string name = Padded(random() % 1'000'000'000);
    if (model.contains(name)) return;
    list.Insert(model[name] = nodes.New(name), reclaimer);
    names.push_back(std::move(name));
  };
  const auto remove = [&](size_t at) {
    list.Remove(model.at(names[at]), reclaimer);
    model.erase(names[at]);
    names[at] = std::move(names.back());
    names.pop_back();
  };
  while (names.size() < kKeys) insert();
  for (size_t i = 0; i < 8 * kKeys; ++i) {
    remove(random() % names.size());
    while (names.size() < kKeys) insert();
    if (i % 64 == 0) {
      reclaimer.Leave();
      reclaimer.Enter();
    }
  }
  CheckSame(list, model, "");
  CHECK(list.allocated_bytes() < kKeys * kEntryBytes * 5 / 2);  // 3.4 without merging
  // Most of them go: the others come together.
  while (names.size() > kKeys / 10) remove(random() % names.size());
  CheckSame(list, model, RandomName(random));
  CHECK(list.allocated_bytes() < kKeys / 10 * kEntryBytes * 3);
  reclaimer.Leave();
}

using OwnNode = std::pair<Node*, bool>;  // whether it is in the list

// Some from `at` on, by places got ahead in one epoch; where it ended.
size_t InsertTogether(OrderedList& list, std::span<OwnNode> nodes, size_t at, Reclaimer& mine) {
  nodes = nodes.first(std::min(nodes.size(), at + Ahead::kMost));
  Ahead ahead;
  mine.Enter();
  for (size_t i = at; i < nodes.size(); ++i) ahead.names.emplace_back(nodes[i].first->key());
  ahead.Get(list);
  for (size_t i = at; i < nodes.size(); ++i) {
    if (!nodes[i].second) list.Insert(nodes[i].first, mine, ahead.places[i - at]);
    nodes[i].second = true;
  }
  mine.Leave();
  return nodes.size();
}

void Churn(uint64_t seed, uint64_t keys_a_writer, int rounds) {
  constexpr size_t kWriters = 2, kWalkers = 2;
  constexpr uint64_t kLasting = 200;
  Epochs epochs;
  OrderedList list;
  std::vector<std::string> lasting;
  ListNodes lasting_nodes;
  std::array<std::vector<OwnNode>, kWriters> owned;
  {
    Reclaimer mine(epochs);
    mine.Enter();
    for (uint64_t i = 0; i < kLasting; ++i) {
      lasting.push_back(Padded(i * 10 * keys_a_writer / kLasting) + "!");
      list.Insert(lasting_nodes.New(lasting.back()), mine);
    }
    mine.Leave();
  }
  std::atomic<size_t> writers_left{kWriters};
  std::atomic<uint64_t> disorder{0}, lost{0}, strange{0}, walks{0};
  RunThreads(kWriters + kWalkers, [&](size_t thread) {
    Reclaimer mine(epochs);
    std::mt19937_64 random(seed + thread);
    if (thread < kWriters) {
      auto& nodes = owned[thread];
      for (uint64_t i = 0; i < keys_a_writer; ++i)
        nodes.emplace_back(Node::New(Padded(i * 10) + std::to_string(thread), 0), false);
      for (int r = 0; r < rounds; ++r) {
        // Runs of neighbours, so that blocks split and become one.
        const uint64_t first = random() % keys_a_writer;
        const uint64_t run = 1 + random() % (OrderedList::kEntries * 5 / 4);
        const bool insert = random() % 2 == 0;
        const bool together = insert && random() % 2 == 0;
        const uint64_t end = std::min(first + run, keys_a_writer);
        for (uint64_t i = first; i < end;) {
          if (together) {
            i = InsertTogether(list, std::span(nodes).first(end), i, mine);
            continue;
          }
          auto& [node, in] = nodes[i++];
          if (in == insert) continue;
          mine.Enter();
          if (insert)
            list.Insert(node, mine);
          else
            list.Remove(node, mine);
          in = insert;
          mine.Leave();
        }
      }
      --writers_left;
      return;
    }
    while (writers_left > 0) {
      mine.Enter();
      const bool down = random() % 2 == 0;
      std::vector<std::string> keys = down ? WalkDown(list, {}) : WalkFrom(list, "");
      if (down) std::reverse(keys.begin(), keys.end());
      mine.Leave();
      ++walks;
      for (size_t i = 1; i < keys.size(); ++i) disorder += keys[i - 1] < keys[i] ? 0 : 1;
      size_t found = 0;
      for (const std::string& key : keys) found += key.ends_with('!') ? 1 : 0;
      lost += kLasting - std::min<uint64_t>(found, kLasting);
      strange += found > kLasting ? 1 : 0;
    }
  });
  CHECK(walks > 0);
  CHECK(disorder == 0);
  CHECK(lost == 0);
  CHECK(strange == 0);
  std::set<std::string> expected(lasting.begin(), lasting.end());
  for (const auto& nodes : owned) {
    for (const auto& [node, in] : nodes)
      if (in) expected.emplace(node->key());
  }
  CHECK(WalkFrom(list, "") == std::vector<std::string>(expected.begin(), expected.end()));
  for (const auto& nodes : owned)
    for (const auto& [node, in] : nodes) Node::Delete(node);
}

TEST_CASE("ordered list: inserters, removers and walkers at once") {
  FLUXKV_SEEDED(seed);
  Churn(seed, 8000, 12000 / kSlower);
  Churn(seed + 1, 120, 60000 / kSlower);
}

TEST_CASE("ordered list: one block appears and goes under readers and writers") {
  // Everything behind a full head: the second block is emptied and made again all the time.
  Epochs epochs;
  OrderedList list;
  ListNodes nodes;
  {
    Reclaimer mine(epochs);
    mine.Enter();
    for (size_t i = 0; i < OrderedList::kEntries; ++i) list.Insert(nodes.New(Padded(i)), mine);
    mine.Leave();
  }
  std::array<Node*, 3> own;
  for (size_t i = 0; i < own.size(); ++i) own[i] = nodes.New("9" + std::to_string(i));
  std::atomic<uint64_t> wrong{0};
  const int rounds = 200000 / kSlower;
  RunThreads(3, [&](size_t thread) {
    Reclaimer mine(epochs);
    Node* node = own[thread];
    for (int i = 0; i < rounds; ++i) {
      mine.Enter();
      if (thread < 2) {
        list.Insert(node, mine);
        const auto keys = WalkFrom(list, node->key());
        wrong += std::count(keys.begin(), keys.end(), node->key()) == 1 ? 0 : 1;
        list.Remove(node, mine);
      } else if (i % 4 == 0) {
        const auto keys = WalkFrom(list, "");
        wrong += keys.size() < OrderedList::kEntries || keys.size() > OrderedList::kEntries + 2;
      }
      mine.Leave();
    }
  });
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace fluxkv::engine
