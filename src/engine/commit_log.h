// Between commits and whoever makes them durable (src/persist): commits leave records here, the log
// thread takes them, and says up to which stamp replies may be sent.
//
// A commit appends its record to its thread's own queue between taking its stamp and clearing its
// commit slot. The log thread takes what is complete from all queues and puts it in order of
// stamps, so no commit ever waits for another, and the log's order is the order of stamps.
//
//   log.Await(slot, stamp);                           // a loop holds replies up to this stamp
//   Stamp complete = log.Take(store, &records);       // the log thread
//   log.SetSafe(complete);                            // after it has written (or synced) them
//
// D1. A record is in its queue before its commit slot is cleared. So when the stamp counter read T
//     and then no slot is at or below S <= T, every record with a stamp <= S has been queued.
// D2. Queued stamps of one thread rise; Take returns records in the order of their stamps.
// D3. safe() never falls while the log is recording. Every commit at or below it will be found
//     again after a crash of the kind that the durability mode speaks of.
// D4. Who answers from a version with a stamp above safe(), or from the absence of a key that such
//     a commit removed, holds the answer back. The collector buries no tombstone above safe(), so a
//     key without a node was absent in what is safe.
// D5. Await raises `wanted` and then reads safe(); SetSafe raises safe() and then reads `wanted`
//     (all seq_cst): one of the two sees the other. The same holds of SetAdmission and who reads
//     admission() after its Await.
// D6. A listener is called with its waiter's mutex held: when SetListener returns, nobody is in a
//     call of the one before.
//
// Threads: as each method says.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "engine/latch.h"
#include "engine/log_record.h"
#include "engine/version.h"

namespace fluxkv::engine {

class Store;

// A large payload that a record has by reference: its place among the record's bytes.
struct LogBlob {
  size_t at;   // byte of the queue before which it goes
  Blob* blob;  // counted
};

// The records of one thread that nobody has taken yet. Part of HandleShared.
class LogQueue {
 public:
  LogQueue() = default;
  ~LogQueue();
  LogQueue(const LogQueue&) = delete;
  LogQueue& operator=(const LogQueue&) = delete;

  // A figure for anybody: bytes queued, payloads by reference included.
  size_t bytes_queued() const { return bytes_queued_.load(std::memory_order_relaxed); }

 private:
  friend class CommitLog;
  friend class RecordWriter;
  Latch latch_;
  std::string bytes_;           // guarded by latch_
  std::vector<LogBlob> blobs_;  // guarded by latch_
  std::atomic<size_t> bytes_queued_{0};
};

// Writes one record into a queue, latched from construction to Finish.
class RecordWriter {
 public:
  RecordWriter(LogQueue& queue, Stamp stamp, int64_t time_ms);
  void Put(uint32_t db, std::string_view key, const Version& version);
  void Delete(uint32_t db, std::string_view key) { AppendDelete(&queue_.bytes_, db, key); }
  void DeleteRange(uint32_t db, const KeyInterval& interval) {
    AppendDeleteRange(&queue_.bytes_, db, interval);
  }
  void Roots(const std::vector<RootChange>& roots) { AppendRoots(&queue_.bytes_, roots); }
  // Bytes that are queued now. A record without changes is dropped.
  size_t Finish();

 private:
  LogQueue& queue_;
  const size_t begin_;
  size_t blob_bytes_ = 0;
};

// What Take returns: whole records, headers included, with everything but `checksum` and
// `synced_stamp` filled in.
struct LogRecords {
  std::string bytes;
  std::vector<size_t> begins;  // of each record
  Stamp last = 0;              // stamp of the last one; 0: none
};

// Who is told when a stamp that it awaits is safe. OnSafe is called from whoever does the log's
// work, or from the thread that calls Await; it must call nothing of the log.
class LogListener {
 public:
  virtual ~LogListener() = default;
  virtual void OnSafe() = 0;
};

class CommitLog {
 public:
  // safe() while nothing is recorded.
  static constexpr Stamp kEverything = kStampPending;
  // To be awaited for a change of admission() alone: it is never safe.
  static constexpr Stamp kAdmission = ~Stamp{0} - 1;
  // Queued bytes of one thread from which on the log thread is woken though nobody waits.
  static constexpr size_t kWakeBytes = 256 * 1024;

