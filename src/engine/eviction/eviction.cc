#include "engine/eviction/eviction.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/planted.h"
#include "base/vectors.h"

namespace fluxkv::engine {

namespace {
constexpr size_t kVoidShare = 8;  // one in so many entries may be void before a sweep begins
constexpr size_t kVoidMin = 1024;
constexpr uint32_t kSecondsMin = 1'000'000'000;  // in 2001
constexpr uint32_t kPastSeconds = 1 << 22;       // 48 days
}  // namespace

// ---- What writers tell

bool Eviction::NoteChange(size_t thread, const EvictionSpace& space, const Node* node,
                          uint64_t hash, KeyState was, KeyState is) {
  const PolicyKind kind = this->kind();
  const bool covered = PLANTED(EVICTION_IGNORE_WALK) || space.Covers(ScanHash(hash));
  if (kind == PolicyKind::kNone || !covered) return false;
  const bool filed = Evictable(was), wanted = Evictable(is);
  const bool moved = kind == PolicyKind::kTtl && was.expiry_ms != is.expiry_ms;
  if (filed == wanted && !(filed && moved)) return false;
  bool wake = false;
  if (filed) {
    const uint64_t detail = static_cast<uint64_t>(was.expiry_ms);
    wake = Post(thread, {Entry(node, space.number), detail, false});
  }
  return (wanted && File(thread, space.number, node, hash, is)) || wake;
}

bool Eviction::File(size_t thread, SpaceNumber space, const Node* node, uint64_t hash,
                    KeyState is) {
  if (!Evictable(is)) return false;
  const uint64_t detail =
      kind() == PolicyKind::kTtl ? static_cast<uint64_t>(is.expiry_ms) : FingerprintOf(hash, space);
  return Post(thread, {Entry(node, space), detail, true});
}

bool Eviction::Post(size_t thread, const Event& event) {
  ASSERT(thread < inboxes_.size());
  // Once a thread's inbox counts it is looked at for ever. Release and acquire: whoever unlinks
  // the node, and so whoever must not miss this event, comes after it by the key's latch.
  size_t used = inboxes_used_.load(std::memory_order_relaxed);
  while (used <= thread &&
         !inboxes_used_.compare_exchange_weak(used, thread + 1, std::memory_order_acq_rel)) {
  }
  Inbox& inbox = inboxes_[thread];
  inbox.latch.Lock();
  inbox.events.push_back(event);
  const bool wake = inbox.events.size() == kWakeEvents;
  inbox.latch.Unlock();
  return wake;
}

// Relaxed loads: kind_ and generation_ change with all latches held, and one is held here.
bool Eviction::MayEvict(const Victim& victim, KeyState is) const {
  if (victim.generation != generation_.load(std::memory_order_relaxed)) return false;
  if (PLANTED(EVICTION_TAKE_CHANGED)) return true;
  if (!Evictable(is)) return false;
  if (kind() == PolicyKind::kTtl) return victim.key == static_cast<uint64_t>(is.expiry_ms);
  return true;
}

// ---- Sessions

void Eviction::LockPolicy() {
  if (latch_.TryLock()) return;
  waiting_.fetch_add(1, std::memory_order_relaxed);
  const uint64_t waited = latch_.Lock();
  waiting_.fetch_sub(1, std::memory_order_relaxed);
  waited_ns_.fetch_add(waited, std::memory_order_relaxed);
}

Eviction::Session::Session(Eviction& eviction, size_t files_most) : eviction_(eviction) {
  eviction_.LockPolicy();
  eviction_.ReadInboxes();
  eviction_.FileUnfiled(files_most);
}

void Eviction::ReadInboxes() {
  const size_t used = inboxes_used_.load(std::memory_order_acquire);
  for (size_t i = 0; i < used; ++i) {
    Inbox& inbox = inboxes_[i];
    inbox.latch.Lock();
    read_.swap(inbox.events);
    inbox.latch.Unlock();
    for (const Event& event : read_) {
      if (voids_.dropped(event.entry.space())) continue;
      if (event.filed) {
        voids_.NoteAdded(event.entry);
        unfiled_.push_back(event);
      } else {
        policy_->Unfile(event.entry, event.detail);
      }
    }
    const size_t before = read_.size();
    read_.clear();
    GiveBackRoom(&read_, before);
  }
}

// Acts on filed events only now that all others are read: their nodes may be looked at (E2).
void Eviction::FileUnfiled(size_t most) {
  for (size_t i = 0; i < most && !unfiled_.empty(); ++i) {
    const Event event = unfiled_.front();
    unfiled_.pop_front();
    if (voids_.Take(event.entry)) continue;  // void already, or an entry stands for it again
    policy_->File(event.entry, event.detail);
  }
}

size_t Eviction::keys() const {
  if (policy_ == nullptr) return 0;
  const size_t filed =
      policy_->entries() + unfiled_.size() + (PLANTED(EVICTION_FORGET_VICTIMS) ? 0 : in_hands_);
  return filed - std::min(filed, voids_.pending() + policy_->early());
}

void Eviction::Session::Pick(size_t count, std::vector<Victim>* victims) {
  if (eviction_.policy_ == nullptr) return;
  for (; count > 0; --count) {
    std::optional<Victim> victim = eviction_.policy_->Pick();
    if (!victim && !eviction_.unfiled_.empty()) {
      eviction_.FileUnfiled(kFilesAtOnce);
      victim = eviction_.policy_->Pick();
    }
    if (!victim) return;
    victim->generation = eviction_.generation_.load(std::memory_order_relaxed);
    victims->push_back(*victim);
    ++eviction_.in_hands_;
  }
}

bool Eviction::Session::TakeFromHands(const Victim& victim) {
  if (victim.generation != eviction_.generation_.load(std::memory_order_relaxed)) return false;
  --eviction_.in_hands_;
  return true;
}

void Eviction::Session::PutBack(const Victim& victim) {
  if (!TakeFromHands(victim) || PLANTED(EVICTION_LOSE_PUT_BACK)) return;
  eviction_.policy_->PutBack(victim);
}

void Eviction::Session::NoteEvicted(const Victim& victim) {
  if (!TakeFromHands(victim)) return;
  eviction_.voids_.NoteRemoved(victim.entry);
  eviction_.policy_->NoteEvicted(victim);
}

void Eviction::Session::DropSpace(SpaceNumber space) {
  eviction_.FileUnfiled(eviction_.unfiled_.size());
  eviction_.voids_.DropSpace(space);
}

bool Eviction::Session::Tidy(uint32_t now_s, size_t budget) {
  Eviction& e = eviction_;
  if (e.policy_ == nullptr) return true;
  if (e.clock_.kind() == AccessKind::kTicks)
    e.times_.Note(e.clock_.ticks() + AccessClock::kBase, now_s);
  const bool trimmed = e.policy_->Trim(budget);
  e.clock_.Resize(e.policy_->entries());
  if (e.decay_minutes_ > 0) {
    const uint32_t now = now_s / 60 / e.decay_minutes_;
    if (now > e.decayed_until_) {
      const uint32_t passed = std::min<uint32_t>(now - e.decayed_until_, 255);
      if (e.decayed_until_ > 0) e.clock_.AddAge(uint64_t{kAgeStep} * passed);
      e.decayed_until_ = now;
    }
  }
  if (!e.sweeping_) {
    e.looking_ = e.clock_.ticks() - e.renewed_at_ >= kRenewTicks ||
                 e.clock_.age() - e.renewed_age_ >= kRenewAge;
    const size_t voids = e.voids_.pending();
    const bool all_void = voids > 0 && voids >= e.policy_->entries();
    e.sweeping_ = e.looking_ || voids > e.policy_->entries() / kVoidShare + kVoidMin || all_void ||
                  (e.number_wanted_ && voids > 0);
    e.number_wanted_ = false;
  }
  e.FileUnfiled(budget);
  if (e.sweeping_ && e.policy_->Sweep(budget, e.looking_)) {
    e.sweeping_ = false;
    if (e.looking_) e.renewed_at_ = e.clock_.ticks();
    if (e.looking_) e.renewed_age_ = e.clock_.age();
  }
  return trimmed && !e.sweeping_ && e.unfiled_.empty();
}

std::optional<SpaceNumber> Eviction::Session::NewSpace() {
  const std::optional<SpaceNumber> number = eviction_.voids_.NewSpace();
  if (!number) eviction_.number_wanted_ = true;
  return number;
}

Eviction::Former Eviction::Session::Switch(PolicyKind kind, bool volatile_only, uint32_t now_s) {
  Eviction& e = eviction_;
  Former former{std::move(e.policy_), std::exchange(e.voids_, {}), std::exchange(e.unfiled_, {})};
  e.policy_ = NewPolicy(kind, e.voids_, e.clock_);
  e.generation_.fetch_add(1, std::memory_order_relaxed);
  e.in_hands_ = 0;
  e.sweeping_ = false;
  e.renewed_at_ = e.clock_.ticks();
  e.renewed_age_ = e.clock_.age();
  e.decayed_until_ = 0;  // from now on
  e.kind_.store(kind, std::memory_order_relaxed);
  e.volatile_only_.store(volatile_only || kind == PolicyKind::kTtl, std::memory_order_relaxed);
  e.clock_.set_kind(AccessKindOf(kind));
  if (e.clock_.kind() == AccessKind::kTicks && now_s > e.times_.last_second() + 1) {
    // The time in which no access was counted gets a tick a second.
    const uint32_t past_s = std::min(kPastSeconds, now_s - 1 - e.times_.last_second());
    e.times_.Note(AccessClock::kBase + e.clock_.ticks(), now_s - past_s);
    e.clock_.Skip(past_s);
    e.times_.Note(AccessClock::kBase + e.clock_.ticks(), now_s);
  }
  return former;
}

PolicyFigures Eviction::Session::figures() const {
  PolicyFigures figures;
  if (eviction_.policy_ == nullptr) return figures;
  figures.entries = eviction_.policy_->entries() + eviction_.unfiled_.size();
  figures.void_entries = eviction_.voids_.pending();
  figures.allocated_bytes =
      eviction_.voids_.allocated_bytes() + eviction_.unfiled_.size() * sizeof(Event);
  eviction_.policy_->AddFigures(&figures);
  return figures;
}

// ---- Options and answers

void Eviction::SetLfuDecayTime(uint32_t minutes) {
  LockPolicy();
  decay_minutes_ = minutes;
  decayed_until_ = 0;  // from now on
  clock_.set_ageing(minutes > 0);
  latch_.Unlock();
}

uint32_t Eviction::IdleOfTicks(uint32_t field, uint32_t now_s) {
  LockPolicy();
  const uint32_t then_s = times_.SecondOf(clock_.TickOf(field));
  latch_.Unlock();
  return then_s < now_s ? now_s - then_s : 0;
}

uint32_t Eviction::IdleSeconds(uint32_t field, uint32_t now_s) {
  if (clock_.kind() == AccessKind::kTicks) return IdleOfTicks(field, now_s);
  return field < now_s ? now_s - field : 0;
}

uint32_t Eviction::FieldOfIdle(uint32_t idle_s, uint32_t now_s) {
  const uint32_t then_s = idle_s < now_s ? now_s - idle_s : 0;
  if (clock_.kind() != AccessKind::kTicks) return then_s;
  LockPolicy();
  const uint64_t tick = times_.TickOf(then_s);
  latch_.Unlock();
  return static_cast<uint32_t>(tick) & kTickMask;
}

uint32_t Eviction::Converted(AccessKind former, uint32_t field, uint32_t now_s) {
  const AccessKind present = clock_.kind();
  if (former == present) return field;
  if (present == AccessKind::kFrequency) return FieldOfFrequency(kFrequencyInitial);
  // A key that is younger than the policy, or stayed from a former one, has a tick already: no
  // second is so small, and no tick so large before as many accesses.
  if (former == AccessKind::kSeconds && (field & ~kSeenAgain) < kSecondsMin) return field;
  uint32_t idle_s = 0;
  if (former == AccessKind::kSeconds) idle_s = field < now_s ? now_s - field : 0;
  if (former == AccessKind::kTicks) idle_s = IdleOfTicks(field, now_s);
  return FieldOfIdle(idle_s, now_s);
}

}  // namespace fluxkv::engine
