// What the configuration of a T5 says about the tensors of its encoder.
#pragma once

#include <cstdint>
#include <string>

#include "craftbundle/audiocraft_rules/state.h"
#include "craftbundle/detail/omegaconf/config.h"

namespace craftbundle::text_encoder {

// As config.json of transformers names them.
struct Settings {
  std::int64_t vocab_size;
  std::int64_t d_model;
  std::int64_t d_kv;
  std::int64_t d_ff;
  std::int64_t num_layers;  // of the encoder
  std::int64_t num_heads;
  std::int64_t relative_attention_num_buckets;
  std::string feed_forward_proj;  // "relu", "gated-gelu"

  bool is_gated() const { return feed_forward_proj.starts_with("gated-"); }
};

struct Spec {
  Settings settings;
  audiocraft::ExpectedState expected;
};

// Throws Error(input, "config.*") for a configuration that no T5 has.
Spec read_spec(const Config& config);

}  // namespace craftbundle::text_encoder
