// For tests of eviction: keys with numbers for names, their nodes, and one thread that changes
// them and evicts. A node is freed at once, so that a policy which looks at one that went is
// caught by AddressSanitizer, and addresses come again.
#pragma once

#include <map>
#include <optional>

#include "engine/eviction/eviction.h"
#include "tests/engine/test_support.h"

namespace fluxkv::engine {

class EvictionCache {
 public:
  static constexpr uint32_t kNowS = 1'700'000'000;

  explicit EvictionCache(PolicyKind kind, bool volatile_only = false, uint64_t seed = 1)
      : recorder_(eviction_.clock(), seed) {
    Eviction::Session session(eviction_);
    session.Switch(kind, volatile_only, kNowS);
    space_.number = *session.NewSpace();
    space_.filed_below = EvictionSpace::kEverything;
    recorder_.Sync(kNowS);
  }
  ~EvictionCache() {
    for (auto& [key, known] : keys_) Node::Delete(known.node);
  }

  // A read or an overwrite, or a new key.
  void Use(uint64_t key) {
    if (auto it = keys_.find(key); it != keys_.end()) {
      recorder_.Touch(*it->second.node);
    } else {
      Insert(key, 0);
    }
  }
  void Insert(uint64_t key, int64_t expiry_ms) {
    const std::string_view bytes(reinterpret_cast<const char*>(&key), sizeof(key));
    Node* node = Node::New(bytes, recorder_.Fresh());
    keys_[key] = {node, {.live = true, .expiry_ms = expiry_ms}};
    eviction_.NoteChange(0, space_, node, HashBytes(bytes), {}, keys_[key].state);
  }
  void SetDeadline(uint64_t key, int64_t expiry_ms) {
    Known& known = keys_.at(key);
    const KeyState is{.live = true, .expiry_ms = expiry_ms};
    eviction_.NoteChange(0, space_, known.node, HashBytes(known.node->key()), known.state, is);
    known.state = is;
  }
  void Delete(uint64_t key) {
    const Known known = keys_.at(key);
    eviction_.NoteChange(0, space_, known.node, HashBytes(known.node->key()), known.state, {});
    Forget(key);
  }
  // The key that went; nullopt: there was none to evict. Requires: no victim is in any hands.
  std::optional<uint64_t> Evict() {
    std::vector<Victim> victims;
    Eviction::Session session(eviction_);
    while (victims.empty() && session.keys() > 0) session.Pick(1, &victims);
    if (victims.empty()) return std::nullopt;
    const uint64_t key = KeyOf(victims[0].entry.node());
    session.NoteEvicted(victims[0]);
    evicted_state_ = keys_.at(key).state;
    Forget(key);
    return key;
  }
  // What the key that went last had been.
  KeyState evicted_state() const { return evicted_state_; }
  bool Tidy(size_t budget, uint32_t now_s = kNowS) {
    recorder_.Sync(now_s);
    const bool done = Eviction::Session(eviction_).Tidy(now_s, budget);
    recorder_.Sync(now_s);
    return done;
  }

  static uint64_t KeyOf(const Node* node) {
    uint64_t key = 0;
    std::memcpy(&key, node->key().data(), sizeof(key));
    return key;
  }
  bool Has(uint64_t key) const { return keys_.count(key) > 0; }
  size_t size() const { return keys_.size(); }
  size_t evictable() { return Eviction::Session(eviction_).keys(); }
  Node& node(uint64_t key) { return *keys_.at(key).node; }
  Eviction& eviction() { return eviction_; }
  EvictionSpace& space() { return space_; }
  AccessRecorder& recorder() { return recorder_; }
  PolicyFigures figures() { return Eviction::Session(eviction_).figures(); }
  struct Known {
    Node* node;
    KeyState state;
  };
  const std::map<uint64_t, Known>& keys() const { return keys_; }

 private:
  void Forget(uint64_t key) {
    Node::Delete(keys_.at(key).node);
    keys_.erase(key);
  }

  Eviction eviction_;
  AccessRecorder recorder_;
  EvictionSpace space_;
  std::map<uint64_t, Known> keys_;
  KeyState evicted_state_;
};

}  // namespace fluxkv::engine
