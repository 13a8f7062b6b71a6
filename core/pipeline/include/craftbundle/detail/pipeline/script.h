// A run script as it is written (docs/run_script.md): stages and variables, files put together,
// nothing interpolated yet.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/io/path.h"
#include "craftbundle/detail/yaml/yaml.h"

namespace CRAFTBUNDLE_API craftbundle {

// The texts a script is made of, for messages.
class ScriptSources {
 public:
  // The number that marks in this text have.
  int add(std::string name, std::string text);

  const std::string& name(int source) const {
    return texts_.at(static_cast<std::size_t>(source)).name;
  }
  const std::string& text(int source) const {
    return texts_.at(static_cast<std::size_t>(source)).text;
  }
  // The line without its end; empty when there is none.
  std::string_view line(const YamlMark& mark) const;

 private:
  struct Text {
    std::string name;  // a path as the user would write it, "--set"
    std::string text;
  };
  std::deque<Text> texts_;
};

// Something wrong with a script, at a place.
struct ScriptProblem {
  YamlMark mark;
  std::size_t length = 1;  // characters that the caret underlines
  std::string code;        // "script.key", "source.not_found", ...
  std::string message;
  std::string hint;
  std::string stage = {};                // of which it was noticed; empty: of none
  std::vector<std::string> others = {};  // stages of the same matrix that have it too
};

ScriptProblem make_problem(const YamlNode& where, std::string_view code, std::string message,
                           std::string hint = {});
ScriptProblem make_problem(const YamlNode& where, const Error& error);

// Collects what is wrong, so that all of it is told at once.
class ScriptProblems {
 public:
  // The same problem at the same place is kept once.
  void add(ScriptProblem problem);
  void add(const YamlNode& where, std::string_view code, std::string message,
           std::string hint = {});
  void add(const YamlNode& where, const Error& error);

  // What is added while it lives is of `stage`.
  class OfStage {
   public:
    OfStage(ScriptProblems& problems, std::string stage)
        : problems_(problems), before_(std::exchange(problems.stage_, std::move(stage))) {}
    ~OfStage() { problems_.stage_ = std::move(before_); }
    OfStage(const OfStage&) = delete;
    OfStage& operator=(const OfStage&) = delete;

   private:
    ScriptProblems& problems_;
    std::string before_;
  };

  bool empty() const { return problems_.empty(); }
  // By place. What several stages have at one place, as those of a matrix do, is one problem: that
  // of the first of them.
  std::vector<ScriptProblem> sorted() const;

 private:
  std::vector<ScriptProblem> problems_;
  std::string stage_;
};

// "FILE:LINE:COLUMN: MESSAGE [CODE]", the line with a caret below, the other stages, and the hint.
std::string to_text(const ScriptProblem& problem, const ScriptSources& sources);

// A stage as it is written.
struct ScriptStage {
  YamlNode name;
  YamlNode body;  // a map
};

struct Script {
  Path file;
  Path directory;  // absolute; what relative paths in the script start from
  ScriptSources sources;
  YamlNode vars;  // a map
  std::vector<ScriptStage> stages;
};

// Reads `file`, what it includes, and `settings` ("a.b=value", the value is YAML), which replace
// variables that exist. Throws Error(system) when `file` cannot be read; whatever is wrong with
// what it says goes to `problems`, codes "script.*":
//   syntax, version, key, type, include, duplicate, set, empty
Script read_script(const Path& file, const std::vector<std::string>& settings,
                   ScriptProblems& problems);

}  // namespace craftbundle
