// What LATENCY shows: for each class of event ("command", "expire-cycle", ...) the worst duration
// of each of the last seconds in which it was slow, and the worst ever.
//
//   if (threshold_ms > 0 && duration_ms >= threshold_ms) monitor.Record("command", duration_ms);
//
// L1. The samples of an event are at most kSamples, oldest first, one for a second at most.
//
// Threads: all methods from any thread; one mutex.
// Units: milliseconds; time in seconds since 1970.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fluxkv::command {

class LatencyMonitor {
 public:
  static constexpr size_t kSamples = 160;

  struct Sample {
    int64_t time_s = 0;
    int64_t duration_ms = 0;
  };
  struct Event {
    std::deque<Sample> samples;
    int64_t worst_ms = 0;
  };

  LatencyMonitor() = default;
  LatencyMonitor(const LatencyMonitor&) = delete;
  LatencyMonitor& operator=(const LatencyMonitor&) = delete;

  // Whether the event was slow enough is the caller's decision.
  void Record(std::string_view event, int64_t duration_ms) {
    RecordAt(event, duration_ms, RealtimeSeconds());
  }
  void RecordAt(std::string_view event, int64_t duration_ms, int64_t time_s);

  // All events by name.
  std::vector<std::pair<std::string, Event>> Events() const;
  // The event; without samples if there is none of that name.
  Event Find(std::string_view event) const;
  // Forgets one event or all; how many there were.
  size_t Reset(std::string_view event);
  size_t ResetAll();

 private:
  static int64_t RealtimeSeconds();

  mutable std::mutex mutex_;
  std::map<std::string, Event, std::less<>> events_;  // guarded by mutex_
};

// LATENCY GRAPH: the samples as columns of text, each with how long ago it was below it.
std::string LatencyGraph(std::string_view name, const LatencyMonitor::Event& event, int64_t now_s);

// LATENCY DOCTOR: the events in sentences, with advice.
std::string LatencyReport(const std::vector<std::pair<std::string, LatencyMonitor::Event>>& events,
                          int64_t threshold_ms, int64_t slowlog_slower_than_us);

}  // namespace fluxkv::command
