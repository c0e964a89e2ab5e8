#include "command/key_walk.h"

#include "base/clock.h"
#include "command/open_transaction.h"
#include "command/parked.h"
#include "command/services.h"

namespace fluxkv::command {
namespace {

constexpr size_t kKeysPerClockRead = 32;
constexpr size_t kBytesPerClockRead = 64 << 10;

class ParkedWalk final : public Parked {
 public:
  ParkedWalk(engine::Handle& handle, uint64_t client, std::unique_ptr<KeyWalk> walk)
      : own_(handle), walk_(std::move(walk)) {
    own_.set_client(client);
  }

  // Walks a snapshot of its own, from the start; false when there are too many.
  bool BeginOwn() {
    if (!own_.BeginSnapshot(engine::Isolation::kSnapshot, /*read_only=*/true)) return false;
    walk_->Restart();
    return true;
  }
  bool Step(Context& c) override {
    const bool is_own = own_.mode() == engine::Transaction::Mode::kSnapshot;
    if (!is_own && EndedMeanwhile(c)) return true;
    engine::Transaction& txn = is_own ? own_ : c.session.open->txn;
    if (!walk_->Run(txn, KeyWalk::kSliceNs)) return false;
    c.txn.DependOn(txn.depends_on());
    own_.Rollback();
    walk_->Answer(c.reply);
    return true;
  }
  bool Unblock(Context&, bool) override { return false; }
  KeyWalk& walk() { return *walk_; }

 private:
  // The walk takes as long as there are keys: the transaction may get too old.
  static bool EndedMeanwhile(Context& c) {
    EndIfTooOld(c.session, c.services, c.loop);
    if (!c.session.open->over()) return false;
    c.reply.Error(RefusedInTransaction(*c.session.open, *c.command));
    return true;
  }

  engine::Transaction own_;
  std::unique_ptr<KeyWalk> walk_;
};

}  // namespace

bool KeyWalk::Run(engine::Transaction& txn, int64_t slice_ns) {
  int64_t stop_ns = 0;  // counted from the first key on, so that each slice brings some
  size_t seen = 0, bytes_seen = bytes();
  bool paused = false;
  const auto may_go_on = [&](std::string_view key) {
    if (stop_ns == 0) stop_ns = MonotonicNs() + slice_ns;
    if (MonotonicNs() < stop_ns) return true;
    LeaveOut(key);
    paused = true;
    return false;
  };
  const auto see = [&](std::string_view key, const engine::Version& version) {
    if (!See(key, version)) return false;
    if (slice_ns == 0) return true;
    if (seen++ % kKeysPerClockRead != 0 && bytes() - bytes_seen < kBytesPerClockRead) return true;
    bytes_seen = bytes();
    return may_go_on(key);
  };
  txn.WalkInterval(db_, left_, direction_, see, [&](std::string_view hidden_key) {
    return slice_ns == 0 || may_go_on(hidden_key);
  });
  return !paused;
}

void KeyWalk::LeaveOut(std::string_view key) {
  if (direction_ == Direction::kDown) {
    left_.high = std::string(key);
  } else {
    left_.low = key;
    left_.low.push_back('\0');  // the next key that there can be
  }
}

void KeyWalk::Restart() {
  left_ = whole_;
  Forget();
}

void RunWalk(Context& c, std::unique_ptr<KeyWalk> walk) {
  const bool in_transaction = c.session.open != nullptr;
  const bool may_park = !c.in_exec && c.txn.mode() == engine::Transaction::Mode::kSnapshot;
  if (walk->Run(c.txn, may_park ? KeyWalk::kSliceNs : 0)) return walk->Answer(c.reply);
  auto parked = std::make_unique<ParkedWalk>(c.loop.handle, c.session.info->id, std::move(walk));
  if (in_transaction || parked->BeginOwn()) {
    c.parked = std::move(parked);
    return;
  }
  parked->walk().Run(c.txn, 0);
  parked->walk().Answer(c.reply);
}

void Bulks::Add(std::string_view bytes) {
  bytes_.append("$").append(std::to_string(bytes.size())).append("\r\n");
  bytes_.append(bytes).append("\r\n");
  ++count_;
}

}  // namespace fluxkv::command
