// Goal: CONFIG reads and changes options and resets counters.
// Method: commands in process; files in a directory of the test.
#include <doctest/doctest.h>

#include "tests/command/harness.h"
#include "tests/config/temp_dir.h"

namespace fluxkv::command {
namespace {

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

TEST_CASE("config rewrite and reload") {
  config::TempDir dir;
  const std::string text = "[memory]\nmaxmemory = \"10mb\"\n";
  CommandHarness h({dir.Write("a.toml", text)});
  CHECK(h.Run({"CONFIG", "SET", "timeout", "7", "server.maxclients", "50"}) == "OK");
  CHECK(h.Run({"CONFIG", "REWRITE"}) == "OK");
  CHECK(dir.Read("a.toml") == text);
  CHECK(Has(dir.Read("a.override.toml"), "maxclients = 50\ntimeout = \"7s\"\n"));
  CHECK(Has(h.Run({"INFO", "server"}), "config_file:" + dir.Path("a.toml") + "\\r\\n"));

  dir.Write("a.toml", "[memory]\nmaxmemory = \"20mb\"\n");
  CHECK(h.Run({"CONFIG", "SET", "timeout", "8"}) == "OK");
  CHECK(h.Run({"CONFIG", "RELOAD"}) == "OK");
  CHECK(h.Run({"CONFIG", "GET", "maxmemory", "timeout", "maxclients"}) ==
        "[\"maxmemory\", \"20971520\", \"timeout\", \"7\", \"maxclients\", \"50\"]");

  dir.Write("a.toml", "[memory]\nmaxmemory = \"30mb\"\npolicy = \"best\"\n");
  CHECK(Has(h.Run({"CONFIG", "RELOAD"}), "(error) ERR Reloading config file: " +
                                             dir.Path("a.toml") + ":3: memory.policy \"best\": "));
  CHECK(Has(h.Run({"CONFIG", "GET", "maxmemory"}), "\"20971520\""));
  // All or nothing, ours and Redis's names together.
  CHECK(Has(h.Run({"CONFIG", "SET", "memory.maxmemory", "1", "timeout", "x"}), "(error) ERR "));
  CHECK(Has(h.Run({"CONFIG", "GET", "memory.max*"}), "\"memory.maxmemory\", \"20971520\""));
}

TEST_CASE("config rewrite and reload without a file") {
  CommandHarness h;
  for (const char* command : {"REWRITE", "RELOAD"}) {
    CHECK(h.Run({"CONFIG", command}) == "(error) ERR The server is running without a config file");
  }
}

}  // namespace
}  // namespace fluxkv::command
