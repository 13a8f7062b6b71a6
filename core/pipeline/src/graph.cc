#include "craftbundle/detail/pipeline/graph.h"

#include <algorithm>
#include <queue>

namespace craftbundle {

std::vector<std::size_t> find_cycle(const std::vector<GraphNode>& nodes) {
  enum class Mark : char { fresh, open, closed };
  std::vector<Mark> marks(nodes.size(), Mark::fresh);
  // Depth-first without recursion: a chain of stages may be as long as a script allows.
  struct Step {
    std::size_t node;
    std::size_t next = 0;
  };
  for (std::size_t start = 0; start < nodes.size(); ++start) {
    if (marks[start] != Mark::fresh) continue;
    std::vector<Step> path = {{start}};
    marks[start] = Mark::open;
    while (!path.empty()) {
      Step& step = path.back();
      const std::vector<GraphNode::Need>& needs = nodes[step.node].needs;
      if (step.next == needs.size()) {
        marks[step.node] = Mark::closed;
        path.pop_back();
        continue;
      }
      const std::size_t need = needs[step.next++].node;
      if (marks[need] == Mark::open) {
        std::vector<std::size_t> cycle;
        const auto first = std::find_if(path.begin(), path.end(),
                                        [&](const Step& other) { return other.node == need; });
        for (auto at = first; at != path.end(); ++at) cycle.push_back(at->node);
        cycle.push_back(need);
        return cycle;
      }
      if (marks[need] == Mark::fresh) {
        marks[need] = Mark::open;
        path.push_back({need});
      }
    }
  }
  return {};
}

std::vector<std::size_t> run_order(const std::vector<GraphNode>& nodes) {
  std::vector<std::size_t> waiting(nodes.size());
  std::vector<std::vector<std::size_t>> dependents(nodes.size());
  std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> ready;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    waiting[i] = nodes[i].needs.size();
    for (const GraphNode::Need& need : nodes[i].needs) dependents[need.node].push_back(i);
    if (waiting[i] == 0) ready.push(i);
  }
  std::vector<std::size_t> order;
  while (!ready.empty()) {
    const std::size_t node = ready.top();
    ready.pop();
    order.push_back(node);
    for (const std::size_t dependent : dependents[node]) {
      if (--waiting[dependent] == 0) ready.push(dependent);
    }
  }
  return order;
}

std::vector<bool> with_needs(const std::vector<GraphNode>& nodes, std::vector<bool> chosen) {
  std::vector<std::size_t> open;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (chosen[i]) open.push_back(i);
  }
  while (!open.empty()) {
    const std::size_t node = open.back();
    open.pop_back();
    for (const GraphNode::Need& need : nodes[node].needs) {
      if (chosen[need.node]) continue;
      chosen[need.node] = true;
      open.push_back(need.node);
    }
  }
  return chosen;
}

bool matches_pattern(std::string_view pattern, std::string_view name) {
  std::size_t p = 0;
  std::size_t n = 0;
  // Where to go on when the text behind the last '*' does not fit.
  std::size_t star = std::string_view::npos;
  std::size_t tried = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      tried = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++tried;
    } else {
      return false;
    }
  }
  return pattern.substr(p).find_first_not_of('*') == std::string_view::npos;
}

}  // namespace craftbundle
