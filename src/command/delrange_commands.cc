// DELRANGE, DELPREFIX: all keys of a range at once.
//
// Alone one is a range delete (engine/range_deletes.h): the keys are gone at one stamp, and the
// connection is parked until the collector has been at all of them and knows how many there were.
// In EXEC and between BEGIN and COMMIT it is a walk at the snapshot that deletes key by key.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "command/context.h"
#include "command/errors.h"
#include "command/key_walk.h"
#include "command/open_transaction.h"
#include "command/range_bounds.h"
#include "command/refusals.h"
#include "command/services.h"
#include "command/table.h"
#include "config/notify_flags.h"
#include "engine/range_deletes.h"
#include "engine/store.h"

namespace fluxkv::command {
namespace {

// Readers of a database look through all that are under way in it; the next ones wait.
constexpr size_t kUnderWayMost = 64;
constexpr int64_t kDelrangeLookEveryMs = 1;
constexpr std::string_view kTooLarge =
    "ERR so many keys take more than transactions.max_bytes in one transaction: "
    "delete them outside of MULTI";

void NotifyDeleted(Context& c, std::string_view key) {
  c.Notify(config::kNotifyGeneric, "del", key);
}

// ---- Alone

class ParkedDelete final : public Parked {
 public:
  ParkedDelete(uint32_t db, engine::KeyInterval interval)
      : db_(db), interval_(std::move(interval)) {}

  // Deletes in `c.txn`, which holds every latch, or puts it off. True when it has answered.
  bool Delete(Context& c) {
    if (c.txn.range_deletes(db_) >= kUnderWayMost) return false;
    int64_t keys = 0;
    deleted_ = c.txn.DeleteRange(db_, interval_, [&](std::string_view key) {
      NotifyDeleted(c, key);
      ++keys;
    });
    if (deleted_ == nullptr) c.reply.Integer(keys);
    return deleted_ == nullptr;
  }

  bool Step(Context& c) override {
    look_at_ms_ = c.services.clock.now_ms() + kDelrangeLookEveryMs;
    if (deleted_ == nullptr) return TryAgain(c);
    if (!deleted_->settled()) return false;
    c.txn.DependOn(deleted_->stamp());
    c.reply.Integer(static_cast<int64_t>(deleted_->keys()));
    return true;
  }
  int64_t wake_at_ms() const override { return look_at_ms_; }
  bool Unblock(Context&, bool) override { return false; }

 private:
  // As dispatch would let it in. Those that wait get in as it happens, not in the order they came.
  bool TryAgain(Context& c) {
    if (c.txn.range_deletes(db_) >= kUnderWayMost) return false;  // before it latches everything
    using Admission = engine::CommitLog::Admission;
    const engine::CommitLog& log = c.services.database.store().log;
    if (log.admission() >= Admission::kRefused) {
      c.reply.Error(RefusedByLog(log.failure()));
      return true;
    }
    if (log.admission() == Admission::kFull ||
        c.services.clients.PauseMode(c.services.clock.now_ms()) != 0)
      return false;
    c.txn.BeginExclusive();
    const bool answered = Delete(c);
    ASSERT(c.txn.Commit());
    return answered;
  }

  const uint32_t db_;
  const engine::KeyInterval interval_;
  std::shared_ptr<const engine::RangeDelete> deleted_;  // null: it has not begun
  int64_t look_at_ms_ = 0;
};

// ---- In a transaction

class DeleteWalk final : public KeyWalk {
 public:
  DeleteWalk(uint32_t db, engine::KeyInterval interval)
      : KeyWalk(db, std::move(interval)), db_(db) {}
  void Answer(resp::Writer& reply) const override { reply.Integer(deleted_); }
  // Goes to the end, and deletes what was found. False, and nothing is deleted, if the transaction
  // would hold more than `most` bytes, as near as it can tell, to do so.
  bool RunAtOnce(Context& c, uint64_t most) {
    most_ = most;
    bytes_ = c.txn.writes() * kHeldBytes;
    Run(c.txn, 0);
    if (bytes_ > most_) return false;
    DeleteFound(c, c.txn);
    return true;
  }
  // Goes on as Run, and deletes what was found.
  bool RunAndDelete(Context& c, engine::Transaction& txn, int64_t slice_ns) {
    const bool ended = Run(txn, slice_ns);
    DeleteFound(c, txn);
    return ended;
  }

