// The command table: all rows of all families, found by name. Built once by main, then read by
// every loop.
// Threads: immutable after construction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "command/command.h"

namespace fluxkv::command {

// The rows of each family, defined beside their handlers in the family's file
// (string_commands.cc, ...).
std::span<const Command> StringCommands();    // string_commands.cc: GET MGET MSET APPEND ...
std::span<const Command> SetCommands();       // set_commands.cc: SET and what sets or takes whole
std::span<const Command> NumberCommands();    // number_commands.cc: INCR and its relatives
std::span<const Command> LcsCommands();       // lcs_commands.cc: LCS
std::span<const Command> BitmapCommands();    // bitmap_commands.cc
std::span<const Command> BitfieldCommands();  // bitfield_commands.cc: BITFIELD BITFIELD_RO
std::span<const Command> KeyCommands();       // key_commands.cc: DEL EXISTS TOUCH TYPE UNLINK
std::span<const Command> MoveCommands();      // move_commands.cc: COPY MOVE RENAME RENAMENX
std::span<const Command> ObjectCommands();    // object_commands.cc: OBJECT
std::span<const Command> ExpireCommands();    // expire_commands.cc
std::span<const Command> ScanCommands();      // scan_commands.cc: KEYS SCAN RANDOMKEY DBSIZE
std::span<const Command> DumpCommands();      // dump_commands.cc: DUMP RESTORE
std::span<const Command> TransactionCommands();  // transaction_commands.cc
std::span<const Command> BeginCommands();        // begin_commands.cc: BEGIN COMMIT ROLLBACK
std::span<const Command> RangeCommands();        // range_commands.cc: RANGE PREFIX COUNTRANGE
std::span<const Command> DelrangeCommands();     // delrange_commands.cc: DELRANGE DELPREFIX
std::span<const Command> PubSubCommands();       // pubsub_commands.cc
std::span<const Command>
ConnectionCommands();  // connection_commands.cc: AUTH ECHO HELLO PING QUIT RESET SELECT
std::span<const Command> ClientCommands();    // client_commands.cc: CLIENT
std::span<const Command> KeyspaceCommands();  // keyspace_commands.cc: FLUSHDB FLUSHALL SWAPDB
std::span<const Command>
ServerCommands();  // server_commands.cc: INFO TIME ROLE SHUTDOWN LOLWUT MONITOR ...
std::span<const Command>
SaveCommands();  // save_commands.cc: SAVE BGSAVE BGREWRITEAOF LASTSAVE WAITAOF
std::span<const Command> VacuumCommands();      // vacuum_commands.cc: VACUUM
std::span<const Command> ConfigCommands();      // config_commands.cc
std::span<const Command> CommandCommands();     // command_commands.cc: COMMAND
std::span<const Command> MonitoringCommands();  // monitoring_commands.cc: SLOWLOG LATENCY MEMORY
std::span<const Command> DebugCommands();       // debug_commands.cc
std::span<const Command> AclCommands();         // acl_commands.cc: ACL, MODULE, CLUSTER, REPLICAOF

class CommandTable {
 public:
  CommandTable();  // all families above; CHECKs that names are unique and key specs make sense
  CommandTable(const CommandTable&) = delete;
  CommandTable& operator=(const CommandTable&) = delete;
  // By name, any case; null if there is none.
  const Command* Find(std::string_view name) const;
  const Command* FindSubcommand(const Command& container, std::string_view name) const;
  // All top-level rows, in order of name.
  std::span<const Command* const> rows() const { return rows_; }
  // Every row has a number below count(), containers and subcommands too: the index of its
  // statistics. Requires: a row of this table.
  size_t NumberOf(const Command* command) const { return command->number; }
  size_t count() const { return numbered_.size(); }
  const Command* ByNumber(size_t number) const { return numbered_[number]; }
  // "get", "client|list".
  static std::string FullName(const Command& command);

 private:
  // A name of at most 16 bytes in lower case as two words, so that a lookup compares numbers.
  struct Folded {
    uint64_t low = 0;
    uint64_t high = 0;
    size_t size = 0;
    bool operator==(const Folded&) const = default;
  };
  struct Slot {
    Folded name;
    const Command* command = nullptr;
  };
  static constexpr size_t kNameBytesMax = 16;
  static constexpr size_t kSlots = 1024;  // open addressing; at most a quarter is used
  static Folded Fold(std::string_view name);
  static size_t HashOf(const Folded& name);
  void AddFamily(std::span<const Command> family);
  void AddTop(const Command& row);
  void Number(Command& row);

  std::vector<Slot> slots_;
  std::deque<Command> top_;                       // our copies of the rows
  std::deque<std::vector<Command>> subcommands_;  // one vector a container
  std::vector<const Command*> rows_;
  std::vector<const Command*> numbered_;
};

}  // namespace fluxkv::command
