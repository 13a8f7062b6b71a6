#include "craftbundle/pipeline/workflow.h"

#include <algorithm>
#include <charconv>
#include <deque>
#include <map>
#include <set>

#include "condition.h"
#include "craftbundle/base/error.h"
#include "craftbundle/base/text.h"
#include "variables.h"

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

std::string did_you_mean(const std::optional<std::string>& near) {
  return near ? "did you mean " + quoted(*near) + "?" : std::string();
}

// Whether `path` lies in `directory` or is it.
bool is_within(const Path& path, const Path& directory) {
  auto part = path.begin();
  for (const Path& element : directory) {
    if (part == path.end() || *part != element) return false;
    ++part;
  }
  return true;
}

// The value an axis of a matrix has for one stage.
struct AxisValue {
  std::string axis;
  YamlNode value;
};
using Combination = std::vector<AxisValue>;

const YamlNode* value_of(const Combination& combination, std::string_view axis) {
  for (const AxisValue& entry : combination) {
    if (entry.axis == axis) return &entry.value;
  }
  return nullptr;
}

bool same_value(const YamlNode& a, const YamlNode& b) {
  if (a.type != b.type || a.text != b.text || a.items.size() != b.items.size() ||
      a.entries.size() != b.entries.size()) {
    return false;
  }
  for (std::size_t i = 0; i < a.items.size(); ++i) {
    if (!same_value(a.items[i], b.items[i])) return false;
  }
  for (std::size_t i = 0; i < a.entries.size(); ++i) {
    if (a.entries[i].key.text != b.entries[i].key.text ||
        !same_value(a.entries[i].value, b.entries[i].value)) {
      return false;
    }
  }
  return true;
}

// Whether every axis that `map` names and the combination has is equal.
bool agrees(const Combination& combination, const YamlNode& map) {
  return std::all_of(map.entries.begin(), map.entries.end(), [&](const YamlNode::Entry& entry) {
    const YamlNode* value = value_of(combination, entry.key.text);
    return value != nullptr && same_value(*value, entry.value);
  });
}

class Builder;

// A stage on its way from text to Stage.
struct Draft {
  enum class State { fresh, reading, read };
  const ScriptStage* source;
  Variables variables;
  std::string suffix;  // of the values of the matrix, for names that do not use them
  std::string base;    // name without the suffix
  const StageReader* kind = nullptr;
  State state = State::fresh;
  WorkflowStage result;
};

class Fields final : public StageFields {
 public:
  Fields(Builder& builder, std::size_t index);

  const std::string& stage() const override { return draft_.result.name; }
  const YamlNode* find(std::string_view key) const override;
  void problem(const YamlNode& where, std::string_view code, std::string message,
               std::string hint) override {
    problems_.push_back([&] {
      ScriptProblems one;
      one.add(where, code, std::move(message), std::move(hint));
      return one.sorted().front();
    }());
  }
  std::string text(std::string_view key, std::string otherwise) override {
    const YamlNode* node = find(key);
    return node == nullptr ? otherwise : node->text;
  }
  bool flag(std::string_view key, bool otherwise) override;
  std::vector<std::string> texts(std::string_view key) override;
  std::vector<OptionValue> pairs(std::string_view key) override;
  std::optional<Path> path(std::string_view key) override;
  Path path_of(const std::string& text) const override;
  std::vector<StageInput> inputs(const YamlNode& node) override;
  const Stage* needed_stage(const std::string& name) override;

  // Checks the keys of the stage against those that it may have.
  void check_keys(const std::vector<StageKey>& own);
  std::vector<ScriptProblem>& problems() { return problems_; }
  std::map<std::string, YamlNode, std::less<>> take_keys() { return std::move(resolved_); }

 private:
  std::vector<StageInput> inputs_of_text(const YamlNode& node);
  // Keys that the stage does not have yet: what a mistyped one may be.
  std::vector<std::string> unused(std::vector<std::string> keys) const {
    std::erase_if(keys,
                  [&](const std::string& key) { return draft_.source->body.find(key) != nullptr; });
    return keys;
  }
  void check_type(const StageKey& key, const YamlNode& node);
  bool is_text(const YamlNode& node, const std::string& what);

