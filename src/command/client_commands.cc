// CLIENT, but for CLIENT KILL (client_kill.cc).
#include <algorithm>
#include <mutex>
#include <optional>
#include <string>

#include "base/parse.h"
#include "command/arguments.h"
#include "command/client_handlers.h"
#include "command/client_line.h"
#include "command/errors.h"
#include "command/help_reply.h"
#include "command/services.h"
#include "command/table.h"

namespace fluxkv::command {
namespace {

constexpr std::string_view kClientHelp[] = {
    "CACHING (YES|NO)",
    "    Belongs to tracking, which this version does not have.",
    "GETREDIR",
    "    Client that invalidation messages go to; -1 without tracking.",
    "GETNAME",
    "    Name of this connection.",
    "ID",
    "    Number of this connection.",
    "INFO",
    "    Line of CLIENT LIST for this connection.",
    "KILL <ip:port>",
    "    Close the connection from <ip:port>.",
    "KILL <option> <value> [<option> <value> [...]]",
    "    Close the connections for which all options hold:",
    "    * ADDR (<ip:port>|<unixsocket>:0)",
    "      Address of the client.",
    "    * LADDR (<ip:port>|<unixsocket>:0)",
    "      Address of the server that it is connected to.",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "      Class of the client.",
    "    * USER <username>",
    "      User that it is logged in as.",
    "    * SKIPME (YES|NO)",
    "      Leave this connection out (default: yes).",
    "    * ID <client-id>",
    "      Number of the connection.",
    "    * MAXAGE <maxage>",
    "      Connected for at least so many seconds.",
    "LIST [options ...]",
    "    Line about each connection. Options:",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "      Only clients of this class.",
    "    * ID <client-id> [<client-id> ...]",
    "      Only these connections.",
    "NO-EVICT (ON|OFF)",
    "    Keep this connection when client memory is short.",
    "NO-TOUCH (ON|OFF)",
    "    Commands of this connection do not change when keys were last used.",
    "PAUSE <timeout> [WRITE|ALL]",
    "    Hold back all commands, or those that write, for <timeout> milliseconds.",
    "REPLY (ON|OFF|SKIP)",
    "    Which replies this connection gets.",
    "SETINFO <option> <value>",
    "    Tell about the client library. Options:",
    "    * LIB-NAME: its name.",
    "    * LIB-VER: its version.",
    "SETNAME <name>",
    "    Name this connection.",
    "TRACKING (ON|OFF) [...]",
    "    Client-side caching, which this version does not have.",
    "TRACKINGINFO",
    "    State of tracking for this connection.",
    "UNBLOCK <clientid> [TIMEOUT|ERROR]",
    "    End the wait of a blocked client.",
    "UNPAUSE",
    "    End CLIENT PAUSE.",
};

void ClientHelp(Context& c) {
  ReplyHelp(c, kClientHelp);
}

void ClientId(Context& c) {
  c.reply.Integer(static_cast<int64_t>(c.session.info->id));
}

void ClientInfoLine(Context& c) {
  c.reply.Verbatim(ClientLine(*c.session.info, c.services.clock.now_ms()) + "\n", "txt");
}

void ClientList(Context& c) {
  int64_t now_ms = c.services.clock.now_ms();
  std::string text;
  if (c.args.size() > 3 && EqualsIgnoreCase(c.args[2], "id")) {
    for (size_t i = 3; i < c.args.size(); ++i) {
      int64_t id = 0;
      if (!ReadInteger(c, i, &id, "ERR Invalid client ID")) return;
      auto client = c.services.clients.Find(static_cast<uint64_t>(id));
      if (client != nullptr) text += ClientLine(*client, now_ms) + "\n";
    }
    return c.reply.Verbatim(text, "txt");
  }
  std::optional<ClientType> type;
  if (c.args.size() == 4 && EqualsIgnoreCase(c.args[2], "type")) {
    type = ParseClientType(c.args[3]);
    if (!type) return c.reply.Error("ERR Unknown client type '" + std::string(c.args[3]) + "'");
  } else if (c.args.size() != 2) {
    return c.reply.Error(errors::kSyntax);
  }
  for (const auto& client : c.services.clients.All()) {
    if (!type || TypeOf(*client) == *type) text += ClientLine(*client, now_ms) + "\n";
  }
  c.reply.Verbatim(text, "txt");
}

void ClientReply(Context& c) {
  if (EqualsIgnoreCase(c.args[2], "on")) {
    c.session.reply_mode = ReplyMode::kOn;
    c.reply.Ok();
  } else if (EqualsIgnoreCase(c.args[2], "off")) {
    c.session.reply_mode = ReplyMode::kOff;
  } else if (EqualsIgnoreCase(c.args[2], "skip")) {
    if (c.session.reply_mode != ReplyMode::kOff) c.session.reply_mode = ReplyMode::kSkipNext;
  } else {
    c.reply.Error(errors::kSyntax);
  }
}

void ClientNoEvict(Context& c) {
  if (!ReadOnOff(c, 2, &c.session.no_evict)) return;
  SetFlag(c.session, kClientNoEvict, c.session.no_evict);
  c.reply.Ok();
}

void ClientNoTouch(Context& c) {
  if (!ReadOnOff(c, 2, &c.session.no_touch)) return;
  SetFlag(c.session, kClientNoTouch, c.session.no_touch);
  c.reply.Ok();
}

// What a name may hold, so that the lines of CLIENT LIST can be split at spaces.
bool Printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char byte) { return byte >= '!' && byte <= '~'; });
}

