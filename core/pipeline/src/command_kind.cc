// command: any program.
#include <algorithm>
#include <boost/filesystem/operations.hpp>
#include <utility>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/io/input_file.h"
#include "craftbundle/detail/io/program.h"
#include "craftbundle/detail/pipeline/place.h"
#include "kinds.h"
#include "stage_fields.h"

namespace craftbundle {
namespace {

constexpr std::size_t kShownLines = 10;

// The last lines of a log, for a message.
std::string last_lines(const Path& log) {
  constexpr std::uint64_t kRead = 4096;
  boost::system::error_code ignored;
  if (!boost::filesystem::exists(log, ignored)) return {};
  const InputFile file(log);
  const std::uint64_t length = std::min(kRead, file.size());
  std::string text = file.read_text(file.size() - length, static_cast<std::size_t>(length));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::size_t begin = text.size();
  for (std::size_t lines = 0; begin > 0; --begin) {
    if (text[begin - 1] == '\n' && ++lines == kShownLines) break;
  }
  text.erase(0, begin);
  std::string shown;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    shown += "\n    " + printable(std::string_view(text).substr(at, end - at));
    at = end + 1;
  }
  return shown;
}

constexpr std::string_view kHidden = "***";

// A word or the value of a variable.
struct CommandText {
  std::string text;
  bool secret = false;

  std::string shown() const { return secret ? std::string(kHidden) : text; }
  KeyPart::Kind kind() const { return secret ? KeyPart::Kind::secret : KeyPart::Kind::setting; }
};

// `text` without the secrets in it, as far as they are long enough to be told from chance.
std::string without(const std::vector<std::string>& secrets, std::string text) {
  constexpr std::size_t kTelling = 4;
  for (const std::string& secret : secrets) {
    if (secret.size() < kTelling) continue;
    for (std::size_t at = 0; (at = text.find(secret, at)) != std::string::npos;) {
      text.replace(at, secret.size(), kHidden);
      at += kHidden.size();
    }
  }
  return text;
}

struct Command {
  std::vector<CommandText> arguments;
  std::vector<std::pair<std::string, CommandText>> environment;
  Path directory;
  std::vector<StageInput> inputs;
  std::vector<StageOutput> outputs;
  bool always = false;
};

class CommandStage final : public Stage {
 public:
  explicit CommandStage(Command command) : command_(std::move(command)) {}

  std::vector<StageInput> inputs() const override { return command_.inputs; }
  std::vector<StageOutput> outputs() const override { return command_.outputs; }
  bool is_atomic() const override { return false; }
  bool always() const override { return command_.always; }
  std::string what() const override {
    std::vector<std::string> words;
    for (const CommandText& word : command_.arguments) words.push_back(word.shown());
    return printable(join(words, " "), 60);
  }
  std::vector<KeyPart> key() const override {
    std::vector<KeyPart> key;
    for (std::size_t i = 0; i < command_.arguments.size(); ++i) {
      const CommandText& word = command_.arguments[i];
      key.push_back({"word " + std::to_string(i + 1), word.text, word.kind()});
    }
    for (const auto& [name, value] : command_.environment) {
      key.push_back({"environment variable " + name, value.text, value.kind()});
    }
    key.push_back({"directory", command_.directory.string()});
    return key;
  }

  Forecast forecast(const Host& /*host*/) const override {
    const std::string& name = command_.arguments.front().text;
    // A program that an earlier stage makes is not there yet.
    if (name.find('/') == std::string::npos && !find_program(name, command_.directory)) {
      throw Error(ErrorKind::usage, "program.not_found",
                  "there is no program " + shown_program() + " in PATH",
                  "install it, or give its path");
    }
    return {};
  }

  StageResult run(StageRun& run) const override {
    for (const StageOutput& output : command_.outputs) create_parents(output.path);
    ProgramCall call;
    for (const CommandText& word : command_.arguments) call.arguments.push_back(word.text);
    for (const auto& [name, value] : command_.environment) {
      call.environment.emplace_back(name, value.text);
    }
    call.directory = command_.directory;
    call.output = run.log;
    const ProgramEnd end = run_program(call, run.cancellation);
    if (end.signal != 0 || end.exit_code != 0) {
      throw Error(ErrorKind::system, "command.failed",
                  shown_program() +
                      (end.signal != 0 ? " was ended by signal " + std::to_string(end.signal)
                                       : " ended with exit code " + std::to_string(end.exit_code)) +
                      without(secrets(), last_lines(run.log)),
                  "what it printed is in " + path_text(run.log));
    }
    StageResult result;
    for (const StageOutput& output : command_.outputs) {
      boost::system::error_code failure;
      if (!boost::filesystem::exists(output.path, failure)) {
        throw Error(ErrorKind::system, "command.output",
                    shown_program() + " ended well but has not made " + path_text(output.path),
                    "correct the command or its 'outputs'");
      }
      const std::uint64_t size = boost::filesystem::file_size(output.path, failure);
      if (!failure) result.bytes += size;
    }
    return result;
  }

