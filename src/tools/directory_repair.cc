#include "tools/directory_repair.h"

#include <algorithm>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "engine/version.h"
#include "persist/snapshot_file.h"

namespace fluxkv::tools {

namespace {

using persist::FileSystem;
using persist::OpenMode;
using persist::SnapshotReader;

constexpr size_t kCopyBytes = 1 << 20;

std::string NameOf(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

std::string LostKeys(const SnapshotReport& s) {
  std::string text =
      s.keys_written && *s.keys_written >= s.keys
          ? fmt::format("{} of {} keys are lost", *s.keys_written - s.keys, *s.keys_written)
          : fmt::format("{} keys are saved, how many are lost is not known", s.keys);
  if (s.bad_blocks > 0) text += fmt::format(", in {} damaged blocks", s.bad_blocks);
  if (s.cut_short) text += ", and all behind the last damage";
  return text;
}

void PlanSnapshot(const SnapshotReport& s, RepairPlan* plan) {
  if (s.header) {
    plan->rewrite_snapshot = true;
    plan->text += fmt::format("{} is written anew from its good blocks: {}\n", s.name, LostKeys(s));
    return;
  }
  plan->move_away.push_back(s.name);
  plan->text += fmt::format("{} is moved away: nothing of it can be read\n", s.name);
}

void PlanLog(const LogReport& log, RepairPlan* plan) {
  plan->zero_out = log.cut;
  if (log.cut)
    plan->text +=
        fmt::format("{} is filled with zeros from {} on\n", log.cut->path, log.cut->offset);
  for (const std::string& path : log.unusable) {
    plan->move_away.push_back(NameOf(path));
    plan->text += fmt::format("{} is moved away\n", path);
  }
  if (log.torn()) {
    plan->text += "nothing is lost: the record there was never whole on disk\n";
    return;
  }
  plan->text +=
      fmt::format("lost are {}{} of the log; it has {} before that\n",
                  log.lost_all_counted ? "" : "at least ", Text(log.lost), Text(log.used));
}

class Repairer {
 public:
  Repairer(FileSystem& files, const DirectoryReport& report, const engine::ValueLoader& values,
           std::string folder)
      : files_(files), report_(report), values_(values), folder_(std::move(folder)) {}

  Status Run(const RepairPlan& plan) {
    Status status = files_.CreateDirectory(folder_);
    if (status.ok()) status = files_.SyncDirectory(report_.directory);
    if (status.ok() && plan.rewrite_snapshot) status = RewriteSnapshot();
    if (status.ok() && plan.zero_out) status = ZeroOut(*plan.zero_out);
    // The last ones first: what is left if this is broken off is a log without a gap.
    for (auto name = plan.move_away.rbegin(); status.ok() && name != plan.move_away.rend(); ++name)
      status = MoveAway(*name);
    return status;
  }

 private:
  std::string PathOf(const std::string& name) const { return report_.directory + "/" + name; }

  // Where a file goes in the folder: an earlier round may have put one there.
  std::string Place(const std::string& name) const {
    std::string place = folder_ + "/" + name;
    for (int i = 1; files_.Exists(place); ++i) place = fmt::format("{}/{}.{}", folder_, name, i);
    return place;
  }

  Status Copy(const std::string& name) {
    auto from = files_.Open(PathOf(name), OpenMode::kRead);
    if (!from.ok()) return std::move(from).status();
    auto to = files_.Open(Place(name), OpenMode::kCreate);
    if (!to.ok()) return std::move(to).status();
    std::string bytes(kCopyBytes, '\0');
    for (uint64_t at = 0;;) {
      auto got = from.value()->ReadAt(at, bytes.data(), bytes.size());
      if (!got.ok()) return std::move(got).status();
      if (got.value() == 0) break;
      Status status = to.value()->WriteAt(at, std::string_view(bytes).substr(0, got.value()));
      if (!status.ok()) return status;
      at += got.value();
    }
    Status status = to.value()->Sync();
    return status.ok() ? files_.SyncDirectory(folder_) : std::move(status);
  }

  Status MoveAway(const std::string& name) {
    Status status = files_.Rename(PathOf(name), Place(name));
    if (status.ok()) status = files_.SyncDirectory(folder_);
    return status.ok() ? files_.SyncDirectory(report_.directory) : std::move(status);
  }

  Status ZeroOut(const persist::TornEnd& from) {
    Status status = Copy(NameOf(from.path));
    if (!status.ok()) return status;
    auto file = files_.Open(from.path, OpenMode::kReadWrite);
    if (!file.ok()) return std::move(file).status();
    auto size = file.value()->Size();
    if (!size.ok()) return std::move(size).status();
    const std::string zeros(kCopyBytes, '\0');
    for (uint64_t at = from.offset; at < size.value(); at += zeros.size()) {
      status = file.value()->WriteAt(
          at,
          std::string_view(zeros).substr(0, std::min<uint64_t>(zeros.size(), size.value() - at)));
      if (!status.ok()) return status;
    }
    return file.value()->Sync();
  }

  Status RewriteSnapshot() {
    const SnapshotReport& snapshot = report_.snapshots.back();
    Status status = Copy(snapshot.name);
    if (!status.ok()) return status;
    auto reader = SnapshotReader::Open(files_, PathOf(snapshot.name), &*snapshot.header);
    if (!reader.ok()) return std::move(reader).status();
    const persist::SnapshotHeader& header = reader.value()->header();
    persist::SnapshotWriter writer(files_, report_.directory, header.log_id);
    status = writer.Begin(header.stamp, header.time_ms, header.databases);
    std::optional<uint32_t> begun;
    while (status.ok()) {
      auto block = reader.value()->Next();
      if (!block.ok()) {
        if (!reader.value()->SkipDamaged()) break;
        continue;
      }
      if (block.value().kind == persist::BlockKind::kEnd) break;
      // A database's first block may be lost, with its keys still there.
      if (begun != block.value().db) {
        status = writer.BeginDatabase(
            block.value().db,
            block.value().kind == persist::BlockKind::kDatabase ? block.value().keys : 0);
        begun = block.value().db;
      }
      if (status.ok()) status = AddKeys(block.value().body, &writer);
    }
    return status.ok() ? writer.Finish() : std::move(status);
  }

  Status AddKeys(std::string_view body, persist::SnapshotWriter* writer) const {
    engine::Change change;
    engine::ChangeReader changes(body);
    while (changes.Next(&change)) {
      engine::VersionPtr version =
          values_.Load(change.type, change.encoding, change.expiry_ms, change.value);
      if (version == nullptr)
        return Status::Error("the snapshot has values that this version does not know");
      Status status = writer->Add(change.db, change.key, *version);
      if (!status.ok()) return status;
    }
    return {};
  }

  FileSystem& files_;
  const DirectoryReport& report_;
  const engine::ValueLoader& values_;
  const std::string folder_;
};

}  // namespace

RepairPlan PlanRepair(const DirectoryReport& report) {
  RepairPlan plan;
  const bool unknown = !report.log.unknown.empty() ||
                       (!report.snapshots.empty() && !report.snapshots.back().unknown.empty());
  if (unknown) return plan;  // another version can load it
  if (!report.snapshot_good()) {
    PlanSnapshot(report.snapshots.back(), &plan);
    if (!plan.move_away.empty()) return plan;  // what the log is worth is seen then
  }
  if (!report.log.problem.empty() || report.log.torn()) PlanLog(report.log, &plan);
  return plan;
}

Status Repair(FileSystem& files, const DirectoryReport& report, const RepairPlan& plan,
              const engine::ValueLoader& values, const std::string& folder) {
  return Repairer(files, report, values, folder).Run(plan);
}

}  // namespace fluxkv::tools
