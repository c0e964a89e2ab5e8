// One event loop with its thread, its engine handle and its connections.
//
// A turn: the poll says which connections can be read; they are, many with one system call where
// the kernel lets us (socket_batch.h), and their commands run. Before the next poll the mailbox is
// emptied and every connection with replies is written to, together again (EndTurn). So a message
// that a command of this loop sends to a connection of this loop follows the reply of that command.
// A turn that has run for two milliseconds reads nobody else, unless very many wait: those who are
// left come first in the next one. So that what is read together takes no longer, fewer are when
// their commands take long.
//
// Connections that hold replies for the log (connection.h, C5) are gone through when it says that
// what the loop awaits is safe: the smallest stamp that any of them awaits. So are those whose
// writes wait for the log. In durability relaxed the loop hands its commits to the system before it
// writes to its connections, when that costs no wait; then, but for a commit of another loop in
// between, nothing is held. In durability full it syncs them itself when all whom it serves wait
// for that (sync_group.h): nobody has been answered who did not, since something was let go, and
// nothing more is there to be read. While it waits for more of them, the log thread is not woken; a
// timer sees to it that the wait ends.
//
// Threads: Post, Wake, OnSafe, AddSocket, RunTask, Stop and assigned() from any; everything else is
// the loop's. Owns: its connections. A loop ends when it was told to stop and its last connection
// has gone.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include <sys/socket.h>
#include <uv.h>

#include "base/limits.h"
#include "base/log.h"
#include "command/dispatch.h"
#include "command/mailbox.h"
#include "command/services.h"
#include "engine/commit_log.h"
#include "server/socket_batch.h"
#include "server/sync_group.h"

namespace fluxkv::server {

class Connection;

// An accepted socket on its way to its loop.
struct NewSocket {
  int fd = -1;
  bool unix_socket = false;
  std::string unix_path;
  sockaddr_storage peer{};
};

class EventLoop : public command::Mailbox, public engine::LogListener {
 public:
  // One parsed request of a batch.
  struct Request {
    std::vector<std::string_view> arguments;
    size_t unread_before = 0;  // input bytes from its first one on
    size_t unread_behind = 0;  // input bytes behind it
    uint64_t key_hash = 0;
    bool has_key = false;
    bool makes_key = false;  // if has_key
  };
  using Batch = std::array<Request, limits::kBatchCommandsMax>;

  EventLoop(uint32_t number, command::Services& services, command::LoopStats& stats, Logger& log);
  ~EventLoop() override;
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Every 100 ms, on the loop's thread. Before Run.
  void set_on_tick(std::function<void()> on_tick) { on_tick_ = std::move(on_tick); }
  // For tests, before Run: how long the loop waits for others to sync with.
  void set_gather_us_max(int64_t us) { sync_group_.set_gather_us_max(us); }
  // The thread's work, until the loop ends.
  void Run();
  // After Run, before the database goes: gives back the engine handle. The mailbox stays, and takes
  // nothing any more.
  void Detach();

  void Post(std::vector<uint64_t> client_ids,
            std::shared_ptr<const command::Delivery> delivery) override;
  void Wake() override;
  void OnSafe() override;
  // The socket becomes a connection of this loop. False when the loop has ended.
  bool AddSocket(NewSocket socket);
  // Runs `task` on the loop's thread; false when the loop has ended.
  bool RunTask(std::function<void()> task);
  // Lets working commands finish and replies be sent, then ends; what is left at `deadline_ms` is
  // closed.
  void Stop(int64_t deadline_ms);
  // Connections given to this loop and not yet closed.
  size_t assigned() const { return assigned_.load(std::memory_order_relaxed); }

  // For connections.
  uv_loop_t* uv() { return &loop_; }
  uint32_t number() const { return number_; }
  command::Services& services() { return services_; }
  command::LoopState& state() { return *state_; }
  command::Dispatcher& dispatcher() { return *dispatcher_; }
  command::LoopStats& stats() { return stats_; }
  Logger& log() { return log_; }
  Batch& batch() { return batch_; }
  int64_t now_ms() const { return services_.clock.now_ms(); }
  bool stopping() const { return stopping_; }
  const engine::CommitLog& commit_log() const { return commit_log_; }
  // Whether writers have to wait: the log has no room, or the log thread is far behind this loop.
  // One that has failed takes nothing, but nobody waits for it.
  bool LogTakesNoMore() const {
    using enum engine::CommitLog::Admission;
    const engine::CommitLog::Admission admission = commit_log_.admission();
    return (admission == kOpen && LogIsFarBehind()) || admission == kFull;
  }
  // When those are to look again by themselves.
  int64_t log_retry_at_ms() const;
  // Its socket can be read: it is in this turn or, when this one is long already, in a next one.
  void AddReadable(Connection& connection);
  void ScheduleFlush(Connection& connection);
  void AddWaiting(Connection& connection);
  void RemoveWaiting(Connection& connection);
  // It holds something for this stamp.
  void AddHolding(Connection& connection, engine::Stamp stamp);
  // Something that was not held is sent in the middle of a turn.
  void NoteAnswered() { answered_others_ = true; }
  void Remove(Connection& connection);  // closed, but its memory stays
  void Freed();                         // its memory went

