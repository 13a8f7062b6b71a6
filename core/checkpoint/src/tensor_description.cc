#include "tensor_description.h"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "craftbundle/detail/base/checked.h"
#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"
#include "craftbundle/detail/checkpoint/limits.h"

namespace craftbundle {
namespace {

[[noreturn]] void fail(std::string_view check, const std::string& message,
                       const std::string& hint = {}) {
  throw Error(ErrorKind::input, "tensor." + std::string(check), message, hint);
}

// describe() without looking into what objects are made of: it calls this file.
std::string found(Object object) {
  return object.is(Kind::call) ? "an object of " + quoted(object.class_name()) : describe(object);
}

bool is_name(Object object, std::string_view module, std::string_view name) {
  return object.is(Kind::global) && object.module() == module && object.qualified_name() == name;
}

// Functions that rebuild a tensor, with why a package cannot carry the result; empty: it can.
struct Rebuild {
  std::string_view module;
  std::string_view name;
  std::string_view check;
  std::string_view what;
};

constexpr std::array kRebuild = {
    Rebuild{"torch._utils", "_rebuild_tensor", "", ""},
    Rebuild{"torch._utils", "_rebuild_tensor_v2", "", ""},
    Rebuild{"torch._utils", "_rebuild_tensor_v3", "", ""},
    Rebuild{"torch._utils", "_rebuild_parameter", "", ""},
    Rebuild{"torch._utils", "_rebuild_parameter_with_state", "", ""},
    Rebuild{"torch._utils", "_rebuild_qtensor", "quantized", "a quantized tensor"},
    Rebuild{"torch._utils", "_rebuild_sparse_tensor", "sparse", "a sparse tensor"},
    Rebuild{"torch._utils", "_rebuild_sparse_csr_tensor", "sparse", "a sparse tensor"},
    Rebuild{"torch._utils", "_rebuild_nested_tensor", "nested", "a nested tensor"},
    Rebuild{"torch._utils", "_rebuild_meta_tensor_no_storage", "meta",
            "a meta tensor, which has no data"},
    Rebuild{"torch._utils", "_rebuild_wrapper_subclass", "subclass",
            "a wrapper around other tensors"},
    Rebuild{"torch._utils", "_rebuild_device_tensor_from_numpy", "device",
            "a tensor that was saved as a NumPy array"},
    Rebuild{"torch._utils", "_rebuild_device_tensor_from_cpu_tensor", "device",
            "a tensor that was saved through another one"},
    Rebuild{"torch._utils", "_rebuild_xla_tensor", "device", "an XLA tensor"},
    Rebuild{"torch._tensor", "_rebuild_from_type_v2", "subclass",
            "a tensor of a subclass (such as ShardedTensor or DTensor)"},
    Rebuild{"torch.tensor", "_rebuild_from_type_v2", "subclass", "a tensor of a subclass"},
    Rebuild{"torch._tensor", "_rebuild_from_type", "subclass", "a tensor of a subclass"},
    Rebuild{"torch.nn.parameter", "Parameter", "old",
            "a parameter in the form of PyTorch before 0.2"},
};

constexpr Rebuild kOldTensor{"torch", "FloatTensor", "old",
                             "a tensor in the form of PyTorch before 0.2"};

const Rebuild* find_function(Object callee) {
  if (!callee.is(Kind::global)) return nullptr;
  if ((callee.module() == "torch" || callee.module() == "torch.cuda") &&
      callee.qualified_name().ends_with("Tensor")) {
    return &kOldTensor;
  }
  const auto* const found = std::find_if(kRebuild.begin(), kRebuild.end(), [&](const Rebuild& row) {
    return is_name(callee, row.module, row.name);
  });
  return found == kRebuild.end() ? nullptr : found;
}

const Rebuild* find_rebuild(Object object) {
  return object.is(Kind::call) ? find_function(object.callee()) : nullptr;
}

// A whole number that is not negative.
std::int64_t natural(Object object, std::string_view check, std::string_view what) {
  if (!object.is(Kind::integer) || object.as_int() < 0) {
    fail(check, std::string(what) + " is " + found(object) + ", expected an int from 0 on");
  }
  return object.as_int();
}

// A tuple of them; a torch.Size wraps one.
std::vector<std::int64_t> naturals(Object object, std::string_view check, std::string_view what) {
  if (object.is(Kind::call) && is_name(object.callee(), "torch", "Size") &&
      object.arguments().is(Kind::tuple) && object.arguments().size() == 1) {
    object = object.arguments()[0];
  }
  if (!object.is(Kind::tuple) && !object.is(Kind::list)) {
    fail(check, std::string(what) + " is " + found(object) + ", expected a tuple");
  }
  if (object.size() > limits::kTensorDimensions) {
    fail(check, std::string(what) + " has " + std::to_string(object.size()) +
                    " dimensions, at most " + std::to_string(limits::kTensorDimensions) +
                    " are supported");
  }
  std::vector<std::int64_t> numbers;
  for (std::size_t i = 0; i < object.size(); ++i)
    numbers.push_back(natural(object[i], check, what));
  return numbers;
}

bool boolean(Object object) {
  if (!object.is(Kind::boolean)) {
    fail("args", "requires_grad is " + found(object) + ", expected a bool");
  }
  return object.as_bool();
}

void require_no_hooks(Object hooks) {
  const bool none = hooks.is(Kind::none) || (hooks.is(Kind::dict) && hooks.size() == 0);
  if (!none) fail("hooks", "backward_hooks is " + found(hooks) + ", expected an empty OrderedDict");
}

void require_no_metadata(Object metadata) {
  const bool none = metadata.is(Kind::none) || (metadata.is(Kind::dict) && metadata.size() == 0);
  if (!none) {
    fail("args",
         "the tensor has metadata (" + found(metadata) +
             "): conjugate and negative views are not supported",
         "save tensor.resolve_conj().resolve_neg() instead");
  }
}

bool is_storage_module(std::string_view module) {
  return module == "torch" || module == "torch.cuda" || module == "torch.storage";
}

void read_storage_class(Object object, StorageReference& storage) {
  if (!object.is(Kind::global)) fail("storage", "the storage class is " + found(object));
  const std::string_view name = object.qualified_name();
  if (is_storage_module(object.module())) {
    if (is_quantized_storage_class(name)) {
      fail("quantized", "a storage of quantized numbers (" + object.class_name() + ")");
    }
    if (name == "UntypedStorage" || name == "_UntypedStorage") {
      storage.untyped = true;
      return;
    }
    if (const std::optional<DType> dtype = dtype_from_storage_class(name)) {
      storage.dtype = *dtype;
      return;
    }
  }
  fail("storage", quoted(object.class_name()) + " is no storage class of PyTorch");
}

bool is_storage_key(std::string_view key) {
  constexpr std::size_t kMostDigits = 20;
  return !key.empty() && key.size() <= kMostDigits &&
         key.find_first_not_of("0123456789") == std::string_view::npos;
}

std::string read_key(Object object) {
  if (!object.is(Kind::string) || !is_storage_key(object.as_string())) {
    fail("storage_key", "the key of a storage is " + found(object) + ", expected digits");
  }
  return std::string(object.as_string());
}

// None or (key of the part, offset, elements).
std::optional<StorageReference::Part> read_part(Object object, std::uint64_t elements) {
  if (object.is(Kind::none)) return {};
  if (!object.is(Kind::tuple) || object.size() != 3) {
    fail("storage", "the part of a storage is " + found(object));
  }
  StorageReference::Part part;
  part.offset = static_cast<std::uint64_t>(natural(object[1], "storage", "the offset of a part"));
  part.elements = static_cast<std::uint64_t>(natural(object[2], "storage", "the size of a part"));
  if (!in_range(part.offset, part.elements, elements)) {
    fail("bounds", "a part of a storage reaches element " + std::to_string(part.offset) + " + " +
                       std::to_string(part.elements) + " of " + std::to_string(elements));
  }
  return part;
}

std::optional<DType> read_dtype(Object object) {
  if (!object.is(Kind::global) || object.module() != "torch") return {};
  return dtype_from_name(object.qualified_name());
}

// Elements of `dtype` that the tensor may use.
std::uint64_t usable_elements(const TensorDescription& tensor) {
  const StorageReference& storage = tensor.storage;
  if (storage.part) return storage.part->elements;
  return storage.untyped ? storage.bytes / item_size(tensor.dtype) : storage.elements;
}

void check_layout(const TensorDescription& tensor) {
  const TensorLayout& layout = tensor.layout;
  if (layout.strides.size() != layout.shape.size()) {
    fail("stride", std::to_string(layout.strides.size()) + " strides for " +
                       std::to_string(layout.shape.size()) + " dimensions");
  }
  const std::optional<std::uint64_t> count = element_count(layout.shape);
  if (!count || !checked_mul(*count, item_size(tensor.dtype))) {
    fail("size", "shape " + shape_text(layout.shape) + " has more elements than can be counted");
  }
  const std::uint64_t usable = usable_elements(tensor);
  const std::optional<ElementRange> used = used_range(layout);
  if (!used || used->end > usable) {
    fail("bounds", "shape " + shape_text(layout.shape) + ", strides " + shape_text(layout.strides) +
                       " and offset " + std::to_string(layout.offset) +
                       " reach beyond the storage of " + std::to_string(usable) + " elements");
  }
}

// _rebuild_tensor(storage, offset, size, stride)
// _rebuild_tensor_v2(... requires_grad, hooks [, metadata])
// _rebuild_tensor_v3(... requires_grad, hooks, dtype [, metadata])
TensorDescription read_plain(std::string_view function, Object args) {
  const bool v3 = function == "_rebuild_tensor_v3";
  const std::size_t least = function == "_rebuild_tensor" ? 4 : v3 ? 7 : 6;
  const std::size_t most = least == 4 ? 4 : least + 1;
  if (args.size() < least || args.size() > most) {
    fail("args", std::string(function) + " has " + std::to_string(args.size()) +
                     " arguments, expected " + std::to_string(least));
  }
  TensorDescription tensor;
  tensor.storage = read_storage_reference(args[0]);
  tensor.dtype = tensor.storage.dtype;
  if (v3) {
    const std::optional<DType> dtype = read_dtype(args[6]);
    if (!dtype) fail("dtype", "a tensor of type " + found(args[6]) + " is not supported");
    tensor.dtype = *dtype;
  }
  if (v3 != tensor.storage.untyped) {
    fail("dtype",
         std::string(function) + (v3 ? " needs an untyped storage" : " needs a typed storage"));
  }
  if (v3 && tensor.storage.part) fail("storage", "a part of an untyped storage");
  tensor.layout.offset = natural(args[1], "offset", "the offset");
  tensor.layout.shape = naturals(args[2], "size", "a size");
  tensor.layout.strides = naturals(args[3], "stride", "a stride");
  if (least > 4) {
    tensor.requires_grad = boolean(args[4]);
    require_no_hooks(args[5]);
    if (args.size() == most) require_no_metadata(args[most - 1]);
  }
  check_layout(tensor);
  if (tensor.storage.part) {
    // Both are below 2^63 and their sum is below the number of elements.
    tensor.layout.offset += static_cast<std::int64_t>(tensor.storage.part->offset);
  }
  return tensor;
}

Object arguments_of(Object call) {
  const Object args = call.arguments();
  if (!args.is(Kind::tuple)) fail("args", "the arguments are " + found(args));
  return args;
}

}  // namespace

StorageReference read_storage_reference(Object object) {
  if (!object.is(Kind::persistent)) fail("storage", "the storage is " + found(object));
  const Object id = object.persistent_id();
  constexpr std::size_t kFields = 5;
  if (!id.is(Kind::tuple) || id.size() < kFields || id.size() > kFields + 1 ||
      !id[0].is(Kind::string) || id[0].as_string() != "storage") {
    fail("storage",
         "a persistent id is " + found(id) + ", expected ('storage', class, key, location, size)");
  }
  StorageReference storage;
  read_storage_class(id[1], storage);
  storage.key = read_key(id[2]);
  if (!id[3].is(Kind::string)) fail("storage", "the location of a storage is " + found(id[3]));
  storage.elements = static_cast<std::uint64_t>(natural(id[4], "numel", "the size of a storage"));
  const auto bytes = checked_mul(storage.elements, item_size(storage.dtype));
  if (!bytes) {
    fail("numel",
         "a storage of " + std::to_string(storage.elements) + " elements is larger than any file");
  }
  storage.bytes = *bytes;
  if (id.size() > kFields) storage.part = read_part(id[kFields], storage.elements);
  return storage;
}

namespace {

// The class that the arguments name, by which a tensor of a subclass is made again.
std::optional<std::string> subclass_of(const Rebuild& rebuild, Object object) {
  const Object args = object.arguments();
  const std::size_t place = rebuild.name == "_rebuild_wrapper_subclass" ? 0 : 1;
  if (rebuild.check != "subclass" || !args.is(Kind::tuple) || args.size() <= place) {
    return std::nullopt;
  }
  if (!args[place].is(Kind::global)) return std::nullopt;
  return args[place].class_name();
}

[[noreturn]] void refuse(const Rebuild& rebuild, Object object) {
  std::string hint = "convert it to a plain tensor in Python and save it again";
  if (rebuild.check == "meta") {
    hint =
        "its numbers were never in this file: load the weights before they are saved (accelerate: "
        "get_state_dict_offloaded_model)";
  }
  if (rebuild.check == "quantized") hint = "dequantize() it in Python and save it again";
  const std::optional<std::string> subclass = subclass_of(rebuild, object);
  if (!subclass) {
    fail(rebuild.check, std::string(rebuild.what) + " (" + object.class_name() + ")", hint);
  }
  if (subclass->starts_with("torchao.")) {
    hint =
        "it is quantized: export the model before torchao has changed it, or dequantize() its "
        "tensors and save them again";
  }
  const bool is_wrapper = rebuild.name == "_rebuild_wrapper_subclass";
  fail(rebuild.check,
       (is_wrapper ? std::string(rebuild.what) + ": " : "a tensor of the subclass ") +
           printable(*subclass),
       hint);
}

}  // namespace

namespace {

bool is_plain_class(Object object) {
  return is_name(object, "torch", "Tensor") || is_name(object, "torch._tensor", "Tensor") ||
         is_name(object, "torch.nn.parameter", "Parameter") ||
         is_name(object, "torch.nn.parameter", "Buffer");
}

// What a tensor is made by: a function and its arguments.
struct Made {
  const Rebuild* rebuild = nullptr;
  Object args;
};

// _rebuild_from_type_v2(function, class, arguments, attributes) of a class that is no subclass of
// its own: a tensor with Python attributes, or a Buffer. The attributes are no part of a state
// dict.
std::optional<Made> plain_with_attributes(const Rebuild& rebuild, Object object) {
  constexpr std::size_t kArguments = 4;
  if (rebuild.name != "_rebuild_from_type_v2") return std::nullopt;
  const Object args = arguments_of(object);
  if (args.size() != kArguments || !is_plain_class(args[1]) || !args[2].is(Kind::tuple)) {
    return std::nullopt;
  }
  const Rebuild* inner = find_function(args[0]);
  if (inner == nullptr || !inner->check.empty() || !inner->name.starts_with("_rebuild_tensor")) {
    return std::nullopt;
  }
  return Made{inner, args[2]};
}

// Python's tensors refuse a state that comes after they were made, or take it for other numbers.
void require_unchanged(Object object) {
  if (!object.state() && object.appended().empty() && object.assigned().empty()) return;
  fail("build",
       "the tensor is given a state or items after it was made, as no torch.save writes it",
       "load it where it comes from and save it with torch.save");
}

}  // namespace

bool is_tensor_call(Object object) { return find_rebuild(object) != nullptr; }

TensorDescription read_tensor_description(Object object) {
  const Rebuild* rebuild = find_rebuild(object);
  bool is_parameter = false;
  bool requires_grad = false;
  if (rebuild != nullptr && rebuild->name.starts_with("_rebuild_parameter")) {
    // (tensor, requires_grad, hooks [, state])
    const Object args = arguments_of(object);
    const std::size_t expected = rebuild->name == "_rebuild_parameter" ? 3 : 4;
    if (args.size() != expected) {
      fail("args", std::string(rebuild->name) + " has " + std::to_string(args.size()) +
                       " arguments, expected " + std::to_string(expected));
    }
    is_parameter = true;
    requires_grad = boolean(args[1]);
    require_no_hooks(args[2]);
    require_unchanged(object);
    object = args[0];
    rebuild = find_rebuild(object);
    if (rebuild != nullptr && rebuild->name.starts_with("_rebuild_parameter")) {
      fail("args", "a parameter made of a parameter");
    }
  }
  if (rebuild == nullptr) fail("args", "expected a tensor, found " + found(object));
  std::optional<Made> made = plain_with_attributes(*rebuild, object);
  if (!made) {
    if (!rebuild->check.empty()) refuse(*rebuild, object);
    made = Made{rebuild, arguments_of(object)};
  }
  require_unchanged(object);
  TensorDescription tensor = read_plain(made->rebuild->name, made->args);
  if (is_parameter) {
    tensor.is_parameter = true;
    tensor.requires_grad = requires_grad;
  }
  return tensor;
}

}  // namespace craftbundle
