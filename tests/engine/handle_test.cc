// Goal: places that a handle got ahead are taken in order, each once, by the key they were got for,
// and none after the epoch they were got in. Method: by hand.
#include "engine/interval_walk.h"
#include "tests/engine/test_support.h"

namespace fluxkv::engine {
namespace {

TEST_CASE("handle: places got ahead are taken by their keys, within the epoch") {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  Handle& handle = session.handle();
  const std::array<std::string_view, 3> keys = {"a", "b", "c"};
  const std::array<uint64_t, 3> hashes = {Key(keys[0]).hash, Key(keys[1]).hash, Key(keys[2]).hash};
  CHECK_FALSE(handle.TakePlace(hashes[0]));
  handle.PrefetchPlaces(0, keys, hashes);
  CHECK_FALSE(handle.TakePlace(Key("x").hash));
  CHECK(handle.TakePlace(hashes[1]));
  CHECK_FALSE(handle.TakePlace(hashes[1]));
  CHECK_FALSE(handle.TakePlace(hashes[0]));  // its turn has passed
  CHECK(handle.TakePlace(hashes[2]));

  handle.PrefetchPlaces(0, keys, hashes);
  handle.Breathe(1);  // too little has happened to leave the epoch
  CHECK(handle.TakePlace(hashes[0]));
  handle.Breathe(limits::kEpochCommandsMax);
  CHECK_FALSE(handle.TakePlace(hashes[1]));
}

TEST_CASE("handle: keys made with places got ahead are found in order") {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  Handle& handle = session.handle();
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  std::set<std::string> made[2];
  for (int round = 0; round < 200; ++round) {
    std::vector<std::string> names;
    std::vector<std::string_view> keys;
    std::vector<uint64_t> hashes;
    for (size_t n = 1 + random() % OrderedList::kPrefetchMost; n > 0; --n)
      names.push_back(std::to_string(random() % 20000));
    for (const std::string& name : names) {
      keys.push_back(name);
      hashes.push_back(Key(keys.back()).hash);
    }
    handle.PrefetchPlaces(0, keys, hashes);
    // Not all are made, and some in another database than the places are of.
    for (const std::string& name : names) {
      const uint32_t db = random() % 4 == 0 ? 1 : 0;
      if (random() % 8 == 0) continue;
      session.Set(db, name, "v");
      made[db].insert(name);
    }
    session.Breathe();
  }
  for (uint32_t db = 0; db < 2; ++db) {
    std::vector<std::string> found;
    const KeyInterval all;
    CHECK(VisitUp(database.store().Root(db)->keyspace->list, all, [&](const Node& node) {
      found.emplace_back(node.key());
      return true;
    }));
    CHECK(found == std::vector<std::string>(made[db].begin(), made[db].end()));
  }
}

}  // namespace
}  // namespace fluxkv::engine
