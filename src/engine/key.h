// A key as the engine takes it: its bytes with their hash, computed once a command.
//
//   txn.Get(db, Key("user:1"));
//
// Owns: nothing; the bytes stay the caller's, until the transaction
// that was given the key has ended.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/hash.h"

namespace fluxkv::engine {

struct Key {
  Key() = default;
  explicit Key(std::string_view key) : bytes(key), hash(HashBytes(key)) {}
  // A string that ends before the transaction does.
  template <std::same_as<std::string> T>
  explicit Key(T&&) = delete;
  Key(std::string_view key, uint64_t key_hash) : bytes(key), hash(key_hash) {}

  std::string_view bytes;
  uint64_t hash = 0;
};

// SCAN's order: the highest 48 bits of the hash, so that a cursor is a decimal below 2^53 that
// every client can hold.
inline constexpr int kScanHashBits = 48;
inline uint64_t ScanHash(uint64_t hash) {
  return hash >> (64 - kScanHashBits);
}

}  // namespace fluxkv::engine
