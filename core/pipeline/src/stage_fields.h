// The body of a stage of a run script, interpolated and checked.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/pipeline/workflow.h"
#include "stage_names.h"
#include "variables.h"

namespace craftbundle {

// What is written of one stage. Not owned.
struct StageText {
  const std::string& name;
  const YamlNode& where;  // for messages
  const YamlNode& body;
  const Variables& variables;
  const Path& directory;  // of the script
};

// A stage that another one uses.
struct UsedStage {
  std::string name;
  const Stage* stage;
};

// How a stage comes by others. What they return is needed by the stage from then on.
struct OtherStages {
  // Those that a name or pattern stands for, without those that are left out; nullopt: it stands
  // for no stage.
  std::function<std::optional<std::vector<UsedStage>>(const std::string& text)> named;
  // The stage of that name; nullptr when there is none.
  std::function<const Stage*(const std::string& name)> find;
  // A hint for a name or pattern that stands for no stage.
  std::function<std::string(const std::string& text)> suggest;
};

// Notes a problem at `where` when `path` has a variable in it that only a shell would replace.
void note_shell_variable(StageFields& fields, const YamlNode& where, const std::string& path);

class WrittenFields final : public StageFields {
 public:
  // Interpolates the values of the keys of the kind, and of the common ones.
  WrittenFields(StageText text, const StageReader& kind, OtherStages others);

  const std::string& stage() const override { return text_.name; }
  const YamlNode* find(std::string_view key) const override;
  void problem(const YamlNode& where, std::string_view code, std::string message,
               std::string hint) override {
    problems_.push_back(make_problem(where, code, std::move(message), std::move(hint)));
  }
  std::string text(std::string_view key, std::string otherwise) override;
  bool flag(std::string_view key, bool otherwise) override;
  std::vector<std::string> texts(std::string_view key) override;
  std::vector<OptionValue> pairs(std::string_view key) override;
  std::optional<Path> path(std::string_view key) override;
  Path path_of(const std::string& text) const override;
  std::vector<StageInput> inputs(const YamlNode& node) override;
  const Stage* needed_stage(const std::string& name) override { return others_.find(name); }

  std::vector<ScriptProblem>& problems() { return problems_; }
  std::map<std::string, YamlNode, std::less<>> take_values() { return std::move(values_); }

 private:
  void check_names(const std::vector<StageKey>& own, const StageReader& kind);
  static std::string hint_for(const std::string& name, const std::vector<std::string>& unused,
                              const StageReader& kind);
  void read(const StageKey& key);
  void note_unresolved(const YamlNode& node);
  void check_type(const StageKey& key, const YamlNode& node);
  bool is_text(const YamlNode& node, const std::string& what);
  std::vector<StageInput> inputs_of_text(const YamlNode& node);

  const StageText text_;
  const OtherStages others_;
  std::map<std::string, YamlNode, std::less<>> values_;
  std::vector<ScriptProblem> problems_;
};

}  // namespace craftbundle
