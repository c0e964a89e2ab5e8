#include "tests/crash/key_history.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "base/hash.h"

namespace fluxkv::crash {

namespace {

constexpr int64_t kClockSlackMs = 100;  // the server's clock ticks once a turn of a loop

bool Matches(const KeyState& state, const FoundKey& found) {
  if (state.brief_ms == 0 || state.hash == kAbsent)
    return found.hash == state.hash && found.deadline_ms == state.deadline_ms;
  if (found.hash == kAbsent) return found.until_ms + kClockSlackMs >= state.ends_from_ms;
  const bool may_last = state.ends_until_ms == KeyState::kOpen ||
                        found.from_ms - kClockSlackMs <= state.ends_until_ms;
  return found.hash == state.hash && may_last &&
         found.deadline_ms + kClockSlackMs >= state.ends_from_ms &&
         (state.ends_until_ms == KeyState::kOpen ||
          found.deadline_ms - kClockSlackMs <= state.ends_until_ms);
}

}  // namespace

uint64_t ValueHash(std::string_view value) {
  const uint64_t hash = HashBytes(value);
  return hash == kAbsent ? 1 : hash;
}

OwnerHistory::OwnerHistory(size_t keys) : keys_(keys) {
  for (auto& entries : keys_) entries.push_back({0, {}});
}

uint64_t OwnerHistory::Announce(const Effects& effects) {
  const uint64_t number = announced_.load(std::memory_order_relaxed) + 1;
  for (const auto& [key, state] : effects) keys_[key].push_back({number, state});
  announced_.store(number, std::memory_order_release);
  return number;
}

void OwnerHistory::Confirm(uint64_t number, int64_t now_ms) {
  // Brief keys: the deadline was set before the answer came.
  for (auto& entries : keys_) {
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
      if (entry->number <= confirmed_.load(std::memory_order_relaxed)) break;
      KeyState& state = entry->state;
      if (entry->number <= number && state.brief_ms > 0 && state.ends_until_ms == KeyState::kOpen)
        state.ends_until_ms = now_ms + state.brief_ms;
    }
  }
  confirmed_.store(number, std::memory_order_release);
}

uint64_t OwnerHistory::EndOf(const std::vector<Entry>& entries, size_t i) const {
  return i + 1 < entries.size() ? entries[i + 1].number - 1 : announced();
}

OwnerHistory::Stretches OwnerHistory::StretchesOf(uint32_t key, const FoundKey& found) const {
  Stretches stretches;
  const std::vector<Entry>& entries = keys_[key];
  for (size_t i = 0; i < entries.size(); ++i) {
    if (Matches(entries[i].state, found))
      stretches.push_back({entries[i].number, EndOf(entries, i)});
  }
  return stretches;
}

Verdict OwnerHistory::Check(const std::vector<FoundKey>& found,
                            const std::vector<SeenState>& seen) const {
  Verdict verdict;
  std::vector<Stretches> stretches;
  for (uint32_t key = 0; key < keys_.size(); ++key) {
    stretches.push_back(StretchesOf(key, found[key]));
    const Stretches& of = stretches.back();
    if (!of.empty() && of.back().last >= confirmed()) continue;
    ++verdict.lost;
    verdict.text += fmt::format(
        "key {} (hash {:x}, deadline {}, looked at {} to {}) is {}; last written by operation {}, "
        "confirmed {}, announced {}\n",
        key, found[key].hash, found[key].deadline_ms, found[key].from_ms, found[key].until_ms,
        of.empty() ? "what no operation made it"
                   : fmt::format("as operations {} to {} left it", of.back().first, of.back().last),
        keys_[key].back().number, confirmed(), announced());
  }
  FindHalves(stretches, &verdict);
  if (verdict.lost > 0) return verdict;
  const auto holds = [&](uint64_t prefix) {
    return std::all_of(stretches.begin(), stretches.end(), [&](const Stretches& of) {
      return std::any_of(of.begin(), of.end(),
                         [&](const Stretch& s) { return s.first <= prefix && prefix <= s.last; });
    });
  };
  for (uint64_t prefix = announced() + 1; prefix-- > confirmed();) {
    if (!holds(prefix)) continue;
    verdict.prefix = prefix;
    CheckSeen(seen, &verdict);
    return verdict;
  }
  if (verdict.halves > 0) return verdict;
  verdict.holes = 1;
  for (uint32_t key = 0; key < keys_.size(); ++key) {
    const Stretch& last = stretches[key].back();
    if (last.last < announced() || last.first > confirmed())
      verdict.text += fmt::format("key {} is as operations {} to {} left it, confirmed {}\n", key,
                                  last.first, last.last, confirmed());
  }
  return verdict;
}

// An operation is half there if one of its keys is surely as before it and another surely not.
void OwnerHistory::FindHalves(const std::vector<Stretches>& stretches, Verdict* verdict) const {
  struct Sides {
    bool before = false, after = false;
  };
  std::map<uint64_t, Sides> of_operation;
  for (size_t key = 0; key < keys_.size(); ++key) {
    const Stretches& of = stretches[key];
    if (of.empty()) continue;
    for (const Entry& entry : keys_[key]) {
      if (entry.number == 0) continue;
      Sides& sides = of_operation[entry.number];
      sides.before |= of.back().last < entry.number;
      sides.after |= of.front().first >= entry.number;
    }
  }
  for (const auto& [number, sides] : of_operation) {
    if (!sides.before || !sides.after) continue;
    ++verdict->halves;
    verdict->text += fmt::format("operation {} is there in part\n", number);
  }
}

void OwnerHistory::CheckSeen(const std::vector<SeenState>& seen, Verdict* verdict) const {
  for (const SeenState& s : seen) {
    const std::vector<Entry>& entries = keys_[s.key];
    uint64_t first = s.until + 1;  // operation after which it could first be seen
    for (size_t i = 0; i < entries.size() && first > s.until; ++i) {
      if (entries[i].state.hash == s.hash && EndOf(entries, i) >= s.from)
        first = std::max(entries[i].number, s.from);
    }
    if (first <= s.until && first <= verdict->prefix) continue;
    ++verdict->contradicted;
    verdict->text += fmt::format(
        "key {} was seen between operations {} and {} as {} left it, but only {} are there\n",
        s.key, s.from, s.until,
        first > s.until ? std::string("none of them") : std::to_string(first), verdict->prefix);
  }
}

void OwnerHistory::Restart(const std::vector<FoundKey>& found) {
  for (size_t key = 0; key < keys_.size(); ++key) {
    KeyState state{.hash = found[key].hash, .deadline_ms = found[key].deadline_ms};
    // A brief key that is still there ends at its deadline, which is known now.
    if (found[key].brief_ms > 0 && state.hash != kAbsent)
      state = {.hash = state.hash,
               .brief_ms = found[key].brief_ms,
               .ends_from_ms = found[key].deadline_ms,
               .ends_until_ms = found[key].deadline_ms};
    keys_[key].assign(1, {0, state});
  }
  confirmed_.store(0);
  announced_.store(0);
}

}  // namespace fluxkv::crash