void ClientSetName(Context& c) {
  if (!Printable(c.args[2]))
    return c.reply.Error("ERR Client names cannot contain spaces, newlines or special characters.");
  {
    std::lock_guard lock(c.session.info->mutex);
    c.session.info->name = c.args[2];
  }
  c.reply.Ok();
}

void ClientGetName(Context& c) {
  std::lock_guard lock(c.session.info->mutex);
  if (c.session.info->name.empty()) return c.reply.Null();
  c.reply.Bulk(c.session.info->name);
}

void ClientSetInfo(Context& c) {
  std::string ClientInfo::*field = nullptr;
  if (EqualsIgnoreCase(c.args[2], "lib-name")) {
    field = &ClientInfo::library_name;
  } else if (EqualsIgnoreCase(c.args[2], "lib-ver")) {
    field = &ClientInfo::library_version;
  } else {
    return c.reply.Error("ERR Unrecognized option '" + std::string(c.args[2]) + "'");
  }
  if (!Printable(c.args[3]))
    return c.reply.Error("ERR " + std::string(c.args[2]) +
                         " cannot contain spaces, newlines or special characters.");
  {
    std::lock_guard lock(c.session.info->mutex);
    (*c.session.info).*field = c.args[3];
  }
  c.reply.Ok();
}

void ClientPause(Context& c) {
  constexpr int kWrites = 1;
  constexpr int kAll = 2;
  int mode = kAll;
  if (c.args.size() > 4) return ReplyUnknownSubcommand(c);
  if (c.args.size() == 4) {
    if (EqualsIgnoreCase(c.args[3], "write")) {
      mode = kWrites;
    } else if (!EqualsIgnoreCase(c.args[3], "all")) {
      return c.reply.Error("ERR CLIENT PAUSE mode must be WRITE or ALL");
    }
  }
  int64_t timeout_ms = 0;
  if (!ReadTimeoutMs(c, 2, &timeout_ms)) return;
  c.services.clients.Pause(mode, c.services.clock.now_ms() + timeout_ms);
  c.services.database.PauseExpiry(c.services.clients.pause_until_ms());
  c.reply.Ok();
}

void ClientUnpause(Context& c) {
  c.services.clients.Unpause();
  c.services.database.PauseExpiry(0);
  c.reply.Ok();
}

void ClientUnblock(Context& c) {
  Delivery::Kind kind = Delivery::Kind::kUnblockTimeout;
  if (c.args.size() > 4) return ReplyUnknownSubcommand(c);
  if (c.args.size() == 4) {
    if (EqualsIgnoreCase(c.args[3], "error")) {
      kind = Delivery::Kind::kUnblockError;
    } else if (!EqualsIgnoreCase(c.args[3], "timeout")) {
      return c.reply.Error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
    }
  }
  int64_t id = 0;
  if (!ReadInteger(c, 2, &id)) return;
  auto client = c.services.clients.Find(static_cast<uint64_t>(id));
  // A command that CLIENT PAUSE holds back has not begun to wait.
  if (client == nullptr || !client->Has(kClientBlocked) || client->Has(kClientPaused))
    return c.reply.Integer(0);
  c.services.clients.Post(*client, kind);
  c.reply.Integer(1);
}

void ClientGetRedir(Context& c) {
  c.reply.Integer(-1);
}

