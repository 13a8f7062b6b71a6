// Configurations of AudioCraft trainings: OmegaConf objects, and their text.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/checkpoint/object.h"

namespace CRAFTBUNDLE_API craftbundle {

// Bounds for configuration text and trees (docs/checkpoint_safety.md). Real texts are below 200 KB;
// reading a hostile one takes 60 times its size.
namespace limits {
inline constexpr std::size_t kConfigTextBytes = 1ULL << 20;
inline constexpr std::size_t kConfigDepth = 64;
inline constexpr std::size_t kConfigNodes = 200'000;
}  // namespace limits

struct ConfigNode;  // omegaconf/node.h: the tree itself, for code that walks it

// An immutable configuration: the tree of a DictConfig (or ListConfig), with interpolations kept.
// Cheap to copy; copies share the tree. Thread: safe to read from any number of threads.
//
// Keys are paths as OmegaConf writes them: "model.n_q", "model.ratios[0]" or
// "model.ratios.0"; "" is the whole configuration. A key that is no string answers to its text.
// Values asked for are resolved: ${sample_rate}, ${..x}, ${a.${b}}, text with several
// interpolations. Custom resolvers and oc.env are never run: asking for a value that needs one
// throws Error(input, "config.resolver").
class Config {
 public:
  // An empty mapping.
  Config();
  // Whether `object` is a pickled DictConfig or ListConfig, sound or not.
  static bool is_config(Object object);
  // A pickled omegaconf DictConfig or ListConfig (OmegaConf 2.0 to 2.4), a plain dict or list (as
  // OmegaConf.to_yaml accepts). Throws Error(input):
  //   config.type    something else is there; names the key and the class
  //   config.enum    the name of an enum member is not in the file
  //   config.unsafe  the configuration refers to a name that can run code
  //   config.interpolation  as from_yaml: OmegaConf 2.0 took it, but no later one reads the text
  //   config.depth, config.size  beyond the limits above
  // Some Pythons pickle enum members without their names, which stand in other parts of the
  // configuration; `whole`, the root of the pickle, is searched when they do not.
  static Config from_object(Object object, std::optional<Object> whole = std::nullopt);

  // YAML text as OmegaConf.create reads it (2.2 and 2.3, with PyYAML 6.0), which must be a mapping.
  // What it refuses is refused. `text()` of the result is `text`, unchanged. Throws Error(input),
  // the position first in the message:
  //   config.syntax         no well-formed UTF-8 or YAML, or more than one document
  //   config.empty          no value at all
  //   config.type           no mapping; a key that is no scalar; no mapping where one is merged
  //   config.tag            a tag other than those of plain YAML scalars and of pathlib paths
  //   config.duplicate_key  a key that is a string stands twice
  //   config.alias          an alias refers to what holds it
  //   config.value          a scalar that has no value ("0b_")
  //   config.interpolation  "${" and no well-formed interpolation after it; names the key
  //   config.depth, config.size  beyond the limits above, aliases counted as often as they are used
  static Config from_yaml(std::string text);

  // What OmegaConf.to_yaml gives for this configuration, character for character (OmegaConf 2.1 to
  // 2.3 with PyYAML 5.1 to 6.0); the original text when it was made by from_yaml.
  const std::string& text() const;

  // Whether the key exists (also with a null or missing ??? value).
  bool contains(std::string_view key) const;

  // Typed look-up. nullopt when the key does not exist, or its value is null or missing (???).
  // Throws Error(input, "config.type") for a value of another type and "config.interpolation" for
  // cycles and dangling references, naming the key.
  std::optional<bool> get_bool(std::string_view key) const;
  std::optional<std::int64_t> get_int(std::string_view key) const;
  std::optional<double> get_real(std::string_view key) const;  // int or float
  std::optional<std::string> get_string(std::string_view key) const;
  std::optional<std::vector<std::int64_t>> get_int_list(std::string_view key) const;
  std::optional<std::vector<std::string>> get_string_list(std::string_view key) const;
  // Keys of a mapping in order (non-string keys as text); nullopt when it is no mapping.
  std::optional<std::vector<std::string>> keys(std::string_view key) const;

  // As above, but where those give nullopt, throw Error(input, "config.missing") naming the key and
  // the nearest existing one.
  std::int64_t require_int(std::string_view key) const;
  double require_real(std::string_view key) const;
  std::string require_string(std::string_view key) const;
  std::vector<std::int64_t> require_int_list(std::string_view key) const;

  // A copy in which `key`, a path through mappings ("model.norm") that exists, holds the text
  // `value`; text() is what OmegaConf.to_yaml gives for it. Interpolations on the way are not
  // followed. Throws Error(input, "config.missing") when there is no such key.
  Config with(std::string_view key, std::string value) const;

  const ConfigNode& root() const { return *root_; }

 private:
  Config(std::shared_ptr<const ConfigNode> root, std::string text);
  std::shared_ptr<const ConfigNode> root_;
  std::shared_ptr<const std::string> text_;
};

}  // namespace craftbundle
