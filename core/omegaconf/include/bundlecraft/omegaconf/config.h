// Configurations of AudioCraft trainings: OmegaConf objects, and their text.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "bundlecraft/checkpoint/object.h"

namespace bundlecraft {

// Bounds for configuration text and trees (docs/checkpoint_safety.md).
namespace limits {
inline constexpr std::size_t kConfigTextBytes = 4ULL << 20;
inline constexpr std::size_t kConfigDepth = 64;
inline constexpr std::size_t kConfigNodes = 200'000;
}  // namespace limits

struct ConfigNode;  // omegaconf/node.h: the tree itself, for code that walks it

// A resolved scalar or container. `nullopt` results below mean "no such key"; a null value is
// Config::Value holding std::monostate.
//
// An immutable configuration: the tree of a DictConfig (or ListConfig), with interpolations kept.
// Cheap to copy; copies share the tree. Thread: safe to read from any number of threads.
//
// Keys are paths as OmegaConf writes them: "transformer_lm.n_q", "seanet.ratios[0]" or
// "seanet.ratios.0". Values asked for are resolved: ${sample_rate}, ${..x}, ${a.b}, strings with
// several interpolations. Custom resolvers and oc.env are never run: asking for a value that needs
// one throws Error(input, "config.resolver").
class Config {
 public:
  // A pickled omegaconf DictConfig or ListConfig (OmegaConf 2.0 to 2.4), a plain dict or list (as
  // OmegaConf.to_yaml accepts). Throws Error(input, "config.*"), for example "config.type" for
  // anything else, "config.enum" when an enum's name is not in the file.
  static Config from_object(Object object, std::optional<Object> whole = std::nullopt);

  // YAML text as OmegaConf.create reads it (YAML 1.1 scalars; duplicate keys, tags other than the
  // standard scalars, anchors used as loops refused: "config.yaml", "config.tag",
  // "config.duplicate_key", ...). `text()` of the result is `text`, unchanged.
  static Config from_yaml(std::string text);

  // What OmegaConf.to_yaml gives for this configuration, character for character (OmegaConf 2.1 to
  // 2.3 with PyYAML 5.1 to 6.0); the original text when it was made by from_yaml.
  const std::string& text() const;

  // Whether the key exists (also with a null or missing ??? value).
  bool contains(std::string_view key) const;

  // Typed look-up. nullopt when the key, or a parent of it, does not exist or is null.
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

  // As above, but a key that does not exist or is null throws Error(input, "config.missing") naming
  // it and the nearest existing key.
  bool require_bool(std::string_view key) const;
  std::int64_t require_int(std::string_view key) const;
  double require_real(std::string_view key) const;
  std::string require_string(std::string_view key) const;
  std::vector<std::int64_t> require_int_list(std::string_view key) const;

  const ConfigNode& root() const { return *root_; }

 private:
  Config(std::shared_ptr<const ConfigNode> root, std::string text);
  std::shared_ptr<const ConfigNode> root_;
  std::shared_ptr<const std::string> text_;
};

}  // namespace bundlecraft
