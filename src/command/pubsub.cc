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
  if (kind == ChannelKind::kPattern) patterns_copy_.reset();
  total_.fetch_add(1, std::memory_order_relaxed);
}

void PubSub::Unsubscribe(ChannelKind kind, const std::string& channel, uint64_t client_id,
                         uint32_t loop) {
  std::lock_guard lock(mutex_);
  Table& table = TableOf(kind);
  auto row = table.find(channel);
  ASSERT(row != table.end());
  std::vector<Subscriber>& subscribers = row->second;
  auto at = std::find_if(subscribers.begin(), subscribers.end(), [&](const Subscriber& s) {
    return s.client_id == client_id && s.loop == loop;
  });
  ASSERT(at != subscribers.end());
  subscribers.erase(at);
  if (kind == ChannelKind::kPattern) patterns_copy_.reset();
  if (subscribers.empty()) table.erase(row);
  total_.fetch_sub(1, std::memory_order_relaxed);
}

std::shared_ptr<const PubSub::Patterns> PubSub::PatternsNow() {
  if (patterns_copy_ == nullptr) {
    patterns_copy_ = std::make_shared<const Patterns>(patterns_.begin(), patterns_.end());
  }
  return patterns_copy_;
}

size_t PubSub::Publish(std::string_view channel, std::string_view payload, bool shard,
                       engine::Stamp stamp) {
  if (empty()) return 0;
  std::vector<Subscriber> exact_to;
  std::shared_ptr<const Patterns> patterns;
  {
    std::lock_guard lock(mutex_);
    const Table& exact = shard ? shard_channels_ : channels_;
    if (auto row = exact.find(channel); row != exact.end()) exact_to = row->second;
    if (!shard && !patterns_.empty()) patterns = PatternsNow();
  }
  size_t receivers = 0;
  std::shared_ptr<const Delivery::Message> message;
  auto post = [&](Delivery::Kind kind, const std::string& pattern,
                  const std::vector<Subscriber>& to) {
    if (message == nullptr) {
      message = std::make_shared<const Delivery::Message>(
          Delivery::Message{std::string(channel), std::string(payload)});
    }
    receivers += to.size();
    Post(to, std::make_shared<const Delivery>(Delivery{kind, pattern, message, stamp}));
  };
  if (!exact_to.empty()) {
    post(shard ? Delivery::Kind::kShardMessage : Delivery::Kind::kMessage, {}, exact_to);
  }
  if (patterns == nullptr) return receivers;
  for (const auto& [pattern, to] : *patterns) {
    if (GlobMatch(pattern, channel)) post(Delivery::Kind::kPatternMessage, pattern, to);
  }
  return receivers;
}

size_t PubSub::Receivers(std::string_view channel, bool shard) const {
  std::lock_guard lock(mutex_);
  const Table& exact = shard ? shard_channels_ : channels_;
  const auto row = exact.find(channel);
  size_t receivers = row == exact.end() ? 0 : row->second.size();
  if (shard) return receivers;
  for (const auto& [pattern, to] : patterns_) {
    if (GlobMatch(pattern, channel)) receivers += to.size();
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
  {
    std::lock_guard lock(mutex_);
    const Table& table = TableOf(kind);
    names.reserve(table.size());
    for (const auto& [name, subscribers] : table) names.push_back(name);
  }
  if (!glob.empty()) {
    std::erase_if(names, [&](const std::string& name) { return !GlobMatch(glob, name); });
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
