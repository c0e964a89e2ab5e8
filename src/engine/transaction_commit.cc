// Commit: the one way by which anything in the store changes. store.h has the order of its steps
// and why it is right.

#include <algorithm>
#include <chrono>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "base/check.h"
#include "base/planted.h"
#include "engine/collector.h"
#include "engine/handle.h"
#include "engine/store.h"
#include "engine/tracked_state.h"
#include "engine/transaction.h"

namespace fluxkv::engine {

namespace {
std::string Quoted(std::string_view key) {
  return "key '" + std::string(key.substr(0, 64)) + "'";
}
}  // namespace

bool Transaction::Commit() {
  DEBUG_ASSERT(mode_ != Mode::kIdle);
  bool committed = true;
  if (mode_ == Mode::kSnapshot && writes_.empty()) {
    commit_stamp_ = snapshot_;
    committed = FinishWithoutWrites();
  } else if (mode_ == Mode::kSnapshot) {
    for (const Write& w : writes_)
      stripes_.push_back(static_cast<uint16_t>(LatchTable::IndexOf(w.db, w.hash)));
    LatchStripes();
    committed = FirstCommitter() && Apply();
  } else if (mode_ != Mode::kRead) {
    const std::unique_lock<std::mutex> watches = RebaseWatches();
    committed = Apply();
  }
  End();
  if (!settled_.empty()) [[unlikely]]
    TellSettled();
  if (!met_expired_.empty()) [[unlikely]]
    RemoveExpired();
  return committed;
}

// Locks the watches if whole databases change (W2).
std::unique_lock<std::mutex> Transaction::RebaseWatches() {
  std::unique_lock<std::mutex> lock(store_.watches.mutex(), std::defer_lock);
  if (overlay_.empty()) return lock;
  lock.lock();
  store_.watches.Rebase([&](uint32_t db) { return store_.Root(db)->keyspace; },
                        [&](uint32_t db) { return overlay_[db]; }, now_ms_);
  return lock;
}

// It stands at its snapshot; only somebody who committed at or before that and must come after it
// can be in the way.
bool Transaction::FinishWithoutWrites() {
  if (!serializable_) return true;
  std::lock_guard lock(store_.conflicts.commit_mutex());
  const Stamp pi = LeastOverwriterPi();
  if (pi <= snapshot_) {
    return Conflict(NameOfOverwritten(pi) +
                    " was overwritten by one that must come before what was read");
  }
  if (PLANTED(FORGET_READER_RANGES)) return true;
  // The keys it read are marked already (FindAtSnapshot), its ranges were so only while it lived.
  for (const KeyRange& range : tracked_->transaction.ranges)
    store_.conflicts.MarkRangeLocked(range, snapshot_);
  return true;
}

bool Transaction::FirstCommitter() {
  for (const Write& w : writes_) {
    if (store_.Root(w.db)->keyspace != w.keyspace)
      return Conflict("database " + std::to_string(w.db) + " was cleared or swapped");
    Node* node = nullptr;
    const Version* newest = Newest(*w.keyspace, Key(w.key, w.hash), &node);
    if (PLANTED(LAST_COMMITTER_WINS)) newest = nullptr;
    if (newest != nullptr && newest->stamp() > snapshot_)
      return Conflict(Quoted(w.key) + " was written since");
  }
  return true;
}

bool Transaction::Apply() {
  HandleShared& shared = handle_.shared();
  const auto publish_floor = [&] {
    // A stale counter makes the floor too low, which only makes a snapshot wait longer.
    shared.commit_floor.store(store_.stamp.load(std::memory_order_relaxed) + 1,
                              std::memory_order_seq_cst);
  };
  publish_floor();
  std::unique_lock<std::mutex> serial(store_.conflicts.commit_mutex(), std::defer_lock);
  const bool tracking = store_.conflicts.tracking();
  if (tracking) {  // C1, C2; while waiting for the mutex nothing is in flight
    shared.commit_floor.store(HandleShared::kNotCommitting, std::memory_order_release);
    if (!PLANTED(CHECK_SIDE_BY_SIDE)) serial.lock();
    publish_floor();
  }
  const bool recording =
      store_.log.recording();  // after the last floor: who raises it waits for us
  Install(tracking);
  Stamp pi = kStampPending;
  bool committed = !serializable_ || PassesSafetyNet(&pi);
  if (PLANTED(CHECK_SIDE_BY_SIDE) && serializable_)
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  if (!committed) {
    Uninstall();
  } else if (installed_ == 0 && new_roots_.empty() && range_delete_ == nullptr) {
    commit_stamp_ = store_.stamp.load(std::memory_order_seq_cst);
    if (tracking) LeaveMarks(commit_stamp_, kStampPending);
  } else {
    const Stamp stamp = store_.stamp.fetch_add(1, std::memory_order_seq_cst) + 1;
    pi = std::min(pi, stamp);
    LinkHistory(stamp, pi, tracking);
    for (const Write& w : writes_) CountKeyChange(w);  // before anybody can see a key
    PublishWrites(stamp);
    if (tracking) LeaveMarks(stamp, pi);
    commit_stamp_ = stamp;
    DependOn(stamp);
    if (PLANTED(APPEND_AFTER_FLOOR)) {
      shared.commit_floor.store(HandleShared::kNotCommitting, std::memory_order_release);
      for (int i = 0; i < 2000; ++i) __builtin_ia32_pause();
    }
    if (recording && !unrecorded_) AppendToLog(stamp);  // D1
  }
  shared.commit_floor.store(HandleShared::kNotCommitting, std::memory_order_release);
  if (serial.owns_lock()) serial.unlock();
  if (committed) Account();
  return committed;
}

void Transaction::Install(bool ordered) {
  installed_ = 0;
  for (Write& w : writes_) {
    w.node = w.keyspace->index.Find(Key(w.key, w.hash));
    if (w.node == nullptr) {
      if (w.value == nullptr) continue;  // put and deleted again in this transaction
      w.node = Node::New(w.key, now_s_);
      w.keyspace->list.Insert(w.node, handle_.reclaimer(), handle_.TakePlace(w.hash));
      w.keyspace->index.Insert(w.node, w.hash, handle_.reclaimer());
      handle_.AddGarbageBytes(static_cast<int64_t>(w.node->AllocatedBytes()));  // dead so far
    }
    if (!PLANTED(OVERWRITE_UNSETTLED)) Settle(w.db, w.keyspace, w.node, w.hash);  // R3
    w.old = w.node->head();
    if (w.value == nullptr) {
      if (w.old == nullptr || w.old->is_tombstone()) continue;
      w.value = Version::NewTombstone();
    }
    w.installed = w.value.release();
    if (ordered) {
      w.node->set_head_ordered(w.installed);
    } else {
      w.node->set_head(w.installed);
    }
    ++installed_;
  }
  if (range_delete_ != nullptr) InstallRangeDelete();
  if (overlay_.empty()) return;
  CoverFresh();
  store_.root_changes.fetch_add(1, std::memory_order_seq_cst);
  for (uint32_t db = 0; db < overlay_.size(); ++db) {
    RootVersion* current = store_.Root(db);
    if (current->keyspace == overlay_[db]) continue;
    auto* root = new RootVersion;
    root->keyspace = overlay_[db];
    root->older.store(current, std::memory_order_relaxed);
    root->keyspace->roots.fetch_add(1, std::memory_order_relaxed);
    store_.roots[db].store(root, std::memory_order_release);
    new_roots_.push_back({db, root, current});
  }
  store_.root_changes.fetch_add(1, std::memory_order_seq_cst);
  for (auto& fresh : fresh_) {  // what a root names now belongs to the roots
    if (fresh->roots.load(std::memory_order_relaxed) != 0) static_cast<void>(fresh.release());
  }
  fresh_.clear();
}

// Keyspaces that are empty need no walk (eviction.h, V2). Before anybody sees them.
void Transaction::CoverFresh() {
  if (unrecorded_ || store_.eviction.kind() == PolicyKind::kNone) return;
  Eviction::Session session(store_.eviction);
  for (auto& fresh : fresh_) {
    if (std::find(overlay_.begin(), overlay_.end(), fresh.get()) == overlay_.end()) continue;
    // Without a number: the collector's walk will find one.
    const std::optional<SpaceNumber> number = session.NewSpace();
    fresh->SetEviction({.numbered = number.has_value(),
                        .number = number.value_or(0),
                        .filed_below = number ? EvictionSpace::kEverything : 0,
                        .fields = store_.eviction.clock().kind()});
  }
}

// The keys are latched and the versions still pending: nobody has seen them.
void Transaction::Uninstall() {
  for (Write& w : writes_) {
    if (w.installed == nullptr) continue;
    w.node->set_head(w.old);
    handle_.reclaimer().Retire(w.installed, w.installed->AllocatedBytes(),
                               [](void* p) { VersionDeleter()(static_cast<Version*>(p)); });
    if (w.old == nullptr && !w.node->has(Node::kQueued)) {
      w.node->set(Node::kQueued);
      handle_.LeaveGarbage(w.keyspace, w.node);
    }
  }
}

Stamp Transaction::LeastOverwriterPi() {
  Stamp pi = std::min(tracked_->transaction.range_pi, tracked_->walk_pi);
  const auto root_pi = [&](uint32_t db) {
    return store_.RootAt(db, snapshot_)->replaced_at.load(std::memory_order_acquire);
  };
  for (const SnapshotRead& read : snapshot_reads_) {
    const RootVersion* root = store_.RootAt(read.db, snapshot_);
    pi = std::min(pi, root_pi(read.db));
    const Node* node = root->keyspace->index.Find(Key(read.key, read.hash));
    if (node != nullptr) pi = std::min(pi, OverwriterPiLocked(*root->keyspace, *node, snapshot_));
  }
  for (const KeyRange& range : tracked_->transaction.ranges) pi = std::min(pi, root_pi(range.db));
  return pi;
}

std::string Transaction::NameOfOverwritten(Stamp pi) {
  for (const SnapshotRead& read : snapshot_reads_) {
    const RootVersion* root = store_.RootAt(read.db, snapshot_);
    const Node* node = root->keyspace->index.Find(Key(read.key, read.hash));
    if (node != nullptr && OverwriterPiLocked(*root->keyspace, *node, snapshot_) == pi)
      return Quoted(read.key) + ", which was read,";
    if (root->replaced_at.load(std::memory_order_acquire) == pi)
      return "database " + std::to_string(read.db);
  }
  return "a range of keys that was read";
}

std::string Transaction::NameOfRead(Stamp pi) {
  for (const Write& w : writes_) {
    if (w.installed == nullptr) continue;
    if (std::max(store_.conflicts.MarkOf(w.db, w.hash),
                 store_.conflicts.RangeMarkOf(w.db, w.key)) >= pi)
      return Quoted(w.key) + ", which it writes, was read since";
  }
  return "what it writes was read since";
}

bool Transaction::PassesSafetyNet(Stamp* pi) {
  *pi = LeastOverwriterPi();
  if (PLANTED(SKIP_SAFETY_NET)) return true;
  Stamp eta = snapshot_;
  for (const Write& w : writes_) {
    if (w.installed == nullptr) continue;
    eta = std::max(
        {eta, store_.conflicts.MarkOf(w.db, w.hash), store_.conflicts.RangeMarkOf(w.db, w.key)});
  }
  if (*pi <= snapshot_) {
    return Conflict(NameOfOverwritten(*pi) +
                    " was overwritten by one that must come before what was read");
  }
  if (*pi <= eta)
    return Conflict(NameOfOverwritten(*pi) + " was overwritten, and " + NameOfRead(*pi));
  if (!PLANTED(IGNORE_READ_ONLY) && *pi != kStampPending && store_.conflicts.ReadOnlyReaches(*pi)) {
    return Conflict(NameOfOverwritten(*pi) +
                    " was overwritten, and a read-only transaction has seen that");
  }
  return true;
}

void Transaction::LinkHistory(Stamp stamp, Stamp pi, bool tracking) {
  const bool snapshots = !store_.snapshots.none();  // after the stamp was taken (S1)
  for (Write& w : writes_) {
    if (w.installed == nullptr) continue;
    bool keep = false;
    if (snapshots) {
      keep = w.old != nullptr ? store_.snapshots.Needs(w.old->stamp(), stamp)
                              : tracking && store_.snapshots.Needs(0, stamp);
    }
    if (PLANTED(FREE_UNDER_SNAPSHOT)) keep = false;
    LinkOld(&w, stamp, pi, keep);
  }
}

void Transaction::LinkOld(Write* w, Stamp stamp, Stamp pi, bool keep) {
  History* chain = w->old == nullptr ? nullptr : w->old->older();
  if (keep) {
    chain = new History{w->old, pi, chain};
    handle_.AddGarbageBytes(static_cast<int64_t>(AllocatedBytes(sizeof(History))));
    handle_.AddVersionsKept(1);
    w->kept = true;
  }
  if (chain != nullptr) {
    w->past = Past::New(stamp, chain);
    handle_.AddGarbageBytes(static_cast<int64_t>(Past::Bytes()));
  }
}

void Transaction::PublishWrites(Stamp stamp) {
  for (const NewRoot& r : new_roots_) {
    r.before->replaced_at.store(stamp, std::memory_order_release);
    r.root->stamp.store(stamp, std::memory_order_release);
  }
  if (range_delete_ != nullptr) range_delete_->Publish(stamp);
  for (const Write& w : writes_) PublishWrite(w, stamp);
}

void Transaction::PublishWrite(const Write& w, Stamp stamp) {
  if (w.past != nullptr) {
    w.installed->Publish(w.past);
  } else if (w.installed != nullptr) {
    w.installed->Publish(stamp);
  }
}

// Deadlines are not recorded: the versions that they ended are, with their deadlines.
void Transaction::AppendToLog(Stamp stamp) {
  RecordWriter record(handle_.shared().log, stamp, now_ms_);
  std::vector<RootChange> roots;
  for (const NewRoot& r : new_roots_) {
    uint32_t from = 0;
    while (from < store_.roots.size() && KeyspaceBefore(from) != r.root->keyspace) ++from;
    roots.push_back({r.db, from < store_.roots.size() ? from : RootChange::kFresh});
  }
  if (!roots.empty()) record.Roots(roots);
  if (range_delete_ != nullptr) record.DeleteRange(read_ranges_[0].db, range_delete_->interval());
  for (const Write& w : writes_) {
    if (w.installed == nullptr || w.installed->expired_stamp() != 0) continue;
    uint32_t db = w.db;
    if (!overlay_.empty()) {  // by the number that names its keyspace now; by none: it is gone
      const auto now = std::find(overlay_.begin(), overlay_.end(), w.keyspace);
      if (now == overlay_.end()) continue;
      db = static_cast<uint32_t>(now - overlay_.begin());
    }
    if (w.installed->is_tombstone()) {
      record.Delete(db, w.key);
    } else {
      record.Put(db, w.key, *w.installed);
    }
  }
  store_.log.Queued(record.Finish());
}

// What a database number stood for before this commit.
const Keyspace* Transaction::KeyspaceBefore(uint32_t db) const {
  for (const NewRoot& r : new_roots_) {
    if (r.db == db) return r.before->keyspace;
  }
  return store_.Root(db)->keyspace;
}

void Transaction::LeaveMarks(Stamp position, Stamp pi) {
  Conflicts& conflicts = store_.conflicts;
  for (const LatchKey& key : latch_keys_) conflicts.Mark(key.db, key.hash, position);
  for (uint32_t db : whole_databases_)
    conflicts.MarkRangeLocked({.db = db, .whole = true, .low = {}, .high = {}}, position);
  for (const KeyRange& range : read_ranges_) {
    conflicts.MarkRangeLocked(range, position);
    if (range_delete_ != nullptr && !PLANTED(RANGE_DELETE_UNSEEN))
      conflicts.NoteRangeWrite(range, pi);
  }
  for (const SnapshotRead& read : snapshot_reads_) conflicts.Mark(read.db, read.hash, position);
  const TrackedTransaction* self = serializable_ ? &tracked_->transaction : nullptr;
  if (self != nullptr) {
    for (const KeyRange& range : self->ranges) conflicts.MarkRangeLocked(range, position);
  }
  for (const Write& w : writes_) {
    if (w.installed != nullptr) conflicts.NoteWrite(self, w.db, w.key, pi);
  }
  for (const NewRoot& r : new_roots_) conflicts.NoteWholeWrite(r.db, pi);
}

void Transaction::CountKeyChange(const Write& w) {
  if (w.installed == nullptr) return;
  const bool was_live = w.old != nullptr && !w.old->is_tombstone();
  const bool had_expiry = was_live && w.old->has_expiry();
  w.keyspace->AddKeys(handle_.number(), (w.installed->is_tombstone() ? 0 : 1) - (was_live ? 1 : 0),
                      (w.installed->has_expiry() ? 1 : 0) - (had_expiry ? 1 : 0));
}

// Figures, the policy, and what the collector is to look at. The keys are still latched.
void Transaction::Account() {
  int64_t used_sum = 0, garbage = 0;
  bool wake = false;
  for (const Write& w : writes_) {
    if (w.installed != nullptr) wake |= AccountFor(w, &used_sum, &garbage);
  }
  if (used_sum != 0) handle_.AddUsedBytes(used_sum);
  if (garbage != 0) handle_.AddGarbageBytes(garbage);
  if (wake) store_.collector->Wake();
  if (!new_roots_.empty()) DropReplaced();
  if (range_delete_ != nullptr) store_.collector->SettleRange(range_keyspace_, range_delete_);
}

bool Transaction::AccountFor(const Write& w, int64_t* used_sum, int64_t* garbage) {
  bool wake = false;
  int64_t used = 0;
  const Version& now = *w.installed;
  const KeyState was = StateOf(w.old), is = StateOf(w.installed);
  (is.live ? used : *garbage) += static_cast<int64_t>(now.AllocatedBytes());
  if (w.old != nullptr) {
    const auto bytes = static_cast<int64_t>(w.old->AllocatedBytes());
    (was.live ? used : *garbage) -= bytes;
    if (w.kept) *garbage += bytes;
  }
  if (was.live != is.live && !(PLANTED(COUNT_DEAD_AS_USED) && was.live)) {
    const auto bytes = static_cast<int64_t>(w.node->AllocatedBytes());
    used += is.live ? bytes : -bytes;
    *garbage += is.live ? -bytes : bytes;
  }
  if (used != 0) w.keyspace->AddLiveBytes(handle_.number(), used);
  *used_sum += used;
  NoteAccess(w, was, is);
  if (!evicting_)
    wake = store_.eviction.NoteChange(handle_.number(), w.keyspace->eviction(), w.node, w.hash, was,
                                      is);
  if (now.has_expiry()) {
    const bool filed =
        w.node->has(Node::kFiled) && was.expiry_ms != kNoExpiry && was.expiry_ms <= is.expiry_ms;
    if (!filed) {
      w.node->set(Node::kFiled);
      handle_.LeaveDeadline(now.expiry_ms(), w.hash, w.keyspace->id);
    }
  }
  if ((now.is_tombstone() || now.older() != nullptr) && !w.node->has(Node::kQueued)) {
    w.node->set(Node::kQueued);
    handle_.LeaveGarbage(w.keyspace, w.node);
  }
  if (w.old != nullptr && !w.kept) {
    *garbage -= static_cast<int64_t>(w.old->PastBytes());
    handle_.RetireVersion(w.old);
  }
  return wake;
}

// The policy sees in this one use of the key, whatever the transaction did with it.
void Transaction::NoteAccess(const Write& w, KeyState was, KeyState is) {
  if (!is.live) return;
  if (w.access) {
    w.node->NoteAccess(*w.access);
  } else if (!was.live) {
    w.node->NoteAccess(handle_.recorder().Fresh());
  } else if (w.node != touched_ && !quiet_) {
    handle_.recorder().Touch(*w.node);
  }
}

// What no database number stands for any more is garbage for everybody but old snapshots.
void Transaction::DropReplaced() {
  for (const NewRoot& r : new_roots_) {
    const Keyspace* before = r.before->keyspace;
    if (std::find(overlay_.begin(), overlay_.end(), before) == overlay_.end()) {
      const int64_t bytes = before->live_bytes();
      handle_.AddUsedBytes(-bytes);
      handle_.AddGarbageBytes(bytes);
      if (before->eviction().numbered)
        Eviction::Session(store_.eviction).DropSpace(before->eviction().number);  // V5
    }
    store_.collector->DropRoot(r.db, r.before, r.root->stamp.load(std::memory_order_relaxed));
  }
}

}  // namespace fluxkv::engine
