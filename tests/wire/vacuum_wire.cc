// Goal: VACUUM over the wire: what it answers, what INFO tells of what is kept and for whom, and
// that vacuum.interval does the same without being asked. Method: a server that vacuums by itself
// once an hour; keys counted, a KEYS that takes long as the holder of a snapshot.
#include <string>

#include <doctest/doctest.h>

#include "tests/wire/wire_case.h"

namespace fluxkv::wire {
namespace {

const std::vector<std::string> kSeldom = {"--vacuum.interval", "1h"};

std::string VacuumField(Client& client, const std::string& name) {
  const std::string text = client.Do({"INFO", "vacuum"});
  const size_t at = text.find("\\n" + name + ":");
  if (at == std::string::npos) return "(no " + name + ")";
  const size_t begin = at + name.size() + 3;
  return text.substr(begin, text.find('\\', begin) - begin);
}

bool FieldBecomes(Client& client, const std::string& name, const std::string& value) {
  return Becomes([&] { return VacuumField(client, name) == value; });
}

void SetKeys(Client& client, int keys) {
  for (int i = 0; i < keys; i += 100) {
    Arguments mset = {"MSET"};
    for (int n = i; n < i + 100; ++n) {
      mset.push_back("key:" + std::to_string(n));
      mset.push_back("v");
    }
    REQUIRE(client.Do(mset) == "OK");
  }
}

TEST_CASE("VACUUM answers what it gave back, in RESP2 and RESP3") {
  for (const std::string protocol : {"2", "3"}) {
    CAPTURE(protocol);
    WireCase wire(kSeldom);
    wire.client.Do({"HELLO", protocol});
    wire.client.Do({"VACUUM"});  // what came before
    SetKeys(wire.client, 100);
    CHECK(VacuumField(wire.client, "versions_live") == "100");
    for (int i = 0; i < 40; ++i) wire.client.Do({"DEL", "key:" + std::to_string(i)});
    CHECK(VacuumField(wire.client, "versions_live") == "60");
    const std::string reply = wire.client.DoRaw({"VACUUM"});
    CHECK(reply.starts_with((protocol == "2" ? "*8" : "%4") +
                            std::string("\r\n$8\r\nversions\r\n:40\r\n$4\r\nkeys\r\n:40\r\n"
                                        "$5\r\nbytes\r\n:")));
    CHECK(reply.find("\r\n$12\r\nmilliseconds\r\n:") != std::string::npos);
    CHECK(VacuumField(wire.client, "last_vacuum_keys") == "40");
    CHECK(VacuumField(wire.client, "vacuum_nodes_waiting") == "0");
    wire.client.Do({"MULTI"});
    CHECK(wire.client.Do({"VACUUM"}) == "(error) ERR Command not allowed inside a transaction");
    wire.client.Do({"DISCARD"});
  }
}

TEST_CASE(
    "a client whose KEYS takes long holds the oldest snapshot, and what it may read is kept") {
  WireCase wire(kSeldom);
  SetKeys(wire.client, 100'000);
  Client walker(wire.server.port());
  const std::string id = walker.Do({"CLIENT", "ID"}).substr(std::string("(integer) ").size());
  std::string holder;
  for (int i = 0; i < 200 && holder != "client:" + id; ++i) {
    walker.Send(Encode({"KEYS", "*"}));
    while (!walker.Readable(0) && holder != "client:" + id)
      holder = VacuumField(wire.client, "oldest_snapshot_holder");
    walker.ReadRaw();
  }
  CHECK(holder == "client:" + id);
  CHECK(FieldBecomes(wire.client, "oldest_snapshot_holder", "none"));
  CHECK(VacuumField(wire.client, "oldest_snapshot_age_ms") == "0");
  wire.client.Do({"VACUUM"});
  CHECK(VacuumField(wire.client, "versions_dead") == "0");
}

TEST_CASE("vacuum.interval is changed while running") {
  WireCase wire(kSeldom);
  wire.client.Do({"VACUUM"});
  CHECK(VacuumField(wire.client, "vacuum_interval_ms") == "3600000");
  SetKeys(wire.client, 100);
  for (int i = 0; i < 40; ++i) wire.client.Do({"DEL", "key:" + std::to_string(i)});
  CHECK(FieldBecomes(wire.client, "vacuum_nodes_waiting", "40"));
  CHECK(wire.client.Do({"CONFIG", "SET", "vacuum.interval", "5ms"}) == "OK");
  CHECK(FieldBecomes(wire.client, "vacuum_nodes_waiting", "0"));
  CHECK(VacuumField(wire.client, "last_vacuum_keys") == "40");
  CHECK(wire.client.Do({"CONFIG", "SET", "vacuum.interval", "1h"}) == "OK");
}

}  // namespace
}  // namespace fluxkv::wire
