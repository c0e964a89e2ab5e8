// The public Database: a core, and the handles that its callers share.
#include "fluxkv/database.h"

#include <chrono>
#include <functional>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "engine/store.h"
#include "library/core.h"
#include "library/slot.h"

namespace fluxkv {
namespace {

// A thread finds its handle by its id: more of them than cores, so that few meet.
constexpr size_t kSharedHandles = 16;
constexpr std::chrono::milliseconds kPoll{1};

}  // namespace

class Database::Body {
 public:
  explicit Body(std::shared_ptr<library::Core> core) : core_(std::move(core)) {}
  ~Body() { static_cast<void>(core_->Close()); }
  Body(const Body&) = delete;
  Body& operator=(const Body&) = delete;

  Status AttachShared() {
    for (size_t i = 0; i < kSharedHandles; ++i) {
      Result<std::shared_ptr<library::Slot>> slot = core_->Attach();
      if (!slot.ok()) return slot.status();
      shared_.emplace_back(std::move(*slot));
    }
    return {};
  }
  library::Core& core() { return *core_; }
  Handle& OfThisThread() {
    return shared_[std::hash<std::thread::id>()(std::this_thread::get_id()) % kSharedHandles];
  }

 private:
  std::shared_ptr<library::Core> core_;
  std::vector<Handle> shared_;
};

Database::Database(std::unique_ptr<Body> body) : body_(std::move(body)) {}
Database::Database(Database&&) noexcept = default;
Database& Database::operator=(Database&&) noexcept = default;
Database::~Database() = default;

Result<Database> Database::Open(const Options& options) {
  try {
    return OpenOrThrow(options);
  } catch (const std::bad_alloc&) {
    return Status::Error(ErrorKind::kOutOfMemory, "there is no memory to open a database");
  } catch (const std::system_error& error) {
    return Status::Error(ErrorKind::kTooMany,
                         std::string("a thread cannot be started: ") + error.what());
  }
}

Result<Database> Database::OpenOrThrow(const Options& options) {
  Result<std::shared_ptr<library::Core>> core = library::Core::Open(options);
  if (!core.ok()) return core.status();
  auto body = std::make_unique<Body>(std::move(*core));
  Status status = body->AttachShared();
  if (!status.ok()) return status;
  return Database(std::move(body));
}

Status Database::Close() {
  return body_ == nullptr ? Status() : body_->core().Close();
}

Database::Body& Database::Alive() const {
  if (body_ == nullptr) internal::ResultMisused("a database that was moved from is used", "");
  return *body_;
}

Handle& Database::Here() const {
  return Alive().OfThisThread();
}

Result<Handle> Database::Attach() {
  Result<std::shared_ptr<library::Slot>> slot = Alive().core().Attach();
  if (!slot.ok()) return slot.status();
  return Handle(std::move(*slot));
}

// ---- As Handle

Result<std::optional<std::string>> Database::Get(std::string_view key) {
  return Here().Get(key);
}
Result<bool> Database::Contains(std::string_view key) {
  return Here().Contains(key);
}
Status Database::Insert(std::string_view key, std::string_view value, Ttl ttl) {
  return Here().Insert(key, value, ttl);
}
Result<std::optional<std::string>> Database::Remove(std::string_view key) {
  return Here().Remove(key);
}
Cursor Database::Scan(const Range& range) {
  return Here().Scan(range);
}
Result<std::vector<Entry>> Database::List(const Range& range) {
  return Here().List(range);
}
Result<std::vector<KeyMetadata>> Database::Metadata(const Range& range) {
  return Here().Metadata(range);
}
Result<Transaction> Database::Begin() {
  return Here().Begin();
}
Result<Transaction> Database::Begin(Level level) {
  return Here().Begin(level);
}
Result<uint64_t> Database::Evict(uint64_t target_bytes, uint64_t keys_max) {
  return Here().Evict(target_bytes, keys_max);
}

// ---- Memory

Result<MemoryFigures> Database::memory() const {
  library::Core& core = Alive().core();
  MemoryFigures m;
  Status status = core.WhileOpen([&] {
    const engine::EngineStats s = core.database().stats();
    m.used_bytes = s.used_bytes;
    m.limit_bytes = static_cast<uint64_t>(core.memory_limit().load());
    m.old_bytes = s.garbage_bytes;
    m.keys = core.database().database_stats(core.db()).keys;
    m.old_versions = s.versions_kept;
    m.evicted_keys = s.evicted_keys;
    m.expired_keys = s.expired_keys;
    const engine::Snapshots& snapshots = core.database().store().snapshots;
    m.open_transactions = snapshots.CountTransactions();
    if (const auto oldest = snapshots.OldestFigure(/*with_copies=*/false))
      m.oldest_transaction_age_ms = core.clock().Tick() - oldest->began_at_ms;
    return Status();
  });
  if (!status.ok()) return status;
  return m;
}

Status Database::SetMemoryLimit(uint64_t bytes) {
  library::Core& core = Alive().core();
  return core.WhileOpen([&] {
    if (bytes > INT64_MAX) return Status::Error(ErrorKind::kInvalid, "a limit above 2^63");
    if (bytes == 0 && core.options().policy != Policy::kNone)
      return Status::Error(ErrorKind::kInvalid, "a policy without a limit");
    core.memory_limit().store(static_cast<int64_t>(bytes));
    return Status();
  });
}

Result<VacuumFigures> Database::Vacuum() {
  library::Core& core = Alive().core();
  VacuumFigures figures;
  Status status = core.WhileOpen([&] {
    const engine::Vacuumed v = core.Vacuum();
    figures = {.versions = v.versions, .keys = v.keys, .bytes = v.bytes, .milliseconds = v.took_ms};
    return Status();
  });
  if (!status.ok()) return status;
  return figures;
}

// ---- Files

Status Database::Save() {
  library::Core& core = Alive().core();
  return core.WhileOpen([&] {
    persist::Persistence* files = core.persistence();
    if (files == nullptr)
      return Status::Error(ErrorKind::kInvalid, "there is no directory to save to");
    const auto ticket = files->RequestSnapshot(/*again=*/true);
    Status status = ticket.status();
    while (status.ok() && !files->SnapshotEnded(**ticket, &status))
      std::this_thread::sleep_for(kPoll);
    if (status.ok() || status.kind() != ErrorKind::kOther) return status;
    return Status::Error(ErrorKind::kIo, status.message());
  });
}

Status Database::Sync() {
  library::Core& core = Alive().core();
  return core.WhileOpen([&] {
    persist::Persistence* files = core.persistence();
    if (files == nullptr || files->mode() == persist::Mode::kNone)
      return Status::Error(ErrorKind::kInvalid, "there is no log to sync");
    const engine::CommitLog& log = core.database().store().log;
    const engine::Stamp now = core.database().store().stamp.load();
    while (files->durable_stamp() < now) {
      if (log.admission() == engine::CommitLog::Admission::kFailed)
        return Status::Error(ErrorKind::kIo, "the log cannot be written: " + log.failure());
      files->RequestSync();
      std::this_thread::sleep_for(kPoll);
    }
    return Status();
  });
}

}  // namespace fluxkv
