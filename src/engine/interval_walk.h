// The nodes of an interval, as the ordered list has them while it is walked.
// Threads: any inside an epoch.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/byte_order.h"
#include "engine/handle.h"
#include "engine/key_interval.h"
#include "engine/node.h"
#include "engine/ordered_list.h"

namespace fluxkv::engine {

namespace internal {

// How many of the nodes, which are in order, have keys below this one.
inline size_t CountBelow(std::span<Node* const> nodes, std::string_view key) {
  const auto is_below = [](const Node* node, std::string_view k) {
    return BytesLess(node->key(), k);
  };
  return static_cast<size_t>(std::lower_bound(nodes.begin(), nodes.end(), key, is_below) -
                             nodes.begin());
}

// visit(node) for at(0) to at(count - 1) while it returns true; whether it always did. Nodes and
// their versions are asked for in memory some visits ahead.
template <class At, class VisitNode>
bool VisitAhead(size_t count, At at, VisitNode& visit) {
  constexpr size_t kNodesAhead = 8, kVersionsAhead = 4;
  for (size_t i = 0; i < std::min(count, kNodesAhead); ++i) __builtin_prefetch(at(i));
  for (size_t i = 0; i < std::min(count, kVersionsAhead); ++i) Handle::PrefetchVersion(at(i));
  for (size_t i = 0; i < count; ++i) {
    if (i + kNodesAhead < count) __builtin_prefetch(at(i + kNodesAhead));
    if (i + kVersionsAhead < count) Handle::PrefetchVersion(at(i + kVersionsAhead));
    if (!visit(*at(i))) return false;
  }
  return true;
}

}  // namespace internal

// visit(node) for the nodes of the interval in order while it returns true; whether it always did.
template <class VisitNode>
bool VisitUp(const OrderedList& list, const KeyInterval& interval, VisitNode visit) {
  OrderedList::Page page;
  std::string position = interval.low;
  for (;;) {
    list.Read(position, &page);
    const auto nodes = std::span<Node* const>(page.nodes).first(page.count);
    const bool ends = page.last || (interval.high && page.next >= *interval.high);
    const size_t begin = position <= page.low ? 0 : internal::CountBelow(nodes, position);
    const auto from = nodes.subspan(begin);
    const size_t count =
        ends && interval.high ? internal::CountBelow(from, *interval.high) : from.size();
    if (!internal::VisitAhead(
            count, [&](size_t i) { return from[i]; }, visit))
      return false;
    if (ends) return true;
    position = page.next;
  }
}

// The same from its end downwards.
template <class VisitNode>
bool VisitDown(const OrderedList& list, const KeyInterval& interval, VisitNode visit) {
  OrderedList::Page page;
  std::optional<std::string> above = interval.high;
  for (;;) {
    list.ReadBelow(above, &page);
    const auto nodes = std::span<Node* const>(page.nodes).first(page.count);
    const bool ends = page.low <= interval.low;  // so it does if the page is the first
    const size_t begin = ends ? internal::CountBelow(nodes, interval.low) : 0;
    const auto from = nodes.subspan(begin);
    const bool all_below = !above || (!page.last && page.next <= *above);
    const size_t count = all_below ? from.size() : internal::CountBelow(from, *above);
    const auto at = [&](size_t i) { return from[count - 1 - i]; };
    if (!internal::VisitAhead(count, at, visit)) return false;
    if (ends) return true;
    above = page.low;
  }
}

}  // namespace fluxkv::engine
