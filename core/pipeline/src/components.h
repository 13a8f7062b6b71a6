// Components as stages name them: sources of exports and bundles.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "craftbundle/detail/bundle/transform.h"
#include "craftbundle/detail/pipeline/stage.h"

namespace craftbundle {

// A recipe with the place its relative paths start from, and the stage that makes its source.
struct ComponentSource {
  ComponentRecipe recipe;
  Path directory;            // of the script
  std::string label;         // "lm", "source"
  bool only = false;         // of its stage
  std::string stage;         // that writes the source; empty: none is named
  std::optional<Path> path;  // of a file or directory; nullopt: a pretrained name
};

// Finds out which file or directory the recipe reads.
void locate(ComponentSource& source, const Host& host);

std::vector<StageInput> inputs_of(const ComponentSource& source);
void add_key(const ComponentSource& source, std::vector<KeyPart>& key);

// Errors have the label as context unless it is the only one.
PreparedComponent prepare(const ComponentSource& source, const Host& host);

// What `prepared`, made of `source`, has read beside the inputs.
std::vector<StageRead> read_for(const ComponentSource& source, const PreparedComponent& prepared);

// "exporter NAME", as StageResult::tools names it.
template <typename Info>
std::string tool_name(const Info& offer) {
  return std::string(Info::kKind) + " " + offer.name;
}
// {tool_name(), revision}
KeyPart tool_of(const PreparedComponent& component);

// Adds what preparing `component` has opened to the files of `forecast`.
void add_opened(const PreparedComponent& component, Forecast& forecast);

// The layout that a stage names with `layout` and `layout_options`, and what it decides.
LayoutChoice read_layout(StageFields& fields);
bool is_default(const LayoutChoice& layout);
void add_key(const LayoutChoice& layout, std::vector<KeyPart>& key);
// {"layout NAME", revision} of each
std::vector<KeyPart> tools_of(const LayoutChoice& layout, const Host& host);
std::vector<std::string> layout_names(const Host& host);

// Whether an exporter, or what is done with every model, has an option of this name.
bool is_exporter_option(std::string_view name, const Host& host);

// The key `check` of stages that read what they are given.
StageKey check_key(std::string description);
ContentCheck read_check(StageFields& fields);
void add_key(ContentCheck check, std::vector<KeyPart>& key);

// Of all files whose size is known before.
std::uint64_t size_of(const std::vector<BundleFile>& files);

}  // namespace craftbundle
