// SAVE BGSAVE LASTSAVE BGREWRITEAOF WAITAOF, and what SHUTDOWN and DEBUG RELOAD wait for.
#include "command/save_commands.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <string>

#include "base/parse.h"
#include "command/arguments.h"
#include "command/services.h"
#include "command/table.h"

namespace fluxkv::command {
namespace {

constexpr int64_t kSaveLookEveryMs = 5;
constexpr std::string_view kInProgress = "ERR Background save already in progress";

// Waits until something has ended, then answers. Not shown as blocked: the server works for it.
class ParkedUntil : public Parked {
 public:
  explicit ParkedUntil(std::function<bool(Context&)> step) : step_(std::move(step)) {}
  bool Step(Context& c) override {
    if (step_(c)) return true;
    look_at_ms_ = c.services.clock.now_ms() + kSaveLookEveryMs;
    return false;
  }
  int64_t wake_at_ms() const override { return look_at_ms_; }
  bool Unblock(Context&, bool) override { return false; }

 private:
  const std::function<bool(Context&)> step_;
  int64_t look_at_ms_ = 0;
};

std::string Denied(const std::string& message) {
  return "ERR " + message;
}

void Save(Context& c) {
  if (c.services.persistence.snapshot_busy()) return c.reply.Error(kInProgress);
  auto ticket = c.services.persistence.RequestSnapshot(/*again=*/false);
  if (!ticket.ok()) return c.reply.Error(Denied(ticket.message()));
  if (!ticket.value()) return c.reply.Error(kInProgress);
  ParkUntilSnapshotEnds(c, *ticket.value(), [](Context& context, const Status& status) {
    if (status.ok()) return context.reply.Ok();
    context.reply.Error(Denied(status.message()));
  });
}

void Bgsave(Context& c) {
  const bool schedule = c.args.size() == 2 && EqualsIgnoreCase(c.args[1], "schedule");
  if (c.args.size() > 2 || (c.args.size() == 2 && !schedule)) return c.reply.Error(errors::kSyntax);
  const bool busy = c.services.persistence.snapshot_busy();
  if (busy && !schedule) return c.reply.Error(kInProgress);
  auto ticket = c.services.persistence.RequestSnapshot(schedule);
  if (!ticket.ok()) return c.reply.Error(Denied(ticket.message()));
  if (!ticket.value()) return c.reply.Error(kInProgress);
  c.reply.SimpleString(busy ? "Background saving scheduled" : "Background saving started");
}

// The log is made short by a snapshot: that is what it is for.
void Bgrewriteaof(Context& c) {
  const bool busy = c.services.persistence.snapshot_busy();
  auto ticket = c.services.persistence.RequestSnapshot(/*again=*/true);
  if (!ticket.ok()) return c.reply.Error(Denied(ticket.message()));
  c.reply.SimpleString(busy ? "Background append only file rewriting scheduled"
                            : "Background append only file rewriting started");
}

void Lastsave(Context& c) {
  c.reply.Integer(c.services.persistence.figures().snapshot_last_done_at_ms / 1000);
}

// Waits until what the connection wrote and read is on disk.
class ParkedWaitAof : public Parked {
 public:
  ParkedWaitAof(engine::Stamp stamp, bool local, int64_t until_ms)
      : stamp_(stamp), local_(local), until_ms_(until_ms) {}

  bool Step(Context& c) override {
    const int64_t now_ms = c.services.clock.now_ms();
    const bool durable = Durable(c);
    const bool hopeless = local_ && !c.services.persistence.log_on();
    if (now_ms < until_ms_ && !(durable && local_) && !hopeless) {
      c.services.persistence.RequestSync();
      look_at_ms_ = std::min(until_ms_, now_ms + kSaveLookEveryMs);
      return false;
    }
    Answer(c, durable);
    return true;
  }
  int64_t wake_at_ms() const override { return look_at_ms_; }
  bool Unblock(Context& c, bool with_error) override {
    if (with_error) {
      c.reply.Error("UNBLOCKED client unblocked via CLIENT UNBLOCK");
    } else {
      Answer(c, Durable(c));
    }
    return true;
  }
  bool blocked() const override { return true; }

