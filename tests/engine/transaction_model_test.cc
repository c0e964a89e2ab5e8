// Goal: every read in every mode answers what the committed history says, snapshots exactly as of
// their stamp, and the first committer wins exactly when it should.
// Method: one thread runs random transactions in all modes, with many snapshots open at once,
// Clear, Swap, range deletes and Vacuum in between, against a plain map of each database; range
// deletes are settled by the collector in steps of chance. A failure prints its seed.
#include <deque>
#include <optional>

#include "base/hash.h"
#include "engine/range_deletes.h"
#include "tests/engine/test_support.h"

namespace fluxkv::engine {
namespace {

constexpr uint32_t kDatabases = 4;
constexpr int64_t kPast = 1000;                // a deadline long over
constexpr int64_t kFuture = int64_t{1} << 50;  // one that never comes

struct Value {
  std::string text;
  int64_t expiry_ms = kNoExpiry;
  Stamp written = 0;
  bool dead = false;  // deleted; kept for its stamp

  bool live() const { return !dead && (expiry_ms == kNoExpiry || expiry_ms > kPast); }
};

// What one database number stands for.
struct Contents {
  uint64_t id = 0;
  std::map<std::string, Value> keys;
};

using State = std::array<Contents, kDatabases>;

// Writes of a transaction that is open: null for a delete.
using Overlay = std::map<std::pair<uint32_t, std::string>, std::optional<Value>>;

struct Open {
  std::unique_ptr<Transaction> txn;
  State seen;
  Overlay own;
  bool read_only = false;
  bool serializable = false;
  std::set<std::pair<uint32_t, std::string>> read;
  bool read_all = false;
};

class TransactionModel {
 public:
  explicit TransactionModel(uint64_t seed, bool active_expiry)
      : random_(seed),
        database_({.databases = kDatabases, .vacuum_interval_ms = nullptr, .on_expired = {}},
                  clock_),
        session_(database_) {
    database_.set_active_expiry(active_expiry);
    for (auto& contents : state_) contents.id = ++ids_;
  }

  void Run(int steps) {
    for (int i = 0; i < steps; ++i) {
      const uint64_t r = random_() % 100;
      if (r < 25)
        Latched();
      else if (r < 29)
        Exclusive();
      else if (r < 32)
        DeleteRange();
      else if (r < 50)
        Read();
      else if (r < 60)
        Begin();
      else if (r < 90)
        Step();
      else if (r < 97)
        End();
      else if (r < 98)
        Vacuum();
      else
        session_.Reenter();
    }
    while (!open_.empty()) End();
    open_.clear();
    CheckDeleted();
    while (!ranges_.empty()) Vacuum();
  }

 private:
  std::string Name() {
    static const std::array<std::string, 4> kPrefixes = {"", "a", "ab", std::string("\xff\xff")};
    return kPrefixes[random_() % 4] + std::to_string(random_() % 12);
  }
  uint32_t Db() { return static_cast<uint32_t>(random_() % 4 == 0 ? random_() % kDatabases : 0); }
  Value NewText() {
    Value v{.text = std::to_string(random_())};
    if (random_() % 30 == 0) v.text.resize(kBlobBytesMin + random_() % 100, 'z');
    const uint64_t r = random_() % 10;
    if (r == 0) v.expiry_ms = kPast;
    if (r == 1) v.expiry_ms = kFuture + static_cast<int64_t>(random_() % 1000);
    return v;
  }

  static const Value* Look(const State& state, const Overlay& own, uint32_t db,
                           const std::string& name) {
    if (auto it = own.find({db, name}); it != own.end())
      return it->second && it->second->live() ? &*it->second : nullptr;
    auto it = state[db].keys.find(name);
    return it != state[db].keys.end() && it->second.live() ? &it->second : nullptr;
  }
  // The live keys of a database in order.
  static std::map<std::string, Value> Live(const State& state, const Overlay& own, uint32_t db) {
    std::map<std::string, Value> live;
    for (const auto& [name, value] : state[db].keys)
      if (value.live()) live[name] = value;
    for (const auto& [where, value] : own) {
      if (where.first != db) continue;
      live.erase(where.second);
      if (value && value->live()) live[where.second] = *value;
    }
    return live;
  }

