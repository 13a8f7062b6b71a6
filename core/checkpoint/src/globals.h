// What the names in a pickle mean and how dangerous they are.
#pragma once

#include <string_view>

#include "craftbundle/detail/checkpoint/object.h"

namespace craftbundle {

struct NamePair {
  std::string_view module;
  std::string_view name;
};

// The name that Python 3's pickle imports for a name of Python 2; the same name when there is none.
// The result refers to static text or to the arguments.
NamePair map_python2_name(std::string_view module, std::string_view name);

// Names whose danger depends on what they are applied to; enums and type hints need them.
bool is_judged_by_use(std::string_view module, std::string_view name);

// Whether `module` belongs to a package that the tables of names know: Python's own, PyTorch,
// NumPy...
bool is_library_module(std::string_view module);

}  // namespace craftbundle
