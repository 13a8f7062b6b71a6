#include "plain_layout.h"

namespace mulaw {

using craftbundle::BundleFile;
using craftbundle::Value;

craftbundle::LayoutInfo PlainLayout::info() const {
  craftbundle::LayoutInfo info;
  info.name = "plain";
  info.summary = "A bare state dict and its configuration for each component";
  info.parts = {{"lm", "lm/weights.pt"}, {"*", "*/weights.pt"}};
  return info;
}

std::vector<BundleFile> PlainLayout::plan(const std::vector<craftbundle::Component>& components,
                                          const std::vector<craftbundle::OptionValue>& /*options*/,
                                          craftbundle::LayoutContext& /*context*/) const {
  std::vector<BundleFile> files;
  for (const craftbundle::Component& component : components) {
    const craftbundle::Model* model = component.model();
    if (model == nullptr) {
      throw craftbundle::Error(craftbundle::ErrorKind::mismatch, "layout.reference",
                               component.role + " is a name without weights",
                               "give the weights themselves");
    }
    Value::Dict state;
    for (const craftbundle::NamedTensor& named : model->tensors) {
      std::visit([&](const auto& tensor) { state.emplace_back(named.name, Value(tensor)); },
                 named.tensor);
    }
    const std::string directory = component.role + "/";
    files.push_back({directory + "weights.pt", {component.role}, torch_package(Value(state))});
    files.push_back({directory + "config.yaml",
                     {component.role},
                     craftbundle::text_file(model->config.text())});
  }
  return files;
}

}  // namespace mulaw
