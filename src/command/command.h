// One row of the command table: everything the server knows about a command. Dispatch, key
// extraction, COMMAND and the documentation all read it; nothing about a command is said twice.
//
//   {.name = "get", .arity = 2, .flags = kReadonly | kFast, .keys = {1, 1, 1},
//    .group = Group::kString, .acl = kAclRead | kAclString,
//    .since = "1.0.0", .complexity = "O(1)", .summary = "Returns the string value of a key.",
//    .scope = Scope::kRead, .handler = &Get},
//
// Threads: immutable.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace fluxkv::command {

struct Context;
struct Command;

// As COMMAND INFO names them; the comment is the wire name where it differs from the obvious.
enum Flag : uint32_t {
  kWrite = 1 << 0,
  kReadonly = 1 << 1,
  kDenyOom = 1 << 2,
  kAdmin = 1 << 3,
  kPubSub = 1 << 4,
  kNoScript = 1 << 5,
  kBlocking = 1 << 6,
  kLoading = 1 << 7,
  kStale = 1 << 8,
  kSkipMonitor = 1 << 9,
  kSkipSlowlog = 1 << 10,
  kAsking = 1 << 11,
  kFast = 1 << 12,
  kNoAuth = 1 << 13,
  kMayReplicate = 1 << 14,
  kMovableKeys = 1 << 15,
  kAllowBusy = 1 << 16,
  kNoMulti = 1 << 17,
  kNoAsyncLoading = 1 << 18,
  kNoMandatoryKeys = 1 << 19,
  // Ours, not shown: inside MULTI the command runs at once instead of being queued (EXEC, DISCARD,
  // WATCH, QUIT, RESET, MULTI).
  kRunsInMulti = 1 << 24,
  // Ours: allowed while subscribed in RESP2.
  kAllowedInPubSub = 1 << 25,
  // Ours: inside EXEC it acts once, after the commit (PUBLISH, CONFIG SET, CLIENT ...); it must not
  // read or write keys.
  kAfterCommit = 1 << 26,
  // Ours: refused between BEGIN and COMMIT, beyond what group and scope tell.
  kNotInTransaction = 1 << 27,
  // Ours: COMMIT and ROLLBACK, which a transaction that is over still takes.
  kEndsTransaction = 1 << 28,
};

enum class Group : uint8_t {
  kGeneric,
  kString,
  kBitmap,
  kTransactions,
  kPubSub,
  kConnection,
  kServer,
  kCluster
};

// ACL categories beyond those that flags and group imply (@read, @write, @fast/@slow, @admin,
// @dangerous, @pubsub, @blocking).
enum AclCategory : uint32_t {
  kAclKeyspace = 1 << 0,
  kAclString = 1 << 1,
  kAclBitmap = 1 << 2,
  kAclTransaction = 1 << 3,
  kAclConnection = 1 << 4,
  kAclDangerous = 1 << 5,
  kAclRead = 1 << 6,
  kAclWrite = 1 << 7,
  kAclAdmin = 1 << 8,
  kAclPubSub = 1 << 9,
  kAclBlocking = 1 << 10,
  kAclFast = 1 << 11,
  kAclSlow = 1 << 12,
};

// Positions of keys among the arguments, as COMMAND INFO: first 0 = none; last negative counts from
// the end.
struct KeySpec {
  int first = 0;
  int last = 0;
  int step = 0;
};

// How dispatch runs the command over the engine.
enum class Scope : uint8_t {
  kNone,       // touches no keys; context.txn is idle
  kRead,       // reads exactly the keys of its key spec: the newest, of one moment
  kWrite,      // reads and writes exactly the keys of its key spec, under their latches
  kSnapshot,   // reads what it likes at one snapshot (KEYS, SCAN, DBSIZE, RANDOMKEY)
  kExclusive,  // whole databases (FLUSHALL, SWAPDB)
  kRange,  // deletes whole ranges (DELRANGE): alone as kExclusive, in EXEC and between BEGIN and
           // COMMIT as a write at its snapshot
};

// A key with its database, for commands that reach beyond the selected one (MOVE, COPY ... DB).
struct DeclaredKey {
  uint32_t db;
  size_t argument;
};

using Handler = void (*)(Context&);
// Writes the keys of a request whose positions a KeySpec cannot tell (COPY DB, MOVE, OBJECT, MEMORY
// USAGE). Returns false when the arguments are not understood; the handler will then answer the
// error without touching a key.
using KeyFinder = bool (*)(std::span<const std::string_view> arguments, uint32_t selected_db,
                           std::vector<DeclaredKey>* keys);

struct Command {
  std::string_view name;  // lower case; a subcommand's alone ("list" of "client|list")
  int arity = 0;          // with the name(s); negative: at least
  uint32_t flags = 0;
  KeySpec keys{};
  Group group = Group::kGeneric;
  uint32_t acl = 0;
  std::string_view since = "1.0.0";
  std::string_view complexity = "O(1)";
  std::string_view summary;
  Scope scope = Scope::kNone;
  Handler handler = nullptr;      // null for a container: a subcommand is required
  KeyFinder find_keys = nullptr;  // overrides `keys` for latching when not null
  std::span<const Command> subcommands{};
  std::string_view parent{};  // of a subcommand
  uint32_t number = 0;        // set by CommandTable in its copy of the row
};

}  // namespace fluxkv::command
