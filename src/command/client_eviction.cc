#include "command/client_eviction.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "command/client_info.h"
#include "command/clients.h"
#include "config/config.h"

namespace fluxkv::command {

uint64_t ClientMemoryLimit(const config::Settings& settings) {
  const int64_t option = settings.maxmemory_clients.load(std::memory_order_relaxed);
  if (option >= 0) return static_cast<uint64_t>(option);
  const auto maxmemory =
      static_cast<uint64_t>(settings.maxmemory_bytes.load(std::memory_order_relaxed));
  return maxmemory / 100 * static_cast<uint64_t>(-option);
}

uint64_t EvictClients(Services& services) {
  const uint64_t limit = ClientMemoryLimit(services.config.settings());
  if (limit == 0) return 0;
  std::vector<std::pair<uint64_t, std::shared_ptr<ClientInfo>>> clients;
  uint64_t sum = 0;
  for (auto& client : services.clients.All()) {
    if (client->Has(kClientNoEvict) || client->Has(kClientCloseSoon)) continue;
    const uint64_t bytes = client->total_bytes.load(std::memory_order_relaxed);
    sum += bytes;
    clients.emplace_back(bytes, std::move(client));
  }
  if (sum <= limit) return 0;
  std::sort(clients.begin(), clients.end(),
            [](const auto& a, const auto& b) { return a.first > b.first; });
  uint64_t evicted = 0;
  for (const auto& [bytes, client] : clients) {
    if (sum <= limit) break;
    sum -= bytes;
    if ((client->flags.fetch_or(kClientKilled, std::memory_order_relaxed) & kClientKilled) != 0)
      continue;
    services.clients.Post(*client, Delivery::Kind::kKill);
    ++evicted;
  }
  return evicted;
}

}  // namespace fluxkv::command
