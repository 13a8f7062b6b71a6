// The layout of torch.save before PyTorch 1.6: five pickles back to back, then the storages.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "craftbundle/detail/io/input_file.h"
#include "object_tree.h"

namespace craftbundle {

struct LegacyStorage {
  std::string key;
  std::uint64_t elements = 0;
  std::uint64_t offset = 0;  // of the first byte, in the file
  std::uint64_t bytes = 0;
};

struct LegacyFile {
  std::shared_ptr<const ObjectTree> tree;
  std::vector<LegacyStorage> storages;  // by key, sorted
  int protocol = 2;
  bool big_endian = false;
  std::vector<std::string> notes;
};

// Whether a file that begins like this may be a pickle.
bool looks_like_pickle(std::string_view head);

// Whether the first pickle of the file is the magic number of the legacy layout.
bool is_legacy(const InputFile& file);

// Throws Error(input): "legacy.*", "pickle.*", "tensor.*", "limit.*". REQUIRES: is_legacy(file).
LegacyFile read_legacy(const InputFile& file);

}  // namespace craftbundle
