// What is known of one connection's keys when its server is killed. Every operation is announced
// before it is sent and confirmed when it has been answered; operations of a connection take effect
// in order. So after a crash its keys must be as some number of its operations left them, at least
// those that were confirmed, at most those that were announced.
//
//   OwnerHistory history(keys);
//   uint64_t number = history.Announce({{key, {.hash = ValueHash("v")}}});
//   history.Confirm(number);                         // the reply has come
//   Verdict verdict = history.Check(found, seen);    // after the crash
//   history.Restart(found);
//
// Threads: the owner's; confirmed() and announced() by any.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fluxkv::crash {

inline constexpr uint64_t kAbsent = 0;
// Never kAbsent.
uint64_t ValueHash(std::string_view value);

struct KeyState {
  static constexpr int64_t kOpen = std::numeric_limits<int64_t>::max();

  uint64_t hash = kAbsent;
  int64_t deadline_ms = 0;  // exact; 0: none
  // A brief key ends by itself so long after it was written, which is somewhen between these two.
  int64_t brief_ms = 0;  // 0: it is none
  int64_t ends_from_ms = 0;
  int64_t ends_until_ms = kOpen;
};

// A key as a client found it, after the crash.
struct FoundKey {
  uint64_t hash = kAbsent;
  int64_t deadline_ms = 0;
  int64_t from_ms = 0, until_ms = 0;  // when it was looked at
  int64_t brief_ms = 0;               // for Restart: as KeyState
};

// What another client was told before the crash.
struct SeenState {
  uint32_t key = 0;
  uint64_t hash = kAbsent;
  uint64_t from = 0;   // operations confirmed when it asked
  uint64_t until = 0;  // operations announced when it had the answer
};

struct Verdict {
  uint64_t prefix = 0;        // operations that are there; 0 when anything below is not
  uint64_t lost = 0;          // keys without a confirmed operation
  uint64_t halves = 0;        // operations of several keys that are there in part
  uint64_t holes = 0;         // 1: each key may be right, but they do not fit together
  uint64_t contradicted = 0;  // answers to others that are not true any more, or never were
  std::string text;           // a line for each, for a person
  bool good() const { return lost + halves + holes + contradicted == 0; }
};

class OwnerHistory {
 public:
  using Effects = std::vector<std::pair<uint32_t, KeyState>>;

  explicit OwnerHistory(size_t keys);

  // The operation's number. A key occurs once.
  uint64_t Announce(const Effects& effects);
  // Operations up to this one have been answered, at `now_ms`.
  void Confirm(uint64_t number, int64_t now_ms);
  uint64_t confirmed() const { return confirmed_.load(std::memory_order_acquire); }
  uint64_t announced() const { return announced_.load(std::memory_order_acquire); }

  Verdict Check(const std::vector<FoundKey>& found, const std::vector<SeenState>& seen) const;
  // The history begins anew with what was found.
  void Restart(const std::vector<FoundKey>& found);

 private:
  struct Entry {
    uint64_t number;  // operation that led to it; 0: what the history began with
    KeyState state;
  };
  // Operations [first, last] after which the key was as it was found.
  struct Stretch {
    uint64_t first, last;
  };
  using Stretches = std::vector<Stretch>;

  Stretches StretchesOf(uint32_t key, const FoundKey& found) const;
  void FindHalves(const std::vector<Stretches>& stretches, Verdict* verdict) const;
  void CheckSeen(const std::vector<SeenState>& seen, Verdict* verdict) const;
  uint64_t EndOf(const std::vector<Entry>& entries, size_t i) const;

  std::vector<std::vector<Entry>> keys_;
  std::atomic<uint64_t> confirmed_{0}, announced_{0};
};

}  // namespace fluxkv::crash
