// A codec as a program: its network with its weights, for torch.jit.load and without AudioCraft.
#include "craftbundle/detail/plugin/plugin.h"

#include "craftbundle/detail/base/text.h"

namespace craftbundle {
namespace {

class TorchscriptLayout final : public Layout {
 public:
  LayoutInfo info() const override {
    LayoutInfo info;
    info.name = "torchscript";
    info.summary = "A codec as a program for torch.jit.load; can be written, not read";
    info.parts = {{std::string(kCompressionRole), "codec.ts"}};
    return info;
  }

  std::vector<BundleFile> plan(const std::vector<Component>& components,
                               const std::vector<OptionValue>& /*options*/,
                               LayoutContext& context) const override {
    std::vector<BundleFile> files;
    for (const Component& component : components) {
      files.push_back({"codec.ts",
                       {component.role},
                       context.program(component),
                       "torch.jit.load('{bundle}').encode(wav)"});
    }
    return files;
  }
};

}  // namespace
}  // namespace craftbundle

CRAFTBUNDLE_PLUGIN("torchscript", "1.0.0", registrar) {
  registrar.add(std::make_unique<craftbundle::TorchscriptLayout>());
}
