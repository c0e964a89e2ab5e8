// With whom a loop syncs the log itself in durability full (persist/log_thread.h, TrySync).
//
// Group commit (DeWitt et al., "Implementation techniques for main memory database systems", 1984)
// with a loop as the leader. The clients that a sync lets go write again one after the other, and
// would fall into groups that wait for each other if the first of them were enough for the next
// sync. So a group is complete when nearly all of them wait again, or when a millisecond has passed
// since the last sync. When they have not come until then, the next groups are not waited for, each
// time twice as many, and half as many when a group that was waited for came: clients that take
// their time lose next to nothing.
//
// Threads: its loop's. Owns: nothing. Errors: none.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/check.h"

namespace fluxkv::server {

class SyncGroup {
 public:
  // For tests.
  void set_gather_us_max(int64_t us) { gather_us_max_ = us; }

  static constexpr int64_t kGatherUsMax = 1000;
  // A group of fewer is not waited for; nor is the last eighth of a larger one.
  static constexpr size_t kWaitedForMin = 3;
  static constexpr size_t kMissingShare = 8;
  static constexpr uint64_t kPauseMin = 8;  // groups
  static constexpr uint64_t kPauseMax = 128;

  // What a connection knows of it.
  struct Member {
    uint64_t let_go_by = 0;  // number of the group; 0: of none, or it is back
  };

  // It waits for the log again, or has gone.
  void Returned(Member& member) {
    if (member.let_go_by != number_) return;
    DEBUG_ASSERT(missing_ > 0);
    member.let_go_by = 0;
    --missing_;
  }
  bool IsComplete(int64_t now_us) const {
    return pause_ > 0 || AreBack() || now_us - synced_at_us_ >= gather_us_max_;
  }
  // The group has been synced; what it lets go is told by LetGo.
  void Synced(int64_t now_us) {
    if (pause_ > 0) {
      --pause_;
    } else if (let_go_ < kWaitedForMin) {
      // Nobody was waited for.
    } else if (AreBack()) {
      next_pause_ = std::max(next_pause_ / 2, kPauseMin);
    } else {
      pause_ = next_pause_;
      next_pause_ = std::min(next_pause_ * 2, kPauseMax);
    }
    ++number_;
    let_go_ = missing_ = 0;
    synced_at_us_ = now_us;
  }
  void LetGo(Member& member) {
    if (member.let_go_by == number_) return;
    member.let_go_by = number_;
    ++let_go_;
    ++missing_;
  }

 private:
  bool AreBack() const { return let_go_ < kWaitedForMin || missing_ * kMissingShare <= let_go_; }

  uint64_t number_ = 1;  // of the group that was synced last
  size_t let_go_ = 0;    // by it
  size_t missing_ = 0;   // of those
  int64_t synced_at_us_ = 0;
  int64_t gather_us_max_ = kGatherUsMax;
  uint64_t pause_ = 0;  // so many groups are not waited for
  uint64_t next_pause_ = kPauseMin;
};

}  // namespace fluxkv::server
