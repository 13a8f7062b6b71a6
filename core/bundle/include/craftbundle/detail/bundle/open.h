// From what the user names to a component that is ready to be laid out, and weights without a
// configuration, which take it from another model.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/host/host.h"

namespace CRAFTBUNDLE_API craftbundle {

inline constexpr std::string_view kConfigFromOption = "config-from";

// A ComponentRequest whose source is not opened yet.
struct NamedRequest {
  std::string source;         // as resolve_source() takes it
  SourceOptions lookup = {};  // `component` is its role where it has none
  std::optional<std::string> component = {};
  std::optional<std::string> exporter = {};
  std::vector<OptionValue> options = {};
  Path directory = {};  // where relative paths in options start; empty: the current directory
};

// As resolve_source() and prepare_component(). With the option config-from, the source is a file of
// tensors, or a directory with one, and the value names the model that they are another state of: a
// bundle, a file, anything that resolve_source() takes, or the text of a configuration (".yaml").
// The tensors are those of one dict of the file (a file of safetensors is one), from whose names
// what wrappers have put in front is taken off: of all dicts and all beginnings of names, those
// under which most names of the model are found. They come in the order of the model, and their
// names and shapes are checked against it, or, where only a configuration is given, by the
// exporter. What was left out is in the warnings. Throws as both, and Error(input): "weights.none"
// (no tensors in the source), "weights.names" (of another model), "weights.tensors" (missing, of
// another shape, or in excess), "weights.directory", "weights.index"; usage "option.value" for a
// value that is no model.
PreparedComponent open_component(const NamedRequest& named, const Host& host);

// As source_path() where only weights will do, as with config-from, of both models: a name stands
// for the model in the hub's cache. nullopt when it is not there.
std::optional<Path> weights_path(std::string_view given, SourceOptions lookup, const Host& host);

}  // namespace craftbundle
