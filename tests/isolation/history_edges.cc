// The order of versions, the edges that follow from it, and the cycles.
#include <algorithm>

#include "tests/isolation/history_checker.h"

namespace fluxkv::isolation {

namespace {
constexpr size_t kRootsMax = 16;  // a group with more unordered chains gets no edges into it
constexpr int64_t kLongAgo = std::numeric_limits<int64_t>::min();
}  // namespace

std::vector<History::Chain> History::ChainsOf(uint32_t key) {
  std::vector<Chain> chains;
  for (uint32_t start : versions_of_[key]) {
    const Version& root = versions_[start];
    if (root.before != kNone) continue;
    if (!root.root && !root.observed) continue;  // an append that nobody has seen has no place
    Chain chain{.versions = {}, .first_end = kForever, .last_begin = kLongAgo};
    for (uint32_t v = start; v != kNone; v = versions_[v].after) {
      chain.versions.push_back(v);
      chain.first_end = std::min(chain.first_end, versions_[v].first_end);
      chain.last_begin = std::max(chain.last_begin, versions_[v].last_begin);
    }
    chains.push_back(std::move(chain));
  }
  return chains;
}

History::Sequence History::OrderByStamps(uint32_t key) const {
  std::vector<uint32_t> versions = versions_of_[key];
  const auto order = [&](uint32_t v) { return transactions_[versions_[v].writer].record.order; };
  std::sort(versions.begin(), versions.end(),
            [&](uint32_t a, uint32_t b) { return order(a) < order(b); });
  Sequence sequence;
  sequence.places.push_back({kNone, 0, true});
  for (uint32_t v : versions) {
    sequence.place_of.emplace(v, sequence.places.size());
    sequence.places.push_back({v, 1, v == versions.back()});
  }
  sequence.roots.resize(3);
  if (!versions.empty()) sequence.roots[1].push_back(versions.front());
  sequence.chains = {1, 1, 0};
  return sequence;
}

History::Sequence History::OrderByTime(uint32_t key, std::vector<Chain> chains) const {
  static_cast<void>(key);
  std::sort(chains.begin(), chains.end(), [](const Chain& a, const Chain& b) {
    return a.first_end / 2 + a.last_begin / 2 < b.first_end / 2 + b.last_begin / 2;
  });
  // A cut where every chain before was seen before every chain behind was seen.
  std::vector<int64_t> behind(chains.size() + 1, kForever);
  for (size_t i = chains.size(); i-- > 0;)
    behind[i] = std::min(behind[i + 1], chains[i].last_begin);
  Sequence sequence;
  sequence.places.push_back({kNone, 0, true});
  sequence.roots.resize(2);
  sequence.chains = {1, 0};
  int64_t before = kLongAgo;
  for (size_t i = 0; i < chains.size(); ++i) {
    if (i > 0 && before < behind[i]) {
      sequence.roots.emplace_back();
      sequence.chains.push_back(0);
    }
    before = std::max(before, chains[i].first_end);
    const auto group = static_cast<uint32_t>(sequence.roots.size() - 1);
    sequence.roots[group].push_back(chains[i].versions.front());
    ++sequence.chains[group];
    for (uint32_t v : chains[i].versions) {
      sequence.place_of.emplace(v, sequence.places.size());
      sequence.places.push_back({v, group, v == chains[i].versions.back()});
    }
  }
  sequence.roots.emplace_back();
  sequence.chains.push_back(0);
  for (auto& roots : sequence.roots) {
    if (roots.size() > kRootsMax) roots.clear();
  }
  return sequence;
}

// An append that nobody has seen, acknowledged while one chain was seen before and after it, should
// be in that chain. And two chains cannot both have been there at one time.
void History::FindLostAppends(uint32_t key, const std::vector<Chain>& chains,
                              Report* report) const {
  std::vector<const Chain*> solid;
  for (const Chain& c : chains) {
    if (c.first_end < c.last_begin) solid.push_back(&c);
  }
  std::sort(solid.begin(), solid.end(),
            [](const Chain* a, const Chain* b) { return a->first_end < b->first_end; });
  // The last solid chain that was seen before `t`.
  const auto solid_before = [&](int64_t t) -> const Chain* {
    auto it = std::upper_bound(solid.begin(), solid.end(), t,
                               [](int64_t at, const Chain* c) { return at <= c->first_end; });
    return it == solid.begin() ? nullptr : *--it;
  };
  const auto alternate = [&](const Chain& a, const Chain& b) {
    Found(report, "stale-read",
          "two contents of key " + std::to_string(key) + " were seen alternately\n  " +
              Describe(versions_[a.versions.back()].writer) + "\n  " +
              Describe(versions_[b.versions.front()].writer));
  };
  for (size_t i = 1; i < solid.size(); ++i) {
    if (solid[i]->first_end < solid[i - 1]->last_begin) alternate(*solid[i - 1], *solid[i]);
  }
  for (const Chain& c : chains) {
    if (c.first_end < c.last_begin) continue;
    const Chain* around = solid_before(c.last_begin);
    if (around != nullptr && c.first_end < around->last_begin) alternate(*around, c);
  }
  for (uint32_t v : versions_of_[key]) {
    const Version& version = versions_[v];
    if (version.kind != Op::kAppend || version.before != kNone || version.root || version.observed)
      continue;
    const TransactionRecord& record = transactions_[version.writer].record;
    const Chain* around = solid_before(record.begin);
    if (around == nullptr || around->last_begin <= record.end) continue;
    Found(report, "lost-append",
          Describe(version.writer) + "\n  was acknowledged while there was\n  " +
              Describe(versions_[around->versions.back()].writer));
  }
}

void History::AddEdge(Graph* graph, uint32_t from, uint32_t to, Edge kind) const {
  if (from != to) graph->Add(from, to, kind);
}

std::span<const uint32_t> History::Next(const Sequence& sequence, size_t place) const {
  const Place& p = sequence.places[place];
  if (!p.chain_end) return {&sequence.places[place + 1].version, 1};
  return sequence.roots[p.group + 1];
}

void History::KeyEdges(uint32_t key, const Sequence& sequence, Graph* graph, Report* report) const {
  for (size_t place = 1; place < sequence.places.size(); ++place) {
    const uint32_t writer = versions_[sequence.places[place].version].writer;
    for (uint32_t next : Next(sequence, place))
      AddEdge(graph, writer, versions_[next].writer, Edge::kWw);
  }
  for (const Read& read : reads_of_[key]) {
    if (read.kind != Op::kRead) continue;
    AddEdge(graph, versions_[read.version].writer, read.transaction, Edge::kWr);
    const auto place = sequence.place_of.find(read.version);
    if (place == sequence.place_of.end()) continue;
    for (uint32_t next : Next(sequence, place->second))
      AddEdge(graph, read.transaction, versions_[next].writer, Edge::kRw);
  }
  VagueReads(key, sequence, Op::kReadAbsent, graph, report);
  VagueReads(key, sequence, Op::kReadPresent, graph, report);
}

// Of the versions that fit into the reader's time it comes after the writer of the first, and
// before the overwriter of the last.
void History::VagueReads(uint32_t key, const Sequence& sequence, Op::Kind kind, Graph* graph,
                         Report* report) const {
  const auto begin_of = [&](size_t place) {
    const uint32_t v = sequence.places[place].version;
    return v == kNone ? kLongAgo : transactions_[versions_[v].writer].record.begin;
  };
  const auto end_of = [&](size_t place) {
    int64_t end = kLongAgo;
    for (uint32_t next : Next(sequence, place)) end = std::max(end, End(versions_[next].writer));
    return end == kLongAgo ? kForever : end;
  };
  std::vector<size_t> fitting;
  for (size_t place = 0; place < sequence.places.size(); ++place) {
    const uint32_t v = sequence.places[place].version;
    const bool absent = v == kNone || versions_[v].kind == Op::kDelete;
    if (absent == (kind == Op::kReadAbsent)) fitting.push_back(place);
  }
  std::vector<int64_t> ends(fitting.size()), begins(fitting.size());
  for (size_t i = 0; i < fitting.size(); ++i)
    ends[i] = std::max(i == 0 ? kLongAgo : ends[i - 1], end_of(fitting[i]));
  for (size_t i = fitting.size(); i-- > 0;)
    begins[i] = std::min(i + 1 == fitting.size() ? kForever : begins[i + 1], begin_of(fitting[i]));

  for (const Read& read : reads_of_[key]) {
    if (read.kind != kind) continue;
    const TransactionRecord& record = transactions_[read.transaction].record;
    const auto first = static_cast<size_t>(
        std::lower_bound(ends.begin(), ends.end(), record.begin) - ends.begin());
    auto past = static_cast<size_t>(std::upper_bound(begins.begin(), begins.end(), record.end) -
                                    begins.begin());
    if (const uint32_t own = OwnVersion(read.transaction, key); own != kNone && stamped_) {
      // It read what was before its own version.
      const auto before =
          std::lower_bound(fitting.begin(), fitting.end(), sequence.place_of.at(own)) -
          fitting.begin();
      past = std::min(past, static_cast<size_t>(before));
    }
    if (first >= past) {
      Found(report, "impossible-read",
            "key " + std::to_string(key) + " was never so while it ran\n  " +
                Describe(read.transaction));
      continue;
    }
    const Place& from = sequence.places[fitting[first]];
    const Place& to = sequence.places[fitting[past - 1]];
    if (from.version != kNone && sequence.chains[from.group] == 1)
      AddEdge(graph, versions_[from.version].writer, read.transaction, Edge::kWr);
    if (!to.chain_end && sequence.chains[to.group] != 1) continue;
    for (uint32_t next : Next(sequence, fitting[past - 1]))
      AddEdge(graph, read.transaction, versions_[next].writer, Edge::kRw);
  }
}

// Who ended before another began comes before it: through a line of barriers, so that n
// transactions need O(n) edges.
void History::TimeEdges(Graph* graph) const {
  struct Event {
    int64_t at;
    bool end;  // at one moment beginnings come first: nothing is claimed
    uint32_t transaction;
  };
  std::vector<Event> events;
  events.reserve(transactions_.size() * 2);
  for (uint32_t t = 0; t < transactions_.size(); ++t) {
    if (!Committed(t)) continue;
    events.push_back({transactions_[t].record.begin, false, t});
    if (End(t) != kForever) events.push_back({End(t), true, t});
  }
  std::sort(events.begin(), events.end(), [](const Event& a, const Event& b) {
    return a.at != b.at ? a.at < b.at : a.end < b.end;
  });
  const auto first_barrier = static_cast<uint32_t>(transactions_.size());
  uint32_t barrier = first_barrier;
  bool used = false;  // somebody began behind the barrier: the next to end needs a new one
  for (const Event& e : events) {
    if (!e.end) {
      graph->Add(barrier, e.transaction, Edge::kTime);
      used = true;
      continue;
    }
    if (used) {
      graph->Add(barrier, barrier + 1, Edge::kTime);
      ++barrier;
      used = false;
    }
    graph->Add(e.transaction, barrier, Edge::kTime);
  }
}

void History::FindCycles(const Graph& graph, Report* report) const {
  for (const std::vector<uint32_t>& component : graph.Components()) {
    const Cycles without_time = FindCyclesOf(graph, component, /*time=*/false, true, report);
    if (without_time == Cycles::kWorse) continue;
    FindCyclesOf(graph, component, /*time=*/true, without_time == Cycles::kNone, report);
  }
}

History::Cycles History::FindCyclesOf(const Graph& graph, const std::vector<uint32_t>& component,
                                      bool time, bool want_g2, Report* report) const {
  const std::string suffix = time ? "-realtime" : "";
  const auto search = [&](auto keep) {
    Graph sub = graph.Induced(component,
                              [&](Edge kind) { return kind == Edge::kTime ? time : keep(kind); });
    std::vector<std::vector<uint32_t>> found = sub.Components();
    return found.empty() ? std::vector<Graph::Step>() : sub.ShortCycle(found.front());
  };
  const auto report_cycle = [&](const std::string& kind, const std::vector<Graph::Step>& cycle) {
    Found(report, kind + suffix, DescribeCycle(cycle, component));
    return kind == "G2" ? Cycles::kG2 : Cycles::kWorse;
  };
  if (auto cycle = search([](Edge kind) { return kind == Edge::kWw; }); !cycle.empty())
    return report_cycle("G0", cycle);
  if (auto cycle = search([](Edge kind) { return kind != Edge::kRw; }); !cycle.empty())
    return report_cycle("G1c", cycle);
  const Graph all =
      graph.Induced(component, [&](Edge kind) { return time || kind != Edge::kTime; });
  const Graph product = WithoutConsecutiveRw(all);
  if (const auto found = product.Components(); !found.empty()) {
    std::vector<Graph::Step> cycle = product.ShortCycle(found.front());
    size_t rw = 0;
    for (Graph::Step& step : cycle) {
      step.from %= static_cast<uint32_t>(all.nodes());
      rw += step.kind == Edge::kRw;
    }
    return report_cycle(rw == 1 ? "G-single" : "G-nonadjacent", cycle);
  }
  if (!want_g2) return Cycles::kNone;
  const auto found = all.Components();
  return found.empty() ? Cycles::kNone : report_cycle("G2", all.ShortCycle(found.front()));
}

std::string History::DescribeCycle(const std::vector<Graph::Step>& cycle,
                                   const std::vector<uint32_t>& numbers) const {
  static constexpr const char* kNames[] = {"ww", "wr", "rw", "time"};
  std::string text;
  for (const Graph::Step& step : cycle) {
    const uint32_t transaction = numbers[step.from];
    if (transaction >= transactions_.size()) continue;  // a barrier of real time
    text +=
        "\n  " + Describe(transaction) + "\n    --" + kNames[static_cast<int>(step.kind)] + "-->";
  }
  return text;
}

}  // namespace fluxkv::isolation
