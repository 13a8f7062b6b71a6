// bundle: components as a directory.
#include <algorithm>
#include <boost/filesystem/operations.hpp>

#include "components.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/bundle/bundle.h"
#include "craftbundle/detail/bundle/embed.h"
#include "craftbundle/detail/pipeline/place.h"
#include "craftbundle/detail/pipeline/workflow.h"
#include "kinds.h"
#include "stage_fields.h"

namespace craftbundle {
namespace {

class BundleStage final : public Stage {
 public:
  // `info` is that of `layout`.
  BundleStage(std::vector<ComponentSource> sources, Path to, bool allow_mismatch, bool embed,
              LayoutChoice layout, LayoutInfo info, ContentCheck check)
      : sources_(std::move(sources)),
        to_(std::move(to)),
        allow_mismatch_(allow_mismatch),
        embed_(embed),
        layout_(std::move(layout)),
        info_(std::move(info)),
        check_(check) {}

  std::vector<StageInput> inputs() const override {
    std::vector<StageInput> inputs;
    for (const ComponentSource& source : sources_) {
      for (StageInput& input : inputs_of(source)) inputs.push_back(std::move(input));
    }
    return inputs;
  }
  std::vector<StageOutput> outputs() const override {
    std::vector<StageOutput> outputs = {{"directory", to_}};
    for (const ComponentSource& source : sources_) {
      if (const auto file = info_.file_for(source.label)) {
        outputs.push_back({source.label, to_ / *file});
      }
    }
    outputs.push_back({"manifest", to_ / std::string(kManifestFile)});
    return outputs;
  }
  std::string what() const override {
    std::vector<std::string> roles;
    for (const ComponentSource& source : sources_) roles.push_back(source.label);
    return "bundle " + join(roles, " and ") + " as " + printable(to_.filename().string());
  }
  std::vector<KeyPart> key() const override {
    std::vector<KeyPart> key;
    for (const ComponentSource& source : sources_) add_key(source, key);
    if (allow_mismatch_) key.push_back({"allow_mismatch", "true"});
    if (embed_) key.push_back({"embed", "true"});
    add_key(layout_, key);
    add_key(check_, key);
    return key;
  }

  Forecast forecast(const Host& host) const override {
    Forecast forecast;
    const std::vector<PreparedComponent> components = prepare_all(host);
    for (const PreparedComponent& component : components) {
      forecast.notes.push_back(component.component.role + " by exporter " +
                               component.exporter.name + ": " + component.probe.reason);
      // Which models the hub's cache has to embed, no input tells.
      if (!embeds_models()) add_opened(component, forecast);
    }
    if (const auto misfit = find_misfit(components); misfit && !allow_mismatch_) {
      throw at_home(*misfit);
    }
    forecast.bytes = size_of(host.lay_out(layout_for(host), components));
    return forecast;
  }

  StageResult run(StageRun& run) const override {
    const std::vector<PreparedComponent> components = prepare_all(run.host);
    std::vector<StageRead> read;
    for (std::size_t i = 0; i < components.size(); ++i) {
      ComponentSource embedded;
      embedded.label = components[i].component.role;
      const ComponentSource& source = i < sources_.size() ? sources_[i] : embedded;
      for (StageRead& file : read_for(source, components[i])) read.push_back(std::move(file));
    }
    run.read(std::move(read));
    BundleOptions options;
    options.force = run.replace;
    options.durability = run.durability;
    options.extents = run.extents;
    options.sink = &run.sink;
    options.cancellation = &run.cancellation;
    options.allow_mismatch = allow_mismatch_;
    options.check = check_;
    for (const Path& path : run.disposable) {
      if (path.parent_path() == to_) options.disposable.push_back(path.filename().string());
    }
    const auto write = [&] {
      try {
        return write_bundle(components, layout_for(run.host), run.host, to_, options);
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::mismatch) throw;
        throw at_home(error);
      }
    };
    const BundleReport report = write();
    StageResult result;
    for (const WrittenFile& file : report.files) result.bytes += file.written.bytes;
    for (const PreparedComponent& component : components) {
      const std::string role = component.component.role + ": ";
      for (const std::string& check : component.component.checks) {
        result.checks.push_back(role + check);
      }
      result.tools.push_back(tool_of(component));
    }
    for (const ManifestComponent& component : report.manifest.components) {
      for (const std::string& warning : component.warnings) {
        result.warnings.push_back(component.role + ": " + warning);
      }
    }
    result.warnings.insert(result.warnings.end(), report.warnings.begin(), report.warnings.end());
    if (check_ == ContentCheck::structure) result.warnings.push_back(unchecked_text());
    for (KeyPart& tool : tools_of(layout_, run.host)) result.tools.push_back(std::move(tool));
    for (const FitCheck& check : report.manifest.fit) {
      if (check.outcome == FitCheck::Outcome::agrees) {
        result.checks.push_back("fits: " + to_string(check));
      }
    }
    note_shared(shared_bytes(report.files), result);
    result.manifest = report.manifest;
    return result;
  }

 private:
  // In a script the way out has another name than on the command line.
  static Error at_home(const Error& error) {
    const bool is_guess = error.code() == "bundle.guess";
    return Error(error.kind(), error.code(), error.message(),
                 is_guess ? "when it is meant, name its exporter in the stage that exports it, or "
                            "write 'allow_mismatch: true'"
                          : "choose components that belong together, or write 'allow_mismatch: "
                            "true'");
  }

  bool embeds_models() const { return embed_ || embeds(layout_); }

