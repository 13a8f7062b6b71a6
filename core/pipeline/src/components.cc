#include "components.h"

#include <algorithm>
#include <array>
#include <boost/filesystem/operations.hpp>
#include <map>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/bundle/open.h"
#include "craftbundle/detail/bundle/transform.h"

namespace craftbundle {
namespace {

SourceOptions source_options(const ComponentSource& source) {
  return {.xps = source.recipe.xps,
          .directory = source.directory,
          .role = source.recipe.role.value_or(""),
          .local = source.recipe.role == kTextEncoderRole || source.recipe.config_from};
}

// The options of a recipe that name what the run looks at.
struct FileOption {
  const char* name;
  const std::vector<StageInput>& inputs;
};

std::array<FileOption, 2> file_options(const ComponentRecipe& recipe) {
  return {{{"average", recipe.average}, {"merge", recipe.merge}}};
}

// The name of the file, or the one that was given of a directory.
std::string name_of(const ComponentSource& source) {
  if (!source.path) return source.recipe.source;
  const Path given = Path(source.recipe.source).filename();
  const bool is_plain = !given.empty() && given != "." && given != "..";
  boost::system::error_code ignored;
  const bool is_directory = boost::filesystem::is_directory(*source.path, ignored);
  return (is_directory && is_plain ? given : source.path->filename()).string();
}

}  // namespace

void locate(ComponentSource& source, const Host& host) {
  source.path = source_path(source.recipe.source, source_options(source), host);
  if (source.path) *source.path = source.path->lexically_normal();
}

std::vector<StageInput> inputs_of(const ComponentSource& source) {
  std::vector<StageInput> inputs;
  if (source.path) inputs.push_back({source.label, *source.path, source.stage, true});
  for (const FileOption& option : file_options(source.recipe)) {
    inputs.insert(inputs.end(), option.inputs.begin(), option.inputs.end());
  }
  if (source.recipe.config_file) inputs.push_back(*source.recipe.config_file);
  for (StageInput& input : inputs) input.is_source = true;
  return inputs;
}

void add_key(const ComponentSource& source, std::vector<KeyPart>& key) {
  const ComponentRecipe& recipe = source.recipe;
  // The manifest keeps it, so it decides what is written.
  key.push_back({"name of " + source.label, name_of(source)});
  if (recipe.role) key.push_back({"component of " + source.label, *recipe.role});
  if (recipe.exporter) key.push_back({"exporter of " + source.label, *recipe.exporter});
  for (const FileOption& option : file_options(recipe)) {
    for (const StageInput& input : option.inputs) {
      key.push_back({"name of " + input.name, input.path.filename().string()});
    }
  }
  if (recipe.config_from) {
    key.push_back(
        {"config_from of " + source.label,
         recipe.config_file ? recipe.config_file->path.filename().string() : *recipe.config_from});
  }
  for (const OptionValue& option : recipe.options) {
    key.push_back({"option " + option.name + " of " + source.label, option.value});
  }
}

PreparedComponent prepare(const ComponentSource& source, const Host& host) {
  const auto action = [&] {
    const ComponentRecipe& recipe = source.recipe;
    std::vector<OptionValue> options = recipe.options;
    for (const FileOption& option : file_options(recipe)) {
      std::vector<Path> files;
      for (const StageInput& input : option.inputs) files.push_back(input.path);
      if (!files.empty()) options.push_back({option.name, files_value(files)});
    }
    if (recipe.config_from) {
      const bool is_stage = recipe.config_file && !recipe.config_file->stage.empty();
      options.push_back({std::string(kConfigFromOption),
                         is_stage ? recipe.config_file->path.string() : *recipe.config_from});
    }
    return open_component({recipe.source, source_options(source), recipe.role, recipe.exporter,
                           std::move(options), source.directory},
                          host);
  };
  return source.only ? action() : with_context(source.label, action);
}

std::vector<StageRead> read_for(const ComponentSource& source, const PreparedComponent& prepared) {
  std::vector<ReadFile> all = prepared.read;
  // A directory may hold a checkpoint, which is the source then.
  if (prepared.source.kind() == AcceptedSource::Kind::checkpoint && source.path) {
    const Checkpoint& checkpoint = prepared.source.checkpoint();
    const Path path = checkpoint.file().path().lexically_normal();
    if (path != *source.path) {
      all.push_back(
          {path.filename().string(), true, {checkpoint.shared_from_this(), &checkpoint.file()}});
    }
  }
  std::vector<StageRead> files;
  std::map<std::string, int> names;
  for (const ReadFile& read : all) {
    StageRead file{read.name + " of " + source.label, {}, {}, {}, read.file};
    // Files that lie elsewhere may have the same name.
    if (const int count = ++names[read.name]; count > 1) {
      file.name += " (" + std::to_string(count) + ")";
    }
    // A name has no input: what it stands for lies elsewhere.
    const bool is_below = read.is_below && source.path;
    if (is_below) file.input = source.label;
    file.file = is_below ? Path(read.name) : absolute_path(read.file->path());
    files.push_back(std::move(file));
  }
  return files;
}

KeyPart tool_of(const PreparedComponent& component) {
  return {tool_name(component.exporter), std::to_string(component.exporter.revision)};
}

void add_opened(const PreparedComponent& component, Forecast& forecast) {
  if (!forecast.opened) forecast.opened.emplace();
  for (const ReadFile& read : component.read) forecast.opened->push_back(read.file);
  if (component.source.kind() == AcceptedSource::Kind::checkpoint) {
    const Checkpoint& checkpoint = component.source.checkpoint();
    forecast.opened->emplace_back(checkpoint.shared_from_this(), &checkpoint.file());
  }
}

LayoutChoice read_layout(StageFields& fields) {
  return {fields.text("layout", std::string(kDefaultLayout)), fields.pairs("layout_options")};
}

bool is_default(const LayoutChoice& layout) { return layout.name == kDefaultLayout; }

void add_key(const LayoutChoice& layout, std::vector<KeyPart>& key) {
  if (!is_default(layout)) key.push_back({"layout", layout.name});
  for (const OptionValue& option : layout.options) {
    key.push_back({"option " + option.name + " of the layout", option.value});
  }
}

std::vector<KeyPart> tools_of(const LayoutChoice& layout, const Host& host) {
  std::vector<KeyPart> tools;
  for (const std::string& name : layouts_in(layout.name)) {
    const LayoutInfo info = host.layout(name);
    tools.push_back({tool_name(info), std::to_string(info.revision)});
  }
  return tools;
}

std::vector<std::string> layout_names(const Host& host) {
  std::vector<std::string> names;
  for (const LayoutInfo& layout : host.layouts()) names.push_back(layout.name);
  return names;
}

bool is_exporter_option(std::string_view name, const Host& host) {
  const auto has_it = [&](const std::vector<OptionSpec>& options) {
    return std::ranges::count(options, name, &OptionSpec::name) != 0;
  };
  return has_it(transform_options()) ||
         std::ranges::any_of(host.offers<ExporterInfo>(),
                             [&](const auto& offer) { return has_it(offer.info->options); });
}

StageKey check_key(std::string description) {
  return {"check", StageKey::Type::text, false, std::move(description), {"crc", "structure"}};
}

ContentCheck read_check(StageFields& fields) {
  return fields.text("check") == "structure" ? ContentCheck::structure : ContentCheck::crc;
}

void add_key(ContentCheck check, std::vector<KeyPart>& key) {
  if (check == ContentCheck::structure) key.push_back({"check", "structure"});
}

std::uint64_t size_of(const std::vector<BundleFile>& files) {
  std::uint64_t bytes = 0;
  for (const BundleFile& file : files) bytes += file.content->size().value_or(0);
  return bytes;
}

}  // namespace craftbundle
