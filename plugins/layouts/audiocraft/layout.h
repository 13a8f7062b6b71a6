// Bundles as AudioCraft's loaders read them (audiocraft/models/loaders.py): a directory with a
// package for torch.load for each component.
#pragma once

#include "craftbundle/detail/plugin/layout.h"

namespace craftbundle::audiocraft {

// The package of a component: a dict for torch.save.
Value package_of(const Component& component);

class AudiocraftLayout final : public Layout {
 public:
  LayoutInfo info() const override;
  std::vector<BundleFile> plan(const std::vector<Component>& components,
                               const std::vector<OptionValue>& options,
                               LayoutContext& context) const override;
  std::vector<RoleSource> sources(const Path& place, const std::vector<std::string>& roles,
                                  LayoutContext& context) const override;
};

}  // namespace craftbundle::audiocraft
