#include "budget.h"

#include <utility>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/omegaconf/config.h"
#include "scalar.h"

namespace craftbundle::omegaconf {

void check_depth(std::size_t depth) {
  if (depth <= limits::kConfigDepth) return;
  throw Error(
      ErrorKind::input, "config.depth",
      "the configuration nests deeper than " + std::to_string(limits::kConfigDepth) + " levels");
}

void throw_too_many_values() {
  throw Error(
      ErrorKind::input, "config.size",
      "the configuration has more than " + std::to_string(limits::kConfigNodes) + " values");
}

void Budget::spend(std::size_t depth, std::size_t text_bytes) {
  check_depth(depth);
  if (++nodes_ > limits::kConfigNodes) throw_too_many_values();
  spend_key(text_bytes);
}

void Budget::spend_key(std::size_t text_bytes) {
  text_bytes_ += text_bytes;
  if (text_bytes_ > limits::kConfigTextBytes) {
    throw Error(
        ErrorKind::input, "config.size",
        "the configuration holds more than " + human_bytes(limits::kConfigTextBytes) + " of text");
  }
}

std::size_t text_size(const ConfigNode& node) {
  if (const auto* text = node.get_if<std::string>()) return text->size();
  if (const auto* big = node.get_if<ConfigBigInteger>()) return big->digits.size();
  if (const auto* bytes = node.get_if<ConfigBytes>()) return bytes->data.size();
  std::size_t size = 0;
  if (const auto* path = node.get_if<ConfigPath>()) {
    size = path->class_name.size();
    // An argument of no characters still takes a line.
    for (const std::string& argument : path->arguments) size += argument.size() + 1;
  }
  return size;
}

std::size_t text_size(const ConfigKey& key) {
  if (const auto* text = std::get_if<std::string>(&key)) return text->size();
  if (const auto* big = std::get_if<ConfigBigInteger>(&key)) return big->digits.size();
  if (const auto* bytes = std::get_if<ConfigBytes>(&key)) return bytes->data.size();
  return 0;
}

bool MappingBuilder::contains(const ConfigKey& key) const {
  return places_.contains(key_identity(key));
}

void MappingBuilder::set(ConfigKey key, ConfigNode value) {
  const auto [place, is_new] = places_.try_emplace(key_identity(key), mapping_.size());
  if (is_new) {
    mapping_.push_back({std::move(key), std::move(value)});
  } else {
    mapping_[place->second].value = std::move(value);
  }
}

}  // namespace craftbundle::omegaconf
