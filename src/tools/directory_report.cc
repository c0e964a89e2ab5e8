#include "tools/directory_report.h"

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "persist/snapshot_file.h"

namespace fluxkv::tools {

namespace {

using persist::FileSystem;
using persist::LogReader;
using persist::LogRecord;
using persist::OpenMode;
using persist::SegmentFile;
using persist::SegmentFiles;
using persist::SnapshotReader;

constexpr size_t kDamageLinesMax = 20;

// Behind the sentence there is advice for who has no tool at hand.
std::string WithoutAdvice(const std::string& message) {
  return message.substr(0, message.find("; fluxkv-check"));
}

class Examination {
 public:
  Examination(FileSystem& files, std::string directory, const engine::ValueLoader& values)
      : files_(files), values_(values) {
    report_.directory = std::move(directory);
  }

  Result<DirectoryReport> Run() {
    Status status = FindFiles();
    if (!status.ok()) return status;
    for (SnapshotReport& snapshot : report_.snapshots) ReadSnapshot(&snapshot);
    ExamineLog();
    return std::move(report_);
  }

 private:
  std::string PathOf(const std::string& name) const { return report_.directory + "/" + name; }

  Result<uint64_t> SizeOf(const std::string& name) {
    auto file = files_.Open(PathOf(name), OpenMode::kRead);
    if (!file.ok()) return std::move(file).status();
    return file.value()->Size();
  }

  Status FindFiles() {
    auto names = files_.List(report_.directory);
    if (!names.ok()) return std::move(names).status();
    for (const std::string& name : names.value()) {
      if (name == persist::kLockName) continue;
      if (name.starts_with(kRepairPrefix)) {
        report_.repairs.push_back(name);
        continue;
      }
      const auto stamp = persist::SnapshotStamp(name);
      const auto number = persist::SegmentNumber(name);
      const bool spare = persist::IsSpareName(name);
      const bool unfinished = name == persist::kSnapshotTemporaryName;
      if (!stamp && !number && !spare && !unfinished) {
        report_.others.push_back(name);
        continue;
      }
      auto bytes = SizeOf(name);
      if (!bytes.ok()) return std::move(bytes).status();
      if (stamp) report_.snapshots.push_back({.name = name, .bytes = bytes.value()});
      if (number)
        report_.segments.push_back({.name = name, .number = *number, .bytes = bytes.value()});
      if (spare) report_.spares.emplace_back(name, bytes.value());
      report_.unfinished_snapshot |= unfinished;
    }
    std::sort(report_.snapshots.begin(), report_.snapshots.end(), [](const auto& a, const auto& b) {
      return *persist::SnapshotStamp(a.name) < *persist::SnapshotStamp(b.name);
    });
    std::sort(report_.segments.begin(), report_.segments.end(),
              [](const auto& a, const auto& b) { return a.number < b.number; });
    for (SegmentReport& segment : report_.segments) {
      Status status = ReadSegmentHeader(&segment);
      if (!status.ok()) return status;
    }
    return {};
  }

  Status ReadSegmentHeader(SegmentReport* segment) {
    auto file = files_.Open(PathOf(segment->name), OpenMode::kRead);
    if (!file.ok()) return std::move(file).status();
    std::string bytes(sizeof(persist::SegmentHeader), '\0');
    auto got = file.value()->ReadAt(0, bytes.data(), bytes.size());
    if (!got.ok()) return std::move(got).status();
    bytes.resize(got.value());
    segment->header = persist::DecodeSegmentHeader(bytes);
    if (segment->header && segment->header->number != segment->number) segment->header.reset();
    return {};
  }

  // ---- Snapshots

  // A snapshot whose header is damaged can be read if its name and the log say what it said.
  std::optional<persist::SnapshotHeader> GuessedHeader(const SnapshotReport& snapshot) const {
    for (const SegmentReport& segment : report_.segments) {
      if (!segment.header) continue;
      persist::SnapshotHeader header;
      header.log_id = segment.header->log_id;
      header.stamp = *persist::SnapshotStamp(snapshot.name);
      header.time_ms = segment.header->time_ms;
      return header;
    }
    return std::nullopt;
  }

  void ReadSnapshot(SnapshotReport* snapshot) {
    const std::string path = PathOf(snapshot->name);
    auto reader = SnapshotReader::Open(files_, path);
    if (reader.ok()) {
      snapshot->header_good = true;
      snapshot->header = reader.value()->header();
    } else {
      snapshot->damage.push_back(WithoutAdvice(reader.message()));
      snapshot->header = GuessedHeader(*snapshot);
      if (snapshot->header) reader = SnapshotReader::Open(files_, path, &*snapshot->header);
      if (!reader.ok()) snapshot->header.reset();
    }
    if (reader.ok()) ReadBlocks(*reader.value(), snapshot);
    if (!snapshot->header_good && snapshot->blocks == 0) snapshot->header.reset();
    snapshot->cut_short |= !snapshot->header;
  }