 private:
  std::string shown_program() const { return quoted(command_.arguments.front().shown()); }
  std::vector<std::string> secrets() const {
    std::vector<std::string> secrets;
    for (const CommandText& word : command_.arguments) {
      if (word.secret) secrets.push_back(word.text);
    }
    for (const auto& [name, value] : command_.environment) {
      if (value.secret) secrets.push_back(value.text);
    }
    return secrets;
  }

  Command command_;
};

class CommandKind final : public StageReader {
 public:
  std::string name() const override { return "command"; }
  std::string summary() const override { return "Runs a program"; }
  std::vector<StageKey> keys() const override {
    using Type = StageKey::Type;
    return {
        {"command",
         Type::text_or_list,
         true,
         "Program and its arguments, as a list; with 'shell: true' a text for /bin/sh.",
         {}},
        {"shell", Type::boolean, false, "Whether /bin/sh reads the command.", {}},
        {"env", Type::map, false, "Environment variables to add.", {}},
        {"secret",
         Type::text_or_list,
         false,
         "Variables of 'env' whose values are shown and kept nowhere; those that take theirs from "
         "the environment are so anyway.",
         {}},
        {"cwd", Type::text, false, "Directory to run in, instead of that of the script.", {}},
        {"inputs",
         Type::text_or_list,
         false,
         "Stages and files that it reads; it runs again when they change.",
         {}},
        {"outputs", Type::any, false, "Files that it makes: a list, or names and paths.", {}},
        {"always", Type::boolean, false, "Run it each time, even when nothing has changed.", {}},
    };
  }

  std::unique_ptr<Stage> read(StageFields& fields) const override {
    const YamlNode& main = *fields.find("command");
    Command command;
    fields.texts("command");
    command.arguments = words(main);
    if (fields.flag("shell", false)) {
      if (main.type == YamlNode::Type::list) {
        fields.problem(main, "script.type",
                       "with 'shell: true' the command is a text, found a list");
        return nullptr;
      }
      command.arguments = {{"/bin/sh"}, {"-c"}, {main.text, main.from_environment}};
    } else if (main.type == YamlNode::Type::text) {
      fields.problem(main, "script.type", "'command' is a text, expected a list of words",
                     "write it as [tar, -cf, x.tar, x], or add 'shell: true'");
      return nullptr;
    }
    if (command.arguments.empty() || command.arguments.front().text.empty()) {
      fields.problem(main, "script.value", "'command' names no program");
      return nullptr;
    }
    command.environment = read_environment(fields);
    command.directory = fields.path("cwd").value_or(fields.path_of("."));
    command.always = fields.flag("always", false);
    if (const YamlNode* inputs = fields.find("inputs")) command.inputs = fields.inputs(*inputs);
    if (const YamlNode* outputs = fields.find("outputs")) {
      command.outputs = read_outputs(fields, *outputs);
    }
    return std::make_unique<CommandStage>(std::move(command));
  }

 private:
  // StageFields::texts() has found the problems.
  static std::vector<CommandText> words(const YamlNode& command) {
    if (command.type == YamlNode::Type::text) return {{command.text, command.from_environment}};
    std::vector<CommandText> words;
    for (const YamlNode& word : command.items) words.push_back({word.text, word.from_environment});
    return words;
  }

  static std::vector<std::pair<std::string, CommandText>> read_environment(StageFields& fields) {
    std::vector<std::pair<std::string, CommandText>> environment;
    std::vector<std::string> names;
    for (const OptionValue& variable : fields.pairs("env")) {
      const YamlNode& value = *fields.find("env")->find(variable.name);
      names.push_back(variable.name);
      environment.push_back({variable.name, {variable.value, value.from_environment}});
    }
    for (const std::string& secret : fields.texts("secret")) {
      const auto variable = std::ranges::find(names, secret);
      if (variable == names.end()) {
        fields.problem(*fields.find("secret"), "script.value",
                       quoted(secret) + " is no variable of 'env'", did_you_mean(secret, names));
        continue;
      }
      environment[std::size_t(variable - names.begin())].second.secret = true;
    }
    return environment;
  }

  static std::vector<StageOutput> read_outputs(StageFields& fields, const YamlNode& node) {
    std::vector<StageOutput> outputs;
    if (node.type == YamlNode::Type::map) {
      for (const OptionValue& output : fields.pairs("outputs")) {
        note_shell_variable(fields, node, output.value);
        outputs.push_back({output.name, fields.path_of(output.value)});
      }
      return outputs;
    }
    for (const std::string& path : fields.texts("outputs")) {
      note_shell_variable(fields, node, path);
      outputs.push_back({"output " + std::to_string(outputs.size() + 1), fields.path_of(path)});
    }
    return outputs;
  }
};

}  // namespace

std::unique_ptr<const StageReader> make_command_kind() { return std::make_unique<CommandKind>(); }

}  // namespace craftbundle
