// Runs what mulaw_exporter exports: each sample becomes the nearest level of the table, and each
// code its level again. One frame a sample, one codebook.
#pragma once

#include "craftbundle/plugin.h"

namespace mulaw {

class MulawLoader final : public craftbundle::CodecLoader {
 public:
  craftbundle::CodecLoaderInfo info() const override;
  std::unique_ptr<craftbundle::Codec> load(const craftbundle::Model& model,
                                           const craftbundle::CodecOptions& options) const override;
};

}  // namespace mulaw
