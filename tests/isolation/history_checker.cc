// Which versions there were and who read them. Order and edges are in history_edges.cc.
#include "tests/isolation/history_checker.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>

namespace fluxkv::isolation {

namespace {
constexpr size_t kAnomaliesOfAKindMax = 3;

bool IsWrite(Op::Kind kind) {
  return kind == Op::kAppend || kind == Op::kOverwrite || kind == Op::kDelete;
}
}  // namespace

bool Report::Has(const std::string& kind) const {
  return std::any_of(anomalies.begin(), anomalies.end(),
                     [&](const Anomaly& a) { return a.kind == kind; });
}

bool Report::Violates(Level level) const {
  return std::any_of(anomalies.begin(), anomalies.end(), [&](const Anomaly& a) {
    return level == Level::kSerializable || !a.kind.starts_with("G2");
  });
}

std::string Report::Text() const {
  std::string text = std::to_string(transactions) + " transactions, " + std::to_string(versions) +
                     " versions, " + std::to_string(edges) + " edges\n";
  for (const Anomaly& a : anomalies) text += a.kind + ": " + a.detail + "\n";
  return text;
}

void History::Found(Report* report, std::string kind, std::string detail) const {
  const auto same = [&](const Anomaly& a) { return a.kind == kind; };
  if (std::count_if(report->anomalies.begin(), report->anomalies.end(), same) <
      static_cast<std::ptrdiff_t>(kAnomaliesOfAKindMax)) {
    report->anomalies.push_back({std::move(kind), std::move(detail)});
  }
}

void History::Add(const TransactionRecord& record, std::span<const Operation> operations) {
  transactions_.push_back({record, operations_.size(), static_cast<uint32_t>(operations.size())});
  operations_.insert(operations_.end(), operations.begin(), operations.end());
}

int64_t History::End(uint32_t transaction) const {
  const TransactionRecord& record = transactions_[transaction].record;
  return record.outcome == Outcome::kUnknown ? kForever : record.end;
}

bool History::Committed(uint32_t transaction) const {
  const Outcome outcome = transactions_[transaction].record.outcome;
  return outcome == Outcome::kCommitted ||
         (outcome == Outcome::kUnknown && unknown_committed_[transaction]);
}

uint32_t History::FindVersion(uint32_t key, uint64_t token) const {
  auto it = by_token_.find(token * keys_ + key);
  return it == by_token_.end() ? kNone : it->second;
}

uint32_t History::OwnVersion(uint32_t transaction, uint32_t key) const {
  const Recorded& t = transactions_[transaction];
  for (size_t i = t.first; i < t.first + t.count; ++i) {
    const Operation& op = operations_[i];
    if (op.key == key && IsWrite(op.kind)) return versions_[FindVersion(key, op.token)].last;
  }
  return kNone;
}

void History::CollectVersions(Report* report) {
  for (uint32_t t = 0; t < transactions_.size(); ++t) {
    const Recorded& recorded = transactions_[t];
    const size_t first_version = versions_.size();
    for (size_t i = recorded.first; i < recorded.first + recorded.count; ++i) {
      const Operation& op = operations_[i];
      if (!IsWrite(op.kind)) continue;
      const auto number = static_cast<uint32_t>(versions_.size());
      if (op.token == 0 || op.key >= keys_ ||
          !by_token_.emplace(op.token * keys_ + op.key, number).second) {
        std::fprintf(stderr, "history: token %llu of key %u is used twice\n",
                     static_cast<unsigned long long>(op.token), op.key);
        std::abort();
      }
      Version version{.key = op.key, .writer = t, .token = op.token, .kind = op.kind};
      version.first_end = End(t);
      version.last_begin = recorded.record.begin;
      version.root = op.kind != Op::kAppend;
      versions_.push_back(version);
    }
    for (size_t v = versions_.size(); v-- > first_version;) {
      Version& version = versions_[v];
      if (version.last != kNone) continue;
      for (size_t u = v + 1; u-- > first_version;) {
        if (versions_[u].key == version.key) versions_[u].last = static_cast<uint32_t>(v);
      }
    }
    if (versions_.size() > first_version && recorded.record.order == 0 &&
        recorded.record.outcome != Outcome::kAborted)
      stamped_ = false;
  }
  report->versions = versions_.size();
}

void History::Observe(uint32_t version, uint32_t transaction) {
  Version& v = versions_[version];
  v.observed = true;
  v.first_end = std::min(v.first_end, End(transaction));
  v.last_begin = std::max(v.last_begin, transactions_[transaction].record.begin);
}

void History::ReadOne(uint32_t transaction, const Operation& op, Report* report) {
  Read read{transaction, op.key, kNone, op.kind};
  if (op.kind == Op::kRead) {
    read.version = FindVersion(op.key, op.token);
    if (read.version == kNone) {
      return Found(report, "unknown-token",
                   "key " + std::to_string(op.key) + " token " + std::to_string(op.token) + "\n  " +
                       Describe(transaction));
    }
    const Version& version = versions_[read.version];
    const auto who = [&] {
      return "\n  " + Describe(version.writer) + "\n  " + Describe(transaction);
    };
    if (transactions_[version.writer].record.outcome == Outcome::kAborted)
      return Found(report, "G1a", "an aborted write was read" + who());
    if (version.last != read.version) {
      Found(report, "G1b", "an intermediate write was read" + who());
      read.version = version.last;
    }
    Observe(read.version, transaction);
  }
  reads_of_[op.key].push_back(read);
}

void History::CollectReads(Report* report) {
  for (uint32_t t = 0; t < transactions_.size(); ++t) {
    const Recorded& recorded = transactions_[t];
    if (recorded.record.outcome != Outcome::kCommitted) continue;
    const auto own_before = [&](size_t i) -> const Operation* {
      for (size_t j = i; j-- > recorded.first;) {
        if (operations_[j].key == operations_[i].key && IsWrite(operations_[j].kind))
          return &operations_[j];
      }
      return nullptr;
    };
    for (size_t i = recorded.first; i < recorded.first + recorded.count; ++i) {
      const Operation& op = operations_[i];
      if (IsWrite(op.kind)) continue;
      const Operation* own = own_before(i);
      if (own == nullptr) {
        ReadOne(t, op, report);
        continue;
      }
      const bool absent = own->kind == Op::kDelete;
      const bool right = op.kind == Op::kReadAbsent    ? absent
                         : op.kind == Op::kReadPresent ? !absent
                                                       : !absent && op.token == own->token;
      if (!right) Found(report, "internal", "its own write is not seen\n  " + Describe(t));
    }
    if (!stamped_) LinkOwnReads(t, report);
  }
}

// What a transaction writes follows what it read of the same key.
void History::LinkOwnReads(uint32_t transaction, Report* report) {
  const Recorded& recorded = transactions_[transaction];
  std::vector<uint32_t> seen;  // keys whose first operation has passed
  for (size_t i = recorded.first; i < recorded.first + recorded.count; ++i) {
    const Operation& op = operations_[i];
    if (std::find(seen.begin(), seen.end(), op.key) != seen.end()) continue;
    seen.push_back(op.key);
    const uint32_t own = OwnVersion(transaction, op.key);
    if (own == kNone || IsWrite(op.kind) || op.kind == Op::kReadPresent) continue;
    const uint32_t before = op.kind == Op::kRead ? FindVersion(op.key, op.token) : kNone;
    Follow(before, own, report);
  }
}

void History::Follow(uint32_t before, uint32_t after, Report* report) {
  if (before == kNone) {
    versions_[after].root = true;
    return;
  }
  const bool same_writer = versions_[before].writer == versions_[after].writer;
  if (versions_[before].last != before && !same_writer) {
    Found(report, "G1b",
          "a write follows an intermediate one\n  " + Describe(versions_[before].writer) + "\n  " +
              Describe(versions_[after].writer));
  }
  before = versions_[before].last;
  after = versions_[after].last;
  if (before == after) return;
  Version& b = versions_[before];
  Version& a = versions_[after];
  if ((b.after != kNone && b.after != after) || (a.before != kNone && a.before != before)) {
    const uint32_t other = b.after != kNone && b.after != after ? b.after : a.before;
    return Found(report, "lost-update",
                 "versions of key " + std::to_string(a.key) + " branch\n  " + Describe(b.writer) +
                     "\n  " + Describe(a.writer) + "\n  " + Describe(versions_[other].writer));
  }
  b.after = after;
  a.before = before;
}

void History::FollowLinks(Report* report) {
  for (const LinkRecord& link : links_) {
    const uint32_t after = FindVersion(link.key, link.after);
    const uint32_t before = link.before == 0 ? kNone : FindVersion(link.key, link.before);
    if (after == kNone || (before == kNone && link.before != 0)) {
      Found(report, "unknown-token",
            "key " + std::to_string(link.key) + " token " + std::to_string(link.after) + " after " +
                std::to_string(link.before));
      continue;
    }
    for (uint32_t version : {before, after}) {
      if (version == kNone) continue;
      versions_[version].observed = true;
      if (transactions_[versions_[version].writer].record.outcome == Outcome::kAborted)
        Found(report, "G1a", "an aborted write was read\n  " + Describe(versions_[version].writer));
    }
    Follow(before, after, report);
  }
}

void History::ResolveUnknown() {
  unknown_committed_.assign(transactions_.size(), false);
  for (const Version& v : versions_) {
    if (v.observed) unknown_committed_[v.writer] = true;
  }
}

Report History::Check() {
  Report report;
  report.transactions = transactions_.size();
  versions_of_.resize(keys_);
  reads_of_.resize(keys_);
  CollectVersions(&report);
  CollectReads(&report);
  FollowLinks(&report);
  ResolveUnknown();
  for (uint32_t v = 0; v < versions_.size(); ++v) {
    if (versions_[v].last == v && Committed(versions_[v].writer))
      versions_of_[versions_[v].key].push_back(v);
  }
  Graph graph(transactions_.size() * 2 + 1);
  for (uint32_t key = 0; key < keys_; ++key) {
    if (stamped_) {
      KeyEdges(key, OrderByStamps(key), &graph, &report);
    } else {
      std::vector<Chain> chains = ChainsOf(key);
      FindLostAppends(key, chains, &report);
      KeyEdges(key, OrderByTime(key, std::move(chains)), &graph, &report);
    }
  }
  TimeEdges(&graph);
  graph.Freeze();
  report.edges = graph.arcs();
  FindCycles(graph, &report);
  return report;
}

std::string History::Describe(uint32_t transaction) const {
  static constexpr const char* kNames[] = {"r", "absent", "present", "append", "write", "delete"};
  const Recorded& t = transactions_[transaction];
  std::string text = "T" + std::to_string(transaction) + " " + t.record.label;
  if (t.record.outcome != Outcome::kCommitted)
    text += t.record.outcome == Outcome::kAborted ? " aborted" : " unknown";
  text += " [" + std::to_string(t.record.begin) + ".." + std::to_string(t.record.end) + "]";
  if (t.record.order != 0) text += " @" + std::to_string(t.record.order);
  for (size_t i = t.first; i < t.first + t.count; ++i) {
    const Operation& op = operations_[i];
    text += std::string(" ") + kNames[op.kind] + "(" + std::to_string(op.key) + ")";
    if (op.token != 0) text += "=" + std::to_string(op.token);
  }
  return text;
}

}  // namespace fluxkv::isolation
