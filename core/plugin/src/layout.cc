#include "craftbundle/detail/plugin/layout.h"

#include <algorithm>

#include "craftbundle/detail/base/text.h"

namespace craftbundle {

std::optional<std::string> LayoutInfo::file_for(std::string_view role) const {
  for (const Part& part : parts) {
    if (part.role == role) return part.file;
  }
  for (const Part& part : parts) {
    if (part.role != "*") continue;
    std::string file = part.file;
    return file.replace(file.find('*'), 1, role);
  }
  return std::nullopt;
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
