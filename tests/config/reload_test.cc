// Goal: a reload makes of file, overrides and command line what a start would, as far as it can be
// had while running; says what it did and what needs a restart; and changes nothing at all when
// anything is wrong.
// Method: files in a directory of the test that are changed under a Config; appliers that record
// and fail on demand; the lines of the log are compared as a whole.
#include <atomic>
#include <filesystem>
#include <thread>

#include "config_test_support.h"
#include "temp_dir.h"
#include "tests/slower.h"

namespace fluxkv::config {
namespace {

using Lines = std::vector<std::string>;

// A server that has its file in a directory of its own.
struct RunningOnFile {
  explicit RunningOnFile(const std::string& text, std::vector<std::string> options = {},
                         const std::string& name = "a.toml") {
    path = dir.Write(name, text);
    options.insert(options.begin(), path);
    Loaded loaded = Load(options);
    REQUIRE(loaded.error == "");
    config = std::move(loaded.config);
    config->LogTo([this](LogLevel level, const std::string& line) {
      log.push_back((level == LogLevel::kWarning ? "# " : "* ") + line);
    });
    for (const char* option : {"port", "bind", "durability.mode"}) {
      config->OnChange(option, [this, option](const std::string& value) {
        calls.push_back(std::string(option) + " " + value);
        return value == failing ? Status::Error("it is taken") : Status();
      });
    }
  }
  // "OK" or the error; the log and the appliers' calls are those since then.
  std::string Reload() {
    log.clear();
    calls.clear();
    Status status = config->Reload();
    return status.ok() ? "OK" : status.message();
  }
  std::string Text(const std::string& name) const { return config->Text(name); }

