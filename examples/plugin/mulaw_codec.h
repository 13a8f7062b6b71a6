// Runs what mulaw_exporter exports: each sample becomes the nearest level of the table, and each
// code its level again. One frame a sample, one codebook.
#pragma once

#include "bundlecraft/plugin/codec.h"

namespace mulaw {

class MulawLoader final : public bundlecraft::CodecLoader {
 public:
  bundlecraft::CodecLoaderInfo info() const override;
  std::unique_ptr<bundlecraft::Codec> load(const bundlecraft::Value& package,
                                           const bundlecraft::CodecOptions& options) const override;
};

}  // namespace mulaw
