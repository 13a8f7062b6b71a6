// Components as stages name them: sources of exports and bundles.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "craftbundle/pipeline/stage.h"

namespace craftbundle {

// A recipe with the place its relative paths start from, and the stage that makes its source.
struct ComponentSource {
  ComponentRecipe recipe;
  Path directory;            // of the script
  std::string label;         // "lm", "source"
  bool only = false;         // of its stage
  std::string stage;         // that writes the source; empty: none is named
  std::optional<Path> file;  // nullopt: a pretrained name
};

// Finds out which file the recipe reads.
void locate(ComponentSource& source);

std::vector<StageInput> inputs_of(const ComponentSource& source);
void add_key(const ComponentSource& source, std::vector<KeyPart>& key);

// Errors have the label as context unless it is the only one.
PreparedComponent prepare(const ComponentSource& source, const Host& host);

// "exporter NAME", as StageResult::tools names it.
std::string tool_name(const ExporterInfo& exporter);
// {tool_name(), revision}
KeyPart tool_of(const PreparedComponent& component);

}  // namespace craftbundle
