#include "bundlecraft/checkpoint/package.h"

#include "package_stream.h"

namespace bundlecraft {
namespace {

WriteSummary summarize(const PackagePlan& plan) {
  WriteSummary summary;
  summary.tensors = plan.tensors();
  summary.storages = plan.storages().size();
  for (const PlannedStorage& storage : plan.storages()) {
    summary.data_bytes += storage.bytes;
    summary.compacted_bytes += storage.source.bytes - storage.bytes;
  }
  return summary;
}

}  // namespace

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
  const PackageStream package(root);
  package.write(file, options);
  WriteSummary summary = summarize(package.plan());
  summary.bytes = file.size();
  return summary;
}

}  // namespace bundlecraft
