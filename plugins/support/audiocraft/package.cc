#include "craftbundle/audiocraft_rules/package.h"

#include <algorithm>
#include <array>
#include <utility>

#include "craftbundle/audiocraft_rules/facts.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/omegaconf/node.h"

namespace craftbundle::audiocraft {
namespace {

bool is_text(std::optional<Object> value) { return value && value->is(Kind::string); }
bool is_dict(std::optional<Object> value) { return value && value->is(Kind::dict); }

bool holds_tensors(std::optional<Object> value) {
  if (!is_dict(value) || value->size() == 0) return false;
  return Checkpoint::is_tensor(value->entries().entry(0).value);
}

bool is_empty_dict(Object value) { return value.is(Kind::dict) && value.size() == 0; }

FileKind kind_of_other_dict(Object root) {
  if (root.contains("pytorch-lightning_version")) {
    return {FileForm::other, "a checkpoint of PyTorch Lightning"};
  }
  if (root.contains("n_bands") && root.contains("sample_rate")) {
    return {FileForm::other,
            "a package of MultiBand Diffusion decoders, which is no part of a bundle: AudioCraft "
            "takes the "
            "file as it is"};
  }
  if (holds_tensors(root)) {
    return {FileForm::other, "a bare state dict of " + std::to_string(root.size()) +
                                 " entries, without a configuration"};
  }
  std::vector<std::string> keys;
  for (const DictView::Entry entry : root.entries()) {
    if (keys.size() > 8) break;
    keys.push_back(entry.key.is(Kind::string) ? std::string(entry.key.as_string())
                                              : describe(entry.key));
  }
  if (keys.empty()) return {FileForm::other, "an empty dict"};
  return {FileForm::other, "a dict with " + list_text(keys)};
}

// Training configurations are objects. As text, they belong to exported packages.
Config training_config(Object root) {
  const std::optional<Object> config = root.find("xp.cfg");
  if (!config) {
    throw Error(ErrorKind::input, "config.missing",
                "the checkpoint has no 'xp.cfg', the configuration of the training",
                "a model cannot be built from tensors alone; use the checkpoint.th that AudioCraft "
                "wrote, or say with --config-from which model has the configuration");
  }
  if (config->is(Kind::string)) {
    throw Error(ErrorKind::input, "config.type",
                "xp.cfg is text, but best_state is laid out as in a training checkpoint, where "
                "xp.cfg is an OmegaConf object",
                "make one of it in Python, pkg = torch.load(FILE, weights_only=False):\n"
                "pkg['xp.cfg'] = omegaconf.OmegaConf.create(pkg['xp.cfg']), torch.save(pkg, FILE)");
  }
  return with_context("xp.cfg", [&] { return Config::from_object(*config, root); });
}

Config exported_config(Object root) {
  const std::optional<Object> config = root.find("xp.cfg");
  if (!config) {
    throw Error(ErrorKind::input, "config.missing",
                "the package has no 'xp.cfg', the text of the configuration");
  }
  if (!config->is(Kind::string)) {
    // A package edited by hand may hold the object; the loaders of AudioCraft take it as well.
    return with_context("xp.cfg", [&] { return Config::from_object(*config, root); });
  }
  return with_context("xp.cfg",
                      [&] { return Config::from_yaml(std::string(config->as_string())); });
}

void check_package_field(Object root, std::string_view key, Kind kind, std::string_view expected) {
  const std::optional<Object> value = root.find(key);
  if (!value || value->is(kind)) return;
  throw Error(
      ErrorKind::input, "package.field",
      "'" + std::string(key) + "' is " + describe(*value) + ", expected " + std::string(expected));
}

void check_exported_flag(Object root) {
  check_package_field(root, "exported", Kind::boolean, "True");
  const std::optional<Object> flag = root.find("exported");
  if (flag && !flag->as_bool()) {
    throw Error(ErrorKind::input, "package.field", "'exported' is False, expected True");
  }
}

// Adds `key` to `package` if it is plain data; the rest of the file has no place in a package.
void keep_extra(const Checkpoint& checkpoint, const DictView::Entry& entry, Value::Dict& package,
                std::vector<std::string>& warnings) {
  if (!entry.key.is(Kind::string)) {
    warnings.push_back("the key " + describe(entry.key) + " is no text and is left out");
    return;
  }
  const std::string key(entry.key.as_string());
  try {
    package.emplace_back(key, to_value(entry.value, checkpoint, "[" + quoted(key) + "]"));
  } catch (const Error& error) {
    warnings.push_back("the extra key " + quoted(key) + " is left out: " + error.message());
  }
}

void refuse_duplicate_keys(Object root) {
  std::vector<std::string_view> keys;
  for (const DictView::Entry entry : root.entries()) {
    if (entry.key.is(Kind::string)) keys.push_back(entry.key.as_string());
  }
  std::sort(keys.begin(), keys.end());
  const auto twice = std::adjacent_find(keys.begin(), keys.end());
  if (twice == keys.end()) return;
  throw Error(ErrorKind::input, "package.duplicate_key",
              "the file has the key " + quoted(*twice) + " twice");
}

// What training counts and sums up in AudioCraft's codebooks: sums grow beyond what 16 bits hold,
// and no loader computes with them.
constexpr std::array<const char*, 3> kCounters = {"*._codebook.inited", "*._codebook.cluster_size",
                                                  "*._codebook.embed_avg"};

// Exporters of third parties need not know the option.
bool is_set(const ExportRequest& request, std::string_view name) {
  return std::ranges::any_of(request.options, [name](const OptionValue& option) {
    return option.name == name && option.value == "true";
  });
}

bool is_as_is(const ExportRequest& request) { return is_set(request, kAsIsOption); }

// A value of a configuration that is a path, which YAML text makes again by a tag.
struct PathValue {
  std::string key;  // "cache.path"
  std::string class_name;

