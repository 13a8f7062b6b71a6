// Runs DAC models (descript-audio-codec) with LibTorch.
#pragma once

#include "craftbundle/detail/plugin/codec.h"

namespace craftbundle::dac {

// As audiocraft.models.DAC: no padding of the input, so the output may be shorter.
class DacLoader final : public CodecLoader {
 public:
  CodecLoaderInfo info() const override;
  std::unique_ptr<Codec> load(const Model& model, const CodecOptions& options) const override;
};

}  // namespace craftbundle::dac
