// What a reader leaves in a node when it uses the key: one 32-bit field, stored only when it says
// something new. What the field means depends on the policy (AccessKind):
//
//   kSeconds    seconds of the shared clock (no policy that asks for more)
//   kTicks      31 bits of a logical clock that counts accesses, and kSeenAgain: whether the key
//               was used since it was filed (LRU, ARC)
//   kFrequency  24 bits of age, 8 bits of counter (LFU)
//
//   AccessRecorder recorder(clock);      // one for each thread
//   recorder.Sync(now_s);                // when a turn begins and when it ends
//   recorder.Touch(*node);               // at each use of a key
//   Node::New(key, recorder.Fresh());    // a key that was not there
//
// A1. Any value of the field is safe: it decides who goes first, and nothing else. So readers
//     store without read-modify-write, and a change of policy may leave values of the former one
//     behind.
// A2. The clock never goes back, and with one thread it moves by one at each access while there
//     are fewer than 2^17 keys; with more keys one tick stands for several accesses (keys /
//     2^16). With more threads each sees what the others counted up to their last Sync.
// A3. A tick is read as the newest one with those 31 bits that is not ahead of the clock by more
//     than kAheadMax. A sweep over all entries each kRenewTicks (policy.h) rewrites ticks that
//     are kOldestTicks old before they could be taken for new ones. So what was not used for
//     that long (half a billion accesses at least, and 8,192 for each key) is not told apart. In
//     the same way ages are rewritten that are kOldestAge old. Fields of keys that are not filed
//     are not looked at, and may come to say something else.
// A4. The age of LFU moves by kAgeUnits whenever as many keys were evicted as there are, and by
//     kAgeStep for each lfu-decay-time that passes; kAgeStep of age is worth one of the counter.
//
// Threads: AccessClock any, its setters under the policy's lock; an AccessRecorder its thread.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/limits.h"
#include "engine/node.h"

namespace fluxkv::engine {

enum class AccessKind : uint8_t { kSeconds, kTicks, kFrequency };

inline constexpr uint32_t kTickBits = 31;
inline constexpr uint32_t kTickMask = (uint32_t{1} << kTickBits) - 1;
inline constexpr uint32_t kSeenAgain = uint32_t{1} << kTickBits;
inline constexpr uint64_t kAheadMax = uint64_t{1} << 20;
inline constexpr uint64_t kOldestTicks = uint64_t{1} << 29;
inline constexpr uint64_t kRenewTicks = uint64_t{1} << 28;
static_assert(kOldestTicks + 2 * kRenewTicks + kAheadMax < kTickMask);

inline constexpr uint32_t kAgeBits = 24;
inline constexpr uint32_t kAgeMask = (uint32_t{1} << kAgeBits) - 1;
inline constexpr uint32_t kAgeUnits = 1024;
inline constexpr uint32_t kAgeStep = 2048;
inline constexpr uint64_t kOldestAge = uint64_t{256} * kAgeStep;  // no counter is left then
inline constexpr uint64_t kRenewAge = kOldestAge;
static_assert(2 * kOldestAge + 2 * kRenewAge < kAgeMask / 2);
inline constexpr uint8_t kFrequencyInitial = 5;  // as Redis: a new key is not the first to go

inline uint32_t FrequencyField(uint8_t counter, uint64_t age) {
  return (static_cast<uint32_t>(age) & kAgeMask) << 8 | counter;
}
// How far the field's age is behind `age`; one that is ahead of it counts as level.
inline uint32_t AgeBehind(uint32_t field, uint64_t age) {
  const uint32_t behind = static_cast<uint32_t>(age - (field >> 8)) & kAgeMask;
  return behind > kAgeMask / 2 ? 0 : behind;
}
// The counter as it has decayed.
inline uint8_t DecayedCounter(uint32_t field, uint64_t age) {
  const uint32_t steps = AgeBehind(field, age) / kAgeStep, counter = field & 0xff;
  return static_cast<uint8_t>(steps < counter ? counter - steps : 0);
}

class AccessClock {
 public:
  AccessKind kind() const { return kind_.load(std::memory_order_relaxed); }
  uint64_t ticks() const { return accesses_.load(std::memory_order_relaxed) >> kFraction; }
  uint64_t age() const { return age_.load(std::memory_order_relaxed); }
  // The whole tick that the field of a node stands for (A3).
  uint64_t TickOf(uint32_t field) const {
    const uint64_t ahead = ticks() + kBase + kAheadMax;
    return ahead - ((ahead - field) & kTickMask);
  }
  // Ticks as TickOf gives them begin here, so that what is older than the clock is not negative.
  static constexpr uint64_t kBase = uint64_t{1} << 32;

