#include "craftbundle/detail/checkpoint/loading.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "craftbundle/detail/base/text.h"

namespace craftbundle {
namespace {

// Functions and classes; types and storages of torch are listed by dtype.
constexpr std::array<std::string_view, 26> kAllowed = {
    "collections.OrderedDict",
    "collections.Counter",
    "torch.nn.parameter.Parameter",
    "torch.serialization._get_layout",
    "torch.Size",
    "torch.Tensor",
    "torch.device",
    "_codecs.encode",
    "builtins.bytearray",
    "builtins.set",
    "builtins.complex",
    "torch._tensor._rebuild_from_type_v2",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch._utils._rebuild_qtensor",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor_v3",
    "torch._utils._rebuild_sparse_tensor",
    "torch._utils._rebuild_meta_tensor_no_storage",
    "torch._utils._rebuild_nested_tensor",
    "torch._utils._rebuild_wrapper_subclass",
    "torch._utils._rebuild_device_tensor_from_numpy",
    "torch._utils._rebuild_device_tensor_from_cpu_tensor",
    "torch.storage.TypedStorage",
    "torch.storage.UntypedStorage",
};

bool is_allowed(std::string_view name) {
  if (std::ranges::count(kAllowed, name) != 0) return true;
  if (!name.starts_with("torch.")) return false;
  name.remove_prefix(std::string_view("torch.").size());
  if (dtype_from_name(name)) return true;
  if (name.starts_with("cuda.")) name.remove_prefix(std::string_view("cuda.").size());
  return dtype_from_storage_class(name).has_value() || is_quantized_storage_class(name);
}

// The last protocol without frames.
constexpr int kLastProtocol = 3;

}  // namespace

std::vector<std::string> weights_only_obstacles(const Checkpoint& checkpoint) {
  std::vector<std::string> obstacles;
  if (checkpoint.format().pickle_protocol > kLastProtocol) {
    obstacles.push_back("the pickle has protocol " +
                        std::to_string(checkpoint.format().pickle_protocol));
  }
  std::vector<std::string> names;
  for (const GlobalReference& reference : checkpoint.globals()) {
    if (!is_allowed(reference.name)) names.push_back(printable(reference.name, 80));
  }
  if (!names.empty()) obstacles.push_back("it names " + list_text(names, 3));
  return obstacles;
}

std::string oldest_pytorch(const Checkpoint& checkpoint) {
  if (checkpoint.format().container == CheckpointFormat::Container::legacy) return "any";
  const bool untyped = std::ranges::any_of(checkpoint.globals(), [](const GlobalReference& global) {
    return global.name == "torch._utils._rebuild_tensor_v3";
  });
  return untyped ? "2.1" : "1.6";
}

}  // namespace craftbundle
