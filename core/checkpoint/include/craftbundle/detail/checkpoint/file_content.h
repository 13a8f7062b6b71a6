// What a file will hold, worked out before a byte of it is written.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/checkpoint/package.h"
#include "craftbundle/detail/checkpoint/safetensors.h"
#include "craftbundle/detail/io/output_file.h"

namespace CRAFTBUNDLE_API craftbundle {

// Immutable; keeps the files open that it is made from. Thread: all functions may be called
// concurrently.
class FileContent {
 public:
  virtual ~FileContent() = default;
  // In bytes; nullopt when only writing shows it.
  virtual std::optional<std::uint64_t> size() const = 0;
  // REQUIRES: file.size() == 0. When it throws, `file` holds a part and must be dropped.
  virtual WriteSummary write(OutputFile& file, const WriteOptions& options) const = 0;
  // The files whose bytes it is made from; they live as long as the content.
  virtual std::vector<const InputFile*> sources() const = 0;
  // What write() copies from them as it is, and where to; what is not known need not be there.
  virtual std::vector<OutputFile::Copied> copied() const { return {}; }
};
using FileContentPtr = std::shared_ptr<const FileContent>;

// A package for torch.load (package.h). Throws as write_package() for a value that none can hold.
FileContentPtr torch_package(const Value& root);

// A safetensors file (safetensors.h). Throws as safetensors_size().
FileContentPtr safetensors_file(std::vector<NamedTensor> tensors, SafetensorsMetadata metadata);

// Text as it is.
FileContentPtr text_file(std::string text);

// The bytes of another file. Throws as InputFile.
FileContentPtr copy_of(const Path& file);
FileContentPtr copy_of(std::shared_ptr<const InputFile> file);

// What `write` writes, of a size that is not known before: a program.
FileContentPtr written_by(std::function<void(OutputFile&)> write);

}  // namespace craftbundle
