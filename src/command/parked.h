// A command that has not answered yet: its connection is parked, later commands of it wait, other
// connections go on. Used by what the arguments do not bound (KEYS, in slices of about a
// millisecond at one snapshot) and by what waits (WAIT).
// Threads: the connection's loop. Destroyed when done or when the connection goes.
#pragma once

#include <cstdint>

namespace fluxkv::command {

struct Context;

class Parked {
 public:
  virtual ~Parked() = default;
  // Goes on for about a millisecond. True when the reply has been written. `context.args` is empty.
  virtual bool Step(Context& context) = 0;
  // When Step wants to be called next: 0 at once (in the next turn), else that time in ms
  // (INT64_MAX: only when unblocked).
  virtual int64_t wake_at_ms() const { return 0; }
  // CLIENT UNBLOCK: writes the reply (time-out reply, or -UNBLOCKED);
  // false if it cannot be unblocked.
  virtual bool Unblock(Context& context, bool with_error) = 0;
  // Whether CLIENT LIST shows the client as blocked (WAIT) rather than busy (KEYS).
  virtual bool blocked() const { return false; }
};

}  // namespace fluxkv::command
