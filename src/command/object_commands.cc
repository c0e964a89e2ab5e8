// What is known about a value besides its bytes: OBJECT.
#include <cstdint>
#include <optional>
#include <string_view>

#include "command/context.h"
#include "command/errors.h"
#include "command/help_reply.h"
#include "command/services.h"
#include "command/table.h"
#include "command/value_support.h"
#include "config/settings.h"
#include "types/string_value.h"

namespace fluxkv::command {
namespace {

constexpr size_t kKeyArgument = 2;

// The value of the key, looked at without leaving a trace; null after answering nil.
const engine::Version* Inspect(Context& c) {
  const engine::Version* version = c.txn.Peek(c.db(), c.Key(kKeyArgument));
  if (version == nullptr) c.reply.Null();
  return version;
}

bool FrequenciesTracked(const Context& c) {
  return c.services.config.settings().tracks_frequencies();
}

void ObjectEncoding(Context& c) {
  const engine::Version* version = Inspect(c);
  if (version == nullptr) return;
  if (version->type() == types::kTypeString) {
    c.reply.Bulk(types::EncodingName(*version));
  } else {
    c.reply.Bulk("unknown");
  }
}

void ObjectRefcount(Context& c) {
  const engine::Version* version = Inspect(c);
  if (version != nullptr) c.reply.Integer(ShownReferences(*version));
}

void ObjectIdletime(Context& c) {
  if (Inspect(c) == nullptr) return;
  if (FrequenciesTracked(c)) {
    return c.reply.Error(
        "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when "
        "switching between policies at runtime LRU and LFU data will take some time to adjust.");
  }
  std::optional<uint64_t> seconds = c.txn.IdleSeconds(c.db(), c.Key(kKeyArgument));
  c.reply.Integer(static_cast<int64_t>(seconds.value_or(0)));
}

void ObjectFreq(Context& c) {
  if (Inspect(c) == nullptr) return;
  if (FrequenciesTracked(c)) {
    return c.reply.Integer(c.txn.Frequency(c.db(), c.Key(kKeyArgument)).value_or(0));
  }
  c.reply.Error(
      "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that "
      "when switching between policies at runtime LRU and LFU data will take some time to adjust.");
}

void ObjectHelp(Context& c) {
  static constexpr std::string_view kLines[] = {
      "ENCODING <key>",
      "    Name of the form in which the value is stored.",
      "FREQ <key>",
      "    Logarithmic access frequency of the key; needs an LFU maxmemory-policy.",
      "IDLETIME <key>",
      "    Seconds since the key was last accessed.",
      "REFCOUNT <key>",
      "    Number of references to the value.",
  };
  ReplyHelp(c, kLines);
}

constexpr Command kObjectSubcommands[] = {
    {.name = "encoding",
     .arity = 3,
     .flags = kReadonly,
     .keys = {2, 2, 1},
     .group = Group::kGeneric,
     .acl = kAclKeyspace,
     .since = "2.2.3",
     .summary = "Returns the form in which a value is stored.",
     .scope = Scope::kRead,
     .handler = &ObjectEncoding,
     .parent = "object"},
    {.name = "freq",
     .arity = 3,
     .flags = kReadonly,
     .keys = {2, 2, 1},
     .group = Group::kGeneric,
     .acl = kAclKeyspace,
     .since = "4.0.0",
     .summary = "Returns how often a key is accessed, on a logarithmic scale.",
     .scope = Scope::kRead,
     .handler = &ObjectFreq,
     .parent = "object"},
    {.name = "help",
     .arity = 2,
     .flags = kLoading | kStale,
     .group = Group::kGeneric,
     .acl = kAclKeyspace,
     .since = "6.2.0",
     .summary = "Lists the subcommands.",
     .scope = Scope::kNone,
     .handler = &ObjectHelp,
     .parent = "object"},
    {.name = "idletime",
     .arity = 3,
     .flags = kReadonly,
     .keys = {2, 2, 1},
     .group = Group::kGeneric,
     .acl = kAclKeyspace,
     .since = "2.2.3",
     .summary = "Returns the seconds since a key was last accessed.",
     .scope = Scope::kRead,
     .handler = &ObjectIdletime,
     .parent = "object"},
    {.name = "refcount",
     .arity = 3,
     .flags = kReadonly,
     .keys = {2, 2, 1},
     .group = Group::kGeneric,
     .acl = kAclKeyspace,
     .since = "2.2.3",
     .summary = "Returns the number of references to a value.",
     .scope = Scope::kRead,
     .handler = &ObjectRefcount,
     .parent = "object"},
};

constexpr Command kObjectRows[] = {
    {.name = "object",
     .arity = -2,
     .group = Group::kGeneric,
     .since = "2.2.3",
     .complexity = "Depends on the subcommand.",
     .summary = "Looks at the inside of values.",
     .subcommands = kObjectSubcommands},
};

}  // namespace

std::span<const Command> ObjectCommands() {
  return kObjectRows;
}

}  // namespace fluxkv::command
