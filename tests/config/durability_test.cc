// Goal: durability.mode and Redis's appendonly and appendfsync always say the same, whichever was
// set and where; the rules of the log's options hold for what is in force in the end; a redis.conf
// means what it means to Redis.
// Method: files in a directory of the test, command lines, CONFIG SET with appliers that record;
// the three are compared as one text.
#include "config/linked_options.h"
#include "config_test_support.h"
#include "temp_dir.h"
#include "tests/slower.h"

namespace fluxkv::config {
namespace {

constexpr const char* kNeverSyncs =
    "durability.mode relaxed would never sync the log, allowed is it with one or more of "
    "durability.flush_interval_ms, durability.flush_after_commits and "
    "durability.flush_after_bytes above 0";

// "mode appendonly appendfsync", with "!" before it if the numbers that threads read differ.
std::string Three(const Config& config) {
  const char* modes[] = {"none", "relaxed", "full"};
  std::string mode = config.Text("durability.mode");
  bool same = mode == modes[static_cast<size_t>(config.settings().durability())];
  return (same ? "" : "!") + mode + " " + config.Text("appendonly") + " " +
         config.Text("appendfsync");
}

// The three after a start with these arguments, or the error.
std::string Start(const std::vector<std::string>& arguments) {
  std::vector<std::string> notes;
  auto config = Config::Load(arguments, &notes);
  if (!config.ok()) return config.message();
  CHECK(config.value()->start().durability == config.value()->settings().durability());
  return Three(*config.value());
}

// A server with an applier that records, and fails when told to.
struct Running {
  explicit Running(const std::vector<std::string>& arguments) {
    auto loaded = Config::Load(arguments, &notes);
    REQUIRE_MESSAGE(loaded.ok(), (loaded.ok() ? "" : loaded.message()));
    config = std::move(loaded.value());
    config->OnChange("durability.mode", [this](const std::string& mode) {
      calls += " " + mode;
      return fails && mode == "full" ? Status::Error("the disk is full") : Status();
    });
  }
  // The three after a CONFIG SET, and the modes that the applier was called with; or the error.
  std::string Set(const Pairs& pairs) {
    calls.clear();
    Status status = config->Set(pairs);
    if (!status.ok()) return status.message();
    return Three(*config) + (calls.empty() ? "" : ", applied" + calls);
  }