 private:
  bool Durable(const Context& c) const {
    const PersistenceControl& persistence = c.services.persistence;
    return persistence.log_on() && persistence.durable_stamp() >= stamp_;
  }
  static void Answer(Context& c, bool durable) {
    c.reply.ArrayHeader(2);
    c.reply.Integer(durable ? 1 : 0);
    c.reply.Integer(0);  // there are no replicas
  }

  const engine::Stamp stamp_;
  const bool local_;  // the local log is all that is waited for; else for what never comes
  const int64_t until_ms_;
  int64_t look_at_ms_ = 0;
};

void Waitaof(Context& c) {
  int64_t local = 0, replicas = 0, timeout_ms = 0;
  if (!ReadInteger(c, 1, &local)) return;
  if (local < 0 || local > 1)
    return c.reply.Error("ERR value is out of range, must be between 0 and 1");
  if (!ReadInteger(c, 2, &replicas, errors::kNotInteger)) return;
  if (replicas < 0) return c.reply.Error(errors::kPositive);
  if (!ReadTimeoutMs(c, 3, &timeout_ms)) return;
  if (local > 0 && !c.services.persistence.log_on())
    return c.reply.Error(
        "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.");
  const int64_t until_ms = timeout_ms == 0 ? std::numeric_limits<int64_t>::max()
                                           : c.services.clock.now_ms() + timeout_ms;
  auto parked = std::make_unique<ParkedWaitAof>(c.session.newest_stamp, replicas == 0, until_ms);
  // Inside MULTI nothing waits; and what is on disk already need not.
  const bool at_once = c.in_exec || (local == 0 && replicas == 0);
  if (at_once) {
    static_cast<void>(parked->Unblock(c, /*with_error=*/false));
    return;
  }
  if (parked->Step(c)) return;
  c.parked = std::move(parked);
}

constexpr Command kSaveRows[] = {
    {.name = "save",
     .arity = 1,
     .flags = kAdmin | kNoScript | kNoAsyncLoading | kNoMulti,
     .group = Group::kServer,
     .since = "1.0.0",
     .complexity = "O(N) where N is the total number of keys in all databases",
     .summary = "Takes a snapshot and answers when it is on disk.",
     .handler = &Save},
    {.name = "bgsave",
     .arity = -1,
     .flags = kAdmin | kNoScript | kNoAsyncLoading | kAfterCommit,
     .group = Group::kServer,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Takes a snapshot in the background.",
     .handler = &Bgsave},
    {.name = "bgrewriteaof",
     .arity = 1,
     .flags = kAdmin | kNoScript | kNoAsyncLoading | kAfterCommit,
     .group = Group::kServer,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Takes a snapshot in the background and recycles the log that it covers.",
     .handler = &Bgrewriteaof},
    {.name = "lastsave",
     .arity = 1,
     .flags = kLoading | kStale | kFast,
     .group = Group::kServer,
     .acl = kAclAdmin | kAclDangerous,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Returns when the last snapshot was taken, in seconds since 1970.",
     .handler = &Lastsave},
    {.name = "waitaof",
     .arity = 4,
     .flags = kNoScript | kBlocking,
     .group = Group::kGeneric,
     .acl = kAclConnection,
     .since = "7.2.0",
     .complexity = "O(1)",
     .summary = "Waits until what this connection wrote is on disk.",
     .handler = &Waitaof},
};

}  // namespace

void ParkUntilSnapshotEnds(Context& c, uint64_t ticket,
                           std::function<void(Context&, const Status&)> answer) {
  c.parked = std::make_unique<ParkedUntil>([ticket, answer = std::move(answer)](Context& context) {
    Status status;
    if (!context.services.persistence.SnapshotEnded(ticket, &status)) return false;
    answer(context, status);
    return true;
  });
}

void ParkUntilReloadEnds(Context& c, uint64_t ticket) {
  c.parked = std::make_unique<ParkedUntil>([ticket](Context& context) {
    Status status;
    if (!context.services.persistence.ReloadEnded(ticket, &status)) return false;
    if (status.ok()) {
      context.reply.Ok();
    } else {
      context.reply.Error("ERR Error trying to load the RDB dump, check server logs: " +
                          status.message());
    }
    return true;
  });
}

std::span<const Command> SaveCommands() {
  return kSaveRows;
}

}  // namespace fluxkv::command
