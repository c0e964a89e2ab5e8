// The numeric options that CONFIG SET may change, for the threads that read them on their way.
//
//   if (clients > settings.maxclients.load(std::memory_order_relaxed)) ...
//
// Threads: any thread reads; Config writes. All loads and stores are relaxed: each value stands
//          alone, publishes nothing else, and a reader that sees the former value for a moment
//          acts as if it had run a moment earlier.
// Units:   in the names.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace fluxkv::config {

// In the order of the texts of maxmemory-policy.
enum class EvictionPolicy : int {
  kVolatileLru,
  kVolatileLfu,
  kVolatileRandom,
  kVolatileTtl,
  kVolatileArc,
  kAllkeysLru,
  kAllkeysLfu,
  kAllkeysRandom,
  kAllkeysArc,
  kNoEviction,
};

// In the order of the texts of loglevel.
enum class LogLevel : int { kDebug, kVerbose, kNotice, kWarning, kNothing };

// Who may use DEBUG and protected options, in the order of the texts.
enum class Permission : int { kNo, kYes, kLocal };

// In the order of the texts of supervised.
enum class Supervised : int { kUpstart, kSystemd, kAuto, kNo };

// What a reply promises, in the order of the texts of durability.mode.
enum class Durability : int { kNone, kRelaxed, kFull };

enum class Isolation : int { kSerializable, kSnapshot };

// Classes of clients that have their own output buffer limits.
enum class ClientClass : size_t { kNormal, kReplica, kPubsub };
inline constexpr size_t kClientClasses = 3;

// 0 means no limit. Over `hard_bytes`, or for `soft_seconds` over `soft_bytes`,
// the connection is closed.
struct OutputBufferLimit {
  std::atomic<int64_t> hard_bytes{0};
  std::atomic<int64_t> soft_bytes{0};
  std::atomic<int64_t> soft_seconds{0};
};

struct Settings {
  using Number = std::atomic<int64_t>;

  Number maxclients{0};
  Number timeout_s{0};
  Number tcp_keepalive_s{0};
  Number protected_mode{0};   // 0 or 1
  Number requirepass_set{0};  // 1 when a password is needed; the text is Config::requirepass()
  Number proto_max_bulk_bytes{0};
  Number query_buffer_bytes_max{0};
  Number log_level{0};         // a LogLevel
  Number maxmemory_bytes{0};   // 0: no limit
  Number maxmemory_policy{0};  // an EvictionPolicy
  Number lfu_log_factor{0};
  Number lfu_decay_minutes{0};       // 0: frequencies never fall
  Number maxmemory_clients{0};       // bytes; below 0: that many percent of maxmemory; 0: no limit
  Number notify_flags{0};            // NotifyFlag bits
  Number slowlog_slower_than_us{0};  // below 0: off
  Number slowlog_entries_max{0};
  Number latency_threshold_ms{0};  // 0: off
  Number latency_tracking{0};      // 0 or 1
  Number vacuum_interval_ms{0};
  Number transaction_timeout_ms{0};  // 0: never
  Number transactions_open_max{0};
  Number transaction_bytes_max{0};
  Number durability_mode{0};        // a Durability
  Number flush_interval_ms{0};      // of mode relaxed; 0: not by time
  Number flush_after_commits{0};    // of mode relaxed; 0: not by commits
  Number flush_after_bytes{0};      // of mode relaxed; 0: not by bytes of log
  Number snapshot_after_bytes{0};   // of log; 0: off
  Number snapshot_interval_s{0};    // 0: off
  Number snapshot_key_delay_us{0};  // behind each key, for test suites
  Number hz{0};
  std::array<OutputBufferLimit, kClientClasses> output_buffer;

  EvictionPolicy policy() const {
    return static_cast<EvictionPolicy>(maxmemory_policy.load(std::memory_order_relaxed));
  }
  // Whether nodes hold frequencies instead of times.
  bool tracks_frequencies() const {
    return policy() == EvictionPolicy::kAllkeysLfu || policy() == EvictionPolicy::kVolatileLfu;
  }
  Durability durability() const {
    return static_cast<Durability>(durability_mode.load(std::memory_order_relaxed));
  }
  uint32_t notify() const {
    return static_cast<uint32_t>(notify_flags.load(std::memory_order_relaxed));
  }
  LogLevel level() const {
    return static_cast<LogLevel>(log_level.load(std::memory_order_relaxed));
  }
  const OutputBufferLimit& output_buffer_limit(ClientClass c) const {
    return output_buffer[static_cast<size_t>(c)];
  }
};

}  // namespace fluxkv::config
