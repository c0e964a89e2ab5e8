// The nodes of an interval, as the ordered list has them while it is walked.
// Threads: any inside an epoch.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/key_interval.h"
#include "engine/node.h"
#include "engine/ordered_list.h"

namespace fluxkv::engine {

// visit(node) for the nodes of the interval in order while it returns true; whether it always did.
template <class VisitNode>
bool VisitUp(const OrderedList& list, const KeyInterval& interval, VisitNode visit) {
  OrderedList::Page page;
  std::string position = interval.low;
  for (;;) {
    list.Read(position, &page);
    for (size_t i = 0; i < page.count; ++i) {
      const std::string_view key = page.nodes[i]->key();
      if (key < position) continue;
      if (interval.high && key >= *interval.high) return true;
      if (!visit(*page.nodes[i])) return false;
    }
    if (page.last) return true;
    position = page.next;
  }
}

// The same from its end downwards.
template <class VisitNode>
bool VisitDown(const OrderedList& list, const KeyInterval& interval, VisitNode visit) {
  OrderedList::Page page;
  std::optional<std::string> end = interval.high;
  for (;;) {
    list.ReadBelow(end, &page);
    for (size_t i = page.count; i-- > 0;) {
      const std::string_view key = page.nodes[i]->key();
      if (end && key >= *end) continue;
      if (key < interval.low) return true;
      if (!visit(*page.nodes[i])) return false;
    }
    if (page.first || page.low <= interval.low) return true;
    end = page.low;
  }
}

}  // namespace fluxkv::engine
