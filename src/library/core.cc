#include "library/core.h"

#include <algorithm>
#include <utility>

#include <signal.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/memory.h"
#include "library/slot.h"

namespace fluxkv::library {
namespace {

// The engine's own threads have handles too: collector, snapshots, loads.
constexpr size_t kSlotsMost = limits::kThreadsMax - 16;

engine::PolicyKind KindOf(Policy policy) {
  using enum engine::PolicyKind;
  constexpr engine::PolicyKind kKinds[] = {kNone, kRandom, kLru, kLfu, kArc, kTtl};
  return kKinds[static_cast<size_t>(policy)];
}

persist::Mode ModeOf(Durability durability) {
  return static_cast<persist::Mode>(durability);
}
static_assert(static_cast<int>(persist::Mode::kNone) == static_cast<int>(Durability::kNone));
static_assert(static_cast<int>(persist::Mode::kRelaxed) == static_cast<int>(Durability::kRelaxed));
static_assert(static_cast<int>(persist::Mode::kFull) == static_cast<int>(Durability::kFull));

// What the layers below say for a person, with what it means to a program.
Status As(ErrorKind kind, Status status) {
  if (status.ok() || status.kind() != ErrorKind::kOther) return status;
  return Status::Error(kind, status.message());
}

Status Closed() {
  return Status::Error(ErrorKind::kClosed, "the database is closed");
}

// So that a host's signal handlers run in none of our threads: those that are started meanwhile
// keep its mask. What a thread's own fault raises stays as it is.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t blocked;
    sigfillset(&blocked);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS})
      sigdelset(&blocked, fault);
    ASSERT(pthread_sigmask(SIG_BLOCK, &blocked, &before_) == 0);
  }
  ~SignalsBlocked() { ASSERT(pthread_sigmask(SIG_SETMASK, &before_, nullptr) == 0); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

Core::Core(const Options& options, persist::FileSystem* files)
    : options_(options),
      memory_limit_(static_cast<int64_t>(options.memory_limit)),
      vacuum_interval_ms_(options.vacuum_interval.count()),
      flush_interval_ms_(options.flush_interval.count()),
      flush_after_commits_(static_cast<int64_t>(options.flush_after_commits)),
      flush_after_bytes_(static_cast<int64_t>(options.flush_after_bytes)),
      snapshot_after_bytes_(static_cast<int64_t>(options.snapshot_after_bytes)),
      snapshot_interval_s_(options.snapshot_interval.count()),
      files_(files == nullptr ? posix_files_ : *files) {}

Core::~Core() {
  static_cast<void>(Close());  // who wants to know closes
}

// ---- Open

Result<std::shared_ptr<Core>> Core::Open(const Options& options, persist::FileSystem* files) {
  Result<Options> checked = CheckedOptions(options);
  if (!checked.ok()) return checked.status();
  if (!ReserveAddresses()) return Status::Error(ErrorKind::kOutOfMemory, kNoAddresses);
  std::shared_ptr<Core> core(new Core(*checked, files));
  Status status = core->Start();
  if (!status.ok()) return status;
  return core;
}

Status Core::Start() {
  Result<std::unique_ptr<Logger>> logger = Logger::Open(options_.log_file);
  if (!logger.ok()) return As(ErrorKind::kIo, logger.status());
  logger_ = std::move(*logger);
  if (options_.log_file.empty()) logger_->set_level(Logger::Level::kNothing);
  engine::Options options;
  options.databases = options_.databases;
  options.vacuum_interval_ms = &vacuum_interval_ms_;
  options.memory_limit = &memory_limit_;
  {
    const SignalsBlocked blocked;
    database_ = std::make_unique<engine::Database>(std::move(options), clock_);
  }
  SetPolicy();
  database_->set_background_eviction(false);
  if (!options_.directory.empty()) {
    Status status = OpenFiles();
    if (!status.ok()) return status;
  }
  database_->set_background_eviction(true);
  EvictDownToLimit();
  return {};
}

void Core::SetPolicy() {
  if (options_.policy == Policy::kNone) return;
  database_->SetPolicy(KindOf(options_.policy), options_.evict_only_with_deadline);
  database_->AwaitPolicy();
}

Status Core::OpenFiles() {
  persist::Options options;
  options.directory = options_.directory;
  options.mode = ModeOf(*options_.durability);
  options.segment_bytes = options_.segment_bytes;
  options.segments = options_.segments;
  options.flush = {&flush_interval_ms_, &flush_after_commits_, &flush_after_bytes_};
  options.snapshot_after_bytes = &snapshot_after_bytes_;
  options.snapshot_interval_s = &snapshot_interval_s_;
  options.snapshot_key_delay_us = &snapshot_key_delay_us_;
  auto opened =
      persist::Persistence::Open(files_, std::move(options), *database_, values_, clock_, *logger_);
  if (!opened.ok()) return As(ErrorKind::kIo, opened.status());
  persistence_ = std::move(*opened);
  Status status = As(ErrorKind::kDamaged, persistence_->Load());
  if (!status.ok()) return status;
  const SignalsBlocked blocked;  // its threads take it on
  return As(ErrorKind::kIo, persistence_->Start());
}

// What was loaded may be over the limit.
void Core::EvictDownToLimit() {
  if (memory_limit_.load() == 0) return;
  do {
    database_->Vacuum();
  } while (database_->evicting());
}

engine::Vacuumed Core::Vacuum() {
  const engine::Vacuumed vacuumed = database_->Vacuum();
  std::lock_guard lock(slots_mutex_);
  for (int pass = 0; pass < 2; ++pass) {  // the first one moves the epoch on
    for (const std::weak_ptr<Slot>& slot : slots_) {
      if (std::shared_ptr<Slot> open = slot.lock()) open->Collect();
    }
  }
  return vacuumed;
}

// ---- Close

Status Core::Close() {
  closing_.store(true);
  std::unique_lock gate(gate_);
  if (database_ == nullptr) return {};  // done, or never opened
  {
    std::lock_guard lock(slots_mutex_);
    for (const std::weak_ptr<Slot>& slot : slots_) {
      if (std::shared_ptr<Slot> open = slot.lock()) open->Close();
    }
  }
  database_->set_background_eviction(false);
  Status status;
  if (persistence_ != nullptr) status = As(ErrorKind::kIo, persistence_->Stop(/*save=*/false));
  persistence_.reset();
  database_.reset();
  return status;
}

Status Core::WhileOpen(const std::function<Status()>& use) {
  if (closing_.load()) return Closed();
  std::shared_lock gate(gate_);
  return closing_.load() ? Closed() : use();
}

Result<std::shared_ptr<Slot>> Core::Attach() {
  if (closing_.load()) return Closed();
  std::shared_lock gate(gate_);
  if (closing_.load()) return Closed();
  if (slots_open_.fetch_add(1) >= kSlotsMost) {
    slots_open_.fetch_sub(1);
    return Status::Error(ErrorKind::kTooMany,
                         "there are " + std::to_string(kSlotsMost) + " handles already");
  }
  auto slot = std::make_shared<Slot>(*this);
  std::lock_guard lock(slots_mutex_);
  std::erase_if(slots_, [](const std::weak_ptr<Slot>& old) { return old.expired(); });
  slots_.push_back(slot);
  return slot;
}

}  // namespace fluxkv::library
