// Goal: the checker finds every kind of anomaly and accepts histories without one.
// Method: each anomaly written by hand in its smallest form; random histories of a serial store,
// with and without stamps.
#include "tests/isolation/history_checker.h"

#include <algorithm>
#include <random>

#include <doctest/doctest.h>

namespace fluxkv::isolation {
namespace {

// Transactions with stamps that all overlap, unless given times.
TransactionRecord At(uint64_t order, int64_t begin = 0, int64_t end = 1000) {
  return {.begin = begin, .end = end, .order = order};
}
TransactionRecord Plain(int64_t begin = 0, int64_t end = 1000) {
  return At(0, begin, end);
}

std::string Kinds(History& history) {
  Report report = history.Check();
  std::string kinds;
  for (const Anomaly& a : report.anomalies) kinds += (kinds.empty() ? "" : " ") + a.kind;
  return kinds;
}

TEST_CASE("history checker: dirty write, G0") {
  History h(2);
  h.Add(Plain(), {{Op::kOverwrite, 0, 1}, {Op::kOverwrite, 1, 2}});
  h.Add(Plain(), {{Op::kOverwrite, 0, 3}, {Op::kOverwrite, 1, 4}});
  h.Link(0, 1, 3);
  h.Link(1, 4, 2);
  CHECK(Kinds(h) == "G0");
}

TEST_CASE("history checker: aborted and intermediate reads, unknown tokens") {
  History aborted(1);
  aborted.Add({.begin = 0, .end = 9, .outcome = Outcome::kAborted}, {{Op::kOverwrite, 0, 1}});
  aborted.Add(Plain(), {{Op::kRead, 0, 1}});
  CHECK(Kinds(aborted) == "G1a");
  History intermediate(1);
  intermediate.Add(Plain(), {{Op::kOverwrite, 0, 1}, {Op::kAppend, 0, 2}});
  intermediate.Add(Plain(), {{Op::kRead, 0, 1}});
  CHECK(Kinds(intermediate) == "G1b");
  History unknown(1);
  unknown.Add(Plain(), {{Op::kRead, 0, 7}});
  CHECK(Kinds(unknown) == "unknown-token");
}

TEST_CASE("history checker: circular information flow, G1c") {
  History h(2);
  h.Add(Plain(), {{Op::kOverwrite, 0, 1}, {Op::kRead, 1, 2}});
  h.Add(Plain(), {{Op::kOverwrite, 1, 2}, {Op::kRead, 0, 1}});
  CHECK(Kinds(h) == "G1c");
}

TEST_CASE("history checker: read skew and lost update, G-single") {
  History skew(2);
  skew.Add(At(1), {{Op::kOverwrite, 0, 1}, {Op::kOverwrite, 1, 2}});
  skew.Add(At(2), {{Op::kOverwrite, 0, 3}, {Op::kOverwrite, 1, 4}});
  skew.Add(Plain(), {{Op::kRead, 0, 1}, {Op::kRead, 1, 4}});
  CHECK(Kinds(skew) == "G-single");
  History lost(1);
  lost.Add(At(1), {{Op::kOverwrite, 0, 1}});
  lost.Add(At(2), {{Op::kRead, 0, 1}, {Op::kAppend, 0, 2}});
  lost.Add(At(3), {{Op::kRead, 0, 1}, {Op::kAppend, 0, 3}});
  CHECK(Kinds(lost) == "G-single");
  History branch(1);
  branch.Add(Plain(), {{Op::kOverwrite, 0, 1}});
  branch.Add(Plain(), {{Op::kRead, 0, 1}, {Op::kAppend, 0, 2}});
  branch.Add(Plain(), {{Op::kRead, 0, 1}, {Op::kAppend, 0, 3}});
  CHECK(Kinds(branch) == "lost-update");
}

TEST_CASE("history checker: write skew is G2, allowed at the snapshot level") {
  History h(2);
  h.Add(At(1), {{Op::kOverwrite, 0, 1}, {Op::kOverwrite, 1, 2}});
  h.Add(At(2), {{Op::kRead, 0, 1}, {Op::kRead, 1, 2}, {Op::kOverwrite, 0, 3}});
  h.Add(At(3), {{Op::kRead, 0, 1}, {Op::kRead, 1, 2}, {Op::kOverwrite, 1, 4}});
  Report report = h.Check();
  CHECK(report.Has("G2"));
  CHECK(report.Violates(Level::kSerializable));
  CHECK_FALSE(report.Violates(Level::kSnapshot));
}

TEST_CASE("history checker: the read-only anomaly is G2") {
  // Fekete, O'Neil, O'Neil, "A read-only transaction anomaly under snapshot isolation", 2004.
  History h(2);
  h.Add(At(1, 0, 1), {{Op::kOverwrite, 0, 1}, {Op::kOverwrite, 1, 2}});
  h.Add(At(2, 10, 20), {{Op::kRead, 1, 2}, {Op::kOverwrite, 1, 3}});
  h.Add(Plain(30, 40), {{Op::kRead, 0, 1}, {Op::kRead, 1, 3}});
  h.Add(At(3, 5, 50), {{Op::kRead, 0, 1}, {Op::kRead, 1, 2}, {Op::kOverwrite, 0, 4}});
  CHECK(Kinds(h) == "G2");
}

TEST_CASE("history checker: rw-edges that are not neighbours violate the snapshot level too") {
  History h(4);
  h.Add(At(1), {{Op::kOverwrite, 0, 1}, {Op::kOverwrite, 1, 2}});
  h.Add(At(2), {{Op::kOverwrite, 0, 3}, {Op::kOverwrite, 2, 4}});
  h.Add(At(3), {{Op::kOverwrite, 1, 5}, {Op::kOverwrite, 3, 6}});
  h.Add(Plain(), {{Op::kRead, 2, 4}, {Op::kRead, 1, 2}});
  h.Add(Plain(), {{Op::kRead, 3, 6}, {Op::kRead, 0, 1}});
  Report report = h.Check();
  CHECK(report.Has("G-nonadjacent"));
  CHECK(report.Violates(Level::kSnapshot));
}

TEST_CASE("history checker: a stale read breaks real time only") {
  History h(1);
  h.Add(At(1, 0, 1), {{Op::kOverwrite, 0, 1}});
  h.Add(At(2, 2, 3), {{Op::kOverwrite, 0, 2}});
  h.Add(Plain(4, 5), {{Op::kRead, 0, 1}});
  CHECK(Kinds(h) == "G-single-realtime");
  History concurrent(1);
  concurrent.Add(At(1, 0, 1), {{Op::kOverwrite, 0, 1}});
  concurrent.Add(At(2, 2, 4), {{Op::kOverwrite, 0, 2}});
  concurrent.Add(Plain(4, 5), {{Op::kRead, 0, 1}});
  CHECK(Kinds(concurrent).empty());
}

TEST_CASE("history checker: the batch receipt, through real time and absence") {
  // T2 reads y (absent), C writes y and then does not find x, T2 writes x.
  History h(2);
  h.Add(At(1, 10, 20), {{Op::kOverwrite, 1, 1}});
  h.Add(Plain(30, 40), {{Op::kReadAbsent, 0}});
  h.Add(At(2, 5, 50), {{Op::kReadAbsent, 1}, {Op::kOverwrite, 0, 2}});
  CHECK(Kinds(h) == "G2-realtime");
}

TEST_CASE("history checker: absence that never was, and absence of a deleted key") {
  History h(1);
  h.Add(At(1, 0, 1), {{Op::kOverwrite, 0, 1}});
  h.Add(Plain(2, 3), {{Op::kReadAbsent, 0}});
  CHECK(Kinds(h) == "impossible-read");
  History deleted(1);
  deleted.Add(At(1, 0, 1), {{Op::kOverwrite, 0, 1}});
  deleted.Add(At(2, 2, 3), {{Op::kDelete, 0, 2}});
  deleted.Add(Plain(4, 5), {{Op::kReadAbsent, 0}});
  deleted.Add(At(3, 6, 7), {{Op::kReadAbsent, 0}, {Op::kAppend, 0, 3}});
  deleted.Add(Plain(8, 9), {{Op::kReadPresent, 0}});
  CHECK(Kinds(deleted).empty());
  // Both found it absent and both inserted.
  History twice(1);
  twice.Add(At(1), {{Op::kReadAbsent, 0}, {Op::kAppend, 0, 1}});
  twice.Add(At(2), {{Op::kReadAbsent, 0}, {Op::kAppend, 0, 2}});
  CHECK(Kinds(twice) == "G-single");
}

TEST_CASE("history checker: phantoms by absence of the members of a range") {
  History h(3);
  h.Add(At(1), {{Op::kReadAbsent, 0}, {Op::kReadAbsent, 1}, {Op::kOverwrite, 0, 1}});
  h.Add(At(2), {{Op::kReadAbsent, 0}, {Op::kReadAbsent, 1}, {Op::kOverwrite, 1, 2}});
  CHECK(Kinds(h) == "G2");
}

TEST_CASE("history checker: own writes") {
  History good(1);
  good.Add(At(1),
           {{Op::kOverwrite, 0, 1}, {Op::kRead, 0, 1}, {Op::kDelete, 0, 2}, {Op::kReadAbsent, 0}});
  CHECK(Kinds(good).empty());
  History bad(1);
  bad.Add(At(1), {{Op::kOverwrite, 0, 1}, {Op::kReadAbsent, 0}});
  CHECK(Kinds(bad) == "internal");
}

TEST_CASE("history checker: chains ordered by real time") {
  // A batch of two overwrites, seen by halves; nothing tells the order but the clock.
  History half(2);
  half.Add(Plain(0, 1), {{Op::kOverwrite, 0, 1}, {Op::kOverwrite, 1, 2}});
  half.Add(Plain(2, 9), {{Op::kOverwrite, 0, 3}, {Op::kOverwrite, 1, 4}});
  half.Add(Plain(4, 8), {{Op::kRead, 0, 3}, {Op::kRead, 1, 2}});
  CHECK(Kinds(half) == "G-single");
  History alternate(1);
  alternate.Add(Plain(0, 10), {{Op::kOverwrite, 0, 1}});
  alternate.Add(Plain(0, 10), {{Op::kOverwrite, 0, 2}});
  alternate.Add(Plain(11, 12), {{Op::kRead, 0, 1}});
  alternate.Add(Plain(13, 14), {{Op::kRead, 0, 2}});
  alternate.Add(Plain(15, 16), {{Op::kRead, 0, 1}});
  CHECK(alternate.Check().Has("stale-read"));
}

TEST_CASE("history checker: an acknowledged append that is missing") {
  History h(1);
  h.Add(Plain(0, 1), {{Op::kOverwrite, 0, 1}});
  h.Add(Plain(2, 3), {{Op::kRead, 0, 1}});
  h.Add(Plain(4, 5), {{Op::kAppend, 0, 2}});
  h.Add(Plain(6, 7), {{Op::kRead, 0, 1}});
  CHECK(Kinds(h) == "lost-append");
  History reset(1);  // overwritten before anybody looked
  reset.Add(Plain(0, 1), {{Op::kOverwrite, 0, 1}});
  reset.Add(Plain(4, 5), {{Op::kAppend, 0, 2}});
  reset.Add(Plain(6, 7), {{Op::kOverwrite, 0, 3}});
  reset.Add(Plain(8, 9), {{Op::kRead, 0, 3}});
  CHECK(Kinds(reset).empty());
}

TEST_CASE("history checker: unknown outcomes count when somebody saw them") {
  History seen(1);
  seen.Add(Plain(0, 1), {{Op::kOverwrite, 0, 1}});
  seen.Add({.begin = 2, .outcome = Outcome::kUnknown}, {{Op::kOverwrite, 0, 2}});
  seen.Add(Plain(4, 5), {{Op::kRead, 0, 2}});
  seen.Add(Plain(6, 7), {{Op::kRead, 0, 1}});
  CHECK(seen.Check().Has("stale-read"));
  History unseen(1);
  unseen.Add(Plain(0, 1), {{Op::kOverwrite, 0, 1}});
  unseen.Add({.begin = 2, .outcome = Outcome::kUnknown}, {{Op::kOverwrite, 0, 2}});
  unseen.Add(Plain(6, 7), {{Op::kRead, 0, 1}});
  CHECK(Kinds(unseen).empty());
}

// A serial store; each transaction takes effect at its middle and has told the truth.
History Serial(size_t transactions, bool stamps, uint64_t seed) {
  constexpr uint32_t kKeys = 6;
  std::mt19937_64 random(seed);
  History history(kKeys);
  std::vector<uint64_t> state(kKeys, 0);
  uint64_t token = 0, stamp = 0;
  for (size_t i = 0; i < transactions; ++i) {
    const auto middle = static_cast<int64_t>(i * 10 + 1000);
    const auto slack = static_cast<int64_t>(random() % 60);
    std::vector<Operation> operations;
    uint64_t order = 0;
    for (uint32_t key = 0; key < kKeys; ++key) {
      const uint64_t dice = random() % 8;
      if (dice < 4)
        operations.push_back({state[key] == 0 ? Op::kReadAbsent : Op::kRead, key, state[key]});
      if (dice == 0 && state[key] != 0) {
        operations.push_back({Op::kDelete, key, ++token});
        state[key] = 0;
        order = stamp + 1;
      } else if (dice == 1 || dice == 4) {
        state[key] = ++token;
        operations.push_back({dice == 1 ? Op::kAppend : Op::kOverwrite, key, token});
        order = stamp + 1;
      }
    }
    stamp = std::max(stamp, order);
    history.Add({.begin = middle - slack, .end = middle + slack, .order = stamps ? order : 0},
                operations);
  }
  return history;
}

TEST_CASE("history checker: serial histories are clean") {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    History stamped = Serial(2000, true, seed), timed = Serial(2000, false, seed);
    CHECK(Kinds(stamped).empty());
    CHECK(Kinds(timed).empty());
  }
}

TEST_CASE("history checker: a million transactions [slow]") {
  History history = Serial(1'000'000, true, 7);
  CHECK(Kinds(history).empty());
}

}  // namespace
}  // namespace fluxkv::isolation
