#include "engine/range_deletes.h"

#include <algorithm>

namespace fluxkv::engine {

const RangeDeletes* RangeDeletes::With(const RangeDeletes* before,
                                       std::shared_ptr<RangeDelete> added) {
  auto* list = before == nullptr ? new RangeDeletes : new RangeDeletes(*before);
  list->deletes_.push_back(std::move(added));
  return list;
}

const RangeDeletes* RangeDeletes::Without(const RangeDeletes& before, const RangeDelete& gone) {
  auto list = std::make_unique<RangeDeletes>(before);
  std::erase_if(list->deletes_, [&](const auto& d) { return d.get() == &gone; });
  return list->deletes_.empty() ? nullptr : list.release();
}

RangeDelete* RangeDeletes::EndOf(std::string_view key, const Version* version, Stamp until) const {
  if (version == nullptr || version->is_tombstone()) return nullptr;
  for (const auto& d : deletes_) {
    if (d->stamp() <= until && d->Ends(key, *version)) return d.get();
  }
  return nullptr;
}

bool RangeDeletes::settled() const {
  return std::all_of(deletes_.begin(), deletes_.end(), [](const auto& d) { return d->settled(); });
}

}  // namespace fluxkv::engine
