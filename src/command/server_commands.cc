// TIME, ROLE, LOLWUT, MONITOR, SHUTDOWN, WAIT and the row of INFO (info.cc).
#include <limits>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/parse.h"
#include "base/version.h"
#include "command/arguments.h"
#include "command/errors.h"
#include "command/info.h"
#include "command/save_commands.h"
#include "command/services.h"
#include "command/table.h"

namespace fluxkv::command {
namespace {

void Time(Context& c) {
  int64_t now_us = RealtimeUs();
  c.reply.ArrayHeader(2);
  c.reply.BulkInteger(now_us / 1000000);
  c.reply.BulkInteger(now_us % 1000000);
}

// There are no replicas and no master: a master at offset 0 with an empty list.
void Role(Context& c) {
  c.reply.ArrayHeader(3);
  c.reply.Bulk("master");
  c.reply.Integer(0);
  c.reply.ArrayHeader(0);
}

constexpr std::string_view kArt =
    "    .--.      .--.      .--.\n"
    "   /    \\    /    \\    /    \\     f l u x k v\n"
    " _/      \\__/      \\__/      \\_\n"
    "  k1 -> v3    k2 -> v7    k3 -> v1\n"
    "        |           |\n"
    "        v2          v5    what was, for whoever still reads it\n"
    "        |\n"
    "        v1\n";

void Lolwut(Context& c) {
  if (c.args.size() >= 3 && EqualsIgnoreCase(c.args[1], "version")) {
    int64_t version = 0;
    if (!ReadInteger(c, 2, &version)) return;
  }
  std::string text(kArt);
  text += "\nfluxkv " + std::string(kVersion) + "\nRedis ver. " + std::string(kRedisVersion) + "\n";
  c.reply.Verbatim(text, "txt");
}

void Monitor(Context& c) {
  if (c.in_exec) return c.reply.Error("ERR MONITOR isn't allowed for DENY BLOCKING client");
  if (!c.session.monitoring) {
    c.session.monitoring = true;
    SetFlag(c.session, kClientMonitor, true);
    c.services.clients.AddMonitor(c.session.info->id, c.session.info->loop);
  }
  c.reply.Ok();
}

constexpr std::string_view kShutdownFailed = "ERR Errors trying to SHUTDOWN. Check logs.";

// No reply: the end of the connection is the answer, as clients expect it. Nothing that was sent
// behind it runs.
void EndServer(Context& c, ServerControl::ShutdownMode mode, bool save) {
  c.session.close_after_reply = true;
  c.services.server.Shutdown(mode, save);
}

void Shutdown(Context& c) {
  bool save = false, nosave = false, now = false, force = false, abort = false;
  for (size_t i = 1; i < c.args.size(); ++i) {
    if (EqualsIgnoreCase(c.args[i], "nosave")) {
      nosave = true;
    } else if (EqualsIgnoreCase(c.args[i], "save")) {
      save = true;
    } else if (EqualsIgnoreCase(c.args[i], "now")) {
      now = true;
    } else if (EqualsIgnoreCase(c.args[i], "force")) {
      force = true;
    } else if (EqualsIgnoreCase(c.args[i], "abort")) {
      abort = true;
    } else {
      return c.reply.Error(errors::kSyntax);
    }
  }
  if ((abort && (save || nosave || now || force)) || (save && nosave))
    return c.reply.Error(errors::kSyntax);
  if (abort) {
    if (c.services.server.AbortShutdown()) return c.reply.Ok();
    return c.reply.Error("ERR No shutdown in progress.");
  }
  const auto mode =
      now ? ServerControl::ShutdownMode::kNow : ServerControl::ShutdownMode::kGraceful;
  // Without a word the save points decide, as in Redis.
  if (nosave || (!save && c.services.config.save_points().empty()))
    return EndServer(c, mode, false);
  // While the data is being loaded there is nothing that is not in files.
  if (!save && c.services.persistence.loading()) return EndServer(c, mode, false);
  auto ticket = c.services.persistence.RequestSnapshot(/*again=*/true);
  if (!ticket.ok() && !force) return c.reply.Error(kShutdownFailed);
  if (!ticket.ok()) return EndServer(c, mode, false);
  ParkUntilSnapshotEnds(c, *ticket.value(), [mode, force](Context& context, const Status& status) {
    if (!status.ok() && !force) return context.reply.Error(kShutdownFailed);
    EndServer(context, mode, status.ok());
  });
}

// WAIT without replicas: nobody will ever acknowledge, so it answers 0 when the time is over.
class ParkedWait : public Parked {
 public:
  explicit ParkedWait(int64_t until_ms) : until_ms_(until_ms) {}
  bool Step(Context& c) override {
    if (c.services.clock.now_ms() < until_ms_) return false;
    c.reply.Integer(0);
    return true;
  }
  int64_t wake_at_ms() const override { return until_ms_; }
  bool Unblock(Context& c, bool with_error) override {
    if (with_error) {
      c.reply.Error("UNBLOCKED client unblocked via CLIENT UNBLOCK");
    } else {
      c.reply.Integer(0);
    }
    return true;
  }
  bool blocked() const override { return true; }