 private:
  static constexpr size_t kHeldBytes = 200;  // for a private deletion, besides its key, about

  bool See(std::string_view key, const engine::Version&) override {
    bytes_ += key.size() + kHeldBytes;
    if (bytes_ > most_) return false;
    found_.emplace_back(key);
    return true;
  }
  void DeleteFound(Context& c, engine::Transaction& txn) {
    for (const std::string& key : found_) {
      txn.DeleteFound(db_, engine::Key(std::string_view(key)));
      c.NotifyIn(config::kNotifyGeneric, "del", key, db_);
    }
    deleted_ += static_cast<int64_t>(found_.size());
    found_.clear();
  }
  size_t bytes() const override { return bytes_; }
  void Forget() override {}

  const uint32_t db_;
  std::vector<std::string> found_;
  uint64_t bytes_ = 0;
  uint64_t most_ = ~uint64_t{0};  // between BEGIN and COMMIT the session looks itself
  int64_t deleted_ = 0;
};

// Goes on in the session's transaction.
class ParkedDeleteWalk final : public Parked {
 public:
  explicit ParkedDeleteWalk(std::unique_ptr<DeleteWalk> walk) : walk_(std::move(walk)) {}

  bool Step(Context& c) override {
    EndIfTooOld(c.session, c.services, c.loop);
    OpenTransaction& open = *c.session.open;
    bool ended = false;
    if (!open.over()) {
      ended = walk_->RunAndDelete(c, open.txn, KeyWalk::kSliceNs);
      for (PendingEvent& event : c.loop.events) open.Tell(std::move(event));
      EndIfTooLarge(c.session, c.services, c.loop);
    }
    c.loop.events.clear();
    if (open.over()) {
      c.reply.Error(RefusedInTransaction(open, *c.command));
      return true;
    }
    if (!ended) return false;
    c.txn.DependOn(open.txn.depends_on());
    walk_->Answer(c.reply);
    return true;
  }
  bool Unblock(Context&, bool) override { return false; }

 private:
  std::unique_ptr<DeleteWalk> walk_;
};

// ---- Both

void Delete(Context& c, engine::KeyInterval interval) {
  if (interval.empty()) return c.reply.Integer(0);
  const bool in_transaction = c.session.open != nullptr;
  if (!in_transaction && !c.in_exec) {
    auto parked = std::make_unique<ParkedDelete>(c.db(), std::move(interval));
    if (!parked->Delete(c)) c.parked = std::move(parked);
    return;
  }
  auto walk = std::make_unique<DeleteWalk>(c.db(), std::move(interval));
  if (!in_transaction) {
    const int64_t most =
        c.services.config.settings().transaction_bytes_max.load(std::memory_order_relaxed);
    if (!walk->RunAtOnce(c, static_cast<uint64_t>(most))) return c.reply.Error(kTooLarge);
    return walk->Answer(c.reply);
  }
  if (walk->RunAndDelete(c, c.txn, KeyWalk::kSliceNs)) return walk->Answer(c.reply);
  c.parked = std::make_unique<ParkedDeleteWalk>(std::move(walk));
}

void Delrange(Context& c) {
  auto interval = IntervalOf(c.args[1], c.args[2]);
  if (!interval) return c.reply.Error(errors::kBadBound);
  Delete(c, std::move(*interval));
}

void Delprefix(Context& c) {
  Delete(c, engine::KeyInterval::OfPrefix(c.args[1]));
}

constexpr std::string_view kDelrangeCost =
    "O(log(N)+M) where N is the number of keys and M the number of keys deleted";

constexpr Command kDelrangeRows[] = {
    {.name = "delrange",
     .arity = 3,
     .flags = kWrite,
     .group = Group::kGeneric,
     .acl = kAclKeyspace | kAclDangerous,
     .complexity = kDelrangeCost,
     .summary = "Deletes the keys between two bounds, all at one moment.",
     .scope = Scope::kRange,
     .handler = &Delrange},
    {.name = "delprefix",
     .arity = 2,
     .flags = kWrite,
     .group = Group::kGeneric,
     .acl = kAclKeyspace | kAclDangerous,
     .complexity = kDelrangeCost,
     .summary = "Deletes the keys that begin so, all at one moment.",
     .scope = Scope::kRange,
     .handler = &Delprefix},
};

}  // namespace

std::span<const Command> DelrangeCommands() {
  return kDelrangeRows;
}

}  // namespace fluxkv::command
