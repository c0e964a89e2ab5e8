// All connections of the server: CLIENT LIST and KILL, INFO clients, MONITOR, CLIENT PAUSE.
// Threads: all methods from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "command/client_info.h"
#include "command/mailbox.h"

namespace fluxkv::command {

class ClientRegistry {
 public:
  void SetMailboxes(std::vector<Mailbox*> mailboxes) { mailboxes_ = std::move(mailboxes); }

  uint64_t NextId() { return next_id_.fetch_add(1, std::memory_order_relaxed); }
  void Add(std::shared_ptr<ClientInfo> info);
  void Remove(uint64_t id);
  size_t size() const { return size_.load(std::memory_order_relaxed); }
  // All and Find leave out those that were killed. In order of id.
  std::vector<std::shared_ptr<ClientInfo>> All() const;
  std::shared_ptr<ClientInfo> Find(uint64_t id) const;
  void Post(const ClientInfo& to, Delivery::Kind kind) const;

  // MONITOR. `monitored()` is one relaxed load on the way of every command.
  void AddMonitor(uint64_t id, uint32_t loop);
  void RemoveMonitor(uint64_t id);
  bool monitored() const { return monitors_.load(std::memory_order_relaxed) != 0; }
  void PostMonitorLine(std::string line, engine::Stamp stamp) const;

  // CLIENT PAUSE. mode: 0 none, 1 write, 2 all. until_ms: milliseconds since 1970. A longer or
  // stronger pause is never shortened by a weaker one, as in Redis.
  void Pause(int mode, int64_t until_ms);
  void Unpause();
  // The mode in force at `now_ms`. One relaxed load when nothing is paused.
  int PauseMode(int64_t now_ms) const;
  int64_t pause_until_ms() const { return pause_until_ms_.load(std::memory_order_relaxed); }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<uint64_t, std::shared_ptr<ClientInfo>> clients_;  // guarded by mutex_
  std::vector<std::pair<uint64_t, uint32_t>> monitor_list_;  // guarded by mutex_: id, loop
  std::atomic<uint64_t> next_id_{1};
  std::atomic<size_t> size_{0};
  std::atomic<size_t> monitors_{0};
  std::atomic<int> pause_mode_{0};
  std::atomic<int64_t> pause_until_ms_{0};
  std::vector<Mailbox*> mailboxes_;
};

}  // namespace fluxkv::command
