#include "craftbundle/detail/checkpoint/file_content.h"

#include <algorithm>
#include <utility>

#include "appender.h"
#include "package_stream.h"

namespace craftbundle {
namespace {

void add_source(const InputFile& file, std::vector<const InputFile*>& files) {
  if (std::ranges::count(files, &file) == 0) files.push_back(&file);
}

void add_source(const Storage& storage, std::vector<const InputFile*>& files) {
  add_source(storage.owner->file(), files);
}

void add_sources(const Piece& piece, std::vector<const InputFile*>& files) {
  if (const auto* stored = std::get_if<StoredBytes>(&piece)) {
    add_source(stored->source, files);
  } else if (const auto* gathered = std::get_if<GatheredTensor>(&piece)) {
    add_source(gathered->tensor.storage, files);
  } else {
    for (const Storage& source : std::get<ComputedTensor>(piece).elements->sources()) {
      add_source(source, files);
    }
  }
}

WriteSummary summarize(const PackagePlan& plan) {
  WriteSummary summary;
  summary.tensors = plan.tensors();
  summary.storages = plan.storages().size();
  for (const PlannedStorage& storage : plan.storages()) {
    summary.data_bytes += storage.bytes;
    summary.compacted_bytes += storage.left_out;
  }
  return summary;
}

class TorchPackage final : public FileContent {
 public:
  explicit TorchPackage(const Value& root) : stream_(root) {}
  std::optional<std::uint64_t> size() const override { return stream_.file_size(); }
  WriteSummary write(OutputFile& file, const WriteOptions& options) const override {
    stream_.write(file, options);
    WriteSummary summary = summarize(stream_.plan());
    summary.bytes = file.size();
    summary.shared_bytes = file.shared_bytes();
    return summary;
  }
  std::vector<OutputFile::Copied> copied() const override { return stream_.copied(); }
  std::vector<const InputFile*> sources() const override {
    std::vector<const InputFile*> files;
    for (const PlannedStorage& storage : stream_.plan().storages()) {
      for (const Piece& piece : storage.pieces) add_sources(piece, files);
    }
    return files;
  }

 private:
  PackageStream stream_;
};

class SafetensorsContent final : public FileContent {
 public:
  SafetensorsContent(std::vector<NamedTensor> tensors, SafetensorsMetadata metadata)
      : tensors_(std::move(tensors)),
        metadata_(std::move(metadata)),
        size_(safetensors_size(tensors_, metadata_)) {}
  std::optional<std::uint64_t> size() const override { return size_; }
  WriteSummary write(OutputFile& file, const WriteOptions& options) const override {
    return write_safetensors(tensors_, metadata_, file, options);
  }
  std::vector<OutputFile::Copied> copied() const override {
    return safetensors_copied(tensors_, metadata_);
  }
  std::vector<const InputFile*> sources() const override {
    std::vector<const InputFile*> files;
    for (const NamedTensor& named : tensors_) {
      for (const Storage& source : elements_of(named)->sources()) add_source(source, files);
    }
    return files;
  }

 private:
  std::vector<NamedTensor> tensors_;
  SafetensorsMetadata metadata_;
  std::uint64_t size_;
};

class Text final : public FileContent {
 public:
  explicit Text(std::string text) : text_(std::move(text)) {}
  std::optional<std::uint64_t> size() const override { return text_.size(); }
  WriteSummary write(OutputFile& file, const WriteOptions& /*options*/) const override {
    file.write(text_);
    WriteSummary summary;
    summary.bytes = file.size();
    return summary;
  }
  std::vector<const InputFile*> sources() const override { return {}; }

 private:
  std::string text_;
};

class Copy final : public FileContent {
 public:
  explicit Copy(std::shared_ptr<const InputFile> file) : file_(std::move(file)) {}
  std::optional<std::uint64_t> size() const override { return file_->size(); }
  WriteSummary write(OutputFile& file, const WriteOptions& options) const override {
    Appender out(file, file_->size(), options);
    out.copy(*file_, 0, file_->size());
    out.finish();
    file_->check_unchanged();
    WriteSummary summary;
    summary.bytes = file.size();
    summary.shared_bytes = file.shared_bytes();
    return summary;
  }
  std::vector<OutputFile::Copied> copied() const override {
    return {{file_.get(), 0, 0, file_->size()}};
  }
  std::vector<const InputFile*> sources() const override { return {file_.get()}; }

 private:
  std::shared_ptr<const InputFile> file_;
};

class Written final : public FileContent {
 public:
  explicit Written(std::function<void(OutputFile&)> write) : write_(std::move(write)) {}
  std::optional<std::uint64_t> size() const override { return std::nullopt; }
  WriteSummary write(OutputFile& file, const WriteOptions& /*options*/) const override {
    write_(file);
    WriteSummary summary;
    summary.bytes = file.size();
    return summary;
  }
  std::vector<const InputFile*> sources() const override { return {}; }

 private:
  std::function<void(OutputFile&)> write_;
};

}  // namespace

FileContentPtr torch_package(const Value& root) { return std::make_shared<TorchPackage>(root); }

FileContentPtr safetensors_file(std::vector<NamedTensor> tensors, SafetensorsMetadata metadata) {
  return std::make_shared<SafetensorsContent>(std::move(tensors), std::move(metadata));
}

FileContentPtr text_file(std::string text) { return std::make_shared<Text>(std::move(text)); }

FileContentPtr copy_of(const Path& file) {
  return copy_of(std::make_shared<const InputFile>(file));
}

FileContentPtr copy_of(std::shared_ptr<const InputFile> file) {
  return std::make_shared<Copy>(std::move(file));
}

FileContentPtr written_by(std::function<void(OutputFile&)> write) {
  return std::make_shared<Written>(std::move(write));
}

}  // namespace craftbundle
