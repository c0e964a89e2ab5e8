// Fills a database from a snapshot file and a log: into keyspaces that nobody else can reach, which
// are put in place at the end, all at once.
//
//   Loader loader(database, handle, values);
//   loader.Expect(db, keys);
//   Status status = loader.Append(put, stamp);        // a snapshot's keys, in order
//   status = loader.Apply(stamp, record_body);        // then the log's records, in order
//   loader.Install(newest_time_ms);
//
// Keys of a snapshot come in order, so the list is built bottom-up without a search. What the log
// adds is sorted and merged: at the end, and before a range delete, which walks the list.
//
// Requires: the handle is inside an epoch; it breathes now and then.
// Threads: one, the handle's; others may use the database meanwhile, and see what it held before.
// Owns: the keyspaces until Install; without it they are freed.
// Errors: a sentence without the place, which the caller knows.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/database.h"
#include "engine/handle.h"
#include "engine/keyspace.h"
#include "engine/log_record.h"

namespace fluxkv::engine {

class Transaction;

class Loader {
 public:
  Loader(Database& database, Handle& handle, const ValueLoader& values);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // So many keys will be appended, about. Requires: nothing was appended to `db` yet.
  Status Expect(uint32_t db, uint64_t keys);
  // A key with its value. Requires: kind kPut; in ascending order within its database;
  // no Apply yet.
  Status Append(const Change& change, Stamp stamp);
  Status Apply(Stamp stamp, std::string_view body);

  // Drops keys whose deadline is at or before `time_ms` and puts everything in place: by the commit
  // of `exclusive`, or, if that is null, by one of its own. Requires: the store's stamp is not
  // below any that was loaded.
  void Install(int64_t time_ms, Transaction* exclusive = nullptr);

  uint64_t keys() const;
  uint64_t expired_keys() const { return expired_keys_; }
  uint64_t bytes() const;

 private:
  struct Part;  // of one database

  Status NoSuchDatabase(uint32_t db) const;
  static Status NoRoom();
  // Null when keys fill the range of addresses they can have.
  Node* NewNode(Part& part, std::string_view key);
  Status ApplyChange(const Change& change, Stamp stamp);
  void Empty(Part& part, Node* node);
  void DeleteRange(Part& part, const KeyInterval& interval);
  Status ApplyRoots(const std::vector<RootChange>& roots);
  // The version of a put, or null with a status.
  VersionPtr ValueOf(const Change& change, Stamp stamp, Status* status) const;
  void SetHead(Part& part, Node* node, VersionPtr version);
  // Puts the nodes that were appended last into the index.
  void IndexAll(Part& part);
  // Puts all nodes into the list, and into the index.
  void CompleteList(Part& part);
  void Complete(Part& part, int64_t time_ms);

  Database& database_;
  Handle& handle_;
  const ValueLoader& values_;
  std::vector<std::unique_ptr<Part>> parts_;  // by database number
  uint64_t expired_keys_ = 0;
  size_t since_breath_ = 0;
};

}  // namespace fluxkv::engine
