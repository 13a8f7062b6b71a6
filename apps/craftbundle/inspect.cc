// craftbundle inspect: what is in a checkpoint or bundle.
#include "craftbundle/detail/bundle/inspection.h"

#include <algorithm>
#include <memory>

#include "arguments.h"
#include "commands.h"
#include "craftbundle/detail/base/text.h"
#include "report.h"
#include "style.h"
#include "table.h"
#include "tensors.h"

namespace craftbundle::app {
namespace {

constexpr const char* kFooter = R"(
Nothing in the file is run or imported. Names that would run code when Python loads the file are
listed and marked.

Examples:
  craftbundle inspect xps/9f2c/checkpoint.th
  craftbundle inspect my_model
  craftbundle inspect my_model --tensors '*.weight'
  craftbundle inspect my_model --diff my_model_float16 --values
  craftbundle inspect --config xps/9f2c/checkpoint.th > config.yaml)";

struct Arguments {
  std::string source;
  SourceArguments how;
  bool config = false;
  bool raw = false;
  bool json = false;
  bool tensors = false;
  std::string pattern;  // of --tensors
  std::string other;    // --diff
  bool values = false;
};

// --- A checkpoint or a name --------------------------------------------------------------------

std::string format_line(const Checkpoint& checkpoint) {
  const CheckpointFormat& format = checkpoint.format();
  const bool zip = format.container == CheckpointFormat::Container::zip;
  std::string line = path_text(checkpoint.file().path()) + ": " +
                     human_bytes(checkpoint.file().size()) + ", " +
                     (zip ? "zip of " + grouped(format.records) + " records"
                          : std::string("legacy layout (before PyTorch 1.6)")) +
                     ", pickle protocol " + std::to_string(format.pickle_protocol) +
                     (format.big_endian ? ", big-endian" : "") + "\n";
  for (const std::string& note : format.notes) line += "  note: " + printable(note) + "\n";
  return line;
}

std::string keys_text(const Checkpoint& checkpoint, const CheckpointContents& contents) {
  if (contents.keys.empty()) return "root\n  " + describe(checkpoint.root()) + "\n";
  Table table({"key", "what", "tensors", "bytes"});
  for (const CheckpointContents::Key& key : contents.keys) {
    const bool tensors = key.tensors > 0;
    table.add({key.name, key.what, tensors ? grouped(key.tensors) : "-",
               tensors ? human_bytes(key.bytes) : "-"});
  }
  return "keys\n" + table.text();
}

std::string states_text(const std::vector<CheckpointContents::StateDict>& states) {
  if (states.empty()) return {};
  Table table({"state dict", "tensors", "parameters", "types"});
  for (const CheckpointContents::StateDict& state : states) {
    std::vector<std::string> types;
    for (const auto& [dtype, bytes] : state.by_dtype) {
      types.push_back(dtype + " " + human_bytes(bytes));
    }
    table.add({state.where.empty() ? "(root)" : state.where, grouped(state.tensors),
               grouped(state.parameters), join(types, ", ")});
  }
  return "state dicts\n" + table.text();
}

std::string globals_text(const std::vector<GlobalReference>& globals) {
  using Verdict = GlobalReference::Verdict;
  Table table({"name", "verdict", "uses", "first at"});
  for (const GlobalReference& global : globals) {
    std::string name = printable(global.name);
    // Where it matters, the spelling of Python 2 that stands in the file is shown too.
    if (global.verdict == Verdict::unsafe && !global.written.empty()) {
      name += " (" + printable(global.written) + ")";
    }
    table.add({std::move(name), std::string(to_string(global.verdict)), grouped(global.count),
               printable(global.where)});
  }
  const std::string unsafe(to_string(Verdict::unsafe));
  const std::uint64_t bad = count_unsafe(globals);
  std::string text = "names in the pickle (never looked up)\n";
  if (!globals.empty()) text += table.text();
  if (bad == 0) return text + "  none of them is " + unsafe + "\n";
  return text + "  " + std::to_string(bad) + " " + unsafe +
         ": loading this file in Python can run code\n";
}

std::string candidates_text(const std::vector<Candidate>& candidates) {
  if (candidates.empty()) return "exporters\n  none takes this kind of source\n";
  Table table({"exporter", "makes", "confidence", "because"});
  for (const Candidate& candidate : candidates) {
    table.add({candidate.exporter, candidate.component, std::to_string(candidate.probe.confidence),
               printable(candidate.probe.reason)});
  }
  return "exporters\n" + table.text();
}

std::string component_text(const SourceInspection& found) {
  if (found.refusal) {
    const Error& error = *found.refusal;
    std::string text = paint(Tone::error, "not exportable") + "\n  " + error.message() + " [" +
                       error.code() + "]\n";
    if (error.hint().empty()) return text;
    return text + "  " + paint(Tone::hint, "hint:") + " " + error.hint() + "\n";
  }
  const ManifestComponent component = describe_component(*found.component);
  std::string text = component.role + "\n" + summary_text(component.summary);
  std::vector<std::string> read;
  for (const ManifestRead& file : component.files_read) read.push_back(file.name);
  if (!read.empty()) text += "  read: " + list_text(read, 32) + "\n";
  for (const std::string& check : component.checks) text += "  checked: " + check + "\n";
  for (const std::string& warning : component.warnings)
    text += "  " + paint(Tone::warning, "warning:") + " " + warning + "\n";
  return text + "next\n  " + next_command(component, found.source.given()) + "\n";
}

std::string files_text(const Path& directory, const std::vector<SourceInspection::File>& files) {
  Table table({"file", "size"});
  for (const SourceInspection::File& file : files) {
    table.add({printable(file.name), human_bytes(file.size)});
  }
  return path_text(directory) + ": directory of " + counted(files.size(), "file") + "\n" +
         table.text();
}

std::string to_text(const SourceInspection& found) {
  std::string text;
  if (found.source.kind() == AcceptedSource::Kind::directory) {
    text = files_text(found.source.directory().path(), found.files);
  }
  if (found.source.kind() == AcceptedSource::Kind::pretrained) {
    text = printable(found.source.name()) + ": name of a pretrained model, no file\n";
  }
  if (found.contents) {
    const Checkpoint& checkpoint = found.source.checkpoint();
    text = format_line(checkpoint) + keys_text(checkpoint, *found.contents) +
           states_text(found.contents->state_dicts) + globals_text(checkpoint.globals());
  }
  return text + candidates_text(found.candidates) + component_text(found);
}

// --- A bundle ----------------------------------------------------------------------------------

std::string manifest_text(const Verification& found) {
  const std::optional<Manifest>& manifest = found.stated;
  if (!manifest) {
    const bool broken = std::ranges::count(found.findings, kManifestFile, &Finding::where) > 0;
    return broken ? "  " + std::string(kManifestFile) + " cannot be read, nothing to compare\n"
                  : "  no " + std::string(kManifestFile) +
                        ": not written by craftbundle, nothing to compare\n";
  }
  std::string text =
      "  " + std::string(kManifestFile) + " by " + printable(manifest->producer) + "\n";
  Table table({"role", "made from", "exporter", "revision", "sha256"});
  for (const ManifestComponent& component : manifest->components) {
    const ManifestFile* file = file_of(*manifest, component.role);
    table.add({printable(component.role), printable(component.source),
               printable(component.exporter), std::to_string(component.exporter_revision),
               file == nullptr ? "-" : digest_text(*file)});
  }
  text += table.text();
  if (manifest->mismatch_allowed) text += "  was written with --allow-mismatch\n";
  if (manifest->check == ContentCheck::structure) text += "  " + unchecked_text() + "\n";
  return text;
}

std::string to_text(const Path& directory, const Verification& found) {
  Table files({"file", "role", "size"});
  for (const VerifiedComponent& component : found.components) {
    files.add({component.file, printable(component.role), human_bytes(component.size)});
  }
  std::string text = path_text(directory) + ": bundle of " +
                     counted(found.components.size(), "component") + "\n" + files.text();
  for (const ManifestComponent& component : found.described.components) {
    text += component.role + "\n" + summary_text(component.summary);
    for (const std::string& warning : component.warnings)
      text += "  " + paint(Tone::warning, "warning:") + " " + warning + "\n";
  }
  text += "fit\n" + fit_text(found.described.fit) + "manifest\n" + manifest_text(found);
  if (!found.is_sound()) text += paint(Tone::error, "problems") + "\n";
  for (const std::string& problem : found.texts(Finding::Outcome::fails)) {
    text += "  " + problem + "\n";
  }
  // How an exporter's model is loaded holds for the layout that is the usual one.
  std::string loading;
  if (found.stated) {
    loading = loading_hint(found.stated->components, directory);
  } else if (joins_layout(found.layout, kDefaultLayout)) {
    loading = loading_hint(found.described.components, directory);
  }
  if (!loading.empty()) text += "next\n  " + loading + "\n";
  return text;
}

int run(const Arguments& arguments, Session& session) {
  const SourceOptions lookup = arguments.how.lookup();
  if (arguments.tensors) {
    print_tensors(arguments.source, arguments.pattern, lookup, arguments.json, session);
    return kExitDone;
  }
  if (!arguments.other.empty()) {
    return print_diff(arguments.source, arguments.other, lookup, arguments.values, arguments.json,
                      session);
  }
  if (const auto bundle =
          arguments.config ? std::nullopt : bundle_of(arguments.source, lookup, session.host())) {
    const Verification found = inspect_bundle(*bundle, session.host());
    session.print(arguments.json ? bundle_json(*bundle, found) : to_text(*bundle, found));
    return found.is_sound() ? kExitDone : kExitMismatch;
  }
  const Source source = arguments.how.resolve(arguments.source, session);
  if (arguments.config) {
    session.print(config_text(source, session.host()), arguments.raw);
    return kExitDone;
  }
  const SourceInspection found = inspect_source(source, session.host());
  session.print(arguments.json ? to_json(found) : to_text(found));
  return kExitDone;
}

}  // namespace

