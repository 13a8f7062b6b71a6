// A layout of one's own: each component as a directory with a bare state dict, as torch.save(
// model.state_dict()) leaves it, and its configuration. For training code that knows nothing else.
#pragma once

#include "craftbundle/plugin.h"

namespace mulaw {

class PlainLayout final : public craftbundle::Layout {
 public:
  craftbundle::LayoutInfo info() const override;
  std::vector<craftbundle::BundleFile> plan(const std::vector<craftbundle::Component>& components,
                                            const std::vector<craftbundle::OptionValue>& options,
                                            craftbundle::LayoutContext& context) const override;
};

}  // namespace mulaw
