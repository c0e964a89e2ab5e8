#include "server/banner.h"

#include <cstdint>
#include <string_view>

#include <fmt/format.h>
#include <unistd.h>

#include "base/version.h"

namespace fluxkv::server {
namespace {

std::string MemoryText(uint64_t bytes, std::string_view policy) {
  if (bytes == 0) return "no limit";
  constexpr std::string_view kUnits[] = {"bytes", "KB", "MB", "GB", "TB"};
  auto amount = static_cast<double>(bytes);
  size_t unit = 0;
  for (; amount >= 1024 && unit + 1 < std::size(kUnits); ++unit) amount /= 1024;
  return fmt::format("{:.4g} {} ({})", amount, kUnits[unit], policy);
}

}  // namespace

std::string Banner(const config::Config& config, const std::vector<std::string>& addresses,
                   size_t threads) {
  std::string text = fmt::format("\n  fluxkv {}   a transactional store that speaks Redis {}\n\n",
                                 kVersion, kRedisVersion);
  auto row = [&text](std::string_view name, std::string_view value) {
    text += fmt::format("    {:<12} {}\n", name, value);
  };
  for (const std::string& address : addresses) {
    std::string_view where = std::string_view(address).substr(address.find(':') + 1);
    row(address.starts_with("unix:") ? "unix socket" : "listening", where);
  }
  std::string durability = config.Text("durability.mode");
  row("durability", durability == "none" ? "none (data is in memory only)" : durability);
  auto bytes = static_cast<uint64_t>(config.settings().maxmemory_bytes.load());
  row("memory", MemoryText(bytes, config.Text("maxmemory-policy")));
  row("threads", std::to_string(threads));
  row("config", config.path().empty() ? "defaults" : config.path());
  row("pid", std::to_string(getpid()));
  const config::StartOptions& start = config.start();
  row("connect", start.port != 0 ? fmt::format("redis-cli -p {}", start.port)
                                 : fmt::format("redis-cli -s {}", start.unixsocket));
  return text + "\n";
}

}  // namespace fluxkv::server
