// Folders of Hugging Face's transformers: MusicGen in its three forms and AudioGen, with codec and
// text encoder in one model; EnCodec, DAC and T5 alone.
//
// docs/huggingface.md says what goes where and what cannot.
#pragma once

#include "craftbundle/detail/plugin/layout.h"

namespace craftbundle::transformers {

class TransformersLayout final : public Layout {
 public:
  LayoutInfo info() const override;
  std::vector<BundleFile> plan(const std::vector<Component>& components,
                               const std::vector<OptionValue>& options,
                               LayoutContext& context) const override;
  std::vector<TensorAlias> aliases(const Model& model) const override;
  Probe recognize(const std::vector<std::string>& files) const override;
  std::vector<RoleSource> sources(const Path& place, const std::vector<std::string>& roles,
                                  LayoutContext& context) const override;
};

}  // namespace craftbundle::transformers
