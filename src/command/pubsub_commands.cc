// SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE and their opposites, PUBLISH, SPUBLISH, PUBSUB.
#include "command/help_reply.h"
#include "command/services.h"
#include "command/table.h"

namespace fluxkv::command {
namespace {

// One kind of subscription: where the session keeps it and what its confirmations are called.
struct Subscribing {
  ChannelKind channel_kind;
  std::unordered_set<std::string> Session::*names;
  std::string_view subscribed;
  std::string_view unsubscribed;
};

constexpr Subscribing kChannels = {ChannelKind::kChannel, &Session::channels, "subscribe",
                                   "unsubscribe"};
constexpr Subscribing kPatterns = {ChannelKind::kPattern, &Session::patterns, "psubscribe",
                                   "punsubscribe"};
constexpr Subscribing kShards = {ChannelKind::kShard, &Session::shard_channels, "ssubscribe",
                                 "sunsubscribe"};

// Channels and patterns are counted together, shard channels by themselves.
int64_t CountShown(const Session& session, const Subscribing& kind) {
  size_t count = kind.channel_kind == ChannelKind::kShard
                     ? session.shard_channels.size()
                     : session.channels.size() + session.patterns.size();
  return static_cast<int64_t>(count);
}

void Confirm(Context& c, const Subscribing& kind, std::string_view what, const std::string* name) {
  c.reply.PushHeader(3);
  c.reply.Bulk(what);
  if (name != nullptr) {
    c.reply.Bulk(*name);
  } else {
    c.reply.Null();
  }
  c.reply.Integer(CountShown(c.session, kind));
}

void SubscribeTo(Context& c, const Subscribing& kind) {
  for (std::string_view argument : c.args.subspan(1)) {
    std::string name(argument);
    if ((c.session.*kind.names).insert(name).second) {
      c.services.pubsub.Subscribe(kind.channel_kind, name, c.session.info->id,
                                  c.session.info->loop);
    }
    Confirm(c, kind, kind.subscribed, &name);
  }
  ShowSubscriptions(c.session);
}

void UnsubscribeFrom(Context& c, const Subscribing& kind) {
  std::unordered_set<std::string>& own = c.session.*kind.names;
  std::vector<std::string> names(c.args.begin() + 1, c.args.end());
  bool all = names.empty();
  if (all) names.assign(own.begin(), own.end());
  for (const std::string& name : names) {
    if (own.erase(name) != 0) {
      c.services.pubsub.Unsubscribe(kind.channel_kind, name, c.session.info->id,
                                    c.session.info->loop);
    }
    Confirm(c, kind, kind.unsubscribed, &name);
  }
  if (names.empty()) Confirm(c, kind, kind.unsubscribed, nullptr);
  ShowSubscriptions(c.session);
}

void Subscribe(Context& c) {
  SubscribeTo(c, kChannels);
}
void Psubscribe(Context& c) {
  SubscribeTo(c, kPatterns);
}
void Ssubscribe(Context& c) {
  SubscribeTo(c, kShards);
}
void Unsubscribe(Context& c) {
  UnsubscribeFrom(c, kChannels);
}
void Punsubscribe(Context& c) {
  UnsubscribeFrom(c, kPatterns);
}
void Sunsubscribe(Context& c) {
  UnsubscribeFrom(c, kShards);
}

void PublishTo(Context& c, bool shard) {
  if (c.session.open != nullptr) {  // goes out at COMMIT
    c.session.open->Tell(PendingMessage{std::string(c.args[1]), std::string(c.args[2]), shard});
    return c.reply.Integer(static_cast<int64_t>(c.services.pubsub.Receivers(c.args[1], shard)));
  }
  size_t receivers =
      c.services.pubsub.Publish(c.args[1], c.args[2], shard, StampOfMessage(c.session, c.loop));
  c.reply.Integer(static_cast<int64_t>(receivers));
}

void Publish(Context& c) {
  PublishTo(c, /*shard=*/false);
}
void Spublish(Context& c) {
  PublishTo(c, /*shard=*/true);
}

void ListChannels(Context& c, ChannelKind kind) {
  if (c.args.size() > 3) return ReplyUnknownSubcommand(c);
  bool filtered = c.args.size() == 3;
  std::vector<std::string> names;
  // No channel is matched by an empty pattern but the empty one.
  if (filtered && c.args[2].empty()) {
    if (c.services.pubsub.Subscribers(kind, "") != 0) names.emplace_back();
  } else {
    names = c.services.pubsub.Channels(kind, filtered ? c.args[2] : std::string_view());
  }
  c.reply.ArrayHeader(names.size());
  for (const std::string& name : names) c.reply.Bulk(name);
}

void CountSubscribers(Context& c, ChannelKind kind) {
  std::span<const std::string_view> names = c.args.subspan(2);
  c.reply.ArrayHeader(names.size() * 2);
  for (std::string_view name : names) {
    c.reply.Bulk(name);
    c.reply.Integer(static_cast<int64_t>(c.services.pubsub.Subscribers(kind, name)));
  }
}

void PubSubChannels(Context& c) {
  ListChannels(c, ChannelKind::kChannel);
}
void PubSubShardChannels(Context& c) {
  ListChannels(c, ChannelKind::kShard);
}
void PubSubNumSub(Context& c) {
  CountSubscribers(c, ChannelKind::kChannel);
}
void PubSubShardNumSub(Context& c) {
  CountSubscribers(c, ChannelKind::kShard);
}
void PubSubNumPat(Context& c) {
  c.reply.Integer(static_cast<int64_t>(c.services.pubsub.PatternCount()));
}

constexpr std::string_view kPubsubHelp[] = {
    "CHANNELS [<pattern>]",
    "    Return the currently active channels matching a <pattern> (default: '*').",
    "NUMPAT",
    "    Return number of subscriptions to patterns.",
    "NUMSUB [<channel> ...]",
    "    Return the number of subscribers for the specified channels, excluding",
    "    pattern subscriptions(default: no channels).",
    "SHARDCHANNELS [<pattern>]",
    "    Return the currently active shard level channels matching a <pattern> (default: '*').",
    "SHARDNUMSUB [<shardchannel> ...]",
    "    Return the number of subscribers for the specified shard level channel(s)",
};

void PubSubHelp(Context& c) {
  ReplyHelp(c, kPubsubHelp);
}

constexpr uint32_t kAskFlags = kPubSub | kLoading | kStale;

constexpr Command kPubSubRows[] = {
    {.name = "channels",
     .arity = -2,
     .flags = kAskFlags,
     .group = Group::kPubSub,
     .since = "2.8.0",
     .complexity = "O(N) where N is the number of active channels, and assuming constant time "
                   "pattern matching (relatively short channels and patterns)",
     .summary = "Returns the active channels.",
     .handler = &PubSubChannels,
     .parent = "pubsub"},
    {.name = "help",
     .arity = 2,
     .flags = kLoading | kStale,
     .group = Group::kPubSub,
     .since = "6.2.0",
     .summary = "Returns helpful text about the different subcommands.",
     .handler = &PubSubHelp,
     .parent = "pubsub"},
    {.name = "numpat",
     .arity = 2,
     .flags = kAskFlags,
     .group = Group::kPubSub,
     .since = "2.8.0",
     .summary = "Returns a count of unique pattern subscriptions.",
     .handler = &PubSubNumPat,
     .parent = "pubsub"},
    {.name = "numsub",
     .arity = -2,
     .flags = kAskFlags,
     .group = Group::kPubSub,
     .since = "2.8.0",
     .complexity = "O(N) for the NUMSUB subcommand, where N is the number of requested channels",
     .summary = "Returns a count of subscribers to channels.",
     .handler = &PubSubNumSub,
     .parent = "pubsub"},
    {.name = "shardchannels",
     .arity = -2,
     .flags = kAskFlags,
     .group = Group::kPubSub,
     .since = "7.0.0",
     .complexity = "O(N) where N is the number of active shard channels, and assuming constant "
                   "time pattern matching (relatively short shard channels).",
     .summary = "Returns the active shard channels.",
     .handler = &PubSubShardChannels,
     .parent = "pubsub"},
    {.name = "shardnumsub",
     .arity = -2,
     .flags = kAskFlags,
     .group = Group::kPubSub,
     .since = "7.0.0",
     .complexity = "O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard "
                   "channels",
     .summary = "Returns the count of subscribers of shard channels.",
     .handler = &PubSubShardNumSub,
     .parent = "pubsub"},
};

constexpr uint32_t kSubscribeFlags =
    kPubSub | kNoScript | kLoading | kStale | kAllowedInPubSub | kAfterCommit | kNotInTransaction;
constexpr uint32_t kPublishFlags =
    kPubSub | kLoading | kStale | kFast | kMayReplicate | kAfterCommit;

constexpr Command kPubsubRows[] = {
    {.name = "subscribe",
     .arity = -2,
     .flags = kSubscribeFlags,
     .group = Group::kPubSub,
     .since = "2.0.0",
     .complexity = "O(N) where N is the number of channels to subscribe to.",
     .summary = "Listens for messages published to channels.",
     .handler = &Subscribe},
    {.name = "psubscribe",
     .arity = -2,
     .flags = kSubscribeFlags,
     .group = Group::kPubSub,
     .since = "2.0.0",
     .complexity = "O(N) where N is the number of patterns to subscribe to.",
     .summary = "Listens for messages published to channels that match one or more patterns.",
     .handler = &Psubscribe},
    {.name = "ssubscribe",
     .arity = -2,
     .flags = kSubscribeFlags,
     .keys = {1, -1, 1},
     .group = Group::kPubSub,
     .since = "7.0.0",
     .complexity = "O(N) where N is the number of shard channels to subscribe to.",
     .summary = "Listens for messages published to shard channels.",
     .handler = &Ssubscribe},
    {.name = "unsubscribe",
     .arity = -1,
     .flags = kSubscribeFlags,
     .group = Group::kPubSub,
     .since = "2.0.0",
     .complexity = "O(N) where N is the number of channels to unsubscribe.",
     .summary = "Stops listening to messages posted to channels.",
     .handler = &Unsubscribe},
    {.name = "punsubscribe",
     .arity = -1,
     .flags = kSubscribeFlags,
     .group = Group::kPubSub,
     .since = "2.0.0",
     .complexity = "O(N) where N is the number of patterns to unsubscribe.",
     .summary =
         "Stops listening to messages published to channels that match one or more patterns.",
     .handler = &Punsubscribe},
    {.name = "sunsubscribe",
     .arity = -1,
     .flags = kSubscribeFlags,
     .keys = {1, -1, 1},
     .group = Group::kPubSub,
     .since = "7.0.0",
     .complexity = "O(N) where N is the number of shard channels to unsubscribe.",
     .summary = "Stops listening to messages posted to shard channels.",
     .handler = &Sunsubscribe},
    {.name = "publish",
     .arity = 3,
     .flags = kPublishFlags,
     .group = Group::kPubSub,
     .since = "2.0.0",
     .complexity =
         "O(N+M) where N is the number of clients subscribed to the receiving channel and M is the "
         "total number of subscribed patterns (by any client).",
     .summary = "Posts a message to a channel.",
     .handler = &Publish},
    {.name = "spublish",
     .arity = 3,
     .flags = kPublishFlags,
     .keys = {1, 1, 1},
     .group = Group::kPubSub,
     .since = "7.0.0",
     .complexity =
         "O(N) where N is the number of clients subscribed to the receiving shard channel.",
     .summary = "Post a message to a shard channel",
     .handler = &Spublish},
    {.name = "pubsub",
     .arity = -2,
     .group = Group::kPubSub,
     .since = "2.8.0",
     .complexity = "Depends on subcommand.",
     .summary = "A container for Pub/Sub commands.",
     .subcommands = kPubSubRows},
};

}  // namespace

std::span<const Command> PubSubCommands() {
  return kPubsubRows;
}

}  // namespace fluxkv::command
