// Goal: CLIENT describes and steers connections, with the errors of Redis.
// Method: several clients in process.
#include <doctest/doctest.h>

#include "tests/command/harness.h"

namespace fluxkv::command {
namespace {

TEST_CASE("names and lines") {
  CommandHarness h;
  CHECK(h.Run({"CLIENT", "GETNAME"}) == "(nil)");
  CHECK(h.Run({"CLIENT", "SETNAME", "a b"}) ==
        "(error) ERR Client names cannot contain spaces, newlines or special characters.");
  CHECK(h.Run({"CLIENT", "SETNAME", "me"}) == "OK");
  CHECK(h.Run({"CLIENT", "GETNAME"}) == "\"me\"");
  CHECK(h.Run({"CLIENT", "SETINFO", "lib-name", "x"}) == "OK");
  CHECK(h.Run({"CLIENT", "SETINFO", "foo", "x"}) == "(error) ERR Unrecognized option 'foo'");
  std::string line = h.Run({"CLIENT", "INFO"});
  for (std::string_view part : {" name=me ", " cmd=client|info ", " user=default ", " resp=2 ",
                                " lib-name=x ", " multi=-1 ", " flags=N "})
    CHECK_MESSAGE(Has(line, part), part);
  CHECK(h.Run({"CLIENT", "LIST", "TYPE", "x"}) == "(error) ERR Unknown client type 'x'");
  CHECK(Has(h.Run({"CLIENT", "LIST"}), " cmd=client|list "));
}

TEST_CASE("kill") {
  CommandHarness h;
  h.Run({"PING"});
  h.Run({"PING"}, 1);
  CHECK(h.Run({"CLIENT", "KILL", "1.2.3.4:5"}) == "(error) ERR No such client");
  CHECK(h.Run({"CLIENT", "KILL", "ID", "0"}) == "(error) ERR client-id should be greater than 0");
  CHECK(h.Run({"CLIENT", "KILL", "ID", "10", "wrong"}) == "(error) ERR syntax error");
  CHECK(h.Run({"CLIENT", "KILL", "USER", "nobody"}) == "(error) ERR No such user 'nobody'");
  CHECK(h.Run({"CLIENT", "KILL", "SKIPME", "yes"}) == "(integer) 1");
  CHECK(h.session(1).info->Has(kClientKilled));
  CHECK(h.Run({"CLIENT", "KILL", "ID", "2"}) == "(integer) 0");  // it is already
  std::string left = h.Run({"CLIENT", "LIST"});
  CHECK_FALSE(Has(left, "id=2 "));
  CHECK_FALSE(h.session().close_after_reply);
  CHECK(h.Run({"CLIENT", "KILL", "SKIPME", "no"}) == "(integer) 1");
  CHECK(h.session().close_after_reply);
}

TEST_CASE("the rest") {
  CommandHarness h;
  CHECK(h.Run({"CLIENT", "PAUSE", "abc"}) ==
        "(error) ERR timeout is not an integer or out of range");
  CHECK(h.Run({"CLIENT", "PAUSE", "-1"}) == "(error) ERR timeout is negative");
  CHECK(h.Run({"CLIENT", "UNPAUSE"}) == "OK");
  CHECK(h.Run({"CLIENT", "UNBLOCK", "99"}) == "(integer) 0");
  CHECK(h.Run({"CLIENT", "NO-TOUCH", "on"}) == "OK");
  CHECK(h.session().no_touch);
  CHECK(h.Run({"CLIENT", "NO-EVICT", "x"}) == "(error) ERR syntax error");
  CHECK(h.Run({"CLIENT", "REPLY", "off"}) == "");
  CHECK(h.Run({"CLIENT", "REPLY", "on"}) == "OK");
  CHECK(Has(h.Run({"CLIENT", "TRACKING", "on"}), "(error) ERR CLIENT TRACKING is not supported"));
  CHECK(h.Run({"CLIENT", "GETREDIR"}) == "(integer) -1");
  CHECK(Has(h.Run({"CLIENT", "HELP"}), "CLIENT <subcommand> "));
  CHECK(Has(h.Run({"CLIENT", "NONE"}), "(error) ERR unknown subcommand 'NONE'"));
}

}  // namespace
}  // namespace fluxkv::command
