#include "craftbundle/detail/pipeline/workflow.h"

#include <algorithm>
#include <charconv>
#include <deque>
#include <map>

#include "condition.h"
#include "connect.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "foreign_hints.h"
#include "matrix.h"
#include "stage_fields.h"

namespace craftbundle {
namespace {

constexpr std::size_t kMaxStages = 10'000;

// Names become file names, targets of build tools and arguments.
bool is_stage_name(std::string_view name) {
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.@+=";
  return !name.empty() && name.size() <= 128 && name.front() != '-' && name.front() != '.' &&
         name.find_first_not_of(kAllowed) == std::string_view::npos;
}

// A stage on its way from text to Stage.
struct Draft {
  enum class State { fresh, reading, read };
  const ScriptStage* source;
  Variables variables;
  std::string suffix;  // of the values of the matrix, for names that do not use them
  const StageReader* kind = nullptr;
  State state = State::fresh;
  WorkflowStage result;
};

class Builder {
 public:
  Builder(const Script& script, const StageReaders& kinds, const Environment& environment,
          ScriptProblems& problems)
      : script_(script), kinds_(kinds), problems_(problems) {
    resolver_ = environment_resolver(
        environment, environment_reads_,
        [this](const std::string& name, const std::vector<std::string>& words) {
          return answer(name, words);
        });
  }

  Workflow build() {
    for (const ScriptStage& stage : script_.stages) expand(stage);
    for (std::size_t i = 0; i < drafts_.size(); ++i) read(i);
    for (std::size_t i = 0; i < drafts_.size(); ++i) add_order(i);
    Workflow workflow;
    if (!problems_.empty()) return workflow;
    for (Draft& draft : drafts_) workflow.stages.push_back(std::move(draft.result));
    connect(workflow, problems_);
    for (std::size_t i = 0; i < workflow.stages.size(); ++i) {
      workflow.places.emplace(workflow.stages[i].name, i);
    }
    return workflow;
  }

 private:
  // Matrices -------------------------------------------------------------------------------------

  void expand(const ScriptStage& stage) {
    const Variables variables(script_.vars, resolver_, environment_reads_);
    const StageReader* kind = find_kind(stage);
    const YamlNode* matrix = matrix_of(stage);
    std::vector<Combination> combinations = {{}};
    if (matrix != nullptr) {
      try {
        const YamlNode resolved = variables.resolve(*matrix);
        if (resolved.type == YamlNode::Type::text) return no_matrix(*matrix);
        combinations = combine(resolved, script_.directory, kMaxStages, problems_);
      } catch (const Error& error) {
        if (matrix->type == YamlNode::Type::text && is_nearly_matrix(matrix->text)) {
          return no_matrix(*matrix);
        }
        problems_.add(*matrix, error);
        return;
      }
    }
    for (const Combination& combination : combinations) {
      if (drafts_.size() == kMaxStages) {
        problems_.add(stage.name, "script.size",
                      "the script has more than " + std::to_string(kMaxStages) + " stages");
        return;
      }
      add_draft(stage, kind, combination, variables);
    }
  }

  // The matrix of a stage, or of the one whose name, as written, stands in its place; nullptr when
  // there is none.
  const YamlNode* matrix_of(const ScriptStage& stage) {
    const YamlNode* matrix = stage.body.find("matrix");
    // A longer chain is a circle.
    for (std::size_t i = 0; i <= script_.stages.size() && matrix != nullptr; ++i) {
      if (matrix->type != YamlNode::Type::text) return matrix;
      const auto other = std::ranges::find(script_.stages, matrix->text,
                                           [](const ScriptStage& each) { return each.name.text; });
      if (other == script_.stages.end()) return matrix;
      const YamlNode* taken = other->body.find("matrix");
      if (taken == nullptr) {
        problems_.add(*matrix, "script.matrix",
                      "stage " + quoted(matrix->text) + " has no matrix to take over");
      }
      matrix = taken;
    }
    if (matrix == nullptr) return nullptr;
    problems_.add(*matrix, "script.cycle", "stages take over each other's matrix in a circle",
                  "write it out in one of them");
    return nullptr;
  }

