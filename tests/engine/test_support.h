// What all tests of the engine include: the engine, doctest, and short ways to write one key.
// Asserts belong to the main thread: other threads count what went wrong, and the main thread
// checks the counts. Threads: a Session is its thread's own.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "base/clock.h"
#include "engine/database.h"
#include "engine/handle.h"
#include "engine/store.h"
#include "engine/transaction.h"
#include "tests/slower.h"

namespace fluxkv::engine {

inline uint64_t TestSeed() {
  if (const char* given = std::getenv("FLUXKV_SEED"); given != nullptr)
    return std::strtoull(given, nullptr, 10);
  return std::random_device()();
}

// The first line of a randomised test: defines `seed`, which is printed when the test fails.
#define FLUXKV_SEEDED(seed)         \
  const uint64_t seed = TestSeed(); \
  INFO("again with FLUXKV_SEED=", seed)

inline constexpr uint8_t kTestType = 1;

inline VersionPtr NewValue(std::string_view text, int64_t expiry_ms = kNoExpiry) {
  VersionPtr v = Version::New(kTestType, 0, expiry_ms, text.size());
  if (!text.empty()) std::memcpy(v->mutable_payload(), text.data(), text.size());
  return v;
}

inline std::string KeyName(uint64_t n) {
  return "key:" + std::to_string(n);
}

inline std::string Text(const Version* version) {
  return version == nullptr ? "(absent)" : std::string(version->payload());
}

// Runs `work(thread number)` on each of `count` threads and joins them.
template <class Work>
void RunThreads(size_t count, Work work) {
  std::vector<std::thread> threads;
  for (size_t i = 0; i < count; ++i) threads.emplace_back([&work, i] { work(i); });
  for (std::thread& t : threads) t.join();
}

// A thread's handle and transaction, with the commonest commands. Inside an epoch from birth on.
class Session {
 public:
  explicit Session(Database& database)
      : handle_(database.Attach()), scope_(std::make_unique<Handle::Scope>(*handle_)) {
    txn_ = std::make_unique<Transaction>(*handle_);
  }
  ~Session() {
    txn_.reset();
    scope_.reset();
  }

  Transaction& txn() { return *txn_; }
  Handle& handle() { return *handle_; }
  void Breathe() { handle_->Breathe(1); }
  // Leaves the epoch and enters it again at once.
  void Reenter() {
    scope_.reset();
    scope_ = std::make_unique<Handle::Scope>(*handle_);
  }
  void LeaveEpoch() { scope_.reset(); }
  void EnterEpoch() { scope_ = std::make_unique<Handle::Scope>(*handle_); }

  void Latch(uint32_t db, const Key& key) {
    const LatchKey latch{db, key.hash};
    txn_->BeginLatched({&latch, 1});
  }
  // Each returns the commit's stamp.
  Stamp Set(uint32_t db, std::string_view key, std::string_view text,
            int64_t expiry_ms = kNoExpiry) {
    const Key k(key);
    Latch(db, k);
    txn_->Put(db, k, NewValue(text, expiry_ms));
    return Finish();
  }
  Stamp Delete(uint32_t db, std::string_view key) {
    const Key k(key);
    Latch(db, k);
    txn_->Delete(db, k);
    return Finish();
  }
  std::string Get(uint32_t db, std::string_view key) {
    txn_->BeginRead();
    std::string text = Text(txn_->Get(db, Key(key)));
    Finish();
    return text;
  }
  uint64_t Count(uint32_t db) {
    txn_->BeginRead();
    const uint64_t count = txn_->CountKeys(db);
    Finish();
    return count;
  }
  // Ends the transaction, which must not conflict.
  Stamp Finish() {
    if (!txn_->Commit()) std::abort();
    Breathe();
    return txn_->commit_stamp();
  }

 private:
  std::unique_ptr<Handle> handle_;
  std::unique_ptr<Handle::Scope> scope_;
  std::unique_ptr<Transaction> txn_;
};

// Bytes of nodes and versions alone, garbage included.
inline int64_t DataBytes(const Database& database) {
  const EngineStats s = database.stats();
  return static_cast<int64_t>(s.used_bytes + s.garbage_bytes) -
         static_cast<int64_t>(s.index_bytes + s.list_bytes + s.eviction_bytes);
}

}  // namespace fluxkv::engine
