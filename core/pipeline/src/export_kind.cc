// export: a component of a checkpoint, as a file or for the bundles that use it.
#include <algorithm>

#include "components.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/bundle/bundle.h"
#include "craftbundle/detail/bundle/open.h"
#include "craftbundle/detail/bundle/transform.h"
#include "craftbundle/detail/pipeline/place.h"
#include "kinds.h"
#include "stage_fields.h"

namespace craftbundle {
namespace {

class ExportStage final : public Stage {
 public:
  ExportStage(ComponentSource source, std::optional<Path> to, LayoutChoice layout,
              ContentCheck check)
      : source_(std::move(source)), to_(std::move(to)), layout_(std::move(layout)), check_(check) {}

  std::vector<StageInput> inputs() const override { return inputs_of(source_); }
  std::vector<StageOutput> outputs() const override {
    if (!to_) return {};
    return {{"file", *to_}};
  }
  std::string what() const override { return "export " + printable(source_.recipe.source); }
  std::vector<KeyPart> key() const override {
    std::vector<KeyPart> key;
    add_key(source_, key);
    add_key(layout_, key);
    add_key(check_, key);
    return key;
  }
  const ComponentRecipe* recipe() const override {
    return is_default(layout_) ? &source_.recipe : nullptr;
  }

  Forecast forecast(const Host& host) const override {
    const PreparedComponent component = prepare(source_, host);
    Forecast forecast;
    if (to_) forecast.bytes = size_of(host.lay_out(layout_, {component}));
    forecast.notes.push_back(component.component.role + " by exporter " + component.exporter.name +
                             ": " + component.probe.reason);
    add_opened(component, forecast);
    return forecast;
  }

  StageResult run(StageRun& run) const override {
    const PreparedComponent component = prepare(source_, run.host);
    run.read(read_for(source_, component));
    StageResult result;
    std::uint64_t shared = 0;
    if (to_) {
      PublishOptions options;
      options.force = run.replace;
      options.durability = run.durability;
      options.extents = run.extents;
      options.sink = &run.sink;
      options.cancellation = &run.cancellation;
      options.check = check_;
      const std::vector<WrittenFile> files =
          write_component(component, layout_, run.host, *to_, options).files;
      for (const WrittenFile& file : files) {
        result.bytes += file.written.bytes;
        result.warnings.insert(result.warnings.end(), file.warnings.begin(), file.warnings.end());
      }
      shared = shared_bytes(files);
    }
    result.summary = component.component.summary;
    note_shared(shared, result);
    result.checks = component.component.checks;
    const std::vector<std::string> about = describe_component(component).warnings;
    result.warnings.insert(result.warnings.begin(), about.begin(), about.end());
    if (to_ && check_ == ContentCheck::structure) result.warnings.push_back(unchecked_text());
    result.tools = tools_of(layout_, run.host);
    result.tools.insert(result.tools.begin(), tool_of(component));
    return result;
  }

 private:
  ComponentSource source_;
  std::optional<Path> to_;  // nullopt: only checked; the bundles that use it write it
  LayoutChoice layout_;
  ContentCheck check_;
};

class ExportKind final : public StageReader {
 public:
  explicit ExportKind(const Host& host) : host_(host), layouts_(layout_names(host)) {}
  std::string name() const override { return "export"; }
  std::string summary() const override { return "Exports a component of a checkpoint"; }
  std::vector<StageKey> keys() const override {
    using Type = StageKey::Type;
    return {
        {"export",
         Type::text,
         true,
         "Checkpoint, directory that holds one, the files that an exporter takes or a bundle, Dora "
         "signature, pretrained name, or name of a model in the cache of the hub.",
         {}},
        {"to",
         Type::text,
         false,
         "File to write; without it the component is checked, and written by the bundles that use "
         "the stage.",
         {}},
        {"exporter", Type::text, false, "Exporter to use instead of the best one.", {}},
        {"component",
         Type::text,
         false,
         "Role of the component, like lm, compression or text_encoder.",
         {}},
        {"options", Type::map, false, "Options of the exporter.", {}},
        {"state",
         Type::text,
         false,
         "Which state of a training checkpoint to export.",
         {"best", "ema", "last"}},
        {"average",
         Type::text_or_list,
         false,
         "Further checkpoints of the same model, or stages that leave one: the weights become the "
         "mean over all of them.",
         {}},
        {"merge",
         Type::text_or_list,
         false,
         "LoRA adapters of PEFT, or stages that leave one: they are merged into the weights, in "
         "this order.",
         {}},
        {"config_from",
         Type::text,
         false,
         "For weights without a configuration: the model that has it, a bundle, a file, YAML, or a "
         "stage that leaves one.",
         {}},
        {"as_is",
         Type::boolean,
         false,
         "Take a model that no rule covers as it is; names, shapes and fit are not checked.",
         {}},
        {"layout", Type::text, false,
         "Layout of what is written: a file, or a directory when the layout has several files.",
         layouts_, true},
        check_key(
            "What of the sources is checked on the way: every CRC-32, or only the structure; is "
            "recorded."),
        {"layout_options", Type::map, false, "Options of the layout.", {}},
        {"xps",
         Type::text,
         false,
         "Directory of Dora signatures, for sources like //sig/9f2c.",
         {}},
    };
  }