  std::vector<std::string> stages_with_matrix() const {
    std::vector<std::string> written;
    for (const ScriptStage& stage : script_.stages) {
      if (stage.body.find("matrix") != nullptr) written.push_back(stage.name.text);
    }
    return written;
  }
  bool is_nearly_matrix(const std::string& text) const {
    return nearest(text, stages_with_matrix()).has_value();
  }

  void no_matrix(const YamlNode& node) {
    std::string hint = did_you_mean(node.text, stages_with_matrix());
    if (hint.empty()) hint = "write {AXIS: [VALUES]}, or the name of a stage that has one";
    problems_.add(node, "script.matrix",
                  "'matrix' is " + quoted(node.text) + ", which is no stage as it is written here",
                  hint);
  }

  void add_draft(const ScriptStage& stage, const StageReader* kind, const Combination& combination,
                 const Variables& variables) {
    Draft draft{&stage, variables, {}, kind, Draft::State::fresh, {}};
    for (const AxisValue& entry : combination) {
      draft.variables.set(entry.axis, entry.value);
      if (entry.value.type != YamlNode::Type::text) continue;
      draft.suffix += (draft.suffix.empty() ? "@" : "-") + entry.value.text;
    }
    const ScriptProblems::OfStage of(problems_, stage.name.text + draft.suffix);
    WorkflowStage& result = draft.result;
    result.group = stage.name.text;
    result.where = stage.name;
    try {
      draft.result.base = draft.variables.resolve(stage.name).text;
    } catch (const Error& error) {
      problems_.add(stage.name, error);
      return;
    }
    result.name = draft.result.base;
    if (!combination.empty() && !has_interpolation(stage.name.text)) result.name += draft.suffix;
    if (!is_stage_name(result.name)) {
      problems_.add(stage.name, "script.name",
                    quoted(result.name) + " cannot be the name of a stage",
                    "use letters, digits and _-.@+=");
      return;
    }
    const auto [same, fresh] = by_name_.emplace(result.name, drafts_.size());
    if (!fresh) {
      const bool own = drafts_[same->second].source == &stage;
      problems_.add(stage.name, "script.duplicate",
                    own ? "two stages of the matrix are called " + quoted(result.name)
                        : "another stage is called " + quoted(result.name) + " too",
                    own ? "put every axis that tells them apart into the name" : std::string());
      return;
    }
    const WorkflowStage& added = drafts_.emplace_back(std::move(draft)).result;
    names_.push_back({added.name, added.base, added.group});
  }

  const StageReader* find_kind(const ScriptStage& stage) {
    const StageReader* found = nullptr;
    std::vector<std::string> names;
    for (const auto& kind : kinds_) {
      names.push_back(kind->name());
      if (stage.body.find(kind->name()) == nullptr) continue;
      if (found != nullptr) {
        problems_.add(stage.name, "script.kind",
                      "stage " + quoted(stage.name.text) + " is both " + quoted(found->name()) +
                          " and " + quoted(kind->name()),
                      "make two stages of it");
        return nullptr;
      }
      found = kind.get();
    }
    if (found == nullptr) unknown_kind(stage, names);
    return found;
  }

  void unknown_kind(const ScriptStage& stage, const std::vector<std::string>& names) {
    for (const YamlNode::Entry& entry : stage.body.entries) {
      const auto& common = common_stage_keys();
      if (std::any_of(common.begin(), common.end(),
                      [&](const StageKey& key) { return key.name == entry.key.text; })) {
        continue;
      }
      std::string hint = hint_for_stage_key(entry.key.text);
      if (hint.empty()) hint = did_you_mean(entry.key.text, names);
      if (!hint.empty()) {
        problems_.add(entry.key, "script.kind",
                      "there is no kind of stage " + quoted(entry.key.text), hint);
        return;
      }
    }
    problems_.add(stage.name, "script.kind",
                  "stage " + quoted(stage.name.text) + " does not say what it does",
                  "give it one of " + list_text(names, 32));
  }

