// One row of the table of options: everything that the readers of files, the command line, CONFIG,
// --help and the tests know about an option is here.
// Threads: constants.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include "config/settings.h"

namespace fluxkv::config {

enum class Type {
  kBool,                // yes or no
  kInt,                 // a whole number
  kMemory,              // bytes: 100, 64kb, 512mb
  kMemoryOrPercent,     // bytes, or 5%
  kOctal,               // file permissions: 700
  kTimeUs,              // a time, a plain number counts microseconds
  kTimeMs,              // milliseconds
  kTimeS,               // seconds
  kEnum,                // one of `values`
  kEnumSet,             // any of `values`, the first of them standing for none
  kText,                // any text without NUL
  kDirectory,           // a directory that exists, or could be made in its parent
  kAddresses,           // up to 16 addresses
  kNotify,              // letters of notify_flags.h
  kPercentiles,         // numbers from 0 to 100
  kOutputBufferLimits,  // class hard soft seconds, repeated
  kSavePoints,          // seconds changes, repeated
  kOomScores,           // three numbers from -2000 to 2000
  kReplicaOf,           // host port, or no one
};

enum OptionFlag : uint32_t {
  kRuntime = 1u << 0,       // CONFIG SET may change it
  kHidden = 1u << 1,        // CONFIG GET lists it only when asked by its full name
  kProtected = 1u << 2,     // CONFIG SET changes it only if enable-protected-configs allows
  kSensitive = 1u << 3,     // its value is not to be shown in SLOWLOG, MONITOR or the log
  kNeedsApplier = 1u << 4,  // a change takes effect only through Config::OnChange
  kRestart = 1u << 5,       // with kRuntime: CONFIG SET accepts only the value it has
};

// What a text or number must satisfy beyond its type.
enum class Rule { kNone, kFileName, kFileNameNotEmpty, kHostName, kProcTitle, kClampHz };

inline constexpr std::string_view kCompatibilityComment = "Accepted for compatibility, no effect.";
inline constexpr int64_t kInt32Max = std::numeric_limits<int32_t>::max();
inline constexpr int64_t kUint32Max = std::numeric_limits<uint32_t>::max();
inline constexpr int64_t kInt64Max = std::numeric_limits<int64_t>::max();

struct Option {
  std::string_view name = {};  // ours: "server.port"; empty in a row that has Redis's name only
  std::string_view redis_name = {};  // Redis's, where there is one
  std::string_view redis_alias = {};
  std::string_view short_name = {};  // our own short name on the command line
  Type type = Type::kText;
  uint32_t flags = 0;
  int64_t low = 0;
  int64_t high = 0;
  std::string_view fallback = {};  // the default, written as a person would
  std::span<const std::string_view> values = {};
  Rule rule = Rule::kNone;
  Settings::Number Settings::*field = nullptr;  // where other threads read the number
  std::string_view comment = kCompatibilityComment;

  constexpr bool compatibility_only() const { return name.empty(); }
  constexpr bool has(OptionFlag flag) const { return (flags & flag) != 0; }
  // Takes several words in redis.conf and on the command line.
  constexpr bool several_words() const {
    switch (type) {
      case Type::kEnumSet:
      case Type::kAddresses:
      case Type::kPercentiles:
      case Type::kOutputBufferLimits:
      case Type::kSavePoints:
      case Type::kOomScores:
      case Type::kReplicaOf:
        return true;
      default:
        return false;
    }
  }
  // "server.port", or "redis.maxmemory-samples" for a row kept for compatibility (section [redis]
  // of the TOML file).
  std::string dotted_name() const {
    return name.empty() ? "redis." + std::string(redis_name) : std::string(name);
  }
};

}  // namespace fluxkv::config
