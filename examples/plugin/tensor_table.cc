#include "tensor_table.h"

#include "craftbundle/base/text.h"

namespace mulaw {
namespace {

using craftbundle::Checkpoint;
using craftbundle::Kind;
using craftbundle::Object;

struct Table {
  const Checkpoint& checkpoint;
  craftbundle::OutputFile& file;
  const std::string& separator;
  int rows = 0;

  // A dict of tensors anywhere in the checkpoint is a part of the table.
  void add(Object object, const std::string& path) {
    if (Checkpoint::is_tensor(object)) {
      const craftbundle::Tensor tensor = checkpoint.tensor(object);
      const std::uint64_t elements = *craftbundle::element_count(tensor.layout.shape);
      file.write(path + separator + std::string(craftbundle::name(tensor.dtype)) + separator +
                 craftbundle::shape_text(tensor.layout.shape) + separator +
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

craftbundle::StageKindInfo TensorTable::info() const {
  craftbundle::StageKindInfo info;
  info.name = "tensor-table";
  info.summary = "Table of the tensors of a checkpoint";
  info.inputs = "A checkpoint or an exported component.";
  info.output = craftbundle::StageKindInfo::Output::file;
  info.options = {
      {"separator", craftbundle::OptionSpec::Type::text, ",", "What stands between columns.", {}}};
  return info;
}

craftbundle::StageOutcome TensorTable::run(const craftbundle::StageRequest& request,
                                           craftbundle::StageContext& context) const {
  craftbundle::OutputFile& file = context.create("");
  const std::string& separator = request.option("separator");
  file.write("name" + separator + "dtype" + separator + "shape" + separator + "bytes\n");
  int rows = 0;
  for (const craftbundle::Path& input : request.inputs) {
    context.cancellation().check();
    const auto checkpoint = context.open(input);
    Table table{*checkpoint, file, separator};
    table.add(checkpoint->root(), "");
    rows += table.rows;
  }
  return {{{"tensors", std::to_string(rows)}}, {}, {}};
}

}  // namespace mulaw
