// A transaction: the only way to read or write the store. What a command handler needs of it is in
// the first part of the class; how it starts and ends is decided by the caller (the dispatcher, or
// an embedding program) in the second part.
//
//   Transaction txn(handle);
//   txn.BeginLatched({{db, key.hash}});   // declared keys: reads the newest, cannot conflict
//   const Version* v = txn.Get(db, key);
//   txn.Put(db, key, NewValue(v));
//   txn.Commit();                         // never fails in this mode
//
// Modes and what each guarantees (all of them together are strictly serializable;
// docs/ARCHITECTURE.md has the argument):
//   kRead       reads without latch or snapshot. One key: the newest version. Several: begin,
//               read, then Validate(); false means that the reads are not of one moment: Begin
//               again, and after a few tries use BeginSnapshot.
//   kLatched    the declared keys are latched; reads of them see the newest; writes are private
//               until Commit. No other key may be touched.
//   kExclusive  every latch is held: anything may be read and written, whole databases cleared or
//               swapped. Rare and short.
//   kSnapshot   reads at one snapshot plus own writes. Isolation::kSerializable: Commit may
//               answer a conflict (Serial Safety Net); kSnapshot: only first-committer-wins.
//               `read_only` never conflicts.
//
// Threads: a transaction belongs to one thread, its handle's. Between Begin and End in the modes
//          but kSnapshot the thread stays inside one epoch (see Handle::Enter); a kSnapshot
//          transaction may live across many.
// Owns:    its private writes. Version pointers it returned are valid until the handle leaves
//          its epoch.
// Errors:  Commit returns false on a conflict, never in other modes than kSnapshot.
//          conflict_reason() then says why.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/key.h"
#include "engine/key_interval.h"
#include "engine/version.h"

namespace fluxkv::engine {

class Handle;
class Keyspace;
class Node;
class RangeDelete;
class Store;
struct KeyRange;
struct KeyState;
struct Victim;
struct RootVersion;

enum class Isolation : uint8_t { kSnapshot, kSerializable };

// A key to latch: its database and hash.
struct LatchKey {
  uint32_t db;
  uint64_t hash;
};

struct ScanEntry {
  std::string_view key;  // valid while the handle stays in its epoch
  const Version* version;
};

class Transaction {
 public:
  enum class Mode : uint8_t { kIdle, kRead, kLatched, kExclusive, kSnapshot };

  explicit Transaction(Handle& handle);
  ~Transaction();  // rolls back
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  // ---- What handlers use
  Mode mode() const { return mode_; }
  // The transaction's time, read once at its begin; expiry is judged by it.
  int64_t now_ms() const { return now_ms_; }

  // The live value (not deleted, not expired at now_ms), or null. Notes the access (LRU clock).
  const Version* Get(uint32_t db, const Key& key) { return Find(db, key, /*note_access=*/!quiet_); }
  // The same without noting the access (TTL, TYPE, OBJECT).
  const Version* Peek(uint32_t db, const Key& key) { return Find(db, key, /*note_access=*/false); }
  // Asks for the memory that look-ups of these keys, or the first kPrefetchMost of them, will need:
  // its misses are waited for together.
  static constexpr size_t kPrefetchMost = 16;
  void Prefetch(uint32_t db, std::span<const Key> keys) const;
  // The client whose snapshots these are, for figures alone; 0: the program's own.
  void set_client(uint64_t id) { client_ = id; }
  // CLIENT NO-TOUCH: Get notes nothing either.
  void set_quiet(bool quiet) { quiet_ = quiet; }

