#include "craftbundle/detail/bundle/tensor_list.h"

#include <fnmatch.h>

#include <algorithm>
#include <boost/filesystem/operations.hpp>
#include <map>
#include <unordered_set>
#include <utility>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/bundle/bundle.h"
#include "craftbundle/detail/bundle/open.h"
#include "craftbundle/detail/bundle/read.h"
#include "craftbundle/detail/checkpoint/limits.h"
#include "craftbundle/detail/omegaconf/node.h"
#include "craftbundle/detail/tensor/convert.h"
#include "weights.h"

namespace craftbundle {
namespace {

// A container in the file that is still to be looked into.
struct OpenPlace {
  Object object;
  std::string name;
  std::size_t depth = 0;
};

std::string key_name(Object key) {
  if (key.is(Kind::string)) return std::string(key.as_string());
  if (key.is(Kind::integer)) return std::to_string(key.as_int());
  return describe(key);
}

std::string below(const std::string& name, const std::string& key) {
  return name.empty() ? key : name + "." + key;
}

// What dicts, lists and tuples hold, in the order of the file. Names are as long as they are deep,
// so that depth is bounded.
TensorGroup group_of(const std::shared_ptr<const Checkpoint>& checkpoint) {
  TensorGroup group;
  std::unordered_set<std::uint32_t> seen;
  std::vector<OpenPlace> open = {{checkpoint->root(), {}, 0}};
  while (!open.empty()) {
    const OpenPlace place = std::move(open.back());
    open.pop_back();
    if (Checkpoint::is_tensor(place.object)) {
      try {
        group.tensors.push_back({place.name, checkpoint->tensor(place.object)});
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::input) throw;
        group.refused.push_back(printable(place.name) + ": " + error.message());
      }
      continue;
    }
    // A container that several places share is listed once; tensors by every name they have.
    if (!seen.insert(place.object.id()).second || place.depth == limits::kPrintedDepth) continue;
    std::vector<OpenPlace> held;
    if (place.object.is(Kind::dict)) {
      for (const auto [key, value] : place.object.entries()) {
        held.push_back({value, below(place.name, key_name(key)), place.depth + 1});
      }
    } else if (place.object.is(Kind::list) || place.object.is(Kind::tuple)) {
      for (std::size_t i = 0; i < place.object.size(); ++i) {
        held.push_back({place.object[i], below(place.name, std::to_string(i)), place.depth + 1});
      }
    }
    std::move(held.rbegin(), held.rend(), std::back_inserter(open));
  }
  return group;
}

TensorGroup group_of(std::vector<NamedTensor> tensors) {
  TensorGroup group;
  for (NamedTensor& named : tensors) {
    group.tensors.push_back({std::move(named.name), std::move(named.tensor)});
  }
  return group;
}

TensorGroup group_of(const Source& source) {
  switch (source.kind()) {
    case AcceptedSource::Kind::checkpoint:
      return group_of(
          std::static_pointer_cast<const Checkpoint>(source.checkpoint().shared_from_this()));
    case AcceptedSource::Kind::model:
      return group_of(source.model().tensors);
    case AcceptedSource::Kind::pretrained:
    case AcceptedSource::Kind::directory:
      break;
  }
  return {};
}

bool is_folder(const Path& path) {
  boost::system::error_code ignored;
  return boost::filesystem::is_directory(path, ignored);
}

// The bundle at `path`; nullopt when it is none.
std::optional<BundleListing> bundle_at(const Path& path, const Host& host) {
  if (!is_folder(path) || is_source_directory(path, host)) return std::nullopt;
  try {
    return list_bundle(path, read_manifest(path), host);
  } catch (const Error& error) {
    if (error.code() != "bundle.none") throw;
    return std::nullopt;
  }
}

// One component of either side of a comparison.
struct Side {
  std::string role;
  Component component;
};

struct Sides {
  std::vector<Side> all;
  bool is_bundle = false;
};

Sides components_at(const std::string& given, const SourceOptions& lookup, const Host& host) {
  std::vector<Side> sides;
  const std::optional<Path> path = weights_path(given, lookup, host);
  if (path && is_folder(*path) && bundle_at(*path, host)) {
    for (PreparedComponent& prepared : components_of(*path, host)) {
      sides.push_back({prepared.component.role, std::move(prepared.component)});
    }
    return {std::move(sides), true};
  }
  PreparedComponent prepared = open_component({given, lookup, {}, {}, {}, {}}, host);
  sides.push_back({prepared.component.role, std::move(prepared.component)});
  return {std::move(sides), false};
}

// Everything in the file, as if it were a component.
Side file_at(const std::string& given, const SourceOptions& lookup, const Host& host) {
  Model model;
  for (TensorGroup& group : list_tensors(given, lookup, host)) {
    for (ListedTensor& tensor : group.tensors) {
      model.tensors.push_back(
          {group.name.empty() ? std::move(tensor.name) : group.name + "." + tensor.name,
           std::move(tensor.tensor)});
    }
  }
  Side side;
  side.component.content = std::move(model);
  return side;
}

std::string scalar_text(const ConfigNode& node) {
  std::string text = to_yaml(node);
  // The end of a document with nothing but a scalar.
  for (const std::string_view end : {"\n...\n", "\n"}) {
    if (text.ends_with(end)) text.resize(text.size() - end.size());
  }
  return text;
}

// "a.b[0]": values that are no containers, or empty ones.
void flatten(const ConfigNode& node, const std::string& place,
             std::vector<std::pair<std::string, std::string>>& out) {
  const auto* mapping = node.get_if<ConfigNode::Mapping>();
  const auto* list = node.get_if<ConfigNode::List>();
  if (mapping != nullptr && !mapping->empty()) {
    for (const ConfigEntry& entry : *mapping) {
      flatten(entry.value, below(place, key_text(entry.key)), out);
    }
  } else if (list != nullptr && !list->empty()) {
    for (std::size_t i = 0; i < list->size(); ++i) {
      flatten((*list)[i], place + "[" + std::to_string(i) + "]", out);
    }
  } else {
    out.emplace_back(place, scalar_text(node));
  }
}

// Pairs of items with the same name, in the order of the first, then what only the second has.
template <typename Item, typename Name, typename Visit>
void for_each_pair(const std::vector<Item>& first, const std::vector<Item>& second, Name name,
                   Visit visit) {
  std::map<std::string, const Item*> left;
  for (const Item& item : second) left.emplace(name(item), &item);
  for (const Item& item : first) {
    const auto found = left.find(name(item));
    visit(&item, found == left.end() ? nullptr : found->second);
    if (found != left.end()) left.erase(found);
  }
  for (const Item& item : second) {
    if (const auto found = left.find(name(item)); found != left.end()) {
      visit(static_cast<const Item*>(nullptr), &item);
      left.erase(found);
    }
  }
}

void diff_configs(const Config& first, const Config& second, SourceDiff::Group& group) {
  using Setting = std::pair<std::string, std::string>;
  std::vector<Setting> a;
  std::vector<Setting> b;
  flatten(first.root(), {}, a);
  flatten(second.root(), {}, b);
  const auto value = [](const Setting* setting) {
    return setting == nullptr ? std::nullopt : std::optional(setting->second);
  };
  for_each_pair(
      a, b, [](const Setting& setting) { return setting.first; },
      [&](const Setting* one, const Setting* other) {
        if (value(one) == value(other)) return;
        group.settings.push_back({(one != nullptr ? one : other)->first, value(one), value(other)});
      });
}

// The tensors of a component that can be compared by their numbers.
Component with_numbers(const Component& given, SourceDiff::Group& group) {
  Model model;
  // It knows how weight norms are folded.
  if (given.model() != nullptr) model = *given.model();
  model.tensors.clear();
  model.extra.clear();
  for (const NamedTensor& named : tensors_of(given)) {
    if (is_convertible(named.dtype())) {
      model.tensors.push_back(named);
    } else if (std::ranges::count(group.not_compared, named.name) == 0) {
      group.not_compared.push_back(named.name);
    }
  }
  Component component;
  component.content = std::move(model);
  return component;
}

SourceDiff::Group diff_components(const Component& first, const Component& second, bool values,
                                  const Cancellation& cancellation) {
  SourceDiff::Group group;
  const std::vector<NamedTensor> a = tensors_of(first);
  const std::vector<NamedTensor> b = tensors_of(second);
  const auto content = [](const NamedTensor* named) {
    return named == nullptr ? std::nullopt : std::optional(named->tensor);
  };
  for_each_pair(
      a, b, [](const NamedTensor& named) { return named.name; },
      [&](const NamedTensor* one, const NamedTensor* other) {
        const bool equal = one != nullptr && other != nullptr && one->dtype() == other->dtype() &&
                           one->shape() == other->shape();
        if (equal) {
          ++group.equal;
        } else {
          group.tensors.push_back(
              {(one != nullptr ? one : other)->name, content(one), content(other)});
        }
      });
  if (first.model() != nullptr && second.model() != nullptr) {
    diff_configs(first.model()->config, second.model()->config, group);
  } else {
    const auto name = [](const Component& component) -> std::optional<std::string> {
      if (component.model() != nullptr) return std::nullopt;
      return std::get<Reference>(component.content).name;
    };
    if (name(first) != name(second)) {
      group.settings.push_back({"name of a pretrained model", name(first), name(second)});
    }
  }
  if (!values) return group;
  TensorComparison compared =
      compare_tensors(with_numbers(second, group), with_numbers(first, group), cancellation);
  for (TensorDifference& difference : compared.differences) {
    if (difference.absolute == 0) {
      ++group.equal_values;
    } else {
      group.values.push_back(std::move(difference));
    }
  }
  return group;
}

}  // namespace

