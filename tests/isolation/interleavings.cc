#include "tests/isolation/interleavings.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "engine/database.h"
#include "engine/handle.h"
#include "engine/range_deletes.h"

namespace fluxkv::isolation {

namespace {

using engine::Key;

engine::VersionPtr Value(const std::string& text) {
  engine::VersionPtr value = engine::Version::New(1, 0, engine::kNoExpiry, text.size());
  std::copy(text.begin(), text.end(), value->mutable_payload());
  return value;
}

std::string Text(const engine::Version* version) {
  return version == nullptr ? "(nil)" : std::string(version->payload());
}

// What a step answers; the same for the engine and for the oracle's map.
std::string Run(const Step& step, engine::Transaction& txn) {
  const Key key(step.key);
  switch (step.kind) {
    case Step::kGet:
      return Text(txn.Get(0, key));
    case Step::kGetBoth: {
      std::string first = Text(txn.Get(0, key));
      return first + " " + Text(txn.Get(0, Key(step.value)));
    }
    case Step::kPut:
      txn.Put(0, key, Value(step.value));
      return "OK";
    case Step::kAppend: {
      const engine::Version* old = txn.Get(0, key);
      std::string text = (old == nullptr ? "" : Text(old)) + step.value;
      txn.Put(0, key, Value(text));
      return text;
    }
    case Step::kDelete:
      return txn.Delete(0, key) ? "1" : "0";
    case Step::kDeleteRange: {
      std::vector<std::string> found;
      txn.Walk(0, {}, false, step.key, [&](std::string_view name, const engine::Version&) {
        found.emplace_back(name);
        return true;
      });
      for (const std::string& name : found) txn.DeleteFound(0, Key(std::string_view(name)));
      return std::to_string(found.size());
    }
    case Step::kWalk: {
      std::string all;
      txn.Walk(0, {}, false, step.key, [&](std::string_view name, const engine::Version& version) {
        all += std::string(name) + "=" + Text(&version) + " ";
        return true;
      });
      return all;
    }
    case Step::kCount:
      return std::to_string(txn.CountKeys(0));
  }
  return {};
}

std::string Run(const Step& step, State* state) {
  const auto text = [&](const std::string& key) {
    auto it = state->find(key);
    return it == state->end() ? "(nil)" : it->second;
  };
  switch (step.kind) {
    case Step::kGet:
      return text(step.key);
    case Step::kGetBoth:
      return text(step.key) + " " + text(step.value);
    case Step::kPut:
      (*state)[step.key] = step.value;
      return "OK";
    case Step::kAppend:
      return (*state)[step.key] += step.value;
    case Step::kDelete:
      return state->erase(step.key) != 0 ? "1" : "0";
    case Step::kDeleteRange:
      return std::to_string(std::erase_if(
          *state, [&](const auto& entry) { return entry.first.starts_with(step.key); }));
    case Step::kWalk: {
      std::string all;
      for (const auto& [key, value] : *state) {
        if (key.starts_with(step.key)) all += key + "=" + value + " ";
      }
      return all;
    }
    case Step::kCount:
      return std::to_string(state->size());
  }
  return {};
}

// A transaction as the oracle sees it.
struct Unit {
  size_t session = 0;
  std::vector<const Step*> steps = {};
  std::vector<std::string> results = {};
  size_t begin = 0, end = 0;  // points of the schedule
  bool committed = false;
};

class Runner {
 public:
  Runner(const Spec& spec, engine::Isolation level)
      : spec_(spec), level_(level), database_({}, clock_), handle_(database_.Attach()) {}

  Totals Run() {
    std::vector<size_t> schedule;
    for (size_t s = 0; s < spec_.sessions.size(); ++s)
      schedule.insert(schedule.end(), Points(spec_.sessions[s]), s);
    do {
      RunOne(schedule);
    } while (std::next_permutation(schedule.begin(), schedule.end()));
    return totals_;
  }

 private:
  size_t Points(const Session& session) const {
    return session.type == Session::kPlain ? session.steps.size()
                                           : session.steps.size() + (spec_.short_begin ? 1 : 2);
  }

  void Reset() {
    engine::Transaction txn(*handle_);
    txn.BeginExclusive();
    txn.ClearDatabase(0);
    for (const auto& [key, value] : spec_.start) txn.Put(0, Key(key), Value(value));
    ASSERT(txn.Commit());
  }

  void RunOne(const std::vector<size_t>& schedule) {
    engine::Handle::Scope epoch(*handle_);
    Reset();
    units_.clear();
    std::vector<size_t> next(spec_.sessions.size(), 0);
    std::vector<std::unique_ptr<engine::Transaction>> open(spec_.sessions.size());
    std::vector<size_t> unit_of(spec_.sessions.size());
    for (size_t time = 0; time < schedule.size(); ++time) {
      const size_t s = schedule[time];
      const Session& session = spec_.sessions[s];
      const size_t point = next[s]++;
      if (session.type == Session::kPlain) {
        if (session.steps[point].kind == Step::kDeleteRange) {
          PlainDeleteRange(s, session.steps[point], time);
        } else {
          Plain(s, session.steps[point], time);
        }
        continue;
      }
      if (point == 0) {
        open[s] = std::make_unique<engine::Transaction>(*handle_);
        ASSERT(open[s]->BeginSnapshot(level_, session.type == Session::kReadOnly));
        unit_of[s] = units_.size();
        units_.push_back({.session = s, .begin = time});
        if (!spec_.short_begin) continue;
      }
      Unit& unit = units_[unit_of[s]];
      const size_t step = spec_.short_begin ? point : point - 1;
      if (step < session.steps.size()) {
        unit.steps.push_back(&session.steps[step]);
        unit.results.push_back(isolation::Run(session.steps[step], *open[s]));
        continue;
      }
      Finish(session, open[s].get(), &unit, time);
      open[s].reset();
    }
    SettleAll();
    ++totals_.interleavings;
    if (!IsSerial()) {
      if (totals_.not_serial++ == 0) totals_.first_not_serial = Describe();
    }
  }

