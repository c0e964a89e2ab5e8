// Goal: a watched key counts as changed exactly when it was written, deleted, expired, flushed or
// swapped since, whatever the collector buries meanwhile.
// Method: each kind of change by hand; then a counter that many threads raise by watch and
// latched commit, with deletes and Vacuum beside it.
#include "tests/engine/test_support.h"

namespace fluxkv::engine {
namespace {

// As EXEC asks: under the key's latch.
bool Changed(Database& database, Session& session, std::string_view name, const WatchToken& token) {
  const Key key(name);
  session.Latch(token.db, key);
  const bool changed = database.Changed(token);
  session.txn().Rollback();
  return changed;
}

void Vacuum(Database& database, Session& session) {
  session.LeaveEpoch();
  database.Vacuum();
  session.EnterEpoch();
}

TEST_CASE("watch: what changes a key and what does not") {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  for (const bool vacuum : {false, true}) {
    const auto pause = [&] {
      if (vacuum) Vacuum(database, session);
    };
    const auto watched = [&](auto change) {
      const WatchToken token = database.Watch(0, Key("k"));
      pause();
      change();
      pause();
      const bool changed = Changed(database, session, "k", token);
      database.Unwatch(token);
      return changed;
    };
    CHECK_FALSE(watched([] {}));
    CHECK(watched([&] { session.Set(0, "k", "v"); }));
    CHECK_FALSE(watched([] {}));
    CHECK_FALSE(watched([&] { session.Get(0, "k"); }));
    CHECK(watched([&] { session.Set(0, "k", "v"); }));  // the same value counts as well
    CHECK_FALSE(watched([&] { session.Set(0, "other", "v"); }));
    CHECK_FALSE(watched([&] { session.Set(1, "k", "v"); }));
    session.Delete(1, "k");
    CHECK(watched([&] { session.Delete(0, "k"); }));
    CHECK_FALSE(watched([&] { session.Delete(0, "k"); }));  // there was nothing to delete
    CHECK(watched([&] {                                     // came and went
      session.Set(0, "k", "v");
      session.Delete(0, "k");
      pause();
    }));
    session.Set(0, "k", "v");
    CHECK(watched([&] {
      session.Delete(0, "k");
      pause();
      session.Set(0, "k", "v");
    }));
    CHECK(watched([&] {
      session.txn().BeginExclusive();
      session.txn().ClearDatabase(0);
      session.Finish();
    }));
    CHECK_FALSE(watched([&] {  // flushed, but it was not there
      session.txn().BeginExclusive();
      session.txn().ClearDatabase(0);
      session.Finish();
    }));
    session.Set(2, "k", "v");
    CHECK(watched([&] {  // swapped in
      session.txn().BeginExclusive();
      session.txn().SwapDatabases(0, 2);
      session.Finish();
    }));
    CHECK(watched([&] {  // and out
      session.txn().BeginExclusive();
      session.txn().SwapDatabases(0, 2);
      session.Finish();
    }));
    session.Set(0, "k", "v");
    CHECK(watched([&] {  // out and in again: it was another key for a while
      for (int i = 0; i < 2; ++i) {
        session.txn().BeginExclusive();
        session.txn().SwapDatabases(0, 2);
        session.Finish();
      }
    }));
    CHECK_FALSE(watched([&] {  // other databases
      session.txn().BeginExclusive();
      session.txn().SwapDatabases(1, 2);
      session.txn().ClearDatabase(3);
      session.Finish();
    }));
    session.Delete(0, "k");
    session.Delete(1, "k");
    session.Delete(2, "k");
  }
}

TEST_CASE("watch: expiry changes a key") {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  session.Set(0, "k", "v", clock.Tick() + 20);
  const WatchToken token = database.Watch(0, Key("k"));
  CHECK(token.watched->live);
  session.LeaveEpoch();
  std::this_thread::sleep_for(std::chrono::milliseconds(40));
  clock.Tick();
  database.Vacuum();
  session.EnterEpoch();
  CHECK(Changed(database, session, "k", token));
  // Already expired when it was watched: it counts as absent, its removal is no change.
  const WatchToken late = database.Watch(0, Key("k"));
  CHECK_FALSE(late.watched->live);
  Vacuum(database, session);
  CHECK_FALSE(Changed(database, session, "k", late));
  database.Unwatch(token);
  database.Unwatch(late);
}

TEST_CASE("watch: increments by watch and commit lose nothing") {
  Clock clock;
  Database database({}, clock);
  std::atomic<uint64_t> increments{0};
  std::atomic<size_t> left{3};
  const uint64_t rounds = 10000 / kSlower;
  RunThreads(5, [&](size_t thread) {
    const Key key("counter"), noise("noise");
    if (thread == 4) {
      while (left > 0) database.Vacuum();
      return;
    }
    Session session(database);
    Transaction& txn = session.txn();
    if (thread == 3) {
      // Moves the counter to a new node: to 0 by deletion, when it is a multiple of ten.
      while (left > 0) {
        session.Latch(0, key);
        const Version* v = txn.Get(0, key);
        if (v != nullptr && v->payload().back() == '0') {
          increments -= std::stoull(Text(v));
          txn.Delete(0, key);
        }
        session.Finish();
      }
      return;
    }
    for (uint64_t done = 0; done < rounds;) {
      const WatchToken token = database.Watch(0, key);
      txn.BeginRead();
      const Version* v = txn.Get(0, key);
      const uint64_t n = v == nullptr ? 0 : std::stoull(Text(v));
      session.Finish();
      session.Latch(0, key);
      if (!database.Changed(token)) {
        txn.Put(0, key, NewValue(std::to_string(n + 1)));
        ++increments;
        ++done;
      }
      session.Finish();
      database.Unwatch(token);
    }
    --left;
  });
  Session session(database);
  const std::string last = session.Get(0, "counter");
  CHECK(increments == (last == "(absent)" ? 0 : std::stoull(last)));
}

}  // namespace
}  // namespace fluxkv::engine
