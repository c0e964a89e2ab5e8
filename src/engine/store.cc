#include "engine/store.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/planted.h"
#include "engine/collector.h"

namespace fluxkv::engine {

Store::Store(Options given, Clock& shared_clock)
    : options(std::move(given)), clock(shared_clock), roots(options.databases) {
  for (auto& root : roots) {
    auto* version = new RootVersion;
    version->keyspace = new Keyspace(NextKeyspaceId());
    version->keyspace->roots.store(1, std::memory_order_relaxed);
    version->stamp.store(0, std::memory_order_release);
    root.store(version, std::memory_order_release);
  }
  collector = std::make_unique<Collector>(*this);
}

Store::~Store() {
  collector.reset();  // joins its thread, frees what waits in the inboxes
  for (bool attached : attached_) ASSERT(!attached);
  for (auto& root : roots) {
    for (RootVersion* version = root.load(); version != nullptr;) {
      RootVersion* older = version->older.load();
      if (version->keyspace->roots.fetch_sub(1) == 1) DestroyKeyspace(version->keyspace);
      delete version;
      version = older;
    }
  }
  for (auto& shared : shared_) delete shared.load();
  GiveBackFreePages(~size_t{0});
}

std::unique_ptr<Handle> Store::Attach() {
  std::lock_guard lock(attach_mutex_);
  for (size_t i = 0; i < attached_.size(); ++i) {
    if (attached_[i]) continue;
    attached_[i] = true;
    if (shared_[i].load() == nullptr) {
      shared_[i].store(new HandleShared);
      shared_used_.store(i + 1);
    }
    return std::unique_ptr<Handle>(new Handle(*this, *shared_[i].load(), i));
  }
  ASSERT(false && "more handles than limits::kThreadsMax");
  return nullptr;
}

void Store::Detach(size_t number) {
  std::lock_guard lock(attach_mutex_);
  attached_[number] = false;
}

RootVersion* Store::Root(uint32_t db) const {
  DEBUG_ASSERT(db < roots.size());
  Backoff backoff;
  for (;;) {
    RootVersion* root = roots[db].load(std::memory_order_acquire);
    if (root->stamp.load(std::memory_order_acquire) != kStampPending) return root;
    backoff.Pause();
  }
}

RootVersion* Store::RootAt(uint32_t db, Stamp snapshot) const {
  RootVersion* root = Root(db);
  while (root->stamp.load(std::memory_order_acquire) > snapshot) {
    root = root->older.load(std::memory_order_acquire);
    ASSERT(root != nullptr);  // a live snapshot keeps its roots
  }
  return root;
}

std::optional<uint32_t> Store::DatabaseOf(uint64_t keyspace_id) const {
  Backoff backoff;
  for (;;) {
    const uint64_t changes = root_changes.load(std::memory_order_seq_cst);
    for (uint32_t db = 0; db < roots.size(); ++db) {
      if (Root(db)->keyspace->id == keyspace_id) return db;
    }
    // A swap may have carried it from what was still to be looked at to what had been.
    const bool swapped =
        changes % 2 != 0 || root_changes.load(std::memory_order_seq_cst) != changes;
    if (swapped && !PLANTED(MISS_SWAPPED)) {
      backoff.Pause();
      continue;
    }
    return std::nullopt;
  }
}

std::optional<uint32_t> Store::DatabaseOf(SpaceNumber space) const {
  for (uint32_t db = 0; db < roots.size(); ++db) {
    if (Root(db)->keyspace->IsSpace(space)) return db;
  }
  return std::nullopt;
}

void Store::WaitPublished(Stamp snapshot) const {
  VisitShared([&](const HandleShared& shared) {
    Backoff backoff;
    while (shared.commit_floor.load(std::memory_order_acquire) <= snapshot) backoff.Pause();
  });
}

void Store::WaitInFlight() const {
  VisitShared([](const HandleShared& shared) {
    Stamp floor = shared.commit_floor.load(std::memory_order_seq_cst);
    Backoff backoff;
    while (floor != HandleShared::kNotCommitting &&
           shared.commit_floor.load(std::memory_order_acquire) == floor)
      backoff.Pause();
  });
}

int64_t Store::used_bytes() const {
  int64_t sum = 0;
  VisitShared([&](const HandleShared& shared) {
    sum += shared.used_bytes.load(std::memory_order_relaxed);
  });
  for (uint32_t db = 0; db < roots.size(); ++db) {
    const Keyspace& keyspace = *Root(db)->keyspace;
    sum += static_cast<int64_t>(keyspace.index.allocated_bytes() + keyspace.list.allocated_bytes());
  }
  return sum + static_cast<int64_t>(eviction_bytes.load(std::memory_order_relaxed));
}

int64_t Store::garbage_bytes() const {
  int64_t sum = 0;
  VisitShared([&](const HandleShared& shared) {
    sum += shared.garbage_bytes.load(std::memory_order_relaxed);
  });
  return sum;
}

namespace {

// The node's head, as soon as it is published; those of range deletes apart. May be kClosed.
const Version* PublishedHead(const Node& node) {
  Backoff backoff;
  for (;;) {
    const Version* head = node.head_ordered();
    if (head == nullptr || head == Node::Closed() || head->stamp() != kStampPending) return head;
    backoff.Pause();
  }
}

// The overwriter of what `snapshot` sees of a node with this head.
Stamp OverwriterPi(const RangeDeletes* deletes, std::string_view key, const Version* head,
                   Stamp snapshot) {
  // Pending under the commit mutex is the caller's own; what it overwrites was checked to be no
  // newer than its snapshot.
  if (head == nullptr || head == Node::Closed() || head->stamp() == kStampPending)
    return kStampPending;
  if (head->stamp() <= snapshot) {
    const RangeDelete* end =
        deletes == nullptr ? nullptr : deletes->EndOf(key, head, kStampPending);
    // One that was there at the snapshot left nothing to overwrite.
    return end == nullptr || end->stamp() <= snapshot ? kStampPending : end->stamp();
  }
  for (const History* entry = head->older(); entry != nullptr;
       entry = entry->older.load(std::memory_order_acquire)) {
    if (entry->version == nullptr || entry->version->stamp() <= snapshot) return entry->pi;
  }
  return 0;  // unknown: as old as can be, so the asker aborts
}

// Of one key in ten, since the test lasts as long as it takes its writers to read.
void PlantedPause(std::string_view key) {
  for (int i = 0; i < 2000 && key.ends_with('7'); ++i) __builtin_ia32_pause();
}

}  // namespace

const Version* Newest(const Keyspace& keyspace, const Key& key, Node** node) {
  Backoff backoff;
  for (;;) {
    const RangeDeletes* deletes = keyspace.range_deletes();  // R2: first
    *node = keyspace.index.Find(key);
    if (*node == nullptr) return nullptr;
    const Version* version = PublishedHead(**node);
    if (PLANTED(RANGE_DELETES_LAST)) {
      PlantedPause(key.bytes);
      deletes = keyspace.range_deletes();
    }
    if (version != Node::Closed()) {
      if (deletes == nullptr) [[likely]]
        return version;
      version = deletes->Seen(key.bytes, version, kStampPending);
      if (version == nullptr || version->stamp() != kStampPending) return version;
    }
    backoff.Pause();
  }
}

const Version* NewestOf(const Keyspace& keyspace, const Node& node) {
  Backoff backoff;
  for (;;) {
    const RangeDeletes* deletes = keyspace.range_deletes();  // R2: first
    const Version* version = PublishedHead(node);
    if (version == Node::Closed()) return nullptr;
    if (deletes == nullptr) [[likely]]
      return version;
    version = deletes->Seen(node.key(), version, kStampPending);
    if (version == nullptr || version->stamp() != kStampPending) return version;
    backoff.Pause();
  }
}

KeyState StateOf(const Version* newest) {
  if (newest == nullptr || newest == Node::Closed() || newest->is_tombstone()) return {};
  return {.live = true, .expiry_ms = newest->expiry_ms()};
}

namespace {

// What `snapshot` sees of a node with this head, range deletes that are under way apart.
const Version* SeenOf(const Version* head, Stamp snapshot) {
  // Closed: what was there was a tombstone that every live snapshot sees, or nothing.
  if (head == Node::Closed()) return nullptr;
  if (head == nullptr || head->stamp() <= snapshot) return head;
  for (const History* entry = head->older(); entry != nullptr;
       entry = entry->older.load(std::memory_order_acquire)) {
    if (entry->version == nullptr || entry->version->stamp() <= snapshot) return entry->version;
  }
  return nullptr;
}

}  // namespace

const Version* VisibleAt(const Keyspace& keyspace, const Node& node, Stamp snapshot) {
  const RangeDeletes* deletes = keyspace.range_deletes();  // R2: first
  const Version* seen = SeenOf(PublishedHead(node), snapshot);
  if (PLANTED(RANGE_DELETES_LAST)) {
    PlantedPause(node.key());
    deletes = keyspace.range_deletes();
  }
  if (deletes == nullptr) [[likely]]
    return seen;
  return deletes->Seen(node.key(), seen, snapshot);
}

Stamp OverwriterPi(const Keyspace& keyspace, const Node& node, Stamp snapshot) {
  const RangeDeletes* deletes = keyspace.range_deletes();  // R2: first
  return OverwriterPi(deletes, node.key(), PublishedHead(node), snapshot);
}

Stamp OverwriterPiLocked(const Keyspace& keyspace, const Node& node, Stamp snapshot) {
  const RangeDeletes* deletes = keyspace.range_deletes();  // R2: first
  return OverwriterPi(deletes, node.key(), node.head_ordered(), snapshot);
}

}  // namespace fluxkv::engine
