// fluxkv [FILE] [--name value ...]: puts the parts together, runs until told to stop.
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/version.h"
#include "command/latency.h"
#include "command/notify.h"
#include "command/services.h"
#include "command/slowlog.h"
#include "command/table.h"
#include "config/config.h"
#include "config/notify_flags.h"
#include "server/banner.h"
#include "server/durability.h"
#include "server/process.h"
#include "server/server.h"

namespace fluxkv::server {
namespace {

int Fail(const std::string& message) {
  std::fprintf(stderr, "fluxkv: %s\n", message.c_str());
  return 1;
}

// Descriptors for maxclients; if the system gives fewer, maxclients falls.
Status AdjustMaxClients(config::Config& config, Logger& log, size_t threads) {
  auto clients = static_cast<size_t>(config.settings().maxclients.load());
  size_t possible = Server::ClientsPossible(clients, threads);
  if (possible >= clients) return {};
  if (possible == 0) return Status::Error("ulimit -n is too low for the server to start");
  log.Warning("maxclients has been reduced from {} to {} to compensate for low ulimit", clients,
              possible);
  config.Lower("maxclients", static_cast<int64_t>(possible));
  return {};
}

void Notify(const config::Config& config, Logger& log, std::string_view state) {
  config::Supervised how = config.start().supervised;
  bool systemd = how == config::Supervised::kSystemd ||
                 (how == config::Supervised::kAuto && HasNotifySocket());
  if (!systemd) return;
  Status status = NotifyServiceManager(state);
  if (!status.ok()) log.Warning("supervised by systemd: {}", status.message());
}

// What goes well or wrong is in the log: Config::LogTo.
void ReloadConfig(config::Config& config, Logger& log) {
  log.Notice("Received SIGHUP, reading the configuration again");
  static_cast<void>(config.Reload());
}

void WaitForTheEnd(Server& server, SignalWaiter& signals, config::Config& config, Logger& log) {
  bool told = false;
  while (int signal = signals.Wait(server.done_fd())) {
    if (signal == SIGHUP) {
      if (!told) ReloadConfig(config, log);
      continue;
    }
    if (told && signal == SIGINT) {
      log.Warning("You insist... exiting now.");
      std::_Exit(1);
    }
    if (told) continue;
    told = true;
    log.Notice("Received {}, stopping", signal == SIGINT ? "SIGINT" : "SIGTERM");
    Notify(config, log, "STOPPING=1\n");
    // As SHUTDOWN without a word: the save points decide whether a snapshot is taken.
    server.Shutdown(command::ServerControl::ShutdownMode::kGraceful, !config.save_points().empty());
  }
  if (!told) Notify(config, log, "STOPPING=1\n");
}

int FailLogged(Logger& log, const Status& status) {
  log.Warning("{}", status.message());
  return Fail(status.message());
}

// Clients are told meanwhile that the data is being loaded. A signal to stop ends the process at
// once: nothing that is in memory is not on disk. One to reload the configuration waits until the
// data is there; `reload` says that there was one.
Status LoadData(Durability& durability, SignalWaiter& signals, bool* reload) {
  const int done_fd = eventfd(0, EFD_CLOEXEC);
  ASSERT(done_fd >= 0);
  Status status;
  std::thread loader([&] {
    UseDataArena(0);
    status = durability.Load();
    ASSERT(eventfd_write(done_fd, 1) == 0);
  });
  while (int signal = signals.Wait(done_fd)) {
    if (signal != SIGHUP) std::_Exit(0);
    *reload = true;
  }
  loader.join();
  close(done_fd);
  if (status.ok()) status = durability.Start();
  return status;
}

// By the texts of maxmemory-policy.
std::pair<engine::PolicyKind, bool> PolicyOf(config::EvictionPolicy policy) {
  using enum config::EvictionPolicy;
  switch (policy) {
    case kVolatileLru:
      return {engine::PolicyKind::kLru, true};
    case kVolatileLfu:
      return {engine::PolicyKind::kLfu, true};
    case kVolatileRandom:
      return {engine::PolicyKind::kRandom, true};
    case kVolatileTtl:
      return {engine::PolicyKind::kTtl, true};
    case kVolatileArc:
      return {engine::PolicyKind::kArc, true};
    case kAllkeysLru:
      return {engine::PolicyKind::kLru, false};
    case kAllkeysLfu:
      return {engine::PolicyKind::kLfu, false};
    case kAllkeysRandom:
      return {engine::PolicyKind::kRandom, false};
    case kAllkeysArc:
      return {engine::PolicyKind::kArc, false};
    case kNoEviction:
      break;
  }
  return {engine::PolicyKind::kNone, false};
}

// Hands the options about memory to the engine, now and whenever they change.
void FollowMemoryOptions(config::Config& config, engine::Database& database) {
  const config::Settings& settings = config.settings();
  const auto policy = [&](const std::string&) {
    const auto [kind, volatile_only] = PolicyOf(settings.policy());
    database.SetPolicy(kind, volatile_only);
    return Status();
  };
  const auto factor = [&](const std::string&) {
    database.SetLfuLogFactor(static_cast<uint32_t>(settings.lfu_log_factor.load()));
    return Status();
  };
  const auto decay = [&](const std::string&) {
    database.SetLfuDecayTime(static_cast<uint32_t>(settings.lfu_decay_minutes.load()));
    return Status();
  };
  static_cast<void>(policy({}));
  static_cast<void>(factor({}));
  static_cast<void>(decay({}));
  config.OnChange("memory.policy", policy);
  config.OnChange("memory.lfu_log_factor", factor);
  config.OnChange("memory.lfu_decay_time", decay);
}

int Run(config::Config& config, const std::vector<std::string>& notes) {
  const config::StartOptions& start = config.start();
  // In memory only, the directory need not be there.
  if (start.durability != config::Durability::kNone && mkdir(config.dir().c_str(), 0750) != 0 &&
      errno != EEXIST) {
    return Fail("cannot create directory " + config.dir());
  }
  if (chdir(config.dir().c_str()) != 0 &&
      !(errno == ENOENT && start.durability == config::Durability::kNone)) {
    return Fail("cannot change to directory " + config.dir());
  }
  auto opened = Logger::Open(start.logfile);
  if (!opened.ok()) return Fail(opened.message());
  Logger& log = *opened.value();
  log.set_level(static_cast<Logger::Level>(config.settings().level()));

  Clock clock;
  Server server(log, config, clock);
  Status status = server.Listen();
  if (!status.ok()) return Fail(status.message());
  size_t threads = Server::LoopsFor(start.threads);
  std::fputs(Banner(config, server.listen_addresses(), threads).c_str(), stdout);
  std::fflush(stdout);
  if (start.daemonize && start.supervised == config::Supervised::kNo) status = Daemonize();
  PidFile pid_file;
  if (status.ok() && !start.pidfile.empty()) status = pid_file.Write(start.pidfile);
  if (status.ok()) status = AdjustMaxClients(config, log, threads);
  if (!status.ok()) return Fail(status.message());
  for (const std::string& note : notes) log.Notice("{}", note);

  SignalWaiter signals;
  command::PubSub pubsub;
  command::ServerStats stats;
  command::CommandTable table;
  engine::Options options;
  options.databases = static_cast<uint32_t>(start.databases);
  options.vacuum_interval_ms = &config.settings().vacuum_interval_ms;
  options.on_expired = [&](uint32_t db, std::string_view key, engine::Stamp stamp) {
    command::PublishKeyspaceEvent(pubsub, config.settings().notify(), db, config::kNotifyExpired,
                                  "expired", key, stamp);
  };
  options.on_evicted = [&](uint32_t db, std::string_view key, engine::Stamp stamp) {
    command::PublishKeyspaceEvent(pubsub, config.settings().notify(), db, config::kNotifyEvicted,
                                  "evicted", key, stamp);
  };
  options.on_deleted = [&](uint32_t db, std::string_view key, engine::Stamp stamp) {
    command::PublishKeyspaceEvent(pubsub, config.settings().notify(), db, config::kNotifyGeneric,
                                  "del", key, stamp);
  };
  options.wants_deleted = [&] { return config.settings().notify() != 0; };
  options.memory_limit = &config.settings().maxmemory_bytes;
  engine::Database database(std::move(options), clock);
  FollowMemoryOptions(config, database);
  database.set_background_eviction(false);
  command::ClientRegistry clients;
  command::SlowLog slowlog(config.settings().slowlog_entries_max);
  command::LatencyMonitor latency;
  stats.started_ms = clock.now_ms();
  stats.run_id = RandomRunId();
  for (size_t i = 0; i < threads; ++i) {
    stats.loops.push_back(std::make_unique<command::LoopStats>(table.count()));
  }
  Durability durability(config, database, clock, log);
  command::Services services{database, clock,   config, table,  pubsub,    clients,
                             slowlog,  latency, stats,  server, durability};
  status = durability.Open();
  if (!status.ok()) return FailLogged(log, status);
  config.OnChange("durability.mode", [&](const std::string&) {
    durability.FollowConfiguredMode();
    return Status();
  });
  config.LogTo([&](config::LogLevel level, const std::string& line) {
    if (level == config::LogLevel::kWarning) return log.Warning("{}", line);
    log.Notice("{}", line);
  });
  stats.loading.store(true);
  server.Start(services);
  bool reload = false;
  status = LoadData(durability, signals, &reload);
  if (!status.ok()) {
    server.Shutdown(command::ServerControl::ShutdownMode::kNow, /*save=*/false);
    server.Join();
    return FailLogged(log, status);
  }
  database.set_background_eviction(true);
  if (config.settings().maxmemory_bytes.load() > 0) {
    do {  // what was loaded may be over the limit
      database.Vacuum();
    } while (database.evicting());
  }
  stats.loading.store(false);
  log.Notice("fluxkv {} is ready to accept connections", kVersion);
  Notify(config, log, "STATUS=Ready to accept connections\nREADY=1\n");
  if (reload) ReloadConfig(config, log);
  WaitForTheEnd(server, signals, config, log);
  server.Join();
  status = durability.Stop(server.save_at_end());
  if (!status.ok()) return FailLogged(log, status);
  log.Notice("fluxkv is now ready to exit, bye bye...");
  return 0;
}

int Main(const std::vector<std::string>& arguments) {
  auto line = config::ParseCommandLine(arguments);
  if (!line.ok()) return Fail(line.message());
  if (line.value().mode == config::CommandLine::kHelp) {
    std::fputs(config::HelpText("fluxkv").c_str(), stdout);
    return 0;
  }
  if (line.value().mode == config::CommandLine::kVersion) {
    std::printf("fluxkv %s (Redis %s)\n", std::string(kVersion).c_str(),
                std::string(kRedisVersion).c_str());
    return 0;
  }
  std::vector<std::string> notes;
  auto config = config::Config::Load(line.value(), &notes);
  if (!config.ok()) return Fail(config.message());
  if (line.value().mode == config::CommandLine::kCheck) {
    for (const std::string& note : notes) std::printf("%s\n", note.c_str());
    std::printf("the configuration is good\n");
    return 0;
  }
  if (!ReserveAddresses()) return Fail(kNoAddresses);
  return Run(*config.value(), notes);
}

}  // namespace
}  // namespace fluxkv::server

#ifdef FLUXKV_JEMALLOC
// How jemalloc treats us (its manual, "TUNING"): huge pages only where base/memory.h asks for them,
// one arena besides those that are made there; pages that became free go back soon rather than
// after ten seconds, so that resident memory follows the data; but those of very large values as
// well only then, and not while a command that deletes one is running. Free pages of any length are
// used before others are asked for: those of values that went one after the other are one piece
// soon, and would be too long for a value otherwise.
extern "C" const char* malloc_conf;
const char* malloc_conf =
    "thp:never,metadata_thp:disabled,narenas:1,dirty_decay_ms:10,muzzy_decay_ms:0,"
    "oversize_threshold:0,lg_extent_max_active_fit:24";
#endif

int main(int argc, char** argv) {
  return fluxkv::server::Main(std::vector<std::string>(argv + 1, argv + argc));
}