  std::string hint_for(std::string_view key) const override {
    const std::string written(key);
    if (is_exporter_option(key, host_)) return "write 'options: {" + written + ": ...}'";
    for (const LayoutInfo& layout : host_.layouts()) {
      if (std::ranges::count(layout.options, key, &OptionSpec::name) != 0)
        return "write 'layout_options: {" + written + ": ...}'";
    }
    return {};
  }
  std::unique_ptr<Stage> read(StageFields& fields) const override {
    const YamlNode& main = *fields.find("export");
    ComponentSource source;
    source.label = "source";
    source.only = true;
    source.directory = fields.path_of(".");
    ComponentRecipe& recipe = source.recipe;
    recipe.source = main.text;
    recipe.xps = fields.path("xps");
    if (const std::string exporter = fields.text("exporter"); !exporter.empty()) {
      recipe.exporter = exporter;
    }
    if (const std::string role = fields.text("component"); !role.empty()) recipe.role = role;
    if (const std::string state = fields.text("state"); !state.empty()) {
      recipe.options.push_back({"state", state});
    }
    for (OptionValue& option : fields.pairs("options")) {
      if (option.name == kAverageOption || option.name == kMergeOption ||
          option.name == kConfigFromOption) {
        const std::string key =
            option.name == kConfigFromOption ? std::string("config_from") : option.name;
        fields.problem(
            *fields.find("options"), "script.value",
            quoted(option.name) + " among the options names files that the run does not look at",
            "write '" + key + "' beside 'export'");
        return nullptr;
      }
      recipe.options.push_back(std::move(option));
    }
    if (fields.flag("as_is", false)) {
      recipe.options.push_back({std::string(kAsIsOption), "true"});
    }
    if (!read_config_from(fields, recipe)) return nullptr;
    if (const YamlNode* average = fields.find("average")) {
      recipe.average = fields.inputs(*average);
      for (StageInput& input : recipe.average) input.name = "average of " + input.name;
    }
    if (const YamlNode* merge = fields.find("merge")) {
      recipe.merge = fields.inputs(*merge);
      for (StageInput& input : recipe.merge) input.name = "merge of " + input.name;
    }
    if (main.text.empty()) {
      fields.problem(main, "script.value", "'export' is empty, expected a source");
      return nullptr;
    }
    note_shell_variable(fields, main, main.text);
    // A stage may export what another one wrote.
    if (const Stage* other = fields.needed_stage(main.text)) {
      if (other->outputs().empty()) {
        fields.problem(main, "script.output",
                       "stage " + quoted(main.text) + " leaves no file that could be exported",
                       "give it a place with 'to'");
        return nullptr;
      }
      source.stage = main.text;
      recipe.source = other->outputs().front().path.string();
    }
    locate(source, host_);
    LayoutChoice layout = read_layout(fields);
    const std::optional<Path> to = fields.path("to");
    if (!is_default(layout) && !to) {
      fields.problem(*fields.find("layout"), "script.value",
                     "'layout: " + layout.name + "' makes a file of its own, and there is no 'to'",
                     "name the file with 'to'");
      return nullptr;
    }
    return std::make_unique<ExportStage>(std::move(source), to, std::move(layout),
                                         read_check(fields));
  }

 private:
  // Whether `config_from` is there as it should be, or not at all.
  bool read_config_from(StageFields& fields, ComponentRecipe& recipe) const {
    const YamlNode* from = fields.find("config_from");
    if (from == nullptr) return true;
    recipe.config_from = from->text;
    note_shell_variable(fields, *from, from->text);
    constexpr const char* kName = "config_from";
    if (const Stage* other = fields.needed_stage(from->text)) {
      if (other->outputs().empty()) {
        fields.problem(
            *from, "script.output",
            "stage " + quoted(from->text) + " leaves no file that could have a configuration",
            "give it a place with 'to'");
        return false;
      }
      recipe.config_file = StageInput{kName, other->outputs().front().path, from->text};
    } else if (const auto path = weights_path(from->text,
                                              {.xps = recipe.xps,
                                               .directory = fields.path_of("."),
                                               .role = recipe.role.value_or("")},
                                              host_)) {
      recipe.config_file = StageInput{kName, path->lexically_normal(), {}};
    } else if (from->text.empty()) {
      fields.problem(*from, "script.value", "'config_from' is empty, expected a model");
      return false;
    }
    return true;
  }

  const Host& host_;
  std::vector<std::string> layouts_;
};

}  // namespace

std::unique_ptr<const StageReader> make_export_kind(const Host& host) {
  return std::make_unique<ExportKind>(host);
}

}  // namespace craftbundle
