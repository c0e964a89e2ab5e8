// Goal: CONFIG REWRITE keeps what was changed while running, and nothing else, in a file that the
// next start reads back to the same values, whatever they are; the user's file is never touched;
// a file of overrides that is damaged or of another version stops the start with one line.
// Method: files in a directory of the test, starts one after the other; generated texts and
// generated damage from a seed.
#include <algorithm>
#include <filesystem>
#include <random>

#include <stdlib.h>

#include "config/atomic_file.h"
#include "config/human_number.h"
#include "config/source.h"
#include "config/toml_depth.h"
#include "config_test_support.h"
#include "temp_dir.h"
#include "tests/slower.h"

namespace fluxkv::config {
namespace {

using std::filesystem::perms;

constexpr perms kOwnerOnly = perms::owner_read | perms::owner_write;

uint32_t Seed() {
  const char* given = getenv("FLUXKV_SEED");
  return given != nullptr ? static_cast<uint32_t>(strtoul(given, nullptr, 10))
                          : std::random_device()();
}

size_t FilesIn(const TempDir& dir) {
  auto files = std::filesystem::directory_iterator(dir.Path("."));
  return static_cast<size_t>(std::distance(begin(files), end(files)));
}

TEST_CASE("REWRITE writes what was changed beside the file, and Load reads it") {
  TempDir dir;
  std::string text = "# mine\n[server]\nport = 7000\ntimeout = 5\n";
  std::string path = dir.Write("a.toml", text);
  auto first = Load({path}).config;
  CHECK(SetText(first.get(), {{"timeout", "9"},
                              {"maxmemory", "10mb"},
                              {"requirepass", "s\"\\\n\x01"},
                              {"maxmemory-samples", "9"},
                              {"maxmemory-clients", "5%"},
                              {"client-output-buffer-limit", "normal 1mb 2mb 3"},
                              {"latency-tracking", "no"},
                              {"notify-keyspace-events", "KEA"}}) == "OK");
  CHECK(SetText(first.get(), {{"hz", "20"}}) == "OK");
  CHECK(SetText(first.get(), {{"hz", "10"}}) == "OK");
  std::vector<std::string> log;
  first->LogTo([&](LogLevel, const std::string& line) { log.push_back(line); });
  CHECK(first->Rewrite().ok());
  CHECK(log ==
        std::vector<std::string>{"CONFIG REWRITE wrote " + dir.Path("a.override.toml") +
                                 ", which is read after " + path + "; that file is untouched"});
  CHECK(dir.Read("a.toml") == text);
  std::string saved = dir.Read("a.override.toml");
  CHECK(saved.starts_with(
      "# Written by CONFIG REWRITE: what was changed while running. Read after \"a.toml\",\n"));
  CHECK(saved.find("hz") == std::string::npos);
  CHECK(saved.find("port") == std::string::npos);
  CHECK(std::filesystem::status(dir.Path("a.override.toml")).permissions() == kOwnerOnly);
  CHECK(FilesIn(dir) == 2);

  auto second = Load({path});
  CHECK(second.error == "");
  CHECK(second.notes == std::vector<std::string>{dir.Path("a.override.toml") +
                                                 ": 8 options that CONFIG REWRITE saved, read "
                                                 "after " +
                                                 path});
  CHECK(second.config->Get({"*", "*.*"}) == first->Get({"*", "*.*"}));

  // What is changed back to the file's value leaves the overrides; the others stay.
  CHECK(SetText(second.config.get(), {{"timeout", "5"}}) == "OK");
  CHECK(second.config->Rewrite().ok());
  saved = dir.Read("a.override.toml");
  CHECK(saved.find("timeout") == std::string::npos);
  CHECK(saved.find("\n[memory]\nmaxmemory = \"10mb\"\nmaxmemory_clients = \"5%\"\n") !=
        std::string::npos);
  auto third = Load({path, "--maxmemory", "1"});
  CHECK(third.config->settings().maxmemory_bytes == 1);
  CHECK(third.notes.back() == "command line: --maxmemory stands above what " +
                                  dir.Path("a.override.toml") + " has for it");
}

TEST_CASE("REWRITE: what the default is, is written where the file says something else") {
  TempDir dir;
  std::string path = dir.Write("a.toml", "[server]\ntimeout = 5\n[memory]\nmaxmemory = \"1gb\"\n");
  auto config = Load({path}).config;
  CHECK(SetText(config.get(), {{"timeout", "0"}, {"maxmemory", "0"}}) == "OK");
  CHECK(config->Rewrite().ok());
  auto again = Load({path});
  CHECK(again.config->Text("timeout") == "0");
  CHECK(again.config->Text("maxmemory") == "0");
}

TEST_CASE("REWRITE: what only the command line says is not saved, what was set over it is") {
  TempDir dir;
  std::string path = dir.Write("a.toml", "");
  std::vector<std::string> arguments = {path, "--maxmemory", "5", "--timeout", "7"};
  auto config = Load(arguments).config;
  CHECK(SetText(config.get(), {{"maxmemory", "6"}}) == "OK");
  CHECK(config->Rewrite().ok());
  CHECK(dir.Read("a.override.toml").ends_with("says.\n\n[memory]\nmaxmemory = 6\n"));
  CHECK(Load({path}).config->Text("maxmemory") == "6");
  CHECK(Load(arguments).config->Text("maxmemory") == "5");
}

TEST_CASE("REWRITE writes our name, whatever name was set") {
  TempDir dir;
  std::string path = dir.Write("a.toml", "");
  auto config = Load({path}).config;
  CHECK(SetText(config.get(), {{"slave-priority", "7"},
                               {"memory.policy", "allkeys-arc"},
                               {"slowlog-log-slower-than", "20ms"}}) == "OK");
  CHECK(config->Rewrite().ok());
  CHECK(dir.Read("a.override.toml")
            .ends_with("\n[memory]\npolicy = \"allkeys-arc\"\n\n[slowlog]\n"
                       "log_slower_than = \"20ms\"\n\n[redis]\nreplica-priority = 7\n"));
  auto again = Load({path});
  CHECK(again.config->Text("replica-priority") == "7");
  CHECK(again.config->Text("maxmemory-policy") == "allkeys-arc");
  CHECK(again.config->Text("slowlog-log-slower-than") == "20000");
}

TEST_CASE("REWRITE with a redis.conf writes TOML beside it, read after it") {
  TempDir dir;
  std::string text = "save \"\"\nmaxmemory 1mb\n";
  for (const char* name : {"redis.conf", "redis"}) {
    std::string path = dir.Write(name, text);
    auto config = Load({path}).config;
    CHECK(config->override_path() == dir.Path("redis.override.toml"));
    CHECK(SetText(config.get(), {{"maxmemory", "2mb"}}) == "OK");
    CHECK(config->Rewrite().ok());
    CHECK(dir.Read(name) == text);
    CHECK(Load({path}).config->settings().maxmemory_bytes == 2 << 20);
  }
}

TEST_CASE("REWRITE: any text that CONFIG SET takes comes back the same") {
  TempDir dir;
  std::string path = dir.Write("a.toml", "[server]\nrequirepass = \"other\"\n");
  std::vector<std::string> texts = {
      "",      "\"",        "\\",         "\\\\\"",  "a\nb",      "\r\n",
      "\t \t", "'''",       "\"\"\"",     "# no",    "] [x]",     " a ",
      "\x7f",  "\x1b[0m",   "\u00e9",     "\\u0041", "true",      "12",
      "a=b",   "\"\n[x]\n", "\U0001f511", "\\",      "$(rm) `x`", std::string(5000, '.')};
  uint32_t seed = Seed();
  CAPTURE(seed);
  std::mt19937 random(seed);
  const std::string letters = "ab\"\"''\\\\\n\r\t#=[].u0{} \x01\x7f";
  for (int i = 0; i < 200 / kSlower; ++i) {
    std::string text;
    for (size_t size = random() % 12; text.size() < size;)
      text += letters[random() % letters.size()];
    texts.push_back(text);
  }
  auto config = Load({path}).config;
  for (const std::string& text : texts) {
    CAPTURE(text);
    REQUIRE(SetText(config.get(), {{"requirepass", text}}) == "OK");
    REQUIRE(config->Rewrite().ok());
    auto again = Load({path});
    REQUIRE(again.error == "");
    CHECK(again.config->requirepass() == text);
  }
}

TEST_CASE("REWRITE: errors") {
  TempDir dir;
  CHECK(Load({}).config->Rewrite().message() == "ERR The server is running without a config file");
  std::filesystem::create_directory(dir.Path("in"));
  auto config = Load({dir.Write("in/b.toml", "")}).config;
  std::vector<std::string> log;
  config->LogTo([&](LogLevel level, const std::string& line) {
    CHECK(level == LogLevel::kWarning);
    log.push_back(line);
  });
  const std::string override_path = dir.Path("in/b.override.toml");
  CHECK(SetText(config.get(), {{"requirepass", "\xff"}}) == "OK");
  CHECK(config->Rewrite().message() ==
        "ERR Rewriting config file: the value of server.requirepass is not UTF-8 and TOML cannot "
        "hold it");
  CHECK(SetText(config.get(), {{"requirepass", std::string(2 << 20, 'x')}}) == "OK");
  CHECK(config->Rewrite().message() ==
        "ERR Rewriting config file: what was changed takes more than 1mb");
  CHECK(!std::filesystem::exists(override_path));
  CHECK(SetText(config.get(), {{"requirepass", "x"}}) == "OK");
  std::filesystem::create_directory(override_path);
  CHECK(config->Rewrite().message() == "ERR Rewriting config file: Is a directory");
  CHECK(FilesIn(dir) == 1);
  CHECK(std::filesystem::is_empty(override_path));
  std::filesystem::remove_all(dir.Path("in"));
  CHECK(config->Rewrite().message() == "ERR Rewriting config file: No such file or directory");
  CHECK(log.size() == 4);
  CHECK(log[3] ==
        "CONFIG REWRITE could not write " + override_path + ": No such file or directory");
}

TEST_CASE("a file is replaced whole, and is the owner's only") {
  TempDir dir;
  std::string path = dir.Write("x", "old and longer");
  std::filesystem::permissions(path, perms::all);
  CHECK(WriteFileAtomically(path, "new").ok());
  CHECK(dir.Read("x") == "new");
  CHECK(std::filesystem::status(path).permissions() == kOwnerOnly);
  CHECK(FilesIn(dir) == 1);
  CHECK(WriteFileAtomically(dir.Path("none/x"), "new").message() == "No such file or directory");
}

TEST_CASE("sizes and times are written as people write them, and mean the same") {
  Option size{.type = Type::kMemory, .low = 0, .high = kInt64Max};
  Option seconds{.redis_name = "timeout", .type = Type::kTimeS, .low = -1, .high = kInt64Max};
  Option milliseconds{.redis_name = "x", .type = Type::kTimeMs, .low = -1, .high = kInt64Max};
  Option named{.name = "x.y_ms", .type = Type::kTimeMs, .low = -1, .high = kInt64Max};
  Option limits{.type = Type::kOutputBufferLimits};
  CHECK(HumanText(size, "536870912") == "512mb");
  CHECK(HumanText(size, "1073741824") == "1gb");
  CHECK(HumanText(size, "1536") == "1536");
  CHECK(HumanText(size, "0") == "0");
  CHECK(HumanText(seconds, "90") == "90s");
  CHECK(HumanText(seconds, "86400") == "1d");
  CHECK(HumanText(seconds, "-1") == "-1");
  CHECK(HumanText(milliseconds, "60000") == "1min");
  CHECK(HumanText(milliseconds, "9223372036854775807") == "9223372036854775807");
  CHECK(HumanText(named, "1000") == "1000");
  CHECK(HumanText(AllOptions()[OptionIndex("vacuum.interval")], "100ms") == "100ms");
  CHECK(HumanText(limits, "normal 0 0 0 slave 268435456 67108864 60 pubsub 1 1025 60") ==
        "normal 0 0 0 slave 256mb 64mb 60 pubsub 1 1025 60");
  for (const Option& option : {size, seconds, milliseconds, named}) {
    for (int64_t number : {0L, 1L, 59L, 60L, 1000L, 1024L, 3600L, 90000L, 1L << 40}) {
      std::vector<std::string> words = {HumanText(option, std::to_string(number))};
      CHECK(ParseValue(option, words, "").value().number == number);
    }
  }
}

// ---- What a start makes of a file of overrides that is not as it was written

std::string ErrorWith(const TempDir& dir, const std::string& text) {
  std::string path = dir.Write("a.toml", "");
  std::string override_path = dir.Write("a.override.toml", text);
  std::string error = Load({path}).error;
  if (error.empty()) return error;
  CHECK(error.find('\n') == std::string::npos);
  CHECK(error.size() < 1000);
  REQUIRE(error.starts_with(override_path));
  std::string hint = " (CONFIG REWRITE writes this file; without it " + path + " counts alone)";
  REQUIRE(error.ends_with(hint));
  error.resize(error.size() - hint.size());
  return error.substr(override_path.size());
}

TEST_CASE("overrides: mistakes stop the start with file, line and what is allowed") {
  TempDir dir;
  CHECK(ErrorWith(dir, "") == "");
  CHECK(ErrorWith(dir, "\xef\xbb\xbf# nothing\n") == "");
  // Left from a version that had the option.
  CHECK(ErrorWith(dir, "[memory]\nmaxmemory = 1\nmaxmemory_policy = \"lru\"\n") ==
        ":3: unknown option 'memory.maxmemory_policy', the nearest is 'memory.maxmemory_clients'");
  CHECK(ErrorWith(dir, "[memory]\n\nmaxmemory = \"much\"\n") ==
        ":3: memory.maxmemory \"much\": argument must be a memory value");
  CHECK(ErrorWith(dir, "[server]\nrequirepass = [\"a\", \"b\"]\n") ==
        ":2: server.requirepass: the value must be a text, a number, or true or false");
  CHECK(ErrorWith(dir, "[server]\n\"a\\n\\u001Bb\" = 1\n")
            .starts_with(":2: unknown option 'server.a  b', the nearest is"));
  CHECK(ErrorWith(dir, "[server]\n" + std::string(100000, 'x') + " = 1\n")
            .starts_with(":2: unknown option 'server.xxx"));
  CHECK(ErrorWith(dir, "[server]\nproto = \"" + std::string(500000, 'x') + "\n")
            .starts_with(":2: not valid TOML: "));
  CHECK(ErrorWith(dir, "[log]\nlevel = \"" + std::string(500000, 'x') + "\"\n")
            .starts_with(":2: log.level \"xxx"));
  CHECK(ErrorWith(dir, "[server]\nport = 1\nport").starts_with(":3: not valid TOML: "));
  CHECK(ErrorWith(dir, std::string("[server]\nrequirepass = \"a\0b\"\n", 28)).starts_with(":2: "));
  CHECK(ErrorWith(dir, std::string((1 << 20) + 1, '#')) ==
        ": larger than 1mb, too large for a configuration file");
}

TEST_CASE("overrides: what is no file") {
  TempDir dir;
  std::string path = dir.Write("a.toml", "");
  std::filesystem::create_directory(dir.Path("a.override.toml"));
  CHECK(Load({path}).error.find("a.override.toml: not a regular file (CONFIG REWRITE") !=
        std::string::npos);
  std::filesystem::remove(dir.Path("a.override.toml"));
  std::filesystem::create_symlink("a.override.toml", dir.Path("a.override.toml"));
  CHECK(Load({path}).error.find("a.override.toml: Too many levels of symbolic links") !=
        std::string::npos);
  std::filesystem::remove(dir.Path("a.override.toml"));
  // A link that leads nowhere is no file yet; REWRITE puts one in its place.
  std::filesystem::create_symlink("nowhere", dir.Path("a.override.toml"));
  auto config = Load({path});
  CHECK(config.error == "");
  CHECK(config.config->Rewrite().ok());
  CHECK(std::filesystem::is_regular_file(dir.Path("a.override.toml")));
}

TEST_CASE("a password is in no error") {
  TempDir dir;
  std::string path = dir.Write("a.toml", "");
  CHECK(Load({path, "--requirepass", "geheim", "2"}).error ==
        "command line: --requirepass (not shown) (not shown): wrong number of arguments");
  CHECK(ErrorWith(dir, "[server]\nrequirepass = \"geheim\\u0000\"\n") ==
        ":2: server.requirepass (not shown): argument must not contain a NUL byte");
}

std::string Repeated(const std::string& text, size_t times) {
  std::string all;
  for (size_t i = 0; i < times; ++i) all += text;
  return all;
}

TEST_CASE("overrides: tables inside tables do not end the stack") {
  TempDir dir;
  const size_t deep = 500000;
  CHECK(ErrorWith(dir, "\na" + Repeated(".a", deep) + " = 1\n") ==
        ":2: too many dots outside of texts");
  CHECK(ErrorWith(dir, "[a" + Repeated(".a", deep) + "]\n") ==
        ":1: too many dots outside of texts");
  CHECK(ErrorWith(dir, "x = {a" + Repeated(".a", deep) + " = 1") ==
        ":1: too many dots outside of texts");
  CHECK(ErrorWith(dir, "x = \"\"\"\n\"\"\"\"\"\ny." + Repeated(".", deep)) ==
        ":3: too many dots outside of texts");
  // As deep as it may be.
  CHECK(ErrorWith(dir, "a" + Repeated(".a", kTomlDotsMax) + " = 1\n").starts_with(":1: "));
  std::string nested = Repeated("a.a.a.a.a.a.a.a = {", 250);
  CHECK(ErrorWith(dir, nested + "a = 1" + Repeated("}", 250)).starts_with(":1: "));
}

TEST_CASE("dots in texts and comments do not count") {
  const std::string many(2 * kTomlDotsMax, '.');
  for (const std::string& text :
       {"# " + many + "\n", "a = \"" + many + "\"\n", "a = '" + many + "'\n",
        "a = \"\\\"" + many + "\"\n", "a = \"\"\"\"" + many + "\n\"" + many + "\"\"\"\"\"\n",
        "a = '''" + many + "\n" + many + "'''\n", "a = \"" + many}) {
    CHECK(!LineOfTooManyDots(text));
    CHECK(LineOfTooManyDots(text + "\n\n" + many) ==
          2 + static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) + 1);
  }
  CHECK(!LineOfTooManyDots(std::string(kTomlDotsMax, '.')));
  CHECK(LineOfTooManyDots(std::string(kTomlDotsMax + 1, '.')) == 1);
}

TEST_CASE("overrides: any damage is an error of one line, or good values") {
  TempDir dir;
  std::string path = dir.Write("a.toml", "");
  auto config = Load({path}).config;
  REQUIRE(SetText(config.get(), {{"requirepass", "a\"b\\c\n"},
                                 {"maxmemory", "1gb"},
                                 {"client-output-buffer-limit", "normal 1mb 2mb 3"},
                                 {"save", "900 1"},
                                 {"latency-tracking", "no"},
                                 {"hz", "50"}}) == "OK");
  REQUIRE(config->Rewrite().ok());
  const std::string whole = dir.Read("a.override.toml");
  uint32_t seed = Seed();
  CAPTURE(seed);
  std::mt19937 random(seed);
  const std::string bytes(
      "[]{}\"'=.,#\n\\ \x00\xff\x7f"
      "0ax-",
      20);
  for (int i = 0; i < 2000 / kSlower; ++i) {
    std::string text = whole;
    for (size_t changes = 1 + random() % 4; changes > 0; --changes) {
      size_t at = random() % text.size();
      switch (random() % 4) {
        case 0:
          text[at] = bytes[random() % bytes.size()];
          break;
        case 1:
          text.insert(at, 1 + random() % 3, bytes[random() % bytes.size()]);
          break;
        case 2:
          text.erase(at, 1 + random() % 8);
          break;
        default:
          text.insert(at, whole.substr(random() % whole.size(), random() % 60));
      }
      if (text.empty()) text = "x";
    }
    CAPTURE(text);
    ErrorWith(dir, text);
  }
  // A write that a loss of power cut short, had it not been atomic.
  for (size_t size = 0; size < whole.size(); size += kSlower) ErrorWith(dir, whole.substr(0, size));
}

}  // namespace
}  // namespace fluxkv::config
