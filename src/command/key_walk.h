// A walk over keys in order that a command answers from, in slices of about a millisecond: the
// first in the command's own turn, the others with the connection parked, over a snapshot of its
// own or in the session's transaction.
//
//   RunWalk(c, std::make_unique<CountWalk>(c.db(), interval));
//
// Threads: the connection's loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "command/context.h"
#include "engine/transaction.h"
#include "resp/writer.h"

namespace fluxkv::command {

class KeyWalk {
 public:
  using Direction = engine::Transaction::Direction;

  KeyWalk(uint32_t db, engine::KeyInterval interval, Direction direction = Direction::kUp)
      : db_(db), whole_(interval), direction_(direction), left_(std::move(interval)) {}
  virtual ~KeyWalk() = default;
  KeyWalk(const KeyWalk&) = delete;
  KeyWalk& operator=(const KeyWalk&) = delete;

  virtual void Answer(resp::Writer& reply) const = 0;
  static constexpr int64_t kSliceNs = 1'000'000;
  // Goes on in `txn` for about `slice_ns`, or to the end if it is 0. True when it has ended.
  bool Run(engine::Transaction& txn, int64_t slice_ns);
  // As it was made: another snapshot is walked.
  void Restart();

 protected:
  // Of what it has kept for its answer: a slice ends by these too.
  virtual size_t bytes() const { return 0; }
  // False when no more keys are wanted.
  virtual bool See(std::string_view key, const engine::Version& version) = 0;
  // Forgets what was seen.
  virtual void Forget() = 0;

 private:
  void LeaveOut(std::string_view key);

  const uint32_t db_;
  const engine::KeyInterval whole_;
  const Direction direction_;
  engine::KeyInterval left_;  // what was not walked
};

// Answers at once, or parks the connection. Inside EXEC it runs to the end.
void RunWalk(Context& c, std::unique_ptr<KeyWalk> walk);

// How many keys there are.
class CountWalk final : public KeyWalk {
 public:
  explicit CountWalk(uint32_t db, engine::KeyInterval interval = {})
      : KeyWalk(db, std::move(interval)) {}
  void Answer(resp::Writer& reply) const override { reply.Integer(static_cast<int64_t>(keys_)); }

 private:
  bool See(std::string_view, const engine::Version&) override {
    ++keys_;
    return true;
  }
  void Forget() override { keys_ = 0; }

  uint64_t keys_ = 0;
};

// Finished bulks of an answer whose length is not known.
class Bulks {
 public:
  void Add(std::string_view bytes);
  void Clear() { *this = {}; }
  size_t count() const { return count_; }
  size_t bytes() const { return bytes_.size(); }
  void AddRaw(std::string_view bytes) { bytes_ += bytes; }
  void WriteTo(resp::Writer& reply) const { reply.Raw(bytes_); }

 private:
  std::string bytes_;
  size_t count_ = 0;
};

}  // namespace fluxkv::command
