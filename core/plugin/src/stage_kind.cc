#include "craftbundle/detail/plugin/stage_kind.h"

#include "craftbundle/detail/base/error.h"
#include "craftbundle/detail/base/text.h"

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

std::unique_ptr<AudioReader> StageContext::open_audio(const Path& path) {
  throw Error(ErrorKind::usage, "audio.none", path_text(path) + ": no audio can be opened here");
}

std::unique_ptr<Codec> StageContext::load_codec(const Path& path, const CodecOptions&) {
  throw Error(ErrorKind::plugin, "codec.none", path_text(path) + ": no codec can be loaded here");
}

const std::string& StageRequest::option(std::string_view name) const {
  return option_value(options, name);
}

}  // namespace craftbundle
