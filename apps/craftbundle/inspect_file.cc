#include <algorithm>
#include <boost/filesystem/operations.hpp>
#include <optional>

#include "contents.h"
#include "craftbundle/base/text.h"
#include "craftbundle/bundle/transform.h"
#include "craftbundle/omegaconf/config.h"
#include "inspect.h"
#include "report.h"
#include "table.h"

namespace craftbundle::app {
namespace {

using Verdict = GlobalReference::Verdict;

constexpr std::string_view kUnsafe = "unsafe";

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::known:
      return "known";
    case Verdict::unknown:
      return "unknown";
    case Verdict::unsafe:
      return kUnsafe;
  }
  return "unknown";
}

// What inspect finds out; the two forms of output are made from it.
struct Findings {
  const Source& source;
  std::vector<Candidate> candidates;
  std::optional<ManifestComponent> component;  // when an exporter takes the source
  std::optional<Error> refusal;                // why none does
  std::optional<Contents> contents;            // of a checkpoint
};

Findings find_out(const Source& source, const Host& host) {
  Findings findings{source, host.probe(source), {}, {}, {}};
  if (source.kind() == AcceptedSource::Kind::checkpoint) {
    findings.contents = look_into(source.checkpoint());
  }
  try {
    findings.component = describe_component(prepare_component({source, {}, {}, {}, {}}, host));
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted) throw;
    findings.refusal = error;
  }
  return findings;
}

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

std::string keys_text(const Checkpoint& checkpoint, const Contents& contents) {
  if (contents.keys.empty()) return "root\n  " + describe(checkpoint.root()) + "\n";
  Table table({"key", "what", "tensors", "bytes"});
  for (const TopLevelKey& key : contents.keys) {
    const bool tensors = key.tensors > 0;
    table.add({key.key, key.what, tensors ? grouped(key.tensors) : "-",
               tensors ? human_bytes(key.bytes) : "-"});
  }
  return "keys\n" + table.text();
}

std::string states_text(const std::vector<StateDict>& states) {
  if (states.empty()) return {};
  Table table({"state dict", "tensors", "parameters", "types"});
  for (const StateDict& state : states) {
    std::string types;
    for (const auto& [dtype, bytes] : state.by_dtype) {
      types += (types.empty() ? "" : ", ") + dtype + " " + human_bytes(bytes);
    }
    table.add({state.where.empty() ? "(root)" : state.where, grouped(state.tensors),
               grouped(state.parameters), types});
  }
  return "state dicts\n" + table.text();
}

std::uint64_t count_unsafe(const std::vector<GlobalReference>& globals) {
  return static_cast<std::uint64_t>(std::count_if(
      globals.begin(), globals.end(),
      [](const GlobalReference& global) { return global.verdict == Verdict::unsafe; }));
}

