#include "tensor_table.h"

#include <cstdint>
#include <string>
#include <unordered_map>

namespace mulaw {
namespace {

using craftbundle::Checkpoint;
using craftbundle::Kind;
using craftbundle::Object;

// A name longer than this is nobody's: files may nest dicts as deep as they like.
constexpr std::size_t kLongestName = 1000;

// Every dict of tensors in the checkpoint is a part of the table. Returns the number of rows.
//
// The file decides what its objects look like: one may hold itself, or a million others, one in the
// other. for_each_reachable() comes to each once, where recursion would crash the program.
int add_tensors(const Checkpoint& checkpoint, const std::string& separator,
                craftbundle::OutputFile& file) {
  int rows = 0;
  std::unordered_map<std::uint32_t, std::string> names = {{checkpoint.root().id(), ""}};
  craftbundle::for_each_reachable(checkpoint.root(), [&](Object object) {
    const auto name = names.find(object.id());
    if (name == names.end() || !object.is(Kind::dict)) return;
    const std::string prefix = name->second.empty() ? "" : name->second + ".";
    for (const auto& [key, value] : object.entries()) {
      if (!key.is(Kind::string)) continue;
      const std::string path = prefix + std::string(key.as_string());
      if (path.size() > kLongestName) continue;
      if (!Checkpoint::is_tensor(value)) {
        if (value.is(Kind::dict)) names.emplace(value.id(), path);
        continue;
      }
      const craftbundle::Tensor tensor = checkpoint.tensor(value);
      const std::uint64_t elements = *craftbundle::element_count(tensor.layout.shape);
      file.write(path + separator + std::string(craftbundle::name(tensor.dtype)) + separator +
                 craftbundle::shape_text(tensor.layout.shape) + separator +
                 std::to_string(elements * item_size(tensor.dtype)) + "\n");
      ++rows;
    }
  });
  return rows;
}

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
    rows += add_tensors(*checkpoint, separator, file);
  }
  return {{{"tensors", std::to_string(rows)}}, {}, {}};
}

}  // namespace mulaw
