// Goal: CONFIG reads and changes options and resets counters.
// Method: commands in process.
#include <doctest/doctest.h>

#include "tests/command/harness.h"

namespace fluxkv::command {
namespace {

bool Has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("config") {
  CommandHarness h;
  CHECK(Has(h.Run({"CONFIG", "GET", "maxmemory"}), "\"0\""));
  CHECK(h.Run({"CONFIG", "SET", "maxmemory", "100mb", "timeout", "7"}) == "OK");
  CHECK(Has(h.Run({"CONFIG", "GET", "maxmemory"}), "\"104857600\""));
  CHECK(h.Run({"CONFIG", "SET", "nonsense", "1"}) ==
        "(error) ERR Unknown option or number of arguments for CONFIG SET - 'nonsense'");
  CHECK(Has(h.Run({"CONFIG", "SET", "a", "b", "c"}), "(error) ERR wrong number of arguments"));
  h.Run({"CONFIG", "RESETSTAT"});
  CHECK(Has(h.Run({"INFO", "stats"}), "total_error_replies:0"));
  CHECK(Has(h.Run({"CONFIG", "HELP"}), "CONFIG <subcommand> "));
}

}  // namespace
}  // namespace fluxkv::command