  static void CheckValue(const Version* got, const Value* expected) {
    REQUIRE((got != nullptr) == (expected != nullptr));
    if (got == nullptr) return;
    REQUIRE(got->payload() == expected->text);
    REQUIRE(got->expiry_ms() == expected->expiry_ms);
    REQUIRE(got->type() == kTestType);
  }

  void PointRead(Transaction& txn, const State& state, const Overlay& own, uint32_t db,
                 const std::string& name) {
    const Key key(name);
    const Value* expected = Look(state, own, db, name);
    if (random_() % 2 == 0)
      CheckValue(txn.Get(db, key), expected);
    else
      CheckValue(txn.Peek(db, key), expected);
    const auto idle = txn.IdleSeconds(db, key);
    REQUIRE(idle.has_value() == (expected != nullptr));
    if (idle) REQUIRE(*idle < 100000);
  }

  void Write(Transaction& txn, const State& state, Overlay* own, uint32_t db,
             const std::string& name) {
    const Key key(name);
    const Value* before = Look(state, *own, db, name);
    const uint64_t writes = txn.writes();
    if (random_() % 3 == 0) {
      REQUIRE(txn.Delete(db, key) == (before != nullptr));
      if (before != nullptr) (*own)[{db, name}] = std::nullopt;
      REQUIRE(txn.writes() == writes + (before != nullptr ? 1 : 0));
    } else {
      const Value v = NewText();
      (*own)[{db, name}] = v;
      txn.Put(db, key, NewValue(v.text, v.expiry_ms));
      REQUIRE(txn.writes() == writes + 1);
    }
    CheckValue(txn.Peek(db, key), Look(state, *own, db, name));
  }

  // Everything that reads many keys.
  void RangeRead(Transaction& txn, const State& state, const Overlay& own, uint32_t db) {
    const std::map<std::string, Value> live = Live(state, own, db);
    const std::string prefix = random_() % 2 == 0 ? "" : Name().substr(0, random_() % 3);
    if (random_() % 2 == 0) {
      const std::string start = random_() % 2 == 0 ? "" : Name();
      const bool after = random_() % 2 == 0;
      const size_t most = random_() % 3 == 0 ? random_() % 5 + 1 : SIZE_MAX;
      auto expected = after ? live.upper_bound(start) : live.lower_bound(start);
      const auto skip = [&] {
        while (expected != live.end() && !expected->first.starts_with(prefix)) ++expected;
      };
      size_t count = 0;
      const bool all = txn.Walk(db, start, after, prefix, [&](std::string_view key, auto& version) {
        skip();
        REQUIRE(expected != live.end());
        REQUIRE(key == expected->first);
        CheckValue(&version, &expected->second);
        ++expected;
        return ++count < most;
      });
      if (all) {
        skip();
        REQUIRE(expected == live.end());
      } else {
        REQUIRE(count == most);
      }
      return;
    }
    std::map<std::string, int> got;
    std::vector<ScanEntry> page;
    const size_t count = random_() % 3 == 0 ? 1 : random_() % 20 + 1;
    uint64_t cursor = 0;
    do {
      page.clear();
      uint64_t next = 0;
      txn.ScanPage(db, cursor, count, prefix, &page, &next);
      for (const ScanEntry& e : page) {
        const uint64_t hash = ScanHash(HashBytes(e.key));
        REQUIRE(hash >= cursor);
        if (next != 0) REQUIRE(hash < next);
        ++got[std::string(e.key)];
        auto it = live.find(std::string(e.key));
        REQUIRE(it != live.end());
        CheckValue(e.version, &it->second);
      }
      cursor = next;
    } while (cursor != 0);
    for (const auto& [name, value] : live) {
      if (name.starts_with(prefix)) REQUIRE(got[name] == 1);
    }
    auto random_key = txn.RandomKey(db);
    REQUIRE(random_key.has_value() == !live.empty());
    if (random_key) REQUIRE(live.contains(*random_key));
  }

