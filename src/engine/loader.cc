#include "engine/loader.h"

#include <algorithm>
#include <string>

#include "base/check.h"
#include "engine/interval_walk.h"
#include "engine/store.h"
#include "engine/transaction.h"

namespace fluxkv::engine {

namespace {
// New nodes are put into a list one by one if they are fewer than one in so many of all.
constexpr size_t kRebuildShare = 16;
constexpr size_t kRemovedTogether = 1024;  // nodes
// Each place in the index is a line of memory that no cache has: so many are asked for together.
constexpr size_t kIndexedTogether = 32;
}  // namespace

struct Loader::Part {
  explicit Part(uint64_t id) : keyspace(std::make_unique<Keyspace>(id)) {}
  ~Part() {
    appender.reset();
    if (keyspace == nullptr) return;
    for (const Unindexed& u : unindexed) {
      VersionDeleter()(u.node->head());
      Node::Delete(u.node);
    }
    // Without its nodes in the list: the index has the rest of them.
    DestroyKeyspace(keyspace.release());
  }

  std::unique_ptr<Keyspace> keyspace;
  std::optional<OrderedList::Appender> appender;
  std::string last_key;
  struct Unindexed {
    Node* node;
    uint64_t hash;
  };
  std::vector<Unindexed> unindexed;  // nodes that are not in the index yet
  std::vector<Node*> unlisted;       // nodes that are not in the list yet
  std::vector<Node*> emptied;        // nodes that lost their version, once each (Node::kQueued)
  std::vector<Node*> deadlines;      // nodes that ever had a deadline, once each (Node::kFiled)
  bool expected = false;
  uint64_t appended = 0;  // nodes that are in the list
  int64_t keys = 0, keys_with_expiry = 0, bytes = 0;
};

Loader::Loader(Database& database, Handle& handle, const ValueLoader& values)
    : database_(database), handle_(handle), values_(values) {
  for (uint32_t db = 0; db < database.databases(); ++db)
    parts_.push_back(std::make_unique<Part>(database.store().NextKeyspaceId()));
}

Loader::~Loader() = default;

Status Loader::NoSuchDatabase(uint32_t db) const {
  return Status::Error(ErrorKind::kInvalid,
                       "it has a database " + std::to_string(db) + ", the server has " +
                           std::to_string(parts_.size()) + " (option databases)");
}

Status Loader::Expect(uint32_t db, uint64_t keys) {
  if (db >= parts_.size()) return NoSuchDatabase(db);
  Part& part = *parts_[db];
  if (part.expected || part.appender) return Status::Error("it has a database twice");
  part.expected = true;
  part.keyspace->index.Reserve(keys);
  return {};
}

VersionPtr Loader::ValueOf(const Change& change, Stamp stamp, Status* status) const {
  VersionPtr version = values_.Load(change.type, change.encoding, change.expiry_ms, change.value);
  if (version == nullptr) {
    *status = Status::Error("key " + std::string(change.key.substr(0, 64)) +
                            " has a value of a type that this version does not know (type " +
                            std::to_string(change.type) + ", encoding " +
                            std::to_string(change.encoding) + ")");
    return version;
  }
  version->Publish(stamp);
  return version;
}

void Loader::SetHead(Part& part, Node* node, VersionPtr version) {
  if (const Version* old = node->head(); old != nullptr) {
    --part.keys;
    if (old->has_expiry()) --part.keys_with_expiry;
    part.bytes -= static_cast<int64_t>(old->AllocatedBytes());
    VersionDeleter()(const_cast<Version*>(old));
  }
  if (version != nullptr) {
    ++part.keys;
    part.bytes += static_cast<int64_t>(version->AllocatedBytes());
    if (version->has_expiry()) {
      ++part.keys_with_expiry;
      if (!node->has(Node::kFiled)) {
        node->set(Node::kFiled);
        part.deadlines.push_back(node);
      }
    }
  }
  node->set_head(version.release());
}

Status Loader::Append(const Change& change, Stamp stamp) {
  if (change.kind != ChangeKind::kPut) return Status::Error("it has something else than a key");
  if (change.db >= parts_.size()) return NoSuchDatabase(change.db);
  Part& part = *parts_[change.db];
  if (!part.appender) {
    part.appender.emplace(part.keyspace->list);
  } else if (change.key <= part.last_key) {
    return Status::Error("its keys are not in order");
  }
  Status status;
  VersionPtr version = ValueOf(change, stamp, &status);
  if (!status.ok()) return status;
  part.last_key = change.key;
  Node* node = NewNode(part, change.key);
  if (node == nullptr) return NoRoom();
  SetHead(part, node, std::move(version));
  const uint64_t hash = HashBytes(change.key);
  part.keyspace->index.Prefetch(hash);
  part.unindexed.push_back({node, hash});
  if (part.unindexed.size() == kIndexedTogether) IndexAll(part);
  part.appender->Append(node);
  ++part.appended;
  return {};
}

void Loader::IndexAll(Part& part) {
  for (const auto& [node, hash] : part.unindexed)
    part.keyspace->index.Insert(node, hash, handle_.reclaimer());
  part.unindexed.clear();
}

Node* Loader::NewNode(Part& part, std::string_view key) {
  if (NodeRangeHasLess(limits::kNodeBytesLeast)) [[unlikely]]
    return nullptr;
  Node* node = Node::New(key, static_cast<uint32_t>(database_.store().clock.now_ms() / 1000));
  part.bytes += static_cast<int64_t>(node->AllocatedBytes());
  return node;
}

Status Loader::NoRoom() {
  return Status::Error("its keys do not fit into the range of addresses they can have (64 GiB)");
}

Status Loader::Apply(Stamp stamp, std::string_view body) {
  if (++since_breath_ % limits::kEpochCommandsMax == 0) handle_.Breathe(limits::kEpochCommandsMax);
  Change change;
  ChangeReader reader(body);
  while (reader.Next(&change)) {
    Status status = ApplyChange(change, stamp);
    if (!status.ok()) return status;
  }
  if (reader.damaged()) return Status::Error("a change in it makes no sense");
  return {};
}

Status Loader::ApplyChange(const Change& change, Stamp stamp) {
  if (change.kind == ChangeKind::kRoots) return ApplyRoots(change.roots);
  if (change.db >= parts_.size()) return NoSuchDatabase(change.db);
  Part& part = *parts_[change.db];
  IndexAll(part);
  if (change.kind == ChangeKind::kDeleteRange) {
    DeleteRange(part, change.interval());
    return {};
  }
  const Key key(change.key);
  Node* node = part.keyspace->index.Find(key);
  if (change.kind == ChangeKind::kDelete) {
    if (node == nullptr) return {};  // what was there had no record: a deadline had ended it
    Empty(part, node);
    return {};
  }
  Status status;
  VersionPtr version = ValueOf(change, stamp, &status);
  if (!status.ok()) return status;
  if (node == nullptr) {
    node = NewNode(part, change.key);
    if (node == nullptr) return NoRoom();
    part.keyspace->index.Insert(node, key.hash, handle_.reclaimer());
    part.unlisted.push_back(node);
  }
  SetHead(part, node, std::move(version));
  return {};
}

void Loader::Empty(Part& part, Node* node) {
  SetHead(part, node, nullptr);
  if (node->has(Node::kQueued)) return;
  node->set(Node::kQueued);
  part.emptied.push_back(node);
}

// Everything there is older than the change. What is deleted leaves index and list, so that the
// next one does not meet it; but for nodes that are noted elsewhere.
void Loader::DeleteRange(Part& part, const KeyInterval& interval) {
  CompleteList(part);
  std::vector<Node*> gone;
  VisitUp(part.keyspace->list, interval, [&](const Node& found) {
    Node* node = const_cast<Node*>(&found);
    if (node->has(Node::kQueued) || node->has(Node::kFiled)) {
      if (node->head() != nullptr) Empty(part, node);
    } else {
      gone.push_back(node);
    }
    return true;
  });
  for (Node* node : gone) {
    part.keyspace->index.Remove(node, HashBytes(node->key()));
    part.bytes -= static_cast<int64_t>(node->AllocatedBytes());
  }
  for (size_t i = 0; i < gone.size(); i += kRemovedTogether) {
    const size_t n = std::min(kRemovedTogether, gone.size() - i);
    part.keyspace->list.Remove(std::span(gone).subspan(i, n), handle_.reclaimer());
  }
  for (Node* node : gone) {
    if (node->head() != nullptr) SetHead(part, node, nullptr);
    Node::Delete(node);
  }
  part.appended -= gone.size();
}

Status Loader::ApplyRoots(const std::vector<RootChange>& roots) {
  std::vector<std::unique_ptr<Part>> next(parts_.size());
  for (const RootChange& r : roots) {
    if (r.db >= parts_.size()) return NoSuchDatabase(r.db);
    if (next[r.db] != nullptr) return Status::Error("it changes a database twice at once");
    if (r.from == RootChange::kFresh) {
      next[r.db] = std::make_unique<Part>(database_.store().NextKeyspaceId());
    } else if (r.from < parts_.size() && parts_[r.from] != nullptr) {
      next[r.db] = std::move(parts_[r.from]);
    } else {
      return Status::Error("it moves a database that is not there");
    }
  }
  for (size_t db = 0; db < parts_.size(); ++db) {
    if (next[db] != nullptr) parts_[db] = std::move(next[db]);
    // A commit that moves a database away puts another in its place.
    if (parts_[db] == nullptr)
      return Status::Error("it leaves a database number without a database");
  }
  return {};
}

void Loader::Complete(Part& part, int64_t time_ms) {
  for (Node* node : part.deadlines) {
    if (node->head() == nullptr || !node->head()->ExpiredAt(time_ms)) continue;
    Empty(part, node);
    ++expired_keys_;
  }
  CompleteList(part);
}

void Loader::CompleteList(Part& part) {
  IndexAll(part);
  part.appender.reset();
  std::vector<Node*>& unlisted = part.unlisted;
  const auto before = [](const Node* a, const Node* b) { return a->key() < b->key(); };
  std::sort(unlisted.begin(), unlisted.end(), before);
  OrderedList& list = part.keyspace->list;
  if (unlisted.size() * kRebuildShare < part.appended) {
    for (Node* node : unlisted) list.Insert(node, handle_.reclaimer());
  } else if (!unlisted.empty()) {
    std::vector<Node*> listed = list.TakeAll(), all(listed.size() + unlisted.size());
    std::merge(listed.begin(), listed.end(), unlisted.begin(), unlisted.end(), all.begin(), before);
    OrderedList::Appender appender(list);
    for (Node* node : all) appender.Append(node);
  }
  part.appended += unlisted.size();
  unlisted.clear();
}

void Loader::Install(int64_t time_ms, Transaction* exclusive) {
  std::vector<std::unique_ptr<Keyspace>> keyspaces;
  std::vector<HandleShared::Garbage> garbage;
  std::vector<HandleShared::Deadline> deadlines;
  int64_t bytes = 0, garbage_bytes = 0;
  for (auto& part : parts_) {
    Complete(*part, time_ms);
    Keyspace* keyspace = part->keyspace.get();
    keyspace->AddKeys(handle_.number(), part->keys, part->keys_with_expiry);
    bytes += part->bytes;
    int64_t dead_bytes = 0;
    for (Node* node : part->emptied) {
      if (node->head() != nullptr) {  // it came back
        node->clear(Node::kQueued);
        continue;
      }
      dead_bytes += static_cast<int64_t>(node->AllocatedBytes());
      garbage.push_back({keyspace, node});
    }
    garbage_bytes += dead_bytes;
    keyspace->AddLiveBytes(handle_.number(), part->bytes - dead_bytes);
    for (Node* node : part->deadlines) {
      const Version* version = node->head();
      if (version == nullptr || !version->has_expiry()) {
        node->clear(Node::kFiled);
      } else {
        deadlines.push_back({version->expiry_ms(), HashBytes(node->key()), keyspace->id});
      }
    }
    keyspaces.push_back(std::move(part->keyspace));
  }
  // Before the keyspaces can be seen, and so dropped: what is left for one that was dropped comes
  // too late.
  for (const auto& g : garbage) handle_.LeaveGarbage(g.keyspace, g.node);
  Transaction own(handle_);
  if (exclusive == nullptr) {
    own.BeginExclusive();
    exclusive = &own;
  }
  exclusive->ReplaceDatabases(std::move(keyspaces));
  ASSERT(exclusive->Commit());
  // After it, so that old and new are never counted together.
  handle_.AddUsedBytes(bytes - garbage_bytes);
  handle_.AddGarbageBytes(garbage_bytes);
  // The collector drops deadlines of a keyspace that it does not see.
  for (const auto& d : deadlines) handle_.LeaveDeadline(d.at_ms, d.hash, d.keyspace);
}

uint64_t Loader::keys() const {
  int64_t sum = 0;
  for (const auto& part : parts_) sum += part->keys;
  return static_cast<uint64_t>(sum);
}

uint64_t Loader::bytes() const {
  int64_t sum = 0;
  for (const auto& part : parts_) sum += part->bytes;
  return static_cast<uint64_t>(sum);
}

}  // namespace fluxkv::engine