  enum class Admission : uint8_t {
    kOpen,     // writers may go on
    kFull,     // there is no room: writers wait until this changes
    kRefused,  // there is no room and none in sight: writers are refused, the rest goes on
    kFailed,   // the log cannot be written: writers are refused, and what is not safe stays so
  };

  // ---- Any thread.
  bool recording() const { return recording_.load(std::memory_order_seq_cst); }
  Stamp safe() const { return safe_.load(std::memory_order_seq_cst); }
  bool IsSafe(Stamp stamp) const { return stamp <= safe_.load(std::memory_order_acquire); }
  Admission admission() const { return admission_.load(std::memory_order_seq_cst); }
  // Why the log has failed; empty if it has not.
  std::string failure() const;
  // The commit log is asked to look at its queues soon.
  void Wake();

  // ---- Threads that hold replies, one slot (their handle's number) each.
  // Before the thread calls Await for the first time; null before the listener goes (D6).
  void SetListener(size_t slot, LogListener* listener);
  // OnSafe is called once, when `stamp` is safe or admission() has been set; at once if the log has
  // failed. A later call replaces an earlier one.
  void Await(size_t slot, Stamp stamp);
  // The same, but nobody is woken to do the log's work: the caller sees to it.
  void AwaitUnheard(size_t slot, Stamp stamp);
  // Whether another thread waits for a stamp.
  bool OthersAwait(size_t slot) const;
  // Whether a loop may sync the log itself when all whom it serves wait (durability full, on a disk
  // that is fast enough).
  bool loops_may_sync() const { return loops_may_sync_.load(std::memory_order_relaxed); }

  // ---- Committers.
  void Queued(size_t bytes_queued) {
    if (bytes_queued >= kWakeBytes) Wake();
  }

  // ---- Whoever does the log's work, one at a time: the log thread, a loop in its place, or,
  // before there is a log thread, who starts it.
  void SetRecording(bool on) { recording_.store(on, std::memory_order_seq_cst); }
  // Takes every record with a stamp up to the one it returns; there are no others up to there (D1).
  // Records behind it stay for the next call.
  Stamp Take(const Store& store, LogRecords* records);
  // About how much Take has to take.
  static size_t BytesQueued(const Store& store);
  void SetSafe(Stamp stamp);
  void SetAdmission(Admission admission);
  // Fails or mends the log; awaiting threads are told.
  void SetFailure(std::string reason);
  // Refuses writers for this reason.
  void SetRefused(std::string reason);
  void SetLoopsMaySync(bool may) { loops_may_sync_.store(may, std::memory_order_relaxed); }
  // Sleeps until Wake, or the time is over.
  void WaitForWork(std::chrono::microseconds timeout);

 private:
  static constexpr Stamp kNobody = ~Stamp{0};
  struct alignas(limits::kCacheLineBytes) Waiter {
    std::atomic<Stamp> wanted{kNobody};
    std::mutex mutex;
    LogListener* listener = nullptr;  // guarded by mutex

    // Calls the listener, if there is one.
    void Tell();
  };
  // What was taken from a queue and is not complete yet; for whoever does the log's work.
  struct Rest {
    std::string bytes;
    std::vector<LogBlob> blobs;
  };
  struct Cursor;

  bool Register(size_t slot, Stamp stamp);
  void TellWaiters(Stamp safe);
  void TellAll();

  std::atomic<bool> recording_{false};
  std::atomic<bool> loops_may_sync_{false};
  std::atomic<Admission> admission_{Admission::kOpen};
  alignas(limits::kCacheLineBytes) std::atomic<Stamp> safe_{kEverything};
  std::atomic<size_t> waiters_used_{0};
  std::array<Waiter, limits::kThreadsMax> waiters_;

  mutable std::mutex failure_mutex_;
  std::string failure_;  // guarded by failure_mutex_

  std::array<Rest, limits::kThreadsMax> rests_;

  std::mutex wake_mutex_;
  std::condition_variable wake_;
  std::atomic<bool> asleep_{false};  // set with wake_mutex_ held
  std::atomic<bool> wake_wanted_{false};
};

}  // namespace fluxkv::engine
