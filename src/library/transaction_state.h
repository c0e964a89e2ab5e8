// An open transaction of the library: the engine's, until it is committed or rolled back, or its
// slot is closed. Transaction and Cursor share it.
//
// Threads: any; the slot's mutex. The slot's list of open ones (Slot::opened_) points here: one
//          that is over is not in it.
// Owns:    the engine's transaction.
// Errors:  as Transaction.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "engine/transaction.h"
#include "fluxkv/options.h"
#include "library/slot.h"

namespace fluxkv::library {

class TransactionState {
 public:
  // kTooMany when there are as many as there may be.
  static Result<std::shared_ptr<TransactionState>> Begin(std::shared_ptr<Slot> slot, Level level);
  // The database's level.
  static Result<std::shared_ptr<TransactionState>> Begin(std::shared_ptr<Slot> slot);
  ~TransactionState() { Rollback(); }
  TransactionState(const TransactionState&) = delete;
  TransactionState& operator=(const TransactionState&) = delete;

  Result<std::optional<std::string>> Get(std::string_view key);
  Result<bool> Contains(std::string_view key);
  Status Insert(std::string_view key, std::string_view value, Ttl ttl);
  Result<std::optional<std::string>> Remove(std::string_view key);
  Status Commit();
  void Rollback();
  // Calls of Insert and Remove that may have changed what it sees. Any thread, no mutex.
  uint64_t write_calls() const { return write_calls_.load(std::memory_order_relaxed); }
  bool is_open();
  bool ended();  // by Commit or Rollback
  engine::Stamp stamp();

  // Visits live keys of the interval in order, about `keys_max` of them and not many bytes, and
  // takes them off it. True when none are left. `visit` answers the bytes that it keeps.
  using Visit = std::function<size_t(engine::Transaction& txn, uint32_t db, std::string_view key,
                                     const engine::Version& version)>;
  Result<bool> WalkPage(engine::KeyInterval* left, bool reverse, size_t keys_max,
                        const Visit& visit);
  // Until what it sees may be told.
  Status AwaitReads();

  // ---- For Slot, its mutex held.
  void EndWithSlot();
  void set_place(size_t place) { place_ = place; }
  size_t place() const { return place_; }

 private:
  TransactionState(std::shared_ptr<Slot> slot, Level level)
      : slot_(std::move(slot)), level_(level) {}
  void End(Slot::Use& use, std::string_view why);
  Status Over() const;
  Status CheckWrite(Slot::Use& use, std::string_view key) const;

  const std::shared_ptr<Slot> slot_;
  const Level level_;
  std::atomic<uint64_t> write_calls_{0};
  // By the slot's mutex.
  std::optional<engine::Transaction> txn_;  // none: it is over
  std::string_view over_because_;           // a literal
  bool ended_ = false;
  bool adds_data_ = false;
  engine::Stamp stamp_ = 0;
  size_t place_ = 0;
};

// What a key and a value may not be: kInvalid.
Status CheckKey(std::string_view key);
Status CheckValue(std::string_view value);
// The deadline of a key that is inserted now; kNoExpiry for kForever.
Result<int64_t> DeadlineOf(Ttl ttl, int64_t now_ms);
// A string's bytes; none of an absent key; kInvalid for a value of another type.
Result<std::optional<std::string>> BytesOf(const engine::Version* version);

}  // namespace fluxkv::library