  void Finish(const Session& session, engine::Transaction* txn, Unit* unit, size_t time) {
    unit->end = time;
    if (session.type == Session::kRollsBack) return txn->Rollback();
    unit->committed = txn->Commit();
    if (unit->committed) return;
    ++totals_.conflicts;
    if (session.type == Session::kReadOnly) ++totals_.read_only_conflicts;
    const bool alone = std::all_of(units_.begin(), units_.end(), [&](const Unit& other) {
      return &other == unit || (other.steps.empty() && other.end == 0 && other.begin >= time) ||
             (other.end != 0 && other.end < unit->begin);
    });
    if (alone) ++totals_.conflicts_alone;
  }

  void Plain(size_t session, const Step& step, size_t time) {
    engine::Transaction txn(*handle_);
    const bool reads = step.kind == Step::kGet || step.kind == Step::kGetBoth;
    if (reads) {
      txn.BeginRead();
    } else if (step.kind == Step::kWalk || step.kind == Step::kCount) {
      ASSERT(txn.BeginSnapshot(engine::Isolation::kSnapshot, /*read_only=*/true));
    } else {
      const engine::LatchKey latch{0, Key(step.key).hash};
      txn.BeginLatched({&latch, 1});
    }
    std::string result = isolation::Run(step, txn);
    if (reads) ASSERT(txn.Validate());
    ASSERT(txn.Commit());
    units_.push_back({.session = session,
                      .steps = {&step},
                      .results = {std::move(result)},
                      .begin = time,
                      .end = time,
                      .committed = true});
  }

  void PlainDeleteRange(size_t session, const Step& step, size_t time) {
    database_.LimitSettling(spec_.settle_at_once ? std::nullopt : std::optional<uint64_t>(0));
    engine::Transaction txn(*handle_);
    txn.BeginExclusive();
    auto deleted = txn.DeleteRange(
        0, engine::KeyInterval::OfPrefix(step.key), [](std::string_view) {}, /*few=*/0);
    ASSERT(txn.Commit());
    units_.push_back({.session = session,
                      .steps = {&step},
                      .results = {"0"},
                      .begin = time,
                      .end = time,
                      .committed = true});
    if (deleted == nullptr) return;
    range_deletes_.emplace_back(units_.size() - 1, std::move(deleted));
    if (spec_.settle_at_once) SettleAll();
  }

  // How many keys they were is an answer like others.
  void SettleAll() {
    if (range_deletes_.empty()) return;
    database_.LimitSettling(std::nullopt);
    for (const auto& [unit, deleted] : range_deletes_) {
      while (!deleted->settled()) std::this_thread::yield();
      units_[unit].results[0] = std::to_string(deleted->keys());
    }
    range_deletes_.clear();
  }

  State Final() {
    State state;
    engine::Transaction txn(*handle_);
    txn.BeginExclusive();
    txn.Walk(0, {}, false, {}, [&](std::string_view key, const engine::Version& version) {
      state.emplace(key, version.payload());
      return true;
    });
    ASSERT(txn.Commit());
    return state;
  }

  // Whether some order of the committed units, kept in real time,
  // gives all results and the end state.
  bool IsSerial() {
    const State final_state = Final();
    std::vector<const Unit*> order;
    for (const Unit& unit : units_) {
      if (unit.committed) order.push_back(&unit);
    }
    std::sort(order.begin(), order.end());
    do {
      if (Explains(order, final_state)) return true;
    } while (std::next_permutation(order.begin(), order.end()));
    return false;
  }

  bool Explains(const std::vector<const Unit*>& order, const State& final_state) const {
    for (size_t i = 0; i < order.size(); ++i) {
      for (size_t j = i + 1; j < order.size(); ++j) {
        if (order[j]->end < order[i]->begin) return false;
      }
    }
    State state = spec_.start;
    for (const Unit* unit : order) {
      for (size_t i = 0; i < unit->steps.size(); ++i) {
        if (isolation::Run(*unit->steps[i], &state) != unit->results[i]) return false;
      }
    }
    return state == final_state;
  }

  std::string Describe() const {
    std::string text;
    for (const Unit& unit : units_) {
      text += "session " + std::to_string(unit.session) + " [" + std::to_string(unit.begin) + ".." +
              std::to_string(unit.end) + "]" + (unit.committed ? "" : " not committed") + ":";
      for (size_t i = 0; i < unit.steps.size(); ++i)
        text += " " + unit.steps[i]->key + "->" + unit.results[i] + ";";
      text += "\n";
    }
    return text;
  }

  const Spec& spec_;
  const engine::Isolation level_;
  Clock clock_;
  engine::Database database_;
  std::unique_ptr<engine::Handle> handle_;
  std::vector<Unit> units_;
  std::vector<std::pair<size_t, std::shared_ptr<const engine::RangeDelete>>>
      range_deletes_;  // not settled, with their units
  Totals totals_;
};

}  // namespace

Totals RunAll(const Spec& spec, engine::Isolation level) {
  return Runner(spec, level).Run();
}

}  // namespace fluxkv::isolation
