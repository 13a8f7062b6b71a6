#include "craftbundle/detail/bundle/inspection.h"

#include <algorithm>
#include <boost/filesystem/operations.hpp>
#include <set>
#include <unordered_set>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/bundle/bundle.h"
#include "craftbundle/detail/bundle/json.h"
#include "craftbundle/detail/bundle/transform.h"
#include "craftbundle/detail/checkpoint/limits.h"
#include "craftbundle/detail/omegaconf/config.h"

namespace craftbundle {
namespace {

using Verdict = GlobalReference::Verdict;

std::optional<Tensor> tensor_of(const Checkpoint& checkpoint, Object object) {
  if (!Checkpoint::is_tensor(object)) return std::nullopt;
  try {
    return checkpoint.tensor(object);
  } catch (const Error&) {
    return std::nullopt;
  }
}

void count_tensors(const Checkpoint& checkpoint, Object top, CheckpointContents::Key& key) {
  std::set<std::string> storages;
  for_each_reachable(top, [&](Object object) {
    const auto tensor = tensor_of(checkpoint, object);
    if (!tensor) return true;
    ++key.tensors;
    if (storages.insert(tensor->storage.key).second) key.bytes += tensor->storage.bytes;
    return false;
  });
}

CheckpointContents::StateDict describe_state(const Checkpoint& checkpoint, Object dict) {
  CheckpointContents::StateDict state;
  for (const auto [key, value] : dict.entries()) {
    const auto tensor = tensor_of(checkpoint, value);
    if (!tensor) continue;
    ++state.tensors;
    const std::uint64_t elements = element_count(tensor->layout.shape).value_or(0);
    state.parameters += elements;
    state.by_dtype[std::string(name(tensor->dtype))] += elements * item_size(tensor->dtype);
  }
  return state;
}

// A dict in dicts, and where it is.
struct DictPlace {
  Object dict;
  std::size_t parent = 0;  // its number; the root is its own
  Object key;              // in the parent
};

// Made only for places that are shown: each is as long as it is deep.
std::string place_text(const std::vector<DictPlace>& places, std::size_t i) {
  std::vector<std::size_t> path;
  for (; places[i].parent != i; i = places[i].parent) path.push_back(i);
  std::string text;
  for (auto step = path.rbegin(); step != path.rend(); ++step) {
    if (static_cast<std::size_t>(step - path.rbegin()) == limits::kPrintedDepth) {
      return text + "...";
    }
    text += "[" + quoted(places[*step].key.as_string(), 60) + "]";
  }
  return text;
}

std::vector<CheckpointContents::StateDict> find_state_dicts(const Checkpoint& checkpoint) {
  // A file can hold any number of dicts of tensors; a list of more helps nobody.
  constexpr std::size_t kMost = 32;
  std::vector<CheckpointContents::StateDict> found;
  std::unordered_set<std::uint32_t> seen;
  const Object root = checkpoint.root();
  std::vector<DictPlace> places = {{root, 0, root}};
  std::vector<std::size_t> open = {0};
  while (!open.empty() && found.size() < kMost) {
    const std::size_t i = open.back();
    open.pop_back();
    const Object dict = places[i].dict;
    if (!dict.is(Kind::dict) || !seen.insert(dict.id()).second) continue;
    CheckpointContents::StateDict state = describe_state(checkpoint, dict);
    if (state.tensors > 0) {
      state.where = place_text(places, i);
      found.push_back(std::move(state));
    }
    const DictView entries = dict.entries();
    // Reversed, so that the stack gives them back in their order.
    for (std::size_t k = entries.size(); k-- > 0;) {
      const auto [key, value] = entries.entry(k);
      if (!key.is(Kind::string) || !value.is(Kind::dict)) continue;
      open.push_back(places.size());
      places.push_back({value, i, key});
    }
  }
  return found;
}

// The OmegaConf object among the values of a dict, when there is one and no other.
std::optional<Object> only_config(Object root) {
  if (!root.is(Kind::dict)) return std::nullopt;
  std::optional<Object> found;
  for (const DictView::Entry entry : root.entries()) {
    if (!Config::is_config(entry.value)) continue;
    if (found) return std::nullopt;
    found = entry.value;
  }
  return found;
}

Json checkpoint_json(const Checkpoint& checkpoint, const CheckpointContents& contents) {
  Json json;
  const CheckpointFormat& format = checkpoint.format();
  const bool zip = format.container == CheckpointFormat::Container::zip;
  json["file"] = checkpoint.file().path().string();
  json["size"] = checkpoint.file().size();
  json["container"] = zip ? "zip" : "legacy";
  json["records"] = format.records;
  json["pickle_protocol"] = format.pickle_protocol;
  json["big_endian"] = format.big_endian;
  json["notes"] = format.notes;
  json["root"] = describe(checkpoint.root());
  json["keys"] = json_list(contents.keys, [](const CheckpointContents::Key& key) -> Json {
    return {{"key", key.name}, {"what", key.what}, {"tensors", key.tensors}, {"bytes", key.bytes}};
  });
  json["state_dicts"] =
      json_list(contents.state_dicts, [](const CheckpointContents::StateDict& state) -> Json {
        return {{"where", state.where},
                {"tensors", state.tensors},
                {"parameters", state.parameters},
                {"bytes_by_type", state.by_dtype}};
      });
  json["names"] = json_list(checkpoint.globals(), [](const GlobalReference& global) {
    Json one = {{"name", printable(global.name)},
                {"verdict", to_string(global.verdict)},
                {"uses", global.count},
                {"where", printable(global.where)}};
    if (!global.written.empty()) one["written"] = printable(global.written);
    return one;
  });
  json["unsafe"] = count_unsafe(checkpoint.globals());
  return json;
}

std::vector<SourceInspection::File> files_of(const SourceDirectory& directory) {
  std::vector<SourceInspection::File> files;
  for (const std::string& name : directory.files()) {
    boost::system::error_code failure;
    const std::uintmax_t size = boost::filesystem::file_size(directory.path() / name, failure);
    files.push_back({name, failure ? 0 : size});
  }
  return files;
}

Json directory_json(const Path& directory, const std::vector<SourceInspection::File>& files) {
  return {{"path", directory.string()},
          {"files", json_list(files, [](const SourceInspection::File& file) -> Json {
             return {{"name", printable(file.name)}, {"size", file.size}};
           })}};
}

}  // namespace

CheckpointContents contents_of(const Checkpoint& checkpoint) {
  CheckpointContents contents;
  if (checkpoint.root().is(Kind::dict)) {
    for (const auto [key, value] : checkpoint.root().entries()) {
      CheckpointContents::Key entry;
      entry.name = key.is(Kind::string) ? printable(key.as_string(), 60) : describe(key);
      entry.what = describe(value);
      count_tensors(checkpoint, value, entry);
      contents.keys.push_back(std::move(entry));
    }
  }
  contents.state_dicts = find_state_dicts(checkpoint);
  return contents;
}

std::uint64_t count_unsafe(const std::vector<GlobalReference>& names) {
  return static_cast<std::uint64_t>(
      std::ranges::count(names, Verdict::unsafe, &GlobalReference::verdict));
}

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::known:
      return "known";
    case Verdict::unknown:
      return "unknown";
    case Verdict::unsafe:
      return "unsafe";
  }
  return "unknown";
}

