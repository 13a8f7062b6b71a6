// Configurations and plain values as JSON, and back.
#pragma once

#include <string>

#include "craftbundle/detail/checkpoint/package.h"
#include "craftbundle/detail/omegaconf/config.h"

namespace craftbundle::safetensors {

// The configuration as OmegaConf.to_container gives it, interpolations kept, indented by two.
std::string config_json(const Config& config);

// Plain data in one line. Throws Error(mismatch, "layout.value") for what JSON has no word for:
// tensors, numbers that are not finite, text that is no UTF-8. `where` is its place, for messages.
std::string value_json(const Value::Dict& dict, const std::string& where);

// The reverse. Throws Error(input, "layout.json") for text that is no such object.
Value::Dict read_value(const std::string& text);

// The name of a pretrained model as a file of its own, and back. Throws as above.
std::string reference_json(const std::string& name);
std::string read_reference(const std::string& text);

}  // namespace craftbundle::safetensors
