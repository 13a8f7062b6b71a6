// JSON of layouts: configurations and plain values, and back.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "craftbundle/detail/checkpoint/package.h"
#include "craftbundle/detail/omegaconf/config.h"

namespace craftbundle::layout_json {

// Keys keep the order in which they were added.
using Json = nlohmann::ordered_json;

// Reads untrusted text. Throws Error(input, "layout.json") for what is no JSON or nests too deep.
Json parse(const std::string& text);

// The configuration as OmegaConf.to_container gives it, interpolations kept; and as text, indented
// by two.
Json config_value(const Config& config);
std::string config_json(const Config& config);

// An object as a configuration. Throws as Config::from_yaml.
Config config_from(const Json& json);

// Plain data in one line. Throws Error(mismatch, "layout.value") for what JSON has no word for:
// tensors, numbers that are not finite, text that is no UTF-8. `where` is its place, for messages.
std::string value_json(const Value::Dict& dict, const std::string& where);

// The reverse. Throws Error(input, "layout.json") for text that is no such object.
Value::Dict read_value(const std::string& text);

}  // namespace craftbundle::layout_json
