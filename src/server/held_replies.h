// What a connection's commands and messages have written and the connection has not begun to send,
// with the parts of it that may not leave yet: those that tell of a commit that the log has not got
// to (engine/commit_log.h, D4).
//
//   size_t begin = held.output().Mark();
//   WriteReply(held.output());
//   if (!log.IsSafe(stamp)) held.Close(begin, stamp, /*is_push=*/false);
//   held.Release(log.safe(), sending);   // at the end of the turn, with nothing left in `sending`
//
// H1. Bytes leave in the order in which they were written:
//     behind a part that is held everything waits.
// H2. Holds are in the order of their places, do not overlap, and none is empty.
// H3. A hold is one whole reply or message, so that an error can stand in its place.
//
// Threads: its connection's loop.
// Owns:    the holds. The outputs are the connection's; Release exchanges the one in use for
//          another where that saves a copy, and marks are of the one in use.
// Errors:  none.
#pragma once

#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/version.h"
#include "resp/output.h"

namespace fluxkv::server {

class HeldReplies {
 public:
  // Requires: `output` is empty.
  explicit HeldReplies(resp::Output* output) : output_(output) {}
  HeldReplies(const HeldReplies&) = delete;
  HeldReplies& operator=(const HeldReplies&) = delete;

  // Where to write. Not to be consumed by others.
  resp::Output& output() { return *output_; }
  const resp::Output& output() const { return *output_; }

  // What was written since `begin` is held until `stamp` is safe; nothing if it was truncated.
  void Close(size_t begin, engine::Stamp stamp, bool is_push);

  // Moves all that may be sent, with this stamp safe, behind what `to` has.
  void Release(engine::Stamp safe, resp::Output*& to) {
    if (holds_any()) [[unlikely]]
      DropHolds(safe);
    if (!holds_any() && to->empty()) [[likely]] {
      std::swap(output_, to);
    } else {
      MovePrefix(*to);
    }
  }

  // The log has failed with this stamp safe: `error` takes the place of every reply that is held
  // for a later one, such messages go. Nothing is held then. Returns how many errors were written.
  size_t Fail(engine::Stamp safe, std::string_view error);

  bool holds_any() const { return count_ != 0; }
  // Whether there is something, and the first of it is held or was until now.
  bool holds_first() const { return holds_any() && holds_[first()].begin == output_->FirstMark(); }
  // The stamp for which the first part is held. Requires: holds_any().
  engine::Stamp awaited() const { return holds_[first()].stamp; }
  // Bytes that say what is held; zero if nothing is.
  size_t record_bytes() const { return count_ * sizeof(Hold); }
  // Bytes of memory allocated for them.
  size_t memory_bytes() const { return holds_.capacity() * sizeof(Hold); }
  // Frees that memory if nothing is held.
  void ShrinkIfIdle();

 private:
  struct Hold {
    size_t begin;  // marks
    size_t end;
    engine::Stamp stamp;
    bool is_push;
  };

  size_t first() const { return holds_.size() - count_; }
  void DropHolds(engine::Stamp safe);
  void MovePrefix(resp::Output& to);

  resp::Output* output_;
  std::vector<Hold> holds_;
  size_t count_ = 0;  // of the last ones; those before them are over
};

}  // namespace fluxkv::server
