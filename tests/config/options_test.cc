// Goal: the table, conf/fluxkv.toml, --help and the command line agree on every option.
// Method: all rows are walked; the file is compared with the text that the table gives.
#include <filesystem>
#include <fstream>
#include <iterator>

#include "config_test_support.h"
#include "temp_dir.h"

namespace fluxkv::config {
namespace {

std::string ShippedFile() {
  return (std::filesystem::path(__FILE__).parent_path() / "../../conf/fluxkv.toml").string();
}

// What conf/fluxkv.toml must be: every option of ours with its comment and default.
std::string ExpectedFile() {
  std::string text =
      "# Configuration of fluxkv: every option with its default. Each can be given on the command "
      "line as\n"
      "# --section.name value. Sizes may be written \"64kb\", \"512mb\" or \"1gb\", times "
      "\"500ms\", \"10s\" or \"1h\".\n"
      "# Options of Redis that have no effect here are accepted in a section [redis]. "
      "CONFIG REWRITE does\n"
      "# not write here, but to fluxkv.override.toml beside this file, which is read after it.\n";
  std::string section;
  for (const Option& option : AllOptions()) {
    if (option.compatibility_only()) continue;
    std::string name(option.name);
    size_t dot = name.find('.');
    if (name.substr(0, dot) != section) {
      section = name.substr(0, dot);
      text += "\n[" + section + "]\n";
    }
    text += "# " + std::string(option.comment) + "\n";
    text += name.substr(dot + 1) + " = " + TomlLiteral(option, option.fallback).value() + "\n";
  }
  return text;
}

// Words for a value that is not the default, with their text for CONFIG SET.
std::vector<std::string> OtherValue(const Option& option) {
  switch (option.type) {
    case Type::kBool:
      return {option.fallback == "yes" ? "no" : "yes"};
    case Type::kEnum:
    case Type::kEnumSet:
      return {std::string(option.values[option.fallback == option.values[0] ? 1 : 0])};
    case Type::kText:
      return {"other"};
    case Type::kDirectory:
      return {"/"};
    case Type::kAddresses:
      return {"127.0.0.2", "-::1"};
    case Type::kNotify:
      return {"KEA"};
    case Type::kPercentiles:
      return {"10", "20.5"};
    case Type::kOutputBufferLimits:
      return {"normal", "1mb", "2mb", "3"};
    case Type::kSavePoints:
      return {"900", "1"};
    case Type::kOomScores:
      return {"1", "2", "3"};
    case Type::kReplicaOf:
      return {"localhost", "6380"};
    case Type::kOctal:
      return {"700"};
    default:
      return {std::to_string(option.fallback == std::to_string(option.high) ? option.low
                                                                            : option.high)};
  }
}

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

TEST_CASE("every row is well formed") {
  for (const Option& option : AllOptions()) {
    CAPTURE(option.dotted_name());
    CHECK((option.compatibility_only() ? !option.redis_name.empty()
                                       : option.name.find('.') != std::string_view::npos));
    CHECK(option.comment.ends_with('.'));
    CHECK(option.low <= option.high);
    CHECK((option.field == nullptr || option.has(kRuntime)));
    auto value = ParseValue(option, SplitWords(option, option.fallback), "");
    REQUIRE(value.ok());
    // A canonical text is its own canonical text.
    auto again = ParseValue(option, SplitWords(option, value.value().text), "");
    REQUIRE(again.ok());
    CHECK(again.value().text == value.value().text);
    CHECK(!UnsupportedReason(option, value.value()));
  }
}

TEST_CASE("enums of settings.h follow the texts of the table") {
  auto values = [](std::string_view name) { return AllOptions()[OptionIndex(name)].values; };
  auto text = [&](std::string_view name, auto index) {
    return values(name)[static_cast<size_t>(index)];
  };
  CHECK(text("maxmemory-policy", EvictionPolicy::kVolatileArc) == "volatile-arc");
  CHECK(text("maxmemory-policy", EvictionPolicy::kAllkeysLru) == "allkeys-lru");
  CHECK(text("maxmemory-policy", EvictionPolicy::kNoEviction) == "noeviction");
  CHECK(values("maxmemory-policy").size() == 10);
  CHECK(text("loglevel", LogLevel::kNothing) == "nothing");
  CHECK(text("supervised", Supervised::kSystemd) == "systemd");
  CHECK(text("enable-debug-command", Permission::kLocal) == "local");
  CHECK(text("durability", Durability::kFull) == "full");
  CHECK(text("isolation", Isolation::kSnapshot) == "snapshot");
}

TEST_CASE("conf/fluxkv.toml has every option, its comment and its default") {
  std::ifstream file(ShippedFile(), std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(file), {});
  CHECK(text == ExpectedFile());
}

TEST_CASE("loading conf/fluxkv.toml gives the defaults") {
  std::vector<std::string> notes;
  auto plain = Config::Load(std::vector<std::string>{}, &notes);
  auto loaded = Config::Load(std::vector<std::string>{ShippedFile()}, &notes);
  REQUIRE(plain.ok());
  REQUIRE(loaded.ok());
  CHECK(notes.empty());
  CHECK(loaded.value()->Get({"*", "*.*"}) == plain.value()->Get({"*", "*.*"}));
}

TEST_CASE("every option can be set on the command line by each of its names") {
  for (const OptionName& name : AllOptionNames()) {
    const Option& option = AllOptions()[name.index];
    CAPTURE(name.text);
    std::vector<std::string> words = OtherValue(option);
    std::vector<std::string> arguments = {"--" + name.text};
    arguments.insert(arguments.end(), words.begin(), words.end());
    std::vector<std::string> notes;
    auto config = Config::Load(arguments, &notes);
    auto value = ParseValue(option, words, "normal 0 0 0 slave 256mb 64mb 60 pubsub 32mb 8mb 60");
    REQUIRE(value.ok());
    if (UnsupportedReason(option, value.value())) {
      CHECK(!config.ok());
      CHECK(config.message().find("allowed is") != std::string::npos);
      continue;
    }
    REQUIRE(config.ok());
    CHECK(config.value()->Text(name.text) == value.value().text);
    CHECK(config.value()->Text(name.text) != option.fallback);
  }
}

TEST_CASE("what CONFIG SET changed of every option is there after REWRITE and a start") {
  TempDir dir;
  std::string path = dir.Write("a.toml", "[server]\nenable_protected_configs = \"yes\"\n");
  auto first = Load({path}).config;
  size_t count = 0;
  for (size_t i = 0; i < AllOptions().size(); ++i) {
    const Option& option = AllOptions()[i];
    if (!option.has(kRuntime) || option.has(kRestart) || LinkedOptionAt(i)) continue;
    if (option.has(kNeedsApplier)) {
      first->OnChange(option.dotted_name(), [](const std::string&) { return Status(); });
    }
    std::string name = option.dotted_name();
    CAPTURE(name);
    auto value = ParseValue(option, OtherValue(option), first->Text(name));
    REQUIRE(value.ok());
    if (UnsupportedReason(option, value.value())) continue;
    REQUIRE(SetText(first.get(), {{name, Joined(OtherValue(option))}}) == "OK");
    CHECK(first->Text(name) == value.value().text);
    ++count;
  }
  CHECK(count > 100);
  REQUIRE(first->Rewrite().ok());
  auto second = Load({path});
  REQUIRE(second.error == "");
  CHECK(second.config->Get({"*", "*.*"}) == first->Get({"*", "*.*"}));
  // And once more, from what was read.
  REQUIRE(second.config->Rewrite().ok());
  CHECK(Load({path}).config->Get({"*", "*.*"}) == first->Get({"*", "*.*"}));
}

TEST_CASE("--help names every option of ours, and every compatibility option that is listed") {
  std::string help = HelpText("fluxkv");
  for (const Option& option : AllOptions()) {
    CAPTURE(option.dotted_name());
    std::string_view name = option.compatibility_only() ? option.redis_name : option.name;
    CHECK((help.find(name) != std::string::npos) == !option.has(kHidden));
  }
}

TEST_CASE("the nearest name is found") {
  CHECK(NearestOptionName("maxmemroy") == "maxmemory");
  CHECK(NearestOptionName("server.prot") == "server.port");
  CHECK(NearestOptionName("treads") == "threads");
  CHECK(!NearestOptionName(std::string(100000, 'x')).empty());
  CHECK(FindOption("MaxMemory") != nullptr);
  CHECK(FindOption("") == nullptr);
}

}  // namespace
}  // namespace fluxkv::config
