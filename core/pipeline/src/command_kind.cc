// command: any program.
#include <boost/filesystem/operations.hpp>

#include "craftbundle/base/error.h"
#include "craftbundle/base/text.h"
#include "craftbundle/io/input_file.h"
#include "craftbundle/io/program.h"
#include "craftbundle/pipeline/place.h"
#include "kinds.h"

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

struct Command {
  std::vector<std::string> arguments;
  std::vector<OptionValue> environment;
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
  std::string what() const override { return printable(join(command_.arguments, " "), 60); }
  std::vector<KeyPart> key() const override {
    std::vector<KeyPart> key;
    for (std::size_t i = 0; i < command_.arguments.size(); ++i) {
      key.push_back({"word " + std::to_string(i + 1), command_.arguments[i]});
    }
    for (const OptionValue& variable : command_.environment) {
      key.push_back({"environment variable " + variable.name, variable.value});
    }
    key.push_back({"directory", command_.directory.string()});
    return key;
  }

  Forecast forecast(const Host& /*host*/) const override {
    const std::string& name = command_.arguments.front();
    // A program that an earlier stage makes is not there yet.
    if (name.find('/') == std::string::npos && !find_program(name, command_.directory)) {
      throw Error(ErrorKind::usage, "program.not_found",
                  "there is no program " + quoted(name) + " in PATH",
                  "install it, or give its path");
    }
    return {};
  }

  StageResult run(StageRun& run) const override {
    for (const StageOutput& output : command_.outputs) create_parents(output.path);
    ProgramCall call;
    call.arguments = command_.arguments;
    for (const OptionValue& variable : command_.environment) {
      call.environment.emplace_back(variable.name, variable.value);
    }
    call.directory = command_.directory;
    call.output = run.log;
    const ProgramEnd end = run_program(call, run.cancellation);
    if (end.signal != 0 || end.exit_code != 0) {
      throw Error(ErrorKind::system, "command.failed",
                  quoted(command_.arguments.front()) +
                      (end.signal != 0 ? " was ended by signal " + std::to_string(end.signal)
                                       : " ended with exit code " + std::to_string(end.exit_code)) +
                      last_lines(run.log),
                  "what it printed is in " + path_text(run.log));
    }
    StageResult result;
    for (const StageOutput& output : command_.outputs) {
      boost::system::error_code failure;
      if (!boost::filesystem::exists(output.path, failure)) {
        throw Error(ErrorKind::system, "command.output",
                    quoted(command_.arguments.front()) + " ended well but has not made " +
                        path_text(output.path),
                    "correct the command or its 'outputs'");
      }
      const std::uint64_t size = boost::filesystem::file_size(output.path, failure);
      if (!failure) result.bytes += size;
    }
    return result;
  }

 private:
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
    command.arguments = fields.texts("command");
    if (fields.flag("shell", false)) {
      if (main.type == YamlNode::Type::list) {
        fields.problem(main, "script.type",
                       "with 'shell: true' the command is a text, found a list");
        return nullptr;
      }
      command.arguments = {"/bin/sh", "-c", main.text};
    } else if (main.type == YamlNode::Type::text) {
      fields.problem(main, "script.type", "'command' is a text, expected a list of words",
                     "write it as [tar, -cf, x.tar, x], or add 'shell: true'");
      return nullptr;
    }
    if (command.arguments.empty() || command.arguments.front().empty()) {
      fields.problem(main, "script.value", "'command' names no program");
      return nullptr;
    }
    command.environment = fields.pairs("env");
    command.directory = fields.path("cwd").value_or(fields.path_of("."));
    command.always = fields.flag("always", false);
    if (const YamlNode* inputs = fields.find("inputs")) command.inputs = fields.inputs(*inputs);
    if (const YamlNode* outputs = fields.find("outputs")) {
      command.outputs = read_outputs(fields, *outputs);
    }
    return std::make_unique<CommandStage>(std::move(command));
  }

 private:
  static std::vector<StageOutput> read_outputs(StageFields& fields, const YamlNode& node) {
    std::vector<StageOutput> outputs;
    if (node.type == YamlNode::Type::map) {
      for (const OptionValue& output : fields.pairs("outputs")) {
        outputs.push_back({output.name, fields.path_of(output.value)});
      }
      return outputs;
    }
    for (const std::string& path : fields.texts("outputs")) {
      outputs.push_back({"output " + std::to_string(outputs.size() + 1), fields.path_of(path)});
    }
    return outputs;
  }
};

}  // namespace

std::unique_ptr<const StageReader> make_command_kind() { return std::make_unique<CommandKind>(); }

}  // namespace craftbundle