  void ReadBlocks(SnapshotReader& reader, SnapshotReport* snapshot) {
    for (;;) {
      const uint64_t offset = reader.offset();
      auto block = reader.Next();
      if (!block.ok()) {
        if (snapshot->damage.size() < kDamageLinesMax)
          snapshot->damage.push_back(WithoutAdvice(block.message()));
        if (!reader.SkipDamaged()) {
          snapshot->cut_short = true;
          return;
        }
        ++snapshot->bad_blocks;
        continue;
      }
      ++snapshot->blocks;
      if (block.value().kind == persist::BlockKind::kEnd) {
        snapshot->keys_written = block.value().keys;
        return;
      }
      snapshot->keys += block.value().kind == persist::BlockKind::kKeys ? block.value().keys : 0;
      RecordCount ignored;
      const std::string unknown = Decode(block.value().body, &ignored);
      if (!unknown.empty() && snapshot->unknown.size() < kDamageLinesMax)
        snapshot->unknown.push_back(
            fmt::format("{} at {}: {}", PathOf(snapshot->name), offset, unknown));
    }
  }

  // Every change, and the value of every key; what this version cannot load, or an empty text.
  std::string Decode(std::string_view body, RecordCount* count) const {
    engine::Change change;
    engine::ChangeReader changes(body);
    while (changes.Next(&change)) {
      count->puts += change.kind == engine::ChangeKind::kPut;
      count->deletes += change.kind == engine::ChangeKind::kDelete;
      count->range_deletes += change.kind == engine::ChangeKind::kDeleteRange;
      count->roots += change.kind == engine::ChangeKind::kRoots;
      if (change.kind != engine::ChangeKind::kPut) continue;
      if (values_.Load(change.type, change.encoding, change.expiry_ms, change.value) == nullptr)
        return fmt::format(
            "key {} has a value of type {}, encoding {}, which this version does not "
            "know",
            change.key.substr(0, 64), change.type, change.encoding);
    }
    return changes.damaged() ? "a change in it makes no sense" : "";
  }

  // ---- The log

  SegmentReport& SegmentAt(const std::string& path) {
    return *std::find_if(report_.segments.begin(), report_.segments.end(),
                         [&](const SegmentReport& s) { return PathOf(s.name) == path; });
  }

  // The first segments, up to one that is damaged or of another log.
  SegmentFiles LeadingSegments(std::optional<uint64_t> log_id) const {
    SegmentFiles leading;
    for (const SegmentReport& s : report_.segments) {
      if (!s.header || (log_id && *log_id != s.header->log_id)) break;
      log_id = s.header->log_id;
      leading.good.push_back({PathOf(s.name), *s.header});
    }
    return leading;
  }

  void ExamineLog() {
    LogReport& log = report_.log;
    std::optional<uint64_t> log_id;
    if (!report_.snapshots.empty() && report_.snapshots.back().header)
      log_id = report_.snapshots.back().header->log_id;
    const Stamp after = report_.snapshot_stamp();
    auto found = persist::FindSegments(files_, report_.directory, log_id);
    if (!found.ok()) log.problem = WithoutAdvice(found.message());
    SegmentFiles segments = found.ok() ? std::move(found.value()) : LeadingSegments(log_id);
    auto reader = LogReader::Open(files_, segments, after);
    if (!reader.ok() && log.problem.empty()) log.problem = WithoutAdvice(reader.message());
    // What can be used: as many of the first segments as make a log.
    while ((!reader.ok() || (!log.problem.empty() && !reader.value()->useless().empty())) &&
           !segments.good.empty()) {
      segments.good.pop_back();
      reader = LogReader::Open(files_, segments, after);
    }
    if (!reader.ok()) return;
    if (!log.problem.empty())
      Abandon(segments.good.empty() ? 0 : segments.good.back().header.number);
    Replay(*reader.value(), after);
    NoteUses(*reader.value(), after);
    CountLost();
    ReadCovered(after);
  }

  // Segments above this number are of no use any more.
  void Abandon(uint64_t number) {
    for (const SegmentReport& s : report_.segments) {
      if (s.number <= number) continue;
      const std::string path = PathOf(s.name);
      auto& unusable = report_.log.unusable;
      if (std::find(unusable.begin(), unusable.end(), path) == unusable.end())
        unusable.push_back(path);
    }
  }

  void Replay(LogReader& reader, Stamp after) {
    LogReport& log = report_.log;
    LogRecord record;
    for (;;) {
      auto more = reader.Next(&record);
      if (!more.ok()) {
        log.problem = WithoutAdvice(more.message());
        claim_ = reader.claim();
        if (reader.stopped_at().path.empty()) return;
        log.cut = reader.stopped_at();
        return Abandon(SegmentAt(log.cut->path).number);
      }
      if (!more.value()) break;
      if (record.header.stamp <= after) continue;
      CountRecord(record, &log.used);
      const std::string unknown = Decode(record.body, &log.used);
      if (!unknown.empty() && log.unknown.empty())
        log.unknown =
            fmt::format("the log's record with stamp {}: {}", record.header.stamp, unknown);
    }
    if (reader.torn()) log.cut = reader.torn();
    if (log.problem.empty()) {
      log.useless = reader.useless();
    } else {
      for (const std::string& path : reader.useless()) Abandon(SegmentAt(path).number - 1);
    }
  }

