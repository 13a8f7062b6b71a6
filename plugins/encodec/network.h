// Runs EnCodec models with LibTorch.
#pragma once

#include "craftbundle/detail/plugin/codec.h"

namespace craftbundle::encodec {

// As audiocraft.models.EncodecModel in eval mode.
class EncodecLoader final : public CodecLoader {
 public:
  CodecLoaderInfo info() const override;
  std::unique_ptr<Codec> load(const Model& model, const CodecOptions& options) const override;
};

}  // namespace craftbundle::encodec
