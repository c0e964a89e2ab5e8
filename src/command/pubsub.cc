#include "command/pubsub.h"

#include <algorithm>

#include "base/check.h"
#include "base/parse.h"

namespace fluxkv::command {

PubSub::Table& PubSub::TableOf(ChannelKind kind) {
  switch (kind) {
    case ChannelKind::kPattern:
      return patterns_;
    case ChannelKind::kShard:
      return shard_channels_;
    case ChannelKind::kChannel:
      break;
  }
  return channels_;
}

const PubSub::Table& PubSub::TableOf(ChannelKind kind) const {
  return const_cast<PubSub*>(this)->TableOf(kind);
}

void PubSub::Subscribe(ChannelKind kind, const std::string& channel, uint64_t client_id,
                       uint32_t loop) {
  std::lock_guard lock(mutex_);
  TableOf(kind)[channel].push_back({client_id, loop});
  total_.fetch_add(1, std::memory_order_relaxed);
}

void PubSub::Unsubscribe(ChannelKind kind, const std::string& channel, uint64_t client_id,
                         uint32_t loop) {
  std::lock_guard lock(mutex_);
  Table& table = TableOf(kind);
  auto row = table.find(channel);
  CHECK(row != table.end());
  std::vector<Subscriber>& subscribers = row->second;
  auto at = std::find_if(subscribers.begin(), subscribers.end(), [&](const Subscriber& s) {
    return s.client_id == client_id && s.loop == loop;
  });
  CHECK(at != subscribers.end());
  subscribers.erase(at);
  if (subscribers.empty()) table.erase(row);
  total_.fetch_sub(1, std::memory_order_relaxed);
}

size_t PubSub::Publish(std::string_view channel, std::string_view payload, bool shard) {
  if (empty()) return 0;
  std::vector<std::pair<std::vector<Subscriber>, std::shared_ptr<const Delivery>>> messages;
  auto add = [&](Delivery::Kind kind, std::string_view pattern, const std::vector<Subscriber>& to) {
    messages.emplace_back(
        to, std::make_shared<const Delivery>(
                Delivery{kind, std::string(pattern), std::string(channel), std::string(payload)}));
  };
  {
    std::lock_guard lock(mutex_);
    const Table& exact = shard ? shard_channels_ : channels_;
    if (auto row = exact.find(channel); row != exact.end()) {
      add(shard ? Delivery::Kind::kShardMessage : Delivery::Kind::kMessage, {}, row->second);
    }
    if (!shard) {
      for (const auto& [pattern, to] : patterns_) {
        if (GlobMatch(pattern, channel)) add(Delivery::Kind::kPatternMessage, pattern, to);
      }
    }
  }
  size_t receivers = 0;
  for (const auto& [to, delivery] : messages) {
    receivers += to.size();
    Post(to, delivery);
  }
  return receivers;
}

void PubSub::Post(const std::vector<Subscriber>& to,
                  std::shared_ptr<const Delivery> delivery) const {
  std::vector<std::vector<uint64_t>> by_loop(mailboxes_.size());
  for (const Subscriber& subscriber : to) {
    by_loop[subscriber.loop].push_back(subscriber.client_id);
  }
  for (size_t loop = 0; loop < by_loop.size(); ++loop) {
    if (!by_loop[loop].empty()) mailboxes_[loop]->Post(std::move(by_loop[loop]), delivery);
  }
}

std::vector<std::string> PubSub::Channels(ChannelKind kind, std::string_view glob) const {
  std::vector<std::string> names;
  std::lock_guard lock(mutex_);
  for (const auto& [name, subscribers] : TableOf(kind)) {
    if (glob.empty() || GlobMatch(glob, name)) names.push_back(name);
  }
  return names;
}

size_t PubSub::Subscribers(ChannelKind kind, std::string_view channel) const {
  std::lock_guard lock(mutex_);
  const Table& table = TableOf(kind);
  auto row = table.find(channel);
  return row == table.end() ? 0 : row->second.size();
}

size_t PubSub::Count(ChannelKind kind) const {
  std::lock_guard lock(mutex_);
  return TableOf(kind).size();
}

}  // namespace fluxkv::command
