// A script as a graph of stages: matrices expanded, conditions decided, variables put in, every
// stage read by its kind.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/pipeline/graph.h"
#include "craftbundle/detail/pipeline/script.h"
#include "craftbundle/detail/pipeline/stage.h"

namespace CRAFTBUNDLE_API craftbundle {

// Why a stage is not part of the run.
struct LeftOut {
  enum class Cause {
    condition,  // its `when` does not hold
    need,       // it uses a stage that is left out
    circle,     // it needs itself, which is a problem of the script
  };
  Cause cause;
  std::string detail;  // the condition as written, or the stage that is needed
};

// For people: "when: ${n} == 1".
std::string to_text(const LeftOut& left_out);

struct WorkflowStage {
  std::string name;
  std::string base;   // without the values of the matrix that were appended to it
  std::string group;  // as written; equal for the stages of a matrix
  std::string kind;
  std::string description;
  YamlNode where;                                     // the name in the script, for messages
  YamlNode main;                                      // the value of the kind's key, for messages
  std::map<std::string, YamlNode, std::less<>> keys;  // the others that its kind has read
  std::unique_ptr<const Stage> stage;                 // null: left out
  std::optional<LeftOut> left_out;
  std::vector<GraphNode::Need> needs;
  std::vector<StageInput> inputs;  // of the stage, with the stages that make them filled in
  int retries = 0;
  double timeout = 0;  // seconds; 0: none
  bool may_fail = false;
  std::vector<std::pair<std::string, std::string>> slurm;
};

struct Workflow {
  std::vector<WorkflowStage> stages;                       // each after what it needs
  std::map<std::string, std::size_t, std::less<>> places;  // of the stages, by name

  std::vector<GraphNode> graph() const;
  // Place of a stage; nullopt when there is none.
  std::optional<std::size_t> find(std::string_view name) const;
  // Places of the stages that `text` stands for: a name, that of a matrix, or a pattern.
  std::vector<std::size_t> named(std::string_view text) const;
  // A hint for a text that stands for no stage; `several`: it may stand for more than one. Empty
  // when no name is near.
  std::string suggestion(std::string_view text, bool several) const;
};

// Reads an environment variable; nullopt when it is not set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

// Keys that stages of every kind take.
const std::vector<StageKey>& common_stage_keys();

// Touches no disk but for the globs of matrices. What is wrong goes to `problems`, and only a
// workflow without problems is whole.
Workflow make_workflow(const Script& script, const StageReaders& kinds,
                       const Environment& environment, ScriptProblems& problems);

// "90s", "10m", "1h30m", "45" (seconds) as seconds; nullopt for anything else.
std::optional<double> parse_duration(std::string_view text);

}  // namespace craftbundle
