// AUTH, ECHO, HELLO, PING, QUIT, RESET, SELECT.
#include <algorithm>
#include <limits>
#include <string>

#include "base/parse.h"
#include "base/version.h"
#include "command/connection.h"
#include "command/context.h"
#include "command/errors.h"
#include "command/services.h"
#include "command/table.h"

namespace fluxkv::command {
namespace {

constexpr std::string_view kDefaultUser = "default";

bool NeedsPassword(const Context& c) {
  return c.services.config.settings().requirepass_set.load(std::memory_order_relaxed) != 0;
}

// Takes as long for a wrong guess as for a nearly right one:
// the time depends on the guess's size alone.
bool SameSecret(std::string_view guess, std::string_view secret) {
  size_t difference = guess.size() ^ secret.size();
  for (size_t i = 0; i < guess.size(); ++i) {
    char other = secret.empty() ? '\0' : secret[i % secret.size()];
    difference |= static_cast<unsigned char>(guess[i] ^ other);
  }
  return difference == 0;
}

// The only user is the default one. False after answering the error.
bool Authenticate(Context& c, std::string_view user, std::string_view password) {
  bool good = user == kDefaultUser &&
              (!NeedsPassword(c) || SameSecret(password, c.services.config.requirepass()));
  if (good) {
    c.session.authenticated = true;
    return true;
  }
  c.services.stats.acl_denied_auth.fetch_add(1, std::memory_order_relaxed);
  c.reply.Error("WRONGPASS invalid username-password pair or user is disabled.");
  return false;
}

void Auth(Context& c) {
  if (c.args.size() > 3) return c.reply.Error(errors::kSyntax);
  c.Redact(1);
  c.Redact(2);
  bool old_form = c.args.size() == 2;
  if (old_form && !NeedsPassword(c)) {
    return c.reply.Error(
        "ERR AUTH <password> called without any password configured for the default user. Are you "
        "sure your configuration is correct?");
  }
  if (Authenticate(c, old_form ? kDefaultUser : c.args[1], c.args.back())) c.reply.Ok();
}

struct HelloOptions {
  int protocol = 0;  // 0: stays
  bool has_name = false;
  bool has_password = false;
  std::string_view name, user, password;
};

// False after answering the error.
bool ParseHello(Context& c, HelloOptions* options) {
  if (c.args.size() >= 2) {
    auto protocol = ParseInt64(c.args[1]);
    if (!protocol.has_value()) {
      c.reply.Error("ERR Protocol version is not an integer or out of range");
      return false;
    }
    if (*protocol < 2 || *protocol > 3) {
      c.reply.Error("NOPROTO unsupported protocol version");
      return false;
    }
    options->protocol = static_cast<int>(*protocol);
  }
  for (size_t i = 2; i < c.args.size(); ++i) {
    size_t more = c.args.size() - 1 - i;
    if (EqualsIgnoreCase(c.args[i], "auth") && more >= 2) {
      c.Redact(i + 1);
      c.Redact(i + 2);
      options->has_password = true;
      options->user = c.args[i + 1];
      options->password = c.args[i + 2];
      i += 2;
    } else if (EqualsIgnoreCase(c.args[i], "setname") && more >= 1) {
      options->has_name = true;
      options->name = c.args[++i];
      auto printable = [](char byte) { return byte >= '!' && byte <= '~'; };
      if (!std::all_of(options->name.begin(), options->name.end(), printable)) {
        c.reply.Error("ERR Client names cannot contain spaces, newlines or special characters.");
        return false;
      }
    } else {
      c.reply.Error("ERR Syntax error in HELLO option '" + std::string(c.args[i]) + "'");
      return false;
    }
  }
  return true;
}

void SetName(Context& c, std::string_view name) {
  std::lock_guard lock(c.session.info->mutex);
  c.session.info->name = name;
}

void Hello(Context& c) {
  HelloOptions options;
  if (!ParseHello(c, &options)) return;
  if (options.has_password && !Authenticate(c, options.user, options.password)) return;
  if (!c.session.authenticated && NeedsPassword(c)) {
    return c.reply.Error(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
        "<proto> AUTH <user> <pass> option can be used to authenticate the client and select the "
        "RESP protocol version at the same time");
  }
  if (options.has_name) SetName(c, options.name);
  if (options.protocol != 0) SetProtocol(c.session, options.protocol);
  c.reply.set_protocol(c.session.protocol);
  auto text = [&](std::string_view field, std::string_view value) {
    c.reply.Bulk(field);
    c.reply.Bulk(value);
  };
  c.reply.MapHeader(8);
  text("server", "redis");
  text("version", kRedisVersion);
  c.reply.Bulk("proto");
  c.reply.Integer(c.session.protocol);
  c.reply.Bulk("id");
  c.reply.Integer(static_cast<int64_t>(c.session.info->id));
  text("mode", "standalone");
  text("role", "master");
  c.reply.Bulk("modules");
  c.reply.ArrayHeader(0);
  text("fluxkv_version", kVersion);
}

void Ping(Context& c) {
  if (c.args.size() > 2) {
    return c.reply.Error("ERR wrong number of arguments for 'ping' command");
  }
  if (c.session.protocol == 2 && c.session.subscriptions() != 0) {
    c.reply.ArrayHeader(2);
    c.reply.Bulk("pong");
    return c.reply.Bulk(c.args.size() == 2 ? c.args[1] : std::string_view());
  }
  if (c.args.size() == 2) return c.reply.Bulk(c.args[1]);
  c.reply.Raw(resp::replies::kPong);
}

void Echo(Context& c) {
  c.reply.Bulk(c.args[1]);
}

void Quit(Context& c) {
  c.session.close_after_reply = true;
  c.reply.Ok();
}

void Reset(Context& c) {
  Session& session = c.session;
  ReleaseSession(session, c.services);
  SelectDatabase(session, 0);
  SetProtocol(session, 2);
  c.reply.set_protocol(2);
  session.authenticated = !NeedsPassword(c);
  session.reply_mode = ReplyMode::kOn;
  session.no_touch = false;
  session.no_evict = false;
  SetFlag(session, kClientNoTouch, false);
  SetFlag(session, kClientNoEvict, false);
  SetName(c, {});
  c.reply.SimpleString("RESET");
}

void Select(Context& c) {
  constexpr int64_t kLow = std::numeric_limits<int32_t>::min();
  constexpr int64_t kHigh = std::numeric_limits<int32_t>::max();
  auto number = ParseInt64(c.args[1]);
  if (!number.has_value()) return c.reply.Error(errors::kNotInteger);
  if (*number < kLow || *number > kHigh) {
    return c.reply.Error("ERR value is out of range, value must between " + std::to_string(kLow) +
                         " and " + std::to_string(kHigh));
  }
  auto db = SelectedBy(c.args, c.services.database);
  if (!db.has_value()) return c.reply.Error(errors::kDbOutOfRange);
  SelectDatabase(c.session, *db);
  c.reply.Ok();
}

constexpr uint32_t kAlways = kNoScript | kLoading | kStale | kFast | kNoAuth | kAllowBusy;

constexpr Command kConnectionRows[] = {
    {.name = "auth",
     .arity = -2,
     .flags = kAlways | kAfterCommit,
     .group = Group::kConnection,
     .acl = kAclConnection,
     .since = "1.0.0",
     .complexity = "O(N) where N is the number of passwords defined for the user",
     .summary = "Authenticates the connection.",
     .handler = &Auth},
    {.name = "echo",
     .arity = 2,
     .flags = kLoading | kStale | kFast,
     .group = Group::kConnection,
     .acl = kAclConnection,
     .since = "1.0.0",
     .summary = "Returns the given string.",
     .handler = &Echo},
    {.name = "hello",
     .arity = -1,
     .flags = kAlways,
     .group = Group::kConnection,
     .acl = kAclConnection,
     .since = "6.0.0",
     .summary = "Handshakes with the Redis server.",
     .handler = &Hello},
    {.name = "ping",
     .arity = -1,
     .flags = kFast | kAllowedInPubSub,
     .group = Group::kConnection,
     .acl = kAclConnection,
     .since = "1.0.0",
     .summary = "Returns the server's liveliness response.",
     .handler = &Ping},
    {.name = "quit",
     .arity = -1,
     .flags = kAlways | kRunsInMulti | kAllowedInPubSub,
     .group = Group::kConnection,
     .acl = kAclConnection,
     .since = "1.0.0",
     .summary = "Closes the connection.",
     .handler = &Quit},
    {.name = "reset",
     .arity = 1,
     .flags = kAlways | kRunsInMulti | kAllowedInPubSub,
     .group = Group::kConnection,
     .acl = kAclConnection,
     .since = "6.2.0",
     .summary = "Resets the connection.",
     .handler = &Reset},
    {.name = "select",
     .arity = 2,
     .flags = kLoading | kStale | kFast,
     .group = Group::kConnection,
     .acl = kAclConnection,
     .since = "1.0.0",
     .summary = "Changes the selected database.",
     .handler = &Select},
};

}  // namespace

bool IsSelect(const Command& command) {
  return command.handler == &Select;
}

bool IsHello(const Command& command) {
  return command.handler == &Hello;
}

std::optional<uint32_t> SelectedBy(std::span<const std::string_view> arguments,
                                   const engine::Database& database) {
  auto number = ParseInt64(arguments[1]);
  if (!number.has_value() || *number < 0 || *number >= int64_t{database.databases()}) {
    return std::nullopt;
  }
  return static_cast<uint32_t>(*number);
}

std::span<const Command> ConnectionCommands() {
  return kConnectionRows;
}

}  // namespace fluxkv::command
