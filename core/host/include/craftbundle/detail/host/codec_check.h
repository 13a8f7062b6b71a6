// Whether a codec does what it says.
#pragma once

#include <string>
#include <vector>

#include "craftbundle/detail/base/export.h"
#include "craftbundle/detail/base/sink.h"
#include "craftbundle/detail/plugin/codec.h"
#include "craftbundle/detail/plugin/exporter.h"

namespace CRAFTBUNDLE_API craftbundle {

// What a codec does that none should.
struct CodecFault {
  // "codec.facts", "codec.frame_rate", "codec.frames", "codec.length", "codec.codebooks",
  // "codec.varies", "codec.not_finite", "codec.silence"
  std::string code;
  std::string text;  // one clause
};

// Encodes and decodes a second of sound, twice, and once more with one codebook, and holds what
// comes of it against the properties, and these against what `stated`, the facts of the component,
// says under the same names. Empty: nothing was found. Throws what the codec throws.
std::vector<CodecFault> check_codec(const Codec& codec, const std::vector<FitFact>& stated,
                                    const Cancellation& cancellation = Cancellation::never());

}  // namespace craftbundle
