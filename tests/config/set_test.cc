// Goal: CONFIG GET and SET mean what they mean in Redis: globs, all or nothing, exact errors,
// appliers rolled back.
// Method: a Config without a file; appliers that record and fail on demand.
#include <map>
#include <set>
#include <thread>

#include "config_test_support.h"

namespace fluxkv::config {
namespace {

std::unique_ptr<Config> Make(const std::vector<std::string>& arguments = {}) {
  std::vector<std::string> notes;
  auto config = Config::Load(arguments, &notes);
  REQUIRE(config.ok());
  return std::move(config.value());
}

TEST_CASE("GET: globs, several patterns, aliases, hidden names, ours") {
  auto config = Make();
  auto found = config->Get({"maxmemory", "MAXMEMORY*", "bind", "*of", "nothing"});
  std::map<std::string, std::string> by_name(found.begin(), found.end());
  CHECK(by_name.size() == found.size());
  CHECK(found[0].first == "maxmemory");
  CHECK(by_name.count("slaveof") == 1);
  CHECK(by_name.count("replicaof") == 1);
  CHECK(by_name.count("maxmemory-clients") == 1);
  CHECK(by_name["bind"] == "127.0.0.1 -::1");
  CHECK(by_name.count("memory.maxmemory") == 0);
  CHECK(config->Get({"memory.*"}).size() == 5);
  CHECK(config->Get({"memory.policy"})[0].second == "noeviction");
  CHECK(config->Get({"threads"})[0].second == "0");
  // A section's name is enough to mean ours.
  auto durability = config->Get({"durability*"});
  CHECK(durability.size() == config->Get({"durability.*"}).size());
  CHECK(durability[0] == std::pair<std::string, std::string>("durability.mode", "relaxed"));
  CHECK(config->Get({"Vacuum*"}).size() == 1);
  CHECK(config->Get({"durab*"}).empty());
  auto all = config->Get({"*"});
  std::set<std::string> names;
  for (const auto& [name, value] : all) names.insert(name);
  CHECK(names.count("key-load-delay") == 0);
  CHECK(names.count("hash-max-ziplist-entries") == 1);
  CHECK(names.count("threads") == 0);
  CHECK(config->Get({"key-load-delay"}).size() == 1);
}

TEST_CASE("GET answers the names that tools ask for, in Redis's form") {
  auto config = Make();
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"databases", "16"},
      {"maxmemory", "0"},
      {"maxmemory-policy", "noeviction"},
      {"maxclients", "10000"},
      {"save", ""},
      {"appendonly", "yes"},
      {"appendfsync", "everysec"},
      {"notify-keyspace-events", ""},
      {"slowlog-log-slower-than", "10000"},
      {"slowlog-max-len", "128"},
      {"timeout", "0"},
      {"requirepass", ""},
      {"io-threads", "1"},
      {"port", "6379"},
      {"dbfilename", "dump.rdb"},
      {"hash-max-listpack-entries", "512"},
      {"proto-max-bulk-len", "536870912"},
      {"client-output-buffer-limit",
       "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"},
      {"latency-tracking", "yes"},
      {"latency-tracking-info-percentiles", "50 99 99.9"}};
  for (const auto& pair : expected) {
    CAPTURE(pair.first);
    auto found = config->Get({pair.first});
    REQUIRE(found.size() == 1);
    CHECK(found[0] == pair);
  }
}

TEST_CASE("every changeable option accepts the value it has") {
  auto config = Make();
  for (const auto& [name, value] : config->Get({"*", "*.*"})) {
    CAPTURE(name);
    const Option& option = AllOptions()[OptionIndex(name)];
    std::string answer = SetText(config.get(), {{name, value}});
    std::string refused = "ERR CONFIG SET failed (possibly related to argument '" + name + "') - ";
    if (!option.has(kRuntime)) {
      CHECK(answer == refused + "can't set immutable config");
    } else if (option.has(kProtected)) {
      CHECK(answer == refused + "can't set protected config");
    } else {
      CHECK(answer == "OK");
    }
    CHECK(config->Get({name})[0].second == value);
  }
}

TEST_CASE("SET: values reach the settings") {
  auto config = Make();
  CHECK(SetText(config.get(), {{"maxmemory", "10mb"},
                               {"maxmemory-policy", "allkeys-arc"},
                               {"notify-keyspace-events", "KEA"},
                               {"requirepass", "secret"},
                               {"loglevel", "debug"},
                               {"client-output-buffer-limit", "pubsub 100 50 2"}}) == "OK");
  const Settings& settings = config->settings();
  CHECK(settings.maxmemory_bytes == 10 << 20);
  CHECK(settings.policy() == EvictionPolicy::kAllkeysArc);
  CHECK(config->Get({"notify-keyspace-events"})[0].second == "AKE");
  CHECK((settings.notify() & 3) == 3);
  CHECK(settings.requirepass_set == 1);
  CHECK(config->requirepass() == "secret");
  CHECK(settings.level() == LogLevel::kDebug);
  CHECK(settings.output_buffer_limit(ClientClass::kPubsub).hard_bytes == 100);
  CHECK(settings.output_buffer_limit(ClientClass::kPubsub).soft_seconds == 2);
  CHECK(settings.output_buffer_limit(ClientClass::kReplica).hard_bytes == 256 << 20);
  CHECK(SetText(config.get(), {{"memory.maxmemory", "5"}}) == "OK");
  CHECK(config->Get({"maxmemory"})[0].second == "5");
  CHECK(Config::IsSensitive("requirepass"));
  CHECK(!Config::IsSensitive("maxmemory"));
}

