// Goal: files and command lines are read in their order of precedence, and every mistake gives one
// line that helps.
// Method: files in a directory of the test; whole error texts are compared.

#include "config_test_support.h"
#include "temp_dir.h"

namespace fluxkv::config {
namespace {

TEST_CASE("command line: modes, names, values") {
  CHECK(ParseCommandLine({"--help"}).value().mode == CommandLine::kHelp);
  CHECK(ParseCommandLine({"x.toml", "--version"}).value().mode == CommandLine::kVersion);
  auto check = ParseCommandLine({"x.toml", "--check", "--port", "1"});
  CHECK(check.value().mode == CommandLine::kCheck);
  CHECK(check.value().file == "x.toml");
  CHECK(check.value().assignments.size() == 1);

  auto loaded = Load({"--server.port", "7000", "--bind", "127.0.0.1", "::1", "--threads", "4",
                      "--maxmemory 700mb", "--save", "", "--isolation", "snapshot",
                      "--proc-title-template", "--my--title", "--save", "--loglevel", "verbose"});
  CHECK(loaded.error == "");
  const StartOptions& start = loaded.config->start();
  CHECK(start.port == 7000);
  CHECK(start.bind == std::vector<std::string>{"127.0.0.1", "::1"});
  CHECK(start.threads == 4);
  CHECK(start.isolation == Isolation::kSnapshot);
  CHECK(start.databases == 16);
  CHECK(loaded.config->settings().maxmemory_bytes == 700 << 20);
  CHECK(loaded.config->Text("proc-title-template") == "--my--title");
  CHECK(loaded.config->settings().level() == LogLevel::kVerbose);
}

TEST_CASE("command line: mistakes") {
  CHECK(Load({"--prot", "1"}).error ==
        "command line: unknown option 'prot', the nearest is 'port'");
  CHECK(Load({"--port"}).error == "command line: --port: wrong number of arguments");
  CHECK(Load({"--port", "1", "2"}).error ==
        "command line: --port \"1\" \"2\": wrong number of arguments");
  CHECK(Load({"--port", "99999"}).error ==
        "command line: --port \"99999\": argument must be between 0 and 65535 inclusive");
  CHECK(Load({"x.conf", "y.conf"}).error.starts_with("command line: 'y.conf' is not expected"));
  CHECK(Load({"--durability", "most"}).error ==
        "command line: --durability \"most\": argument(s) must be one of the following: none, "
        "relaxed, full");
  CHECK(Load({"--replicaof", "host", "1"}).error.find("no replication") != std::string::npos);
  CHECK(Load({"/nonexistent/x.toml"}).error == "/nonexistent/x.toml: no such file");
  CHECK(Load({"/"}).error == "/: not a regular file");
}

TEST_CASE("TOML: values of every kind") {
  TempDir dir;
  std::string path =
      dir.Write("a.toml",
                "[server]\nport = 7000\nbind = [\"127.0.0.1\", \"::1\"]\n"
                "protected_mode = false\nunixsocketperm = 0o700\ntimeout = \"1min\"\n"
                "[latency]\ntracking_info_percentiles = [50, 99.9]\n"
                "[redis]\nmaxmemory-samples = 7\n"
                "[memory]\nmaxmemory = \"1gb\"\npolicy = 'allkeys-lru'\n");
  auto loaded = Load({path});
  CHECK(loaded.error == "");
  CHECK(loaded.config->start().port == 7000);
  CHECK(loaded.config->start().bind.size() == 2);
  CHECK(loaded.config->start().unixsocketperm == 0700);
  CHECK(loaded.config->settings().protected_mode == 0);
  CHECK(loaded.config->settings().timeout_s == 60);
  CHECK(loaded.config->latency_percentiles() == std::vector<double>{50, 99.9});
  CHECK(loaded.config->Text("maxmemory-samples") == "7");
  CHECK(loaded.config->settings().policy() == EvictionPolicy::kAllkeysLru);
  CHECK(loaded.config->path() == path);
  CHECK(Load({path, "--port", "7001"}).config->start().port == 7001);
}

TEST_CASE("TOML: mistakes name file, line and what is allowed") {
  TempDir dir;
  auto error = [&](const std::string& text) {
    std::string path = dir.Write("bad.toml", text);
    std::string message = Load({path}).error;
    REQUIRE(message.starts_with(path));
    return message.substr(path.size());
  };
  CHECK(error("[server]\n\nprot = 1\n") ==
        ":3: unknown option 'server.prot', the nearest is 'server.port'");
  CHECK(error("[server]\nport = 70000\n") ==
        ":2: server.port \"70000\": argument must be between 0 and 65535 inclusive");
  CHECK(error("[servr]\nport = 1\n").starts_with(":1: unknown section 'servr', the sections are"));
  CHECK(error("port = 1\n").starts_with(":1: option 'port' stands outside a section"));
  CHECK(error("server = 1\n").starts_with(":1: option 'server' stands outside a section"));
  CHECK(error("[server]\nport = 1\nport = 2\n").starts_with(":3: not valid TOML: "));
  CHECK(error("[server\n").starts_with(":1: not valid TOML: "));
  CHECK(error("\xff\xfe\n").find("not valid TOML") != std::string::npos);
  CHECK(error("[server]\nport = 2020-01-01\n").starts_with(":2: server.port: the value must be"));
  CHECK(error("[server]\nport = [1]\n").starts_with(":2: server.port: the value must be"));
  CHECK(error("[server.port]\nx = 1\n").starts_with(":1: server.port: the value must be"));
  CHECK(error("[vacuum]\ninterval = \"fast\"\n") ==
        ":2: vacuum.interval \"fast\": argument must be a time, such as 500ms, 10s or 1h");
  CHECK(error("[durability]\nmode = \"most\"\n").starts_with(":2: durability.mode \"most\": "));
  CHECK(error(std::string(2 << 20, '#')).find("larger than 1mb") != std::string::npos);
  CHECK(error(std::string(100000, '[')).starts_with(":1: not valid TOML: "));
  CHECK(error("[server]\nport = 1\n[[[x\n[log]\n").starts_with(":3: not valid TOML: "));
  CHECK(error("a = " + std::string(100000, '[')).find("not valid TOML") != std::string::npos);
}

TEST_CASE("redis.conf: translated, with notes of what is ignored") {
  TempDir dir;
  dir.Write("more.conf", "maxmemory 100mb\nloadmodule x.so\nuser default on nopass ~* &* +@all\n");
  std::string path = dir.Write("redis.conf",
                               "# comment\n\nport 7000\nbind 127.0.0.1 -::1\r\n"
                               "save 900 1\nsave \"\"\nappendonly yes\ntls-port 6380\n"
                               "client-output-buffer-limit normal 1mb 1mb 1\n"
                               "client-output-buffer-limit pubsub 2mb 2mb 2\n"
                               "include more.conf\nLogLevel warning\nmaxmemory-samples 10\n"
                               "requirepass \"a b\\x41\"\nreplicaof 10.0.0.1 6379\n"
                               "notify-keyspace-events \"\"\n");
  auto loaded = Load({path});
  CHECK(loaded.error == "");
  CHECK(loaded.config->start().port == 7000);
  CHECK(loaded.config->settings().maxmemory_bytes == 100 << 20);
  CHECK(loaded.config->settings().level() == LogLevel::kWarning);
  CHECK(loaded.config->requirepass() == "a bA");
  CHECK(loaded.config->Text("client-output-buffer-limit") ==
        "normal 1048576 1048576 1 slave 268435456 67108864 60 pubsub 2097152 2097152 2");
  CHECK(loaded.config->Text("appendonly") == "yes");
  CHECK(loaded.config->Text("save") == "");
  REQUIRE(loaded.notes.size() == 3);
  CHECK(loaded.notes[0] == path + ":8: tls-port: ignored, this version does not have it");
  CHECK(loaded.notes[1].find("more.conf:2: loadmodule: ignored") != std::string::npos);
  CHECK(loaded.notes[2].find(":15: replicaof") != std::string::npos);
}

TEST_CASE("redis.conf: mistakes") {
  TempDir dir;
  auto error = [&](const std::string& text) {
    std::string path = dir.Write("redis.conf", text);
    return Load({path}).error.substr(path.size());
  };
  CHECK(error("port\n") == ":1: port: wrong number of arguments");
  CHECK(error("\nprot 1\n") == ":2: unknown option 'prot', the nearest is 'port'");
  CHECK(error("requirepass \"x\n") == ":1: unbalanced quotes");
  CHECK(error("\nrename-command FLUSHALL \"\"\n").starts_with(":2: rename-command: this version "));
  CHECK(Load({dir.Write("user.conf",
                        "USER default on NOPASS sanitize-payload allkeys allchannels +@all\n")})
            .error == "");
  for (const char* user :
       {"", "bob on nopass ~* &* +@all", "default on >secret ~* &* +@all",
        "default off nopass ~* &* +@all", "default on nopass ~* &* +@all -flushall",
        "default on nopass ~a* &* +@all"}) {
    CHECK(error("user " + std::string(user) + "\n").starts_with(":1: user: this version has no "));
  }
  CHECK(error("port x\n") == ":1: port \"x\": argument couldn't be parsed into an integer");
  CHECK(error("include redis.conf\n").find("deeper than 8 files") != std::string::npos);
  CHECK(error("include none.conf\n").find("no such file") != std::string::npos);
}

}  // namespace
}  // namespace fluxkv::config
