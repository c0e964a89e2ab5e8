// What a snapshot transaction keeps with Conflicts while it lives.
#pragma once

#include <optional>

#include "engine/conflicts.h"
#include "engine/transaction.h"

namespace fluxkv::engine {

struct Transaction::TrackedState {
  TrackedTransaction transaction;             // read-write serializable
  std::optional<Conflicts::ReadOnly> reader;  // read-only
  Stamp walk_pi = kStampPending;  // least pi of those who had overwritten what ranges returned
};

}  // namespace fluxkv::engine
