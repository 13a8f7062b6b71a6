#include "bundlecraft/checkpoint/package.h"

#include "package_stream.h"
#include "stream.h"

namespace bundlecraft {
namespace {

// Large enough that the hand-over costs nothing, small enough to stay in the cache between the
// thread that reads and the one that writes.
constexpr std::size_t kBuffers = 4;
constexpr std::size_t kBufferSize = 1 << 20;

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
  const std::uint64_t total = package.file_size();
  options.cancellation->check();
  ByteStream stream(kBuffers, kBufferSize);
  stream.run([&](ByteStream& out) { package.produce(out); },
             [&](std::span<const std::byte> bytes) {
               options.cancellation->check();
               file.write(bytes);
               options.sink->progress({options.task, file.size(), total});
             });
  WriteSummary summary = summarize(package.plan());
  summary.bytes = file.size();
  return summary;
}

}  // namespace bundlecraft
