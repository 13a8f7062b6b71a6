#include "tensor_table.h"

#include "bundlecraft/base/text.h"

namespace mulaw {
namespace {

using bundlecraft::Checkpoint;
using bundlecraft::Kind;
using bundlecraft::Object;

struct Table {
  const Checkpoint& checkpoint;
  bundlecraft::OutputFile& file;
  const std::string& separator;
  int rows = 0;

  // A dict of tensors anywhere in the checkpoint is a part of the table.
  void add(Object object, const std::string& path) {
    if (Checkpoint::is_tensor(object)) {
      const bundlecraft::Tensor tensor = checkpoint.tensor(object);
      const std::uint64_t elements = *bundlecraft::element_count(tensor.layout.shape);
      file.write(path + separator + std::string(bundlecraft::name(tensor.dtype)) + separator +
                 bundlecraft::shape_text(tensor.layout.shape) + separator +
                 std::to_string(elements * item_size(tensor.dtype)) + "\n");
      ++rows;
    } else if (object.is(Kind::dict)) {
      for (const auto& [key, value] : object.entries()) {
        if (!key.is(Kind::string)) continue;
        const std::string name(key.as_string());
        add(value, path.empty() ? name : path + "." + name);
      }
    }
  }
};

}  // namespace

bundlecraft::StageKindInfo TensorTable::info() const {
  bundlecraft::StageKindInfo info;
  info.name = "tensor-table";
  info.summary = "Table of the tensors of a checkpoint";
  info.inputs = "A checkpoint or an exported component.";
  info.output = bundlecraft::StageKindInfo::Output::file;
  info.options = {
      {"separator", bundlecraft::OptionSpec::Type::text, ",", "What stands between columns.", {}}};
  return info;
}

bundlecraft::StageOutcome TensorTable::run(const bundlecraft::StageRequest& request,
                                           bundlecraft::StageContext& context) const {
  bundlecraft::OutputFile& file = context.create("");
  const std::string& separator = request.option("separator");
  file.write("name" + separator + "dtype" + separator + "shape" + separator + "bytes\n");
  int rows = 0;
  for (const bundlecraft::Path& input : request.inputs) {
    context.cancellation().check();
    const auto checkpoint = context.open(input);
    Table table{*checkpoint, file, separator};
    table.add(checkpoint->root(), "");
    rows += table.rows;
  }
  return {{{"tensors", std::to_string(rows)}}, {}, {}};
}

}  // namespace mulaw
