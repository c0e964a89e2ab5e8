#include "engine/evictor.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>

#include "base/check.h"
#include "engine/collector.h"
#include "engine/store.h"

namespace fluxkv::engine {

namespace {

// So much below the limit room is made at once, so that a session serves several writes.
constexpr uint64_t kSlackShare = 2048;
constexpr uint64_t kSlackMost = 16384;
constexpr uint64_t kNearShare = 20;  // little: this share of the limit
constexpr size_t kEmptyTries = 64;   // sessions in a row that find no victim, but void entries
constexpr std::chrono::microseconds kWaitStep{100};
constexpr int kWaitSteps = 20;
constexpr size_t kBacklogLeast = 1 << 14;  // dead nodes that may wait for the collector,
constexpr size_t kBacklogShare = 8192;     // and one more for so many bytes of the limit

}  // namespace

Evictor::Evictor(Handle& handle) : handle_(handle), store_(handle.store()), txn_(handle) {}

bool Evictor::IsOver(uint64_t limit) const {
  return store_.used_bytes() > static_cast<int64_t>(limit);
}

int64_t Evictor::OverBy(uint64_t limit) const {
  return std::max(store_.used_bytes() - static_cast<int64_t>(limit), int64_t{0});
}

Evictor::Room Evictor::MakeRoom(uint64_t limit, uint64_t more) {
  if (limit == 0 || !IsOver(limit - std::min(limit, more))) [[likely]] {
    left_over_ = 0;
    return Room::kEnough;
  }
  const bool near = more == 0 && !IsOver(limit + limit / kNearShare);
  Room room = near ? EvictNear(limit) : Evict(limit - std::min(limit / 2, more), kVictimsMost);
  left_over_ = OverBy(limit);
  if (room == Room::kNone && !IsOver(limit)) room = Room::kEnough;
  if (room != Room::kNone) WaitForCollector(limit);
  return room;
}

Evictor::Room Evictor::EvictNear(uint64_t limit) {
  Room room = Room::kMore;
  for (size_t asked = 0; asked < kVictimsMost && room == Room::kMore; asked += kVictimsNear) {
    const uint64_t before = evicted_count_;
    room = Evict(limit, kVictimsNear);
    if (left_over_ == 0 || OverBy(limit) <= left_over_ || evicted_count_ == before) break;
  }
  return room;
}

Evictor::Room Evictor::Evict(uint64_t limit, size_t most) {
  if (!IsOver(limit)) return Room::kEnough;
  if (store_.eviction.kind() == PolicyKind::kNone) return Room::kNone;
  const uint64_t target = limit - std::min(limit / kSlackShare, kSlackMost);
  size_t evicted = 0, empty = 0;
  do {
    if (evicted >= most) return Room::kMore;
    victims_.clear();
    // What a walk filed that was over before the Session is seen in it; and looked at again behind
    // it, for a walk of a policy that came in between.
    bool more_to_come = store_.collector->walking(), none = false;
    {
      // A walk leaves more than a session can file, and what is picked then is a guess anyhow.
      Eviction::Session session(store_.eviction,
                                more_to_come ? Eviction::kFilesFew : Eviction::kFilesAtOnce);
      session.Pick(std::min(kBatch, most - evicted), &victims_);
      more_to_come |= session.in_hands() > 0;
      none = session.keys() <= session.in_hands();
    }
    if (victims_.empty()) {
      if (none && !more_to_come && !store_.collector->walking()) return Room::kNone;
      if (none || ++empty == kEmptyTries) return Room::kMore;
      continue;
    }
    empty = 0;
    EvictBatch(target);
    evicted += victims_.size();
  } while (IsOver(limit));
  return Room::kEnough;
}

void Evictor::EvictBatch(uint64_t target) {
  evicted_.assign(victims_.size(), false);
  for (const Victim& victim : victims_) __builtin_prefetch(victim.entry.node());
  for (const Victim& victim : victims_) Handle::PrefetchVersion(victim.entry.node());
  for (size_t i = 0; i < victims_.size() && IsOver(target); ++i)
    evicted_[i] = EvictOne(victims_[i]);
  Eviction::Session session(store_.eviction, Eviction::kFilesFew);
  for (size_t i = 0; i < victims_.size(); ++i) {
    if (evicted_[i]) {
      ++evicted_count_;
      session.NoteEvicted(victims_[i]);
    } else {
      session.PutBack(victims_[i]);
    }
  }
}

bool Evictor::EvictOne(const Victim& victim) {
  // The node stays, whoever deletes its key meanwhile: this thread is inside an epoch (V4).
  const Key key(victim.entry.node()->key());
  const std::optional<uint32_t> db = store_.DatabaseOf(victim.entry.space());
  if (!db) return false;
  const LatchKey latch{*db, key.hash};
  txn_.BeginLatched({&latch, 1});
  if (!txn_.Evict(*db, key, victim)) {
    txn_.Rollback();
    return false;
  }
  ASSERT(txn_.Commit());
  store_.evicted_keys.fetch_add(1, std::memory_order_relaxed);
  if (store_.options.on_evicted) store_.options.on_evicted(*db, key.bytes, txn_.commit_stamp());
  return true;
}

void Evictor::WaitForCollector(uint64_t limit) {
  const size_t most = kBacklogLeast + limit / kBacklogShare;
  size_t backlog = store_.collector->backlog();
  if (backlog <= most) [[likely]]
    return;
  store_.collector->Wake();
  for (int step = 0; step < kWaitSteps && backlog > most; ++step) {
    std::this_thread::sleep_for(kWaitStep);
    backlog = store_.collector->backlog();
  }
}

}  // namespace fluxkv::engine
