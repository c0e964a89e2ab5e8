// Isolation specs after PostgreSQL's isolation tester: sessions of steps on the engine, run in
// every interleaving in one thread, and an oracle that tries every serial order.
//
//   Spec spec{.name = "write skew", .start = {{"x", "1"}, {"y", "1"}},
//             .sessions = {{Session::kInteractive, {Get("x"), Put("y", "2")}}, ...}};
//   Outcome totals = RunAll(spec, engine::Isolation::kSerializable);
//
// Threads: none.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "engine/transaction.h"

namespace fluxkv::isolation {

struct Step {
  enum Kind { kGet, kGetBoth, kPut, kAppend, kDelete, kDeleteRange, kWalk, kCount };
  Kind kind;
  std::string key;    // kWalk, kDeleteRange: the prefix
  std::string value;  // kGetBoth: the other key
};
inline Step Get(std::string key) {
  return {Step::kGet, std::move(key), {}};
}
inline Step GetBoth(std::string a, std::string b) {
  return {Step::kGetBoth, std::move(a), std::move(b)};
}
inline Step Put(std::string key, std::string value) {
  return {Step::kPut, std::move(key), std::move(value)};
}
inline Step Append(std::string key, std::string value) {
  return {Step::kAppend, std::move(key), std::move(value)};
}
inline Step Del(std::string key) {
  return {Step::kDelete, std::move(key), {}};
}
inline Step DelRange(std::string prefix) {
  return {Step::kDeleteRange, std::move(prefix), {}};
}
inline Step Walk(std::string prefix) {
  return {Step::kWalk, std::move(prefix), {}};
}
inline Step Count() {
  return {Step::kCount, {}, {}};
}

struct Session {
  enum Type {
    kInteractive,  // one transaction, committed at the end
    kReadOnly,     // the same, declared read-only
    kRollsBack,    // the same, rolled back at the end
    kPlain,        // each step a transaction of its own, without a snapshot
  };
  Type type;
  std::vector<Step> steps;
};

using State = std::map<std::string, std::string>;

struct Spec {
  std::string name;
  State start = {};
  std::vector<Session> sessions = {};
  bool short_begin = false;  // begin and first step are one point of the schedule
  // Range deletes of kPlain sessions are settled at once; else only when the schedule is over, but
  // for keys that are written.
  bool settle_at_once = false;
};

struct Totals {
  size_t interleavings = 0;
  size_t not_serial = 0;           // those with a result that no serial order explains
  size_t conflicts = 0;            // transactions that ended with a conflict
  size_t conflicts_alone = 0;      // of transactions that nothing overlapped
  size_t read_only_conflicts = 0;  // of transactions declared read-only
  std::string first_not_serial;    // its schedule and results
};

Totals RunAll(const Spec& spec, engine::Isolation level);

}  // namespace fluxkv::isolation
