#include "command/arguments.h"

#include <limits>
#include <optional>

#include "base/parse.h"
#include "command/services.h"

namespace fluxkv::command {

bool ReadInteger(Context& c, size_t argument, int64_t* value, std::string_view error) {
  std::optional<int64_t> parsed = ParseInt64(c.args[argument]);
  if (!parsed) {
    c.reply.Error(error);
    return false;
  }
  *value = *parsed;
  return true;
}

bool ReadTimeoutMs(Context& c, size_t argument, int64_t* timeout_ms) {
  int64_t value = 0;
  if (!ReadInteger(c, argument, &value, "ERR timeout is not an integer or out of range"))
    return false;
  if (value < 0) {
    c.reply.Error("ERR timeout is negative");
    return false;
  }
  if (value > std::numeric_limits<int64_t>::max() - c.services.clock.now_ms()) {
    c.reply.Error("ERR timeout is out of range");
    return false;
  }
  *timeout_ms = value;
  return true;
}

bool ReadOnOff(Context& c, size_t argument, bool* on) {
  bool is_on = EqualsIgnoreCase(c.args[argument], "on");
  if (!is_on && !EqualsIgnoreCase(c.args[argument], "off")) {
    c.reply.Error(errors::kSyntax);
    return false;
  }
  *on = is_on;
  return true;
}

}  // namespace fluxkv::command