  // Sets the value. Requires: kLatched with the key declared, kExclusive,
  // or kSnapshot not read-only.
  void Put(uint32_t db, const Key& key, VersionPtr value);
  // Deletes the key; false if there was no live value, and then nothing is written.
  bool Delete(uint32_t db, const Key& key);
  // Deletes a key that a walk of this transaction has just shown: what was read is noted. Its bytes
  // are copied.
  void DeleteFound(uint32_t db, const Key& key);
  // Deletes every live key of the interval at one stamp. When it has at most `few` nodes that is
  // done by Commit, and visit(key) is called for each; null then. Else it is a range delete
  // (range_deletes.h), whose keys are counted once it is settled, by the collector.
  // Requires: kExclusive, nothing else is written in the transaction, and the interval not empty.
  static constexpr size_t kFewNodes = 64;
  std::shared_ptr<const RangeDelete> DeleteRange(
      uint32_t db, KeyInterval interval, const std::function<void(std::string_view key)>& visit,
      size_t few = kFewNodes);
  // Range deletes of the database that are not settled: counters lag behind while there are any.
  size_t range_deletes(uint32_t db) const;
  // Deletes the key if it is past its deadline, for that reason. Many may be in one transaction.
  // Requires: kLatched with the key declared; nothing else is written in the transaction, and no
  // key twice.
  bool DeleteExpired(uint32_t db, const Key& key);
  // Deletes the victim if it still may go (eviction.h, V3).
  // Requires: kLatched with its key declared; `key` is the victim's.
  bool Evict(uint32_t db, const Key& key, const Victim& victim);
  // Clears a whole database / swaps two. Requires: kExclusive.
  void ClearDatabase(uint32_t db);
  void SwapDatabases(uint32_t a, uint32_t b);
  // Puts loaded keyspaces, one a database, in the place of what is there (loader.h). Not recorded
  // in the log: they come from there. Requires: kExclusive.
  void ReplaceDatabases(std::vector<std::unique_ptr<Keyspace>> loaded);
  // Writes so far (Put, Delete that found a key, Clear, Swap):
  // 0 means that Commit will change nothing.
  uint64_t writes() const { return write_count_; }

  // Seconds since the key was last accessed, or nullopt if there is no live value; how often it was
  // used of late, on Redis's logarithmic scale, under an LFU policy (else it means nothing). The
  // setters apply at Commit to a key Put here.
  std::optional<uint64_t> IdleSeconds(uint32_t db, const Key& key);
  std::optional<uint8_t> Frequency(uint32_t db, const Key& key);
  void SetIdleSeconds(uint32_t db, const Key& key, uint64_t seconds);
  void SetFrequency(uint32_t db, const Key& key, uint8_t frequency);

  // Live keys of a database (keys past their deadline count until they are reclaimed). In
  // kSnapshot: at the snapshot.
  uint64_t CountKeys(uint32_t db);
  // The same as DBSIZE shows it: in a read-only snapshot that nobody's conflicts depend on a
  // counter's reading, which is of now and counts keys past their deadline too.
  uint64_t CountKeysQuickly(uint32_t db);
  // Where the key's node lies, null if there is none: the identity of the key, for DEBUG OBJECT.
  const void* AddressOf(uint32_t db, const Key& key);
  // A random live key, or nullopt if there is none, or none was met by chance and a walk is not
  // wanted. Requires: kExclusive or kSnapshot.
  std::optional<std::string> RandomKey(uint32_t db, bool may_walk = true);
  // One page of a database in hash order: all live keys whose ScanHash is in [cursor, *next), at
  // least `count` of them unless the end is reached, *next = 0 then, or the index holds few live
  // keys here. Keys that were there throughout a whole walk are returned exactly once. When
  // `prefix` is not empty and covers few keys, only keys with it are returned
  // (same order, same cursor).
  void ScanPage(uint32_t db, uint64_t cursor, size_t count, std::string_view prefix,
                std::vector<ScanEntry>* page, uint64_t* next);
  // Live keys in byte order from `start` (inclusive; exclusive when `after`) while they have
  // `prefix`, until `visit` returns false or the end is reached; true when the end was reached.
  // Requires: kExclusive or kSnapshot.
  using Visit = std::function<bool(std::string_view key, const Version& version)>;
  bool Walk(uint32_t db, std::string_view start, bool after, std::string_view prefix,
            const Visit& visit);

  // Live keys of an interval in byte order, or from its end downwards, until `visit` returns false
  // or the end is reached; true when the end was reached. A serializable transaction conflicts with
  // who writes into the interval. Requires: kExclusive or kSnapshot.
  enum class Direction : uint8_t { kUp, kDown };
  // So that keys which nobody sees any more cannot hold a walk up, it asks `pass_on`, if it is
  // given, after each kHiddenMost of them in a row; that returns false to stop before the next key.
  static constexpr size_t kHiddenMost = 128;
  using PassOn = std::function<bool(std::string_view hidden_key)>;
  bool WalkInterval(uint32_t db, const KeyInterval& interval, Direction direction,
                    const Visit& visit, const PassOn& pass_on = {});
  // Memory that a kSnapshot transaction holds besides the store's: for its writes, and for what it
  // notes of its reads.
  uint64_t write_bytes() const { return write_bytes_; }
  uint64_t note_bytes() const { return note_bytes_; }

