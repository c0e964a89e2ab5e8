// Sections server, clients, replication, cpu, modules, cluster and keyspace of INFO.
#include <map>
#include <vector>

#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/parse.h"
#include "base/version.h"
#include "command/info.h"
#include "command/server_totals.h"

namespace fluxkv::command {
namespace {

// "tcp:[::1]:6379" in its parts; the port is empty for a unix socket.
struct Listener {
  std::string kind;
  std::string address;
  std::string port;
};

Listener SplitListener(const std::string& text) {
  Listener listener;
  size_t colon = text.find(':');
  listener.kind = text.substr(0, colon);
  if (colon == std::string::npos) return listener;
  listener.address = text.substr(colon + 1);
  if (listener.kind != "tcp") return listener;
  size_t last = listener.address.rfind(':');
  if (last == std::string::npos) return listener;
  listener.port = listener.address.substr(last + 1);
  listener.address.resize(last);
  if (listener.address.size() > 2 && listener.address.front() == '[')
    listener.address = listener.address.substr(1, listener.address.size() - 2);
  return listener;
}

std::vector<Listener> Listeners(const Services& services) {
  std::vector<Listener> listeners;
  for (const std::string& text : services.server.listen_addresses())
    listeners.push_back(SplitListener(text));
  return listeners;
}

// One line for each kind: "listener0:name=tcp,bind=127.0.0.1,bind=::1,port=6379".
void AddListeners(const std::vector<Listener>& listeners, InfoText* info) {
  std::map<std::string, std::pair<std::string, std::string>> kinds;  // kind: binds, port
  for (const Listener& listener : listeners) {
    kinds[listener.kind].first += ",bind=" + listener.address;
    if (!listener.port.empty()) kinds[listener.kind].second = ",port=" + listener.port;
  }
  size_t number = 0;
  for (const auto& [kind, texts] : kinds)
    info->Add("listener" + std::to_string(number++), "name=" + kind + texts.first + texts.second);
}

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

void InfoServer(const Services& services, InfoText* info) {
  utsname system{};
  uname(&system);
  int64_t now_ms = services.clock.now_ms();
  int64_t uptime_s = (now_ms - services.stats.started_ms) / 1000;
  std::vector<Listener> listeners = Listeners(services);
  std::string port = "0";
  for (const Listener& listener : listeners) {
    if (!listener.port.empty()) port = listener.port;
  }
  int64_t hz = services.config.settings().hz.load(std::memory_order_relaxed);

  info->Add("redis_version", kRedisVersion);
  info->Add("fluxkv_version", kVersion);
  info->Add("redis_git_sha1", "00000000");
  info->Add("redis_git_dirty", 0);
  info->Add("redis_build_id", "fluxkv-" + std::string(kVersion));
  info->Add("redis_mode", "standalone");
  info->Add("os", std::string(system.sysname) + " " + system.release + " " + system.machine);
  info->Add("arch_bits", static_cast<int>(sizeof(void*) * 8));
  info->Add("monotonic_clock", "POSIX clock_gettime");
  info->Add("multiplexing_api", "epoll");
  const auto& loops = services.stats.loops;
  info->Add("io_uring",
            !loops.empty() && loops[0]->has_ring.load(std::memory_order_relaxed) ? 1 : 0);
  info->Add("atomicvar_api", "c11-builtin");
  info->Add("gcc_version", std::to_string(__GNUC__) + "." + std::to_string(__GNUC_MINOR__) + "." +
                               std::to_string(__GNUC_PATCHLEVEL__));
  info->Add("process_id", static_cast<int64_t>(getpid()));
  info->Add("process_supervised", services.config.Text("supervised"));
  info->Add("run_id", services.stats.run_id);
  info->Add("tcp_port", port);
  info->Add("server_time_usec", RealtimeUs());
  info->Add("uptime_in_seconds", uptime_s);
  info->Add("uptime_in_days", uptime_s / 86400);
  info->Add("hz", hz);
  info->Add("configured_hz", hz);
  info->Add("lru_clock", (now_ms / 1000) & ((int64_t{1} << kLruClockBits) - 1));
  info->Add("executable", services.server.executable());
  info->Add("config_file", services.config.path());
  info->Add("io_threads_active", 0);
  AddListeners(listeners, info);
}

void InfoClients(const Services& services, InfoText* info) {
  ClientTotals clients = TotalsOf(services.clients);
  info->Add("connected_clients", clients.connected);
  info->Add("cluster_connections", 0);
  info->Add("maxclients", services.config.settings().maxclients.load(std::memory_order_relaxed));
  info->Add("client_recent_max_input_buffer", clients.input_bytes_max);
  info->Add("client_recent_max_output_buffer", clients.output_bytes_max);
  info->Add("blocked_clients", BlockedClients(services.stats));
  info->Add("tracking_clients", 0);
  info->Add("pubsub_clients", clients.pubsub);
  info->Add("watching_clients", clients.watching);
  info->Add("clients_in_timeout_table", 0);
  info->Add("total_watched_keys", clients.watched_keys);
  info->Add("total_blocking_keys", 0);
  info->Add("total_blocking_keys_on_nokey", 0);
}

void InfoReplication(const Services& services, InfoText* info) {
  info->Add("role", "master");
  info->Add("connected_slaves", 0);
  info->Add("master_failover_state", "no-failover");
  // Without replication the history of the data is this run's.
  info->Add("master_replid", services.stats.run_id);
  info->Add("master_replid2", std::string(40, '0'));
  info->Add("master_repl_offset", 0);
  info->Add("second_repl_offset", -1);
  info->Add("repl_backlog_active", 0);
  info->Add("repl_backlog_size", 0);
  info->Add("repl_backlog_first_byte_offset", 0);
  info->Add("repl_backlog_histlen", 0);
}

void InfoCpu(const Services&, InfoText* info) {
  rusage self{}, children{};
  getrusage(RUSAGE_SELF, &self);
  getrusage(RUSAGE_CHILDREN, &children);
  info->AddFixed("used_cpu_sys", Seconds(self.ru_stime), 6);
  info->AddFixed("used_cpu_user", Seconds(self.ru_utime), 6);
  info->AddFixed("used_cpu_sys_children", Seconds(children.ru_stime), 6);
  info->AddFixed("used_cpu_user_children", Seconds(children.ru_utime), 6);
}

// The heading alone: there are no modules.
void InfoModules(const Services&, InfoText*) {}

void InfoCluster(const Services&, InfoText* info) {
  info->Add("cluster_enabled", 0);
}

void InfoKeyspace(const Services& services, InfoText* info) {
  for (uint32_t db = 0; db < services.database.databases(); ++db) {
    engine::DatabaseStats stats = services.database.database_stats(db);
    if (stats.keys == 0) continue;
    info->Add("db" + std::to_string(db), "keys=" + std::to_string(stats.keys) + ",expires=" +
                                             std::to_string(stats.keys_with_expiry) + ",avg_ttl=0");
  }
}

}  // namespace fluxkv::command
