// Goal: DEBUG is refused unless allowed; its subcommands answer as test suites expect.
// Method: commands in process.
#include <doctest/doctest.h>

#include "tests/command/harness.h"

namespace fluxkv::command {
namespace {

TEST_CASE("permission") {
  CommandHarness h;
  CHECK(Has(h.Run({"DEBUG", "SLEEP", "0"}), "(error) ERR DEBUG command not allowed. If the"));
}

TEST_CASE("subcommands") {
  CommandHarness h({"--enable-debug-command", "yes"});
  CHECK(h.Run({"DEBUG", "FOO"}) ==
        "(error) ERR unknown subcommand or wrong number of arguments for 'FOO'. Try DEBUG HELP.");
  CHECK(h.Run({"DEBUG", "OBJECT", "k"}) == "(error) ERR no such key");
  CHECK(h.Run({"DEBUG", "DIGEST"}) == std::string(40, '0'));
  h.Run({"SET", "k", "v"});
  std::string object = h.Run({"DEBUG", "OBJECT", "k"});
  CHECK(Has(object, "refcount:1 encoding:embstr serializedlength:2 lru:"));
  std::string digest = h.Run({"DEBUG", "DIGEST"});
  CHECK(digest != std::string(40, '0'));
  CHECK(h.Run({"DEBUG", "POPULATE", "10", "p", "5"}) == "OK");
  CHECK(h.Run({"STRLEN", "p:9"}) == "(integer) 5");
  CHECK(h.Run({"DEBUG", "DIGEST"}) != digest);
  CHECK(h.Run({"DEBUG", "ERROR", "X y"}) == "(error) X y");
  CHECK(h.Run({"DEBUG", "SET-ACTIVE-EXPIRE", "0"}) == "OK");
  CHECK(h.Run({"DEBUG", "SLEEP", "0.001"}) == "OK");
  CHECK(h.Run({"DEBUG", "PROTOCOL", "push"}) ==
        "(error) ERR RESP2 is not supported by this command");
  CHECK(h.Run({"DEBUG", "PROTOCOL", "true"}) == "(integer) 1");
  CHECK(Has(h.Run({"DEBUG", "HTSTATS", "0"}), "number of elements: 11"));
  CHECK(Has(h.Run({"DEBUG", "DIGEST-VALUE", "k", "none"}), std::string(40, '0')));
  // A value of four bytes takes 32, a key of 20 as much, one of 21 a step of 16 more.
  for (const auto& [key_size, bytes] : {std::pair{20, "86"}, {21, "102"}}) {
    const std::string key(static_cast<size_t>(key_size), 'k');
    CHECK(h.Run({"SET", key, "text"}) == "OK");
    CHECK(h.Run({"MEMORY", "USAGE", key}) == std::string("(integer) ") + bytes);
  }
  CHECK(h.Run({"MEMORY", "USAGE", "none"}) == "(nil)");
  CHECK(h.Run({"MEMORY", "USAGE", "k", "x"}) == "(error) ERR syntax error");
  CHECK(h.Run({"MEMORY", "PURGE"}) == "OK");
  CHECK(Has(h.Run({"MEMORY", "STATS"}), "keys.count"));
}

}  // namespace
}  // namespace fluxkv::command