  // ---- under the policy's lock, but for set_log_factor
  void set_kind(AccessKind kind) { kind_.store(kind, std::memory_order_relaxed); }
  void set_log_factor(uint32_t factor) { log_factor_.store(factor, std::memory_order_relaxed); }
  // Whether counters decay at all (lfu-decay-time is not 0).
  bool ageing() const { return ageing_; }
  void set_ageing(bool on) { ageing_ = on; }
  void AddAge(uint64_t units) { age_.store(age() + units, std::memory_order_relaxed); }
  void Skip(uint64_t ticks) { accesses_.fetch_add(ticks << kFraction, std::memory_order_relaxed); }
  // Sets how fine the clock is for so many keys.
  void Resize(size_t keys);

 private:
  friend class AccessRecorder;
  static constexpr int kFraction = 16;

  // Relaxed throughout: figures, of which any recent value will do (A1).
  alignas(limits::kCacheLineBytes) std::atomic<uint64_t> accesses_{0};  // in 2^-16 ticks
  alignas(limits::kCacheLineBytes) std::atomic<AccessKind> kind_{AccessKind::kSeconds};
  std::atomic<uint32_t> step_{1u << kFraction};  // what one access adds
  std::atomic<uint32_t> close_{0};               // ticks that make no difference to a reader
  std::atomic<uint64_t> age_{0};
  std::atomic<uint32_t> log_factor_{10};
  bool ageing_ = true;  // under the policy's lock
};

class AccessRecorder {
 public:
  explicit AccessRecorder(AccessClock& clock, uint64_t seed = 1)
      : clock_(clock), random_(seed | 1) {
    Sync(0);
  }

  // Publishes what this thread counted and takes over what the others did: at the beginning of a
  // turn and at its end, so that an idle thread holds nothing back.
  void Sync(uint32_t now_s);

  void Touch(Node& node) {
    if (kind_ == AccessKind::kSeconds) {
      node.NoteAccess(now_s_);
    } else if (kind_ == AccessKind::kTicks) {
      TouchTick(node);
    } else {
      TouchFrequency(node);
    }
  }
  // The field of a key that was not there before.
  uint32_t Fresh() {
    if (kind_ == AccessKind::kSeconds) return now_s_;
    if (kind_ == AccessKind::kTicks) return NextTick();
    return FrequencyField(kFrequencyInitial, age_);
  }
  AccessKind kind() const { return kind_; }

 private:
  uint32_t NextTick() {
    unpublished_ += step_;
    now_ += step_;
    return static_cast<uint32_t>(now_ >> AccessClock::kFraction) & kTickMask;
  }
  // A key that was used a moment ago is left alone: hot keys' lines stay shared between threads.
  void TouchTick(Node& node) {
    const uint32_t tick = NextTick(), field = node.access_s();
    if ((field & kSeenAgain) != 0 && ((tick - field) & kTickMask) <= close_) return;
    node.NoteAccess(tick | kSeenAgain);
  }
  void TouchFrequency(Node& node) {
    const uint32_t field = node.access_s();
    uint32_t counter = DecayedCounter(field, age_);
    if (counter < 255 && Grows(counter)) ++counter;
    // What was used again is told from what is new by not being at kFrequencyInitial.
    if (counter == kFrequencyInitial) ++counter;
    node.NoteAccess(FrequencyField(static_cast<uint8_t>(counter), age_));
  }
  // Redis's logarithmic counter: grows with probability 1 / ((counter - initial) * factor + 1).
  bool Grows(uint32_t counter) {
    const uint64_t above = counter > kFrequencyInitial ? counter - kFrequencyInitial : 0;
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    return (random_ >> 32) * (above * log_factor_ + 1) < uint64_t{1} << 32;
  }

  AccessClock& clock_;
  uint64_t now_ = 0;          // the clock's accesses_ as this thread has it
  uint64_t unpublished_ = 0;  // the part of it that the clock has not got yet
  uint64_t random_, age_ = 0;
  uint32_t now_s_ = 0, step_ = 0, close_ = 0, log_factor_ = 0;
  AccessKind kind_ = AccessKind::kSeconds;
};

}  // namespace fluxkv::engine