SourceInspection inspect_source(const Source& source, const Host& host) {
  SourceInspection found{source, {}, {}, host.probe(source), {}, {}};
  if (source.kind() == AcceptedSource::Kind::checkpoint) {
    found.contents = contents_of(source.checkpoint());
  } else if (source.kind() == AcceptedSource::Kind::directory) {
    found.files = files_of(source.directory());
  }
  try {
    found.component = prepare_component({source, {}, {}, {}, {}}, host);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted) throw;
    found.refusal = error;
  }
  return found;
}

Verification inspect_bundle(const Path& directory, const Host& host) {
  VerifyOptions options;
  options.depth = VerifyOptions::Depth::structure;
  return verify(directory, host, options);
}

std::string to_json(const SourceInspection& found) {
  Json json;
  json["source"] = found.source.given();
  json["source_kind"] = to_string(found.source.kind());
  if (found.contents) {
    json["checkpoint"] = checkpoint_json(found.source.checkpoint(), *found.contents);
  }
  if (found.source.kind() == AcceptedSource::Kind::directory) {
    json["directory"] = directory_json(found.source.directory().path(), found.files);
  }
  json["exporters"] = json_list(found.candidates, [](const Candidate& candidate) -> Json {
    return {{"exporter", candidate.exporter},
            {"component", candidate.component},
            {"confidence", candidate.probe.confidence},
            {"reason", candidate.probe.reason}};
  });
  if (found.component) json["component"] = component_json(describe_component(*found.component));
  if (found.refusal) json["not_exportable"] = error_json(*found.refusal);
  return json_document(json);
}

std::string bundle_json(const Path& directory, const Verification& found) {
  Json json;
  json["directory"] = directory.string();
  json["files"] = json_list(found.components, [](const VerifiedComponent& component) -> Json {
    return {{"file", component.file}, {"role", component.role}, {"size", component.size}};
  });
  json["components"] = json_list(found.described.components, component_json);
  json["fit"] = fit_json(found.described.fit);
  json["manifest"] = found.stated ? manifest_json(*found.stated) : Json();
  json["problems"] = found.texts(Finding::Outcome::fails);
  return json_document(json);
}

Config config_of(const Source& source, const Host& host) {
  std::optional<PreparedComponent> prepared;
  try {
    prepared = prepare_component({source, {}, {}, {}, {}}, host);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::input || source.kind() != AcceptedSource::Kind::checkpoint) {
      throw;
    }
    // What is not exported can still be looked at.
    const Object root = source.checkpoint().root();
    const std::optional<Object> config = only_config(root);
    if (!config) throw;
    return Config::from_object(*config, root);
  }
  if (const Model* model = prepared->component.model()) return model->config;
  throw Error(ErrorKind::input, "config.none",
              craftbundle::quoted(std::get<Reference>(prepared->component.content).name) +
                  " is the name of a pretrained model, its configuration is in no file here");
}

std::string config_text(const Source& source, const Host& host) {
  return config_of(source, host).text();
}

}  // namespace craftbundle