std::vector<TensorGroup> list_tensors(const std::string& given, const SourceOptions& lookup,
                                      const Host& host) {
  const std::optional<Path> path = weights_path(given, lookup, host);
  boost::system::error_code ignored;
  if (!path || !boost::filesystem::exists(*path, ignored)) {
    // Says why, or that it is no more than a name.
    const Source source = resolve_source(given, lookup, host);
    throw Error(ErrorKind::input, "tensors.none",
                quoted(source.given()) + " is a name, and there are no tensors of it here",
                "name a file or directory");
  }
  std::vector<TensorGroup> groups;
  if (const std::optional<BundleListing> bundle = bundle_at(*path, host)) {
    for (const BundleListing::Entry& entry : bundle->entries) {
      groups.push_back(group_of(find_source(*bundle, entry.role, host).source));
      groups.back().name = entry.role;
    }
    return groups;
  }
  if (!is_folder(*path)) {
    std::shared_ptr<const Checkpoint> checkpoint;
    try {
      checkpoint = host.open(*path);
    } catch (const Error& error) {
      const bool is_index = path->extension() == ".json";
      if (error.code() != "format.safetensors" && !is_index) throw;
    }
    if (checkpoint) return {group_of(checkpoint)};
  }
  TensorGroup group;
  for (const WeightDict& dict : open_weights(*path, host).dicts) {
    for (const WeightDict::Entry& entry : dict.entries) {
      group.tensors.push_back({entry.name, WeightDict::tensor_of(entry)});
    }
  }
  groups.push_back(std::move(group));
  return groups;
}

