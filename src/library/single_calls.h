// Reads and writes that are a transaction of their own, through a slot: no snapshot, no conflict.
//
//   Result<std::optional<std::string>> value = Get(slot, "k");
//
// Threads: any; each holds the slot's mutex, but while it waits for the log. What a call tells is
//          as safe as the durability says when it returns.
// Errors:  as Handle.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "fluxkv/options.h"
#include "fluxkv/range.h"
#include "library/slot.h"

namespace fluxkv::library {

Result<std::optional<std::string>> Get(Slot& slot, std::string_view key);
Result<bool> Contains(Slot& slot, std::string_view key);
Status Insert(Slot& slot, std::string_view key, std::string_view value, Ttl ttl);
Result<std::optional<std::string>> Remove(Slot& slot, std::string_view key);
Result<uint64_t> Evict(Slot& slot, uint64_t target_bytes, uint64_t keys_max);
Result<std::vector<KeyMetadata>> Metadata(const std::shared_ptr<Slot>& slot, const Range& range);

}  // namespace fluxkv::library