  void Apply(const Overlay& own, Stamp stamp) {
    for (const auto& [where, value] : own) {
      auto& keys = state_[where.first].keys;
      if (value) {
        keys[where.second] = *value;
        keys[where.second].written = stamp;
      } else if (auto it = keys.find(where.second); it != keys.end() && !it->second.dead) {
        it->second = Value{.text = {}, .expiry_ms = kNoExpiry, .written = stamp, .dead = true};
      }
    }
  }

  void Latched() {
    Transaction& txn = session_.txn();
    std::vector<std::pair<uint32_t, std::string>> keys;
    const size_t count = random_() % 10 == 0 ? random_() % 40 + 1 : random_() % 3 + 1;
    for (size_t i = 0; i < count; ++i) keys.emplace_back(Db(), Name());
    std::vector<LatchKey> latches;
    for (const auto& [db, name] : keys) latches.push_back({db, Key(name).hash});
    txn.BeginLatched(latches);
    Overlay own;
    for (const auto& [db, name] : keys) {
      if (random_() % 2 == 0) PointRead(txn, state_, own, db, name);
      if (random_() % 4 != 0) Write(txn, state_, &own, db, name);
    }
    Finish(txn, own);
  }

  void Finish(Transaction& txn, const Overlay& own) {
    if (random_() % 8 == 0) {
      txn.Rollback();
    } else {
      REQUIRE(txn.Commit());
      REQUIRE(txn.commit_stamp() >= newest_);
      newest_ = txn.commit_stamp();
      Apply(own, newest_);
    }
    session_.Breathe();
  }

  void Exclusive() {
    Transaction& txn = session_.txn();
    txn.BeginExclusive();
    State state = state_;  // with Clear and Swap applied
    Overlay own;
    std::deque<std::string> names;  // a key's bytes must stay until the commit
    for (uint64_t n = random_() % 6; n > 0; --n) {
      const uint64_t r = random_() % 10;
      const uint32_t db = Db();
      if (r < 3) {
        PointRead(txn, state, own, db, Name());
      } else if (r < 7) {
        names.push_back(Name());
        Write(txn, state, &own, db, names.back());
      } else if (r < 8) {
        RangeRead(txn, state, own, db);
      } else if (r < 9) {
        // Clearing what has no keys changes nothing. Only the engine knows whether keys past their
        // deadline are still there.
        const bool touched = std::any_of(own.begin(), own.end(),
                                         [db](const auto& w) { return w.first.first == db; });
        const bool empty = !touched && txn.CountKeys(db) == 0;
        if (empty) REQUIRE(Live(state, own, db).empty());
        // Counters lag behind range deletes: whether it has none may be known to nobody.
        if (empty && database_.range_deletes() != 0) continue;
        txn.ClearDatabase(db);
        if (empty) continue;
        std::erase_if(own, [db](const auto& w) { return w.first.first == db; });
        state[db] = Contents{.id = ++ids_, .keys = {}};
      } else {
        const uint32_t other = Db();
        txn.SwapDatabases(db, other);
        std::swap(state[db], state[other]);
        Overlay swapped;
        for (auto& [where, value] : own) {
          const uint32_t to = where.first == db ? other : where.first == other ? db : where.first;
          swapped[{to, where.second}] = value;
        }
        own = std::move(swapped);
      }
    }
    if (random_() % 8 == 0) {
      txn.Rollback();
    } else {
      REQUIRE(txn.Commit());
      newest_ = txn.commit_stamp();
      for (uint32_t db = 0; db < kDatabases; ++db) {
        if (state[db].id != state_[db].id) replaced_[db] = newest_;
      }
      state_ = std::move(state);
      Apply(own, newest_);
    }
    session_.Breathe();
  }

