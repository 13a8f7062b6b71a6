#include "stash.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/layout_json.h"
#include "names.h"

namespace craftbundle::transformers {
namespace {

std::string key_of(const std::string& role, const char* what) {
  return "craftbundle." + role + "." + what;
}

constexpr const char* kConfig = "config";
constexpr const char* kOrder = "order";  // "float16 emb.0.weight", one a line
constexpr const char* kExtra = "extra";
constexpr const char* kOrigin = "origin";

// Plain data; what else a package may hold nobody has a word for.
std::string extra_text(const Model& model) {
  try {
    return layout_json::value_json(model.extra, "the package");
  } catch (const Error& error) {
    if (error.code() != "layout.value") throw;
    return "{}";
  }
}

struct Place {
  std::size_t index = 0;
  DType dtype = DType::float32;
};

// The lines of `order`; empty when one of them cannot be read.
std::unordered_map<std::string, Place> places_of(std::string_view order) {
  std::unordered_map<std::string, Place> places;
  while (!order.empty()) {
    const std::size_t end = std::min(order.find('\n'), order.size());
    const std::string_view line = order.substr(0, end);
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos) return {};
    const auto dtype = dtype_from_name(line.substr(0, space));
    if (!dtype) return {};
    places.emplace(std::string(line.substr(space + 1)), Place{places.size(), *dtype});
    order.remove_prefix(std::min(end + 1, order.size()));
  }
  return places;
}

}  // namespace

Stash::Stash(const Safetensors& file) : metadata_(file.metadata()), tensors_(file.tensors()) {}

void Stash::add(const std::string& role, const Model& model,
                const std::vector<NamedTensor>& unplaced) {
  std::string order;
  for (const NamedTensor& named : model.tensors) {
    // A name that would break the lines: then the way back is without all this.
    if (named.name.find('\n') != std::string::npos) return;
    order += (order.empty() ? "" : "\n") + std::string(name(named.dtype())) + " " + named.name;
  }
  metadata_[key_of(role, kConfig)] = model.config.text();
  metadata_[key_of(role, kOrder)] = order;
  metadata_[key_of(role, kExtra)] = extra_text(model);
  metadata_[key_of(role, kOrigin)] = model.origin;
  for (NamedTensor& named : prefixed(role + ".", unplaced)) tensors_.push_back(std::move(named));
}

FileContentPtr Stash::file() const {
  SafetensorsMetadata metadata = metadata_;
  metadata["format"] = "pt";
  return safetensors_file(tensors_, std::move(metadata));
}

bool Stash::had(const std::string& role, const std::string& name) const {
  const auto found = metadata_.find(key_of(role, kOrder));
  return found != metadata_.end() && places_of(found->second).contains(name);
}

void Stash::restore(const std::string& role, Model& model) const {
  const auto text = [&](const char* what) {
    const auto found = metadata_.find(key_of(role, what));
    return found == metadata_.end() ? std::string() : found->second;
  };
  const std::unordered_map<std::string, Place> places = places_of(text(kOrder));
  if (places.empty()) return;
  Model restored = model;
  const std::vector<NamedTensor> kept = under(role + ".", tensors_);
  for (const NamedTensor& named : kept) {
    const auto there = std::ranges::find(restored.tensors, named.name, &NamedTensor::name);
    if (there == restored.tensors.end()) {
      restored.tensors.push_back(named);
    } else {
      *there = named;
    }
  }
  const bool same = places.size() == restored.tensors.size() &&
                    std::ranges::all_of(restored.tensors, [&](const NamedTensor& named) {
                      return places.contains(named.name);
                    });
  if (!same) return;
  std::ranges::sort(restored.tensors, {},
                    [&](const NamedTensor& named) { return places.at(named.name).index; });
  for (NamedTensor& named : restored.tensors) {
    if (!is_floating(named.dtype())) continue;
    named.tensor = cast(named.tensor, places.at(named.name).dtype);
  }
  restored.config = Config::from_yaml(text(kConfig));
  restored.extra = layout_json::read_value(text(kExtra));
  restored.origin = text(kOrigin);
  model = std::move(restored);
}

}  // namespace craftbundle::transformers
