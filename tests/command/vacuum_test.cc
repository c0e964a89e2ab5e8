// Goal: VACUUM answers what it gave back; INFO tells what is kept, for whom and since when.
// Method: commands in process beside snapshots of each kind.
#include <doctest/doctest.h>

#include "tests/command/harness.h"

namespace fluxkv::command {
namespace {

std::string Field(CommandHarness& h, const std::string& name) {
  const std::string text = h.Run({"INFO", "vacuum"});
  const size_t at = text.find(name + ":");
  if (at == std::string::npos) return "(no " + name + ")";
  const size_t begin = at + name.size() + 1;
  // The harness shows line ends as escapes.
  return text.substr(begin, text.find_first_of("\\\r", begin) - begin);
}

int64_t FieldNumber(CommandHarness& h, const std::string& name) {
  return std::stoll(Field(h, name));
}

TEST_CASE("vacuum: what it gave back") {
  CommandHarness h;
  h.Set("vacuum.interval", "1h");  // nobody else buries
  h.Run({"VACUUM"});
  for (int i = 0; i < 20; ++i) h.Run({"SET", "k" + std::to_string(i), "v"});
  CHECK(FieldNumber(h, "versions_live") == 20);
  for (int i = 0; i < 5; ++i) h.Run({"DEL", "k" + std::to_string(i)});
  const std::string reply = h.Run({"VACUUM"});
  // Five tombstones and their nodes.
  CHECK(reply.starts_with(
      "[\"versions\", (integer) 5, \"keys\", (integer) 5, \"bytes\", (integer) "));
  CHECK(FieldNumber(h, "versions_live") == 15);
  CHECK(FieldNumber(h, "last_vacuum_versions") == 5);
  CHECK(FieldNumber(h, "last_vacuum_keys") == 5);
  CHECK(FieldNumber(h, "last_vacuum_bytes") > 0);
  CHECK(FieldNumber(h, "last_vacuum_time_ms") > 0);
  CHECK(FieldNumber(h, "vacuumed_keys") == 5);
  CHECK(h.Run({"VACUUM"})
            .starts_with("[\"versions\", (integer) 0, \"keys\", (integer) 0, \"bytes\""));
  h.Run({"FLUSHALL"});
  CHECK(h.Run({"VACUUM"}).starts_with("[\"versions\", (integer) 15, \"keys\", (integer) 15,"));
  CHECK(h.Run({"VACUUM", "x"}) == "(error) ERR wrong number of arguments for 'vacuum' command");
  h.Run({"MULTI"});
  CHECK(h.Run({"VACUUM"}) == "(error) ERR Command not allowed inside a transaction");
}

TEST_CASE("vacuum: who holds what") {
  CommandHarness h;
  h.Set("vacuum.interval", "1h");
  CHECK(Field(h, "oldest_snapshot_holder") == "none");
  CHECK(FieldNumber(h, "oldest_snapshot_age_ms") == 0);
  std::unique_ptr<engine::Handle> handle = h.services().database.Attach();
  h.Run({"SET", "k", "1"});
  engine::Transaction copy(*handle), reader(*handle), client(*handle);
  REQUIRE(copy.BeginCopy());
  h.Run({"SET", "k", "2"});
  CHECK(Field(h, "oldest_snapshot_holder") == "copy");
  CHECK(FieldNumber(h, "versions_dead") == 1);
  REQUIRE(reader.BeginSnapshot(engine::Isolation::kSnapshot, true));
  h.Run({"SET", "k", "3"});
  client.set_client(77);
  REQUIRE(client.BeginSnapshot(engine::Isolation::kSnapshot, true));
  CHECK(FieldNumber(h, "versions_dead") == 2);
  copy.Rollback();
  CHECK(Field(h, "oldest_snapshot_holder") == "internal");
  h.Run({"VACUUM"});
  CHECK(FieldNumber(h, "versions_dead") == 1);
  CHECK(FieldNumber(h, "vacuum_nodes_held") == 1);
  reader.Rollback();
  CHECK(Field(h, "oldest_snapshot_holder") == "client:77");
  CHECK(FieldNumber(h, "oldest_snapshot_age_ms") >= 0);
  client.Rollback();
  h.Run({"VACUUM"});
  CHECK(FieldNumber(h, "versions_dead") == 0);
  CHECK(FieldNumber(h, "vacuum_nodes_held") == 0);

  h.Run({"WATCH", "k"}, 1);
  CHECK(FieldNumber(h, "watched_keys") == 1);
  h.Run({"DEL", "k"});
  h.Run({"VACUUM"});
  CHECK(FieldNumber(h, "vacuum_nodes_held") == 1);
  h.Run({"UNWATCH"}, 1);
  CHECK(h.Run({"VACUUM"}).starts_with("[\"versions\", (integer) 1, \"keys\", (integer) 1,"));
}

}  // namespace
}  // namespace fluxkv::command