bool is_meant(const std::string& name, const std::string& pattern) {
  if (pattern.empty()) return true;
  if (pattern.find_first_of("*?[") == std::string::npos) {
    return name.find(pattern) != std::string::npos;
  }
  std::string_view rest = name;
  while (true) {
    if (::fnmatch(pattern.c_str(), std::string(rest).c_str(), 0) == 0) return true;
    const std::size_t dot = rest.find('.');
    if (dot == std::string_view::npos) return false;
    rest.remove_prefix(dot + 1);
  }
}

std::uint64_t bytes_of(const TensorContent& tensor) {
  return element_count(shape_of(tensor)).value_or(0) * item_size(dtype_of(tensor));
}

std::vector<std::optional<StorageUse>> storages_of(const TensorGroup& group) {
  using Place = std::pair<const TensorFile*, std::string>;
  std::map<Place, std::vector<std::size_t>> users;
  const auto place_of = [](const Tensor& tensor) {
    return Place(tensor.storage.owner.get(), tensor.storage.key);
  };
  for (std::size_t i = 0; i < group.tensors.size(); ++i) {
    const auto* tensor = std::get_if<Tensor>(&group.tensors[i].tensor);
    if (tensor != nullptr) users[place_of(*tensor)].push_back(i);
  }
  std::vector<std::optional<StorageUse>> uses;
  for (std::size_t i = 0; i < group.tensors.size(); ++i) {
    const auto* tensor = std::get_if<Tensor>(&group.tensors[i].tensor);
    if (tensor == nullptr) {
      uses.emplace_back();
      continue;
    }
    StorageUse use{tensor->storage.key, static_cast<std::uint64_t>(tensor->layout.offset),
                   tensor->storage.bytes / item_size(tensor->dtype), is_contiguous(tensor->layout),
                   users[place_of(*tensor)]};
    std::erase(use.shared, i);
    uses.emplace_back(std::move(use));
  }
  return uses;
}

bool SourceDiff::is_empty() const {
  return std::ranges::all_of(groups, [](const Group& group) {
    return group.in_first && group.in_second && group.tensors.empty() && group.settings.empty() &&
           group.values.empty();
  });
}

SourceDiff diff_sources(const std::string& first, const std::string& second,
                        const SourceOptions& lookup, bool values, const Host& host,
                        const Cancellation& cancellation) {
  SourceDiff diff;
  Sides a;
  Sides b;
  try {
    a = components_at(first, lookup, host);
    b = components_at(second, lookup, host);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::input && error.kind() != ErrorKind::mismatch) throw;
    diff.as_files = error.message();
    a = {{file_at(first, lookup, host)}};
    b = {{file_at(second, lookup, host)}};
  }
  bool any = false;
  for_each_pair(
      a.all, b.all, [](const Side& side) { return side.role; },
      [&](const Side* one, const Side* other) {
        // Of a bundle, what a single component does not stand for is not asked about.
        const bool is_asked = a.is_bundle == b.is_bundle || (one != nullptr && other != nullptr);
        if (!is_asked) return;
        SourceDiff::Group group;
        if (one != nullptr && other != nullptr) {
          group = diff_components(one->component, other->component, values, cancellation);
          any = true;
        }
        group.name = (one != nullptr ? one : other)->role;
        group.in_first = one != nullptr;
        group.in_second = other != nullptr;
        diff.groups.push_back(std::move(group));
      });
  if (any) return diff;
  const auto roles = [](const std::vector<Side>& sides) {
    std::vector<std::string> names;
    for (const Side& side : sides) names.push_back(side.role);
    return list_text(names);
  };
  throw Error(ErrorKind::input, "diff.roles",
              quoted(first) + " holds " + roles(a.all) + ", " + quoted(second) + " holds " +
                  roles(b.all) + ": they have no component in common",
              "name two sources of the same component");
}

}  // namespace craftbundle