void ClientTrackingInfo(Context& c) {
  c.reply.MapHeader(3);
  c.reply.Bulk("flags");
  c.reply.SetHeader(1);
  c.reply.Bulk("off");
  c.reply.Bulk("redirect");
  c.reply.Integer(-1);
  c.reply.Bulk("prefixes");
  c.reply.ArrayHeader(0);
}

void ClientTracking(Context& c) {
  // Clients switch it off without asking whether it is on.
  if (c.args.size() == 3 && EqualsIgnoreCase(c.args[2], "off")) return c.reply.Ok();
  c.reply.Error("ERR CLIENT TRACKING is not supported by this version of fluxkv");
}

void ClientCaching(Context& c) {
  c.reply.Error(
      "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or "
      "OPTOUT mode enabled");
}

constexpr uint32_t kUsualClientFlags = kNoScript | kLoading | kStale | kAfterCommit;

constexpr Command ClientSubcommand(std::string_view name, int arity, std::string_view since,
                                   std::string_view summary, Handler handler,
                                   uint32_t flags = kUsualClientFlags,
                                   std::string_view complexity = "O(1)") {
  return {.name = name,
          .arity = arity,
          .flags = flags,
          .group = Group::kConnection,
          .acl = kAclConnection,
          .since = since,
          .complexity = complexity,
          .summary = summary,
          .handler = handler,
          .parent = "client"};
}

constexpr std::string_view kPerClient = "O(N) where N is the number of client connections";

constexpr Command kClientSubcommands[] = {
    ClientSubcommand("caching", 3, "6.0.0",
                     "Belongs to tracking, which this version does not have.", &ClientCaching),
    ClientSubcommand("getname", 2, "2.6.9", "Returns the connection's name.", &ClientGetName),
    ClientSubcommand("getredir", 2, "6.0.0", "Returns the client that invalidation messages go to.",
                     &ClientGetRedir),
    ClientSubcommand("help", 2, "5.0.0", kHelpSummary, &ClientHelp, kLoading | kStale),
    ClientSubcommand("id", 2, "5.0.0", "Returns the connection's number.", &ClientId),
    ClientSubcommand("info", 2, "6.2.0", "Returns figures about the connection.", &ClientInfoLine),
    ClientSubcommand("kill", -3, "2.4.0", "Closes connections.", &ClientKill,
                     kUsualClientFlags | kAdmin, kPerClient),
    ClientSubcommand("list", -2, "2.4.0", "Returns figures about all connections.", &ClientList,
                     kUsualClientFlags | kAdmin, kPerClient),
    ClientSubcommand("no-evict", 3, "7.0.0", "Keeps the connection when client memory is short.",
                     &ClientNoEvict, kUsualClientFlags | kAdmin),
    ClientSubcommand("no-touch", 3, "7.2.0",
                     "Sets whether the connection's commands count as uses of keys.",
                     &ClientNoTouch),
    ClientSubcommand("pause", -3, "3.0.0", "Holds back commands for a time.", &ClientPause,
                     kUsualClientFlags | kAdmin),
    ClientSubcommand("reply", 3, "3.2.0", "Sets which replies the connection gets.", &ClientReply),
    ClientSubcommand("setinfo", 4, "7.2.0", "Stores the client library's name or version.",
                     &ClientSetInfo),
    ClientSubcommand("setname", 3, "2.6.9", "Names the connection.", &ClientSetName),
    ClientSubcommand("tracking", -3, "6.0.0",
                     "Client-side caching, which this version does not have.", &ClientTracking),
    ClientSubcommand("trackinginfo", 2, "6.2.0",
                     "Returns the state of tracking for the connection.", &ClientTrackingInfo),
    ClientSubcommand("unblock", -3, "5.0.0", "Ends the wait of a blocked client.", &ClientUnblock,
                     kUsualClientFlags | kAdmin,
                     "O(log N) where N is the number of client connections"),
    ClientSubcommand("unpause", 2, "6.2.0", "Ends CLIENT PAUSE.", &ClientUnpause,
                     kUsualClientFlags | kAdmin, "O(N) where N is the number of paused clients"),
};

constexpr Command kClientRows[] = {
    {.name = "client",
     .arity = -2,
     .group = Group::kConnection,
     .since = "2.4.0",
     .complexity = "Depends on the subcommand.",
     .summary = "Container of the commands about connections.",
     .subcommands = kClientSubcommands},
};

}  // namespace

std::span<const Command> ClientCommands() {
  return kClientRows;
}

}  // namespace fluxkv::command
