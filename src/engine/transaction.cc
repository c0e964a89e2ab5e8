#include "engine/transaction.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/planted.h"
#include "base/prefetch.h"
#include "engine/handle.h"
#include "engine/store.h"
#include "engine/tracked_state.h"

namespace fluxkv::engine {

namespace {
constexpr size_t kLinearWritesMax = 16;  // more private writes than this are found by a hash table
constexpr size_t kMetExpiredMax = 128;   // the collector finds the others
}  // namespace

Transaction::Transaction(Handle& handle) : handle_(handle), store_(handle.store()) {}

Transaction::~Transaction() {
  Rollback();
}

bool Transaction::Visible(const Version* version) const {
  return version != nullptr && !version->is_tombstone() && !version->ExpiredAt(now_ms_);
}

// ---- Begin

void Transaction::BeginRead() {
  DEBUG_ASSERT(mode_ == Mode::kIdle);
  mode_ = Mode::kRead;
  now_ms_ = store_.clock.now_ms();
  now_s_ = static_cast<uint32_t>(now_ms_ / 1000);
  leave_marks_ = store_.conflicts.tracking();
  if (leave_marks_) position_ = store_.stamp.load(std::memory_order_seq_cst);
}

bool Transaction::Validate() {
  DEBUG_ASSERT(mode_ == Mode::kRead);
  // A keyspace that was swapped away while it was read may have answered for another database.
  if (reads_.size() == 1) return store_.Root(reads_[0].db) == reads_[0].root;
  for (const Read& read : reads_) {
    if (store_.Root(read.db) != read.root) return false;
    if (read.node != nullptr) {
      const Keyspace& keyspace = *static_cast<const RootVersion*>(read.root)->keyspace;
      if (!PLANTED(VALIDATE_NOTHING) && !StillNewest(keyspace, *read.node, read.version))
        return false;
    } else {
      const Keyspace& keyspace = *static_cast<const RootVersion*>(read.root)->keyspace;
      if (keyspace.index.Find(read.key) != nullptr ||
          keyspace.buried.load(std::memory_order_seq_cst) != read.buried)
        return false;
    }
    // Who had a later clock may have seen the key gone and told so
    // in another key that was read here.
    if (read.version != nullptr && !read.version->is_tombstone() &&
        read.version->ExpiredAt(store_.clock.now_ms()) != read.version->ExpiredAt(now_ms_))
      return false;
    // A mark says less than what was read: read again under a newer one.
    if (leave_marks_ && ((read.version != nullptr && read.version->stamp() > position_) ||
                         static_cast<const RootVersion*>(read.root)->stamp.load() > position_))
      return false;
  }
  // Tracking that began meanwhile must find marks (conflict rule C1).
  return leave_marks_ || !store_.conflicts.tracking();
}

bool Transaction::StillNewest(const Keyspace& keyspace, const Node& node, const Version* version) {
  const RangeDeletes* deletes = keyspace.range_deletes();  // R2: first
  const Version* now = node.head_ordered();
  if (deletes == nullptr && now == version) [[likely]]
    return true;
  if (now == Node::Closed()) return false;
  if (deletes != nullptr) now = deletes->Seen(node.key(), now, kStampPending);
  // A range delete's tombstone, settled meanwhile: it has another address.
  return now == version || (now != nullptr && version != nullptr && version->is_tombstone() &&
                            now->stamp() == version->stamp());
}

void Transaction::Prefetch(uint32_t db, std::span<const Key> keys) const {
  keys = keys.first(std::min(keys.size(), kPrefetchMost));
  for (const Key& key : keys) handle_.PrefetchIndex(db, key.hash);
  std::array<const Node*, kPrefetchMost> nodes;
  for (size_t i = 0; i < keys.size(); ++i)
    nodes[i] = handle_.PrefetchNode(db, keys[i].hash, /*for_write=*/false);
  for (size_t i = 0; i < keys.size(); ++i) Handle::PrefetchVersion(nodes[i]);
}

// What another core wrote last comes from there, line by line: the latch, the node, its version.
// For several keys those waits are made one. A key may be declared in a database that there is not
// (COPY k k DB 99).
void Transaction::PrefetchToWrite(std::span<const LatchKey> keys) {
  keys = keys.first(std::min(keys.size(), kPrefetchMost));
  const auto is_database = [&](uint32_t db) { return db < store_.roots.size(); };
  for (const LatchKey& key : keys) {
    PrefetchForWrite(&store_.latches.at(LatchTable::IndexOf(key.db, key.hash)));
    if (is_database(key.db)) handle_.PrefetchIndex(key.db, key.hash);
  }
  std::array<const Node*, kPrefetchMost> nodes;
  for (size_t i = 0; i < keys.size(); ++i) {
    nodes[i] = is_database(keys[i].db)
                   ? handle_.PrefetchNode(keys[i].db, keys[i].hash, /*for_write=*/false)
                   : nullptr;
    PrefetchForWrite(nodes[i]);
  }
  for (size_t i = 0; i < keys.size(); ++i) Handle::PrefetchVersion(nodes[i]);
}

void Transaction::BeginLatched(std::span<const LatchKey> keys) {
  DEBUG_ASSERT(mode_ == Mode::kIdle && handle_.reclaimer().inside());
  if (keys.size() > 1) PrefetchToWrite(keys);
  mode_ = Mode::kLatched;
  latch_keys_.assign(keys.begin(), keys.end());
  for (const LatchKey& key : keys)
    stripes_.push_back(static_cast<uint16_t>(LatchTable::IndexOf(key.db, key.hash)));
  LatchStripes();
  // The clock is read under the latches: whoever latched before has read no later time.
  now_ms_ = store_.clock.now_ms();
  now_s_ = static_cast<uint32_t>(now_ms_ / 1000);
}

void Transaction::BeginLatchedRange(uint32_t db, uint64_t first_hash, uint64_t last_hash) {
  DEBUG_ASSERT(mode_ == Mode::kIdle && handle_.reclaimer().inside() && first_hash <= last_hash);
  mode_ = Mode::kLatched;
  const uint64_t last = LatchTable::PartOf(last_hash);
  for (uint64_t part = LatchTable::PartOf(first_hash); part <= last; ++part)
    stripes_.push_back(static_cast<uint16_t>(LatchTable::IndexOfPart(db, part)));
  LatchStripes();
  now_ms_ = store_.clock.now_ms();
  now_s_ = static_cast<uint32_t>(now_ms_ / 1000);
}

void Transaction::LatchStripes() {
  if (stripes_.size() > 1) {
    std::sort(stripes_.begin(), stripes_.end());
    stripes_.erase(std::unique(stripes_.begin(), stripes_.end()), stripes_.end());
    if (PLANTED(LATCH_FIRST_ONLY) && mode_ == Mode::kLatched) stripes_.resize(1);
  }
  for (uint16_t stripe : stripes_) handle_.AddLatchWait(store_.latches.at(stripe).Lock());
}

void Transaction::BeginExclusive() {
  DEBUG_ASSERT(mode_ == Mode::kIdle && handle_.reclaimer().inside());
  mode_ = Mode::kExclusive;
  for (size_t i = 0; i < LatchTable::kSize; ++i) stripes_.push_back(static_cast<uint16_t>(i));
  LatchStripes();
  DependOn(store_.stamp.load(std::memory_order_relaxed));  // it may read anything
  now_ms_ = store_.clock.now_ms();
  now_s_ = static_cast<uint32_t>(now_ms_ / 1000);
}

bool Transaction::BeginSnapshot(Isolation isolation, bool read_only) {
  DEBUG_ASSERT(mode_ == Mode::kIdle);
  const auto kind = client_ == 0 ? SnapshotHolder::Kind::kInternal : SnapshotHolder::Kind::kClient;
  std::optional<size_t> slot =
      store_.snapshots.Take({.kind = kind, .client = client_}, store_.clock.now_ms());
  if (!slot) return false;
  if (!read_only) {
    writer_slot_ = store_.writing_snapshots.Take();
    if (!writer_slot_) {
      store_.snapshots.Release(*slot);
      return false;
    }
  }
  mode_ = Mode::kSnapshot;
  snapshot_slot_ = *slot;
  read_only_ = read_only;
  serializable_ = isolation == Isolation::kSerializable && !read_only;
  tracked_ = std::make_unique<TrackedState>();
  if (serializable_) {
    store_.conflicts.Begin(&tracked_->transaction);
    store_.WaitInFlight();  // C1
  } else if (read_only) {
    tracked_->reader = store_.conflicts.BeginReadOnly();
  }
  ChooseSnapshot();
  if (serializable_) store_.conflicts.SetSnapshot(&tracked_->transaction, snapshot_);
  if (read_only) store_.conflicts.SetReadOnlySnapshot(*tracked_->reader, snapshot_);
  leave_marks_ = store_.conflicts.tracking();
  return true;
}

bool Transaction::BeginCopy() {
  DEBUG_ASSERT(mode_ == Mode::kIdle);
  std::optional<size_t> slot = store_.snapshots.Take(
      {.kind = SnapshotHolder::Kind::kCopy, .client = 0}, store_.clock.now_ms());
  if (!slot) return false;
  mode_ = Mode::kSnapshot;
  snapshot_slot_ = *slot;
  copying_ = true;
  leave_marks_ = false;
  ChooseSnapshot();
  return true;
}

void Transaction::ChooseSnapshot() {
  do {  // time and stamp of one moment
    now_ms_ = store_.clock.now_ms();
    snapshot_ = store_.stamp.load(std::memory_order_seq_cst);
  } while (store_.clock.now_ms() != now_ms_);
  now_s_ = static_cast<uint32_t>(now_ms_ / 1000);
  store_.snapshots.Choose(snapshot_slot_, snapshot_);
  if (writer_slot_) store_.writing_snapshots.Choose(*writer_slot_, snapshot_);
  store_.WaitPublished(snapshot_);
  DependOn(snapshot_);
}

// ---- End

void Transaction::Unlatch() {
  for (uint16_t stripe : stripes_) store_.latches.at(stripe).Unlock();
  stripes_.clear();
}

void Transaction::Rollback() {
  met_expired_.clear();
  if (mode_ != Mode::kIdle) End();
  if (!settled_.empty()) [[unlikely]]
    TellSettled();
}

void Transaction::NoteExpired(uint32_t db, std::string_view key, const Version* version) {
  if (copying_ || version == nullptr || !version->ExpiredAt(now_ms_)) return;
  if (met_expired_.size() < kMetExpiredMax)
    met_expired_.push_back({db, HashBytes(key), std::string(key)});
}

// Each in a transaction of its own: to the others it happened at the key's deadline.
void Transaction::RemoveExpired() {
  const std::vector<MetExpired> met = std::move(met_expired_);
  met_expired_.clear();
  if (store_.ExpiryPaused() || !handle_.reclaimer().inside()) return;
  const Stamp stamp = commit_stamp_, depends_on = depends_on_;
  for (const MetExpired& m : met) {
    const LatchKey latch{m.db, m.hash};
    BeginLatched({&latch, 1});
    const bool removed = DeleteExpired(m.db, Key(m.key, m.hash));
    if (removed) store_.expired_keys.fetch_add(1, std::memory_order_relaxed);
    ASSERT(Commit());
    if (removed && store_.options.on_expired) store_.options.on_expired(m.db, m.key, commit_stamp_);
  }
  commit_stamp_ = stamp;
  depends_on_ = depends_on;
}

void Transaction::TellSettled() {
  const std::vector<Settled> settled = std::move(settled_);
  settled_.clear();
  for (const Settled& s : settled) store_.options.on_deleted(s.db, s.key, s.stamp);
}

void Transaction::End() {
  Unlatch();
  if (mode_ == Mode::kSnapshot) {
    if (serializable_) store_.conflicts.End(&tracked_->transaction);
    if (read_only_) store_.conflicts.EndReadOnly(*tracked_->reader);
    if (writer_slot_) store_.writing_snapshots.Release(*std::exchange(writer_slot_, std::nullopt));
    store_.snapshots.Release(snapshot_slot_);
    tracked_.reset();
    snapshot_reads_.clear();
    serializable_ = read_only_ = copying_ = false;
  }
  writes_.clear();
  if (!owned_keys_.empty()) owned_keys_.clear();
  write_index_.clear();
  reads_.clear();
  latch_keys_.clear();
  overlay_.clear();
  fresh_.clear();
  whole_databases_.clear();
  read_ranges_.clear();
  range_delete_.reset();
  new_roots_.clear();
  write_count_ = 0;
  write_bytes_ = note_bytes_ = 0;
  write_order_.clear();
  unrecorded_ = evicting_ = false;
  touched_ = nullptr;
  mode_ = Mode::kIdle;
}

bool Transaction::Conflict(std::string reason) {
  conflict_reason_ = std::move(reason);
  handle_.AddConflict();
  return false;
}

// ---- Reading

Keyspace* Transaction::KeyspaceOf(uint32_t db) {
  if (mode_ == Mode::kSnapshot) return store_.RootAt(db, snapshot_)->keyspace;
  if (mode_ == Mode::kExclusive) {
    if (std::find(whole_databases_.begin(), whole_databases_.end(), db) == whole_databases_.end())
      whole_databases_.push_back(db);
    if (!overlay_.empty()) return overlay_[db];
  }
  const RootVersion* root = store_.Root(db);
  DependOn(root->stamp.load(std::memory_order_relaxed));
  return root->keyspace;
}

const Version* Transaction::Find(uint32_t db, const Key& key, bool note_access) {
  DEBUG_ASSERT(mode_ != Mode::kIdle);
  Node* node = nullptr;
  const Version* version;
  if (mode_ == Mode::kRead) {
    version = FindNewest(db, key, &node);
  } else {
    Keyspace* keyspace = KeyspaceOf(db);
    if (const Write* own = FindWrite(keyspace, key); own != nullptr) {
      return Visible(own->value.get()) ? own->value.get() : nullptr;
    }
    version = mode_ == Mode::kSnapshot ? FindAtSnapshot(db, keyspace, key, &node)
                                       : Newest(*keyspace, key, &node);
  }
  if (version != nullptr) DependOn(version->stamp());
  if (!Visible(version)) {
    NoteExpired(db, key.bytes, version);
    return nullptr;
  }
  if (note_access) {
    handle_.recorder().Touch(*node);
    touched_ = node;
  }
  return version;
}

const Version* Transaction::FindNewest(uint32_t db, const Key& key, Node** node) {
  if (leave_marks_) store_.conflicts.Mark(db, key.hash, position_);
  const RootVersion* root = store_.Root(db);
  DependOn(root->stamp.load(std::memory_order_relaxed));
  const uint64_t buried = root->keyspace->buried.load(std::memory_order_seq_cst);
  const Version* version = Newest(*root->keyspace, key, node);
  reads_.push_back({root, db, key, *node, version, buried});
  return version;
}

const Version* Transaction::FindAtSnapshot(uint32_t db, Keyspace* keyspace, const Key& key,
                                           Node** node) {
  if (leave_marks_) store_.conflicts.Mark(db, key.hash, snapshot_);
  const auto is_this = [&](const SnapshotRead& read) {
    return read.hash == key.hash && read.db == db && read.key == key.bytes;
  };
  if (serializable_ && (snapshot_reads_.empty() || !is_this(snapshot_reads_.back()))) {
    snapshot_reads_.push_back({db, key.hash, std::string(key.bytes)});
    note_bytes_ += sizeof(SnapshotRead) + key.bytes.size();
  }
  *node = keyspace->index.Find(key);
  return *node == nullptr ? nullptr : VisibleAt(*keyspace, **node, snapshot_);
}

std::optional<uint32_t> Transaction::AccessField(uint32_t db, const Key& key) {
  if (Peek(db, key) == nullptr) return std::nullopt;
  Keyspace* keyspace = KeyspaceOf(db);
  const Write* own = FindWrite(keyspace, key);
  if (own != nullptr && own->access) return own->access;
  const Node* node = own != nullptr ? nullptr : keyspace->index.Find(key);
  return node != nullptr ? node->access_s() : handle_.recorder().Fresh();
}

std::optional<uint64_t> Transaction::IdleSeconds(uint32_t db, const Key& key) {
  const std::optional<uint32_t> field = AccessField(db, key);
  if (!field) return std::nullopt;
  return store_.eviction.IdleSeconds(*field, now_s_);
}

std::optional<uint8_t> Transaction::Frequency(uint32_t db, const Key& key) {
  const std::optional<uint32_t> field = AccessField(db, key);
  if (!field) return std::nullopt;
  return store_.eviction.Frequency(*field);
}

// ---- Writing

Transaction::Write* Transaction::FindWrite(const Keyspace* keyspace, const Key& key) {
  if (write_index_.empty()) {
    for (Write& w : writes_) {
      if (w.hash == key.hash && w.keyspace == keyspace && w.key == key.bytes) return &w;
    }
    return nullptr;
  }
  auto [first, last] = write_index_.equal_range(key.hash);
  for (auto it = first; it != last; ++it) {
    Write& w = writes_[it->second];
    if (w.keyspace == keyspace && w.key == key.bytes) return &w;
  }
  return nullptr;
}

Transaction::Write& Transaction::AddWrite(Keyspace* keyspace, uint32_t db, const Key& key) {
  ++write_count_;
  if (Write* own = FindWrite(keyspace, key); own != nullptr) return *own;
  std::string_view bytes = key.bytes;
  if (mode_ == Mode::kSnapshot) {
    bytes = owned_keys_.emplace_back(key.bytes);
    write_bytes_ += sizeof(Write) + sizeof(std::string) + key.bytes.size();
  }
  writes_.push_back({.keyspace = keyspace,
                     .db = db,
                     .hash = key.hash,
                     .key = bytes,
                     .value = nullptr,
                     .access = std::nullopt});
  if (!write_index_.empty()) {
    write_index_.emplace(key.hash, static_cast<uint32_t>(writes_.size() - 1));
  } else if (writes_.size() > kLinearWritesMax) {
    for (uint32_t i = 0; i < writes_.size(); ++i) write_index_.emplace(writes_[i].hash, i);
  }
  return writes_.back();
}

void Transaction::Put(uint32_t db, const Key& key, VersionPtr value) {
  DEBUG_ASSERT(mode_ == Mode::kLatched || mode_ == Mode::kExclusive ||
               (mode_ == Mode::kSnapshot && !read_only_));
  DEBUG_ASSERT(value != nullptr && key.bytes.size() <= limits::kKeyBytesMax);
  Write& write = AddWrite(KeyspaceOf(db), db, key);
  HoldInstead(write, value.get());
  write.value = std::move(value);
  write.access.reset();
}

void Transaction::HoldInstead(const Write& write, const Version* value) {
  if (mode_ != Mode::kSnapshot) return;
  if (write.value != nullptr) write_bytes_ -= write.value->AllocatedBytes();
  if (value != nullptr) write_bytes_ += value->AllocatedBytes();
}

bool Transaction::Delete(uint32_t db, const Key& key) {
  DEBUG_ASSERT(mode_ == Mode::kLatched || mode_ == Mode::kExclusive ||
               (mode_ == Mode::kSnapshot && !read_only_));
  if (Peek(db, key) == nullptr) return false;
  Write& write = AddWrite(KeyspaceOf(db), db, key);
  HoldInstead(write, nullptr);
  write.value.reset();
  write.access.reset();
  return true;
}

void Transaction::DeleteFound(uint32_t db, const Key& key) {
  std::string_view bytes = key.bytes;
  if (mode_ != Mode::kSnapshot) bytes = owned_keys_.emplace_back(bytes);  // else AddWrite does that
  Write& write = AddWrite(KeyspaceOf(db), db, Key(bytes, key.hash));
  HoldInstead(write, nullptr);
  write.value.reset();
  write.access.reset();
}

bool Transaction::DeleteExpired(uint32_t db, const Key& key) {
  Keyspace* keyspace = KeyspaceOf(db);
  Node* node = nullptr;
  const Version* version = Newest(*keyspace, key, &node);
  if (version == nullptr || version->is_tombstone() || !version->ExpiredAt(now_ms_)) return false;
  DEBUG_ASSERT(write_index_.empty() && FindWrite(keyspace, key) == nullptr);
  ++write_count_;
  writes_.push_back({.keyspace = keyspace,
                     .db = db,
                     .hash = key.hash,
                     .key = key.bytes,
                     .value = Version::NewExpiryTombstone(version->stamp()),
                     .access = std::nullopt});
  return true;
}

bool Transaction::Evict(uint32_t db, const Key& key, const Victim& victim) {
  DEBUG_ASSERT(mode_ == Mode::kLatched && writes_.empty());
  Keyspace* keyspace = KeyspaceOf(db);
  if (!keyspace->IsSpace(victim.entry.space())) return false;
  Node* node = nullptr;
  const Version* version = Newest(*keyspace, key, &node);
  if (node != victim.entry.node()) return false;
  Settle(db, keyspace, node, key.hash);
  if (!store_.eviction.MayEvict(victim, StateOf(version))) return false;
  AddWrite(keyspace, db, key).value.reset();
  evicting_ = true;
  return true;
}

const void* Transaction::AddressOf(uint32_t db, const Key& key) {
  return KeyspaceOf(db)->index.Find(key);
}

void Transaction::SetIdleSeconds(uint32_t db, const Key& key, uint64_t seconds) {
  Write* own = FindWrite(KeyspaceOf(db), key);
  DEBUG_ASSERT(own != nullptr);
  const uint32_t idle_s = static_cast<uint32_t>(std::min<uint64_t>(seconds, now_s_));
  own->access = store_.eviction.FieldOfIdle(idle_s, now_s_);
}

void Transaction::SetFrequency(uint32_t db, const Key& key, uint8_t frequency) {
  Write* own = FindWrite(KeyspaceOf(db), key);
  DEBUG_ASSERT(own != nullptr);
  own->access = store_.eviction.FieldOfFrequency(frequency);
}

void Transaction::ClearDatabase(uint32_t db) {
  DEBUG_ASSERT(mode_ == Mode::kExclusive);
  Keyspace* cleared = KeyspaceOf(db);
  ++write_count_;
  const auto of_it = [cleared](const Write& w) { return w.keyspace == cleared; };
  // Every commit has counted before it let go of its latch, so no keys means that there is nothing
  // to clear.
  if (cleared->keys() == 0 && std::none_of(writes_.begin(), writes_.end(), of_it)) return;
  if (overlay_.empty()) {
    for (uint32_t i = 0; i < store_.roots.size(); ++i) overlay_.push_back(store_.Root(i)->keyspace);
  }
  // Private writes into what is cleared are gone with it.
  std::erase_if(writes_, of_it);
  write_index_.clear();
  if (writes_.size() > kLinearWritesMax) {
    for (uint32_t i = 0; i < writes_.size(); ++i) write_index_.emplace(writes_[i].hash, i);
  }
  fresh_.push_back(std::make_unique<Keyspace>(store_.NextKeyspaceId()));
  overlay_[db] = fresh_.back().get();
}

void Transaction::ReplaceDatabases(std::vector<std::unique_ptr<Keyspace>> loaded) {
  DEBUG_ASSERT(mode_ == Mode::kExclusive && writes_.empty() && overlay_.empty() &&
               loaded.size() == store_.roots.size());
  for (auto& keyspace : loaded) {
    overlay_.push_back(keyspace.get());
    fresh_.push_back(std::move(keyspace));
  }
  unrecorded_ = true;
  ++write_count_;
}

void Transaction::SwapDatabases(uint32_t a, uint32_t b) {
  DEBUG_ASSERT(mode_ == Mode::kExclusive);
  KeyspaceOf(a);
  KeyspaceOf(b);  // both count as used
  if (overlay_.empty()) {
    for (uint32_t i = 0; i < store_.roots.size(); ++i) overlay_.push_back(store_.Root(i)->keyspace);
  }
  std::swap(overlay_[a], overlay_[b]);
  ++write_count_;
}

}  // namespace fluxkv::engine
