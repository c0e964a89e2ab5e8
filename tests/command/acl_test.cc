// Goal: ACL tells of the default user; what belongs to clusters and replication says that it is not
// there; the small server commands answer.
// Method: commands in process.
#include <doctest/doctest.h>

#include "tests/command/harness.h"

namespace fluxkv::command {
namespace {

TEST_CASE("acl") {
  CommandHarness h;
  CHECK(h.Run({"ACL", "WHOAMI"}) == "\"default\"");
  CHECK(h.Run({"ACL", "LIST"}) == "[\"user default on nopass sanitize-payload ~* &* +@all\"]");
  CHECK(Has(h.Run({"ACL", "CAT"}), "\"keyspace\", \"read\""));
  CHECK(Has(h.Run({"ACL", "CAT", "dangerous"}), "\"shutdown\""));
  CHECK(h.Run({"ACL", "CAT", "x"}) == "(error) ERR Unknown category 'x'");
  CHECK(h.Run({"ACL", "GENPASS", "5"}).size() == 4);
  CHECK(h.Run({"ACL", "GENPASS"}).size() == 66);
  CHECK(h.Run({"ACL", "GETUSER", "x"}) == "(nil)");
  h.Set("requirepass", "foobar");
  CHECK(Has(h.Run({"ACL", "LIST"}),
            "#c3ab8ff13720e8ad9047dd39466b3c8974e592c2fa383d4a3960714caef0c4f2 "));
}

TEST_CASE("absent parts and small commands") {
  CommandHarness h;
  CHECK(h.Run({"MODULE", "LIST"}) == "[]");
  CHECK(h.Run({"CLUSTER", "INFO"}) == "(error) ERR This instance has cluster support disabled");
  CHECK(h.Run({"REPLICAOF", "NO", "ONE"}) == "OK");
  CHECK(Has(h.Run({"SLAVEOF", "a", "1"}), "(error) ERR "));
  CHECK(h.Run({"ROLE"}) == "[\"master\", (integer) 0, []]");
  CHECK(h.Run({"WAIT", "0", "0"}) == "(integer) 0");
  CHECK(h.Run({"WAIT", "1", "5"}) == "(integer) 0");
  CHECK(h.Run({"WAIT", "1", "-1"}) == "(error) ERR timeout is negative");
  CHECK(Has(h.Run({"LOLWUT", "VERSION", "5"}), "Redis ver. 7.2.4"));
  CHECK(h.Run({"MONITOR"}) == "OK");
  CHECK(h.Run({"SHUTDOWN", "ABORT"}) == "(error) ERR No shutdown in progress.");
  CHECK(h.Run({"SHUTDOWN", "SAVE", "NOSAVE"}) == "(error) ERR syntax error");
  CHECK_FALSE(h.session().close_after_reply);
  CHECK(h.Run({"SHUTDOWN", "NOSAVE"}) == "");
  CHECK(h.session().close_after_reply);  // nothing that was sent behind it runs
}

}  // namespace
}  // namespace fluxkv::command
