// Which turn of a loop is the one to sync in: the times are made up.
#include "server/sync_group.h"

#include <array>
#include <span>

#include <doctest/doctest.h>

namespace fluxkv::server {
namespace {

constexpr int64_t kNever = SyncGroup::kGatherUsMax - 1;  // after a sync, nobody has waited too long

struct Group : SyncGroup {
  void SyncAt(int64_t now_us, std::span<Member> members) {
    Synced(now_us);
    for (Member& m : members) LetGo(m);
  }
};

TEST_CASE("sync group: the first, and those of one or two, are not waited for") {
  Group group;
  std::array<SyncGroup::Member, 3> all;
  CHECK(group.IsComplete(0));
  group.SyncAt(0, std::span(all).first(1));
  CHECK(group.IsComplete(kNever));
  group.SyncAt(0, std::span(all).first(2));
  CHECK(group.IsComplete(kNever));
  group.SyncAt(0, all);
  CHECK(!group.IsComplete(kNever));
  CHECK(group.IsComplete(kNever + 1));
}

TEST_CASE("sync group: complete when no more than an eighth is missing") {
  Group group;
  std::array<SyncGroup::Member, 50> all;
  SyncGroup::Member other;
  for (int64_t now = 0; now < 10; ++now) {
    group.SyncAt(now, all);
    group.LetGo(all[0]);    // twice is once
    group.Returned(other);  // of no group
    for (size_t back = 0; back < 44; ++back) {
      CHECK(!group.IsComplete(now + kNever));
      group.Returned(all[back]);
      group.Returned(all[back]);  // twice is once
    }
    CHECK(group.IsComplete(now + kNever));
    for (size_t back = 44; back < 50; ++back) group.Returned(all[back]);
    CHECK(group.IsComplete(now + kNever));
  }
  // Those of an older group count no more.
  group.SyncAt(0, all);
  for (size_t i = 0; i < 44; ++i) group.Returned(all[i]);
  group.SyncAt(0, std::span(all).first(4));
  for (size_t i = 44; i < 50; ++i) group.Returned(all[i]);
  CHECK(!group.IsComplete(kNever));
  for (size_t i = 0; i < 4; ++i) group.Returned(all[i]);
  CHECK(group.IsComplete(kNever));
}

TEST_CASE("sync group: those who do not come back are waited for ever more rarely") {
  Group group;
  std::array<SyncGroup::Member, 10> all;
  int64_t now = 0;
  group.SyncAt(now, all);
  for (uint64_t pause : {8, 16, 32, 64, 128, 128}) {
    CHECK(!group.IsComplete(now + kNever));
    now += SyncGroup::kGatherUsMax;
    group.SyncAt(now, all);
    for (uint64_t i = 0; i < pause; ++i) {
      CHECK(group.IsComplete(now));
      group.SyncAt(now, all);
    }
  }
  CHECK(!group.IsComplete(now + kNever));
  // Each time that they do come back halves that; a group that nobody was waited for does not.
  for (int i = 0; i < 3; ++i) {
    for (SyncGroup::Member& m : all) group.Returned(m);
    group.SyncAt(now, std::span(all).first(2));
    for (SyncGroup::Member& m : all) group.Returned(m);
    group.SyncAt(now, all);
  }
  now += SyncGroup::kGatherUsMax;
  group.SyncAt(now, all);
  for (uint64_t i = 0; i < SyncGroup::kPauseMax / 8; ++i) {
    CHECK(group.IsComplete(now));
    group.SyncAt(now, all);
  }
  CHECK(!group.IsComplete(now + kNever));
}

}  // namespace
}  // namespace fluxkv::server
