// The operations of the C interface, by name.
#pragma once

#include <string_view>

#include "craftbundle/craftbundle.h"
#include "craftbundle/detail/json/json.h"

namespace craftbundle {

struct OperationContext {
  const Host& host;
  Sink& sink;
  const Cancellation& cancellation;
};

// What an operation gives, or an error, or both.
struct OperationEnd {
  Json result = {};
  std::optional<Error> error = {};
};

// Throws Error(usage): "operation.unknown", "option.unknown", "option.type", "option.missing",
// before anything is done; and what the operation throws.
OperationEnd perform(std::string_view operation, const Json& options,
                     const OperationContext& context);

}  // namespace craftbundle