  Builder& builder_;
  const std::size_t index_;
  Draft& draft_;
  mutable std::map<std::string, YamlNode, std::less<>> resolved_;
  mutable std::set<std::string, std::less<>> failed_;
  mutable std::vector<ScriptProblem> problems_;
};

class Builder {
 public:
  Builder(const Script& script, const StageReaders& kinds, const Environment& environment,
          ScriptProblems& problems)
      : script_(script), kinds_(kinds), problems_(problems) {
    resolver_ = environment_resolver(
        environment, [this](const std::string& name, const std::vector<std::string>& words) {
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
    leave_out_dependents(workflow);
    connect_paths(workflow);
    check_cycles(workflow);
    if (problems_.empty()) sort(workflow);
    return workflow;
  }

 private:
  friend class Fields;

  // Matrices -------------------------------------------------------------------------------------

  void expand(const ScriptStage& stage) {
    const Variables variables(script_.vars, resolver_);
    const StageReader* kind = find_kind(stage);
    const YamlNode* matrix = stage.body.find("matrix");
    std::vector<Combination> combinations = {{}};
    if (matrix != nullptr) {
      try {
        combinations = combine(variables.resolve(*matrix));
      } catch (const Error& error) {
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

  std::vector<Combination> combine(const YamlNode& matrix) {
    std::vector<Combination> combinations = {{}};
    if (matrix.type != YamlNode::Type::map) {
      problems_.add(matrix, "script.matrix", "a matrix is a map of axes to lists");
      return combinations;
    }
    bool has_axis = false;
    for (const YamlNode::Entry& entry : matrix.entries) {
      if (entry.key.text == "include" || entry.key.text == "exclude") continue;
      if (entry.value.type != YamlNode::Type::list || entry.value.items.empty()) {
        problems_.add(entry.value, "script.matrix",
                      "axis " + quoted(entry.key.text) + " needs a list of at least one value");
        continue;
      }
      has_axis = true;
      std::vector<Combination> longer;
      for (const Combination& combination : combinations) {
        for (const YamlNode& value : entry.value.items) {
          if (longer.size() > kMaxStages) break;
          longer.push_back(combination);
          longer.back().push_back({entry.key.text, value});
        }
      }
      combinations = std::move(longer);
    }
    if (!has_axis) combinations.clear();
    exclude(matrix, combinations);
    include(matrix, combinations);
    return combinations;
  }

  const std::vector<YamlNode>& maps_of(const YamlNode& matrix, std::string_view key) {
    static const std::vector<YamlNode> kNone;
    const YamlNode* list = matrix.find(key);
    if (list == nullptr) return kNone;
    const bool sound = list->type == YamlNode::Type::list &&
                       std::all_of(list->items.begin(), list->items.end(), [](const YamlNode& map) {
                         return map.type == YamlNode::Type::map;
                       });
    if (sound) return list->items;
    problems_.add(*list, "script.matrix", quoted(key) + " of a matrix is a list of maps");
    return kNone;
  }

  void exclude(const YamlNode& matrix, std::vector<Combination>& combinations) {
    for (const YamlNode& map : maps_of(matrix, "exclude")) {
      const std::size_t removed = std::erase_if(
          combinations, [&](const Combination& combination) { return agrees(combination, map); });
      if (removed == 0) {
        problems_.add(map, "script.matrix", "the exclude matches no combination of the matrix");
      }
    }
  }

  // As GitHub's workflows do it: a map that contradicts no axis of a combination adds its other
  // values to it, one that fits none is a combination of its own.
  void include(const YamlNode& matrix, std::vector<Combination>& combinations) {
    const std::size_t original = combinations.size();
    for (const YamlNode& map : maps_of(matrix, "include")) {
      bool used = false;
      for (std::size_t i = 0; i < original; ++i) {
        Combination& combination = combinations[i];
        const bool contradicts =
            std::any_of(map.entries.begin(), map.entries.end(), [&](const YamlNode::Entry& entry) {
              const bool is_axis = matrix.find(entry.key.text) != nullptr;
              const YamlNode* value = value_of(combination, entry.key.text);
              return is_axis && (value == nullptr || !same_value(*value, entry.value));
            });
        if (contradicts) continue;
        used = true;
        for (const YamlNode::Entry& entry : map.entries) {
          std::erase_if(combination,
                        [&](const AxisValue& value) { return value.axis == entry.key.text; });
          combination.push_back({entry.key.text, entry.value});
        }
      }
      if (used) continue;
      Combination& own = combinations.emplace_back();
      for (const YamlNode::Entry& entry : map.entries) {
        own.push_back({entry.key.text, entry.value});
      }
    }
  }

  void add_draft(const ScriptStage& stage, const StageReader* kind, const Combination& combination,
                 const Variables& variables) {
    Draft draft{&stage, variables, {}, {}, kind, Draft::State::fresh, {}};
    for (const AxisValue& entry : combination) {
      draft.variables.set(entry.axis, entry.value);
      if (entry.value.type != YamlNode::Type::text) continue;
      draft.suffix += (draft.suffix.empty() ? "@" : "-") + entry.value.text;
    }
    WorkflowStage& result = draft.result;
    result.group = stage.name.text;
    result.where = stage.name;
    try {
      draft.base = draft.variables.resolve(stage.name).text;
    } catch (const Error& error) {
      problems_.add(stage.name, error);
      return;
    }
    result.name = draft.base;
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
    drafts_.push_back(std::move(draft));
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
      if (const auto near = nearest(entry.key.text, names)) {
        problems_.add(entry.key, "script.kind",
                      "there is no kind of stage " + quoted(entry.key.text),
                      "did you mean " + quoted(*near) + "?");
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
    reading_.push_back(index);
    if (draft.kind != nullptr && wanted(draft)) {
      WorkflowStage& result = draft.result;
      result.kind = draft.kind->name();
      Fields fields(*this, index);
      fields.check_keys(draft.kind->keys());
      if (const YamlNode* main = fields.find(result.kind)) result.main = *main;
      read_common(draft, fields);
      if (fields.find(result.kind) != nullptr) result.stage = draft.kind->read(fields);
      // What is missing in a stage because another one is left out is no problem of the script.
      if (result.left_out.empty()) {
        for (ScriptProblem& problem : fields.problems()) problems_.add(std::move(problem));
        if (result.stage) result.inputs = result.stage->inputs();
        result.keys = fields.take_keys();
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
        draft.result.left_out = "when: " + printable(when->text);
      }
      return wanted;
    } catch (const Error& error) {
      problems_.add(*when, error);
      return true;
    }
  }

  void read_common(Draft& draft, Fields& fields) {
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
    if (written == nullptr || draft.kind == nullptr || !draft.result.left_out.empty()) return;
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
        const std::string& reason = drafts_[need].result.left_out;
        if (need == index && item.text.find('*') != std::string::npos) continue;
        if (reason.empty()) {
          need_order(index, need);
        } else if (item.text == drafts_[need].result.name) {
          draft.result.left_out = "needs " + item.text + ", which is left out";
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

  // The stage of that name, those of a matrix whose name does not tell them apart, or those that a
  // pattern matches.
  std::vector<std::size_t> stages_named(const std::string& text) const {
    std::vector<std::size_t> found;
    if (const auto exact = by_name_.find(text); exact != by_name_.end()) return {exact->second};
    const bool pattern = text.find('*') != std::string::npos && text.find('/') == std::string::npos;
    for (std::size_t i = 0; i < drafts_.size(); ++i) {
      if (drafts_[i].base == text || (pattern && matches_pattern(text, drafts_[i].result.name))) {
        found.push_back(i);
      }
    }
    return found;
  }

  std::vector<std::string> names() const {
    std::vector<std::string> result;
    for (const Draft& draft : drafts_) result.push_back(draft.result.name);
    return result;
  }

  void no_stage(const YamlNode& item) {
    problems_.add(item, "script.stage",
                  item.text.find('*') == std::string::npos
                      ? "there is no stage " + quoted(item.text)
                      : "no stage matches " + quoted(item.text),
                  did_you_mean(nearest(item.text, names())));
  }

  // "${stage:NAME}" and "${stage:NAME,OUTPUT}".
  std::string answer(const std::string& name, const std::vector<std::string>& words) {
    if (name != "stage") {
      throw Error(ErrorKind::usage, "script.variable",
                  "there is no resolver " + quoted(name) + ", there is 'oc.env' and 'stage'");
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
                  did_you_mean(nearest(words[0], names())));
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
      draft.result.left_out = "is part of a circle";
      return nullptr;
    }
    read(need);
    if (!other.result.left_out.empty()) {
      draft.result.left_out = "needs " + other.result.name + ", which is left out";
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
    report_circle(drafts_[first].result.where, path);
  }
  void report_circle(const YamlNode& where, const std::vector<std::string>& path) {
    std::string text;
    for (const std::string& name : path) text += (text.empty() ? "" : " -> ") + name;
    problems_.add(where, "script.cycle", "stages need each other in a circle: " + text,
                  "each stage comes after those it needs; remove one of these");
  }

  // Graph ----------------------------------------------------------------------------------------

  static void leave_out_dependents(Workflow& workflow) {
    bool changed = true;
    while (changed) {
      changed = false;
      for (WorkflowStage& stage : workflow.stages) {
        if (!stage.left_out.empty()) continue;
        for (const GraphNode::Need& need : stage.needs) {
          const WorkflowStage& other = workflow.stages[need.node];
          if (other.left_out.empty() || !need.output) continue;
          stage.left_out = "needs " + other.name + ", which is left out";
          stage.stage.reset();
          changed = true;
          break;
        }
      }
    }
    for (WorkflowStage& stage : workflow.stages) {
      if (!stage.left_out.empty()) stage.stage.reset(), stage.needs.clear(), stage.inputs.clear();
    }
    for (WorkflowStage& stage : workflow.stages) {
      std::erase_if(stage.needs, [&](const GraphNode::Need& need) {
        return !workflow.stages[need.node].left_out.empty();
      });
    }
  }

  // A path that another stage writes makes that stage needed, named or not.
  void connect_paths(Workflow& workflow) {
    struct Written {
      Path path;
      std::size_t stage;
    };
    std::map<std::string, std::size_t> places;
    std::vector<Written> written;
    for (std::size_t i = 0; i < workflow.stages.size(); ++i) {
      const WorkflowStage& stage = workflow.stages[i];
      if (!stage.stage) continue;
      for (const StageOutput& output : stage.stage->outputs()) {
        const auto [same, fresh] = places.emplace(output.path.string(), i);
        if (!fresh && same->second != i) {
          problems_.add(stage.where, "script.output",
                        "stage " + quoted(stage.name) + " writes " + path_text(output.path) +
                            ", which stage " + quoted(workflow.stages[same->second].name) +
                            " writes too",
                        "give each its own place");
        }
        written.push_back({output.path, i});
      }
    }
    for (std::size_t i = 0; i < workflow.stages.size(); ++i) {
      WorkflowStage& stage = workflow.stages[i];
      for (StageInput& input : stage.inputs) {
        if (!input.stage.empty() && !input.whole) continue;
        connect(workflow, i, input, places);
        if (!input.whole) continue;
        for (const Written& other : written) {
          if (other.stage != i && is_within(other.path, input.path)) add_need(stage, other.stage);
        }
      }
    }
  }

  // Looks for the input itself and the directories it lies in among the places that stages write.
  static void connect(Workflow& workflow, std::size_t index, StageInput& input,
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

  static void add_need(WorkflowStage& stage, std::size_t need) {
    for (GraphNode::Need& given : stage.needs) {
      if (given.node != need) continue;
      given.output = true;
      return;
    }
    stage.needs.push_back({need, true});
  }

  void check_cycles(const Workflow& workflow) {
    const std::vector<std::size_t> cycle = find_cycle(workflow.graph());
    if (cycle.empty()) return;
    std::vector<std::string> path;
    for (const std::size_t stage : cycle) path.push_back(workflow.stages[stage].name);
    report_circle(workflow.stages[cycle.front()].where, path);
  }

  static void sort(Workflow& workflow) {
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

  const Script& script_;
  const StageReaders& kinds_;
  ScriptProblems& problems_;
  Resolver resolver_;
  std::deque<Draft> drafts_;
  std::map<std::string, std::size_t, std::less<>> by_name_;
  std::vector<std::size_t> reading_;  // stages being read, outermost first
};

Fields::Fields(Builder& builder, std::size_t index)
    : builder_(builder), index_(index), draft_(builder.drafts_[index]) {}

const YamlNode* Fields::find(std::string_view key) const {
  if (const auto known = resolved_.find(key); known != resolved_.end()) return &known->second;
  const YamlNode* written = draft_.source->body.find(key);
  if (written == nullptr || failed_.contains(key)) return nullptr;
  try {
    return &resolved_.emplace(key, draft_.variables.resolve(*written)).first->second;
  } catch (const Error& error) {
    ScriptProblems one;
    one.add(*written, error);
    problems_.push_back(one.sorted().front());
    failed_.emplace(key);
    return nullptr;
  }
}

void Fields::check_keys(const std::vector<StageKey>& own) {
  std::vector<std::string> known;
  for (const StageKey& key : own) known.push_back(key.name);
  for (const StageKey& key : common_stage_keys()) known.push_back(key.name);
  for (const YamlNode::Entry& entry : draft_.source->body.entries) {
    const std::string& name = entry.key.text;
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    problem(entry.key, "script.key",
            "unknown key " + quoted(name) + ", a stage of the kind " + quoted(own.front().name) +
                " has " + list_text(known, 32),
            did_you_mean(nearest(name, unused(known))));
  }
  for (const std::vector<StageKey>* keys : {&own, &common_stage_keys()}) {
    for (const StageKey& key : *keys) {
      // These two are read before, and with other rules.
      if (key.name == "matrix" || key.name == "when" || key.name == "needs") continue;
      if (draft_.source->body.find(key.name) == nullptr) {
        if (!key.required) continue;
        problem(draft_.result.where, "script.missing",
                "stage " + quoted(stage()) + " lacks the key " + quoted(key.name),
                key.name + ": " + key.doc);
      } else if (const YamlNode* node = find(key.name)) {
        check_type(key, *node);
      }
    }
  }
}

void Fields::check_type(const StageKey& key, const YamlNode& node) {
  using Type = YamlNode::Type;
  bool sound = true;
  std::string expected;
  switch (key.type) {
    case StageKey::Type::text:
    case StageKey::Type::boolean:
      sound = node.type == Type::text;
      expected = "text";
      break;
    case StageKey::Type::list:
      sound = node.type == Type::list;
      expected = "a list";
      break;
    case StageKey::Type::map:
      sound = node.type == Type::map;
      expected = "a map";
      break;
    case StageKey::Type::text_or_list:
      sound = node.type != Type::map;
      expected = "text or a list";
      break;
    case StageKey::Type::any:
      break;
  }
  if (!sound) {
    problem(
        node, "script.type",
        quoted(key.name) + " is " + std::string(to_string(node.type)) + ", expected " + expected,
        {});
    // Whoever reads the key gets what it would be if it were not there.
    resolved_.erase(key.name);
    failed_.insert(key.name);
  } else if (!key.choices.empty() && node.type == Type::text &&
             std::find(key.choices.begin(), key.choices.end(), node.text) == key.choices.end()) {
    problem(node, "script.value",
            quoted(key.name) + " is " + quoted(node.text) + ", expected one of " +
                list_text(key.choices),
            did_you_mean(nearest(node.text, key.choices)));
  }
}

bool Fields::is_text(const YamlNode& node, const std::string& what) {
  if (node.type == YamlNode::Type::text) return true;
  problem(node, "script.type",
          what + " is " + std::string(to_string(node.type)) + ", expected text", {});
  return false;
}

bool Fields::flag(std::string_view key, bool otherwise) {
  const YamlNode* node = find(key);
  if (node == nullptr) return otherwise;
  if (node->text == "true" || node->text == "yes") return true;
  if (node->text == "false" || node->text == "no") return false;
  problem(*node, "script.value",
          quoted(key) + " is " + quoted(node->text) + ", expected true or false", {});
  return otherwise;
}

std::vector<std::string> Fields::texts(std::string_view key) {
  const YamlNode* node = find(key);
  if (node == nullptr) return {};
  if (node->type == YamlNode::Type::text) return {node->text};
  std::vector<std::string> result;
  for (const YamlNode& item : node->items) {
    if (is_text(item, "an item of " + quoted(key))) result.push_back(item.text);
  }
  return result;
}

std::vector<OptionValue> Fields::pairs(std::string_view key) {
  const YamlNode* node = find(key);
  std::vector<OptionValue> result;
  if (node == nullptr) return result;
  for (const YamlNode::Entry& entry : node->entries) {
    if (is_text(entry.value, quoted(entry.key.text) + " in " + quoted(key))) {
      result.push_back({entry.key.text, entry.value.text});
    }
  }
  return result;
}

std::optional<Path> Fields::path(std::string_view key) {
  const YamlNode* node = find(key);
  if (node == nullptr) return std::nullopt;
  if (node->text.empty()) {
    problem(*node, "script.value", quoted(key) + " is empty, expected a path", {});
    return std::nullopt;
  }
  return path_of(node->text);
}

Path Fields::path_of(const std::string& text) const {
  Path path = Path(text).is_absolute() ? Path(text) : builder_.script_.directory / text;
  path = path.lexically_normal();
  // "a/b/" ends in an element of its own.
  if (path.filename() == "." || path.filename().empty()) path = path.parent_path();
  return path;
}

std::vector<StageInput> Fields::inputs(const YamlNode& node) {
  std::vector<StageInput> result;
  if (node.type == YamlNode::Type::text) return inputs_of_text(node);
  if (node.type == YamlNode::Type::map) {
    problem(node, "script.type", "found a map, expected stages or paths", {});
    return result;
  }
  for (const YamlNode& item : node.items) {
    for (StageInput& input : inputs(item)) result.push_back(std::move(input));
  }
  return result;
}

std::vector<StageInput> Fields::inputs_of_text(const YamlNode& node) {
  std::vector<StageInput> result;
  if (node.text.empty()) {
    problem(node, "script.value", "found an empty text, expected a stage or a path", {});
    return result;
  }
  const std::vector<std::size_t> named = builder_.stages_named(node.text);
  for (const std::size_t other : named) {
    if (other == index_) continue;
    const Draft& draft = builder_.drafts_[other];
    const bool exact = named.size() == 1 && draft.result.name == node.text;
    // A pattern takes what is there.
    if (!exact) builder_.read(other);
    if (!exact && !draft.result.left_out.empty()) continue;
    const Stage* stage = builder_.need(index_, other);
    if (stage == nullptr) continue;
    const std::vector<StageOutput> outputs = stage->outputs();
    if (outputs.empty()) {
      problem(node, "script.output",
              "stage " + quoted(draft.result.name) + " leaves no file that could be used",
              "give it a place with 'to'");
      continue;
    }
    result.push_back({draft.result.name, outputs.front().path, draft.result.name});
  }
  const bool pattern =
      node.text.find('*') != std::string::npos && node.text.find('/') == std::string::npos;
  if (named.empty() && pattern) {
    problem(node, "script.stage", "no stage matches " + quoted(node.text), {});
  } else if (named.empty()) {
    result.push_back({node.text, path_of(node.text), {}});
  }
  return result;
}

const Stage* Fields::needed_stage(const std::string& name) {
  const auto found = builder_.by_name_.find(name);
  return found == builder_.by_name_.end() ? nullptr : builder_.need(index_, found->second);
}

}  // namespace

const std::vector<StageKey>& common_stage_keys() {
  using Type = StageKey::Type;
  static const std::vector<StageKey> keys = {
      {"matrix",
       Type::map,
       false,
       "Lists of values; the stage is made once for each combination of them.",
       {}},
      {"when", Type::text, false, "The stage is left out unless this condition holds.", {}},
      {"needs",
       Type::text_or_list,
       false,
       "Stages that must be finished before; names or patterns like check-*.",
       {}},
      {"retries", Type::text, false, "How often the stage is tried again when it fails.", {}},
      {"timeout", Type::text, false, "The longest time one attempt may take, like 90s or 10m.", {}},
      {"allow_failure", Type::boolean, false, "Whether the run goes on when the stage fails.", {}},
      {"description", Type::text, false, "For people.", {}},
      {"slurm", Type::map, false, "Options of sbatch for --emit slurm, like mem: 4G.", {}},
  };
  return keys;
}

std::vector<GraphNode> Workflow::graph() const {
  std::vector<GraphNode> nodes;
  for (const WorkflowStage& stage : stages) nodes.push_back({stage.name, stage.needs});
  return nodes;
}

std::optional<std::size_t> Workflow::find(std::string_view name) const {
  for (std::size_t i = 0; i < stages.size(); ++i) {
    if (stages[i].name == name) return i;
  }
  return std::nullopt;
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
