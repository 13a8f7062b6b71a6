// What a checkpoint holds, in numbers.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "craftbundle/checkpoint/checkpoint.h"

namespace craftbundle::app {

// An entry of the dict at the root.
struct TopLevelKey {
  std::string key;   // printable
  std::string what;  // "dict of 6"
  std::uint64_t tensors = 0;
  std::uint64_t bytes = 0;  // of the storages below, each counted once
};

// A dict of tensors that is reached by text keys alone.
struct StateDict {
  std::string where;  // "['best_state']['model']"
  std::uint64_t tensors = 0;
  std::uint64_t parameters = 0;                   // elements of all tensors
  std::map<std::string, std::uint64_t> by_dtype;  // bytes
};

struct Contents {
  std::vector<TopLevelKey> keys;  // none when the root is no dict
  std::vector<StateDict> state_dicts;
};

// Walks the object tree of `checkpoint`: every object once, without recursion. Tensors that cannot
// be described (sparse, damaged, ...) are not counted.
Contents look_into(const Checkpoint& checkpoint);

}  // namespace craftbundle::app
