// The command line of fluxkv-import.
//
//   Result<ImportOptions> options = ParseImportOptions({"--port", "7000", "dump.rdb"});
//
// Threads: pure functions.
// Errors:  one sentence about the argument that is wrong.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace fluxkv::tools {

struct ImportOptions {
  // What becomes of a key that the server has already.
  enum class Existing : uint8_t {
    kRefuse,   // the databases written to must be empty
    kReplace,  // the file's value takes its place
    kKeep,     // it stays
  };

  std::string file;  // "-": standard input
  std::string host = "127.0.0.1";
  std::string port = "6379";
  std::string socket_path;
  std::string user;
  std::string password;
  std::map<uint32_t, uint32_t> db_map;  // of the file, on the server; others keep their number
  std::optional<uint32_t> only_db;      // of the file
  Existing existing = Existing::kRefuse;
  bool dry_run = false;
  bool list_skipped = false;
  bool help = false;

  bool Wants(uint32_t db) const { return !only_db || *only_db == db; }
  uint32_t TargetOf(uint32_t db) const {
    auto found = db_map.find(db);
    return found == db_map.end() ? db : found->second;
  }
};

Result<ImportOptions> ParseImportOptions(const std::vector<std::string>& arguments);
std::string ImportHelp();

}  // namespace fluxkv::tools
