// VACUUM, and section vacuum of INFO.
#include <string>

#include "command/context.h"
#include "command/info.h"
#include "command/services.h"
#include "command/table.h"

namespace fluxkv::command {
namespace {

constexpr int64_t kVacuumLookEveryMs = 1;

void Answer(Context& c, const engine::Vacuumed& vacuumed) {
  c.reply.MapHeader(4);
  c.reply.Bulk("versions");
  c.reply.Integer(static_cast<int64_t>(vacuumed.versions));
  c.reply.Bulk("keys");
  c.reply.Integer(static_cast<int64_t>(vacuumed.keys));
  c.reply.Bulk("bytes");
  c.reply.Integer(vacuumed.bytes);
  c.reply.Bulk("milliseconds");
  c.reply.Integer(vacuumed.took_ms);
}

// The collector does the work; the connection waits for it, its loop does not.
class ParkedVacuum final : public Parked {
 public:
  explicit ParkedVacuum(uint64_t ticket) : ticket_(ticket) {}
  bool Step(Context& c) override {
    engine::Vacuumed vacuumed;
    look_at_ms_ = c.services.clock.now_ms() + kVacuumLookEveryMs;
    if (!c.services.database.VacuumEnded(ticket_, &vacuumed)) return false;
    Answer(c, vacuumed);
    return true;
  }
  int64_t wake_at_ms() const override { return look_at_ms_; }
  bool Unblock(Context&, bool) override { return false; }

 private:
  const uint64_t ticket_;
  int64_t look_at_ms_ = 0;
};

void Vacuum(Context& c) {
  c.parked = std::make_unique<ParkedVacuum>(c.services.database.RequestVacuum());
}

constexpr Command kVacuumRows[] = {
    {.name = "vacuum",
     .arity = 1,
     .flags = kAdmin | kNoScript | kNoAsyncLoading | kNoMulti,
     .group = Group::kServer,
     .since = "1.0.0",
     .complexity = "O(N) where N is the number of keys and versions to reclaim",
     .summary = "Reclaims what nobody can read any more, and answers how much it was.",
     .handler = &Vacuum},
};

std::string HolderText(const engine::SnapshotHolder& holder) {
  switch (holder.kind) {
    case engine::SnapshotHolder::Kind::kCopy:
      return "copy";  // for a file
    case engine::SnapshotHolder::Kind::kClient:
      return "client:" + std::to_string(holder.client);
    case engine::SnapshotHolder::Kind::kInternal:
      break;
  }
  return "internal";
}

}  // namespace

void InfoVacuum(const Services& services, InfoText* info) {
  const engine::EngineStats engine = services.database.stats();
  const engine::VacuumStats vacuum = services.database.vacuum_stats();
  uint64_t live = 0;
  for (uint32_t db = 0; db < services.database.databases(); ++db)
    live += services.database.database_stats(db).keys;
  info->Add("vacuum_interval_ms", services.config.settings().vacuum_interval_ms.load());
  info->Add("versions_live", live);
  info->Add("versions_dead", engine.versions_kept);
  info->Add("vacuum_retired_bytes", engine.retired_bytes);
  info->Add("vacuum_nodes_waiting", vacuum.nodes_waiting);
  info->Add("vacuum_nodes_held", vacuum.nodes_held);
  info->Add("vacuum_deadlines", engine.filed_deadlines);
  info->Add("range_deletes_pending", engine.range_deletes);
  info->Add("watched_keys", vacuum.watched_keys);
  const auto& oldest = vacuum.oldest_snapshot;
  const int64_t age_ms = oldest ? services.clock.now_ms() - oldest->began_at_ms : 0;
  info->Add("oldest_snapshot_stamp", oldest ? oldest->stamp : 0);
  info->Add("oldest_snapshot_age_ms", age_ms);
  info->Add("oldest_snapshot_holder", oldest ? HolderText(oldest->holder) : "none");
  info->Add("last_vacuum_time_ms", vacuum.last.ended_at_ms);
  info->Add("last_vacuum_took_ms", vacuum.last.took_ms);
  info->Add("last_vacuum_versions", vacuum.last.versions);
  info->Add("last_vacuum_keys", vacuum.last.keys);
  info->Add("last_vacuum_bytes", vacuum.last.bytes);
  info->Add("vacuumed_versions", vacuum.since_start.versions);
  info->Add("vacuumed_keys", vacuum.since_start.keys);
  info->Add("vacuumed_bytes", vacuum.since_start.bytes);
}

std::span<const Command> VacuumCommands() {
  return kVacuumRows;
}

}  // namespace fluxkv::command