 private:
  struct Letter {
    std::vector<uint64_t> client_ids;
    std::shared_ptr<const command::Delivery> delivery;
  };
  struct Inbox {
    std::vector<Letter> letters;
    std::vector<NewSocket> sockets;
    std::vector<std::function<void()>> tasks;
    bool wake = false;
    bool safe = false;
  };
  template <class Put>
  bool PutIntoInbox(Put put);

  void OpenRing();

  void EndTurn();
  void ReadReadable();
  void ReadSome(size_t count);
  void RunSockets();
  std::span<char> ReadSlice(size_t index, size_t count);
  void FlushAll();
  void FlushSome(std::span<Connection* const> some);
  void EmptyInbox();
  void DeliverLetter(const Letter& letter);
  void OnStop(int64_t deadline_ms);
  void OpenSocket(NewSocket socket);
  void ResumeOne();
  void ResumeDue(bool all);
  bool LogIsFarBehind() const {
    return handle_->shared().log.bytes_queued() > limits::kLogQueueBytesMax;
  }
  void WriteLog();
  void SyncLog();
  bool OnlyWaits();
  void LetGo();
  void FlushHolding();
  void ResumeLogWaiters();
  void AwaitLog();
  void ArmWakeTimer(int64_t at_ms);
  void OnCron();
  void OnMore();
  void MeasureTurn();
  void CloseHandlesIfEmpty();

  const uint32_t number_;
  command::Services& services_;
  command::LoopStats& stats_;
  Logger& log_;
  std::unique_ptr<engine::Handle> handle_;
  engine::CommitLog& commit_log_;
  std::optional<command::LoopState> state_;
  std::optional<command::Dispatcher> dispatcher_;
  std::function<void()> on_tick_;

  uv_loop_t loop_;
  uv_async_t async_;
  uv_prepare_t prepare_;
  uv_check_t check_;
  uv_idle_t idle_;  // runs while a parked command wants a step
  uv_idle_t more_;  // runs while a turn leaves something to the next one
  uv_timer_t cron_;
  uv_timer_t wake_;  // for connections that wait until a time

  std::mutex mutex_;
  Inbox inbox_;                        // guarded by mutex_
  bool ended_ = false;                 // guarded by mutex_: nothing is taken any more
  std::atomic<bool> has_mail_{false};  // set and cleared with mutex_ held
  std::atomic<std::thread::id> thread_{};
  std::atomic<size_t> assigned_{0};

  std::vector<Connection*> connections_;
  std::unordered_map<uint64_t, Connection*> by_id_;
  // To be read, those first that the last turn left; each has to_read set, no other has.
  std::vector<Connection*> readable_;
  size_t reads_together_ = 1;
  int64_t turn_began_us_ = 0;                    // when the turn first read somebody, 0: nobody yet
  std::vector<Connection*> to_flush_;            // null where one closed meanwhile
  std::vector<Connection*> flushing_, sending_;  // scratch of FlushAll
  std::vector<Connection*> waiting_;  // parked, paused, or with a write that waits for the log
  std::vector<Connection*> holding_;
  engine::Stamp awaited_ = engine::CommitLog::kAdmission;  // the smallest of what they hold for
  bool holds_more_ = false;                                // since the log was asked
  bool has_log_waiters_ = false;                           // some may wait for the log to take more
  SyncGroup sync_group_;
  bool gathers_ = false;          // the group was not complete at the end of this turn
  bool more_to_read_ = false;     // a read of this turn found more than it had room for
  bool answered_others_ = false;  // with what was never held, since something was let go
  bool writes_log_ = false;       // who becomes safe now is seen to by WriteLog
  bool told_ = false;             // while that is so
  size_t next_waiting_ = 0;
  size_t next_visit_ = 0;
  size_t objects_ = 0;  // connections whose memory has not gone
  int64_t wake_at_ms_ = INT64_MAX;
  bool stopping_ = false;
  bool handles_closed_ = false;
  bool in_end_turn_ = false;
  int64_t stop_deadline_ms_ = INT64_MAX;

  uint64_t polled_at_ = 0;    // loop time (ms) when the last poll returned
  uint64_t measured_at_ = 0;  // loop time of the last reading of the thread's CPU time
  int64_t measured_cpu_ns_ = 0;
  bool worked_since_poll_ = false;  // a timer or a parked command ran

  Batch batch_;
  SocketBatch sockets_;
  std::unique_ptr<char[]> read_buffer_;
};

}  // namespace fluxkv::server
