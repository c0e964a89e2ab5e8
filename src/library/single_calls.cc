#include "library/single_calls.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>

#include "base/check.h"
#include "engine/node.h"
#include "engine/store.h"
#include "library/transaction_state.h"
#include "types/string_value.h"

namespace fluxkv::library {
namespace {

constexpr uint64_t kEvictAtOnce = 256;  // some hundred microseconds
constexpr size_t kMetadataPage = 256;
constexpr int kEmptyTries = 1000;  // of a millisecond: keys are being filed or in another's hands
constexpr std::chrono::milliseconds kEmptyPause{1};

// Lets go of what is latched when something throws; after Commit there is nothing to do.
// Requires: inside an epoch.
class RolledBack {
 public:
  explicit RolledBack(engine::Transaction& txn) : txn_(txn) {}
  ~RolledBack() { txn_.Rollback(); }
  RolledBack(const RolledBack&) = delete;
  RolledBack& operator=(const RolledBack&) = delete;

 private:
  engine::Transaction& txn_;
};

// What `make` makes of the version; null: there is none.
template <class T, class Make>
Result<T> Read(Slot& slot, std::string_view key, Make make) {
  Slot::Use use(slot);
  if (!use.open()) return Slot::Use::Closed();
  engine::Transaction& txn = use.single();
  txn.ForgetDependencies();
  Result<T> value = T();
  {
    engine::Handle::Scope in_epoch(use.handle());
    const RolledBack at_end(txn);
    const engine::Key name(key);
    for (bool seen = false; !seen;) {
      txn.BeginRead();
      value = make(txn.Get(use.core().db(), name));
      seen = txn.Validate();  // of one key it is, unless databases were swapped: not here
      ASSERT(txn.Commit());
    }
  }
  Status status = use.AwaitSafe(txn.depends_on());
  if (!status.ok()) return status;
  return value;
}

}  // namespace

Result<std::optional<std::string>> Get(Slot& slot, std::string_view key) {
  return Read<std::optional<std::string>>(slot, key, BytesOf);
}

Result<bool> Contains(Slot& slot, std::string_view key) {
  return Read<bool>(slot, key, [](const engine::Version* version) { return version != nullptr; });
}

Status Insert(Slot& slot, std::string_view key, std::string_view value, Ttl ttl) {
  Status status = CheckKey(key);
  if (status.ok()) status = CheckValue(value);
  if (!status.ok()) return status;
  Slot::Use use(slot);
  if (!use.open()) return Slot::Use::Closed();
  status = use.Admit();
  if (status.ok()) status = use.MakeRoom(0);
  if (!status.ok()) return status;
  const Result<int64_t> deadline_ms = DeadlineOf(ttl, use.core().clock().now_ms());
  if (!deadline_ms.ok()) return deadline_ms.status();
  engine::Transaction& txn = use.single();
  const uint32_t db = use.core().db();
  engine::VersionPtr version = types::NewString(value, *deadline_ms);
  {
    engine::Handle::Scope in_epoch(use.handle());
    const RolledBack at_end(txn);
    const engine::Key name(key);
    const engine::LatchKey latch{db, name.hash};
    txn.BeginLatched({&latch, 1});
    txn.Put(db, name, std::move(version));
    ASSERT(txn.Commit());
  }
  return use.AwaitSafe(txn.commit_stamp());
}

Result<std::optional<std::string>> Remove(Slot& slot, std::string_view key) {
  Slot::Use use(slot);
  if (!use.open()) return Slot::Use::Closed();
  Status status = use.Admit();
  if (!status.ok()) return status;
  engine::Transaction& txn = use.single();
  const uint32_t db = use.core().db();
  txn.ForgetDependencies();
  Result<std::optional<std::string>> before = std::optional<std::string>();
  {
    engine::Handle::Scope in_epoch(use.handle());
    const RolledBack at_end(txn);
    const engine::Key name(key);
    const engine::LatchKey latch{db, name.hash};
    txn.BeginLatched({&latch, 1});
    before = BytesOf(txn.Peek(db, name));
    if (before.ok() && before->has_value()) txn.Delete(db, name);
    ASSERT(txn.Commit());
  }
  status = use.AwaitSafe(txn.depends_on());
  if (!status.ok()) return status;
  return before;
}

Result<uint64_t> Evict(Slot& slot, uint64_t target_bytes, uint64_t keys_max) {
  uint64_t evicted = 0;
  for (int empty = 0; evicted < keys_max;) {
    uint64_t now = 0;
    {
      Slot::Use use(slot);
      if (!use.open()) return Slot::Use::Closed();
      if (use.core().options().policy == Policy::kNone)
        return Status::Error(ErrorKind::kInvalid, "there is no policy that says who goes");
      Status status = use.Admit();
      if (!status.ok()) return status;
      engine::Handle::Scope in_epoch(use.handle());
      const uint64_t before = use.evictor().evicted();
      const auto room =
          use.evictor().Evict(target_bytes, std::min(keys_max - evicted, kEvictAtOnce));
      now = use.evictor().evicted() - before;
      evicted += now;
      if (room != engine::Evictor::Room::kMore) break;
    }
    if (now != 0) continue;
    if (++empty == kEmptyTries) break;
    std::this_thread::sleep_for(kEmptyPause);
  }
  if (evicted == 0) return evicted;
  Slot::Use use(slot);
  if (!use.open()) return Slot::Use::Closed();
  Status status = use.AwaitSafe(use.core().database().store().stamp.load());
  if (!status.ok()) return status;
  return evicted;
}

Result<std::vector<KeyMetadata>> Metadata(const std::shared_ptr<Slot>& slot, const Range& range) {
  Result<std::shared_ptr<TransactionState>> begun = TransactionState::Begin(slot, Level::kReadOnly);
  if (!begun.ok()) return begun.status();
  TransactionState& state = **begun;
  Status status = state.AwaitReads();
  if (!status.ok()) return status;
  std::vector<KeyMetadata> all;
  engine::KeyInterval left{range.low(), range.high()};
  while (all.size() < range.limit()) {
    const auto page =
        static_cast<size_t>(std::min<uint64_t>(range.limit() - all.size(), kMetadataPage));
    Result<bool> at_end = state.WalkPage(
        &left, range.reverse(), page,
        [&](engine::Transaction& txn, uint32_t db, std::string_view key,
            const engine::Version& version) {
          const engine::Key name(key);
          KeyMetadata& m = all.emplace_back();
          m.key = key;
          m.value_bytes = types::StringSize(version);
          m.memory_bytes = version.AllocatedBytes() + engine::Node::AllocatedBytes(key.size());
          if (version.has_expiry()) m.deadline_ms = version.expiry_ms();
          m.stamp = version.stamp();
          m.idle_seconds = txn.IdleSeconds(db, name).value_or(0);
          m.frequency = txn.Frequency(db, name).value_or(0);
          return key.size();
        });
    if (!at_end.ok()) return at_end.status();
    if (*at_end) break;
  }
  static_cast<void>(state.Commit());
  return all;
}

}  // namespace fluxkv::library
