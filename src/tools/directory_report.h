// What is in a data directory, whether all of it is good, and what a start would do with it.
//
//   Result<DirectoryReport> report = ExamineDirectory(files, "data", values);
//   std::fputs(Text(report.value()).c_str(), stdout);
//   if (!report.value().good()) ...                        // directory_repair.h
//
// Files are read by the readers that a start uses (src/persist); where a start would stop, this
// goes on as far as it can, to say what is lost.
//
// Threads: pure functions. Errors: that the directory cannot be read; damage is none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/log_record.h"
#include "persist/file_system.h"
#include "persist/log_format.h"
#include "persist/log_reader.h"

namespace fluxkv::tools {

using engine::Stamp;

struct SnapshotReport {
  std::string name;
  uint64_t bytes = 0;
  // Of the file; if that is damaged, what its name and the log beside it say of it.
  std::optional<persist::SnapshotHeader> header{};
  bool header_good = false;
  uint64_t blocks = 0, keys = 0;           // good ones
  uint64_t bad_blocks = 0;                 // damaged ones that could be stepped over
  bool cut_short = false;                  // nothing behind the last of `damage` can be read
  std::optional<uint64_t> keys_written{};  // that the file had once, if its end is there
  std::vector<std::string> damage{};       // a line each
  std::vector<std::string> unknown{};      // good blocks that this version cannot load

  bool good() const { return header_good && damage.empty() && unknown.empty(); }
};

struct SegmentReport {
  enum class Use : uint8_t { kCovered, kNeeded, kUseless, kUnusable };

  std::string name;
  uint64_t number = 0;
  uint64_t bytes = 0;
  std::optional<persist::SegmentHeader> header{};  // nullopt: it is damaged
  uint64_t stream_end = 0;                         // 0: not known
  Use use = Use::kUnusable;
};

// Records that were counted somewhere.
struct RecordCount {
  uint64_t records = 0, puts = 0, deletes = 0, range_deletes = 0, roots = 0;
  Stamp first = 0, last = 0;
};

struct LogReport {
  RecordCount used;  // that a start applies
  // Why a start refuses the log; empty if it does not.
  std::string problem;
  // Where the log that can be used ends within a segment, because of damage, or because the last
  // record was not whole on disk when the system went down.
  std::optional<persist::TornEnd> cut;
  std::vector<std::string> unusable;  // segments behind the problem
  std::vector<std::string> useless;   // segments that a start recycles
  RecordCount lost;                   // good records behind the problem, as far as they were found
  bool lost_all_counted = true;       // there can be no more of them than that
  std::string unknown;                // a good record that this version cannot load
  std::string covered_damage;         // in what the snapshot covers: nobody needs it

  bool torn() const { return problem.empty() && cut.has_value(); }
};

struct DirectoryReport {
  std::string directory;
  std::vector<SnapshotReport> snapshots;  // the last one is loaded
  std::vector<SegmentReport> segments;    // by number
  std::vector<std::pair<std::string, uint64_t>> spares;
  bool unfinished_snapshot = false;
  std::vector<std::string> repairs;  // folders with what earlier repairs changed
  std::vector<std::string> others;   // files that are none of ours
  LogReport log;

  bool snapshot_good() const { return snapshots.empty() || snapshots.back().good(); }
  // A start loads everything.
  bool good() const { return snapshot_good() && log.problem.empty() && log.unknown.empty(); }
  Stamp snapshot_stamp() const;
};

inline constexpr std::string_view kRepairPrefix = "repair-";

Result<DirectoryReport> ExamineDirectory(persist::FileSystem& files, const std::string& directory,
                                         const engine::ValueLoader& values);

// Lines for a person; the last one is the judgement.
std::string Text(const DirectoryReport& report);

// "12 records with stamps 5 to 17"
std::string Text(const RecordCount& count);

}  // namespace fluxkv::tools
