#include "connect.h"

#include <algorithm>
#include <map>

#include "craftbundle/detail/base/text.h"

namespace craftbundle {
namespace {

void leave_out_dependents(Workflow& workflow) {
  bool changed = true;
  while (changed) {
    changed = false;
    for (WorkflowStage& stage : workflow.stages) {
      if (stage.left_out) continue;
      for (const GraphNode::Need& need : stage.needs) {
        const WorkflowStage& other = workflow.stages[need.node];
        if (!other.left_out || !need.output) continue;
        stage.left_out = {LeftOut::Cause::need, other.name};
        stage.stage.reset();
        changed = true;
        break;
      }
    }
  }
  for (WorkflowStage& stage : workflow.stages) {
    if (stage.left_out) stage.stage.reset(), stage.needs.clear(), stage.inputs.clear();
  }
  for (WorkflowStage& stage : workflow.stages) {
    std::erase_if(stage.needs, [&](const GraphNode::Need& need) {
      return workflow.stages[need.node].left_out.has_value();
    });
  }
}

void add_need(WorkflowStage& stage, std::size_t need) {
  for (GraphNode::Need& given : stage.needs) {
    if (given.node != need) continue;
    given.output = true;
    return;
  }
  stage.needs.push_back({need, true});
}

// Looks for the input itself and the directories it lies in among the places that stages write.
void connect_input(Workflow& workflow, std::size_t index, StageInput& input,
                   const std::map<std::string, std::size_t>& places) {
  for (Path path = input.path; !path.empty(); path = path.parent_path()) {
    const auto found = places.find(path.string());
    if (found != places.end() && found->second != index) {
      add_need(workflow.stages[index], found->second);
      if (input.stage.empty()) input.stage = workflow.stages[found->second].name;
      return;
    }
    if (path == path.root_path()) return;
  }
}

// A path that another stage writes makes that stage needed, named or not.
void connect_paths(Workflow& workflow, ScriptProblems& problems) {
  std::map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < workflow.stages.size(); ++i) {
    const WorkflowStage& stage = workflow.stages[i];
    if (!stage.stage) continue;
    for (const StageOutput& output : stage.stage->outputs()) {
      const auto [same, fresh] = places.emplace(output.path.string(), i);
      if (!fresh && same->second != i) {
        problems.add(stage.where, "script.output",
                     "stage " + quoted(stage.name) + " writes " + path_text(output.path) +
                         ", which stage " + quoted(workflow.stages[same->second].name) +
                         " writes too",
                     "give each its own place");
      }
    }
  }
  for (std::size_t i = 0; i < workflow.stages.size(); ++i) {
    WorkflowStage& stage = workflow.stages[i];
    for (StageInput& input : stage.inputs) {
      if (!input.stage.empty() && !input.whole) continue;
      connect_input(workflow, i, input, places);
      if (!input.whole) continue;
      const std::string within = input.path.string() + "/";
      for (auto at = places.lower_bound(within);
           at != places.end() && at->first.starts_with(within); ++at) {
        if (at->second != i) add_need(stage, at->second);
      }
    }
  }
}

void check_cycles(const Workflow& workflow, ScriptProblems& problems) {
  const std::vector<std::size_t> cycle = find_cycle(workflow.graph());
  if (cycle.empty()) return;
  std::vector<std::string> path;
  for (const std::size_t stage : cycle) path.push_back(workflow.stages[stage].name);
  problems.add(circle_problem(workflow.stages[cycle.front()].where, path));
}

void sort(Workflow& workflow) {
  const std::vector<std::size_t> order = run_order(workflow.graph());
  std::vector<std::size_t> place(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) place[order[i]] = i;
  std::vector<WorkflowStage> stages;
  for (const std::size_t old : order) {
    WorkflowStage& stage = stages.emplace_back(std::move(workflow.stages[old]));
    for (GraphNode::Need& need : stage.needs) need.node = place[need.node];
    std::sort(stage.needs.begin(), stage.needs.end(),
              [](const auto& a, const auto& b) { return a.node < b.node; });
  }
  workflow.stages = std::move(stages);
}

}  // namespace

ScriptProblem circle_problem(const YamlNode& where, const std::vector<std::string>& path) {
  return make_problem(where, "script.cycle",
                      "stages need each other in a circle: " + join(path, " -> "),
                      "each stage comes after those it needs; remove one of these");
}

void connect(Workflow& workflow, ScriptProblems& problems) {
  leave_out_dependents(workflow);
  connect_paths(workflow, problems);
  check_cycles(workflow, problems);
  if (problems.empty()) sort(workflow);
}

}  // namespace craftbundle
