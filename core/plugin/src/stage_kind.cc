#include "craftbundle/detail/plugin/stage_kind.h"

namespace craftbundle {

std::string_view to_string(StageKindInfo::Output output) {
  switch (output) {
    case StageKindInfo::Output::none:
      return "none";
    case StageKindInfo::Output::file:
      return "file";
    case StageKindInfo::Output::directory:
      return "directory";
  }
  return "none";
}

const std::string& StageRequest::option(std::string_view name) const {
  return option_value(options, name);
}

}  // namespace craftbundle
