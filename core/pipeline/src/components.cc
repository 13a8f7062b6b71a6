#include "components.h"

#include "bundlecraft/base/error.h"

namespace bundlecraft {
namespace {

SourceOptions source_options(const ComponentSource& source) {
  return {source.recipe.xps, source.directory};
}

}  // namespace

void locate(ComponentSource& source) {
  source.file = source_file(source.recipe.source, source_options(source));
  if (source.file) *source.file = source.file->lexically_normal();
}

std::vector<StageInput> inputs_of(const ComponentSource& source) {
  if (!source.file) return {};
  return {{source.label, *source.file, source.stage, true}};
}

void add_key(const ComponentSource& source, std::vector<KeyPart>& key) {
  const ComponentRecipe& recipe = source.recipe;
  // The manifest keeps the name of the file, so it decides what is written.
  key.push_back(
      {"name of " + source.label, source.file ? source.file->filename().string() : recipe.source});
  if (recipe.role) key.push_back({"component of " + source.label, *recipe.role});
  if (recipe.exporter) key.push_back({"exporter of " + source.label, *recipe.exporter});
  for (const OptionValue& option : recipe.options) {
    key.push_back({"option " + option.name + " of " + source.label, option.value});
  }
}

PreparedComponent prepare(const ComponentSource& source, const Host& host) {
  const auto action = [&] {
    const ComponentRecipe& recipe = source.recipe;
    return host.prepare({resolve_source(recipe.source, source_options(source), host), recipe.role,
                         recipe.exporter, recipe.options});
  };
  return source.label == "source" ? action() : with_context(source.label, action);
}

KeyPart tool_of(const PreparedComponent& component) {
  return {"exporter " + component.exporter.name, std::to_string(component.exporter.revision)};
}

}  // namespace bundlecraft
