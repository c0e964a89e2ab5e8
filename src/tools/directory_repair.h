// Makes a damaged data directory one that a start accepts, at the price of what cannot be read.
//
//   RepairPlan plan = PlanRepair(report);
//   if (plan.empty()) ...                                     // nothing to do, or nothing helps
//   std::fputs(plan.text.c_str(), stdout);                    // what is lost
//   Status status = Repair(files, report, plan, values, "data/repair-20261125-120000");
//   ... examine it again: behind one problem there may be another ...
//
// R1. Nothing is changed before a copy of it is on disk in the folder; what leaves the directory
//     goes there.
// R2. After a repair that was broken off, the directory can be repaired again.
//
// Threads: pure functions. Errors: one line; then the repair was broken off.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "persist/file_system.h"
#include "tools/directory_report.h"

namespace fluxkv::tools {

struct RepairPlan {
  bool rewrite_snapshot = false;             // the newest one, from its good blocks
  std::optional<persist::TornEnd> zero_out;  // from there to the end of the file
  std::vector<std::string> move_away;        // names of files
  std::string text;                          // what will be done and what is lost, for a person

  bool empty() const { return !rewrite_snapshot && !zero_out && move_away.empty(); }
};

RepairPlan PlanRepair(const DirectoryReport& report);

// `folder` is made if it is missing.
Status Repair(persist::FileSystem& files, const DirectoryReport& report, const RepairPlan& plan,
              const engine::ValueLoader& values, const std::string& folder);

}  // namespace fluxkv::tools
