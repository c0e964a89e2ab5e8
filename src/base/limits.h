// Every fixed bound of the server, with the relations between them proved at compile time. What an
// operator may change is in src/config; these are the bounds inside which he may.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fluxkv::limits {

inline constexpr size_t kCacheLineBytes = 64;

// Threads that may hold an engine handle at once: loops, collector, log, snapshot and those of an
// embedding program.
inline constexpr size_t kThreadsMax = 256;
inline constexpr size_t kLoopsMax = 128;
static_assert(kLoopsMax + 16 <= kThreadsMax, "the server's other threads need handles too");

// Keys and values, whose sizes are kept in 32 bits. Longer keys would not find room in what the
// nodes' range keeps free (below).
inline constexpr size_t kKeyBytesMax = (size_t{1} << 30) - 1;
inline constexpr size_t kValueBytesMax = (size_t{1} << 32) - 64;
// The most that proto-max-bulk-len may be set to: any argument may be a key.
inline constexpr size_t kBulkBytesMax = kKeyBytesMax;
static_assert(kBulkBytesMax <= kValueBytesMax);

// One request.
inline constexpr size_t kInlineRequestBytesMax = 64 * 1024;  // as Redis: PROTO_INLINE_MAX_SIZE
inline constexpr size_t kArgumentsMax = size_t{1} << 31;  // INT_MAX + 1: "invalid multibulk length"
inline constexpr size_t kArgumentsUnauthenticatedMax = 10;     // as Redis before AUTH
inline constexpr size_t kBulkBytesUnauthenticatedMax = 16384;  // as Redis before AUTH

inline constexpr uint32_t kDatabasesMax = 65536;

// Of the range of addresses that nodes lie in (base/memory.h), which all loops fill at once: with
// less left no command is let in that adds data.
inline constexpr size_t kNodeBytesLeast = size_t{4} << 30;
static_assert(kNodeBytesLeast > 3 * kKeyBytesMax);

// Live snapshots (interactive transactions, sliced scans) at once.
inline constexpr size_t kSnapshotsMax = 4096;

// What one thread may have committed that the log thread has not taken; then its writers wait.
inline constexpr size_t kLogQueueBytesMax = size_t{64} << 20;

// Commands that are parsed, hashed and prefetched together before they run.
inline constexpr size_t kBatchCommandsMax = 32;
// An epoch is re-entered after this much work,
// so that one long pipeline does not hold reclamation back.
inline constexpr size_t kEpochCommandsMax = 64;
inline constexpr size_t kEpochRetiredBytesMax = 1 << 20;
static_assert(kBatchCommandsMax <= kEpochCommandsMax);

}  // namespace fluxkv::limits
