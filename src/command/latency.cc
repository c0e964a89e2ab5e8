#include "command/latency.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/clock.h"

namespace fluxkv::command {
namespace {

constexpr size_t kGraphColumns = 80;
constexpr size_t kGraphRows = 4;

// "5s", "3m", "2h", "9d".
std::string Ago(int64_t seconds) {
  seconds = std::max<int64_t>(seconds, 0);
  if (seconds < 60) return std::to_string(seconds) + "s";
  if (seconds < 3600) return std::to_string(seconds / 60) + "m";
  if (seconds < 86400) return std::to_string(seconds / 3600) + "h";
  return std::to_string(seconds / 86400) + "d";
}

struct Column {
  size_t height = 0;  // in half characters: a row is full with two
  std::string label;
};

void AppendLine(std::string line, std::string* text) {
  while (!line.empty() && line.back() == ' ') line.pop_back();
  *text += line + "\n";
}

// A block of at most kGraphColumns columns: the bars, then the labels from top to bottom.
void AppendBlock(const std::vector<Column>& columns, std::string* text) {
  for (size_t row = kGraphRows; row-- > 0;) {
    std::string line;
    for (const Column& column : columns) {
      size_t above = column.height > row * 2 ? column.height - row * 2 : 0;
      line += above == 0 ? ' ' : above == 1 ? 'o' : '#';
    }
    AppendLine(std::move(line), text);
  }
  size_t label_rows = 0;
  for (const Column& column : columns) label_rows = std::max(label_rows, column.label.size());
  for (size_t row = 0; row < label_rows; ++row) {
    std::string line;
    for (const Column& column : columns)
      line += row < column.label.size() ? column.label[row] : ' ';
    AppendLine(std::move(line), text);
  }
}

struct Summary {
  double average_ms = 0;
  double deviation_ms = 0;  // mean absolute deviation
  double period_s = 0;      // seconds an event
};

Summary Summarize(const LatencyMonitor::Event& event) {
  Summary summary;
  double count = static_cast<double>(event.samples.size());
  for (const auto& sample : event.samples)
    summary.average_ms += static_cast<double>(sample.duration_ms) / count;
  for (const auto& sample : event.samples)
    summary.deviation_ms +=
        std::fabs(static_cast<double>(sample.duration_ms) - summary.average_ms) / count;
  int64_t span = event.samples.back().time_s - event.samples.front().time_s;
  summary.period_s = static_cast<double>(std::max<int64_t>(span, 1)) / count;
  return summary;
}

}  // namespace

int64_t LatencyMonitor::RealtimeSeconds() {
  return RealtimeUs() / 1000000;
}

void LatencyMonitor::RecordAt(std::string_view name, int64_t duration_ms, int64_t time_s) {
  std::lock_guard lock(mutex_);
  auto found = events_.find(name);
  if (found == events_.end()) found = events_.emplace(std::string(name), Event{}).first;
  Event& event = found->second;
  event.worst_ms = std::max(event.worst_ms, duration_ms);
  if (!event.samples.empty() && event.samples.back().time_s == time_s) {
    Sample& last = event.samples.back();
    last.duration_ms = std::max(last.duration_ms, duration_ms);
    return;
  }
  event.samples.push_back({time_s, duration_ms});
  if (event.samples.size() > kSamples) event.samples.pop_front();
}

std::vector<std::pair<std::string, LatencyMonitor::Event>> LatencyMonitor::Events() const {
  std::lock_guard lock(mutex_);
  return {events_.begin(), events_.end()};
}

LatencyMonitor::Event LatencyMonitor::Find(std::string_view event) const {
  std::lock_guard lock(mutex_);
  auto found = events_.find(event);
  return found == events_.end() ? Event{} : found->second;
}

size_t LatencyMonitor::Reset(std::string_view event) {
  std::lock_guard lock(mutex_);
  auto found = events_.find(event);
  if (found == events_.end()) return 0;
  events_.erase(found);
  return 1;
}

size_t LatencyMonitor::ResetAll() {
  std::lock_guard lock(mutex_);
  size_t count = events_.size();
  events_.clear();
  return count;
}

std::string LatencyGraph(std::string_view name, const LatencyMonitor::Event& event, int64_t now_s) {
  int64_t high = 0;
  int64_t low = event.samples.empty() ? 0 : event.samples.front().duration_ms;
  for (const auto& sample : event.samples) {
    high = std::max(high, sample.duration_ms);
    low = std::min(low, sample.duration_ms);
  }
  std::string text(name);
  text += " - high " + std::to_string(high) + " ms, low " + std::to_string(low) +
          " ms (all time high " + std::to_string(event.worst_ms) + " ms)\n";
  text.append(kGraphColumns, '-').append("\n");
  std::vector<Column> columns;
  for (const auto& sample : event.samples) {
    // The lowest sample has a height of one half character, the highest fills all rows.
    int64_t steps = static_cast<int64_t>(kGraphRows) * 2 - 1;
    int64_t height =
        high == low ? steps + 1 : 1 + (sample.duration_ms - low) * steps / (high - low);
    columns.push_back({static_cast<size_t>(height), Ago(now_s - sample.time_s)});
    if (columns.size() == kGraphColumns) {
      AppendBlock(columns, &text);
      columns.clear();
    }
  }
  if (!columns.empty()) AppendBlock(columns, &text);
  return text;
}

std::string LatencyReport(const std::vector<std::pair<std::string, LatencyMonitor::Event>>& events,
                          int64_t threshold_ms, int64_t slowlog_slower_than_us) {
  if (events.empty()) {
    if (threshold_ms == 0)
      return "Latency monitoring is off: no event is kept. CONFIG SET latency-monitor-threshold "
             "<milliseconds> turns it on.\n";
    return "No latency spike of at least " + std::to_string(threshold_ms) +
           " ms has been seen since the start or the last LATENCY RESET.\n";
  }
  std::string text = "Latency spikes, by class of event:\n\n";
  size_t number = 0;
  bool commands = false;
  for (const auto& [name, event] : events) {
    Summary summary = Summarize(event);
    char figures[200];
    std::snprintf(figures, sizeof figures,
                  "%zu latency spikes (average %.0fms, mean deviation %.0fms, period %.2f sec). "
                  "Worst all time event %lldms.",
                  event.samples.size(), summary.average_ms, summary.deviation_ms, summary.period_s,
                  static_cast<long long>(event.worst_ms));
    text += std::to_string(++number) + ". " + name + ": " + figures + "\n";
    commands = commands || name == "command" || name == "fast-command";
  }
  if (commands) {
    text += "\nAdvice:\n\n";
    if (slowlog_slower_than_us < 0) {
      text += "- SLOWLOG is off; CONFIG SET slowlog-log-slower-than " +
              std::to_string(threshold_ms * 1000) + " shows which commands are slow.\n";
    } else if (threshold_ms > 0 && slowlog_slower_than_us / 1000 > threshold_ms) {
      text += "- SLOWLOG keeps only commands above " + std::to_string(slowlog_slower_than_us) +
              " us; CONFIG SET slowlog-log-slower-than " + std::to_string(threshold_ms * 1000) +
              " shows all that exceed the threshold of the monitor.\n";
    }
    text += "- SLOWLOG GET shows which commands were slow, for whom and with what arguments.\n";
  }
  return text;
}

}  // namespace fluxkv::command
