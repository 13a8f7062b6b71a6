// What needs what. Knows names and edges only.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/base/export.h"

namespace CRAFTBUNDLE_API craftbundle {

struct GraphNode {
  struct Need {
    std::size_t node = 0;
    // Whether the outcome of the other is used; else only the order counts, also when the other
    // may fail and does.
    bool output = true;

    friend bool operator==(const Need&, const Need&) = default;
  };
  std::string name;
  std::vector<Need> needs;
};

// Nodes that need each other in a circle, the first one again at the end; empty when there is none.
std::vector<std::size_t> find_cycle(const std::vector<GraphNode>& nodes);

// All nodes, each after what it needs, otherwise in the order given. REQUIRES: no cycle.
std::vector<std::size_t> run_order(const std::vector<GraphNode>& nodes);

// The chosen nodes and everything they need.
std::vector<bool> with_needs(const std::vector<GraphNode>& nodes, std::vector<bool> chosen);

// Whether `name` is `pattern`, in which '*' stands for any text.
bool matches_pattern(std::string_view pattern, std::string_view name);

}  // namespace craftbundle