  // Reading --------------------------------------------------------------------------------------

  void read(std::size_t index) {
    Draft& draft = drafts_[index];
    if (draft.state != Draft::State::fresh) return;
    draft.state = Draft::State::reading;
    const ScriptProblems::OfStage of(problems_, draft.result.name);
    reading_.push_back(index);
    if (draft.kind != nullptr && wanted(draft)) {
      WorkflowStage& result = draft.result;
      result.kind = draft.kind->name();
      WrittenFields fields(
          {result.name, result.where, draft.source->body, draft.variables, script_.directory},
          *draft.kind, others(index));
      if (const YamlNode* main = fields.find(result.kind)) result.main = *main;
      read_common(draft, fields);
      if (fields.find(result.kind) != nullptr) result.stage = draft.kind->read(fields);
      // What is missing in a stage because another one is left out is no problem of the script.
      if (!result.left_out) {
        for (ScriptProblem& problem : fields.problems()) problems_.add(std::move(problem));
        if (result.stage) result.inputs = result.stage->inputs();
        result.keys = fields.take_values();
      } else {
        result.stage.reset();
      }
    }
    reading_.pop_back();
    draft.state = Draft::State::read;
  }

  bool wanted(Draft& draft) {
    const YamlNode* when = draft.source->body.find("when");
    if (when == nullptr) return true;
    if (when->type != YamlNode::Type::text) {
      problems_.add(*when, "script.type", "'when' is no text");
      return true;
    }
    try {
      const bool wanted = evaluate_condition(when->text, [&](const std::string& written) {
        YamlNode node = *when;
        node.text = written;
        const YamlNode value = draft.variables.resolve(node);
        if (value.type == YamlNode::Type::text) return std::vector<std::string>{value.text};
        std::vector<std::string> items;
        for (const YamlNode& item : value.items) items.push_back(item.text);
        return items;
      });
      if (!wanted) {
        draft.result.kind = draft.kind->name();
        draft.result.left_out = {LeftOut::Cause::condition, when->text};
      }
      return wanted;
    } catch (const Error& error) {
      problems_.add(*when, error);
      return true;
    }
  }

  void read_common(Draft& draft, WrittenFields& fields) {
    WorkflowStage& result = draft.result;
    result.description = fields.text("description", {});
    result.may_fail = fields.flag("allow_failure", false);
    if (const YamlNode* node = fields.find("retries")) {
      const char* end = node->text.data() + node->text.size();
      const auto parsed = std::from_chars(node->text.data(), end, result.retries);
      if (parsed.ec != std::errc() || parsed.ptr != end || result.retries < 0 ||
          result.retries > 100) {
        fields.problem(*node, "script.value",
                       "'retries' is " + quoted(node->text) + ", expected a number from 0 to 100",
                       {});
        result.retries = 0;
      }
    }
    if (const YamlNode* node = fields.find("timeout")) {
      if (const auto seconds = parse_duration(node->text)) {
        result.timeout = *seconds;
      } else {
        fields.problem(
            *node, "script.value",
            "'timeout' is " + quoted(node->text) + ", expected a time like 90s, 10m or 1h30m", {});
      }
    }
    for (const OptionValue& option : fields.pairs("slurm")) {
      result.slurm.emplace_back(option.name, option.value);
    }
  }