  std::vector<PreparedComponent> prepare_all(const Host& host) const {
    std::vector<PreparedComponent> components;
    for (const ComponentSource& source : sources_) components.push_back(prepare(source, host));
    if (!embeds_models()) return components;
    const ComponentSource& first = sources_.front();
    return embed(std::move(components), {first.recipe.xps, first.directory}, host);
  }

  LayoutChoice layout_for(const Host& host) const {
    return embed_ ? embedding(layout_, host) : layout_;
  }

  std::vector<ComponentSource> sources_;
  Path to_;
  bool allow_mismatch_;
  bool embed_;
  LayoutChoice layout_;
  LayoutInfo info_;
  ContentCheck check_;
};

class BundleKind final : public StageReader {
 public:
  explicit BundleKind(const Host& host) : host_(host), layouts_(host.layouts()) {}
  std::string name() const override { return "bundle"; }
  std::string summary() const override { return "Writes a complete bundle as a directory"; }
  std::vector<StageKey> keys() const override {
    using Type = StageKey::Type;
    return {
        {"bundle",
         Type::map,
         true,
         "For each role, like lm, compression and text_encoder, an export stage or a source.",
         {}},
        {"to", Type::text, true, "Directory to create.", {}},
        {"allow_mismatch",
         Type::boolean,
         false,
         "Write the bundle even when its components do not fit; is recorded.",
         {}},
        {"embed",
         Type::boolean,
         false,
         "Put what loaders would fetch into the bundle, from the local cache of the hub.",
         {}},
        {"layout", Type::text, false, "Layout of the bundle, or several in one directory: A+B.",
         names(), true},
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
    for (const LayoutInfo& layout : layouts_) {
      if (std::ranges::count(layout.options, key, &OptionSpec::name) != 0) {
        return "write 'layout_options: {" + written + ": ...}'";
      }
      if (layout.file_for(written)) return "write 'bundle: {" + written + ": ...}'";
    }
    if (is_exporter_option(key, host_)) {
      return "write it as 'options: {" + written + ": ...}' of an export stage, and use that";
    }
    return {};
  }
  std::unique_ptr<Stage> read(StageFields& fields) const override {
    const YamlNode& main = *fields.find("bundle");
    std::vector<ComponentSource> sources;
    const std::vector<StageKey> own = keys();
    for (const YamlNode::Entry& entry : main.entries) {
      const std::string& role = entry.key.text;
      if (std::ranges::count(own, role, &StageKey::name) != 0 ||
          std::ranges::count(common_stage_keys(), role, &StageKey::name) != 0) {
        fields.problem(entry.key, "script.key", quoted(role) + " is no component",
                       "write '" + role + "' beside 'bundle', not in it");
        continue;
      }
      if (auto source = read_component(fields, entry)) sources.push_back(*std::move(source));
    }
    if (main.entries.empty()) {
      fields.problem(main, "script.value", "'bundle' names no component",
                     "write it as {lm: SOURCE, compression: SOURCE}");
    }
    const std::optional<Path> to = fields.path("to");
    if (!to || sources.empty()) return nullptr;
    LayoutChoice layout = read_layout(fields);
    std::vector<LayoutInfo> infos;
    for (const std::string& name : layouts_in(layout.name)) {
      const auto known = std::ranges::find(layouts_, name, &LayoutInfo::name);
      if (known != layouts_.end()) infos.push_back(*known);
    }
    LayoutInfo info = infos.empty() ? LayoutInfo() : join_layouts(layout.name, infos);
    return std::make_unique<BundleStage>(
        std::move(sources), *to, fields.flag("allow_mismatch", false), fields.flag("embed", false),
        std::move(layout), std::move(info), read_check(fields));
  }

 private:
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const LayoutInfo& layout : layouts_) names.push_back(layout.name);
    return names;
  }

  std::optional<ComponentSource> read_component(StageFields& fields,
                                                const YamlNode::Entry& entry) const {
    const YamlNode& value = entry.value;
    if (value.type != YamlNode::Type::text || value.text.empty()) {
      fields.problem(value, "script.type",
                     "component " + quoted(entry.key.text) + " is " +
                         (value.text.empty() && value.type == YamlNode::Type::text
                              ? "empty"
                              : std::string(to_string(value.type))) +
                         ", expected an export stage or a source");
      return std::nullopt;
    }
    ComponentSource source;
    source.directory = fields.path_of(".");
    source.label = entry.key.text;
    source.recipe.xps = fields.path("xps");
    source.recipe.source = value.text;
    note_shell_variable(fields, value, value.text);
    if (const Stage* stage = fields.needed_stage(value.text)) {
      const ComponentRecipe* recipe = stage->recipe();
      const std::vector<StageOutput> outputs = stage->outputs();
      if (!outputs.empty()) {
        source.stage = value.text;
        source.recipe.source = outputs.front().path.string();
      } else if (recipe != nullptr) {
        source.recipe = *recipe;
      } else {
        fields.problem(value, "script.output",
                       "stage " + quoted(value.text) + " leaves no component for a bundle",
                       "name an export stage");
        return std::nullopt;
      }
    }
    if (!source.recipe.role) source.recipe.role = entry.key.text;
    if (*source.recipe.role != entry.key.text) {
      fields.problem(value, "script.value",
                     "stage " + quoted(value.text) + " exports the component " +
                         quoted(*source.recipe.role) + ", not " + quoted(entry.key.text));
      return std::nullopt;
    }
    locate(source, host_);
    return source;
  }

  const Host& host_;
  std::vector<LayoutInfo> layouts_;
};

}  // namespace

std::unique_ptr<const StageReader> make_bundle_kind(const Host& host) {
  return std::make_unique<BundleKind>(host);
}

}  // namespace craftbundle
