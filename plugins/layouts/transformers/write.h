// Planning a folder.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "craftbundle/detail/plugin/layout.h"

namespace craftbundle::transformers {

struct WriteChoices {
  std::uint64_t shard_bytes = 5'000'000'000;
  std::string license;  // for the card; empty: none is stated
};

std::vector<BundleFile> plan_folder(const std::vector<Component>& components,
                                    const WriteChoices& choices);

}  // namespace craftbundle::transformers
