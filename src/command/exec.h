// EXEC: the queued commands of MULTI as one transaction.
//
// How they run follows from what they declare:
//   latched     all of them name their keys: those keys and the watched ones are latched, then
//               every read sees the newest value and the commit cannot fail.
//   snapshot    one of them reads keys that it does not name (KEYS, SCAN, RANDOMKEY): at a
//               snapshot, again after a conflict, and after kSnapshotTries conflicts alone.
//   exclusive   one of them takes whole databases (FLUSHALL), or keys are watched beside
//               undeclared reads.
//
// E1. Commands without keys that act on the world outside the store (PUBLISH, CONFIG SET) run once,
//     after the commit; their replies stand at their place.
// E2. A command that fails leaves its error at its place and the others take effect.
// E3. Watched keys are compared after everything is latched and before anything runs.
// Threads: the connection's loop.
#pragma once

#include "command/context.h"

namespace fluxkv::command {

// Answers the EXEC of `context`. Requires: in MULTI, no command refused.
void RunQueue(Context& context);

}  // namespace fluxkv::command
