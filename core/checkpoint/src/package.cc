#include "craftbundle/detail/checkpoint/package.h"

#include "craftbundle/detail/checkpoint/file_content.h"
#include "craftbundle/detail/tensor/convert.h"
#include "package_stream.h"

namespace craftbundle {
namespace {

// What a ComputedTensor will hold once it is rounded to its type.
class RoundedElements final : public Elements {
 public:
  explicit RoundedElements(ComputedTensor tensor) : tensor_(std::move(tensor)) {}
  const std::vector<std::int64_t>& shape() const override { return tensor_.elements->shape(); }
  DType dtype() const override { return tensor_.dtype; }
  std::vector<Storage> sources() const override { return tensor_.elements->sources(); }
  void read(std::uint64_t first, std::span<double> out, StorageReader& from) const override {
    std::vector<std::byte> rounded(out.size() * item_size(tensor_.dtype));
    tensor_.elements->read_as(tensor_.dtype, first, rounded, from);
    decode(tensor_.dtype, rounded, out);
  }

 private:
  ComputedTensor tensor_;
};

}  // namespace

ElementsPtr elements_of(const Value& value) {
  if (const auto* tensor = value.get_if<Tensor>()) return elements_of(*tensor);
  if (const auto* joined = value.get_if<JoinedTensor>()) return elements_of(*joined);
  const auto* computed = value.get_if<ComputedTensor>();
  return computed == nullptr ? nullptr : std::make_shared<RoundedElements>(*computed);
}

const Value* Value::find(std::string_view key) const {
  const auto* dict = get_if<Dict>();
  if (dict == nullptr) return nullptr;
  for (const auto& [candidate, value] : *dict) {
    if (candidate == key) return &value;
  }
  return nullptr;
}

std::uint64_t package_size(const Value& root) { return PackageStream(root).file_size(); }

WriteSummary write_package(const Value& root, OutputFile& file, const WriteOptions& options) {
  return torch_package(root)->write(file, options);
}

}  // namespace craftbundle