  KeyInterval Interval() {
    if (random_() % 2 == 0) return KeyInterval::OfPrefix(Name().substr(0, random_() % 3));
    KeyInterval interval{Name(), std::nullopt};
    if (random_() % 4 != 0) interval.high = Name();
    return interval;
  }

  void DeleteRange() {
    const KeyInterval interval = Interval();
    if (interval.empty()) return;
    if (random_() % 3 != 0) {
      database_.LimitSettling(random_() % 30);
    } else if (random_() % 2 == 0) {
      database_.LimitSettling(std::nullopt);
    }
    const uint32_t db = Db();
    Transaction& txn = session_.txn();
    txn.BeginExclusive();
    uint64_t visited = 0, live = 0;
    std::shared_ptr<const RangeDelete> deleted = txn.DeleteRange(
        db, interval, [&](std::string_view) { ++visited; },
        random_() % 3 == 0 ? Transaction::kFewNodes : random_() % 4);
    Overlay own;
    for (const auto& [name, value] : state_[db].keys) {
      if (!value.live() || !interval.Holds(name)) continue;
      own[{db, name}] = std::nullopt;
      ++live;
    }
    if (random_() % 8 == 0) {
      txn.Rollback();
    } else {
      REQUIRE(txn.Commit());
      newest_ = txn.commit_stamp();
      Apply(own, newest_);
      if (deleted == nullptr) {
        REQUIRE(visited == live);
      } else {
        REQUIRE(deleted->stamp() == newest_);
        ranges_.emplace_back(std::move(deleted), live);
      }
    }
    session_.Breathe();
    CheckRanges();
  }

  // Whoever settled its keys: they are as many as there were.
  void CheckRanges() {
    std::erase_if(ranges_, [](const auto& range) {
      const auto& [deleted, live] = range;
      if (!deleted->settled()) {
        REQUIRE(deleted->keys() <= live);
        return false;
      }
      REQUIRE(deleted->keys() == live);
      return true;
    });
  }

  void Read() {
    Transaction& txn = session_.txn();
    txn.BeginRead();
    const bool marks = !open_.empty();
    for (uint64_t n = random_() % 5; n > 0; --n) PointRead(txn, state_, {}, Db(), Name());
    // Nobody else runs but the collector, which may bury a key in between.
    if (!marks) static_cast<void>(txn.Validate());
    REQUIRE(txn.Commit());
    session_.Breathe();
  }

  void Begin() {
    if (open_.size() >= 6) return;
    Open o;
    o.txn = std::make_unique<Transaction>(session_.handle());
    o.read_only = random_() % 3 == 0;
    o.serializable = random_() % 2 == 0 && !o.read_only;
    REQUIRE(o.txn->BeginSnapshot(o.serializable ? Isolation::kSerializable : Isolation::kSnapshot,
                                 o.read_only));
    REQUIRE(o.txn->snapshot() >= newest_);
    o.seen = state_;
    open_.push_back(std::move(o));
  }

  void StepRead(Open& o, uint32_t db, const std::string& name) {
    PointRead(*o.txn, o.seen, o.own, db, name);
    o.read.emplace(db, name);
  }

  void Step() {
    if (open_.empty()) return;
    Open& o = open_[random_() % open_.size()];
    const uint32_t db = Db();
    const std::string name = Name();
    const uint64_t r = random_() % 10;
    if (r < 5) {
      StepRead(o, db, name);
    } else if (r < 8 && !o.read_only) {
      Write(*o.txn, o.seen, &o.own, db, name);
      o.read.emplace(db, name);
    } else {
      RangeRead(*o.txn, o.seen, o.own, db);
      o.read_all = true;
    }
  }

