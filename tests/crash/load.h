// Drives a server with all owners at once: some threads, a connection for each owner, until the
// server goes or the load is ended.
//
//   Load load(port, owners, kThreads);
//   ... kill the server ...
//   load.End();                           // and load.problem() is empty
//
// Threads: the creator's; it has its own.
// Errors:  problem(), a line; that a connection ends is none.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/crash/owner.h"

namespace fluxkv::crash {

class Load {
 public:
  using Owners = std::vector<std::unique_ptr<Owner>>;

  Load(int port, const Owners& owners, size_t threads);
  ~Load() { End(); }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  // Waits until every pipeline is answered, or its connection has ended.
  void End();
  // After End.
  const std::string& problem() const { return problem_; }

 private:
  struct Seat;

  void Run(std::vector<std::unique_ptr<Seat>> seats);
  void Serve(Seat& seat);

  const Owners& owners_;
  std::atomic<bool> end_{false};
  std::mutex mutex_;
  std::string problem_;  // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace fluxkv::crash
