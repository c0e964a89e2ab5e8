// CLIENT KILL: which clients a request means, and how they go.
#include <memory>
#include <optional>
#include <string>

#include "base/parse.h"
#include "command/arguments.h"
#include "command/client_handlers.h"
#include "command/client_line.h"
#include "command/errors.h"
#include "command/services.h"

namespace fluxkv::command {
namespace {

// All that are set must hold.
struct KillFilter {
  std::optional<std::string_view> address;
  std::optional<std::string_view> local_address;
  std::optional<ClientType> type;
  std::optional<uint64_t> id;
  std::optional<int64_t> age_s_min;
  bool skip_me = true;
};

// One option with its value; false after answering an error.
bool ReadOption(Context& c, size_t at, KillFilter* filter) {
  std::string_view name = c.args[at];
  std::string_view value = c.args[at + 1];
  if (EqualsIgnoreCase(name, "id")) {
    std::optional<int64_t> id = ParseInt64(value);
    if (!id || *id < 1) {
      c.reply.Error("ERR client-id should be greater than 0");
      return false;
    }
    filter->id = static_cast<uint64_t>(*id);
  } else if (EqualsIgnoreCase(name, "maxage")) {
    int64_t age_s = 0;
    if (!ReadInteger(c, at + 1, &age_s, "ERR maxage is not an integer or out of range"))
      return false;
    if (age_s <= 0) {
      c.reply.Error("ERR maxage should be greater than 0");
      return false;
    }
    filter->age_s_min = age_s;
  } else if (EqualsIgnoreCase(name, "type")) {
    filter->type = ParseClientType(value);
    if (!filter->type) {
      c.reply.Error("ERR Unknown client type '" + std::string(value) + "'");
      return false;
    }
  } else if (EqualsIgnoreCase(name, "addr")) {
    filter->address = value;
  } else if (EqualsIgnoreCase(name, "laddr")) {
    filter->local_address = value;
  } else if (EqualsIgnoreCase(name, "user")) {
    if (value != "default") {
      c.reply.Error("ERR No such user '" + std::string(value) + "'");
      return false;
    }
  } else if (EqualsIgnoreCase(name, "skipme") &&
             (EqualsIgnoreCase(value, "yes") || EqualsIgnoreCase(value, "no"))) {
    filter->skip_me = EqualsIgnoreCase(value, "yes");
  } else {
    c.reply.Error(errors::kSyntax);
    return false;
  }
  return true;
}

bool MatchesKill(const KillFilter& filter, const ClientInfo& client, const ClientInfo& me,
                 int64_t now_ms) {
  if (filter.address && client.address != *filter.address) return false;
  if (filter.local_address && client.local_address != *filter.local_address) return false;
  if (filter.type && TypeOf(client) != *filter.type) return false;
  if (filter.id && client.id != *filter.id) return false;
  if (filter.skip_me && client.id == me.id) return false;
  if (client.Has(kClientCloseSoon)) return false;
  if (filter.age_s_min && (now_ms - client.created_ms) / 1000 < *filter.age_s_min) return false;
  return true;
}

// Another client runs no command that begins after its flag is set; its connection goes when its
// loop looks at its mailbox. This one goes after its reply.
size_t Kill(Context& c, const KillFilter& filter) {
  size_t killed = 0;
  int64_t now_ms = c.services.clock.now_ms();
  for (const auto& client : c.services.clients.All()) {
    if (!MatchesKill(filter, *client, *c.session.info, now_ms)) continue;
    if (client->id == c.session.info->id) {
      c.session.close_after_reply = true;
    } else {
      uint32_t before = client->flags.fetch_or(kClientKilled, std::memory_order_relaxed);
      if ((before & kClientKilled) != 0) continue;  // by another loop meanwhile
      c.services.clients.Post(*client, Delivery::Kind::kKill);
    }
    ++killed;
  }
  return killed;
}

}  // namespace

void ClientKill(Context& c) {
  KillFilter filter;
  if (c.args.size() == 3) {  // CLIENT KILL address
    filter.address = c.args[2];
    filter.skip_me = false;
    if (Kill(c, filter) == 0) return c.reply.Error("ERR No such client");
    return c.reply.Ok();
  }
  for (size_t i = 2; i < c.args.size(); i += 2) {
    if (i + 1 == c.args.size()) return c.reply.Error(errors::kSyntax);
    if (!ReadOption(c, i, &filter)) return;
  }
  c.reply.Integer(static_cast<int64_t>(Kill(c, filter)));
}

}  // namespace fluxkv::command