  // ---- What callers of handlers use
  void BeginRead();
  // True when everything read since BeginRead was there at one moment. Of one key it is, unless its
  // database was swapped meanwhile.
  bool Validate();
  void BeginLatched(std::span<const LatchKey> keys);
  // All keys of the database whose hash is not below the first and not above the last.
  void BeginLatchedRange(uint32_t db, uint64_t first_hash, uint64_t last_hash);
  void BeginExclusive();
  // False when there are too many live snapshots (limits::kSnapshotsMax).
  [[nodiscard]] bool BeginSnapshot(Isolation isolation, bool read_only);
  // A snapshot for a copy of the store that is nobody's answer: it leaves no marks, aborts nobody,
  // and removes no expired keys. False as BeginSnapshot. End it with Rollback.
  [[nodiscard]] bool BeginCopy();
  // Ends the transaction, and removes keys past their deadline that it met. True: all writes are
  // visible at one stamp (or there were none). False: conflict, nothing was written.
  [[nodiscard]] bool Commit();
  void Rollback();
  // The stamp of the last successful Commit with writes;
  // without writes the stamp up to which it read.
  Stamp commit_stamp() const { return commit_stamp_; }
  Stamp snapshot() const { return snapshot_; }
  // The newest stamp that anything read or written since the last ForgetDependencies depends on: a
  // reply from it is held until the log has got so far (commit_log.h, D4).
  Stamp depends_on() const { return depends_on_; }
  void DependOn(Stamp stamp) { depends_on_ = stamp > depends_on_ ? stamp : depends_on_; }
  void ForgetDependencies() { depends_on_ = 0; }
  const std::string& conflict_reason() const { return conflict_reason_; }

  // ---- For the engine's own files
  // Puts the tombstone of the range delete that ended the node's newest version in its place, if
  // there is one (range_deletes.h, R3); whether there was. `db` is for who is told. Requires: the
  // key is latched, in its keyspace's database.
  bool Settle(uint32_t db, Keyspace* keyspace, Node* node, uint64_t hash);

 private:
  // A private write. The key's bytes are the caller's, or in owned_keys_ for a transaction that
  // outlives its commands.
  struct Write {
    Keyspace* keyspace;
    uint32_t db;
    uint64_t hash;
    std::string_view key;
    VersionPtr value;                // null: delete
    std::optional<uint32_t> access;  // what the node's field is to be
    Node* node = nullptr;            // the rest is filled by Commit
    Version* installed = nullptr;
    Version* old = nullptr;
    Past* past = nullptr;  // for the installed version, if there are older ones
    bool kept = false;     // old stays behind the installed version
  };
  struct NewRoot {
    uint32_t db;
    RootVersion* root;
    RootVersion* before;
  };
  // What a kRead transaction saw of a key, to be looked at again by Validate.
  struct Read {
    const void* root;
    uint32_t db;
    Key key;
    const Node* node;
    const Version* version;
    uint64_t buried;
  };
  // A key that a serializable transaction read at its snapshot.
  struct SnapshotRead {
    uint32_t db;
    uint64_t hash;
    std::string key;
  };
  // A key past its deadline that a read met; removed after Commit.
  struct MetExpired {
    uint32_t db;
    uint64_t hash;
    std::string key;
  };
  // A key whose range delete was settled here; told after the end.
  struct Settled {
    uint32_t db;
    std::string key;
    Stamp stamp;
  };
  struct TrackedState;

  void ChooseSnapshot();

  const Version* Find(uint32_t db, const Key& key, bool note_access);
  const Version* FindNewest(uint32_t db, const Key& key, Node** node);
  const Version* FindAtSnapshot(uint32_t db, Keyspace* keyspace, const Key& key, Node** node);
  Keyspace* KeyspaceOf(uint32_t db);
  Write* FindWrite(const Keyspace* keyspace, const Key& key);
  Write& AddWrite(Keyspace* keyspace, uint32_t db, const Key& key);
  // Counts in write_bytes_ that the write is to hold this value, or none, instead of its own.
  void HoldInstead(const Write& write, const Version* value);
  // Marks that a range is about to be read (conflict rule C4).
  void NoteRange(uint32_t db, const KeyInterval& interval);
  bool Visible(const Version* version) const;
  // Whether the node's newest version still is what Validate is to confirm.
  static bool StillNewest(const Keyspace& keyspace, const Node& node, const Version* version);

