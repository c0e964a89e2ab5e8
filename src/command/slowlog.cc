#include "command/slowlog.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"

namespace fluxkv::command {
namespace {

constexpr size_t kArgumentsMax = 32;
constexpr size_t kArgumentBytesMax = 128;

}  // namespace

std::vector<std::string> SlowLog::Shortened(std::span<const std::string_view> arguments) {
  size_t shown = std::min(arguments.size(), kArgumentsMax);
  std::vector<std::string> result;
  result.reserve(shown);
  for (size_t i = 0; i < shown; ++i) {
    if (arguments.size() > kArgumentsMax && i == kArgumentsMax - 1) {
      result.push_back("... (" + std::to_string(arguments.size() - kArgumentsMax + 1) +
                       " more arguments)");
    } else if (arguments[i].size() > kArgumentBytesMax) {
      result.push_back(std::string(arguments[i].substr(0, kArgumentBytesMax)) + "... (" +
                       std::to_string(arguments[i].size() - kArgumentBytesMax) + " more bytes)");
    } else {
      result.emplace_back(arguments[i]);
    }
  }
  return result;
}

void SlowLog::Record(std::span<const std::string_view> arguments, int64_t duration_us,
                     const ClientInfo& client) {
  int64_t entries_max = entries_max_.load(std::memory_order_relaxed);
  if (entries_max <= 0) return;
  Entry entry;
  entry.time_s = RealtimeUs() / 1000000;
  entry.duration_us = duration_us;
  entry.arguments = Shortened(arguments);
  entry.address = client.address;
  {
    std::lock_guard lock(client.mutex);
    entry.client_name = client.name;
  }
  std::lock_guard lock(mutex_);
  entry.id = next_id_++;
  entries_.push_front(std::move(entry));
  while (entries_.size() > static_cast<size_t>(entries_max)) entries_.pop_back();
}

std::vector<SlowLog::Entry> SlowLog::Newest(size_t count) const {
  std::lock_guard lock(mutex_);
  count = std::min(count, entries_.size());
  return {entries_.begin(), entries_.begin() + static_cast<ptrdiff_t>(count)};
}

size_t SlowLog::size() const {
  std::lock_guard lock(mutex_);
  return entries_.size();
}

void SlowLog::Reset() {
  std::lock_guard lock(mutex_);
  entries_.clear();
}

}  // namespace fluxkv::command
