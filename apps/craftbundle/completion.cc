// craftbundle completion: scripts that make shells complete commands, options and their values. The
// scripts ask the program itself ("craftbundle complete-words WORD..."), so they never grow old.
#include "completion.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>
#include <string_view>

#include "commands.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/bundle/transform.h"
#include "craftbundle/detail/pipeline/script_run.h"

namespace craftbundle::app {
namespace {

constexpr const char* kFooter = R"(
An installation puts these scripts where the shells look for them.

Examples:
  craftbundle completion bash > ~/.local/share/bash-completion/completions/craftbundle
  craftbundle completion zsh > ~/.zfunc/_craftbundle
  craftbundle completion fish > ~/.config/fish/completions/craftbundle.fish)";

// The first line of an answer says what else completes the word ("files", "directories" or
// "words": nothing else), the others are "VALUE<tab>DESCRIPTION".
constexpr const char* kBash = R"(# bash completion for craftbundle
_craftbundle() {
  local answer line current=${COMP_WORDS[COMP_CWORD]}
  mapfile -t answer < <("${COMP_WORDS[0]}" complete-words "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  # "=" is a word of its own, and the value behind it starts anew.
  [[ $current == = ]] && current=
  COMPREPLY=()
  for line in "${answer[@]:1}"; do
    COMPREPLY+=("${line%%$'\t'*}")
  done
  [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
  case ${answer[0]} in
    files) mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "$current") ;;
    directories) mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -d -- "$current") ;;
    *) return ;;
  esac
  compopt -o filenames
}
complete -F _craftbundle craftbundle
)";

