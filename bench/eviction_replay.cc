// Replays a trace through the eviction policies of the engine and prints hit ratios: cache-aside
// (a miss brings the key in), one thread, room for a given number of keys.
//
//   zstd -dc oltp.u64.zst | build/bench/eviction_replay - lru,lfu,arc,random 1869,9344
//
// A trace is one 64-bit little-endian number for each request. Output, a line for each policy
// and number of keys: policy, keys, requests, hits, hit ratio in percent, nanoseconds a request,
// bytes of the policy for each key it has.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "engine/eviction/eviction.h"

namespace fluxkv::engine {
namespace {

struct Outcome {
  uint64_t hits = 0;
  int64_t ns = 0;
  PolicyFigures figures;
};

// The keys that are there, as a server would have them: nodes, which the policy points at.
class Cache {
 public:
  Cache(PolicyKind kind, size_t keys_max) : keys_max_(keys_max), recorder_(eviction_.clock()) {
    Eviction::Session session(eviction_);
    session.Switch(kind, false, kNowS);
    space_.number = *session.NewSpace();
    space_.filed_below = EvictionSpace::kEverything;
    recorder_.Sync(kNowS);
  }
  ~Cache() {
    for (auto& [key, node] : nodes_) Node::Delete(node);
  }

  // True: a hit.
  bool Request(uint64_t key) {
    if (++requests_ % kTurn == 0) recorder_.Sync(kNowS);
    if (requests_ % kTidyEvery == 0) Eviction::Session(eviction_).Tidy(kNowS, kTidyEvery);
    if (auto it = nodes_.find(key); it != nodes_.end()) {
      recorder_.Touch(*it->second);
      return true;
    }
    if (nodes_.size() >= keys_max_) EvictOne();
    const std::string_view bytes(reinterpret_cast<const char*>(&key), sizeof(key));
    Node* node = nodes_[key] = Node::New(bytes, recorder_.Fresh());
    eviction_.NoteChange(0, space_, node, HashBytes(bytes), {}, {.live = true, .expiry_ms = 0});
    return false;
  }
  PolicyFigures figures() { return Eviction::Session(eviction_).figures(); }

 private:
  static constexpr uint32_t kNowS = 1'700'000'000;  // no second passes: ageing is by use alone
  static constexpr uint64_t kTurn = 32;
  static constexpr uint64_t kTidyEvery = 4096;

  void EvictOne() {
    std::vector<Victim> victims;
    Eviction::Session session(eviction_);
    while (victims.empty()) session.Pick(1, &victims);
    Node* node = victims[0].entry.node();
    uint64_t key = 0;
    std::memcpy(&key, node->key().data(), sizeof(key));
    nodes_.erase(key);
    session.NoteEvicted(victims[0]);
    Node::Delete(node);
  }

  const size_t keys_max_;
  Eviction eviction_;
  AccessRecorder recorder_;
  EvictionSpace space_;
  std::unordered_map<uint64_t, Node*> nodes_;
  uint64_t requests_ = 0;
};

Outcome Replay(const std::vector<uint64_t>& trace, PolicyKind kind, size_t keys) {
  Cache cache(kind, keys);
  Outcome outcome;
  const int64_t begin = MonotonicNs();
  for (const uint64_t key : trace) outcome.hits += cache.Request(key) ? 1 : 0;
  outcome.ns = MonotonicNs() - begin;
  outcome.figures = cache.figures();
  return outcome;
}

std::vector<std::string> Split(const std::string& list) {
  std::vector<std::string> parts(1);
  for (const char c : list) {
    if (c == ',') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

int Main(int argc, char** argv) {
  const std::unordered_map<std::string, PolicyKind> kinds = {{"lru", PolicyKind::kLru},
                                                             {"lfu", PolicyKind::kLfu},
                                                             {"arc", PolicyKind::kArc},
                                                             {"random", PolicyKind::kRandom}};
  if (argc != 4) {
    std::fprintf(stderr, "usage: eviction_replay TRACE|- lru,lfu,arc,random KEYS[,KEYS...]\n");
    return 2;
  }
  std::FILE* in = std::strcmp(argv[1], "-") == 0 ? stdin : std::fopen(argv[1], "rb");
  if (in == nullptr) {
    std::perror(argv[1]);
    return 1;
  }
  std::vector<uint64_t> trace, block(65536);
  for (size_t n; (n = std::fread(block.data(), sizeof(uint64_t), block.size(), in)) > 0;)
    trace.insert(trace.end(), block.begin(), block.begin() + static_cast<ptrdiff_t>(n));
  for (const std::string& keys : Split(argv[3])) {
    for (const std::string& policy : Split(argv[2])) {
      auto kind = kinds.find(policy);
      const size_t count = std::strtoull(keys.c_str(), nullptr, 10);
      if (kind == kinds.end() || count == 0 || trace.empty()) {
        std::fprintf(stderr, "no such policy or number, or an empty trace\n");
        return 2;
      }
      const Outcome o = Replay(trace, kind->second, count);
      const double requests = static_cast<double>(trace.size());
      std::printf(
          "%s %zu %zu %llu %.2f %.0f %.1f\n", policy.c_str(), count, trace.size(),
          static_cast<unsigned long long>(o.hits), 100.0 * static_cast<double>(o.hits) / requests,
          static_cast<double>(o.ns) / requests,
          static_cast<double>(o.figures.allocated_bytes) / static_cast<double>(o.figures.entries));
      std::fflush(stdout);
    }
  }
  return 0;
}

}  // namespace
}  // namespace fluxkv::engine

int main(int argc, char** argv) {
  return fluxkv::engine::Main(argc, argv);
}
