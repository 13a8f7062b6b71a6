// Tables that one of the two libraries keeps among its tensors, and anyone can compute.
#pragma once

#include <cstdint>

#include "craftbundle/detail/checkpoint/named_tensor.h"

namespace craftbundle::transformers {

// MusicgenSinusoidalPositionalEmbedding.get_embedding(): [positions, width], cosines first, in
// float32. Up to release 4.50 transformers reads it from the file.
TensorContent sinusoidal_positions(std::int64_t positions, std::int64_t width);

// torch.hann_window(length), up to the last bit of a few elements.
TensorContent hann_window(std::int64_t length);

}  // namespace craftbundle::transformers
