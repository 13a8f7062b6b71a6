// craftbundle export: one component as a file.
#include <unistd.h>

#include <boost/filesystem.hpp>
#include <cerrno>
#include <cstdlib>
#include <memory>

#include "arguments.h"
#include "commands.h"
#include "craftbundle/detail/api/json.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/io/input_file.h"
#include "report.h"

namespace craftbundle::app {
namespace {

constexpr const char* kFooter = R"(
SOURCE is a checkpoint of a training, an exported file, a directory that holds checkpoint.th,
the files that an exporter takes or a bundle, a Dora signature (//sig/9f2c with --xps), the name
of a pretrained model, or that of a model in the cache of the hub.

Examples:
  craftbundle export xps/77aa/checkpoint.th -o out/compression_state_dict.bin
  craftbundle export xps/9f2c/checkpoint.th --state ema -o out/state_dict.bin
  craftbundle export xps/9f2c/checkpoint.th --dtype float16 -o out/state_dict.bin
  craftbundle export xps/77aa/checkpoint.th --layout torchscript -o out/codec.ts
  craftbundle export xps/77aa/checkpoint.th -o - | ssh host 'cat > compression_state_dict.bin'
  craftbundle export last.ckpt --config-from my_model -o out/state_dict.bin
  craftbundle export //sig/9f2c --xps /checkpoints/xps -o out/state_dict.bin --json)";

struct Arguments {
  std::string source;
  SourceArguments how;
  TargetArguments target;
  std::string component;
  std::string exporter;
  std::vector<std::string> options;
  LayoutArguments layout;
};

// A directory of this process, for what goes to standard output once it is complete.
class ScratchDirectory {
 public:
  ScratchDirectory() {
    boost::system::error_code failure;
    const Path place = boost::filesystem::temp_directory_path(failure);
    if (failure) throw system_error(failure.value(), "the directory of temporary files");
    std::string name = (place / "craftbundle-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw system_error(errno, path_text(place));
    path_ = name;
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  ~ScratchDirectory() {
    boost::system::error_code ignored;
    boost::filesystem::remove_all(path_, ignored);
  }
  const Path& path() const { return path_; }

 private:
  Path path_;
};

void check_standard_output(const Arguments& arguments) {
  if (arguments.target.json) {
    throw Error(ErrorKind::usage, "target.stdout", "-o - and --json both write to standard output",
                "name a file, or leave --json out");
  }
  if (::isatty(STDOUT_FILENO) == 1) {
    throw Error(ErrorKind::usage, "target.stdout", "standard output is a terminal",
                "name a file, or lead it into a program or file");
  }
}

// Files are written from several places at once, pipes only from one end to the other.
int export_to_standard_output(ExportJob job, Session& session) {
  const ScratchDirectory scratch;
  job.output = scratch.path() / "component";
  job.publish.durability = Durability::no_sync;
  const ExportReport report = export_component(session.host(), job);
  boost::system::error_code ignored;
  if (boost::filesystem::is_directory(job.output, ignored)) {
    throw Error(ErrorKind::usage, "target.stdout",
                "layout " + craftbundle::quoted(job.layout.name) +
                    " makes a directory, standard output takes a file",
                "name the directory with -o");
  }
  for (const std::string& warning : report.component.warnings) {
    session.console().log(LogLevel::warning, warning);
  }
  session.copy(InputFile(job.output));
  return kExitDone;
}

int run(const Arguments& arguments, Session& session) {
  if (arguments.target.is_standard_output()) check_standard_output(arguments);
  const ExportJob job = {
      .component = choose(arguments.source, arguments.how, arguments.component, arguments.exporter,
                          parse_options(arguments.options), session.host()),
      .output = arguments.target.output,
      .layout = arguments.layout.choice(),
      .publish = arguments.target.publish(session)};
  if (arguments.target.is_standard_output()) return export_to_standard_output(job, session);
  const ExportReport report = export_component(session.host(), job);
  if (arguments.target.json) {
    session.print(json_document(export_json(report, job.layout.name)));
  } else if (!session.quiet()) {
    session.print(export_text(report, job.layout.name));
  }
  return kExitDone;
}

}  // namespace

void add_export(CLI::App& app, Command& command) {
  CLI::App* sub = app.add_subcommand("export", "Write one component of a bundle as a file");
  const auto arguments = std::make_shared<Arguments>();
  sub->add_option("source", arguments->source, "What to export")->required()->type_name("SOURCE");
  arguments->target.may_be_standard_output = true;
  arguments->target.declare(*sub,
                            "File to write, or directory for a layout of several; missing parents "
                            "are created; - is standard output");
  arguments->how.declare_state(*sub);
  arguments->how.declare_dtype(*sub);
  arguments->how.declare_weights(*sub);
  arguments->how.declare_foreign(*sub);
  arguments->layout.declare(*sub);
  arguments->how.declare_xps(*sub);
  sub->add_option("--component", arguments->component,
                  "Role of the component, of a source that holds several or does not tell (lm, "
                  "compression, ...)")
      ->type_name("ROLE");
  sub->add_option("--exporter", arguments->exporter, "Exporter to use instead of the best one")
      ->type_name("EXPORTER");
  sub->add_option("-O,--option", arguments->options, "Option of the exporter; may be repeated")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  sub->footer(kFooter);
  sub->callback([arguments, &command] {
    command.json = arguments->target.json;
    command.run = [arguments](Session& session) { return run(*arguments, session); };
  });
}

}  // namespace craftbundle::app
