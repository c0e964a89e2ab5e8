// The running server: its loops with their threads, its listening sockets, and what belongs to all
// of them (who gets a new client, sampled figures, the stop).
//
//   Server server(log, config, clock);
//   Status listening = server.Listen();
//   command::Services services{..., .server = server};
//   server.Start(services);
//   signals.Wait(server.done_fd());
//   server.Join();
//
// Threads: made and joined by the main thread; ServerControl from any.
// Owns:    loops, threads, sockets. Join gives the engine handles back, so the database may go
//          then; the server itself goes after it, because the database's own threads post
//          messages to the loops' mailboxes.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/log.h"
#include "command/services.h"
#include "server/event_loop.h"
#include "server/listener.h"
#include "server/process.h"

namespace fluxkv::server {

class Server : public command::ServerControl {
 public:
  Server(Logger& log, config::Config& config, Clock& clock);
  ~Server() override;
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // The number of loops that option threads asks for.
  static size_t LoopsFor(int threads);

  // Raises the limit of descriptors for so many clients; returns how many clients it allows.
  static size_t ClientsPossible(size_t wanted, size_t loops);

  Status Listen();
  // Makes as many loops as `services.stats` has LoopStats, and their threads.
  void Start(command::Services& services);
  // Readable when the last loop has ended.
  int done_fd() const { return done_fd_; }
  void Join();

  void Shutdown(ShutdownMode mode, bool save) override;
  // Whether the stop is to take a last snapshot.
  bool save_at_end() const { return save_at_end_.load(); }
  bool AbortShutdown() override { return false; }  // it cannot be taken back
  size_t loops() const override { return loops_.size(); }
  std::vector<std::string> listen_addresses() const override { return acceptor_.addresses(); }
  std::string executable() const override { return executable_; }
  uint64_t resident_bytes() const override { return ResidentBytes(); }

 private:
  struct Sample {
    int64_t at_us = 0;
    uint64_t commands = 0;
    uint64_t input_bytes = 0;
    uint64_t output_bytes = 0;
  };

  TcpAddresses ConfiguredAddresses() const;
  void RegisterAppliers();
  void Take(NewSocket socket);
  bool Refused(const NewSocket& socket);
  void OnTick();
  void SampleFigures();

  Logger& log_;
  config::Config& config_;
  Clock& clock_;
  const std::string executable_;
  command::Services* services_ = nullptr;
  std::vector<std::unique_ptr<EventLoop>> loops_;
  Acceptor acceptor_;  // its sockets are closed on loop 0, before that ends
  std::vector<std::thread> threads_;
  std::atomic<size_t> running_{0};
  std::atomic<bool> stopping_{false};
  std::atomic<bool> save_at_end_{false};
  int done_fd_ = -1;

  std::array<Sample, 16> samples_{};  // loop 0's
  size_t next_sample_ = 0;
};

}  // namespace fluxkv::server