std::string globals_text(const std::vector<GlobalReference>& globals) {
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
  const std::uint64_t bad = count_unsafe(globals);
  std::string text = "names in the pickle (never looked up)\n";
  if (!globals.empty()) text += table.text();
  if (bad == 0) return text + "  none of them is " + std::string(kUnsafe) + "\n";
  return text + "  " + std::to_string(bad) + " " + std::string(kUnsafe) +
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

std::string component_text(const Findings& findings) {
  if (findings.refusal) {
    const Error& error = *findings.refusal;
    std::string text = "not exportable\n  " + error.message() + " [" + error.code() + "]\n";
    return error.hint().empty() ? text : text + "  hint: " + error.hint() + "\n";
  }
  const ManifestComponent& component = *findings.component;
  std::string text = component.role + "\n" + summary_text(component.summary);
  std::vector<std::string> read;
  for (const ManifestRead& file : component.files_read) read.push_back(file.name);
  if (!read.empty()) text += "  read: " + list_text(read, 32) + "\n";
  for (const std::string& check : component.checks) text += "  checked: " + check + "\n";
  for (const std::string& warning : component.warnings) text += "  warning: " + warning + "\n";
  return text + "next\n  " + next_command(component, findings.source.given()) + "\n";
}

std::uint64_t size_in(const SourceDirectory& directory, const std::string& name) {
  boost::system::error_code ignored;
  return boost::filesystem::file_size(directory.path() / name, ignored);
}

std::string files_text(const SourceDirectory& directory) {
  const std::size_t count = directory.files().size();
  Table table({"file", "size"});
  for (const std::string& name : directory.files()) {
    table.add({printable(name), human_bytes(size_in(directory, name))});
  }
  return path_text(directory.path()) + ": directory of " + std::to_string(count) +
         (count == 1 ? " file\n" : " files\n") + table.text();
}

std::string to_text(const Findings& findings) {
  std::string text;
  if (findings.contents) {
    const Checkpoint& checkpoint = findings.source.checkpoint();
    text = format_line(checkpoint) + keys_text(checkpoint, *findings.contents) +
           states_text(findings.contents->state_dicts) + globals_text(checkpoint.globals());
  } else if (findings.source.kind() == AcceptedSource::Kind::directory) {
    text = files_text(findings.source.directory());
  } else {
    text = printable(findings.source.name()) + ": name of a pretrained model, no file\n";
  }
  return text + candidates_text(findings.candidates) + component_text(findings);
}

Json checkpoint_json(const Checkpoint& checkpoint, const Contents& contents) {
  const CheckpointFormat& format = checkpoint.format();
  const bool zip = format.container == CheckpointFormat::Container::zip;
  Json json;
  json["file"] = checkpoint.file().path().string();
  json["size"] = checkpoint.file().size();
  json["container"] = zip ? "zip" : "legacy";
  json["records"] = format.records;
  json["pickle_protocol"] = format.pickle_protocol;
  json["big_endian"] = format.big_endian;
  json["notes"] = format.notes;
  json["root"] = describe(checkpoint.root());
  json["keys"] = Json::array();
  for (const TopLevelKey& key : contents.keys) {
    json["keys"].push_back(
        {{"key", key.key}, {"what", key.what}, {"tensors", key.tensors}, {"bytes", key.bytes}});
  }
  json["state_dicts"] = Json::array();
  for (const StateDict& state : contents.state_dicts) {
    json["state_dicts"].push_back({{"where", state.where},
                                   {"tensors", state.tensors},
                                   {"parameters", state.parameters},
                                   {"bytes_by_type", state.by_dtype}});
  }
  json["names"] = Json::array();
  for (const GlobalReference& global : checkpoint.globals()) {
    json["names"].push_back({{"name", printable(global.name)},
                             {"verdict", to_string(global.verdict)},
                             {"uses", global.count},
                             {"where", printable(global.where)}});
    if (!global.written.empty()) json["names"].back()["written"] = printable(global.written);
  }
  json["unsafe"] = count_unsafe(checkpoint.globals());
  return json;
}

Json directory_json(const SourceDirectory& directory) {
  Json json;
  json["path"] = directory.path().string();
  json["files"] = Json::array();
  for (const std::string& name : directory.files()) {
    json["files"].push_back({{"name", printable(name)}, {"size", size_in(directory, name)}});
  }
  return json;
}

Json to_json(const Findings& findings) {
  Json json;
  json["source"] = findings.source.given();
  json["source_kind"] = to_string(findings.source.kind());
  if (findings.contents) {
    json["checkpoint"] = checkpoint_json(findings.source.checkpoint(), *findings.contents);
  }
  if (findings.source.kind() == AcceptedSource::Kind::directory) {
    json["directory"] = directory_json(findings.source.directory());
  }
  json["exporters"] = Json::array();
  for (const Candidate& candidate : findings.candidates) {
    json["exporters"].push_back({{"exporter", candidate.exporter},
                                 {"component", candidate.component},
                                 {"confidence", candidate.probe.confidence},
                                 {"reason", candidate.probe.reason}});
  }
  if (findings.component) json["component"] = component_json(*findings.component);
  if (findings.refusal) json["not_exportable"] = error_json(*findings.refusal);
  return json;
}

}  // namespace

Json source_findings(const Source& source, const Host& host) {
  return to_json(find_out(source, host));
}

int inspect_source(const InspectArguments& arguments, Session& session) {
  const Source source = arguments.how.resolve(arguments.source, session);
  const Findings findings = find_out(source, session.host());
  session.print(arguments.json ? dump_pretty(to_json(findings)) : to_text(findings));
  return kExitDone;
}

// The configuration among the top-level values: an OmegaConf object, or its text.
std::string config_text(const Checkpoint& checkpoint) {
  const Object root = checkpoint.root();
  if (root.is(Kind::dict)) {
    for (const DictView::Entry entry : root.entries()) {
      if (Config::is_config(entry.value)) {
        return Config::from_object(entry.value, root).text();
      }
      const bool is_text = entry.value.is(Kind::string);
      if (is_text && entry.value.as_string().find(":") != std::string_view::npos &&
          entry.value.as_string().ends_with('\n')) {
        return std::string(entry.value.as_string());
      }
    }
  }
  throw Error(ErrorKind::input, "config.none", "holds no configuration of a training",
              "'craftbundle inspect' shows what it holds");
}

int inspect_config(const InspectArguments& arguments, Session& session) {
  const Source source = arguments.how.resolve(arguments.source, session);
  std::string name;
  if (source.kind() == AcceptedSource::Kind::pretrained) name = source.name();
  if (source.kind() == AcceptedSource::Kind::directory) {
    const PreparedComponent prepared = prepare_component({source, {}, {}, {}, {}}, session.host());
    if (const Model* model = prepared.component.model()) {
      session.print(model->config.text());
      return kExitDone;
    }
    name = std::get<Reference>(prepared.component.content).name;
  }
  if (source.kind() != AcceptedSource::Kind::checkpoint) {
    throw Error(ErrorKind::input, "config.none",
                craftbundle::quoted(name) +
                    " is the name of a pretrained model, its configuration is "
                    "in no file here");
  }
  const Checkpoint& checkpoint = source.checkpoint();
  session.print(with_context([&] { return path_text(checkpoint.file().path()); },
                             [&] { return config_text(checkpoint); }));
  return kExitDone;
}

}  // namespace craftbundle::app