  static void CountRecord(const LogRecord& record, RecordCount* count) {
    if (count->records++ == 0) count->first = record.header.stamp;
    count->last = record.header.stamp;
  }

  void NoteUses(const LogReader& reader, Stamp after) {
    const auto in = [this](const std::vector<std::string>& paths, const SegmentReport& s) {
      return std::find(paths.begin(), paths.end(), PathOf(s.name)) != paths.end();
    };
    for (size_t i = 0; i < report_.segments.size(); ++i) {
      SegmentReport& s = report_.segments[i];
      const bool last = i + 1 == report_.segments.size();
      s.use = SegmentReport::Use::kNeeded;
      if (in(report_.log.unusable, s)) s.use = SegmentReport::Use::kUnusable;
      if (in(report_.log.useless, s)) s.use = SegmentReport::Use::kUseless;
      if (s.use != SegmentReport::Use::kNeeded || !s.header) continue;
      const SegmentReport* next = last ? nullptr : &report_.segments[i + 1];
      if (next != nullptr && next->header && next->header->base_stamp <= after &&
          next->number == s.number + 1)
        s.use = SegmentReport::Use::kCovered;
      s.stream_end = next != nullptr && next->header && next->number == s.number + 1
                         ? std::min(next->header->previous_end, s.header->capacity)
                         : s.header->capacity;
      if (reader.end().place.segment == s.number) s.stream_end = reader.end().place.offset;
    }
    if (report_.log.cut) SegmentAt(report_.log.cut->path).stream_end = report_.log.cut->offset;
  }

  // ---- What lies behind

  // Records of segments in a row, from `first_record` of the first one on, with stamps up to
  // `until`. An error is damage.
  Status CountFrom(std::vector<SegmentFile> row, Stamp until, RecordCount* count) {
    const Stamp after = row.front().header.base_stamp;
    for (SegmentFile& s : row) s.header.needs_snapshot = 0;
    auto reader = LogReader::Open(files_, SegmentFiles{.good = std::move(row)}, after);
    if (!reader.ok()) return std::move(reader).status();
    LogRecord record;
    for (;;) {
      auto more = reader.value()->Next(&record);
      if (!more.ok()) return std::move(more).status();
      if (!more.value() || record.header.stamp > until) return {};
      CountRecord(record, count);
      static_cast<void>(Decode(record.body, count));  // nobody loads it
    }
  }

  // Rows of segments without a gap; a row that is good begins anew behind each damaged one.
  void CountLost() {
    LogReport& log = report_.log;
    std::vector<SegmentFile> row;
    const auto end_row = [&] {
      if (row.empty()) return;
      log.lost_all_counted &= CountFrom(std::move(row), engine::kStampPending, &log.lost).ok();
      row.clear();
    };
    if (log.cut && !log.problem.empty()) {
      log.lost_all_counted = false;
      SegmentReport& segment = SegmentAt(log.cut->path);
      // From the record that shows the damage on; those between are not found.
      if (claim_ && claim_->segment == segment.number) {
        row.push_back({log.cut->path, *segment.header});
        row.back().header.first_record = claim_->offset;
        row.back().header.base_stamp = std::max(log.used.last, report_.snapshot_stamp());
      }
    }
    for (const SegmentReport& s : report_.segments) {
      if (s.use != SegmentReport::Use::kUnusable) continue;
      if (!s.header) log.lost_all_counted = false;
      if (!row.empty() && (!s.header || row.back().header.number + 1 != s.number ||
                           row.back().header.log_id != s.header->log_id))
        end_row();
      if (s.header) row.push_back({PathOf(s.name), *s.header});
    }
    end_row();
  }

  // What the snapshot covers is not read by a start.
  void ReadCovered(Stamp after) {
    std::vector<SegmentFile> row;
    for (const SegmentReport& s : report_.segments) {
      const bool covered = s.use == SegmentReport::Use::kCovered;
      if (!s.header || (!covered && row.empty())) continue;
      row.push_back({PathOf(s.name), *s.header});
      if (!covered) break;  // in which the last covered record may end
    }
    if (row.size() < 2 || row.front().header.base_stamp >= after) return;
    RecordCount covered;
    Status status = CountFrom(std::move(row), after, &covered);
    if (!status.ok()) report_.log.covered_damage = WithoutAdvice(status.message());
  }

  FileSystem& files_;
  const engine::ValueLoader& values_;
  DirectoryReport report_;
  std::optional<persist::LogPlace> claim_;
};

}  // namespace

Stamp DirectoryReport::snapshot_stamp() const {
  if (snapshots.empty()) return 0;
  const SnapshotReport& last = snapshots.back();
  return last.header ? last.header->stamp : *persist::SnapshotStamp(last.name);
}

Result<DirectoryReport> ExamineDirectory(FileSystem& files, const std::string& directory,
                                         const engine::ValueLoader& values) {
  return Examination(files, directory, values).Run();
}

}  // namespace fluxkv::tools
