// What a database is opened with, and what a transaction may ask for.
//
//   Options{.directory = "data", .durability = Durability::kFull}
//   Options().WithMemoryLimit(64 << 20).WithPolicy(Policy::kLru)
//
// Threads: values, no sharing.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace fluxkv {

// When a commit returns it is ...
enum class Durability : uint8_t {
  kNone,     // in memory; Save writes what is there
  kRelaxed,  // in the log, handed to the system: it survives the end of the process
  kFull,     // on disk: it survives a loss of power
};

enum class Level : uint8_t {
  kSerializable,  // as if the transactions had run one after the other
  kSnapshot,      // reads of one moment, of two writers of a key the first committer wins
  kReadOnly,      // reads of one moment; never conflicts
};

// Who goes first when the memory limit is reached (README, "Memory and eviction").
enum class Policy : uint8_t { kNone, kRandom, kLru, kLfu, kArc, kTtl };

struct Options {
  // The data directory, made if it is missing (its parent is not). Empty: no files at all.
  std::string directory{};
  // By default kRelaxed with a directory, kNone without.
  std::optional<Durability> durability{};
  // Of transactions that do not say.
  Level level = Level::kSerializable;

  // Bytes that keys, newest values and what finds them may take; 0: no limit. Without a policy a
  // write beyond it answers kOutOfMemory, and the program makes room itself.
  uint64_t memory_limit = 0;
  Policy policy = Policy::kNone;
  bool evict_only_with_deadline = false;  // Redis's volatile- policies

  // kRelaxed syncs at the first of these; 0 switches one off, one at least must be on.
  std::chrono::milliseconds flush_interval{1000};
  uint64_t flush_after_commits = 0;
  uint64_t flush_after_bytes = 0;
  // The log is a pool of so many files of this size, used again behind a snapshot.
  uint64_t segment_bytes = 16 << 20;
  uint32_t segments = 64;
  uint64_t snapshot_after_bytes = 256 << 20;  // of log; 0: not by bytes
  std::chrono::seconds snapshot_interval{0};  // 0: not by time

  // Dead versions are reclaimed at least so often.
  std::chrono::milliseconds vacuum_interval{100};
  // What one transaction's writes and notes of its reads may take.
  uint64_t transaction_bytes = 64 << 20;
  // A directory has numbered databases, as in Redis; this is the one that is used.
  uint32_t databases = 16;
  uint32_t database = 0;
  // Appends what happens to the files (loads, snapshots, failures); empty: nowhere.
  std::string log_file{};

  Options& WithDirectory(std::string path) { return directory = std::move(path), *this; }
  Options& WithDurability(Durability mode) { return durability = mode, *this; }
  Options& WithLevel(Level of_transactions) { return level = of_transactions, *this; }
  Options& WithMemoryLimit(uint64_t bytes) { return memory_limit = bytes, *this; }
  Options& WithPolicy(Policy who_goes) { return policy = who_goes, *this; }
  Options& WithFlushInterval(std::chrono::milliseconds i) { return flush_interval = i, *this; }
  Options& WithVacuumInterval(std::chrono::milliseconds i) { return vacuum_interval = i, *this; }
  Options& WithDatabase(uint32_t number) { return database = number, *this; }
  Options& WithLogFile(std::string path) { return log_file = std::move(path), *this; }
};

// How a closure is run by transaction().
struct Retry {
  std::optional<Level> level{};  // none: the database's
  int tries_max = 16;            // on conflicts; below 1 as 1
};

// How long a key lives from its insertion on, or from its transaction's begin.
using Ttl = std::chrono::milliseconds;
inline constexpr Ttl kForever = Ttl::max();

}  // namespace fluxkv
