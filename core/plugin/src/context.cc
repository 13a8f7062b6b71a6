#include "craftbundle/detail/plugin/context.h"

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"

namespace craftbundle {

std::string HostContext::read_text(const Path& path, std::uint64_t max_bytes) {
  return text_of(*open_file(path), max_bytes);
}

std::string text_of(const InputFile& file, std::uint64_t max_bytes) {
  if (file.size() > max_bytes) {
    throw Error(ErrorKind::input, "read.too_large",
                "has " + human_bytes(file.size()) + ", expected at most " + human_bytes(max_bytes))
        .add_context(path_text(file.path()));
  }
  return file.read_text(0, static_cast<std::size_t>(file.size()));
}

}  // namespace craftbundle
