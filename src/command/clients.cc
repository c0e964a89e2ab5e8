#include "command/clients.h"

#include <algorithm>

#include "base/clock.h"

namespace fluxkv::command {

void ClientRegistry::Add(std::shared_ptr<ClientInfo> info) {
  std::lock_guard lock(mutex_);
  uint64_t id = info->id;
  if (clients_.emplace(id, std::move(info)).second) size_.fetch_add(1, std::memory_order_relaxed);
}

void ClientRegistry::Remove(uint64_t id) {
  std::lock_guard lock(mutex_);
  if (clients_.erase(id) != 0) size_.fetch_sub(1, std::memory_order_relaxed);
}

std::vector<std::shared_ptr<ClientInfo>> ClientRegistry::All() const {
  std::vector<std::shared_ptr<ClientInfo>> all;
  {
    std::lock_guard lock(mutex_);
    all.reserve(clients_.size());
    for (const auto& [id, info] : clients_) {
      if (!info->Has(kClientKilled)) all.push_back(info);
    }
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a->id < b->id; });
  return all;
}

std::shared_ptr<ClientInfo> ClientRegistry::Find(uint64_t id) const {
  std::lock_guard lock(mutex_);
  auto at = clients_.find(id);
  return at == clients_.end() || at->second->Has(kClientKilled) ? nullptr : at->second;
}

void ClientRegistry::Post(const ClientInfo& to, Delivery::Kind kind) const {
  auto delivery = std::make_shared<Delivery>();
  delivery->kind = kind;
  mailboxes_[to.loop]->Post({to.id}, std::move(delivery));
}

void ClientRegistry::AddMonitor(uint64_t id, uint32_t loop) {
  std::lock_guard lock(mutex_);
  monitor_list_.emplace_back(id, loop);
  monitors_.store(monitor_list_.size(), std::memory_order_relaxed);
}

void ClientRegistry::RemoveMonitor(uint64_t id) {
  std::lock_guard lock(mutex_);
  std::erase_if(monitor_list_, [id](const auto& monitor) { return monitor.first == id; });
  monitors_.store(monitor_list_.size(), std::memory_order_relaxed);
}

void ClientRegistry::PostMonitorLine(std::string line, engine::Stamp stamp) const {
  auto delivery = std::make_shared<Delivery>();
  delivery->kind = Delivery::Kind::kMonitorLine;
  delivery->stamp = stamp;
  delivery->message =
      std::make_shared<const Delivery::Message>(Delivery::Message{{}, std::move(line)});
  std::vector<std::vector<uint64_t>> by_loop(mailboxes_.size());
  {
    std::lock_guard lock(mutex_);
    for (auto [id, loop] : monitor_list_) by_loop[loop].push_back(id);
  }
  for (size_t loop = 0; loop < by_loop.size(); ++loop) {
    if (!by_loop[loop].empty()) mailboxes_[loop]->Post(std::move(by_loop[loop]), delivery);
  }
}

void ClientRegistry::Pause(int mode, int64_t until_ms) {
  std::lock_guard lock(mutex_);
  int64_t now_ms = RealtimeUs() / 1000;
  bool running = PauseMode(now_ms) != 0;
  if (running) {
    mode = std::max(mode, pause_mode_.load(std::memory_order_relaxed));
    until_ms = std::max(until_ms, pause_until_ms_.load(std::memory_order_relaxed));
  }
  pause_until_ms_.store(until_ms, std::memory_order_relaxed);
  pause_mode_.store(mode, std::memory_order_release);
}

void ClientRegistry::Unpause() {
  {
    std::lock_guard lock(mutex_);
    pause_mode_.store(0, std::memory_order_relaxed);
    pause_until_ms_.store(0, std::memory_order_relaxed);
  }
  for (Mailbox* mailbox : mailboxes_) mailbox->Wake();
}

int ClientRegistry::PauseMode(int64_t now_ms) const {
  int mode = pause_mode_.load(std::memory_order_acquire);
  if (mode == 0) [[likely]]
    return 0;
  return now_ms < pause_until_ms_.load(std::memory_order_relaxed) ? mode : 0;
}

}  // namespace fluxkv::command
