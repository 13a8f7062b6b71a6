// What `craftbundle inspect --tensors` and `--diff` print.
#pragma once

#include <string>

#include "craftbundle/detail/bundle/tensor_list.h"
#include "session.h"

namespace craftbundle::app {

// Of the tensors in `given` those that `pattern` means. Throws as list_tensors(), and Error(input,
// "tensors.pattern") when it means none.
void print_tensors(const std::string& given, const std::string& pattern,
                   const SourceOptions& lookup, bool json, Session& session);

// Returns the exit code: that of a mismatch when there is a difference.
int print_diff(const std::string& first, const std::string& second, const SourceOptions& lookup,
               bool values, bool json, Session& session);

}  // namespace craftbundle::app
