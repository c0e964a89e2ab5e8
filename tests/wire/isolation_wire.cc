// Goal: over the wire, in every interleaving of the classic anomalies, transactions have exactly
// the outcomes that their level allows. Method: tests/wire/isolation_specs.txt, which says how it
// is written; a session is a connection, and a step is answered before the next one is sent.
#include <algorithm>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "tests/slower.h"
#include "tests/wire/wire_case.h"

namespace fluxkv::wire {
namespace {

constexpr const char* kSpecs = "tests/wire/isolation_specs.txt";

using Step = std::vector<Arguments>;  // commands that are sent together
struct Session {
  std::string name;
  std::vector<Step> steps;
};
struct Spec {
  std::string name;
  std::vector<Arguments> setup;
  std::vector<Session> sessions;
  Arguments after;
  std::set<std::string> serializable, snapshot;
};

std::vector<std::string> Split(const std::string& text, const std::string& between) {
  std::vector<std::string> parts;
  size_t begin = 0;
  for (size_t at; (at = text.find(between, begin)) != std::string::npos;
       begin = at + between.size())
    parts.push_back(text.substr(begin, at - begin));
  parts.push_back(text.substr(begin));
  return parts;
}

std::vector<Spec> ReadSpecs() {
  std::ifstream file(kSpecs);
  std::vector<Spec> specs;
  std::vector<std::set<std::string>*> outcomes;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    const size_t blank = line.find(' ');
    const std::string first = line.substr(0, blank);
    const std::string rest = blank == std::string::npos ? "" : line.substr(blank + 1);
    if (first == "spec") specs.emplace_back().name = rest;
    REQUIRE(!specs.empty());
    Spec& spec = specs.back();
    if (first == "spec") {
      outcomes.clear();
    } else if (first == "setup") {
      spec.setup.push_back(Split(rest, " "));
    } else if (first == "session") {
      const size_t colon = rest.find(": ");
      REQUIRE_MESSAGE(colon != std::string::npos, line);
      Session& session = spec.sessions.emplace_back();
      session.name = rest.substr(0, colon);
      for (const std::string& step : Split(rest.substr(colon + 2), "; ")) {
        session.steps.emplace_back();
        for (const std::string& command : Split(step, " / "))
          session.steps.back().push_back(Split(command, " "));
      }
    } else if (first == "after") {
      spec.after = Split(rest, " ");
    } else if (line == "both") {
      outcomes = {&spec.serializable, &spec.snapshot};
    } else if (line == "serializable") {
      outcomes = {&spec.serializable};
    } else if (line == "snapshot") {
      outcomes = {&spec.snapshot};
    } else {
      REQUIRE_MESSAGE((line.starts_with("  ") && !outcomes.empty()), line);
      for (auto* set : outcomes) set->insert(line.substr(2));
    }
  }
  return specs;
}

// All orders of the sessions' steps, each as the session of every step.
std::vector<std::vector<size_t>> Interleavings(const Spec& spec) {
  std::vector<size_t> order;
  for (size_t s = 0; s < spec.sessions.size(); ++s)
    order.insert(order.end(), spec.sessions[s].steps.size(), s);
  std::vector<std::vector<size_t>> all;
  do {
    all.push_back(order);
  } while (std::next_permutation(order.begin(), order.end()));
  return all;
}

class Runner {
 public:
  Runner(const Spec& spec, std::string level, WireCase* wire)
      : spec_(spec), level_(std::move(level)), wire_(*wire) {
    for (size_t s = 0; s < spec.sessions.size(); ++s)
      clients_.push_back(std::make_unique<Client>(wire->server.port()));
  }

  std::string Outcome(const std::vector<size_t>& order) {
    REQUIRE(wire_.client.Do({"FLUSHDB"}) == "OK");
    for (const Arguments& command : spec_.setup) REQUIRE(wire_.client.Do(command) == "OK");
    said_.assign(spec_.sessions.size(), "");
    over_.assign(spec_.sessions.size(), false);
    std::vector<size_t> next(spec_.sessions.size(), 0);
    for (const size_t s : order) Take(s, spec_.sessions[s].steps[next[s]++]);
    std::string outcome;
    for (size_t s = 0; s < spec_.sessions.size(); ++s)
      outcome += spec_.sessions[s].name + ":" + said_[s] + " | ";
    return outcome + wire_.client.Do(spec_.after);
  }

 private:
  void Take(size_t s, const Step& step) {
    if (over_[s]) return;
    Client& client = *clients_[s];
    std::string bytes, reply;
    for (Arguments command : step) {
      for (std::string& word : command) word = word == "$LEVEL" ? level_ : word;
      bytes += Encode(command);
    }
    client.Send(bytes);
    for (size_t i = 0; i < step.size(); ++i) reply = client.Read();
    if (reply.starts_with("(error) CONFLICT")) {
      over_[s] = true;
      said_[s] = " conflict";
      const std::string rolled_back = client.Do({"ROLLBACK"});
      // After a COMMIT that conflicts nothing is left to roll back.
      REQUIRE((rolled_back == "OK" || rolled_back.starts_with("(error) ERR ROLLBACK without")));
    } else if (step.back()[0] == "COMMIT") {
      REQUIRE(reply.starts_with("(integer) "));
      said_[s] += " ok";
    } else if (reply != "OK") {
      said_[s] += " " + reply;
    }
  }

  const Spec& spec_;
  const std::string level_;
  WireCase& wire_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::string> said_;
  std::vector<bool> over_;
};

std::string Lines(const std::set<std::string>& set) {
  std::string lines;
  for (const std::string& line : set) lines += "\n  " + line;
  return lines;
}

TEST_CASE(
    "isolation specs: every interleaving has an outcome of its level, and all of those appear") {
  const std::vector<Spec> specs = ReadSpecs();
  REQUIRE(specs.size() >= 15);
  for (const Spec& spec : specs) {
    for (const std::string level : {"SERIALIZABLE", "SNAPSHOT"}) {
      CAPTURE(spec.name);
      CAPTURE(level);
      WireCase wire;
      Runner runner(spec, level, &wire);
      const std::vector<std::vector<size_t>> orders = Interleavings(spec);
      REQUIRE(orders.size() >= 3);
      // Slow builds look at some, by a step that divides none of the counts.
      const size_t step = kSlower > 1 ? 17 : 1;
      std::set<std::string> seen;
      for (size_t i = 0; i < orders.size(); i += step) seen.insert(runner.Outcome(orders[i]));
      const std::set<std::string>& expected =
          level == "SNAPSHOT" ? spec.snapshot : spec.serializable;
      if (step == 1) {
        CHECK_MESSAGE(seen == expected, "the outcomes were", Lines(seen));
      } else {
        for (const std::string& outcome : seen) CHECK_MESSAGE(expected.contains(outcome), outcome);
      }
    }
  }
}

}  // namespace
}  // namespace fluxkv::wire
