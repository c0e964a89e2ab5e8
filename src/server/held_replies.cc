#include "server/held_replies.h"

#include <iterator>

#include "base/check.h"
#include "resp/writer.h"

namespace fluxkv::server {
namespace {

// Holds that are over are removed from the front of their vector in batches of at least this many.
constexpr size_t kHoldsDroppedMin = 64;

}  // namespace

void HeldReplies::Close(size_t begin, engine::Stamp stamp, bool is_push) {
  const size_t end = output_->Mark();
  DEBUG_ASSERT(begin <= end && (!holds_any() || holds_.back().end <= begin));
  if (begin == end) return;
  holds_.push_back({begin, end, stamp, is_push});
  ++count_;
}

// Ends the holds at the front that are safe (H1).
void HeldReplies::DropHolds(engine::Stamp safe) {
  while (holds_any() && awaited() <= safe) --count_;
  const size_t over = first();
  if (!holds_any()) {
    holds_.clear();
  } else if (over >= kHoldsDroppedMin && over >= count_) {
    holds_.erase(holds_.begin(), std::next(holds_.begin(), static_cast<ptrdiff_t>(over)));
  }
}

void HeldReplies::MovePrefix(resp::Output& to) {
  size_t free = output_->size();
  if (holds_any()) free = holds_[first()].begin - output_->FirstMark();
  to.AppendPrefix(std::move(*output_), free);
}

size_t HeldReplies::Fail(engine::Stamp safe, std::string_view error) {
  resp::Output kept;
  resp::Writer writer(kept);
  for (size_t i = first(); i < holds_.size(); ++i) {
    const Hold& hold = holds_[i];
    if (hold.stamp <= safe) continue;
    kept.AppendPrefix(std::move(*output_), hold.begin - output_->FirstMark());
    output_->Consume(hold.end - hold.begin);
    if (!hold.is_push) writer.Error(error);
  }
  kept.Append(std::move(*output_));
  output_->Append(std::move(kept));
  holds_.clear();
  count_ = 0;
  return writer.errors();
}

void HeldReplies::ShrinkIfIdle() {
  if (!holds_any()) std::vector<Hold>().swap(holds_);
}

}  // namespace fluxkv::server
