// What the host does for the code of a plugin while it runs.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/base/sink.h"
#include "craftbundle/detail/checkpoint/checkpoint.h"
#include "craftbundle/detail/checkpoint/safetensors.h"
#include "craftbundle/detail/io/input_file.h"
#include "craftbundle/detail/io/path.h"

namespace CRAFTBUNDLE_API craftbundle {

// Enough for every configuration, tokenizer and index.
inline constexpr std::uint64_t kMaxReadTextBytes = 64U << 20;

// Services of the host during one call. Not owned; valid during the call only.
//
// A plugin opens files with these functions and no others: what an exporter or a stage has read
// stands in the manifest, and a run does a stage again when some of it has changed. Relative paths
// start at the source: in a directory that is one, else where the checkpoint lies (by the name it
// was given, whatever that links to). For stages they start at the script.
//
// Thread: all functions may be called concurrently.
class HostContext {
 public:
  virtual ~HostContext() = default;
  virtual Sink& sink() = 0;
  virtual const Cancellation& cancellation() const = 0;

  // An opened checkpoint, shared between all that ask for it. Throws as Checkpoint::open. All that
  // open something throw Error(plugin, "read.relative") for a relative path when the source is no
  // file or directory.
  virtual std::shared_ptr<const Checkpoint> open(const Path& path) = 0;
  // The tensors of a safetensors file, or of all files that an index names ("*.json"). Throws as
  // Safetensors::open() and open_safetensors_index().
  virtual SafetensorsModel open_safetensors(const Path& path) = 0;
  // Any other file. Throws as InputFile::InputFile.
  virtual std::shared_ptr<const InputFile> open_file(const Path& path) = 0;
  // All of a small file. Throws as open_file() and InputFile::read(), and Error(input,
  // "read.too_large").
  std::string read_text(const Path& path, std::uint64_t max_bytes = kMaxReadTextBytes);
};

// All of `file`. Throws as InputFile::read(), and Error(input, "read.too_large").
std::string text_of(const InputFile& file, std::uint64_t max_bytes);

}  // namespace craftbundle