  // `needs` counts only for the order, so it may name stages that come later in the script.
  void add_order(std::size_t index) {
    Draft& draft = drafts_[index];
    const YamlNode* written = draft.source->body.find("needs");
    if (written == nullptr || draft.kind == nullptr || draft.result.left_out) return;
    const ScriptProblems::OfStage of(problems_, draft.result.name);
    YamlNode node;
    try {
      node = draft.variables.resolve(*written);
    } catch (const Error& error) {
      problems_.add(*written, error);
      return;
    }
    const std::vector<YamlNode> items =
        node.type == YamlNode::Type::list ? node.items : std::vector<YamlNode>{node};
    for (const YamlNode& item : items) {
      if (item.type != YamlNode::Type::text) {
        problems_.add(item, "script.type", "'needs' lists names of stages");
        continue;
      }
      const std::vector<std::size_t> named = stages_named(item.text);
      if (named.empty()) no_stage(item);
      for (const std::size_t need : named) {
        if (need == index && item.text.find('*') != std::string::npos) continue;
        if (!drafts_[need].result.left_out) {
          need_order(index, need);
        } else if (item.text == drafts_[need].result.name) {
          draft.result.left_out = {LeftOut::Cause::need, item.text};
        }
      }
    }
  }

  void need_order(std::size_t index, std::size_t need) {
    std::vector<GraphNode::Need>& needs = drafts_[index].result.needs;
    if (std::none_of(needs.begin(), needs.end(),
                     [&](const GraphNode::Need& other) { return other.node == need; })) {
      needs.push_back({need, false});
    }
  }

  std::vector<std::size_t> stages_named(const std::string& text) const {
    if (const auto exact = by_name_.find(text); exact != by_name_.end()) return {exact->second};
    return craftbundle::stages_named(names_, text);
  }

  void no_stage(const YamlNode& item) {
    problems_.add(item, "script.stage",
                  item.text.find('*') == std::string::npos
                      ? "there is no stage " + quoted(item.text)
                      : "no stage matches " + quoted(item.text),
                  suggest_stage(names_, item.text, true));
  }

  // "${stage:NAME}" and "${stage:NAME,OUTPUT}".
  std::string answer(const std::string& name, const std::vector<std::string>& words) {
    if (name != "stage") {
      throw Error(
          ErrorKind::usage, "script.variable",
          "there is no resolver " + quoted(name) + ", there is 'oc.env' and 'stage'",
          name == "env" && !words.empty() ? hint_for_variable("env." + words[0]) : std::string());
    }
    if (reading_.empty()) {
      throw Error(ErrorKind::usage, "script.variable",
                  "${stage:...} can only be used in what a stage does");
    }
    if (words.empty() || words.size() > 2) {
      throw Error(ErrorKind::usage, "script.variable",
                  "expected ${stage:NAME} or ${stage:NAME,OUTPUT}");
    }
    const auto found = by_name_.find(words[0]);
    if (found == by_name_.end()) {
      throw Error(ErrorKind::usage, "script.stage", "there is no stage " + quoted(words[0]),
                  suggest_stage(names_, words[0], false));
    }
    const Stage* stage = need(reading_.back(), found->second);
    if (stage == nullptr) return {};
    std::vector<std::string> outputs;
    for (const StageOutput& output : stage->outputs()) {
      if (words.size() < 2 || output.name == words[1]) return output.path.string();
      outputs.push_back(output.name);
    }
    throw Error(ErrorKind::usage, "script.output",
                "stage " + quoted(words[0]) +
                    (outputs.empty() ? " leaves no file"
                                     : " has no output " + quoted(words[1]) + ", it has " +
                                           list_text(outputs)));
  }

  // Makes `need` something that `index` uses; nullptr when it is left out or faulty.
  const Stage* need(std::size_t index, std::size_t need) {
    Draft& draft = drafts_[index];
    Draft& other = drafts_[need];
    if (other.state == Draft::State::reading) {
      report_circle(need);
      // So that nothing else is said of a stage that cannot be read.
      draft.result.left_out = {LeftOut::Cause::circle, {}};
      return nullptr;
    }
    read(need);
    if (other.result.left_out) {
      draft.result.left_out = {LeftOut::Cause::need, other.result.name};
      return nullptr;
    }
    std::vector<GraphNode::Need>& needs = draft.result.needs;
    std::erase_if(needs, [&](const GraphNode::Need& given) { return given.node == need; });
    needs.push_back({need, true});
    return other.result.stage.get();
  }