  void End() {
    if (open_.empty()) return;
    const size_t which = random_() % open_.size();
    Open o = std::move(open_[which]);
    open_.erase(open_.begin() + static_cast<ptrdiff_t>(which));
    if (random_() % 8 == 0) {
      o.txn->Rollback();
      return;
    }
    const Stamp snapshot = o.txn->snapshot();
    bool must_fail = false, may_fail = false;
    for (const auto& [where, value] : o.own) {
      const auto& [db, name] = where;
      if (o.seen[db].id != state_[db].id) must_fail = true;
      const auto now = state_[db].keys.find(name);
      if (now == state_[db].keys.end()) continue;
      const auto then = o.seen[db].keys.find(name);
      const bool was_there = then != o.seen[db].keys.end() && then->second.live();
      const bool was_expired = then != o.seen[db].keys.end() && !then->second.dead && !was_there;
      const bool touched = now->second.written > snapshot;
      const bool expired = !now->second.dead && !now->second.live();
      // Absent then and absent now: whether the key came and went in between is forgotten when the
      // collector has buried it. Past its deadline: it may have been removed, before the snapshot
      // or since.
      if (touched && (was_there || !now->second.dead) && !expired)
        must_fail = true;
      else if (touched || expired || was_expired)
        may_fail = true;
    }
    bool overwritten = o.read_all;  // what was read may have changed
    for (const auto& [db, name] : o.read) {
      auto now = state_[db].keys.find(name);
      if (replaced_[db] > snapshot)
        overwritten = true;  // even if it was swapped back
      else if (now != state_[db].keys.end() &&
               (now->second.written > snapshot || !now->second.live()))
        overwritten = true;
    }
    const bool committed = o.txn->Commit();
    INFO("reason: ", o.txn->conflict_reason());
    if (o.read_only) REQUIRE(committed);
    if (must_fail) REQUIRE_FALSE(committed);
    if (!must_fail && !may_fail && !(o.serializable && overwritten)) REQUIRE(committed);
    if (!committed) return;
    if (!o.own.empty() && o.txn->commit_stamp() > newest_) newest_ = o.txn->commit_stamp();
    Apply(o.own, newest_);
  }

  void Vacuum() {
    const bool settles = random_() % 2 == 0;
    if (settles) database_.LimitSettling(std::nullopt);
    session_.LeaveEpoch();
    database_.Vacuum();
    session_.EnterEpoch();
    CheckRanges();
    if (settles) REQUIRE(ranges_.empty());
    CheckDeleted();
    // A dropped keyspace waits for its range deletes (G7).
    if (open_.empty() && settles) REQUIRE(database_.stats().versions_kept == 0);
    for (Open& o : open_) {
      for (int i = 0; i < 5; ++i) StepRead(o, Db(), Name());
    }
  }

  // The newest state of everything, by the exclusive mode.
  void CheckDeleted() {
    Transaction& txn = session_.txn();
    txn.BeginExclusive();
    for (uint32_t db = 0; db < kDatabases; ++db) {
      RangeRead(txn, state_, {}, db);
      uint64_t present = 0, live = 0;
      for (const auto& [name, value] : state_[db].keys) {
        present += value.dead ? 0 : 1;
        live += value.live() ? 1 : 0;
      }
      REQUIRE(txn.CountKeys(db) <= present);
      REQUIRE(txn.CountKeys(db) >= live);
    }
    REQUIRE(txn.Commit());
    REQUIRE(database_.stats().live_snapshots == open_.size());
  }

  std::mt19937_64 random_;
  Clock clock_;
  Database database_;
  Session session_;
  State state_;
  std::array<Stamp, kDatabases> replaced_{};  // when the number last got another keyspace
  uint64_t ids_ = 0;
  Stamp newest_ = 0;
  std::vector<Open> open_;
  std::vector<std::pair<std::shared_ptr<const RangeDelete>, uint64_t>>
      ranges_;  // with what each is to have deleted; not settled yet
};

TEST_CASE("transactions against a model, collector's expiry off") {
  FLUXKV_SEEDED(seed);
  for (uint64_t round = 0; round < 8; ++round)
    TransactionModel(seed + round, false).Run(8000 / kSlower);
}

TEST_CASE("transactions against a model, collector's expiry on") {
  FLUXKV_SEEDED(seed);
  for (uint64_t round = 0; round < 8; ++round)
    TransactionModel(seed + round, true).Run(8000 / kSlower);
}

}  // namespace
}  // namespace fluxkv::engine
