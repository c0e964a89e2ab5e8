// Goal: in every interleaving of the classic anomalies the results are those of some serial order
// that keeps real time; at the snapshot level write skew appears and nothing else does; nobody
// aborts without need.
// Method: interleavings.h; two explicit schedules at the end.
#include <doctest/doctest.h>

#include "engine/database.h"
#include "engine/handle.h"
#include "engine/transaction.h"
#include "tests/isolation/interleavings.h"
#include "tests/isolation/token_values.h"

namespace fluxkv::isolation {
namespace {

using engine::Isolation;
constexpr Session::Type kTxn = Session::kInteractive;
constexpr Session::Type kPlain = Session::kPlain;
constexpr Session::Type kReader = Session::kReadOnly;

enum class AtSnapshot { kSerial, kSkew };

// Runs both levels and checks what holds for every spec.
void CheckSpec(const Spec& spec, AtSnapshot expected, bool no_conflict = false) {
  CAPTURE(spec.name);
  const Totals strict = RunAll(spec, Isolation::kSerializable);
  INFO(strict.first_not_serial);
  CHECK(strict.interleavings >= 5);
  CHECK(strict.not_serial == 0);
  CHECK(strict.conflicts_alone == 0);
  CHECK(strict.read_only_conflicts == 0);
  if (no_conflict) CHECK(strict.conflicts == 0);
  const Totals weak = RunAll(spec, Isolation::kSnapshot);
  INFO(weak.first_not_serial);
  CHECK(weak.read_only_conflicts == 0);
  if (expected == AtSnapshot::kSerial) {
    CHECK(weak.not_serial == 0);
  } else {
    CHECK(weak.not_serial > 0);
  }
}

const State kXy{{"x", "1"}, {"y", "1"}};

TEST_CASE("isolation spec: dirty read") {
  CheckSpec({"of a transaction that rolls back",
             kXy,
             {{Session::kRollsBack, {Put("x", "2"), Put("x", "3")}},
              {kTxn, {Get("x"), Get("x")}},
              {kPlain, {Get("x")}}}},
            AtSnapshot::kSerial);
  CheckSpec({"of an intermediate value",
             kXy,
             {{kTxn, {Put("x", "2"), Put("x", "3")}}, {kPlain, {Get("x"), GetBoth("x", "y")}}}},
            AtSnapshot::kSerial);
}

TEST_CASE("isolation spec: dirty write") {
  CheckSpec({"two keys each",
             kXy,
             {{kTxn, {Put("x", "a"), Put("y", "a")}},
              {kTxn, {Put("x", "b"), Put("y", "b")}},
              {kPlain, {GetBoth("x", "y")}}}},
            AtSnapshot::kSerial);
}

TEST_CASE("isolation spec: lost update") {
  CheckSpec({"two transactions",
             kXy,
             {{kTxn, {Get("x"), Append("x", "a")}}, {kTxn, {Get("x"), Append("x", "b")}}}},
            AtSnapshot::kSerial);
  CheckSpec({"a transaction and commands",
             kXy,
             {{kTxn, {Get("x"), Append("x", "a")}}, {kPlain, {Append("x", "b"), Put("x", "c")}}}},
            AtSnapshot::kSerial);
}

TEST_CASE("isolation spec: read skew and fuzzy read") {
  CheckSpec({"a reader between two writes",
             kXy,
             {{kTxn, {Get("x"), Get("y"), Get("x")}}, {kTxn, {Put("x", "2"), Put("y", "2")}}}},
            AtSnapshot::kSerial);
  CheckSpec({"a declared reader",
             kXy,
             {{kReader, {Get("x"), Get("y")}}, {kPlain, {Put("x", "2"), Put("y", "2")}}}},
            AtSnapshot::kSerial);
}

TEST_CASE("isolation spec: write skew") {
  CheckSpec(
      {"two keys",
       kXy,
       {{kTxn, {Get("x"), Get("y"), Put("x", "a")}}, {kTxn, {Get("x"), Get("y"), Put("y", "b")}}}},
      AtSnapshot::kSkew);
  CheckSpec({"three keys in a ring",
             {{"x", "1"}, {"y", "1"}, {"z", "1"}},
             {{kTxn, {Get("x"), Put("y", "a")}},
              {kTxn, {Get("y"), Put("z", "b")}},
              {kTxn, {Get("z"), Put("x", "c")}}},
             true},
            AtSnapshot::kSkew);
}

TEST_CASE("isolation spec: write skew on absent keys") {
  CheckSpec({"neither exists",
             {},
             {{kTxn, {Get("y"), Put("x", "a")}}, {kTxn, {Get("x"), Put("y", "b")}}}},
            AtSnapshot::kSkew);
  CheckSpec({"deletes", kXy, {{kTxn, {Get("y"), Del("x")}}, {kTxn, {Get("x"), Del("y")}}}},
            AtSnapshot::kSkew);
}

TEST_CASE("isolation spec: deleted and inserted again") {
  CheckSpec({"the reader's key comes back",
             kXy,
             {{kTxn, {Get("x"), Put("y", "a")}}, {kPlain, {Del("x"), Put("x", "2"), Get("y")}}}},
            AtSnapshot::kSkew);
  CheckSpec({"of an absent key that appears and goes",
             {{"y", "1"}},
             {{kTxn, {Get("x"), Put("y", "a")}}, {kPlain, {Put("x", "2"), Del("x"), Get("y")}}}},
            AtSnapshot::kSkew);
}

TEST_CASE("isolation spec: the read-only anomaly") {
  for (Session::Type reader : {kReader, kTxn}) {
    CheckSpec({"Fekete's accounts",
               kXy,
               {{kTxn, {Get("x"), Get("y"), Put("x", "a")}},
                {kTxn, {Get("y"), Put("y", "b")}},
                {reader, {Get("x"), Get("y")}}},
               true},
              AtSnapshot::kSkew);
    CheckSpec(
        {"the reader walks",
         kXy,
         {{kTxn, {Get("y"), Put("x", "a")}}, {kPlain, {Put("y", "b")}}, {reader, {Walk("")}}}},
        AtSnapshot::kSkew);
  }
}

TEST_CASE("isolation spec: the batch receipt") {
  const State start{{"batch", "1"}};
  const Session receipt{kTxn, {Get("batch"), Put("receipt", "1")}};
  const Session close{kPlain, {Put("batch", "2")}};
  CheckSpec(
      {"report by one command", start, {receipt, close, {kPlain, {GetBoth("batch", "receipt")}}}},
      AtSnapshot::kSkew);
  CheckSpec(
      {"report by two commands", start, {receipt, close, {kPlain, {Get("batch"), Get("receipt")}}}},
      AtSnapshot::kSkew);
  CheckSpec({"report by a walk", start, {receipt, close, {kPlain, {Walk("")}}}}, AtSnapshot::kSkew);
  CheckSpec({"report by a count", start, {receipt, close, {kReader, {Get("batch"), Count()}}}},
            AtSnapshot::kSkew);
  CheckSpec({"report declared read-only",
             start,
             {receipt, close, {kReader, {Get("batch"), Get("receipt")}}}},
            AtSnapshot::kSkew);
  CheckSpec({"report by an undeclared reader",
             start,
             {receipt, close, {kTxn, {Get("batch"), Get("receipt")}}}},
            AtSnapshot::kSkew);
}

TEST_CASE("isolation spec: phantoms") {
  const State start{{"p1", "1"}, {"q", "1"}};
  CheckSpec({"two inserts into one prefix",
             start,
             {{kTxn, {Walk("p"), Put("p2", "a")}}, {kTxn, {Walk("p"), Put("p3", "b")}}}},
            AtSnapshot::kSkew);
  CheckSpec({"an insert against a delete",
             start,
             {{kTxn, {Walk("p"), Put("q", "a")}}, {kTxn, {Get("q"), Del("p1")}}}},
            AtSnapshot::kSkew);
  CheckSpec({"counts", start, {{kTxn, {Count(), Put("r", "a")}}, {kTxn, {Count(), Put("s", "b")}}}},
            AtSnapshot::kSkew);
  CheckSpec({"commands insert",
             start,
             {{kTxn, {Walk("p"), Put("q", "a")}}, {kPlain, {Put("p2", "b"), Get("q")}}}},
            AtSnapshot::kSkew);
  CheckSpec(
      {"a walk sees one moment",
       start,
       {{kTxn, {Walk("p"), Walk("p")}}, {kPlain, {Put("p0", "b"), Put("p2", "b"), Del("p1")}}}},
      AtSnapshot::kSerial);
}

// Settled at once and only at the end: nobody can tell the difference.
void CheckRangeSpec(Spec spec, AtSnapshot expected, bool no_conflict = false) {
  for (bool at_once : {false, true}) {
    CAPTURE(at_once);
    spec.settle_at_once = at_once;
    CheckSpec(spec, expected, no_conflict);
  }
}

TEST_CASE("isolation spec: a range delete among readers and writers of its keys") {
  CheckRangeSpec({"it is seen whole",
                  kXy,
                  {{kPlain, {DelRange("")}},
                   {kPlain, {GetBoth("x", "y"), GetBoth("y", "x")}},
                   {kReader, {Get("x"), Get("y")}}}},
                 AtSnapshot::kSerial, /*no_conflict=*/true);
  CheckRangeSpec({"keys that come back",
                  kXy,
                  {{kPlain, {DelRange("x"), Put("x", "2"), DelRange("")}},
                   {kTxn, {Get("x"), Walk("")}},
                   {kPlain, {Append("x", "a")}}},
                  true},
                 AtSnapshot::kSerial);
  CheckRangeSpec({"a lost update",
                  kXy,
                  {{kTxn, {Get("x"), Append("x", "a")}}, {kPlain, {DelRange("x"), Get("x")}}}},
                 AtSnapshot::kSerial);
  CheckRangeSpec({"first committer wins, blindly too",
                  kXy,
                  {{kTxn, {Get("y"), Put("x", "a")}}, {kPlain, {DelRange("x"), Get("x")}}}},
                 AtSnapshot::kSerial);
}

TEST_CASE("isolation spec: a range delete and what transactions read") {
  CheckRangeSpec({"a key that was read",
                  kXy,
                  {{kTxn, {Get("x"), Put("y", "a")}}, {kPlain, {DelRange("x"), Get("y")}}}},
                 AtSnapshot::kSkew);
  CheckRangeSpec({"a range that was read",
                  {{"x1", "1"}, {"x2", "1"}, {"y", "1"}},
                  {{kTxn, {Walk("x"), Put("y", "a")}}, {kPlain, {DelRange("x2"), Get("y")}}}},
                 AtSnapshot::kSkew);
  CheckRangeSpec({"what it found absent comes",
                  {{"x1", "1"}, {"y", "1"}},
                  {{kTxn, {Get("y"), Put("x2", "a")}}, {kPlain, {Put("y", "2"), DelRange("x")}}}},
                 AtSnapshot::kSkew);
  CheckRangeSpec(
      {"a key that is written before it",
       kXy,
       {{kTxn, {Get("x"), Put("y", "a")}}, {kPlain, {Put("x", "2"), DelRange("x"), Get("y")}}}},
      AtSnapshot::kSkew);
  CheckRangeSpec({"and a reader that has seen it",
                  kXy,
                  {{kTxn, {Get("x"), Put("y", "a")}},
                   {kPlain, {DelRange("x")}},
                   {kReader, {Get("x"), Get("y")}}},
                  true},
                 AtSnapshot::kSkew);
  CheckRangeSpec(
      {"in two transactions",
       {{"x1", "1"}, {"y1", "1"}},
       {{kTxn, {DelRange("x"), Put("y2", "a")}}, {kTxn, {DelRange("y"), Put("x2", "b")}}}},
      AtSnapshot::kSkew);
  CheckRangeSpec({"one read that it overwrites aborts nobody",
                  {{"x", "1"}, {"z", "1"}},
                  {{kTxn, {Get("x"), Put("z", "a")}}, {kPlain, {DelRange("x")}}}},
                 AtSnapshot::kSerial, /*no_conflict=*/true);
}

TEST_CASE("isolation spec: one rw-edge aborts nobody") {
  CheckSpec({"the reader writes elsewhere",
             kXy,
             {{kTxn, {Get("x"), Put("z", "a")}}, {kTxn, {Put("x", "2")}}}},
            AtSnapshot::kSerial, /*no_conflict=*/true);
  CheckSpec(
      {"a command overwrites", kXy, {{kTxn, {Get("x"), Put("y", "a")}}, {kPlain, {Put("x", "2")}}}},
      AtSnapshot::kSerial, /*no_conflict=*/true);
  CheckSpec({"ranges apart",
             {{"p1", "1"}, {"q1", "1"}},
             {{kTxn, {Walk("p"), Put("p2", "a")}}, {kTxn, {Walk("q"), Put("q2", "b")}}}},
            AtSnapshot::kSerial, /*no_conflict=*/true);
}

TEST_CASE("isolation spec: a plain read leaves its mark") {
  // T2: BEGIN, GET y. C: SET y 1, then GET x. T2: SET x 1, COMMIT.
  CheckSpec(
      {"every order", {}, {{kTxn, {Get("y"), Put("x", "1")}}, {kPlain, {Put("y", "1"), Get("x")}}}},
      AtSnapshot::kSkew);
  Clock clock;
  engine::Database database({}, clock);
  std::unique_ptr<engine::Handle> handle = database.Attach();
  engine::Handle::Scope epoch(*handle);
  const engine::Key x("x"), y("y");
  engine::Transaction t2(*handle), c(*handle);
  REQUIRE(t2.BeginSnapshot(Isolation::kSerializable, false));
  CHECK(t2.Get(0, y) == nullptr);
  const engine::LatchKey latch{0, y.hash};
  c.BeginLatched({&latch, 1});
  c.Put(0, y, TokenValue(1));
  REQUIRE(c.Commit());
  c.BeginRead();
  CHECK(c.Get(0, x) == nullptr);
  CHECK(c.Validate());
  REQUIRE(c.Commit());
  t2.Put(0, x, TokenValue(2));
  CHECK_FALSE(t2.Commit());
  CHECK_FALSE(t2.conflict_reason().empty());
}

TEST_CASE("isolation spec: a cleared or swapped database conflicts with who read it") {
  for (bool swap : {false, true}) {
    CAPTURE(swap);
    Clock clock;
    engine::Database database({}, clock);
    std::unique_ptr<engine::Handle> handle = database.Attach();
    engine::Handle::Scope epoch(*handle);
    const engine::Key x("x"), y("y"), z("z");
    engine::Transaction t(*handle), c(*handle);
    c.BeginExclusive();  // to clear an empty database would change nothing
    c.Put(0, z, TokenValue(9));
    REQUIRE(c.Commit());
    REQUIRE(t.BeginSnapshot(Isolation::kSerializable, false));
    CHECK(t.Get(0, x) == nullptr);
    c.BeginExclusive();
    if (swap) {
      c.SwapDatabases(0, 1);
    } else {
      c.ClearDatabase(0);
    }
    REQUIRE(c.Commit());
    c.BeginRead();
    CHECK(c.Get(2, y) == nullptr);
    CHECK(c.Validate());
    REQUIRE(c.Commit());
    t.Put(2, y, TokenValue(1));
    CHECK_FALSE(t.Commit());
  }
}

}  // namespace
}  // namespace fluxkv::isolation