void add_inspect(CLI::App& app, Command& command) {
  CLI::App* sub = app.add_subcommand("inspect", "Show what is in a checkpoint or bundle");
  const auto arguments = std::make_shared<Arguments>();
  sub->add_option("source", arguments->source, "Checkpoint, bundle directory, signature or name")
      ->required()
      ->type_name("SOURCE");
  CLI::Option* config = sub->add_flag(
      "--config", arguments->config, "Print only the configuration, as the exported file holds it");
  sub->add_flag("--raw", arguments->raw, "Escape nothing of it for a terminal")->needs(config);
  sub->add_flag("--json", arguments->json, "Print JSON")->excludes(config);
  CLI::Option* tensors =
      sub->add_option("--tensors", arguments->pattern,
                      "List every tensor, or those whose names have a word or fit a pattern")
          ->expected(0, 1)
          ->type_name("[PATTERN]")
          ->excludes(config);
  CLI::Option* diff = sub->add_option("--diff", arguments->other,
                                      "Compare with this source: tensors by name, type and shape, "
                                      "and configurations; exit code 4 when they differ")
                          ->type_name("SOURCE")
                          ->excludes(config)
                          ->excludes(tensors);
  sub->add_flag("--values", arguments->values, "Compare the elements of tensors too")->needs(diff);
  arguments->how.declare_xps(*sub);
  sub->footer(kFooter);
  sub->callback([arguments, tensors, &command] {
    arguments->tensors = tensors->count() > 0;
    command.json = arguments->json;
    command.run = [arguments](Session& session) { return run(*arguments, session); };
  });
}

}  // namespace craftbundle::app