  // The version of a node met in a range: at the snapshot, or the newest in other modes.
  const Version* FindInRange(const Keyspace& keyspace, const Node& node);
  uint64_t CountByWalk(const Keyspace& keyspace);
  // Those in the interval, in order of key, as indexes in writes_; good until the next write.
  std::span<const uint32_t> OwnWrites(const Keyspace* keyspace, const KeyInterval& interval);
  bool ScanPrefixPage(uint32_t db, uint64_t cursor, size_t count, std::string_view prefix,
                      std::vector<ScanEntry>* page, uint64_t* next);

  std::optional<uint32_t> AccessField(uint32_t db, const Key& key);
  void NoteExpired(uint32_t db, std::string_view key, const Version* version);
  void RemoveExpired();
  void TellSettled();

  // Commit, in transaction_commit.cc.
  [[nodiscard]] std::unique_lock<std::mutex> RebaseWatches();
  bool FinishWithoutWrites();
  bool FirstCommitter();  // false: somebody else committed one of the keys since the snapshot
  bool Apply();
  void Install(bool ordered);
  void InstallRangeDelete();
  void Uninstall();
  Stamp LeastOverwriterPi();
  // For the reason of a conflict: what was read and overwritten with this pi, the written key that
  // somebody read at or behind it.
  std::string NameOfOverwritten(Stamp pi);
  std::string NameOfRead(Stamp pi);
  bool PassesSafetyNet(Stamp* pi);
  void LinkHistory(Stamp stamp, Stamp pi, bool tracking);
  void LinkOld(Write* w, Stamp stamp, Stamp pi, bool keep);
  void PublishWrites(Stamp stamp);
  static void PublishWrite(const Write& w, Stamp stamp);
  void LeaveMarks(Stamp position, Stamp pi);
  void AppendToLog(Stamp stamp);
  const Keyspace* KeyspaceBefore(uint32_t db) const;
  void CountKeyChange(const Write& w);
  void CoverFresh();
  void Account();
  bool AccountFor(const Write& w, int64_t* used,
                  int64_t* garbage);  // whether to wake the collector
  void NoteAccess(const Write& w, KeyState was, KeyState is);
  void DropReplaced();
  bool Conflict(std::string reason);
  void PrefetchToWrite(std::span<const LatchKey> keys);
  void LatchStripes();
  void Unlatch();
  void End();

  Handle& handle_;
  Store& store_;
  Mode mode_ = Mode::kIdle;
  bool quiet_ = false;
  bool read_only_ = false;
  bool serializable_ = false;
  bool copying_ = false;
  bool unrecorded_ = false;        // the log does not hear of it
  bool leave_marks_ = false;       // reads of this transaction must be marked
  bool evicting_ = false;          // the policy knows of what this transaction deletes
  const Node* touched_ = nullptr;  // the last that a read noted; its write is the same use
  uint64_t client_ = 0;
  uint32_t now_s_ = 0;
  int64_t now_ms_ = 0;
  uint64_t write_count_ = 0;
  uint64_t write_bytes_ = 0;
  uint64_t note_bytes_ = 0;
  Stamp snapshot_ = 0;
  Stamp position_ = 0;  // kRead: what its marks say
  Stamp commit_stamp_ = 0;
  Stamp depends_on_ = 0;
  size_t snapshot_slot_ = 0;
  std::optional<size_t> writer_slot_;  // of a snapshot that may write
  std::vector<Write> writes_;
  std::unordered_multimap<uint64_t, uint32_t> write_index_;  // by hash, once there are many writes
  std::vector<uint32_t> write_order_;  // by keyspace and key, of those that were there at a walk
  std::vector<Read> reads_;
  std::vector<LatchKey> latch_keys_;  // declared keys
  std::vector<uint16_t> stripes_;     // latched, ascending
  std::vector<Keyspace*>
      overlay_;  // kExclusive: what each database is after Clear and Swap; empty if unchanged
  std::vector<std::unique_ptr<Keyspace>> fresh_;  // made by Clear, owned until commit
  std::vector<uint32_t> whole_databases_;         // kExclusive: databases used
  std::vector<SnapshotRead> snapshot_reads_;
  std::vector<MetExpired> met_expired_;
  std::vector<Settled> settled_;
  Keyspace* range_keyspace_ = nullptr;  // of range_delete_
  std::shared_ptr<RangeDelete> range_delete_;
  std::vector<KeyRange> read_ranges_;  // kExclusive: instead of whole databases
  std::vector<NewRoot> new_roots_;
  size_t installed_ = 0;
  uint64_t random_ = 0;
  std::deque<std::string> owned_keys_;
  std::unique_ptr<TrackedState> tracked_;  // of a serializable or read-only snapshot
  std::string conflict_reason_;
};

}  // namespace fluxkv::engine
