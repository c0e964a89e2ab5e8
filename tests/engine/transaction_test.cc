// Goal: single properties of transactions that the model does not look at.
// Method: by hand.
#include "tests/engine/test_support.h"

namespace fluxkv::engine {
namespace {

TEST_CASE("transactions count keys at their snapshot and with their own writes") {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  for (int i = 0; i < 10; ++i) session.Set(0, std::to_string(i), "v");
  Transaction reader(session.handle()), writer(session.handle());
  REQUIRE(reader.BeginSnapshot(Isolation::kSnapshot, true));
  REQUIRE(writer.BeginSnapshot(Isolation::kSerializable, false));
  session.Delete(0, "3");
  session.Set(0, "x", "v");
  session.Set(0, "y", "v");
  CHECK(session.Count(0) == 11);
  CHECK(reader.CountKeys(0) == 10);
  writer.Put(0, Key("z"), NewValue("v"));
  CHECK(writer.Delete(0, Key("4")));
  CHECK(writer.Delete(0, Key("5")));
  CHECK(writer.CountKeys(0) == 9);
  Transaction& exclusive = session.txn();
  exclusive.BeginExclusive();
  exclusive.Put(0, Key("z"), NewValue("v"));
  exclusive.Delete(0, Key("0"));
  exclusive.Delete(0, Key("1"));
  CHECK(exclusive.CountKeys(0) == 10);
  exclusive.ClearDatabase(0);
  CHECK(exclusive.CountKeys(0) == 0);
  exclusive.Rollback();
  CHECK(session.Count(0) == 11);
}

// Two transactions that read both keys at one snapshot and write one each.
std::pair<bool, bool> WriteSkew(Session& session, Isolation isolation) {
  session.Set(0, "x", "1");
  session.Set(0, "y", "1");
  Transaction first(session.handle()), second(session.handle());
  REQUIRE(first.BeginSnapshot(isolation, false));
  REQUIRE(second.BeginSnapshot(isolation, false));
  for (Transaction* t : {&first, &second}) {
    CHECK(Text(t->Get(0, Key("x"))) == "1");
    CHECK(Text(t->Get(0, Key("y"))) == "1");
  }
  first.Put(0, Key("x"), NewValue("0"));
  second.Put(0, Key("y"), NewValue("0"));
  const bool first_committed = first.Commit();
  const bool second_committed = second.Commit();
  return {first_committed, second_committed};
}

TEST_CASE("transactions: write skew is let through at kSnapshot, refused at kSerializable") {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  CHECK(WriteSkew(session, Isolation::kSnapshot) == std::pair(true, true));
  CHECK(WriteSkew(session, Isolation::kSerializable) == std::pair(true, false));
  CHECK(session.Get(0, "y") == "1");
  CHECK(database.stats().conflicts == 1);
}

// What was installed and taken out again must leave nothing that a vacuum could bring to light, and
// nothing that keeps the keys from being written and deleted later.
TEST_CASE("transactions: an aborted one leaves nothing, before a vacuum and after") {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  session.Set(0, "x", "1");
  session.Set(0, "y", "1");
  session.Set(0, "gone", "1");
  const auto vacuum = [&] {
    session.LeaveEpoch();
    database.Vacuum();
    session.EnterEpoch();
  };
  vacuum();
  const uint64_t used = database.stats().used_bytes;
  Transaction first(session.handle()), second(session.handle());
  for (Transaction* t : {&first, &second}) {
    REQUIRE(t->BeginSnapshot(Isolation::kSerializable, false));
    static_cast<void>(t->Get(0, Key("x")));
    static_cast<void>(t->Get(0, Key("y")));
  }
  first.Put(0, Key("x"), NewValue("2"));
  second.Put(0, Key("y"), NewValue("DIRTY"));
  second.Put(0, Key("new"), NewValue("DIRTY"));
  CHECK(second.Delete(0, Key("gone")));
  REQUIRE(first.Commit());
  REQUIRE_FALSE(second.Commit());  // write skew
  for (int round = 0; round < 3; ++round) {
    CHECK(session.Get(0, "x") == "2");
    CHECK(session.Get(0, "y") == "1");
    CHECK(session.Get(0, "new") == "(absent)");
    CHECK(session.Get(0, "gone") == "1");
    CHECK(session.Count(0) == 3);
    vacuum();
  }
  CHECK(database.stats().used_bytes == used);
  session.Delete(0, "gone");
  session.Set(0, "new", "v");
  vacuum();
  CHECK(session.Get(0, "gone") == "(absent)");
  CHECK(session.Get(0, "new") == "v");
  CHECK(session.Count(0) == 3);
}

// What T read is dropped by a flush; a later flush of the same database lets the collector forget
// the first one. T's place before the first flush must not be forgotten with it.
TEST_CASE("transactions: an overwriter that was flushed away still counts") {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  const auto flush = [&] {
    session.txn().BeginExclusive();
    session.txn().ClearDatabase(0);
    session.Finish();
  };
  session.Set(0, "x", "1");
  session.Set(1, "y", "1");
  Transaction t(session.handle());
  REQUIRE(t.BeginSnapshot(Isolation::kSerializable, false));
  CHECK(Text(t.Get(0, Key("x"))) == "1");
  flush();                     // T is before this
  session.Latch(1, Key("y"));  // and somebody who saw the flush reads what T writes
  CHECK(Text(session.txn().Get(1, Key("y"))) == "1");
  session.Finish();
  flush();
  session.LeaveEpoch();
  database.Vacuum();
  session.EnterEpoch();
  t.Put(1, Key("y"), NewValue("2"));
  CHECK_FALSE(t.Commit());
  CHECK(session.Get(1, "y") == "1");
}

TEST_CASE("transactions: idle seconds") {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  const Key key("k");
  session.Latch(0, key);
  session.txn().Put(0, key, NewValue("v"));
  session.txn().SetIdleSeconds(0, key, 500);
  CHECK(session.txn().IdleSeconds(0, key) == 500);
  session.Finish();
  session.txn().BeginRead();
  CHECK(session.txn().Peek(0, key) != nullptr);
  CHECK(session.txn().IdleSeconds(0, key).value() >= 500);
  CHECK(session.txn().IdleSeconds(0, key).value() <= 502);
  session.txn().set_quiet(true);
  CHECK(session.txn().Get(0, key) != nullptr);
  CHECK(session.txn().IdleSeconds(0, key).value() >= 500);
  session.txn().set_quiet(false);
  CHECK(session.txn().Get(0, key) != nullptr);
  CHECK(session.txn().IdleSeconds(0, key).value() <= 1);
  session.Finish();
  // A key written in this transaction is as if it had just been used.
  session.Latch(0, key);
  session.txn().Put(0, key, NewValue("v"));
  session.txn().SetIdleSeconds(0, key, 500);
  session.Finish();
  session.Latch(0, key);
  session.txn().Put(0, key, NewValue("w"));
  CHECK(session.txn().IdleSeconds(0, key) == 0);
  session.Finish();
}

TEST_CASE("transactions: more snapshots than fit are refused") {
  Clock clock;
  Database database({}, clock);
  Session session(database);
  std::vector<std::unique_ptr<Transaction>> open;
  for (size_t i = 0; i < limits::kSnapshotsMax; ++i) {
    open.push_back(std::make_unique<Transaction>(session.handle()));
    REQUIRE(open.back()->BeginSnapshot(Isolation::kSnapshot, true));
  }
  Transaction one_more(session.handle());
  CHECK_FALSE(one_more.BeginSnapshot(Isolation::kSnapshot, true));
  CHECK_FALSE(one_more.BeginSnapshot(Isolation::kSerializable, false));
  REQUIRE(open.back()->Commit());
  CHECK(one_more.BeginSnapshot(Isolation::kSerializable, false));
}

}  // namespace
}  // namespace fluxkv::engine
