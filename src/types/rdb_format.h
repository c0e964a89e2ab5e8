// The numbers of the RDB format that its readers and writers here share: how lengths and strings
// are encoded, value types, and the opcodes between keys.
// Threads: constants.
// Source:  Redis's and Valkey's rdb.h and rdb.c as documentation of the format.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fluxkv::types::rdb {

// The two highest bits of a length's first byte.
inline constexpr unsigned kLength6 = 0;
inline constexpr unsigned kLength14 = 1;
inline constexpr unsigned kLengthLong = 2;
inline constexpr unsigned kLengthEncoded = 3;
inline constexpr unsigned kLong32 = 0x80;
inline constexpr unsigned kLong64 = 0x81;
// The lower six bits when the upper two are kLengthEncoded: a string in another form.
inline constexpr unsigned kEncodedInt8 = 0;
inline constexpr unsigned kEncodedInt16 = 1;
inline constexpr unsigned kEncodedInt32 = 2;
inline constexpr unsigned kEncodedLzf = 3;

inline constexpr size_t kChecksumBytes = 8;

enum ValueType : uint8_t {
  kString = 0,
  kList = 1,
  kSet = 2,
  kZset = 3,
  kHash = 4,
  kZset2 = 5,
  kModule1 = 6,
  kModule2 = 7,
  kHashZipmap = 9,
  kListZiplist = 10,
  kSetIntset = 11,
  kZsetZiplist = 12,
  kHashZiplist = 13,
  kListQuicklist = 14,
  kStreamListpacks = 15,
  kHashListpack = 16,
  kZsetListpack = 17,
  kListQuicklist2 = 18,
  kStreamListpacks2 = 19,
  kSetListpack = 20,
  kStreamListpacks3 = 21,
  // Hashes whose fields have deadlines: Redis 7.4 before its release, then as released.
  kHashMetadataEarly = 22,
  kHashListpackDeadlinesEarly = 23,
  kHashMetadata = 24,
  kHashListpackDeadlines = 25,
  // The same of Valkey 9, which took a number that was free in its line.
  kHashDeadlinesValkey = 22,
};

enum Opcode : uint8_t {
  kSlotImport = 243,  // Valkey 9
  kSlotInfo = 244,
  kFunction2 = 245,
  kFunctionEarly = 246,  // Redis 7.0 before its release
  kModuleAux = 247,
  kIdle = 248,
  kFrequency = 249,
  kAux = 250,
  kResizeDb = 251,
  kExpireTimeMs = 252,
  kExpireTimeSeconds = 253,
  kSelectDb = 254,
  kEndOfFile = 255,
};

// What stands before each part of a module's value.
enum ModuleOpcode : uint8_t {
  kModuleEnd = 0,
  kModuleSigned = 1,
  kModuleUnsigned = 2,
  kModuleFloat = 3,
  kModuleDouble = 4,
  kModuleString = 5,
};

}  // namespace fluxkv::types::rdb
