// Waits until a commit is safe (engine/commit_log.h), or the log takes writers again: for threads
// that have nothing else to do meanwhile, several of which may share a handle.
//
//   LogWaiter waiter(log, handle.number());
//   Status status = waiter.WaitSafe(stamp);
//
// Q1. Whatever the log is asked to tell comes to all who wait: each looks again and asks anew for
//     the earliest stamp that somebody waits for. So none sleeps through its own.
//
// Threads: WaitSafe and WaitOpen any; nobody is in them when it goes.
// Errors:  kIo with the log's reason.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <set>

#include "base/result.h"
#include "engine/commit_log.h"

namespace fluxkv::library {

class LogWaiter : private engine::LogListener {
 public:
  LogWaiter(engine::CommitLog& log, size_t slot);
  ~LogWaiter() override;
  LogWaiter(const LogWaiter&) = delete;
  LogWaiter& operator=(const LogWaiter&) = delete;

  Status WaitSafe(engine::Stamp stamp);
  // Until writers may go on.
  Status WaitOpen();

 private:
  void OnSafe() override;
  // Sleeps until the log tells something, unless `over` is true once the log was asked.
  template <class Over>
  void Wait(engine::Stamp stamp, Over over);
  Status Failed() const;

  engine::CommitLog& log_;
  const size_t slot_;
  std::atomic<uint32_t> told_{0};
  std::mutex mutex_;
  std::multiset<engine::Stamp> awaited_;  // guarded by mutex_
};

}  // namespace fluxkv::library
