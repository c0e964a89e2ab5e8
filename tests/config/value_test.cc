// Goal: values are read, bounded and printed as Redis does, with its error texts.
// Method: tables of text and result.

#include "config/notify_flags.h"
#include "config/option_table.h"
#include "config/option_value.h"
#include "config_test_support.h"
#include "temp_dir.h"

namespace fluxkv::config {
namespace {

// The canonical text, or "!" and the error.
std::string Read(std::string_view name, const std::string& text, const std::string& current = "") {
  const Option& option = AllOptions()[OptionIndex(name)];
  auto value = ParseValue(option, SplitWords(option, text), current);
  return value.ok() ? value.value().text : "!" + value.message();
}

TEST_CASE("numbers and their bounds") {
  CHECK(Read("port", "7000") == "7000");
  CHECK(Read("port", "65536") == "!argument must be between 0 and 65535 inclusive");
  CHECK(Read("port", "-1") == "!argument must be between 0 and 65535 inclusive");
  for (const char* bad : {"", " 1", "1 ", "0x10", "1.5", "99999999999999999999", "abc"}) {
    CHECK(Read("port", bad) == "!argument couldn't be parsed into an integer");
  }
  CHECK(Read("maxclients", "0") == "!argument must be between 1 and 4294967295 inclusive");
  CHECK(Read("slowlog-log-slower-than", "-1") == "-1");
  CHECK(Read("hz", "0") == "1");
  CHECK(Read("hz", "100000") == "500");
}

TEST_CASE("memory, percent and octal") {
  CHECK(Read("maxmemory", "512mb") == "536870912");
  CHECK(Read("maxmemory", "1k") == "1000");
  CHECK(Read("maxmemory", "1GB") == "1073741824");
  for (const char* bad : {"", "mb", "-1", "1tbx", "99999999999gb"}) {
    CHECK(Read("maxmemory", bad) == "!argument must be a memory value");
  }
  CHECK(Read("client-query-buffer-limit", "1") ==
        "!argument must be between 1048576 and 9223372036854775807 inclusive");
  CHECK(Read("durability.segment_bytes", "64kb") == "65536");
  for (const char* bad : {"65535", "1025mb", "0"}) {
    CHECK(Read("durability.segment_bytes", bad) ==
          "!argument must be between 65536 and 1073741824 inclusive");
  }
  CHECK(Read("durability.segments", "1") == "!argument must be between 2 and 1024 inclusive");
  CHECK(Read("maxmemory-clients", "5%") == "5%");
  CHECK(Read("maxmemory-clients", "10mb") == "10485760");
  CHECK(Read("maxmemory-clients", "200%") == "!percentage argument must be less or equal to 100");
  CHECK(Read("maxmemory-clients", "x%") == "!argument must be a memory or percent value");
  CHECK(Read("unixsocketperm", "700") == "700");
  CHECK(Read("unixsocketperm", "1000") == "!argument must be between 0 and 777 inclusive");
  CHECK(Read("unixsocketperm", "9") == "!argument couldn't be parsed as an octal number");
}

TEST_CASE("times as people write them") {
  CHECK(Read("timeout", "30") == "30");
  CHECK(Read("timeout", "5min") == "300");
  CHECK(Read("timeout", "1500ms") == "!argument couldn't be parsed into an integer");
  CHECK(Read("slowlog-log-slower-than", "10ms") == "10000");
  CHECK(Read("latency-monitor-threshold", "1s") == "1000");
  CHECK(Read("vacuum.interval", "1s") == "1000ms");
  CHECK(Read("vacuum.interval", "50") == "50ms");
  CHECK(Read("durability.flush_interval_ms", "2s") == "2000");
  CHECK(Read("durability.snapshot_interval_s", "1h") == "3600");
  CHECK(Read("vacuum.interval", "0") == "!argument must be between 1 and 3600000 inclusive");
  CHECK(Read("timeout", "9223372036854775807d") == "!argument couldn't be parsed into an integer");
}

TEST_CASE("yes, no and enums") {
  CHECK(Read("daemonize", "YES") == "yes");
  CHECK(Read("daemonize", "true") == "!argument must be 'yes' or 'no'");
  CHECK(Read("maxmemory-policy", "AllKeys-ARC") == "allkeys-arc");
  CHECK(Read("loglevel", "loud") ==
        "!argument(s) must be one of the following: debug, verbose, notice, warning, nothing");
  CHECK(Read("shutdown-on-sigterm", "now nosave") == "nosave now");
  CHECK(Read("shutdown-on-sigterm", "default") == "default");
  CHECK(Read("shutdown-on-sigterm", "save nosave") ==
        "!shutdown options SAVE and NOSAVE can't be used simultaneously");
  CHECK(Read("shutdown-on-sigterm", "") ==
        "!argument(s) must be one of the following: default, save, nosave, now, force");
}

TEST_CASE("output buffer limits change the classes that are named") {
  std::string current = Read("client-output-buffer-limit", "normal 0 0 0 replica 256mb 64mb 60");
  CHECK(current == "normal 0 0 0 slave 268435456 67108864 60 pubsub 0 0 0");
  CHECK(Read("client-output-buffer-limit", "pubsub 100000 0 0", current) ==
        "normal 0 0 0 slave 268435456 67108864 60 pubsub 100000 0 0");
  CHECK(Read("client-output-buffer-limit", "wrong number") ==
        "!Wrong number of arguments in buffer limit configuration.");
  CHECK(Read("client-output-buffer-limit", "master 1 1 1") ==
        "!Invalid client class specified in buffer limit configuration.");
  for (const char* bad : {"normal 10mbs 1 1", "normal 1 x 1", "normal 1 1 60s", "normal 1 1 -1"}) {
    CHECK(Read("client-output-buffer-limit", bad) ==
          "!Error in hard, soft or soft_seconds setting in buffer limit configuration.");
  }
}

TEST_CASE("percentiles") {
  CHECK(Read("latency-tracking-info-percentiles", "50.0 99.00 99.9") == "50 99 99.9");
  CHECK(Read("latency-tracking-info-percentiles", "0.0 100.0") == "0 100");
  CHECK(Read("latency-tracking-info-percentiles", "") == "");
  CHECK(Read("latency-tracking-info-percentiles", "10.0 a") ==
        "!Invalid latency-tracking-info-percentiles parameters");
  CHECK(Read("latency-tracking-info-percentiles", "101.0") ==
        "!latency-tracking-info-percentiles parameters should sit between [0.0,100.0]");
  CHECK(Read("latency-tracking-info-percentiles", "nan").starts_with("!"));
  CHECK(PercentilesOf("50 99.9") == std::vector<double>{50, 99.9});
}

TEST_CASE("names of files and hosts, titles, save points, addresses") {
  CHECK(Read("dbfilename", "a/b") == "!dbfilename can't be a path, just a filename");
  CHECK(Read("appendfilename", "") == "!appendfilename can't be empty");
  CHECK(Read("pidfile", std::string("a\0b", 3)) == "!argument must not contain a NUL byte");
  CHECK(Read("proc-title-template", "{title} {port}") == "{title} {port}");
  CHECK(Read("proc-title-template", "{nothing}").starts_with("!template format"));
  CHECK(Read("proc-title-template", "{title").starts_with("!template format"));
  CHECK(Read("cluster-announce-hostname", "a_b").starts_with("!Hostnames may only"));
  CHECK(Read("save", "3600 1 300 100") == "3600 1 300 100");
  CHECK(Read("save", "3600") == "!Invalid save parameters");
  CHECK(Read("save", "0 1") == "!Invalid save parameters");
  CHECK(Read("bind", "* -::*") == "* -::*");
  CHECK(Read("bind", "") == "");
  CHECK(Read("bind", "a;b") == "!Invalid bind address.");
  CHECK(Read("bind", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17") ==
        "!Too many bind addresses specified.");
  CHECK(Read("oom-score-adj-values", "0 1").starts_with("!wrong number"));
  CHECK(Read("oom-score-adj-values", "0 1 3000").starts_with("!Invalid oom-score"));
  CHECK(SavePointsOf("3600 1 300 100") == std::vector<SavePoint>{{3600, 1}, {300, 100}});
  CHECK(SavePointsOf("").empty());
}

TEST_CASE("a data directory is absolute, and is there or could be made") {
  TempDir dir;
  std::string root = std::filesystem::canonical(dir.Path(".")).string();
  dir.Write("file", "");
  std::filesystem::create_directory(dir.Path("there"));
  std::filesystem::create_directory_symlink(dir.Path("there"), dir.Path("link"));
  std::filesystem::create_directory_symlink(dir.Path("nowhere"), dir.Path("dangling"));
  CHECK(Read("dir", dir.Path("there")) == root + "/there");
  CHECK(Read("dir", dir.Path("there/")) == root + "/there");
  CHECK(Read("dir", dir.Path("there/../link/.")) == root + "/there");
  CHECK(Read("dir", dir.Path("absent")) == root + "/absent");
  CHECK(Read("dir", dir.Path("absent///")) == root + "/absent");
  CHECK(Read("dir", dir.Path("link/absent")) == root + "/there/absent");
  CHECK(Read("dir", "/") == "/");
  CHECK(Read("dir", "absent-here") == (std::filesystem::current_path() / "absent-here").string());
  CHECK(Read("dir", ".") == std::filesystem::canonical(".").string());
  CHECK(!std::filesystem::exists(dir.Path("absent")));

  CHECK(Read("dir", "") == "!No such file or directory");
  CHECK(Read("dir", dir.Path("absent/data")) ==
        "!" + dir.Path("absent") + ": No such file or directory");
  CHECK(Read("dir", dir.Path("absent/..")) ==
        "!" + dir.Path("absent") + ": No such file or directory");
  for (const char* name : {"file", "file/"}) {
    CHECK(Read("dir", dir.Path(name)) == "!Not a directory");
  }
  CHECK(Read("dir", dir.Path("file/data")) == "!" + dir.Path("file") + ": Not a directory");
  CHECK(Read("dir", dir.Path("dangling")) == "!No such file or directory");
  CHECK(Read("dir", std::string("a\0b", 3)) == "!argument must not contain a NUL byte");
}

TEST_CASE("letters of keyspace notifications") {
  CHECK(FormatNotifyFlags(*ParseNotifyFlags("KEA")) == "AKE");
  CHECK(FormatNotifyFlags(*ParseNotifyFlags("$lshzxeKE")) == "$lshzxeKE");
  CHECK(FormatNotifyFlags(*ParseNotifyFlags("gKE")) == "gKE");
  CHECK(FormatNotifyFlags(*ParseNotifyFlags("g$lshzxetdmK")) == "AKm");
  CHECK(FormatNotifyFlags(*ParseNotifyFlags("En")) == "nE");
  CHECK(FormatNotifyFlags(*ParseNotifyFlags("")) == "");
  CHECK(!ParseNotifyFlags("KEq"));
  CHECK((kNotifyAll & (kNotifyKeyMiss | kNotifyNew)) == 0);
  CHECK(Read("notify-keyspace-events", "q") ==
        "!Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
}

TEST_CASE("TOML literals") {
  const Option& text = AllOptions()[OptionIndex("requirepass")];
  CHECK(TomlLiteral(text, "a\"b\\c\n") == "\"a\\\"b\\\\c\\u000A\"");
  CHECK(TomlLiteral(text, "\xc3\xa9") == "\"\xc3\xa9\"");
  for (const char* bad : {"\xff", "\xc3", "\xed\xa0\x80", "\xc0\x80", "\xf4\x90\x80\x80"}) {
    CHECK(!TomlLiteral(text, bad));
  }
  CHECK(TomlLiteral(AllOptions()[OptionIndex("port")], "1") == "1");
  CHECK(TomlLiteral(AllOptions()[OptionIndex("maxmemory-clients")], "5%") == "\"5%\"");
}

}  // namespace
}  // namespace fluxkv::config
