// What a loop has to do with the log: it writes, or syncs, what its turn has committed, and holds
// answers back until that is safe.
#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/planted.h"
#include "engine/handle.h"
#include "engine/store.h"
#include "server/connection.h"
#include "server/event_loop.h"

namespace fluxkv::server {

namespace {
constexpr int64_t kGatherMs = SyncGroup::kGatherUsMax / 1000;
}

void EventLoop::AddHolding(Connection& connection, engine::Stamp stamp) {
  if (connection.holding_index == Connection::kNowhere) {
    connection.holding_index = holding_.size();
    holding_.push_back(&connection);
  }
  sync_group_.Returned(connection.in_sync_group);
  awaited_ = std::min(awaited_, stamp);
  holds_more_ = true;
}

void EventLoop::WriteLog() {
  gathers_ = false;
  if (handle_->shared().log.bytes_queued() == 0) return;
  writes_log_ = true;
  if (!commit_log_.loops_may_sync()) {
    services_.persistence.WriteLog();
  } else if (OnlyWaits()) {
    SyncLog();
  }
  writes_log_ = false;
  if (std::exchange(told_, false)) LetGo();
}

void EventLoop::SyncLog() {
  gathers_ = !readable_.empty() || !sync_group_.IsComplete(MonotonicUs());
  if (gathers_ || !services_.persistence.SyncLog()) return;
  sync_group_.Synced(MonotonicUs());
  for (const auto* list : {&holding_, &to_flush_}) {
    for (Connection* connection : *list) {
      if (connection != nullptr && connection->holds_output() &&
          commit_log_.IsSafe(connection->awaited()))
        sync_group_.LetGo(connection->in_sync_group);
    }
  }
  told_ = true;
}

// Whether all whom this loop has to do with wait for the log, and nobody else's clients do.
bool EventLoop::OnlyWaits() {
  bool some = !holding_.empty();
  bool others = answered_others_ || more_to_read_ || !waiting_.empty() || stopping_ ||
                commit_log_.OthersAwait(handle_->number());
  for (Connection* connection : to_flush_) {
    if (connection == nullptr || !connection->has_output()) continue;
    const bool holds = connection->holds_first_output();
    if (holds) sync_group_.Returned(connection->in_sync_group);
    (holds ? some : others) = true;
  }
  if (PLANTED(SYNC_BESIDE_OTHERS)) others = false;
  return some && !others;
}

// What was held, or some of it, may be sent now.
void EventLoop::LetGo() {
  answered_others_ = false;
  FlushHolding();
  ResumeLogWaiters();
}

// Those that go on holding come back into the list.
void EventLoop::FlushHolding() {
  awaited_ = engine::CommitLog::kAdmission;
  holds_more_ = false;
  for (Connection* connection : holding_) {
    connection->holding_index = Connection::kNowhere;
    ScheduleFlush(*connection);
  }
  holding_.clear();
}

void EventLoop::ResumeLogWaiters() {
  if (!has_log_waiters_ || LogTakesNoMore()) return;
  has_log_waiters_ = false;
  for (Connection* connection : std::vector<Connection*>(waiting_)) {
    if (connection->waiting_index != Connection::kNowhere && connection->waits_for_log())
      connection->Resume();
  }
}

// At the end of a turn in which something came to be held, or while a write waits: whoever makes it
// safe tells us.
void EventLoop::AwaitLog() {
  if (!holds_more_ && !has_log_waiters_) [[likely]]
    return;
  if (gathers_) {
    commit_log_.AwaitUnheard(handle_->number(), awaited_);
    return ArmWakeTimer(now_ms() + kGatherMs);
  }
  holds_more_ = false;
  commit_log_.Await(handle_->number(), awaited_);
  if (!has_log_waiters_) return;
  // There may have been room again before anybody knew that we wait for it (D5).
  if (!LogTakesNoMore()) return OnSafe();
  ArmWakeTimer(log_retry_at_ms());
}

// Room in the log is told of. That the log thread has taken our queue is not.
int64_t EventLoop::log_retry_at_ms() const {
  return commit_log_.admission() == engine::CommitLog::Admission::kFull ? INT64_MAX : now_ms();
}

}  // namespace fluxkv::server