  void report_circle(std::size_t first) {
    std::vector<std::string> path;
    for (auto at = std::find(reading_.begin(), reading_.end(), first); at != reading_.end(); ++at) {
      path.push_back(drafts_[*at].result.name);
    }
    path.push_back(path.front());
    problems_.add(circle_problem(drafts_[first].result.where, path));
  }

  OtherStages others(std::size_t index) {
    return {[this, index](const std::string& text) { return use(index, text); },
            [this, index](const std::string& name) -> const Stage* {
              const auto found = by_name_.find(name);
              return found == by_name_.end() ? nullptr : need(index, found->second);
            },
            [this](const std::string& text) { return suggest_stage(names_, text, true); }};
  }

  std::optional<std::vector<UsedStage>> use(std::size_t index, const std::string& text) {
    const std::vector<std::size_t> named = stages_named(text);
    if (named.empty()) return std::nullopt;
    std::vector<UsedStage> used;
    for (const std::size_t other : named) {
      if (other == index) continue;
      const Draft& draft = drafts_[other];
      const bool exact = named.size() == 1 && draft.result.name == text;
      // A pattern takes what is there.
      if (!exact) read(other);
      if (!exact && draft.result.left_out) continue;
      if (const Stage* stage = need(index, other)) used.push_back({draft.result.name, stage});
    }
    return used;
  }

  const Script& script_;
  const StageReaders& kinds_;
  ScriptProblems& problems_;
  Resolver resolver_;
  std::size_t environment_reads_ = 0;
  std::deque<Draft> drafts_;
  std::vector<StageName> names_;  // of the drafts
  std::map<std::string, std::size_t, std::less<>> by_name_;
  std::vector<std::size_t> reading_;  // stages being read, outermost first
};

}  // namespace

std::string to_text(const LeftOut& left_out) {
  switch (left_out.cause) {
    case LeftOut::Cause::condition:
      return "when: " + printable(left_out.detail);
    case LeftOut::Cause::need:
      return "needs " + left_out.detail + ", which is left out";
    case LeftOut::Cause::circle:
      return "is part of a circle";
  }
  return {};
}

std::vector<GraphNode> Workflow::graph() const {
  std::vector<GraphNode> nodes;
  for (const WorkflowStage& stage : stages) nodes.push_back({stage.name, stage.needs});
  return nodes;
}

std::optional<std::size_t> Workflow::find(std::string_view name) const {
  const auto found = places.find(name);
  return found == places.end() ? std::nullopt : std::optional(found->second);
}

namespace {

std::vector<StageName> names_of(const std::vector<WorkflowStage>& stages) {
  std::vector<StageName> names;
  for (const WorkflowStage& stage : stages) names.push_back({stage.name, stage.base, stage.group});
  return names;
}

}  // namespace

std::vector<std::size_t> Workflow::named(std::string_view text) const {
  return stages_named(names_of(stages), text);
}

std::string Workflow::suggestion(std::string_view text, bool several) const {
  return suggest_stage(names_of(stages), text, several);
}

Workflow make_workflow(const Script& script, const StageReaders& kinds,
                       const Environment& environment, ScriptProblems& problems) {
  return Builder(script, kinds, environment, problems).build();
}

std::optional<double> parse_duration(std::string_view text) {
  constexpr double kLongest = 365.0 * 24 * 3600;
  double total = 0;
  bool any = false;
  while (!text.empty()) {
    std::uint32_t number = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
    if (parsed.ec != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(parsed.ptr - text.data()));
    double unit = 1;
    if (text.empty()) {
      if (any) return std::nullopt;  // "1h30" could mean two things
    } else {
      constexpr std::string_view kUnits = "smhd";
      constexpr double kSeconds[] = {1, 60, 3600, 24 * 3600};
      const std::size_t index = kUnits.find(text.front());
      if (index == std::string_view::npos) return std::nullopt;
      unit = kSeconds[index];
      text.remove_prefix(1);
    }
    total += number * unit;
    any = true;
  }
  return any && total > 0 && total <= kLongest ? std::optional(total) : std::nullopt;
}

}  // namespace craftbundle
