#include "library/log_waiter.h"

namespace fluxkv::library {

using Admission = engine::CommitLog::Admission;

LogWaiter::LogWaiter(engine::CommitLog& log, size_t slot) : log_(log), slot_(slot) {
  log_.SetListener(slot_, this);
}

LogWaiter::~LogWaiter() {
  log_.SetListener(slot_, nullptr);
}

// With the log's mutex held: it may take none of ours (commit_log.h, D6).
void LogWaiter::OnSafe() {
  told_.fetch_add(1);
  told_.notify_all();
}

template <class Over>
void LogWaiter::Wait(engine::Stamp stamp, Over over) {
  std::multiset<engine::Stamp>::iterator mine;
  {
    std::lock_guard lock(mutex_);
    mine = awaited_.insert(stamp);
  }
  for (;;) {
    const uint32_t seen = told_.load();
    {
      std::lock_guard lock(mutex_);
      log_.Await(slot_, *awaited_.begin());  // Q1
    }
    if (over()) break;  // after Await (D5)
    told_.wait(seen);
  }
  std::lock_guard lock(mutex_);
  awaited_.erase(mine);
}

Status LogWaiter::WaitSafe(engine::Stamp stamp) {
  if (log_.IsSafe(stamp)) return {};
  Wait(stamp, [&] { return log_.IsSafe(stamp) || log_.admission() == Admission::kFailed; });
  return log_.IsSafe(stamp) ? Status() : Failed();
}

Status LogWaiter::WaitOpen() {
  if (log_.admission() == Admission::kFull)
    Wait(engine::CommitLog::kAdmission, [&] { return log_.admission() != Admission::kFull; });
  return log_.admission() >= Admission::kRefused ? Failed() : Status();
}

Status LogWaiter::Failed() const {
  return Status::Error(ErrorKind::kIo, "the log cannot be written: " + log_.failure());
}

}  // namespace fluxkv::library
