#include "tests/isolation/cycles.h"

#include <algorithm>

namespace fluxkv::isolation {

void Graph::Freeze() {
  for (const Loose& l : loose_) ++first_[l.from + 1];
  for (size_t i = 1; i < first_.size(); ++i) first_[i] += first_[i - 1];
  arcs_.resize(loose_.size());
  std::vector<uint32_t> next(first_.begin(), first_.end() - 1);
  for (const Loose& l : loose_) arcs_[next[l.from]++] = l.arc;
  loose_ = {};
}

std::vector<std::vector<uint32_t>> Graph::Components() const {
  constexpr uint32_t kUnseen = ~0u;
  std::vector<std::vector<uint32_t>> found;
  std::vector<uint32_t> index(nodes(), kUnseen), low(nodes()), stack, path;
  std::vector<uint32_t> next(first_.begin(), first_.end() - 1);
  std::vector<bool> on_stack(nodes());
  uint32_t counter = 0;
  for (uint32_t root = 0; root < nodes(); ++root) {
    if (index[root] != kUnseen) continue;
    path.push_back(root);
    while (!path.empty()) {
      const uint32_t node = path.back();
      if (index[node] == kUnseen) {
        index[node] = low[node] = counter++;
        stack.push_back(node);
        on_stack[node] = true;
      }
      if (next[node] < first_[node + 1]) {
        const uint32_t to = arcs_[next[node]++].to;
        if (index[to] == kUnseen) {
          path.push_back(to);
        } else if (on_stack[to]) {
          low[node] = std::min(low[node], index[to]);
        }
        continue;
      }
      path.pop_back();
      if (!path.empty()) low[path.back()] = std::min(low[path.back()], low[node]);
      if (low[node] != index[node]) continue;
      const auto from = std::find(stack.rbegin(), stack.rend(), node).base() - 1;
      for (auto it = from; it != stack.end(); ++it) on_stack[*it] = false;
      if (stack.end() - from > 1) found.emplace_back(from, stack.end());
      stack.erase(from, stack.end());
    }
  }
  return found;
}

Graph Graph::Induced(const std::vector<uint32_t>& nodes,
                     const std::function<bool(Edge)>& keep) const {
  constexpr uint32_t kOutside = ~0u;
  std::vector<uint32_t> number(this->nodes(), kOutside);
  for (uint32_t i = 0; i < nodes.size(); ++i) number[nodes[i]] = i;
  Graph graph(nodes.size());
  for (uint32_t node : nodes) {
    for (const Arc* arc = begin(node); arc != end(node); ++arc) {
      if (number[arc->to] != kOutside && keep(arc->kind))
        graph.Add(number[node], number[arc->to], arc->kind);
    }
  }
  graph.Freeze();
  return graph;
}

std::vector<Graph::Step> Graph::CycleThrough(uint32_t start, const std::vector<uint8_t>& inside,
                                             size_t longest) const {
  std::vector<uint32_t> queue{start};
  std::vector<uint32_t> depth(nodes(), ~0u);
  std::vector<Step> reached_by(nodes());
  depth[start] = 0;
  for (size_t i = 0; i < queue.size(); ++i) {
    const uint32_t node = queue[i];
    if (depth[node] + 1 >= longest) break;
    for (const Arc* arc = begin(node); arc != end(node); ++arc) {
      if (!inside[arc->to]) continue;
      if (arc->to == start) {
        std::vector<Step> cycle{{node, arc->kind}};
        for (uint32_t at = node; at != start; at = reached_by[at].from)
          cycle.push_back(reached_by[at]);
        std::reverse(cycle.begin(), cycle.end());
        return cycle;
      }
      if (depth[arc->to] != ~0u) continue;
      depth[arc->to] = depth[node] + 1;
      reached_by[arc->to] = {node, arc->kind};
      queue.push_back(arc->to);
    }
  }
  return {};
}

std::vector<Graph::Step> Graph::ShortCycle(const std::vector<uint32_t>& component) const {
  constexpr size_t kStarts = 64;
  std::vector<uint8_t> inside(nodes());
  for (uint32_t node : component) inside[node] = 1;
  std::vector<Step> best;
  for (size_t i = 0; i < component.size(); i += std::max<size_t>(1, component.size() / kStarts)) {
    std::vector<Step> cycle =
        CycleThrough(component[i], inside, best.empty() ? ~size_t{0} : best.size());
    if (!cycle.empty() && (best.empty() || cycle.size() < best.size())) best = std::move(cycle);
  }
  return best;
}

Graph WithoutConsecutiveRw(const Graph& graph) {
  const auto n = static_cast<uint32_t>(graph.nodes());
  Graph product(size_t{n} * 2);
  for (uint32_t node = 0; node < n; ++node) {
    for (const Graph::Arc* arc = graph.begin(node); arc != graph.end(node); ++arc) {
      if (arc->kind == Edge::kRw) {
        product.Add(node, arc->to + n, arc->kind);
      } else {
        product.Add(node, arc->to, arc->kind);
        product.Add(node + n, arc->to, arc->kind);
      }
    }
  }
  product.Freeze();
  return product;
}

}  // namespace fluxkv::isolation
