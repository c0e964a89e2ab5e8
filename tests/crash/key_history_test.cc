// Goal: what the crash program counts as lost, half, a hole or contradicted is exactly that.
// Method: short histories by hand.
#include "tests/crash/key_history.h"

#include <doctest/doctest.h>

namespace fluxkv::crash {
namespace {

KeyState State(const char* value) {
  return {.hash = ValueHash(value)};
}
FoundKey Found(const char* value) {
  return {.hash = value == nullptr ? kAbsent : ValueHash(value)};
}

// Keys 0 and 1: "a" and "b" by operation 1, then key 0 "c" by 2, then both "d" by 3; 2 confirmed.
struct Example {
  Example() : history(2) {
    history.Announce({{0, State("a")}, {1, State("b")}});
    history.Announce({{0, State("c")}});
    history.Confirm(2, 0);
    history.Announce({{0, State("d")}, {1, State("d")}});
  }
  Verdict Check(const char* first, const char* second, const std::vector<SeenState>& seen = {}) {
    return history.Check({Found(first), Found(second)}, seen);
  }
  OwnerHistory history;
};

TEST_CASE("crash history: every prefix from what was confirmed on is good") {
  Example e;
  CHECK(e.Check("c", "b").good());
  CHECK(e.Check("c", "b").prefix == 2);
  CHECK(e.Check("d", "d").good());
  CHECK(e.Check("d", "d").prefix == 3);
}

TEST_CASE("crash history: a confirmed operation that is missing is lost") {
  Example e;
  CHECK(e.Check("a", "b").lost == 1);
  CHECK(e.Check(nullptr, "b").lost == 1);
  CHECK(e.Check(nullptr, nullptr).lost == 2);
  CHECK(e.Check("x", "b").lost == 1);
}

TEST_CASE("crash history: an operation of two keys is there or not") {
  Example e;
  CHECK(e.Check("d", "b").halves == 1);
  CHECK(e.Check("c", "d").halves == 1);
  CHECK(e.Check("c", nullptr).halves == 1);  // operation 1, and its second key is lost
}

TEST_CASE("crash history: a later operation without an earlier one is a hole") {
  OwnerHistory history(2);
  history.Announce({{0, State("a")}});
  history.Announce({{1, State("b")}});
  CHECK(history.Check({Found("a"), Found(nullptr)}, {}).prefix == 1);
  Verdict verdict = history.Check({Found(nullptr), Found("b")}, {});
  CHECK(verdict.holes == 1);
  CHECK_FALSE(verdict.text.empty());
}

TEST_CASE("crash history: what others were told stays true") {
  Example e;
  const SeenState seen_d{.key = 0, .hash = ValueHash("d"), .from = 2, .until = 3};
  CHECK(e.Check("d", "d", {seen_d}).good());
  CHECK(e.Check("c", "b", {seen_d}).contradicted == 1);
  // Seen although it was confirmed to be gone before.
  const SeenState stale{.key = 0, .hash = ValueHash("a"), .from = 2, .until = 3};
  CHECK(e.Check("d", "d", {stale}).contradicted == 1);
  const SeenState absent{.key = 1, .hash = kAbsent, .from = 0, .until = 3};
  CHECK(e.Check("c", "b", {absent}).good());
}

TEST_CASE("crash history: a deadline is kept to the millisecond, a brief key ends in time") {
  OwnerHistory history(2);
  history.Announce({{0, {.hash = ValueHash("a"), .deadline_ms = 5000}},
                    {1, {.hash = ValueHash("b"), .brief_ms = 1000, .ends_from_ms = 2000}}});
  history.Confirm(1, 1500);  // so key 1 ends between 2000 and 2500
  const auto check = [&](int64_t deadline_ms, const char* brief, int64_t at_ms) {
    FoundKey found = Found(brief);
    found.deadline_ms = brief == nullptr ? 0 : 2200;
    found.from_ms = found.until_ms = at_ms;
    return history.Check({{.hash = ValueHash("a"), .deadline_ms = deadline_ms}, found}, {}).good();
  };
  CHECK(check(5000, "b", 1500));
  CHECK_FALSE(check(5001, "b", 1500));
  CHECK_FALSE(check(5000, nullptr, 1500));
  CHECK(check(5000, nullptr, 2200));
  CHECK(check(5000, "b", 2200));
  CHECK_FALSE(check(5000, "b", 3000));
  history.Restart({{.hash = ValueHash("a"), .deadline_ms = 5000}, {}});
  CHECK(check(5000, nullptr, 0));
  CHECK_FALSE(check(5000, "b", 0));
}

}  // namespace
}  // namespace fluxkv::crash
