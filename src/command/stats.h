// Counters of the server. Each loop has its own LoopStats, written by it alone with relaxed stores,
// summed by INFO: no counter is shared on the way of a command.
// What happens rarely is in ServerStats.
// Threads: a LoopStats is written by its loop; read by any.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace fluxkv::command {

// A counter with one writer: add is a plain load and store, not a locked instruction.
class Counter {
 public:
  void Add(uint64_t n) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void Max(uint64_t n) {
    if (n > value_.load(std::memory_order_relaxed)) value_.store(n, std::memory_order_relaxed);
  }
  void Reset() { value_.store(0, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// Latency histogram with 4 buckets to the octave, from 1 us to over an hour; percentiles are within
// 25 %.
inline constexpr size_t kLatencyBuckets = 4 * 32;
inline constexpr int kFirstOctave = 10;
inline constexpr uint64_t kBucketNsMin = uint64_t{1} << kFirstOctave;  // about 1 us

struct CommandStats {
  Counter calls, usec, rejected, failed;
  uint64_t rest_ns = 0;                          // of usec; its loop's alone
  std::array<Counter, kLatencyBuckets> latency;  // by BucketOf(nanoseconds)
  static size_t BucketOf(uint64_t ns) {
    if (ns < kBucketNsMin) return 0;
    int octave = std::bit_width(ns) - 1;
    size_t quarter = (ns >> (octave - 2)) & 3;
    size_t bucket = static_cast<size_t>(octave - kFirstOctave) * 4 + quarter + 1;
    return bucket < kLatencyBuckets ? bucket : kLatencyBuckets - 1;
  }
  // The first value above the bucket.
  static uint64_t BucketUpperNs(size_t bucket);
  // One call that took so long. `histogram`: latency-tracking is on.
  void Record(uint64_t ns, bool histogram) {
    calls.Add(1);
    rest_ns += ns;
    usec.Add(rest_ns / 1000);
    rest_ns %= 1000;
    if (histogram) latency[BucketOf(ns)].Add(1);
  }
};

inline constexpr size_t kErrorCodesMax = 128;  // as Redis: ERROR_STATS_NUMBER

struct LoopStats {
  explicit LoopStats(size_t commands) : per_command(commands) {}
  // An error reply, by its first word. Of new words, those above kErrorCodesMax
  // are only counted in reply_errors.
  void CountError(std::string_view code);
  void Reset();
  std::vector<CommandStats> per_command;  // by the command's number in the table (subcommands too)
  Counter commands, connections, rejected_connections, net_input_bytes, net_output_bytes, net_reads,
      net_writes;
  Counter keyspace_hits, keyspace_misses, reply_errors, query_buffer_disconnects,
      output_buffer_disconnects;
  // Interactive ones; `ended` by the server: too long open, or memory was short.
  Counter transactions_begun, transactions_committed, transactions_rolled_back,
      transaction_conflicts, transactions_ended;
  Counter longest_turn_ns;  // thread CPU time of the longest loop turn
  std::atomic<uint64_t> connected{0}, blocked{0};
  std::atomic<bool> has_ring{false};  // it uses io_uring
  std::mutex errors_mutex;
  std::map<std::string, uint64_t, std::less<>>
      errors;  // guarded by errors_mutex: errorstat by first word of the error
};

struct ServerStats {
  std::atomic<bool> loading{false};  // commands that need the data are refused
  int64_t started_ms = 0;
  std::string run_id;  // 40 hex digits
  std::vector<std::unique_ptr<LoopStats>> loops;
  std::atomic<uint64_t> peak_used_bytes{0};
  std::atomic<uint64_t> evicted_clients{0};
  std::atomic<uint64_t> acl_denied_auth{0};
  std::atomic<int64_t> transaction_ended_ms{0};  // when the server last ended one for memory
  std::atomic<uint64_t> open_transactions{0};    // that sessions have, those that are over too
  // instantaneous_* of INFO: sampled by the server every 100 ms.
  std::atomic<uint64_t> ops_per_second{0}, input_bytes_per_second{0}, output_bytes_per_second{0};
  // CONFIG RESETSTAT, on any thread: a counter that its loop is just adding to may stay.
  void Reset();
};

}  // namespace fluxkv::command
