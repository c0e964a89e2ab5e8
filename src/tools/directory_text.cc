// What fluxkv-check prints.
#include <ctime>
#include <string>

#include <fmt/format.h>

#include "base/clock.h"
#include "tools/directory_report.h"

namespace fluxkv::tools {

namespace {

std::string Time(int64_t ms) {
  const std::time_t seconds = ms / kMsPerSecond;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &parts);
  return text;
}

std::string SnapshotText(const SnapshotReport& s) {
  std::string text = fmt::format("  {}  {} bytes", s.name, s.bytes);
  if (s.header && s.header_good) text += ", taken " + Time(s.header->time_ms);
  text += fmt::format(", {} keys in {} good blocks", s.keys, s.blocks);
  text += s.good() ? "\n" : fmt::format(", {} damaged\n", s.bad_blocks);
  for (const std::string& line : s.damage) text += "    " + line + "\n";
  for (const std::string& line : s.unknown) text += "    " + line + "\n";
  return text;
}

std::string SegmentText(const SegmentReport& s) {
  if (!s.header) return fmt::format("  {}  {} bytes, its header is damaged\n", s.name, s.bytes);
  std::string text = fmt::format("  {}  begun {}, stamps above {}, {} bytes", s.name,
                                 Time(s.header->time_ms), s.header->base_stamp, s.header->capacity);
  if (s.bytes != s.header->capacity) text += fmt::format(" ({} in the file)", s.bytes);
  if (s.stream_end != 0) text += fmt::format(", records to {}", s.stream_end);
  constexpr const char* kUses[] = {", covered by the snapshot", "", ", not needed any more",
                                   ", behind the problem"};
  return text + kUses[static_cast<int>(s.use)] + "\n";
}

std::string FilesText(const DirectoryReport& report) {
  std::string text = report.directory + "\nsnapshots\n";
  for (const SnapshotReport& s : report.snapshots) text += SnapshotText(s);
  if (report.unfinished_snapshot)
    text += fmt::format("  {}  unfinished, a start removes it\n", persist::kSnapshotTemporaryName);
  text += "segments of the log\n";
  for (const SegmentReport& s : report.segments) text += SegmentText(s);
  if (!report.spares.empty()) text += "spare segments\n";
  for (const auto& [name, bytes] : report.spares)
    text += fmt::format("  {}  {} bytes\n", name, bytes);
  if (!report.repairs.empty()) text += "what earlier repairs changed\n";
  for (const std::string& name : report.repairs) text += "  " + name + "\n";
  if (!report.others.empty()) text += "files that are not fluxkv's\n";
  for (const std::string& name : report.others) text += "  " + name + "\n";
  return text;
}

std::string StartText(const DirectoryReport& report) {
  const LogReport& log = report.log;
  std::string text = report.good() ? "a start\n" : "a start, without the problem below\n";
  if (report.snapshots.empty() && report.segments.empty()) return "a start\n  finds no data\n";
  if (report.snapshots.empty()) {
    text += "  loads no snapshot\n";
  } else {
    const SnapshotReport& s = report.snapshots.back();
    text += fmt::format("  loads {}: {} keys\n", s.name, s.keys);
    for (size_t i = 0; i + 1 < report.snapshots.size(); ++i)
      text += fmt::format("  removes {}\n", report.snapshots[i].name);
  }
  text += fmt::format(
      "  applies {} of the log: {} values, {} deletions, {} of ranges, {} changes of databases\n",
      Text(log.used), log.used.puts, log.used.deletes, log.used.range_deletes, log.used.roots);
  if (log.torn())
    text += fmt::format("  cuts {} at {}: the last record was not whole on disk\n", log.cut->path,
                        log.cut->offset);
  for (const std::string& path : log.useless)
    text += fmt::format("  drops {}, which belongs to no state any more\n", path);
  if (!log.covered_damage.empty())
    text +=
        fmt::format("  does not read this, for the snapshot covers it: {}\n", log.covered_damage);
  return text;
}

}  // namespace

std::string Text(const RecordCount& count) {
  if (count.records == 0) return "0 records";
  return fmt::format("{} records with stamps {} to {}", count.records, count.first, count.last);
}

std::string Text(const DirectoryReport& report) {
  std::string text = FilesText(report) + StartText(report);
  if (report.good()) return text + "the directory is good\n";
  text += "problems\n";
  bool repairable = false;
  if (!report.snapshot_good()) {
    const SnapshotReport& s = report.snapshots.back();
    for (const std::string& line : s.damage) text += "  " + line + "\n";
    for (const std::string& line : s.unknown) text += "  " + line + "\n";
    repairable |= !s.damage.empty();
  }
  if (!report.log.problem.empty()) text += "  " + report.log.problem + "\n";
  if (!report.log.unknown.empty()) text += "  " + report.log.unknown + "\n";
  repairable |= !report.log.problem.empty();
  text += repairable ? "the directory is damaged, a start refuses it: put back a good copy, or run "
                       "fluxkv-check --repair on it, which keeps a copy of what it changes\n"
                     : "the directory is not damaged, but has what this version cannot load: start "
                       "the version that wrote it\n";
  return text;
}

}  // namespace fluxkv::tools
