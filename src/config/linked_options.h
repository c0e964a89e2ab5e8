// durability.mode and Redis's appendonly and appendfsync say the same in different words. Whoever
// sets some of the three sets all: this tells what each of them then is.
//
//   durability.mode  appendonly  appendfsync
//   none             no          any: it takes effect with the next appendonly yes
//   relaxed          yes         everysec or no
//   full             yes         always
//
//   GivenValues given{};
//   given[kLinkedAppendOnly] = &yes;
//   Result<LinkedValues> after = LinkedAfter(before, given);
//
// Threads: pure functions. Errors: one sentence when those given contradict each other.
#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "base/result.h"
#include "config/option_value.h"

namespace fluxkv::config {

enum LinkedOption : size_t { kLinkedMode, kLinkedAppendOnly, kLinkedAppendFsync };
inline constexpr size_t kLinkedOptions = 3;

using LinkedValues = std::array<Value, kLinkedOptions>;
// Null: not given.
using GivenValues = std::array<const Value*, kLinkedOptions>;

// In the order of the texts of appendfsync.
enum class AppendFsync : int { kEverysec, kAlways, kNo };

// Their indexes in AllOptions(), in the order of LinkedOption.
const std::array<size_t, kLinkedOptions>& LinkedIndexes();
// Which of them the option with this index is; nullopt if none.
std::optional<LinkedOption> LinkedOptionAt(size_t index);

// All three after those of `given` were set together. `before` must be consistent, and so is what
// is returned. One alone contradicts nothing.
Result<LinkedValues> LinkedAfter(const LinkedValues& before, const GivenValues& given);

}  // namespace fluxkv::config