TEST_CASE("SET: errors are Redis's, and nothing changes") {
  auto config = Make();
  auto before = config->Get({"*"});
  CHECK(SetText(config.get(), {{"maxmemory", "1"}, {"no-such", "1"}}) ==
        "ERR Unknown option or number of arguments for CONFIG SET - 'no-such'");
  CHECK(SetText(config.get(), {{"a\r\nb", "1"}}) ==
        "ERR Unknown option or number of arguments for CONFIG SET - 'a  b'");
  CHECK(SetText(config.get(), {{"maxmemory", "1"}, {"maxmemory", "2"}}) ==
        "ERR CONFIG SET failed (possibly related to argument 'maxmemory') - duplicate parameter");
  // Two names of one option.
  for (const char* other : {"memory.maxmemory", "MaxMemory"}) {
    CHECK(SetText(config.get(), {{"maxmemory", "1"}, {other, "1"}}) ==
          "ERR CONFIG SET failed (possibly related to argument '" + std::string(other) +
              "') - duplicate parameter");
  }
  CHECK(SetText(config.get(), {{"daemonize", "yes"}}) ==
        "ERR CONFIG SET failed (possibly related to argument 'daemonize') - can't set immutable "
        "config");
  CHECK(SetText(config.get(), {{"maxmemory", "10000001"},
                               {"maxmemory-clients", "200%"},
                               {"client-query-buffer-limit", "invalid"}}) ==
        "ERR CONFIG SET failed (possibly related to argument 'maxmemory-clients') - percentage "
        "argument must be less or equal to 100");
  CHECK(SetText(config.get(), {{"maxmemory", "10mb"}, {"port", "7000"}}) ==
        "ERR CONFIG SET failed (possibly related to argument 'port') - it can be changed by a "
        "restart only");
  CHECK(config->Get({"*"}) == before);
  CHECK(config->settings().maxmemory_bytes == 0);
}

TEST_CASE("SET: what this version does not have is refused in plain words") {
  auto config = Make();
  CHECK(SetText(config.get(), {{"activedefrag", "yes"}})
            .find("Active defragmentation cannot be enabled") != std::string::npos);
}

TEST_CASE("SET: protected options") {
  auto closed = Make();
  CHECK(!closed->Set({{"dbfilename", "x"}}, true).ok());
  auto local = Make({"--enable-protected-configs", "local"});
  CHECK(local->Set({{"dbfilename", "x"}}, true).ok());
  CHECK(!local->Set({{"dbfilename", "y"}}, false).ok());
  auto open = Make({"--enable-protected-configs", "yes"});
  CHECK(open->Set({{"dbfilename", "x"}}).ok());
  // The data directory is locked and has open files.
  CHECK(SetText(open.get(), {{"dir", "/"}}) ==
        "ERR CONFIG SET failed (possibly related to argument 'dir') - it can be changed by a "
        "restart only");
  CHECK(SetText(open.get(), {{"dir", open->dir()}}) == "OK");
}

TEST_CASE("SET: a failing applier puts everything back, appliers before it included") {
  auto config = Make();
  std::vector<std::string> calls;
  config->OnChange("port", [&](const std::string& value) {
    calls.push_back("port " + value + " maxmemory " + config->Text("maxmemory"));
    if (value == "7000") return Status::Error("Unable to listen on this port");
    return Status();
  });
  config->OnChange("maxclients", [&](const std::string& value) {
    calls.push_back("maxclients " + value);
    return Status();
  });
  CHECK(SetText(config.get(),
                {{"maxclients", "5"}, {"maxmemory", "10"}, {"port", "7000"}, {"timeout", "9"}}) ==
        "ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this "
        "port");
  CHECK(calls == std::vector<std::string>{"maxclients 5", "port 7000 maxmemory 10",
                                          "maxclients 10000", "port 6379 maxmemory 0"});
  CHECK(config->settings().maxclients == 10000);
  CHECK(config->settings().timeout_s == 0);
  calls.clear();
  CHECK(SetText(config.get(), {{"port", "6379"}}) == "OK");  // no change, no call
  CHECK(calls.empty());
  CHECK(SetText(config.get(), {{"port", "7001"}}) == "OK");
  CHECK(config->Text("port") == "7001");
}

TEST_CASE("GET and settings may be read while SET runs") {
  auto config = Make();
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    while (!stop.load()) {
      CHECK(config->Get({"max*"}).size() > 3);
      CHECK(config->settings().maxmemory_bytes.load(std::memory_order_relaxed) >= 0);
      CHECK(config->requirepass().size() <= 40);
    }
  });
  for (int i = 0; i < 2000; ++i) {
    CHECK(SetText(config.get(), {{"maxmemory", std::to_string(i)},
                                 {"requirepass", std::string(static_cast<size_t>(i % 40), 'p')}}) ==
          "OK");
  }
  stop = true;
  reader.join();
}

}  // namespace
}  // namespace fluxkv::config
