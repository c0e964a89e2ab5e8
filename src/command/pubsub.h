// Who is subscribed to what, over all loops, and the way of a message to them.
//
// P1. A client is in `subscribers` of a channel exactly while the channel is in its session's set
//     (both changed by its loop).
// P2. Publish posts to each loop that has a subscriber once, with that loop's subscribers' ids; a
//     client gets a message once for each of its matching subscriptions, exact channel first, then
//     patterns, as in Redis. A message that is still under way when its receiver unsubscribes is
//     dropped at delivery.
// P3. Names are matched with patterns outside the mutex, on a copy of the patterns that is made
//     when the first message after a change of them needs it.
// Threads: all methods from any thread (the collector publishes keyspace events as well); one
// mutex, held for looking up and copying only. `empty()` is one relaxed load for the fast path.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "command/mailbox.h"

namespace fluxkv::command {

enum class ChannelKind : uint8_t { kChannel, kPattern, kShard };

class PubSub {
 public:
  // The loops' mailboxes, by loop number. Called once, before any client exists.
  void SetMailboxes(std::vector<Mailbox*> mailboxes) { mailboxes_ = std::move(mailboxes); }

  void Subscribe(ChannelKind kind, const std::string& channel, uint64_t client_id, uint32_t loop);
  void Unsubscribe(ChannelKind kind, const std::string& channel, uint64_t client_id, uint32_t loop);
  // Number of clients that received it (a client with two matching patterns counts twice, as in
  // Redis). `stamp` is that of the delivery.
  size_t Publish(std::string_view channel, std::string_view payload, bool shard,
                 engine::Stamp stamp);

  // How many Publish would reach now.
  size_t Receivers(std::string_view channel, bool shard) const;

  std::vector<std::string> Channels(ChannelKind kind,
                                    std::string_view glob) const;  // empty glob: all
  size_t Subscribers(ChannelKind kind, std::string_view channel) const;
  size_t PatternCount() const { return Count(ChannelKind::kPattern); }  // distinct patterns
  size_t ChannelCount() const { return Count(ChannelKind::kChannel); }  // distinct channels
  size_t ShardChannelCount() const { return Count(ChannelKind::kShard); }
  bool empty() const { return total_.load(std::memory_order_relaxed) == 0; }

 private:
  struct Subscriber {
    uint64_t client_id;
    uint32_t loop;
  };
  using Patterns = std::vector<std::pair<std::string, std::vector<Subscriber>>>;
  using Table = std::map<std::string, std::vector<Subscriber>, std::less<>>;
  Table& TableOf(ChannelKind kind);
  const Table& TableOf(ChannelKind kind) const;
  // Requires: the mutex.
  std::shared_ptr<const Patterns> PatternsNow();
  size_t Count(ChannelKind kind) const;
  void Post(const std::vector<Subscriber>& to, std::shared_ptr<const Delivery> delivery) const;

  mutable std::mutex mutex_;
  Table channels_, patterns_, shard_channels_;  // guarded by mutex_
  // What patterns_ holds, or null after a change; the pointer is guarded by mutex_.
  std::shared_ptr<const Patterns> patterns_copy_;
  std::atomic<size_t> total_{0};
  std::vector<Mailbox*> mailboxes_;
};

}  // namespace fluxkv::command
