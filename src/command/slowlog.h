// The log of slow commands (SLOWLOG): the newest entries, in memory.
//
//   SlowLog slowlog(config.settings().slowlog_entries_max);
//   if (slower_than_us >= 0 && duration_us >= slower_than_us)
//     slowlog.Record(args, duration_us, info);
//
// S1. Entries stand newest first; ids rise by one an entry and are never used again.
// S2. An entry keeps at most 32 arguments of at most 128 bytes, so its size is bounded.
//
// Threads: all methods from any thread; one mutex.
// Units: microseconds; time in seconds since 1970.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "command/client_info.h"

namespace fluxkv::command {

class SlowLog {
 public:
  struct Entry {
    uint64_t id = 0;
    int64_t time_s = 0;
    int64_t duration_us = 0;
    std::vector<std::string> arguments;
    std::string address;
    std::string client_name;
  };

  // `entries_max` is read at each Record: a lowered bound drops the oldest entries then.
  explicit SlowLog(const std::atomic<int64_t>& entries_max) : entries_max_(entries_max) {}
  SlowLog(const SlowLog&) = delete;
  SlowLog& operator=(const SlowLog&) = delete;

  // Whether the command was slow enough is the caller's decision. Arguments that must not be shown
  // have been replaced by the caller.
  void Record(std::span<const std::string_view> arguments, int64_t duration_us,
              const ClientInfo& client);
  // The newest `count` entries, newest first.
  std::vector<Entry> Newest(size_t count) const;
  size_t size() const;
  void Reset();

 private:
  static std::vector<std::string> Shortened(std::span<const std::string_view> arguments);

  const std::atomic<int64_t>& entries_max_;
  mutable std::mutex mutex_;
  std::deque<Entry> entries_;  // guarded by mutex_
  uint64_t next_id_ = 0;       // guarded by mutex_
};

}  // namespace fluxkv::command