 private:
  const int64_t until_ms_;  // int64 max: for ever
};

void Wait(Context& c) {
  int64_t replicas = 0, timeout_ms = 0;
  if (!ReadInteger(c, 1, &replicas) || !ReadTimeoutMs(c, 2, &timeout_ms)) return;
  if (replicas <= 0 || c.in_exec) return c.reply.Integer(0);
  c.parked = std::make_unique<ParkedWait>(timeout_ms == 0 ? std::numeric_limits<int64_t>::max()
                                                          : c.services.clock.now_ms() + timeout_ms);
}

constexpr Command kServerRows[] = {
    {.name = "info",
     .arity = -1,
     .flags = kLoading | kStale,
     .group = Group::kServer,
     .acl = kAclDangerous,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Returns figures and settings of the server, by section.",
     .handler = &Info},
    {.name = "time",
     .arity = 1,
     .flags = kLoading | kStale | kFast,
     .group = Group::kServer,
     .since = "2.6.0",
     .complexity = "O(1)",
     .summary = "Returns the server's time in seconds and microseconds.",
     .handler = &Time},
    {.name = "role",
     .arity = 1,
     .flags = kNoScript | kLoading | kStale | kFast,
     .group = Group::kServer,
     .acl = kAclAdmin | kAclDangerous,
     .since = "2.8.12",
     .complexity = "O(1)",
     .summary = "Returns the replication role.",
     .handler = &Role},
    {.name = "lolwut",
     .arity = -1,
     .flags = kReadonly | kFast,
     .group = Group::kServer,
     .since = "5.0.0",
     .complexity = "O(1)",
     .summary = "Shows a small picture and the version.",
     .handler = &Lolwut},
    {.name = "monitor",
     .arity = 1,
     .flags = kAdmin | kNoScript | kLoading | kStale,
     .group = Group::kServer,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Sends this connection every command that the server runs.",
     .handler = &Monitor},
    {.name = "shutdown",
     .arity = -1,
     .flags = kAdmin | kNoScript | kLoading | kStale | kNoMulti | kAllowBusy,
     .group = Group::kServer,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Stops the server.",
     .handler = &Shutdown},
    {.name = "wait",
     .arity = 3,
     .flags = kBlocking,
     .group = Group::kGeneric,
     .acl = kAclConnection,
     .since = "3.0.0",
     .complexity = "O(1)",
     .summary = "Waits until replicas have acknowledged the writes of this connection.",
     .handler = &Wait},
};

}  // namespace

std::span<const Command> ServerCommands() {
  return kServerRows;
}

}  // namespace fluxkv::command
