#include "craftbundle/audiocraft_rules/package.h"

#include <algorithm>
#include <array>
#include <utility>

#include "craftbundle/audiocraft_rules/facts.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"

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
    return {FileForm::other, "a package of MultiBand Diffusion decoders"};
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
                "an exported package has its tensors in best_state itself, not in "
                "best_state['model']");
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
bool is_as_is(const ExportRequest& request) {
  return std::ranges::any_of(request.options, [](const OptionValue& option) {
    return option.name == kAsIsOption && option.value == "true";
  });
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
          {"the package has best_state, xp.cfg, version and exported"},
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

Opened open_model(const ExportRequest& request) {
  if (request.source.kind() == AcceptedSource::Kind::model) return open_read_model(request);
  const FileKind file = file_kind(request.source.checkpoint().root());
  if (file.form == FileForm::training) return open_training(request);
  if (file.form == FileForm::exported) return open_exported(request);
  throw wrong_form(file, "a training checkpoint or an exported package of AudioCraft");
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
