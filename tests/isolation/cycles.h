// Directed graphs with labelled edges: strongly connected components (Tarjan, "Depth-first search
// and linear graph algorithms", 1972, without recursion) and short cycles.
//
// Threads: none; a Graph is one thread's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace fluxkv::isolation {

enum class Edge : uint8_t { kWw, kWr, kRw, kTime };

class Graph {
 public:
  struct Arc {
    uint32_t to;
    Edge kind;
  };
  struct Step {
    uint32_t from;
    Edge kind;
  };

  explicit Graph(size_t nodes) : first_(nodes + 1, 0) {}

  // All arcs first, then Freeze, then the rest.
  void Add(uint32_t from, uint32_t to, Edge kind) { loose_.push_back({from, {to, kind}}); }
  void Freeze();

  size_t nodes() const { return first_.size() - 1; }
  size_t arcs() const { return arcs_.size(); }
  const Arc* begin(uint32_t node) const { return arcs_.data() + first_[node]; }
  const Arc* end(uint32_t node) const { return arcs_.data() + first_[node + 1]; }

  // The components of two nodes and more.
  std::vector<std::vector<uint32_t>> Components() const;

  // The subgraph of these nodes with the arcs that `keep` accepts; node i of it is nodes[i].
  Graph Induced(const std::vector<uint32_t>& nodes, const std::function<bool(Edge)>& keep) const;

  // A short cycle within one component of Components(): the steps in order, the last leads back to
  // the first.
  std::vector<Step> ShortCycle(const std::vector<uint32_t>& component) const;

 private:
  struct Loose {
    uint32_t from;
    Arc arc;
  };
  std::vector<Step> CycleThrough(uint32_t start, const std::vector<uint8_t>& inside,
                                 size_t longest) const;

  std::vector<uint32_t> first_;
  std::vector<Arc> arcs_;
  std::vector<Loose> loose_;
};

// Two nodes for each of `graph`, node + nodes() meaning "reached by an rw-edge"; an rw-edge cannot
// follow an rw-edge. Its cycles are those of `graph` without two consecutive rw-edges.
Graph WithoutConsecutiveRw(const Graph& graph);

}  // namespace fluxkv::isolation
