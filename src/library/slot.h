// A place in the engine: its handle, with the mutex that makes it anybody's, the transactions that
// are open in it, and who waits for the log through it. A Handle of the library has one; a Database
// some that its callers share. Core's S1 to S4 are its rules.
//
//   Slot::Use use(slot);
//   if (!use.open()) return use.Closed();
//   ... use.handle(), use.single() ...
//   return use.AwaitSafe(stamp);
//
// Threads: any. Owns: the engine handle. Errors: kClosed when the slot or its database was closed.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/result.h"
#include "engine/evictor.h"
#include "engine/handle.h"
#include "engine/transaction.h"
#include "library/core.h"
#include "library/log_waiter.h"

namespace fluxkv::library {

class TransactionState;

class Slot {
 public:
  explicit Slot(Core& core);
  ~Slot() { Close(); }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;

  // Ends its transactions, waits for who waits for the log. May be called twice.
  void Close();

  // Frees what it has retired, as far as nobody can reach it any more.
  void Collect();

  class Use;

 private:
  // What needs the engine.
  struct Parts {
    explicit Parts(Core& core);
    std::unique_ptr<engine::Handle> handle;
    engine::Evictor evictor;
    engine::Transaction single;
    LogWaiter waiter;
  };

  std::mutex mutex_;
  std::condition_variable idle_;
  Core* core_;                             // null: closed. This and what follows: by mutex_
  size_t waiting_ = 0;                     // for the log, without the mutex
  std::unique_ptr<Parts> parts_;           // null: closed, and nobody waits
  std::vector<TransactionState*> opened_;  // each knows its place
};

// The mutex, from construction on but for waits.
class Slot::Use {
 public:
  explicit Use(Slot& slot);
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

  bool open() const { return slot_.core_ != nullptr; }
  static Status Closed();

  // ---- Requires: open().
  Core& core() { return *slot_.core_; }
  engine::Handle& handle() { return *slot_.parts_->handle; }
  engine::Evictor& evictor() { return slot_.parts_->evictor; }
  // For calls that are a transaction of their own. Idle between them.
  engine::Transaction& single() { return slot_.parts_->single; }
  void Add(TransactionState* transaction);
  void Remove(TransactionState* transaction);

  // Before a write. They may wait without the mutex: look afterwards what is still open.
  Status Admit();
  // For so many bytes and whatever one value takes. Requires: outside an epoch.
  Status MakeRoom(uint64_t bytes);
  // Waits without the mutex until what is told from here on may be told.
  Status AwaitSafe(engine::Stamp stamp);

 private:
  class Waiting;
  template <class Wait>
  Status Unlocked(Wait wait);

  Slot& slot_;
  std::unique_lock<std::mutex> lock_;
};

}  // namespace fluxkv::library
