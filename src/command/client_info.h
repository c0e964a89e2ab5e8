// The part of a connection that other loops may look at: CLIENT LIST, CLIENT KILL, INFO.
// Threads: created by the connection's loop; the atomics are written by it and read by any
// (relaxed: each is a figure for display), but for `flags`, which any loop may add kClientKilled
// to; the strings are behind `mutex`; the constants never change after construction.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

namespace fluxkv::command {

struct Command;

enum ClientFlag : uint32_t {
  kClientMulti = 1 << 0,       // x
  kClientPubSub = 1 << 1,      // P
  kClientMonitor = 1 << 2,     // O
  kClientBlocked = 1 << 3,     // b
  kClientUnixSocket = 1 << 4,  // U
  kClientNoEvict = 1 << 5,     // e
  kClientNoTouch = 1 << 6,     // T
  kClientCloseSoon = 1 << 7,   // c
  kClientPaused = 1 << 8,      // not shown: blocked by CLIENT PAUSE or the log, not by a command
  kClientKilled = 1 << 9,      // not shown: by CLIENT KILL; it runs no further command
};

struct ClientInfo {
  uint64_t id = 0;
  uint32_t loop = 0;
  int fd = -1;
  std::string address;  // "127.0.0.1:1234", "[::1]:1234", "/tmp/sock:0"
  std::string local_address;
  bool loopback = false;  // from this machine (protected mode, enable-debug-command local)
  int64_t created_ms = 0;

  std::atomic<uint32_t> flags{0};
  std::atomic<int64_t> last_active_ms{0};
  std::atomic<const Command*> last_command{nullptr};
  std::atomic<uint32_t> db{0};
  std::atomic<uint32_t> protocol{2};
  std::atomic<uint32_t> channels{0}, patterns{0}, shard_channels{0};
  std::atomic<int32_t> multi_commands{-1};
  std::atomic<uint32_t> watched{0};
  std::atomic<uint64_t> input_bytes{0}, input_free_bytes{0}, multi_bytes{0};
  std::atomic<uint64_t> output_buffer_bytes{0}, output_bytes{0},
      output_parts{0};  // allocated buffer; waiting; pieces waiting
  std::atomic<uint64_t> total_bytes{0};
  std::atomic<uint32_t> transaction_level{0};  // a TransactionLevel
  std::atomic<int64_t> transaction_began_ms{0};
  std::atomic<uint64_t> transaction_bytes{0};
  std::atomic<uint64_t> commands{0};
  std::atomic<uint64_t> net_input_bytes{0}, net_output_bytes{0};  // since it connected

  bool Has(ClientFlag flag) const { return (flags.load(std::memory_order_relaxed) & flag) != 0; }

  mutable std::mutex mutex;
  std::string name;             // guarded by mutex
  std::string library_name;     // guarded by mutex
  std::string library_version;  // guarded by mutex
};

}  // namespace fluxkv::command
