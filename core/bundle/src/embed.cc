#include "craftbundle/detail/bundle/embed.h"

#include <algorithm>
#include <iterator>

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/bundle/transform.h"

namespace craftbundle {
namespace {

PreparedComponent find_cached(const Fetched& wanted, SourceOptions lookup, const Host& host) {
  lookup.role = wanted.role;
  lookup.local = true;
  return with_context(
      [&] { return "--embed: " + wanted.role; },
      [&] {
        return prepare_component(
            {resolve_source(wanted.name, lookup, host), wanted.role, {}, {}, {}, lookup.directory},
            host);
      });
}

// What a reference stands for.
Fetched target_of(const Component& component) {
  const std::string& name = std::get<Reference>(component.content).name;
  for (const Fetched& fetched : component.fetches) {
    if (fetched.name == name && !fetched.role.empty()) return fetched;
  }
  throw Error(ErrorKind::mismatch, "embed.reference",
              component.role + " " + quoted(name) +
                  " cannot be put into the bundle: its loader takes the name only",
              "leave --embed out; " + quoted(name) + " is then fetched when the bundle is loaded");
}

}  // namespace

std::vector<std::string> fetched_for(const Component& component, const BundleContents& contents) {
  const bool by_folder = joins_layout(contents.layout, kDefaultLayout);
  std::vector<std::string> names;
  for (const Fetched& fetched : component.fetches) {
    if (by_folder) {
      if (contents.has_folder && contents.has_folder(fetched.name)) continue;
    } else if (fetched.role.empty()) {
      // That of AudioCraft's loaders.
      if (component.model() != nullptr) continue;
    } else if (std::ranges::count(contents.models, fetched.role) != 0) {
      continue;
    }
    names.push_back(fetched.name);
  }
  return names;
}

std::vector<std::string> fetched_for(const Component& component) {
  return fetched_for(component, {std::string(kDefaultLayout)});
}

std::optional<std::string> fetch_warning(const Component& component,
                                         const std::vector<std::string>& fetched) {
  if (fetched.empty() || component.model() == nullptr) return std::nullopt;
  return "not part of the bundle, fetched when it is loaded unless cached: " + list_text(fetched);
}

bool embeds(const LayoutChoice& layout) {
  return std::ranges::any_of(layout.options, [](const OptionValue& option) {
    return option.name == kEmbedOption && option.value == "true";
  });
}

LayoutChoice embedding(LayoutChoice layout, const Host& host) {
  const LayoutInfo info = host.layout(layout.name);
  const bool has_option = std::ranges::count(info.options, kEmbedOption, &OptionSpec::name) != 0;
  const bool is_given = std::ranges::count(layout.options, kEmbedOption, &OptionValue::name) != 0;
  if (has_option && !is_given) layout.options.push_back({std::string(kEmbedOption), "true"});
  return layout;
}

std::vector<PreparedComponent> embed(std::vector<PreparedComponent> components,
                                     const SourceOptions& lookup, const Host& host) {
  for (PreparedComponent& prepared : components) {
    if (prepared.component.model() != nullptr || prepared.component.fetches.empty()) continue;
    prepared = find_cached(target_of(prepared.component), lookup, host);
  }
  std::vector<std::string> roles = {""};
  for (const PreparedComponent& prepared : components) roles.push_back(prepared.component.role);
  std::vector<PreparedComponent> added;
  for (const PreparedComponent& prepared : components) {
    for (const Fetched& fetched : prepared.component.fetches) {
      if (std::ranges::count(roles, fetched.role) != 0) continue;
      roles.push_back(fetched.role);
      added.push_back(find_cached(fetched, lookup, host));
    }
  }
  std::ranges::move(added, std::back_inserter(components));
  return components;
}

}  // namespace craftbundle
