#include "server/server.h"

#include <algorithm>
#include <utility>

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/parse.h"
#include "base/relaxed.h"
#include "command/client_eviction.h"
#include "engine/handle.h"
#include "server/process.h"
#include "server/sockets.h"

namespace fluxkv::server {
namespace {

constexpr size_t kReservedFiles = 32;  // as Redis: CONFIG_MIN_RESERVED_FDS
constexpr size_t kFilesPerLoop = 5;

constexpr std::string_view kMaxClients = "-ERR max number of clients reached\r\n";
constexpr std::string_view kDenied =
    "-DENIED Redis is running in protected mode because protected mode is enabled and no password "
    "is set for the default user. In this mode connections are only accepted from the loopback "
    "interface. If you want to connect from external computers to Redis you may adopt one of the "
    "following solutions: 1) Just disable protected mode sending the command 'CONFIG SET "
    "protected-mode no' from the loopback interface by connecting to Redis from the same host the "
    "server is running, however MAKE SURE Redis is not publicly accessible from internet if you do "
    "so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable "
    "the protected mode by editing the Redis configuration file, and setting the protected mode "
    "option to 'no', and then restarting the server. 3) If you started the server manually just "
    "for testing, restart it with the '--protected-mode no' option. 4) Set up an authentication "
    "password for the default user. NOTE: You only need to do one of the above things in order for "
    "the server to start accepting connections from the outside.\r\n";

void Refuse(int fd, std::string_view text) {
  // The client may have gone or not read; then it is closed without the reason.
  static_cast<void>(send(fd, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
  close(fd);
}

Logger::Level LevelOf(config::LogLevel level) {
  return static_cast<Logger::Level>(static_cast<int>(level));
}

}  // namespace

Server::Server(Logger& log, config::Config& config, Clock& clock)
    : log_(log),
      config_(config),
      clock_(clock),
      executable_(ExecutablePath()),
      acceptor_(log, [this](NewSocket socket) { Take(std::move(socket)); }),
      done_fd_(eventfd(0, EFD_CLOEXEC)) {
  ASSERT(done_fd_ >= 0);
}

Server::~Server() {
  if (!threads_.empty()) {
    Shutdown(ShutdownMode::kNow, /*save=*/false);
    Join();
  }
  close(done_fd_);
}

size_t Server::LoopsFor(int threads) {
  size_t wanted = threads > 0 ? static_cast<size_t>(threads) : std::thread::hardware_concurrency();
  return std::clamp<size_t>(wanted, 1, limits::kLoopsMax);
}

size_t Server::ClientsPossible(size_t wanted, size_t loops) {
  size_t reserved = kReservedFiles + kFilesPerLoop * loops;
  size_t files = RaiseFileLimit(wanted + reserved);
  return files > reserved ? files - reserved : 0;
}

TcpAddresses Server::ConfiguredAddresses() const {
  TcpAddresses tcp;
  tcp.bind = SplitArguments(config_.Text("bind")).value_or(std::vector<std::string>());
  tcp.port = static_cast<int>(ParseInt64(config_.Text("port")).value_or(0));
  return tcp;
}

Status Server::Listen() {
  const config::StartOptions& start = config_.start();
  return acceptor_.Open(ConfiguredAddresses(), start.unixsocket, start.unixsocketperm,
                        start.tcp_backlog);
}

// What CONFIG SET changes here. The rest is read from Settings where it is used.
void Server::RegisterAppliers() {
  config_.OnChange("port", [this](const std::string&) {
    if (acceptor_.Rebind(ConfiguredAddresses()).ok()) return Status();
    return Status::Error("Unable to listen on this port. Check server logs.");
  });
  config_.OnChange("bind", [this](const std::string&) {
    if (acceptor_.Rebind(ConfiguredAddresses()).ok()) return Status();
    return Status::Error("Failed to bind to specified addresses.");
  });
  config_.OnChange("loglevel", [this](const std::string&) {
    log_.set_level(LevelOf(config_.settings().level()));
    return Status();
  });
  config_.OnChange("maxclients", [this](const std::string&) {
    auto wanted = static_cast<size_t>(config_.settings().maxclients.load(kRelaxed));
    size_t possible = ClientsPossible(wanted, loops_.size());
    if (possible >= wanted) return Status();
    return Status::Error(
        "The operating system is not able to handle the specified number of clients, try with " +
        std::to_string(possible));
  });
}

void Server::Start(command::Services& services) {
  services_ = &services;
  std::vector<command::Mailbox*> mailboxes;
  for (uint32_t i = 0; i < services.stats.loops.size(); ++i) {
    loops_.push_back(std::make_unique<EventLoop>(i, services, *services.stats.loops[i], log_));
    mailboxes.push_back(loops_.back().get());
  }
  services.pubsub.SetMailboxes(mailboxes);
  services.clients.SetMailboxes(mailboxes);
  RegisterAppliers();
  acceptor_.Start(*loops_[0]);
  loops_[0]->set_on_tick([this] { OnTick(); });
  running_.store(loops_.size(), kRelaxed);
  for (auto& loop : loops_) {
    threads_.emplace_back([this, &loop] {
      SleepExactly();
      UseDataArena(loop->number());
      loop->Run();
      // acq_rel: who sees zero sees all that the other loops did.
      if (running_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
      ASSERT(eventfd_write(done_fd_, 1) == 0);
    });
  }
}

void Server::Join() {
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  for (auto& loop : loops_) loop->Detach();
}

void Server::Shutdown(ShutdownMode mode, bool save) {
  if (save) save_at_end_.store(true);
  if (stopping_.exchange(true) && mode != ShutdownMode::kNow) return;
  int64_t seconds =
      mode == ShutdownMode::kNow ? 0 : ParseInt64(config_.Text("shutdown-timeout")).value_or(0);
  int64_t deadline_ms = clock_.Tick() + seconds * 1000;
  loops_[0]->RunTask([this] { acceptor_.Close(); });
  for (auto& loop : loops_) loop->Stop(deadline_ms);
}

// ---- On loop 0

void Server::Take(NewSocket socket) {
  if (Refused(socket)) return;
  if (!socket.unix_socket) {
    SetNoDelay(socket.fd);
    SetKeepAlive(socket.fd, static_cast<int>(config_.settings().tcp_keepalive_s.load(kRelaxed)));
  }
  auto fewer = [](const auto& a, const auto& b) { return a->assigned() < b->assigned(); };
  int fd = socket.fd;
  auto& loop = *std::min_element(loops_.begin(), loops_.end(), fewer);
  if (!loop->AddSocket(std::move(socket))) close(fd);
}

bool Server::Refused(const NewSocket& socket) {
  const config::Settings& settings = config_.settings();
  size_t connected = 0;
  for (const auto& loop : loops_) connected += loop->assigned();
  bool full = connected >= static_cast<size_t>(settings.maxclients.load(kRelaxed));
  bool denied = settings.protected_mode.load(kRelaxed) != 0 &&
                settings.requirepass_set.load(kRelaxed) == 0 && !socket.unix_socket &&
                !IsLoopback(socket.peer);
  if (!full && !denied) return false;
  loops_[0]->stats().rejected_connections.Add(1);
  Refuse(socket.fd, full ? kMaxClients : kDenied);
  return true;
}

void Server::OnTick() {
  acceptor_.OnTick();
  SampleFigures();
  const uint64_t evicted = command::EvictClients(*services_);
  if (evicted > 0) services_->stats.evicted_clients.fetch_add(evicted, kRelaxed);
}

// Rates over the last 16 ticks, as Redis's instantaneous metrics.
void Server::SampleFigures() {
  Sample now;
  now.at_us = MonotonicUs();
  for (const auto& loop : services_->stats.loops) {
    now.commands += loop->commands.value();
    now.input_bytes += loop->net_input_bytes.value();
    now.output_bytes += loop->net_output_bytes.value();
  }
  Sample& oldest = samples_[next_sample_];
  next_sample_ = (next_sample_ + 1) % samples_.size();
  Sample before = std::exchange(oldest, now);
  command::ServerStats& stats = services_->stats;
  auto rate = [&](uint64_t newer, uint64_t older) -> uint64_t {
    if (before.at_us == 0 || newer < older) return 0;  // not yet known, or CONFIG RESETSTAT
    return (newer - older) * 1000000 / static_cast<uint64_t>(now.at_us - before.at_us);
  };
  stats.ops_per_second.store(rate(now.commands, before.commands), kRelaxed);
  stats.input_bytes_per_second.store(rate(now.input_bytes, before.input_bytes), kRelaxed);
  stats.output_bytes_per_second.store(rate(now.output_bytes, before.output_bytes), kRelaxed);
  uint64_t used = 0;
  {
    engine::Handle::Scope in_epoch(loops_[0]->state().handle);
    used = services_->database.used_bytes();
  }
  if (used > stats.peak_used_bytes.load(kRelaxed)) stats.peak_used_bytes.store(used, kRelaxed);
}

}  // namespace fluxkv::server
