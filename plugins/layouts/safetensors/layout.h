// Bundles for readers of other frameworks: <role>.safetensors with the names of the model's own
// state dict, and its configuration beside it as YAML, character for character, and as JSON.
// What else belongs to a model (Model::files) lies in <role>/.
//
// What comes back from it is what went in: the order of the tensors and what else the source's file
// held lie in the metadata of the tensors' file. Strides and shared storages are not kept.
#pragma once

#include "craftbundle/detail/plugin/layout.h"

namespace craftbundle::safetensors {

class SafetensorsLayout final : public Layout {
 public:
  LayoutInfo info() const override;
  std::vector<BundleFile> plan(const std::vector<Component>& components,
                               const std::vector<OptionValue>& options,
                               LayoutContext& context) const override;
  std::vector<RoleSource> sources(const Path& place, const std::vector<std::string>& roles,
                                  LayoutContext& context) const override;
};

}  // namespace craftbundle::safetensors
