// Waiting for snapshots and reloads, for handlers of other families (SHUTDOWN, DEBUG RELOAD).
//
//   ParkUntilSnapshotEnds(c, ticket, [](Context& c, const Status& status) { ... answer ... });
//
// Threads: the connection's loop.
#pragma once

#include <cstdint>
#include <functional>

#include "base/result.h"
#include "command/context.h"

namespace fluxkv::command {

// Parks the connection; `answer` writes the reply. Requires: not inside EXEC.
void ParkUntilSnapshotEnds(Context& c, uint64_t ticket,
                           std::function<void(Context&, const Status&)> answer);
void ParkUntilReloadEnds(Context& c, uint64_t ticket);

}  // namespace fluxkv::command