  std::unique_ptr<Config> config;
  std::vector<std::string> notes;
  std::string calls;
  bool fails = false;
};

std::string Refused(const std::string& name, const std::string& reason) {
  return "ERR CONFIG SET failed (possibly related to argument '" + name + "') - " + reason;
}

TEST_CASE("linked options: the defaults are consistent") {
  CHECK(Start({}) == "relaxed yes everysec");
  for (size_t i = 0; i < kLinkedOptions; ++i) {
    CHECK(LinkedOptionAt(LinkedIndexes()[i]) == static_cast<LinkedOption>(i));
  }
  CHECK(!LinkedOptionAt(OptionIndex("save")));
  auto texts = AllOptions()[OptionIndex("appendfsync")].values;
  CHECK(texts[static_cast<size_t>(AppendFsync::kEverysec)] == "everysec");
  CHECK(texts[static_cast<size_t>(AppendFsync::kAlways)] == "always");
  CHECK(texts[static_cast<size_t>(AppendFsync::kNo)] == "no");
}

TEST_CASE("linked options: the command line, later ones win") {
  CHECK(Start({"--durability", "none"}) == "none no everysec");
  CHECK(Start({"--durability", "relaxed"}) == "relaxed yes everysec");
  CHECK(Start({"--durability.mode", "full"}) == "full yes always");
  CHECK(Start({"--appendonly", "no"}) == "none no everysec");
  CHECK(Start({"--appendonly", "yes"}) == "relaxed yes everysec");
  CHECK(Start({"--appendfsync", "always"}) == "full yes always");
  CHECK(Start({"--appendfsync", "no"}) == "relaxed yes no");
  CHECK(Start({"--appendonly", "yes", "--appendfsync", "always"}) == "full yes always");
  CHECK(Start({"--appendfsync", "always", "--appendonly", "yes"}) == "full yes always");
  CHECK(Start({"--appendonly", "no", "--appendfsync", "always"}) == "none no always");
  CHECK(Start({"--appendfsync", "always", "--appendonly", "no"}) == "none no always");
  CHECK(Start({"--durability", "none", "--appendonly", "yes"}) == "relaxed yes everysec");
  CHECK(Start({"--durability", "full", "--appendonly", "yes"}) == "full yes always");
  CHECK(Start({"--durability", "full", "--appendfsync", "everysec"}) == "relaxed yes everysec");
  CHECK(Start({"--appendonly", "no", "--durability", "full"}) == "full yes always");
  CHECK(Start({"--appendfsync", "no", "--durability", "relaxed"}) == "relaxed yes no");
  CHECK(Start({"--appendfsync", "always", "--durability", "relaxed"}) == "relaxed yes everysec");
  CHECK(Start({"--appendfsync", "no", "--durability", "none"}) == "none no no");
}

TEST_CASE("linked options: files, and the command line after them") {
  TempDir dir;
  auto toml = [&](const std::string& text) { return dir.Write("a.toml", text); };
  auto conf = [&](const std::string& text) { return dir.Write("redis.conf", text); };
  CHECK(Start({toml("[durability]\nmode = \"full\"\n")}) == "full yes always");
  CHECK(Start({toml("[redis]\nappendonly = false\n")}) == "none no everysec");
  CHECK(Start({toml("[redis]\nappendfsync = \"always\"\n[durability]\nmode = \"none\"\n")}) ==
        "none no always");
  CHECK(Start({toml("[durability]\nmode = \"none\"\n"), "--appendonly", "yes"}) ==
        "relaxed yes everysec");
  CHECK(Start({conf("port 1\n")}) == "relaxed yes everysec");
  CHECK(Start({conf("appendonly no\nappendfsync everysec\n")}) == "none no everysec");
  CHECK(Start({conf("appendonly yes\nappendfsync everysec\n")}) == "relaxed yes everysec");
  CHECK(Start({conf("appendfsync no\nappendonly yes\n")}) == "relaxed yes no");
  CHECK(Start({conf("appendfsync always\nappendonly yes\n")}) == "full yes always");
  CHECK(Start({conf("appendfsync always\n")}) == "full yes always");
  CHECK(Start({conf("appendonly no\nappendfsync always\n")}) == "none no always");
  CHECK(Start({conf("appendonly no\nappendfsync always\n"), "--appendonly", "yes"}) ==
        "full yes always");
  CHECK(Start({conf("appendonly no\n"), "--durability", "full"}) == "full yes always");
}

TEST_CASE("linked options: CONFIG SET of one changes the others, one call of the applier") {
  Running server({});
  CHECK(server.Set({{"appendfsync", "always"}}) == "full yes always, applied full");
  CHECK(server.Set({{"appendfsync", "always"}}) == "full yes always");
  CHECK(server.Set({{"appendfsync", "no"}}) == "relaxed yes no, applied relaxed");
  CHECK(server.Set({{"durability.mode", "relaxed"}}) == "relaxed yes no");
  CHECK(server.Set({{"appendfsync", "everysec"}}) == "relaxed yes everysec");
  CHECK(server.Set({{"appendonly", "no"}}) == "none no everysec, applied none");
  CHECK(server.Set({{"appendfsync", "always"}}) == "none no always");
  CHECK(server.Set({{"appendonly", "yes"}}) == "full yes always, applied full");
  CHECK(server.Set({{"appendonly", "yes"}}) == "full yes always");
  CHECK(server.Set({{"appendonly", "no"}}) == "none no always, applied none");
  CHECK(server.Set({{"durability", "relaxed"}}) == "relaxed yes everysec, applied relaxed");
  CHECK(server.Set({{"durability.mode", "full"}}) == "full yes always, applied full");
  CHECK(server.Set({{"durability.mode", "none"}}) == "none no always, applied none");
  CHECK(server.Set({{"appendfsync", "no"}}) == "none no no");
  CHECK(server.Set({{"durability.mode", "full"}}) == "full yes always, applied full");
  CHECK(server.Set({{"maxmemory", "1"}}) == "full yes always");
}

TEST_CASE("linked options: several in one CONFIG SET") {
  Running server({});
  CHECK(server.Set({{"appendonly", "yes"}, {"appendfsync", "always"}}) ==
        "full yes always, applied full");
  CHECK(server.Set({{"appendfsync", "always"}, {"appendonly", "no"}}) ==
        "none no always, applied none");
  CHECK(server.Set({{"appendonly", "yes"}, {"durability.mode", "relaxed"}}) ==
        "relaxed yes everysec, applied relaxed");
  CHECK(server.Set({{"durability.mode", "full"}, {"appendfsync", "always"}, {"timeout", "5"}}) ==
        "full yes always, applied full");
  CHECK(
      server.Set({{"appendfsync", "no"}, {"appendonly", "yes"}, {"durability.mode", "relaxed"}}) ==
      "relaxed yes no, applied relaxed");
  CHECK(server.Set({{"durability.mode", "none"}, {"appendfsync", "always"}}) ==
        "none no always, applied none");
}

TEST_CASE("linked options: contradictions are errors, and nothing changes") {
  Running server({});
  std::string full =
      "durability.mode full means appendonly yes with appendfsync always, which "
      "what was given with it contradicts";
  std::string none =
      "durability.mode none means appendonly no, which what was given with it contradicts";
  std::string relaxed =
      "durability.mode relaxed means appendonly yes with appendfsync everysec or "
      "no, which what was given with it contradicts";
  CHECK(server.Set({{"timeout", "9"}, {"durability.mode", "full"}, {"appendonly", "no"}}) ==
        Refused("appendonly", full));
  CHECK(server.Set({{"appendfsync", "everysec"}, {"durability.mode", "full"}}) ==
        Refused("durability.mode", full));
  CHECK(server.Set({{"durability", "none"}, {"appendonly", "yes"}}) == Refused("appendonly", none));
  CHECK(server.Set({{"durability.mode", "relaxed"}, {"appendonly", "no"}}) ==
        Refused("appendonly", relaxed));
  CHECK(server.Set({{"durability.mode", "relaxed"}, {"appendfsync", "always"}}) ==
        Refused("appendfsync", relaxed));
  CHECK(server.Set({{"durability.mode", "none"}, {"durability", "none"}}) ==
        Refused("durability", "duplicate parameter"));
  CHECK(server.calls.empty());
  CHECK(Three(*server.config) == "relaxed yes everysec");
  CHECK(server.config->settings().timeout_s == 0);
}

TEST_CASE("linked options: a failing applier puts all three back") {
  Running server({});
  server.fails = true;
  CHECK(server.Set({{"timeout", "9"}, {"appendfsync", "always"}}) ==
        Refused("appendfsync", "the disk is full"));
  CHECK(server.calls == " full relaxed");
  CHECK(Three(*server.config) == "relaxed yes everysec");
  CHECK(server.config->settings().timeout_s == 0);

  std::vector<std::string> notes;
  auto alone = Config::Load(std::vector<std::string>{}, &notes);
  CHECK(alone.value()->Set({{"appendonly", "no"}}).message() ==
        Refused("appendonly", "it can be changed by a restart only"));
  CHECK(alone.value()->Set({{"appendonly", "yes"}, {"appendfsync", "no"}}).ok());
}

TEST_CASE("linked options: REWRITE and reading it back give the same three") {
  const std::vector<std::string> bases = {
      "", "[durability]\nmode = \"none\"\n", "[durability]\nmode = \"full\"\n",
      "[redis]\nappendfsync = \"no\"\n", "[redis]\nappendfsync = \"always\"\nappendonly = false\n"};
  const std::vector<std::vector<Pairs>> histories = {
      {{{"durability.mode", "none"}}},
      {{{"durability.mode", "relaxed"}}},
      {{{"durability.mode", "full"}}},
      {{{"appendonly", "no"}}},
      {{{"appendfsync", "always"}}},
      {{{"appendfsync", "no"}}},
      {{{"appendonly", "yes"}, {"appendfsync", "everysec"}}},
      {{{"appendonly", "no"}, {"appendfsync", "always"}}},
      {{{"appendonly", "no"}, {"appendfsync", "no"}}},
      {{{"durability.mode", "relaxed"}}, {{"appendonly", "no"}}},
      {{{"durability.mode", "full"}}, {{"durability.mode", "none"}}}};
  int combination = 0;
  for (const std::string& base : bases) {
    for (const auto& history : histories) {
      if (++combination % kSlower != 0) continue;
      CAPTURE(base);
      CAPTURE(history[0][0].first + " " + history[0][0].second);
      TempDir dir;
      std::string path = dir.Write("a.toml", base);
      Running first({path});
      for (const Pairs& pairs : history) first.Set(pairs);
      REQUIRE(first.config->Rewrite().ok());
      CHECK(dir.Read("a.override.toml").find("appendonly") == std::string::npos);
      Running second({path});
      CHECK(Three(*second.config) == Three(*first.config));
      REQUIRE(second.config->Rewrite().ok());
      CHECK(Start({path}) == Three(*first.config));
      // And it goes on from there.
      second.Set({{"durability.mode", "full"}});
      REQUIRE(second.config->Rewrite().ok());
      CHECK(Start({path}) == "full yes always");
    }
  }
}

TEST_CASE(
    "linked options: REWRITE writes the mode; appendfsync only where the mode cannot tell it") {
  TempDir dir;
  std::string path = dir.Write("redis.conf", "appendonly no\nsave \"\"\n");
  auto saved = [&](const Pairs& pairs) {
    std::filesystem::remove(dir.Path("redis.override.toml"));
    Running server({path});
    server.Set(pairs);
    CHECK(server.config->Rewrite().ok());
    std::string text = dir.Read("redis.override.toml");
    return text.substr(text.find("says.\n") + 6);
  };
  CHECK(saved({{"appendonly", "yes"}}) == "\n[durability]\nmode = \"relaxed\"\n");
  CHECK(saved({{"appendonly", "yes"}, {"appendfsync", "always"}}) ==
        "\n[durability]\nmode = \"full\"\n");
  CHECK(saved({{"appendonly", "no"}}) == "");
  CHECK(saved({{"appendfsync", "always"}}) == "\n[redis]\nappendfsync = \"always\"\n");
}

TEST_CASE("mode relaxed must sync at some time: at start") {
  auto off = [](std::vector<std::string> more) {
    std::vector<std::string> arguments = {"--durability.flush_interval_ms", "0"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Start(arguments);
  };
  CHECK(off({}) ==
        "command line: --durability.flush_interval_ms \"0\": " + std::string(kNeverSyncs));
  CHECK(off({"--port", "1"}) == off({}));
  CHECK(off({"--appendonly", "yes"}) ==
        "command line: --appendonly \"yes\": " + std::string(kNeverSyncs));
  CHECK(off({"--durability", "full"}) == "full yes always");
  CHECK(off({"--durability", "none"}) == "none no everysec");
  CHECK(off({"--durability.flush_after_commits", "100"}) == "relaxed yes everysec");
  CHECK(off({"--durability.flush_after_bytes", "1mb"}) == "relaxed yes everysec");
  TempDir dir;
  std::string path =
      dir.Write("a.toml", "[durability]\nflush_interval_ms = 0\nmode = \"relaxed\"\n");
  CHECK(Start({path}) == path + ":3: durability.mode \"relaxed\": " + kNeverSyncs);
  CHECK(Start({path, "--durability.flush_after_commits", "1"}) == "relaxed yes everysec");
  CHECK(Start({path, "--durability", "full"}) == "full yes always");
}

TEST_CASE("mode relaxed must sync at some time: CONFIG SET as a whole") {
  Running server({});
  CHECK(server.Set({{"durability.flush_interval_ms", "0"}, {"timeout", "5"}}) ==
        Refused("durability.flush_interval_ms", kNeverSyncs));
  CHECK(server.config->settings().flush_interval_ms == 1000);
  CHECK(server.config->settings().timeout_s == 0);
  CHECK(server.Set({{"durability.flush_interval_ms", "0"},
                    {"durability.flush_after_commits", "10"}}) == "relaxed yes everysec");
  CHECK(server.Set({{"durability.flush_after_commits", "0"},
                    {"durability.flush_after_bytes", "1mb"}}) == "relaxed yes everysec");
  CHECK(server.config->settings().flush_interval_ms == 0);
  CHECK(server.config->settings().flush_after_commits == 0);
  CHECK(server.config->settings().flush_after_bytes == 1 << 20);
  CHECK(server.Set({{"durability.flush_after_bytes", "0"}, {"appendfsync", "always"}}) ==
        "full yes always, applied full");
  CHECK(server.Set({{"appendfsync", "everysec"}}) == Refused("appendfsync", kNeverSyncs));
  CHECK(server.Set({{"appendonly", "no"}}) == "none no always, applied none");
  CHECK(server.Set({{"durability.mode", "relaxed"}}) == Refused("durability.mode", kNeverSyncs));
  CHECK(server.Set({{"durability.mode", "relaxed"}, {"durability.flush_interval_ms", "2s"}}) ==
        "relaxed yes everysec, applied relaxed");
  CHECK(server.config->Text("durability.flush_interval_ms") == "2000");
}

TEST_CASE("the log and snapshots: defaults, start options, what may change") {
  Running server({});
  const StartOptions& start = server.config->start();
  CHECK(start.durability == Durability::kRelaxed);
  CHECK(start.data_dir == (std::filesystem::current_path() / "data").string());
  CHECK(server.config->Get({"dir"})[0].second == start.data_dir);
  CHECK(start.segment_bytes == 16 << 20);
  CHECK(start.segments == 64);
  CHECK(start.save_points.empty());
  const Settings& settings = server.config->settings();
  CHECK(settings.flush_interval_ms == 1000);
  CHECK(settings.flush_after_commits == 0);
  CHECK(settings.flush_after_bytes == 0);
  CHECK(settings.snapshot_after_bytes == 256 << 20);
  CHECK(settings.snapshot_interval_s == 0);
  CHECK(server.config->Get({"durability.*"}).size() == 10);

  server.Set(
      {{"durability.snapshot_after_bytes", "1gb"}, {"durability.snapshot_interval_s", "1h"}});
  CHECK(settings.snapshot_after_bytes == 1 << 30);
  CHECK(settings.snapshot_interval_s == 3600);
  for (const char* fixed : {"durability.segment_bytes", "durability.segments"}) {
    CHECK(server.Set({{fixed, "100"}}) == Refused(fixed, "can't set immutable config"));
  }
  CHECK(server.Set({{"dir", "/"}}) == Refused("dir", "can't set protected config"));

  TempDir dir;
  Running other({"--dir", dir.Path("data"), "--durability.segment_bytes", "1mb",
                 "--durability.segments", "4", "--save", "900", "1"});
  CHECK(other.config->start().data_dir == std::filesystem::canonical(dir.Path(".")) / "data");
  CHECK(other.config->start().segment_bytes == 1 << 20);
  CHECK(other.config->start().segments == 4);
  CHECK(other.config->start().save_points == std::vector<SavePoint>{{900, 1}});
  CHECK(Start({"--dir", "/nonexistent/data"}) ==
        "command line: --dir \"/nonexistent/data\": /nonexistent: No such file or directory");
}

TEST_CASE("a default data directory that cannot be used matters only if no other is given") {
  TempDir dir;
  dir.Write("data", "a file");
  std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(dir.Path("."));
  std::string without = Start({});
  std::string with = Start({"--dir", "elsewhere"});
  std::filesystem::current_path(before);
  CHECK(without == "default of durability.dir \"data\": Not a directory");
  CHECK(with == "relaxed yes everysec");
}

TEST_CASE("save points: CONFIG SET, the command line, REWRITE") {
  TempDir dir;
  std::string path = dir.Write("a.toml", "[durability]\nsave = \"900 1\"\n");
  Running server({path});
  std::vector<std::string> calls;
  server.config->OnChange("save", [&](const std::string& points) {
    calls.push_back(points);
    return Status();
  });
  CHECK(server.config->save_points() == std::vector<SavePoint>{{900, 1}});
  CHECK(server.config->Set({{"save", "60 1000 10 5"}}).ok());
  CHECK(server.config->save_points() == std::vector<SavePoint>{{60, 1000}, {10, 5}});
  CHECK(server.config->Get({"save"})[0].second == "60 1000 10 5");
  CHECK(server.config->Get({"durability.save"})[0].second == "60 1000 10 5");
  CHECK(server.config->Rewrite().ok());
  CHECK(Running({path}).config->save_points() == server.config->save_points());
  CHECK(server.config->Set({{"save", ""}}).ok());
  CHECK(server.config->save_points().empty());
  CHECK(server.config->Rewrite().ok());
  CHECK(Running({path}).config->save_points().empty());
  CHECK(calls == std::vector<std::string>{"60 1000 10 5", ""});
  CHECK(server.config->Set({{"save", "60"}}).message() ==
        Refused("save", "Invalid save parameters"));

  CHECK(Running({"--save", "900", "1", "--save", "60 5"}).config->Text("save") == "900 1 60 5");
  CHECK(Running({"--save", "900", "1", "--save", "", "--save", "9 9"}).config->Text("save") ==
        "9 9");
  CHECK(Start({"--save", "900"}) == "command line: --save \"900\": Invalid save parameters");
  // What is said on the command line stands in the place of what a file says.
  CHECK(Running({dir.Write("b.toml", "[durability]\nsave = \"900 1\"\n"), "--save", "60", "5"})
            .config->Text("save") == "60 5");
}

TEST_CASE("save points of a redis.conf are those that Redis would have") {
  TempDir dir;
  auto points = [&](const std::string& text) {
    return Running({dir.Write("redis.conf", text)}).config->Text("save");
  };
  CHECK(points("port 1\n") == "3600 1 300 100 60 10000");
  CHECK(points("# save 900 1\n") == "3600 1 300 100 60 10000");
  CHECK(points("save 900 1\n") == "900 1");
  CHECK(points("save 900 1\nsave 300 10\nSAVE 60 10000\n") == "900 1 300 10 60 10000");
  CHECK(points("save 900 1 300 10\n") == "900 1 300 10");
  CHECK(points("save \"\"\n") == "");
  CHECK(points("save 900 1\nsave \"\"\n") == "");
  CHECK(points("save \"\"\nsave 900 1\n") == "900 1");
  dir.Write("more.conf", "save 5 5\n");
  CHECK(points("include more.conf\n") == "5 5");

  std::string path = dir.Write("redis.conf", "appendonly no\n");
  Running server({path});
  CHECK(server.notes == std::vector<std::string>{
                            path + ": no save line, Redis's default stands for it: save 3600 1 300 "
                                   "100 60 10000"});
  CHECK(server.config->save_points() == std::vector<SavePoint>{{3600, 1}, {300, 100}, {60, 10000}});
  CHECK(Running({path, "--save", ""}).config->save_points().empty());
  CHECK(Running({dir.Write("redis.conf", "save \"\"\n")}).notes.empty());
  CHECK(Running({dir.Write("a.toml", "")}).config->save_points().empty());
}

TEST_CASE("--help names the linked options apart from those without effect") {
  std::string help = HelpText("fluxkv");
  size_t linked = help.find("set durability.mode:\n  appendonly, appendfsync\n");
  REQUIRE(linked != std::string::npos);
  CHECK(help.find("appendonly,", help.find("without effect:")) == std::string::npos);
  CHECK(help.find("appendonly") > linked);
}

}  // namespace
}  // namespace fluxkv::config
