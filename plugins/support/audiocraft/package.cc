#include "support/audiocraft/package.h"

#include <algorithm>
#include <utility>

#include "craftbundle/base/error.h"
#include "craftbundle/base/text.h"
#include "support/audiocraft/compute.h"

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
    return {Layout::other, "a checkpoint of PyTorch Lightning"};
  }
  if (root.contains("n_bands") && root.contains("sample_rate")) {
    return {Layout::other, "a package of MultiBand Diffusion decoders"};
  }
  if (holds_tensors(root)) {
    return {Layout::other, "a bare state dict of " + std::to_string(root.size()) +
                               " entries, without a configuration"};
  }
  std::vector<std::string> keys;
  for (const DictView::Entry entry : root.entries()) {
    if (keys.size() > 8) break;
    keys.push_back(entry.key.is(Kind::string) ? std::string(entry.key.as_string())
                                              : describe(entry.key));
  }
  if (keys.empty()) return {Layout::other, "an empty dict"};
  return {Layout::other, "a dict with " + list_text(keys)};
}

// Training configurations are objects. As text, they belong to exported packages.
Config training_config(Object root) {
  const std::optional<Object> config = root.find("xp.cfg");
  if (!config) {
    throw Error(ErrorKind::input, "config.missing",
                "the checkpoint has no 'xp.cfg', the configuration of the training",
                "a model cannot be built from tensors alone; use the checkpoint.th that AudioCraft "
                "wrote");
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

constexpr std::string_view kBestState = "best_state";
constexpr std::string_view kConfig = "xp.cfg";

// In AudioCraft's order.
Value::Dict package_frame(const std::string& version) {
  return {{std::string(kBestState), {}},
          {std::string(kConfig), {}},
          {"version", version},
          {"exported", true}};
}

Value::Dict filled(Value::Dict frame, const State& state, const std::string& config_text) {
  for (auto& [key, value] : frame) {
    if (key == kBestState) value = state.to_dict();
    if (key == kConfig) value = config_text;
  }
  return frame;
}

Opened open_training(const ExportRequest& request) {
  const Checkpoint& checkpoint = request.source.checkpoint();
  const Object root = checkpoint.root();
  refuse_duplicate_keys(root);
  Config config = training_config(root);
  State state = choose_state(checkpoint, config, state_choice(request.option(kStateOption)));
  return {Layout::training,
          std::move(config),
          std::move(state),
          package_frame(request.option(kVersionOption)),
          {},
          {}};
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

  Value::Dict package;
  std::vector<std::string> warnings;
  for (const DictView::Entry entry : root.entries()) {
    const std::string_view key =
        entry.key.is(Kind::string) ? entry.key.as_string() : std::string_view();
    if (key == kBestState || key == kConfig) {
      package.emplace_back(std::string(key), Value());
    } else {
      keep_extra(checkpoint, entry, package, warnings);
    }
  }
  // The first released packages had neither.
  if (!root.contains("version")) {
    package.emplace_back("version", request.option(kVersionOption));
    warnings.push_back("the package states no version of AudioCraft: " +
                       printable(request.option(kVersionOption), 40) + " is written");
  }
  if (!root.contains("exported")) package.emplace_back("exported", true);
  return {Layout::exported,
          std::move(config),
          std::move(state),
          std::move(package),
          {"the package has best_state, xp.cfg, version and exported"},
          std::move(warnings)};
}

Opened open_single(const ExportRequest& request) {
  const FileKind file = file_kind(request.source.checkpoint().root());
  if (file.layout == Layout::training) return open_training(request);
  if (file.layout == Layout::exported) return open_exported(request);
  throw wrong_layout(file, "a training checkpoint or an exported package of AudioCraft");
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

FileKind file_kind(Object root) {
  if (!root.is(Kind::dict)) {
    return {Layout::other, "no dict, but " + describe(root)};
  }
  if (root.contains("pretrained")) {
    return {Layout::reference, "a reference to a pretrained model"};
  }
  if (root.contains("state_dict") && root.contains("metadata")) {
    return {Layout::weights, "weights with metadata, as descript-audio-codec saves them"};
  }
  const std::optional<Object> best = root.find("best_state");
  const bool exported = holds_tensors(best) || root.contains("exported");
  if (best && exported) return {Layout::exported, "an exported package of AudioCraft"};
  const bool training = root.contains("best_state") || root.contains("fsdp_best_state") ||
                        (root.contains("xp.cfg") && root.contains("model"));
  if (training) return {Layout::training, "a training checkpoint of AudioCraft"};
  return kind_of_other_dict(root);
}

Glance glance(const Checkpoint& checkpoint) {
  const Object root = checkpoint.root();
  Glance result;
  try {
    result.file = file_kind(root);
    if (result.file.layout == Layout::reference) {
      const std::optional<Object> name = root.find("pretrained");
      if (is_text(name)) result.pretrained = std::string(name->as_string());
      return result;
    }
    const bool training = result.file.layout == Layout::training;
    if (!training && result.file.layout != Layout::exported) return result;
    result.has_state = has_best_state(root);
    result.model = model_name(training ? training_config(root) : exported_config(root));
  } catch (const Error& error) {
    result.problem = error.message();
  }
  return result;
}

Value::Dict Opened::package() const { return filled(frame, state, config.text()); }

Opened open_model(const ExportRequest& request, ExportContext& context) {
  Opened opened = open_single(request);
  average_with(opened.state, request, context, [&](const ExportRequest& further) {
    Opened other = open_single(further);
    if (other.config.text() != opened.config.text()) {
      opened.warnings.push_back("xp.cfg of " + printable(further.source.given()) +
                                " is another: that of the first checkpoint is written");
    }
    return std::move(other.state);
  });
  return opened;
}

void average_with(State& state, const ExportRequest& request, ExportContext& context,
                  const std::function<State(const ExportRequest&)>& read) {
  std::vector<const Checkpoint*> seen = {&request.source.checkpoint()};
  std::vector<State> others;
  for (const Path& path : files_of(request.option(kAverageOption))) {
    ExportRequest further = request;
    further.source = Source::of_checkpoint(path.filename().string(), context.open(path));
    if (std::ranges::count(seen, &further.source.checkpoint()) != 0) continue;
    seen.push_back(&further.source.checkpoint());
    State& other = others.emplace_back(naming_file(further, [&] { return read(further); }));
    other.where = path_text(path.filename()) + ": " + other.where;
  }
  average(state, others);
}

void require_single_state(const ExportRequest& request) {
  if (request.option_is(kStateOption, "best")) return;
  throw Error(ErrorKind::usage, "option.state",
              "option 'state' is " + quoted(request.option(kStateOption)) +
                  ", but the file holds one state only",
              "leave the option out, or give the checkpoint.th of the training")
      .about("option:" + std::string(kStateOption));
}

Value::Dict model_package(const State& state, const std::string& config_text,
                          const std::string& version) {
  return filled(package_frame(version), state, config_text);
}

ModelPackage read_package(const Value& package) {
  if (const Value* name = package.find("pretrained")) {
    const auto* text = name->get_if<std::string>();
    throw Error(ErrorKind::input, "codec.unsupported",
                "the component is a reference to " +
                    quoted(text == nullptr ? std::string("?") : *text) + " and holds no weights",
                "give the weights themselves: a training checkpoint or an exported codec");
  }
  const Value* state = package.find("best_state");
  const Value* config = package.find("xp.cfg");
  const auto* tensors = state == nullptr ? nullptr : state->get_if<Value::Dict>();
  const auto* text = config == nullptr ? nullptr : config->get_if<std::string>();
  if (tensors == nullptr || text == nullptr) {
    throw Error(ErrorKind::input, "package.layout",
                "the package has no 'best_state' and 'xp.cfg' to build a network from");
  }
  return {with_context("xp.cfg", [&] { return Config::from_yaml(*text); }), *tensors};
}

Value::Dict reference_package(const std::string& name, const std::string& version) {
  return {{"pretrained", name}, {"exported", true}, {"version", version}};
}

Reference open_reference(const Checkpoint& checkpoint) {
  const Object root = checkpoint.root();
  refuse_duplicate_keys(root);
  check_package_field(root, "pretrained", Kind::string, "the name of a pretrained model");
  check_package_field(root, "version", Kind::string, "the version of AudioCraft as text");
  check_exported_flag(root);
  Reference reference;
  reference.name = std::string(root.at("pretrained").as_string());
  for (const DictView::Entry entry : root.entries()) {
    keep_extra(checkpoint, entry, reference.package, reference.warnings);
  }
  return reference;
}

Error wrong_layout(const FileKind& file, std::string_view expected) {
  return Error(ErrorKind::input, "package.layout",
               "this is " + file.words + ", expected " + std::string(expected));
}

}  // namespace craftbundle::audiocraft