constexpr const char* kZsh = R"(#compdef craftbundle
_craftbundle() {
  local -a answer values shown
  local line
  answer=("${(@f)$("${words[1]}" complete-words "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  for line in "${(@)answer[2,-1]}"; do
    [[ -n $line ]] || continue
    values+=("${line%%$'\t'*}")
    if [[ -n ${line#*$'\t'} ]]; then
      shown+=("${line%%$'\t'*}  -- ${line#*$'\t'}")
    else
      shown+=("${line%%$'\t'*}")
    fi
  done
  if (( ${#values} == 1 )) && [[ ${values[1]} == *= ]]; then
    compadd -Q -S '' -- "${values[@]}"
  elif (( ${#values} )); then
    compadd -l -d shown -- "${values[@]}"
  fi
  case ${answer[1]} in
    files) compset -P '--*='; _files ;;
    directories) compset -P '--*='; _files -/ ;;
  esac
}
if [[ $funcstack[1] == _craftbundle ]]; then
  _craftbundle "$@"
else
  compdef _craftbundle craftbundle
fi
)";

constexpr const char* kFish = R"(# fish completion for craftbundle
function __craftbundle_complete
  set -l before (commandline -opc)
  set -l current (commandline -ct)
  set -l answer (command $before[1] complete-words $before[2..-1] "$current" 2>/dev/null)
  for line in $answer[2..-1]
    echo $line
  end
  set -l option (string match -r -- '^--[^=]*=' "$current")
  set -l path (string replace -r -- '^--[^=]*=' '' "$current")
  switch "$answer[1]"
    case files
      for line in (__fish_complete_path "$path")
        echo "$option$line"
      end
    case directories
      for line in (__fish_complete_directories "$path" '')
        echo "$option$line"
      end
  end
end
complete -c craftbundle -f -a '(__craftbundle_complete)'
)";

// "LAYOUT" of "LAYOUT", "CHECK" of "CHECK:{crc,structure}".
std::string type_word(const CLI::Option& option) {
  const std::string name = option.get_type_name();
  return name.substr(0, name.find(':'));
}

std::vector<std::string> choices_of(const CLI::Option& option) {
  const std::string name = option.get_type_name();
  const std::size_t begin = name.find(":{");
  if (begin == std::string::npos || !name.ends_with('}')) return {};
  std::vector<std::string> choices;
  std::string_view rest = std::string_view(name).substr(begin + 2);
  rest.remove_suffix(1);
  while (!rest.empty()) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    choices.emplace_back(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return choices;
}

const CLI::Option* find_option(const CLI::App& command, const std::string& name) {
  for (const CLI::App* app = &command; app != nullptr; app = app->get_parent()) {
    for (const CLI::Option* option : app->get_options()) {
      if (!option->get_positional() && option->check_name(name)) return option;
    }
  }
  return nullptr;
}

// What the words before the one to complete say.
struct Line {
  const CLI::App* command;
  std::vector<std::string> places;                                // arguments without a name
  std::vector<std::pair<const CLI::Option*, std::string>> given;  // options with their values
  const CLI::Option* open = nullptr;                              // whose value comes next

  explicit Line(const CLI::App& app) : command(&app) {}

  void add(const std::string& word) {
    // bash takes "--layout=x" apart.
    if (open != nullptr && word == "=") return;
    if (open != nullptr) {
      given.emplace_back(open, word);
      open = nullptr;
      return;
    }
    if (word.size() > 1 && word.front() == '-') {
      const std::size_t equals = word.find('=');
      const CLI::Option* option = find_option(*command, word.substr(0, equals));
      if (option == nullptr) return;
      if (equals != std::string::npos) {
        given.emplace_back(option, word.substr(equals + 1));
      } else if (option->get_items_expected_min() > 0) {
        open = option;
      }
      return;
    }
    for (const CLI::App* sub : command->get_subcommands({})) {
      if (sub->get_name() != word || !places.empty()) continue;
      command = sub;
      return;
    }
    places.push_back(word);
  }

  std::vector<std::string> values_of(const std::string& option) const {
    std::vector<std::string> values;
    for (const auto& [one, value] : given) {
      if (one->check_name(option)) values.push_back(value);
    }
    return values;
  }
};

class Completer {
 public:
  Completer(const CLI::App& app, Line line, std::string current)
      : app_(app), line_(std::move(line)), current_(std::move(current)) {}

  std::string answer() {
    if (line_.open != nullptr) {
      if (current_ == "=") current_.clear();
      add_values(*line_.open);
    } else if (const std::size_t equals = current_.find('=');
               current_.starts_with("--") && equals != std::string::npos) {
      if (const CLI::Option* option = find_option(*line_.command, current_.substr(0, equals))) {
        front_ = current_.substr(0, equals + 1);
        current_.erase(0, equals + 1);
        add_values(*option);
      }
    } else if (current_.starts_with('-')) {
      add_options();
    } else {
      for (const CLI::App* sub : line_.command->get_subcommands({})) {
        if (line_.places.empty()) add(sub->get_name(), sub->get_description());
      }
      add_place();
    }
    return std::string(others_) + "\n" + text_;
  }

 private:
  void add(const std::string& value, std::string_view description = {}) {
    if (!value.starts_with(current_)) return;
    // A value with a line break or tab in it cannot be told from two.
    const std::string shown = printable(value, 1000);
    if (shown == value) text_ += front_ + value + "\t" + printable(description) + "\n";
  }

  void add_options() {
    for (const CLI::App* app = line_.command; app != nullptr; app = app->get_parent()) {
      for (const CLI::Option* option : app->get_options()) {
        for (const std::string& name : option->get_lnames()) {
          add("--" + name, option->get_description());
        }
        for (const std::string& name : option->get_snames()) {
          add("-" + name, option->get_description());
        }
      }
    }
  }

  void add_place() {
    std::size_t number = 0;
    for (const CLI::Option* option : line_.command->get_options()) {
      if (!option->get_positional()) continue;
      if (number == line_.places.size() || option->get_items_expected_max() > 1) {
        return add_values(*option);
      }
      ++number;
    }
  }

  void add_values(const CLI::Option& option) {
    for (const std::string& choice : choices_of(option)) add(choice);
    const std::string type = type_word(option);
    if (type == "DIR") {
      others_ = "directories";
    } else if (type == "SOURCE") {
      others_ = "files";
      add_pretrained();
    } else if (type == "PATH" || type == "SCRIPT" || type == "DIR|FILE" || type == "WAV" ||
               type == "[AUDIO]" || type == "ORIGINAL" || type == "ADAPTER") {
      others_ = "files";
    } else if (type == "LAYOUT") {
      add_layouts();
    } else if (type == "EXPORTER") {
      for (const auto& offer : host().offers<ExporterInfo>()) {
        add(offer.info->name, offer.info->summary);
      }
    } else if (type == "OFFER") {
      PluginInfo().for_each_kind([&]<typename Info>(const std::vector<Info>&) {
        for (const auto& offer : host().offers<Info>()) add(offer.info->name, offer.info->summary);
      });
    } else if (type == "ROLE") {
      add_roles();
    } else if (type == "STAGE") {
      add_stages();
    } else if (type == "COMMAND") {
      add_commands();
    } else if (type == "NAME=VALUE") {
      add_settings(option);
    }
  }

  void add_pretrained() {
    for (const std::string& name : host().pretrained_names()) {
      if (name.find('*') == std::string::npos) add(name, "pretrained");
    }
  }

  // Behind "A+" another one.
  void add_layouts() {
    const std::size_t plus = current_.rfind('+');
    if (plus != std::string::npos) {
      front_ += current_.substr(0, plus + 1);
      current_.erase(0, plus + 1);
    }
    for (const LayoutInfo& layout : host().layouts()) add(layout.name, layout.summary);
  }

  void add_roles() {
    std::vector<std::string> roles;
    for (const auto& offer : host().offers<ExporterInfo>()) {
      if (std::ranges::count(roles, offer.info->component) != 0) continue;
      roles.push_back(offer.info->component);
      add(roles.back());
    }
  }

  void add_commands() {
    const CLI::App* command = &app_;
    for (const std::string& place : line_.places) {
      for (const CLI::App* sub : command->get_subcommands({})) {
        if (sub->get_name() == place) command = sub;
      }
    }
    for (const CLI::App* sub : command->get_subcommands({})) {
      add(sub->get_name(), sub->get_description());
    }
  }

  void add_stages() {
    if (line_.places.empty()) return;
    ScriptRun::Options options;
    options.script = line_.places.front();
    options.settings = line_.values_of("--set");
    const ScriptRun run(host(), standard_stages(host()), options);
    for (const WorkflowStage& stage : run.workflow().stages) add(stage.name, stage.description);
  }

  // Options of the exporters or layouts that are named, or of all; then their choices.
  void add_settings(const CLI::Option& option) {
    std::vector<OptionSpec> specs;
    const auto take = [&](const auto& infos, const std::vector<std::string>& named) {
      for (const auto& info : infos) {
        const bool is_named = std::ranges::any_of(named, [&](const std::string& name) {
          return ("+" + name + "+").find("+" + info.name + "+") != std::string::npos;
        });
        if (named.empty() || is_named) {
          specs.insert(specs.end(), info.options.begin(), info.options.end());
        }
      }
    };
    if (option.check_name("--layout-option")) {
      take(host().layouts(), line_.values_of("--layout"));
    } else if (option.check_name("--set")) {
      return;
    } else {
      std::vector<ExporterInfo> exporters;
      for (const auto& offer : host().offers<ExporterInfo>()) exporters.push_back(*offer.info);
      take(exporters, line_.values_of("--exporter"));
      for (OptionSpec& spec : transform_options()) specs.push_back(std::move(spec));
    }
    std::vector<std::string> seen;
    const std::size_t equals = current_.find('=');
    const std::string name = current_.substr(0, equals);
    for (const OptionSpec& spec : specs) {
      if (std::ranges::count(seen, spec.name) != 0) continue;
      seen.push_back(spec.name);
      if (equals == std::string::npos) add(spec.name + "=", spec.doc);
      if (equals == std::string::npos || spec.name != name) continue;
      if (spec.type == OptionSpec::Type::files) others_ = "files";
      for (const std::string& choice : spec.choices) add(name + "=" + choice);
    }
  }

  const Host& host() {
    if (!host_) {
      Host::Options options;
      for (const std::string& directory : line_.values_of("--plugin-dir")) {
        options.search.directories.emplace_back(directory);
      }
      host_.emplace(std::move(options));
    }
    return *host_;
  }

  const CLI::App& app_;
  Line line_;
  std::string current_;
  std::string front_;  // of the word, before what is completed
  std::string text_;
  std::string_view others_ = "words";
  std::optional<Host> host_;
};

}  // namespace

std::string complete_words(const CLI::App& app, const std::vector<std::string>& words) {
  Line line(app);
  for (std::size_t i = 0; i + 1 < words.size(); ++i) line.add(words[i]);
  return Completer(app, std::move(line), words.empty() ? std::string() : words.back()).answer();
}

void add_completion(CLI::App& app, Command& command) {
  CLI::App* sub = app.add_subcommand("completion", "Print a completion script for the shell");
  sub->require_subcommand(1);
  sub->footer(kFooter);
  const auto declare = [&](const char* shell, const char* script) {
    sub->add_subcommand(shell, std::string("For ") + shell)->callback([script, &command] {
      command.run = [script](Session& session) {
        session.print(script);
        return kExitDone;
      };
    });
  };
  declare("bash", kBash);
  declare("zsh", kZsh);
  declare("fish", kFish);
}

}  // namespace craftbundle::app