  TempDir dir;
  std::string path;
  std::string failing = "nothing";
  std::unique_ptr<Config> config;
  Lines log;
  Lines calls;
};

std::string Again(int changed) {
  return "* The configuration was read again, " + std::to_string(changed) +
         (changed == 1 ? " option" : " options") + " changed";
}

TEST_CASE("RELOAD takes what the file says now, and tells what it changed") {
  RunningOnFile server("[server]\nport = 7000\ntimeout = 5\n[memory]\nmaxmemory = \"1mb\"\n");
  server.dir.Write("a.toml", "[server]\nport = 7001\n[memory]\nmaxmemory = \"2mb\"\n");
  CHECK(server.Reload() == "OK");
  CHECK(server.log == Lines{"* changed server.port: \"7000\" -> \"7001\"",
                            "* changed server.timeout: \"5\" -> \"0\"",
                            "* changed memory.maxmemory: \"1048576\" -> \"2097152\"", Again(3)});
  CHECK(server.calls == Lines{"port 7001"});
  CHECK(server.config->settings().maxmemory_bytes == 2 << 20);
  CHECK(server.config->settings().timeout_s == 0);
  CHECK(server.config->path() == server.path);
  CHECK(server.Reload() == "OK");
  CHECK(server.log == Lines{Again(0)});
  CHECK(server.calls.empty());
  // REWRITE compares with the file as it is now.
  CHECK(SetText(server.config.get(), {{"timeout", "5"}, {"maxmemory", "2mb"}}) == "OK");
  CHECK(server.config->Rewrite().ok());
  CHECK(server.dir.Read("a.override.toml").ends_with("\n[server]\ntimeout = \"5s\"\n"));
}

TEST_CASE("RELOAD: what needs a restart stays, and the log says so each time") {
  RunningOnFile server("[server]\nthreads = 2\n");
  server.dir.Write("a.toml", "[server]\nthreads = 4\ntimeout = 1\n[durability]\ndir = \"/\"\n");
  std::string data = server.config->dir();
  for (int i = 0; i < 2; ++i) {
    CHECK(server.Reload() == "OK");
    Lines expected = {"* changed server.timeout: \"0\" -> \"1\"",
                      "# server.threads: \"2\" -> \"4\" needs a restart",
                      "# durability.dir: \"" + data + "\" -> \"/\" needs a restart", Again(1)};
    if (i == 1) {
      expected.erase(expected.begin());
      expected.back() = Again(0);
    }
    CHECK(server.log == expected);
    CHECK(server.Text("threads") == "2");
    CHECK(server.config->dir() == data);
  }
  server.dir.Write("a.toml", "[server]\nthreads = 2\n");
  CHECK(server.Reload() == "OK");
  CHECK(server.log == Lines{"* changed server.timeout: \"1\" -> \"0\"", Again(1)});
}

TEST_CASE("RELOAD: an option without its applier needs a restart") {
  TempDir dir;
  std::string path = dir.Write("a.toml", "");
  auto config = Load({path}).config;
  dir.Write("a.toml", "[server]\nport = 7001\n[durability]\nmode = \"full\"\n");
  CHECK(config->Reload().ok());
  CHECK(config->Text("port") == "6379");
  CHECK(config->Text("durability.mode") == "relaxed");
  CHECK(config->Text("appendfsync") == "everysec");
}

TEST_CASE("RELOAD: what CONFIG SET changed ends, unless REWRITE has saved it") {
  RunningOnFile server("[memory]\nmaxmemory = 1\n");
  CHECK(SetText(server.config.get(), {{"maxmemory", "2"}, {"timeout", "3"}}) == "OK");
  CHECK(server.config->Rewrite().ok());
  CHECK(SetText(server.config.get(), {{"timeout", "4"}, {"hz", "20"}}) == "OK");
  std::string note = "* " + server.dir.Path("a.override.toml") +
                     ": 2 options that CONFIG REWRITE saved, read after " + server.path;
  CHECK(server.Reload() == "OK");
  CHECK(server.log == Lines{note, "* changed server.timeout: \"4\" -> \"3\"",
                            "* changed redis.hz: \"20\" -> \"10\"", Again(2)});
  CHECK(server.Text("maxmemory") == "2");
  // The same that a start gives.
  CHECK(Load({server.path}).config->Get({"*", "*.*"}) == server.config->Get({"*", "*.*"}));
}

TEST_CASE("RELOAD: an option removed from the overrides is what the file says") {
  RunningOnFile server("[memory]\nmaxmemory = 1\n");
  CHECK(SetText(server.config.get(), {{"maxmemory", "2"}, {"timeout", "3"}}) == "OK");
  CHECK(server.config->Rewrite().ok());
  server.dir.Write("a.override.toml", "[server]\ntimeout = 4\n");
  CHECK(server.Reload() == "OK");
  CHECK(server.Text("maxmemory") == "1");
  CHECK(server.Text("timeout") == "4");
  // And REWRITE does not bring it back.
  CHECK(server.config->Rewrite().ok());
  CHECK(server.dir.Read("a.override.toml").ends_with("says.\n\n[server]\ntimeout = \"4s\"\n"));
  std::filesystem::remove(server.dir.Path("a.override.toml"));
  CHECK(server.Reload() == "OK");
  CHECK(server.Text("timeout") == "0");
}

TEST_CASE("RELOAD: the command line stays above both files, and above CONFIG SET") {
  RunningOnFile server("", {"--maxmemory", "5", "--threads", "3"});
  server.dir.Write("a.toml", "[server]\nthreads = 7\n[memory]\nmaxmemory = 6\n");
  server.dir.Write("a.override.toml", "[memory]\nmaxmemory = 7\n");
  CHECK(SetText(server.config.get(), {{"maxmemory", "8"}}) == "OK");
  CHECK(server.Reload() == "OK");
  CHECK(server.Text("maxmemory") == "5");
  CHECK(server.log[1] == "* command line: --maxmemory stands above what " +
                             server.dir.Path("a.override.toml") + " has for it");
  CHECK(server.log.back() == Again(1));
  CHECK(server.log.size() == 4);  // nothing about threads
}

TEST_CASE("RELOAD: paths are meant from where the server was started") {
  TempDir dir;
  dir.Write("a.toml", "[durability]\ndir = \"kept\"\n");
  std::filesystem::create_directory(dir.Path("elsewhere"));
  std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(dir.Path("."));
  auto config = Load({"a.toml"}).config;
  std::filesystem::current_path(dir.Path("elsewhere"));
  Lines log;
  config->LogTo([&](LogLevel, const std::string& line) { log.push_back("* " + line); });
  Status reloaded = config->Reload();
  dir.Write("a.toml", "[durability]\ndir = \"kept/\"\n[server]\ntimeout = 1\n");
  Status again = config->Reload();
  Status set = config->Set({{"timeout", "2"}});
  Status written = config->Rewrite();
  std::filesystem::current_path(before);
  CHECK(reloaded.ok());
  CHECK(again.ok());
  CHECK(set.ok());
  CHECK(written.ok());
  CHECK(log[0] == Again(0));
  CHECK(log[2] == Again(1));
  CHECK(std::filesystem::exists(dir.Path("a.override.toml")));
}

TEST_CASE("RELOAD: after any mistake nothing has changed") {
  RunningOnFile server("[server]\nport = 7000\n[memory]\nmaxmemory = 1\n");
  CHECK(SetText(server.config.get(), {{"maxmemory", "2"}, {"timeout", "3"}}) == "OK");
  CHECK(server.config->Rewrite().ok());
  CHECK(SetText(server.config.get(), {{"hz", "20"}}) == "OK");
  const std::string good = server.dir.Read("a.toml");
  const std::string saved = server.dir.Read("a.override.toml");
  const auto before = server.config->Get({"*", "*.*"});
  auto fails = [&](const std::string& error) {
    CAPTURE(error);
    std::string answer = server.Reload();
    CHECK(answer == "ERR Reloading config file: " + error);
    CHECK(server.log.back() ==
          "# The configuration could not be read again, nothing was changed: " + error);
    CHECK(server.config->Get({"*", "*.*"}) == before);
    CHECK(server.config->settings().maxmemory_bytes == 2);
  };
  const std::string override_path = server.dir.Path("a.override.toml");
  const std::string hint =
      " (CONFIG REWRITE writes this file; without it " + server.path + " counts alone)";

  server.dir.Write("a.toml", "[server]\ntimeout = 9\nprot = 1\n");
  fails(server.path + ":3: unknown option 'server.prot', the nearest is 'server.port'");
  server.dir.Write("a.toml", "[server]\ntimeout = 9\nport = 70000\n");
  fails(server.path + ":3: server.port \"70000\": argument must be between 0 and 65535 inclusive");
  server.dir.Write("a.toml", "[durability]\nflush_interval_ms = 0\n");
  CHECK(server.Reload().starts_with("ERR Reloading config file: " + server.path +
                                    ":2: durability.flush_interval_ms \"0\": durability.mode "));
  CHECK(server.config->Get({"*", "*.*"}) == before);
  std::filesystem::remove(server.path);
  fails(server.path + ": no such file");
  server.dir.Write("a.toml", good);
  server.dir.Write("a.override.toml", "[server]\ntimeout = 9\nold = 1\n");
  fails(override_path + ":3: unknown option 'server.old', the nearest is 'server.bind'" + hint);
  server.dir.Write("a.override.toml", std::string(2 << 20, ' '));
  fails(override_path + ": larger than 1mb, too large for a configuration file" + hint);
  server.dir.Write("a.override.toml", saved);

  // The last step fails: what was done before it is taken back.
  server.failing = "0.0.0.0";
  server.dir.Write("a.toml", "[server]\nport = 7001\nbind = \"0.0.0.0\"\n");
  fails("server.bind: it is taken");
  CHECK(server.calls.size() == 2);
  server.dir.Write("a.toml",
                   "[server]\nport = 7001\nbind = \"127.0.0.1\"\n[durability]\n"
                   "mode = \"full\"\n");
  server.failing = "full";
  fails("durability.mode: it is taken");
  CHECK(server.calls == Lines{"bind 127.0.0.1", "port 7001", "durability.mode full",
                              "bind 127.0.0.1 -::1", "port 7000", "durability.mode relaxed"});
  // REWRITE still knows what is CONFIG SET's.
  server.dir.Write("a.toml", good);
  CHECK(server.config->Rewrite().ok());
  CHECK(server.dir.Read("a.override.toml") == saved + "\n[redis]\nhz = 20\n");
}

TEST_CASE("RELOAD without a file") {
  auto config = Load({"--timeout", "3"}).config;
  CHECK(SetText(config.get(), {{"timeout", "4"}}) == "OK");
  CHECK(config->Reload().message() == "ERR The server is running without a config file");
  CHECK(config->Text("timeout") == "4");
}

TEST_CASE("RELOAD shows no password") {
  RunningOnFile server("[server]\nrequirepass = \"eins\"\n");
  server.dir.Write("a.toml", "[server]\nrequirepass = \"zwei\"\n");
  CHECK(server.Reload() == "OK");
  CHECK(server.config->requirepass() == "zwei");
  CHECK(server.log == Lines{"* changed server.requirepass: (not shown) -> (not shown)", Again(1)});
  server.dir.Write("a.toml", "");
  CHECK(server.Reload() == "OK");
  CHECK(server.log == Lines{"* changed server.requirepass: (not shown) -> \"\"", Again(1)});
  CHECK(server.config->settings().requirepass_set == 0);
}

TEST_CASE("RELOAD: linked options change together") {
  RunningOnFile server("");
  server.dir.Write("a.toml", "[redis]\nappendfsync = \"always\"\n");
  CHECK(server.Reload() == "OK");
  CHECK(server.Text("durability.mode") == "full");
  CHECK(server.calls == Lines{"durability.mode full"});
  CHECK(SetText(server.config.get(), {{"appendonly", "no"}}) == "OK");
  CHECK(server.config->Rewrite().ok());
  server.dir.Write("a.toml", "");
  CHECK(server.Reload() == "OK");
  CHECK(server.Text("durability.mode") == "none");
  CHECK(server.Text("appendonly") == "no");
}

TEST_CASE("RELOAD of a redis.conf, with what it includes and leaves out") {
  RunningOnFile server("save \"\"\nmaxmemory 1mb\n", {}, "redis.conf");
  server.dir.Write("more.conf", "timeout 7\n");
  server.dir.Write("redis.conf", "save \"\"\ninclude more.conf\ntls-port 1\n");
  CHECK(server.Reload() == "OK");
  CHECK(server.log == Lines{"* " + server.path +
                                ":3: tls-port: ignored, this version does not "
                                "have it",
                            "* changed server.timeout: \"0\" -> \"7\"",
                            "* changed memory.maxmemory: \"1048576\" -> \"0\"", Again(2)});
}

TEST_CASE("a number that the system lowered is no change of anybody's") {
  RunningOnFile server("[server]\nmaxclients = 5000\n");
  server.config->Lower("maxclients", 100);
  CHECK(server.config->settings().maxclients == 100);
  CHECK(server.Reload() == "OK");
  CHECK(server.log ==
        Lines{"# server.maxclients: \"100\" -> \"5000\" is not done, the system gives "
              "no more",
              Again(0)});
  CHECK(server.Text("maxclients") == "100");
  CHECK(server.config->Rewrite().ok());
  CHECK(server.dir.Read("a.override.toml").find("maxclients") == std::string::npos);
  // Another number in the file is tried.
  server.dir.Write("a.toml", "[server]\nmaxclients = 90\n");
  CHECK(server.Reload() == "OK");
  CHECK(server.Text("maxclients") == "90");
}

TEST_CASE("REWRITE keeps what waits for a restart, unless CONFIG SET says otherwise") {
  RunningOnFile server("");
  server.dir.Write("a.override.toml", "[server]\nthreads = 4\nmaxclients = 9000\n");
  CHECK(server.Reload() == "OK");
  CHECK(server.config->Rewrite().ok());
  CHECK(
      server.dir.Read("a.override.toml").ends_with("\n[server]\nthreads = 4\nmaxclients = 9000\n"));
  RunningOnFile lowered("");
  lowered.config->Lower("maxclients", 100);
  CHECK(SetText(lowered.config.get(), {{"maxclients", "100"}}) == "OK");
  CHECK(lowered.config->Rewrite().ok());
  CHECK(lowered.dir.Read("a.override.toml").ends_with("\n[server]\nmaxclients = 100\n"));
}

TEST_CASE("RELOAD, SET and REWRITE wait for each other, GET for none") {
  RunningOnFile server("[memory]\nmaxmemory = 1\n");
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    while (!stop.load()) {
      CHECK(server.config->Get({"max*", "server.*"}).size() > 10);
      CHECK(!server.Text("maxmemory").empty());
    }
  });
  std::thread writer([&] {
    for (int i = 0; i < 300 / kSlower; ++i) {
      CHECK(server.config->Set({{"maxmemory", std::to_string(i)}, {"timeout", "1"}}).ok());
      if (i % 10 == 0) CHECK(server.config->Rewrite().ok());
    }
  });
  for (int i = 0; i < 300 / kSlower; ++i) CHECK(server.config->Reload().ok());
  writer.join();
  stop = true;
  reader.join();
}

}  // namespace
}  // namespace fluxkv::config
