// The tensors of AudioCraft's StreamingTransformer.
#pragma once

#include <cstdint>
#include <string>

#include "craftbundle/audiocraft_rules/config.h"
#include "craftbundle/audiocraft_rules/state.h"

namespace craftbundle::language_model {

inline constexpr audiocraft::Range kWidthRange = {1, 65'536};

struct Transformer {
  std::int64_t dim = 0;
  std::int64_t heads = 1;
  std::int64_t layers = 0;
  std::int64_t feed_forward = 0;
  bool custom = false;  // AudioCraft's own attention; otherwise torch.nn.MultiheadAttention
  bool bias_attention = true;
  bool bias_feed_forward = true;
  bool cross_attention = false;
  bool norm_first = false;
  bool layer_scale = false;
  bool qk_norm = false;
  bool qk_norm_cross = false;
  bool rotary = false;
  bool xpos = false;
  std::int64_t kv_repeat = 1;
};

// Settings under transformer_lm. `cross_attention` is set when conditions are fused by it, whatever
// the key says. Throws Error(input, "config.*") for what AudioCraft's classes refuse.
Transformer read_transformer(const audiocraft::Section& section, bool cross_attention);

// Tensors of `transformer` as the module `prefix` ("transformer").
void add_transformer(const Transformer& transformer, const std::string& prefix,
                     audiocraft::ExpectedState& expected);

}  // namespace craftbundle::language_model