  std::string tag() const { return "!!python/object/apply:" + class_name; }
  bool is(std::string_view name) const { return class_name.ends_with("." + std::string(name)); }
  bool is_of_windows() const { return is("WindowsPath"); }
  bool is_pure() const { return class_name.find(".Pure") != std::string::npos; }
  // As Python 3.13 spells it.
  bool is_local() const { return class_name.starts_with("pathlib._local."); }
};

// Its text, as str() of the path gives it.
std::string text_of(const ConfigPath& path) {
  const bool of_windows = path.class_name.ends_with("WindowsPath");
  const char separator = of_windows ? '\\' : '/';
  std::string text;
  for (const std::string& part : path.arguments) {
    if (!text.empty() && text.back() != separator) text += separator;
    text += part;
  }
  return text.empty() ? "." : text;
}

// The paths in `node`, whose key is `key`. With `as_text`, they become text.
void find_paths(ConfigNode& node, const std::string& key, bool as_text,
                std::vector<PathValue>& found) {
  if (const auto* path = node.get_if<ConfigPath>()) {
    found.push_back({key, path->class_name});
    if (as_text) node.value = text_of(*path);
  } else if (auto* list = std::get_if<ConfigNode::List>(&node.value)) {
    for (std::size_t i = 0; i < list->size(); ++i) {
      find_paths((*list)[i], key + "[" + std::to_string(i) + "]", as_text, found);
    }
  } else if (auto* mapping = std::get_if<ConfigNode::Mapping>(&node.value)) {
    for (ConfigEntry& entry : *mapping) {
      const std::string name = key_text(entry.key);
      find_paths(entry.value, key.empty() ? name : key + "." + name, as_text, found);
    }
  }
}

void write_paths_as_text(Opened& opened) {
  ConfigNode root = opened.config.root();
  std::vector<PathValue> found;
  find_paths(root, {}, true, found);
  if (found.empty()) return;
  opened.config = Config::from_yaml(to_yaml(root));
  opened.checks.push_back(counted(found.size(), "path") + " of " + std::string(kConfigKey) +
                          " written as text");
}

// The first of `paths` for which `holds`, with how many more there are; empty: none.
template <typename Holds>
std::string name_some(const std::vector<PathValue>& paths, Holds&& holds) {
  const auto first = std::ranges::find_if(paths, holds);
  if (first == paths.end()) return {};
  const auto more = std::ranges::count_if(paths, holds) - 1;
  return printable(first->key, 80) + " of " + std::string(kConfigKey) + " is " + first->tag() +
         (more > 0 ? " (and " + std::to_string(more) + " more)" : "");
}

// What AudioCraft cannot read of the configuration, though Python wrote it.
void judge_paths(const Config& config, Component& component) {
  constexpr std::string_view kInstead =
      "; the option paths-as-text=true of the exporter writes paths as text";
  ConfigNode root = config.root();
  std::vector<PathValue> paths;
  find_paths(root, {}, false, paths);
  const std::string pure = name_some(paths, [](const PathValue& path) { return path.is_pure(); });
  const std::string windows =
      name_some(paths, [](const PathValue& path) { return path.is_of_windows(); });
  const std::string local = name_some(paths, [](const PathValue& path) { return path.is_local(); });
  const auto add = [&](const std::string& found, const std::string& who, const std::string& where,
                       bool loads_here) {
    if (found.empty()) return false;
    component.warnings.push_back(found + ", which " + who + std::string(kInstead));
    refuse_loading(component.loaders, where + ": " + found);
    if (!loads_here) component.load_with.clear();
    return true;
  };
  if (add(pure, "no OmegaConf reads", "it stops at a path", false)) return;
  if (add(windows, "can be made on Windows only", "only on Windows", false)) return;
  add(local, "OmegaConf before 2.4 does not read", "only with OmegaConf 2.4 and later", true);
}

// "the package has best_state, xp.cfg, version and exported", of those that are there.
std::string contents_text(Object root) {
  std::vector<std::string> there;
  for (const std::string_view key : {kBestStateKey, kConfigKey, kVersionKey, kExportedKey}) {
    if (root.contains(key)) there.emplace_back(key);
  }
  const std::string last = there.back();
  there.pop_back();
  return "the package has " + join(there, ", ") + " and " + last;
}

Opened open_training(const ExportRequest& request) {
  const Checkpoint& checkpoint = request.source.checkpoint();
  const Object root = checkpoint.root();
  refuse_duplicate_keys(root);
  Config config = training_config(root);
  State state = choose_state(checkpoint, config, state_choice(request.option(kStateOption)));
  if (!is_as_is(request)) remove_wrappers(state);
  return {std::move(config), std::move(state), fresh_extra(request), {}, {}};
}

Opened open_exported(const ExportRequest& request) {
  const Checkpoint& checkpoint = request.source.checkpoint();
  const Object root = checkpoint.root();
  refuse_duplicate_keys(root);
  require_single_state(request);
  check_package_field(root, "version", Kind::string, "the version of AudioCraft as text");
  check_exported_flag(root);
  Config config = exported_config(root);
  State state = read_state(root.at("best_state"), checkpoint, "best_state");
  if (!is_as_is(request)) remove_wrappers(state);

  Value::Dict extra;
  std::vector<std::string> warnings;
  for (const DictView::Entry entry : root.entries()) {
    const std::string_view key =
        entry.key.is(Kind::string) ? entry.key.as_string() : std::string_view();
    if (key == kBestStateKey || key == kConfigKey) {
      extra.emplace_back(std::string(key), Value());
    } else {
      keep_extra(checkpoint, entry, extra, warnings);
    }
  }
  // The first released packages had none.
  if (!root.contains(kVersionKey)) {
    extra.emplace_back(kVersionKey, request.option(kVersionOption));
    warnings.push_back("the package states no version of AudioCraft: " +
                       printable(request.option(kVersionOption), 40) + " is written");
  }
  return {std::move(config),
          std::move(state),
          std::move(extra),
          {contents_text(root)},
          std::move(warnings)};
}

// What a layout read; whether it is sound is for the exporter to find out.
Opened open_read_model(const ExportRequest& request) {
  require_single_state(request);
  const Model& model = request.source.model();
  return {model.config, State{model.origin, model.tensors, {}}, model.extra, {}, {}};
}

bool has_best_state(Object root) {
  for (const char* key : {"fsdp_best_state", "best_state"}) {
    const std::optional<Object> state = root.find(key);
    if (!is_dict(state)) continue;
    const std::optional<Object> model = state->find("model");
    if (holds_tensors(state) || (model && !is_empty_dict(*model))) return true;
  }
  return false;
}

}  // namespace

OptionSpec state_option() {
  return {std::string(kStateOption),
          OptionSpec::Type::text,
          "best",
          "which state of a training checkpoint to export: the best one as AudioCraft's export "
          "takes it, the moving average, or the last one",
          {"best", "ema", "last"}};
}

OptionSpec version_option() {
  return {std::string(kVersionOption),
          OptionSpec::Type::text,
          std::string(kAudioCraftVersion),
          "release of AudioCraft to state in the package; files already exported keep theirs",
          {}};
}

OptionSpec as_is_option() {
  return {
      std::string(kAsIsOption),
      OptionSpec::Type::boolean,
      "false",
      "take a model that no rule covers as it is, as AudioCraft's own export does: names, shapes "
      "and fit are not checked",
      {}};
}

OptionSpec paths_option() {
  return {std::string(kPathsOption),
          OptionSpec::Type::boolean,
          "false",
          "write paths in the configuration as text: those that a newer Python or Windows wrote, "
          "AudioCraft cannot read again",
          {}};
}

FileKind file_kind(Object root) {
  if (!root.is(Kind::dict)) {
    return {FileForm::other, "no dict, but " + describe(root)};
  }
  if (root.contains("pretrained")) {
    return {FileForm::reference, "a reference to a pretrained model"};
  }
  if (root.contains("state_dict") && root.contains("metadata")) {
    return {FileForm::weights, "weights with metadata, as descript-audio-codec saves them"};
  }
  const std::optional<Object> best = root.find("best_state");
  const bool exported = holds_tensors(best) || root.contains("exported");
  if (best && exported) return {FileForm::exported, "an exported package of AudioCraft"};
  const bool training = root.contains("best_state") || root.contains("fsdp_best_state") ||
                        (root.contains("xp.cfg") && root.contains("model"));
  if (training) return {FileForm::training, "a training checkpoint of AudioCraft"};
  return kind_of_other_dict(root);
}

Glance glance(const Checkpoint& checkpoint) {
  const Object root = checkpoint.root();
  Glance result;
  try {
    result.file = file_kind(root);
    if (result.file.form == FileForm::reference) {
      const std::optional<Object> name = root.find("pretrained");
      if (is_text(name)) result.pretrained = std::string(name->as_string());
      return result;
    }
    const bool training = result.file.form == FileForm::training;
    if (!training && result.file.form != FileForm::exported) return result;
    result.has_state = has_best_state(root);
    result.model = model_name(training ? training_config(root) : exported_config(root));
  } catch (const Error& error) {
    result.problem = error.message();
  }
  return result;
}

Glance glance(const Model& model) {
  Glance result;
  result.file.words = "a model of another layout";
  result.has_state = !model.tensors.empty();
  try {
    result.model = model_name(model.config);
  } catch (const Error& error) {
    result.problem = error.message();
  }
  return result;
}

namespace {

Opened open_any(const ExportRequest& request) {
  if (request.source.kind() == AcceptedSource::Kind::model) return open_read_model(request);
  const FileKind file = file_kind(request.source.checkpoint().root());
  if (file.form == FileForm::training) return open_training(request);
  if (file.form == FileForm::exported) return open_exported(request);
  throw wrong_form(file, "a training checkpoint or an exported package of AudioCraft");
}

}  // namespace

Opened open_model(const ExportRequest& request) {
  Opened opened = open_any(request);
  if (is_set(request, kPathsOption)) write_paths_as_text(opened);
  return opened;
}

void describe_as_is(const Opened& opened, ModelKind kind, Component& component) {
  const ModelName model = model_name(opened.config);
  const bool is_another = model.kind == ModelKind::language_model || model.kind == ModelKind::codec;
  if (is_another && model.kind != kind) {
    throw Error(ErrorKind::input, "package.family",
                model.words + ", not a component " + quoted(component.role),
                "give it where its own component is expected");
  }
  component.summary = {{"family", "taken as it is"}};
  if (!model.name.empty()) component.summary.push_back({"model", printable(model.name, 60)});
  component.warnings.push_back(
      "taken as it is: not checked are the names and shapes of its " +
      counted(opened.state.tensors.size(), "tensor") +
      ", what its configuration says, and whether it fits the other components");
}

void give(Opened opened, Component& component) {
  append(component.checks, opened.checks);
  append(component.checks, opened.state.notes);
  append(component.warnings, opened.warnings);
  judge_paths(opened.config, component);
  Model model;
  model.config = std::move(opened.config);
  model.tensors = std::move(opened.state.tensors);
  model.origin = std::move(opened.state.where);
  model.extra = std::move(opened.extra);
  model.keep_dtype.assign(kCounters.begin(), kCounters.end());
  component.content = std::move(model);
}

void require_single_state(const ExportRequest& request) {
  if (request.option_is(kStateOption, "best")) return;
  throw Error(ErrorKind::usage, "option.state",
              "option 'state' is " + quoted(request.option(kStateOption)) +
                  ", but the file holds one state only",
              "leave the option out, or give the checkpoint.th of the training")
      .about("option:" + std::string(kStateOption));
}

Value::Dict fresh_extra(const ExportRequest& request) {
  return {{std::string(kVersionKey), request.option(kVersionOption)}};
}

OpenedReference open_reference(const Checkpoint& checkpoint) {
  const Object root = checkpoint.root();
  refuse_duplicate_keys(root);
  check_package_field(root, kPretrainedKey, Kind::string, "the name of a pretrained model");
  check_package_field(root, kVersionKey, Kind::string, "the version of AudioCraft as text");
  check_exported_flag(root);
  OpenedReference opened;
  opened.reference.name = std::string(root.at(kPretrainedKey).as_string());
  for (const DictView::Entry entry : root.entries()) {
    if (entry.key.is(Kind::string) && entry.key.as_string() == kPretrainedKey) {
      opened.reference.extra.emplace_back(kPretrainedKey, Value());
    } else {
      keep_extra(checkpoint, entry, opened.reference.extra, opened.warnings);
    }
  }
  return opened;
}

Error wrong_form(const FileKind& file, std::string_view expected) {
  return Error(ErrorKind::input, "package.layout",
               "this is " + file.words + ", expected " + std::string(expected));
}

}  // namespace craftbundle::audiocraft
