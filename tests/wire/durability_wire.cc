// Goal: the commands of durability answer as Redis's clients expect, and what was answered is there
// after the next start, with its deadline.
// Method: servers of their own on directories of their own, stopped, killed and started again.
// (tests/crash does that under load.)
#include <atomic>
#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "tests/config/temp_dir.h"
#include "tests/wire/wire_case.h"

namespace fluxkv::wire {
namespace {

using config::TempDir;
using Wait = ServerProcess::Wait;

constexpr const char* kInProgress = "(error) ERR Background save already in progress";

std::vector<std::string> On(const TempDir& dir, const std::string& mode,
                            std::vector<std::string> more = {}) {
  std::vector<std::string> options{"--durability",
                                   mode,
                                   "--dir",
                                   dir.Path("data"),
                                   "--durability.segment_bytes",
                                   "1mb",
                                   "--enable-debug-command",
                                   "yes"};
  options.insert(options.end(), more.begin(), more.end());
  return options;
}

int64_t NowMs() {
  return RealtimeUs() / 1000;
}

std::string Integer(int64_t number) {
  return "(integer) " + std::to_string(number);
}

// A field of INFO persistence; empty if it is not there.
std::string Field(Client& client, const std::string& name) {
  const std::string text = "\\r\\n" + client.Do({"INFO", "persistence"});
  const size_t at = text.find("\\n" + name + ":");
  if (at == std::string::npos) return "";
  const size_t begin = at + 3 + name.size();
  return text.substr(begin, text.find("\\r\\n", begin) - begin);
}

bool ModeIs(Client& client, const std::string& mode) {
  return Becomes([&] {
    return Field(client, "durability") == mode && Field(client, "aof_rewrite_in_progress") == "0";
  });
}

TEST_CASE("durability: SAVE, BGSAVE, BGREWRITEAOF and LASTSAVE") {
  TempDir dir;
  ServerProcess server(On(dir, "relaxed"));
  Client client(server.port());
  CHECK(client.Do({"SET", "k", "v"}) == "OK");
  CHECK(client.Do({"SAVE"}) == "OK");
  CHECK(client.Do({"SAVE", "x"}) == "(error) ERR wrong number of arguments for 'save' command");
  const int64_t last = std::stoll(client.Do({"LASTSAVE"}).substr(10));
  CHECK(last <= NowMs() / 1000);
  CHECK(last >= NowMs() / 1000 - 60);
  CHECK(client.Do({"LASTSAVE", "x"}) ==
        "(error) ERR wrong number of arguments for 'lastsave' command");
  CHECK(client.Do({"BGSAVE", "x"}) == "(error) ERR syntax error");
  CHECK(client.Do({"BGSAVE", "SCHEDULE", "x"}) == "(error) ERR syntax error");
  CHECK(client.Do({"BGREWRITEAOF", "x"}) ==
        "(error) ERR wrong number of arguments for 'bgrewriteaof' command");
  const auto taken = [&](const std::string& snapshots) {
    return Becomes([&] {
      return Field(client, "rdb_saves") == snapshots &&
             Field(client, "rdb_bgsave_in_progress") == "0" &&
             Field(client, "aof_rewrite_in_progress") == "0";
    });
  };
  CHECK(client.Do({"BGREWRITEAOF"}) == "Background append only file rewriting started");
  REQUIRE(taken("2"));
  CHECK(client.Do({"BGSAVE", "schedule"}) == "Background saving started");
  REQUIRE(taken("3"));
  // While one is being taken.
  REQUIRE(client.Do({"DEBUG", "POPULATE", "20000"}) == "OK");
  client.Send(Encode({"BGSAVE"}) + Encode({"BGSAVE"}) + Encode({"SAVE"}) +
              Encode({"BGSAVE", "SCHEDULE"}) + Encode({"BGREWRITEAOF"}));
  CHECK(client.Read() == "Background saving started");
  CHECK(client.Read() == kInProgress);
  CHECK(client.Read() == kInProgress);
  CHECK(client.Read() == "Background saving scheduled");
  CHECK(client.Read() == "Background append only file rewriting scheduled");
  // What comes before one has begun is served by it.
  CHECK(Becomes([&] { return std::stoi(Field(client, "rdb_saves")) >= 4; }));
  CHECK(server.Stop() == 0);
}

TEST_CASE("durability: a snapshot is in progress from the reply of BGSAVE on") {
  TempDir dir;
  ServerProcess server(On(dir, "relaxed", {"--rdb-key-save-delay", "50000"}));  // us
  Client client(server.port());
  CHECK(client.Do({"SET", "k", "v"}) == "OK");
  for (int i = 0; i < 10; ++i) {
    client.Send(Encode({"BGSAVE"}) + Encode({"INFO", "persistence"}));
    CHECK(client.Read() == "Background saving started");
    CHECK(client.Read().find("rdb_bgsave_in_progress:1") != std::string::npos);
    // And ended when it says so: the next one is not refused.
    REQUIRE(Becomes([&] { return Field(client, "rdb_bgsave_in_progress") == "0"; }));
    CHECK(Field(client, "rdb_saves") == std::to_string(i + 1));
  }
  CHECK(server.Stop() == 0);
}

TEST_CASE("durability: in a transaction SAVE is refused and BGSAVE follows the commit") {
  TempDir dir;
  ServerProcess server(On(dir, "full"));
  Client client(server.port());
  client.Do({"MULTI"});
  CHECK(client.Do({"SAVE"}) == "(error) ERR Command not allowed inside a transaction");
  CHECK(client.Do({"EXEC"}) ==
        "(error) EXECABORT Transaction discarded because of previous errors.");
  client.Do({"MULTI"});
  CHECK(client.Do({"SET", "k", "v"}) == "QUEUED");
  CHECK(client.Do({"BGSAVE"}) == "QUEUED");
  CHECK(client.Do({"EXEC"}) == "[OK, Background saving started]");
  REQUIRE(Becomes([&] { return Field(client, "rdb_saves") == "1"; }));
  CHECK(Field(client, "snapshot_keys") == "1");
  CHECK(server.Stop() == 0);
}

TEST_CASE("durability: WAITAOF") {
  TempDir dir;
  ServerProcess server(On(dir, "relaxed", {"--durability.flush_interval_ms", "50"}));
  Client client(server.port());
  CHECK(client.Do({"SET", "k", "v"}) == "OK");
  CHECK(client.Do({"WAITAOF", "1", "0", "0"}) == "[(integer) 1, (integer) 0]");
  CHECK(client.Do({"WAITAOF", "0", "0", "0"}) == "[(integer) 1, (integer) 0]");
  const int64_t begin = NowMs();
  CHECK(client.Do({"WAITAOF", "1", "1", "100"}) == "[(integer) 1, (integer) 0]");
  CHECK(NowMs() - begin >= 90);
  const std::vector<std::pair<Arguments, std::string>> wrong{
      {{"WAITAOF", "1", "0"}, "ERR wrong number of arguments for 'waitaof' command"},
      {{"WAITAOF", "2", "0", "0"}, "ERR value is out of range, must be between 0 and 1"},
      {{"WAITAOF", "x", "0", "0"}, "ERR value is not an integer or out of range"},
      {{"WAITAOF", "1", "-1", "0"}, "ERR value is out of range, must be positive"},
      {{"WAITAOF", "1", "x", "0"}, "ERR value is not an integer or out of range"},
      {{"WAITAOF", "1", "0", "-1"}, "ERR timeout is negative"}};
  for (const auto& [arguments, error] : wrong) CHECK(client.Do(arguments) == "(error) " + error);
  CHECK(server.Stop() == 0);

  ServerProcess without;  // without a log
  Client other(without.port());
  CHECK(other.Do({"WAITAOF", "1", "0", "0"}) ==
        "(error) ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.");
  CHECK(other.Do({"WAITAOF", "0", "0", "0"}) == "[(integer) 0, (integer) 0]");
}

// Every key that a client was answered for, after the server ended in each way.
TEST_CASE("durability: a start brings back what was there, and deadlines to the millisecond") {
  for (const char* mode : {"relaxed", "full"}) {
    for (const char* end : {"TERM", "KILL", "SHUTDOWN", "SHUTDOWN SAVE", "SHUTDOWN NOSAVE"}) {
      INFO(mode, " ", end);
      TempDir dir;
      const int64_t far = NowMs() + 5'000'123, near = NowMs() + 300;
      {
        ServerProcess server(On(dir, mode));
        Client client(server.port());
        CHECK(client.Do({"SET", "k", "1"}) == "OK");
        CHECK(client.Do({"INCR", "k"}) == "(integer) 2");
        CHECK(client.Do({"SET", "gone", "v"}) == "OK");
        CHECK(client.Do({"DEL", "gone"}) == "(integer) 1");
        CHECK(client.Do({"SET", "far", "v", "PXAT", std::to_string(far)}) == "OK");
        CHECK(client.Do({"SET", "near", "v", "PXAT", std::to_string(near)}) == "OK");
        CHECK(client.Do({"SAVE"}) == "OK");
        CHECK(client.Do({"APPEND", "far", std::string(2'000'000, 'x')}) == "(integer) 2000001");
        CHECK(client.Do({"SELECT", "3"}) == "OK");
        CHECK(client.Do({"MSET", "a", "1", "b", "2"}) == "OK");
        CHECK(client.Do({"SWAPDB", "3", "4"}) == "OK");
        const std::string how = end;
        if (how == "TERM") CHECK(server.Stop() == 0);
        if (how == "KILL") server.Kill();
        if (how.starts_with("SHUTDOWN")) {
          Arguments words{"SHUTDOWN"};
          if (how.size() > 8) words.push_back(how.substr(9));
          client.Send(Encode(words));
          CHECK(client.Closed(5000));
          CHECK(server.WaitUntilEnded() == 0);
        }
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(std::max<int64_t>(near - NowMs(), 0)));
      ServerProcess server(On(dir, mode));
      Client client(server.port());
      CHECK(client.Do({"GET", "k"}) == "\"2\"");
      CHECK(client.Do({"EXISTS", "gone", "near"}) == Integer(0));
      CHECK(client.Do({"PEXPIRETIME", "far"}) == Integer(far));
      CHECK(client.Do({"STRLEN", "far"}) == Integer(2'000'001));
      CHECK(client.Do({"DBSIZE"}) == Integer(2));
      CHECK(client.Do({"SELECT", "4"}) == "OK");
      CHECK(client.Do({"MGET", "a", "b"}) == "[\"1\", \"2\"]");
      CHECK(server.Stop() == 0);
    }
  }
}

TEST_CASE("durability: mode none keeps what was saved, SHUTDOWN SAVE saves") {
  TempDir dir;
  for (const bool save : {true, false}) {
    ServerProcess server(On(dir, "none"));
    Client client(server.port());
    CHECK(client.Do({"GET", "k"}) == (save ? "(nil)" : "\"saved\""));
    CHECK(client.Do({"SET", "k", save ? "saved" : "not saved"}) == "OK");
    client.Send(Encode({"SHUTDOWN", save ? "SAVE" : "NOSAVE"}));
    CHECK(client.Closed(5000));
    CHECK(server.WaitUntilEnded() == 0);
  }
  ServerProcess server(On(dir, "none"));
  Client client(server.port());
  CHECK(client.Do({"GET", "k"}) == "\"saved\"");
  CHECK(Field(client, "rdb_last_load_keys_loaded") == "1");
}

TEST_CASE("durability: a second server on the same directory does not start") {
  TempDir dir;
  ServerProcess server(On(dir, "relaxed"));
  Client client(server.port());
  client.Do({"SET", "k", "v"});
  for (const char* mode : {"relaxed", "none"}) {
    ServerProcess second(On(dir, mode), "", Wait::kNo);
    CHECK(second.WaitUntilEnded() == 1);
    CHECK(second.Output().find("another process uses this data directory (" + dir.Path("data") +
                               "/lock is locked)") != std::string::npos);
  }
  CHECK(client.Do({"GET", "k"}) == "\"v\"");
  CHECK(server.Stop() == 0);
}

TEST_CASE("durability: the mode changes while a client writes; the last one holds") {
  for (const char* last : {"relaxed", "full"}) {
    TempDir dir;
    ServerProcess server(On(dir, "none"));
    Client control(server.port());
    std::atomic<int64_t> answered{0};
    std::atomic<bool> wrong{false};
    std::thread writer([&] {
      try {
        Client client(server.port());
        for (int64_t i = 1;; ++i) {
          if (client.Do({"INCR", "counter"}) != Integer(i)) wrong = true;
          if (client.Do({"SET", "key" + std::to_string(i % 100), std::to_string(i)}) != "OK")
            wrong = true;
          answered = i;
        }
      } catch (const std::runtime_error&) {  // the server was killed
      }
    });
    const std::vector<std::pair<Arguments, std::string>> changes{
        {{"CONFIG", "SET", "appendonly", "yes"}, "relaxed"},
        {{"CONFIG", "SET", "appendfsync", "always"}, "full"},
        {{"CONFIG", "SET", "appendfsync", "everysec"}, "relaxed"},
        {{"CONFIG", "SET", "durability.mode", "none"}, "none"},
        {{"CONFIG", "SET", "durability.mode", "full"}, "full"},
        {{"CONFIG", "SET", "appendonly", "no"}, "none"},
        {{"CONFIG", "SET", "durability.mode", last}, last}};
    bool good = true;
    for (const auto& [arguments, mode] : changes) {
      good &= control.Do(arguments) == "OK" && ModeIs(control, mode);
      const int64_t before = answered;
      good &= Becomes([&] { return answered > before + 20; });
    }
    CHECK(good);
    const int64_t promised = answered;
    server.Kill();
    writer.join();
    CHECK_FALSE(wrong.load());
    ServerProcess again(On(dir, last));
    Client client(again.port());
    const std::string counter = client.Do({"GET", "counter"});
    const int64_t found = counter.size() > 2 ? std::stoll(counter.substr(1)) : 0;
    CHECK(found >= answered.load());
    CHECK(found <= answered.load() + 1);
    CHECK(promised > 0);
    CHECK(client.Do({"GET", "key" + std::to_string(promised % 100)}) != "(nil)");
    CHECK(again.Stop() == 0);
  }
}

TEST_CASE("durability: DEBUG RELOAD and DEBUG LOADAOF keep everything") {
  TempDir dir;
  ServerProcess server(On(dir, "relaxed"));
  Client client(server.port());
  const int64_t far = NowMs() + 9'000'001;
  client.Do({"SET", "far", "v", "PXAT", std::to_string(far)});
  client.Do({"SETBIT", "bits", "100", "1"});
  client.Do({"SET", "number", "12"});
  const std::string digest = client.Do({"DEBUG", "DIGEST"});
  for (int round = 0; round < 3; ++round) {
    for (const char* what : {"RELOAD", "LOADAOF"}) {
      INFO(what);
      CHECK(client.Do({"DEBUG", what}) == "OK");
      CHECK(client.Do({"DEBUG", "DIGEST"}) == digest);
      CHECK(client.Do({"PEXPIRETIME", "far"}) == Integer(far));
      CHECK(client.Do({"OBJECT", "ENCODING", "number"}) == "\"int\"");
    }
  }
  CHECK(client.Do({"INCR", "number"}) == "(integer) 13");
  CHECK(client.Do({"DEBUG", "LOADAOF"}) == "OK");
  CHECK(client.Do({"GET", "number"}) == "\"13\"");
  CHECK(client.Do({"CONFIG", "SET", "appendonly", "no"}) == "OK");
  REQUIRE(ModeIs(client, "none"));
  CHECK(client.Do({"DEBUG", "LOADAOF"}).find("there is no log in durability mode none") !=
        std::string::npos);
  CHECK(client.Do({"DEBUG", "RELOAD"}) == "OK");
  CHECK(client.Do({"GET", "number"}) == "\"13\"");
  CHECK(server.Stop() == 0);
}

TEST_CASE("durability: while data is being loaded, clients are told so [slow]") {
  TempDir dir;
  {
    ServerProcess server(On(dir, "none"));
    Client client(server.port());
    REQUIRE(client.Do({"DEBUG", "POPULATE", "200000"}) == "OK");
    REQUIRE(client.Do({"SAVE"}) == "OK");
    CHECK(server.Stop() == 0);
  }
  ServerProcess server(On(dir, "relaxed"), "", Wait::kNo);
  int refused = 0;
  std::string value;
  REQUIRE(Becomes([&] {
    try {
      Client client(server.port());
      value = client.Do({"GET", "key:7"});
      if (value.find("LOADING") == std::string::npos) return true;
      ++refused;
      CHECK(value == "(error) LOADING Redis is loading the dataset in memory");
      const std::string info = client.Do({"INFO", "persistence"});
      if (info.find("loading:1\\r") != std::string::npos)
        CHECK(info.find("loading_total_bytes:") != std::string::npos);
    } catch (const std::runtime_error&) {  // it does not listen yet
    }
    return false;
  }));
  CHECK(value == "\"value:7\"");
  if (refused == 0) MESSAGE("it was loaded before a client could look");
  Client client(server.port());
  CHECK(Field(client, "loading") == "0");
  CHECK(client.Do({"DBSIZE"}) == Integer(200'000));
  CHECK(server.Stop() == 0);
}

TEST_CASE("durability: INFO persistence") {
  TempDir dir;
  ServerProcess server(On(dir, "full"));
  Client client(server.port());
  for (const char* field : {"loading",
                            "async_loading",
                            "rdb_changes_since_last_save",
                            "rdb_bgsave_in_progress",
                            "rdb_last_save_time",
                            "rdb_last_bgsave_status",
                            "rdb_last_bgsave_time_sec",
                            "rdb_current_bgsave_time_sec",
                            "rdb_saves",
                            "aof_enabled",
                            "aof_rewrite_in_progress",
                            "aof_last_bgrewrite_status",
                            "aof_last_write_status",
                            "aof_current_size",
                            "aof_base_size",
                            "log_writers",
                            "log_stamp",
                            "log_safe_stamp",
                            "log_durable_stamp",
                            "log_segments",
                            "log_segments_max",
                            "log_failures"}) {
    INFO(field);
    CHECK(Field(client, field) != "");
  }
  CHECK(Field(client, "aof_enabled") == "1");
  CHECK(Field(client, "durability") == "full");
  CHECK(Field(client, "rdb_changes_since_last_save") == "0");
  client.Do({"SET", "k", "v"});
  client.Do({"SET", "k", "w"});
  CHECK(Field(client, "rdb_changes_since_last_save") == "2");
  CHECK(Field(client, "log_durable_stamp") == Field(client, "log_stamp"));
  CHECK(Field(client, "log_records") == "2");
  client.Do({"SAVE"});
  CHECK(Field(client, "rdb_changes_since_last_save") == "0");
  CHECK(Field(client, "rdb_last_bgsave_status") == "ok");
  CHECK(Field(client, "snapshot_keys") == "1");
  CHECK(server.Stop() == 0);
}

// ---- fluxkv-check beside a server

struct CheckOutcome {
  int exit_code = -1;
  std::string text;
  bool Says(const std::string& part) const { return text.find(part) != std::string::npos; }
};

CheckOutcome Check(const std::string& words) {
  const char* server = getenv("FLUXKV_SERVER");
  std::filesystem::path program =
      std::filesystem::path(server == nullptr ? "" : server).replace_filename("fluxkv-check");
  if (!std::filesystem::exists(program)) program = "build/fluxkv-check";
  CheckOutcome outcome;
  FILE* pipe = popen((program.string() + " " + words + " 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  char buffer[4096];
  while (size_t count = fread(buffer, 1, sizeof(buffer), pipe)) outcome.text.append(buffer, count);
  const int status = pclose(pipe);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

TEST_CASE("check: not beside a server; it repairs what a server refuses") {
  TempDir dir;
  const std::string data = dir.Path("data");
  {
    ServerProcess server(On(dir, "full"));
    Client client(server.port());
    for (int i = 0; i < 100; ++i)
      REQUIRE(client.Do({"SET", "key" + std::to_string(i), std::string(1000, 'v')}) == "OK");
    const CheckOutcome outcome = Check(data);
    CHECK(outcome.exit_code == 1);
    CHECK(outcome.Says("another process uses this data directory"));
    CHECK(outcome.Says("stop the server, or look at a copy with --no-lock"));
    CHECK(server.Stop() == 0);
  }
  CheckOutcome outcome = Check(data);
  INFO(outcome.text);
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.Says("applies 100 records"));
  CHECK(outcome.text.ends_with("the directory is good\n"));

  const std::string segment = "data/log-0000000001.seg";
  std::string bytes = dir.Read(segment);
  bytes[4096 + 50'000] ^= 1;
  dir.Write(segment, bytes);
  {
    ServerProcess server(On(dir, "full"), "", Wait::kNo);
    CHECK(server.WaitUntilEnded() == 1);
    CHECK(server.Output().find("the log is damaged") != std::string::npos);
    CHECK(server.Output().find("fluxkv-check") != std::string::npos);
  }
  outcome = Check(data);
  CHECK(outcome.exit_code == 1);
  CHECK(outcome.Says("log-0000000001.seg at "));
  outcome = Check("--repair " + data + " </dev/null");
  CHECK(outcome.exit_code == 1);
  CHECK(outcome.Says("give --yes"));
  outcome = Check("--repair --yes " + data);
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.text.ends_with("the directory is good\n"));
  ServerProcess server(On(dir, "full"));
  Client client(server.port());
  const std::string size = client.Do({"DBSIZE"});
  const int64_t keys = std::stoll(size.substr(size.find(' ')));
  CHECK(keys >= 45);
  CHECK(keys < 55);
  CHECK(client.Do({"STRLEN", "key" + std::to_string(keys - 1)}) == Integer(1000));
  CHECK(server.Stop() == 0);
}

}  // namespace
}  // namespace fluxkv::wire
