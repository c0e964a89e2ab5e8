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
  DCHECK(begin <= end && (!holds_any() || holds_.back().end <= begin));
  if (begin != end) holds_.push_back({begin, end, stamp, is_push});
}

// Ends the holds at the front that are safe (H1).
void HeldReplies::DropHolds(engine::Stamp safe) {
  while (holds_any() && holds_[first_].stamp <= safe) ++first_;
  if (!holds_any()) {
    holds_.clear();
    first_ = 0;
  } else if (first_ >= kHoldsDroppedMin && first_ * 2 >= holds_.size()) {
    holds_.erase(holds_.begin(), std::next(holds_.begin(), static_cast<ptrdiff_t>(first_)));
    first_ = 0;
  }
}

void HeldReplies::MovePrefix(resp::Output& to) {
  size_t free = output_->size();
  if (holds_any()) free = holds_[first_].begin - output_->FirstMark();
  to.AppendPrefix(std::move(*output_), free);
}

size_t HeldReplies::Fail(engine::Stamp safe, std::string_view error) {
  resp::Output kept;
  resp::Writer writer(kept);
  for (size_t i = first_; i < holds_.size(); ++i) {
    const Hold& hold = holds_[i];
    if (hold.stamp <= safe) continue;
    kept.AppendPrefix(std::move(*output_), hold.begin - output_->FirstMark());
    output_->Consume(hold.end - hold.begin);
    if (!hold.is_push) writer.Error(error);
  }
  kept.Append(std::move(*output_));
  output_->Append(std::move(kept));
  holds_.clear();
  first_ = 0;
  return writer.errors();
}

void HeldReplies::ShrinkIfIdle() {
  if (!holds_any()) std::vector<Hold>().swap(holds_);
}

}  // namespace fluxkv::server
