#include "craftbundle/detail/plugin/layout.h"

#include <algorithm>
#include <functional>
#include <span>

#include "craftbundle/detail/base/text.h"

namespace craftbundle {

std::vector<std::string> layouts_in(std::string_view name) {
  std::vector<std::string> layouts;
  while (true) {
    const std::size_t plus = name.find('+');
    layouts.emplace_back(name.substr(0, plus));
    if (plus == std::string_view::npos) return layouts;
    name.remove_prefix(plus + 1);
  }
}

bool joins_layout(std::string_view name, std::string_view layout) {
  return std::ranges::count(layouts_in(name), layout) != 0;
}

std::optional<std::string> LayoutInfo::file_for(std::string_view role) const {
  for (const Part& part : parts) {
    if (part.role == role) return part.file;
  }
  if (std::ranges::count(leaves_out, role) != 0) return std::nullopt;
  for (const Part& part : parts) {
    if (part.role != "*") continue;
    std::string file = part.file;
    return file.replace(file.find('*'), 1, role);
  }
  return std::nullopt;
}

LayoutInfo join_layouts(std::string_view name, const std::vector<LayoutInfo>& layouts) {
  LayoutInfo joined = layouts.front();
  joined.name = name;
  for (const LayoutInfo& layout : std::span(layouts).subspan(1)) {
    joined.revision += layout.revision;
    joined.summary += "; " + layout.summary;
    const auto add = [](auto& to, const auto& from, auto key) {
      for (const auto& one : from) {
        if (std::ranges::count(to, std::invoke(key, one), key) == 0) to.push_back(one);
      }
    };
    add(joined.options, layout.options, &OptionSpec::name);
    add(joined.families, layout.families, std::identity());
    add(joined.parts, layout.parts, &LayoutInfo::Part::role);
    add(joined.leaves_out, layout.leaves_out, std::identity());
  }
  std::erase_if(joined.leaves_out, [&](const std::string& role) {
    return std::ranges::any_of(
        layouts, [&](const LayoutInfo& layout) { return layout.file_for(role).has_value(); });
  });
  return joined;
}

std::vector<TensorAlias> Layout::aliases(const Model& /*model*/) const { return {}; }

Probe Layout::recognize(const std::vector<std::string>& files) const {
  for (const LayoutInfo::Part& part : info().parts) {
    if (part.role != "*" && std::ranges::count(files, part.file) != 0) {
      return {90, "holds " + part.file};
    }
  }
  return {0, "holds none of its files"};
}

std::vector<RoleSource> Layout::sources(const Path& /*place*/,
                                        const std::vector<std::string>& /*roles*/,
                                        LayoutContext& /*context*/) const {
  throw Error(ErrorKind::usage, "layout.unreadable",
              "bundles of layout " + quoted(info().name) + " can be written, not read",
              "give the sources it was made from");
}

}  // namespace craftbundle
