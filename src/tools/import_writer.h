// Writes keys with their deadlines into a server: one SET a key, many on their way at once.
//
//   Status status = LogIn(client, options, stderr);
//   ImportWriter writer(client, ImportOptions::Existing::kKeep);
//   status = writer.OpenDatabase(3);                 // refuses one that is not empty where it must
//   status = writer.Put(3, entry);
//   status = writer.Finish();                        // now every reply was read
//
// Memory: the commands on their way are bounded in number and bytes,
// but for one value that is larger.
// Threads: one.
// Owns:    nothing; the client must outlive it.
// Errors:  the first error reply, or the end of the connection. Replies to what was sent before are
//          still read, so that counts() is exact. After an error only counts() may be asked.
#pragma once

#include <cstdint>
#include <cstdio>
#include <deque>
#include <set>
#include <string>

#include "base/result.h"
#include "tools/import_options.h"
#include "tools/redis_client.h"
#include "types/rdb_reader.h"

namespace fluxkv::tools {

// AUTH where there is a password; then waits until the server has loaded its own data, which
// `notices` is told.
Status LogIn(RedisClient& client, const ImportOptions& options, std::FILE* notices);

class ImportWriter {
 public:
  struct Counts {
    uint64_t sent = 0;
    uint64_t stored = 0;   // acknowledged
    uint64_t kept = 0;     // acknowledged: the key existed and stays as it was
    uint64_t refused = 0;  // with an error

    uint64_t acknowledged() const { return stored + kept; }
    uint64_t unanswered() const { return sent - stored - kept - refused; }
  };

  ImportWriter(RedisClient& client, ImportOptions::Existing existing)
      : client_(client), existing_(existing) {}

  // SELECT; at the first time, unless existing keys are replaced or kept,
  // the database must be empty.
  Status OpenDatabase(uint32_t db);
  // Requires: a string.
  Status Put(uint32_t db, const types::RdbEntry& entry);
  Status Finish();

  const Counts& counts() const { return counts_; }

 private:
  // A request that must succeed, with nothing else on its way.
  Result<RedisClient::Reply> Ask(std::initializer_list<std::string_view> arguments);
  Status MakeRoom(size_t bytes);
  Status Flush();
  Status ReadReply();
  // After an error reply or a request that could not be sent: reads what the server still answers.
  Status Fail(Status reason);

  RedisClient& client_;
  const ImportOptions::Existing existing_;
  Counts counts_;
  std::string request_;            // not yet sent
  uint64_t request_commands_ = 0;  // in request_
  std::deque<size_t> on_way_;  // the bytes of each command without a reply, those in request_ last
  size_t on_way_bytes_ = 0;
  std::string first_error_;
  std::set<uint32_t> opened_;
  int64_t selected_ = -1;  // database; -1: none
};

}  // namespace fluxkv::tools
