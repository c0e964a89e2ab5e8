// Checks a recorded history of transactions: builds the direct serialization graph (Adya, Liskov,
// O'Neil, "Generalized isolation level definitions", ICDE 2000) with edges of real time added, and
// looks for cycles. Every write carries a token that is used once, so a read tells which version it
// saw (Kingsbury, Alvaro, "Elle", VLDB 2020).
//
//   History history(keys);
//   history.Add({.begin = t0, .end = t1, .label = "get"}, {{Op::kRead, key, token}});
//   Report report = history.Check();
//   if (report.Violates(Level::kSerializable)) puts(report.Text().c_str());
//
// The order of a key's versions comes from one of:
//   * `order`, when every committed writer has one (a commit stamp);
//   * what is known piece by piece: a write whose transaction read the key before follows what it
//     read; Link; an overwrite begins a new chain of versions. Chains of a key follow each other
//     in real time: a chain that was seen before another was seen is the older one. What cannot
//     be ordered so gets no edges, never wrong ones.
// A read of absence (or of mere presence) may fit several versions: then it gets the edges that
// hold for all that fit.
//
// Anomalies: "G0", "G1a", "G1b", "G1c", "G-single" (one rw-edge), "G-nonadjacent" (several, never
// two in a row), "G2", each with "-realtime" when edges of real time are needed; "internal" (does
// not see its own writes), "lost-update" (two writes follow one version), "lost-append"
// (acknowledged, and missing), "unknown-token", "impossible-read".
//
// Threads: none. Times: nanoseconds of one monotonic clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "tests/isolation/cycles.h"

namespace fluxkv::isolation {

struct Operation {
  enum Kind : uint8_t {
    kRead,         // saw the version with this token
    kReadAbsent,   // saw no key
    kReadPresent,  // saw that there is a key, not which version
    kAppend,       // wrote a version on top of the one before it
    kOverwrite,    // wrote a version whatever was there
    kDelete,       // made the key absent; the token names this absence
  };
  Kind kind;
  uint32_t key;
  uint64_t token = 0;  // not 0 but for kReadAbsent and kReadPresent
};
using Op = Operation;

enum class Outcome : uint8_t { kCommitted, kAborted, kUnknown };
enum class Level : uint8_t { kSnapshot, kSerializable };

struct TransactionRecord {
  int64_t begin = 0;
  int64_t end = 0;     // not used when the outcome is unknown
  uint64_t order = 0;  // position in the order of commits, 0 if unknown
  Outcome outcome = Outcome::kCommitted;
  const char* label = "";
};

struct Anomaly {
  std::string kind;
  std::string detail;
};

struct Report {
  size_t transactions = 0, versions = 0, edges = 0;
  std::vector<Anomaly> anomalies;

  bool Has(const std::string& kind) const;
  // kSnapshot allows G2 alone.
  bool Violates(Level level) const;
  std::string Text() const;
};

class History {
 public:
  explicit History(uint32_t keys) : keys_(keys) {}

  void Add(const TransactionRecord& record, std::span<const Operation> operations);
  void Add(const TransactionRecord& record, std::initializer_list<Operation> operations) {
    Add(record, std::span(operations.begin(), operations.size()));
  }
  // The version `after` of the key directly follows `before`, or absence when that is 0.
  void Link(uint32_t key, uint64_t before, uint64_t after) {
    links_.push_back({key, before, after});
  }

  size_t size() const { return transactions_.size(); }
  Report Check();

 private:
  static constexpr uint32_t kNone = ~0u;
  static constexpr int64_t kForever = std::numeric_limits<int64_t>::max();

  struct Recorded {
    TransactionRecord record;
    size_t first;
    uint32_t count;
  };
  struct LinkRecord {
    uint32_t key;
    uint64_t before, after;
  };
  struct Version {
    uint32_t key;
    uint32_t writer;
    uint64_t token;
    Op::Kind kind;
    uint32_t last = kNone;  // the last write of its transaction to the key: only that is installed
    bool observed = false;
    bool root = false;  // what was before it is not known, or absence
    uint32_t before = kNone, after = kNone;
    // Over all that wrote or read it: the first end, the last begin.
    int64_t first_end = kForever, last_begin = std::numeric_limits<int64_t>::min();
  };
  // The versions of a key in order. Those of one group have no known order among its chains; groups
  // are in order.
  struct Place {
    uint32_t version;  // kNone: the absence at the beginning
    uint32_t group;
    bool chain_end;
  };
  struct Sequence {
    std::vector<Place> places;
    std::vector<std::vector<uint32_t>> roots;  // by group: the first version of each chain
    std::vector<uint32_t> chains;              // by group: how many
    std::unordered_map<uint32_t, size_t> place_of;
  };
  struct Chain {
    std::vector<uint32_t> versions;
    int64_t first_end, last_begin;
  };
  // An external read: not of the transaction's own write.
  struct Read {
    uint32_t transaction;
    uint32_t key;
    uint32_t version;  // kNone: absent or present, by kind
    Op::Kind kind;
  };

  void CollectVersions(Report* report);
  void CollectReads(Report* report);
  void ReadOne(uint32_t transaction, const Operation& op, Report* report);
  void LinkOwnReads(uint32_t transaction, Report* report);
  void ResolveUnknown();
  void Follow(uint32_t before, uint32_t after, Report* report);
  void FollowLinks(Report* report);
  void Observe(uint32_t version, uint32_t transaction);
  bool Committed(uint32_t transaction) const;
  int64_t End(uint32_t transaction) const;
  uint32_t FindVersion(uint32_t key, uint64_t token) const;

  std::vector<Chain> ChainsOf(uint32_t key);
  Sequence OrderByStamps(uint32_t key) const;
  Sequence OrderByTime(uint32_t key, std::vector<Chain> chains) const;
  void FindLostAppends(uint32_t key, const std::vector<Chain>& chains, Report* report) const;
  void AddEdge(Graph* graph, uint32_t from, uint32_t to, Edge kind) const;
  // Who directly comes after a place: the next of its chain, or the beginnings of the next group.
  std::span<const uint32_t> Next(const Sequence& sequence, size_t place) const;
  void KeyEdges(uint32_t key, const Sequence& sequence, Graph* graph, Report* report) const;
  void VagueReads(uint32_t key, const Sequence& sequence, Op::Kind kind, Graph* graph,
                  Report* report) const;
  uint32_t OwnVersion(uint32_t transaction, uint32_t key) const;
  void TimeEdges(Graph* graph) const;
  void FindCycles(const Graph& graph, Report* report) const;
  enum class Cycles { kNone, kG2, kWorse };
  Cycles FindCyclesOf(const Graph& graph, const std::vector<uint32_t>& component, bool time,
                      bool want_g2, Report* report) const;
  std::string Describe(uint32_t transaction) const;
  std::string DescribeCycle(const std::vector<Graph::Step>& cycle,
                            const std::vector<uint32_t>& numbers) const;
  void Found(Report* report, std::string kind, std::string detail) const;

  const uint32_t keys_;
  std::vector<Recorded> transactions_;
  std::vector<Operation> operations_;
  std::vector<LinkRecord> links_;
  std::vector<Version> versions_;
  std::unordered_map<uint64_t, uint32_t> by_token_;  // token x keys + key
  std::vector<std::vector<uint32_t>> versions_of_;   // by key
  std::vector<std::vector<Read>> reads_of_;          // by key
  std::vector<bool> unknown_committed_;
  bool stamped_ = true;
};

}  // namespace fluxkv::isolation
