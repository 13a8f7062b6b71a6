// A T5 of some kilobytes, by hand.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "unit/checkpoint/safetensors_builder.h"

namespace craftbundle::testing {

using TensorShapes = std::vector<std::pair<std::string, std::vector<std::int64_t>>>;

// As config.json of transformers says it.
inline std::string tiny_t5_config(std::int64_t width, const std::string& feed_forward = "relu") {
  return R"({"architectures": ["T5ForConditionalGeneration"], "model_type": "t5", "d_model": )" +
         std::to_string(width) + R"(, "d_kv": 3, "d_ff": 5, "num_layers": 2, "num_heads": 2, )" +
         R"("relative_attention_num_buckets": 4, "feed_forward_proj": ")" + feed_forward +
         R"(", "vocab_size": 7, "layer_norm_epsilon": 1e-06})";
}

// Tensors of its encoder, in the order of the state dict.
inline TensorShapes tiny_t5_tensors(std::int64_t width, bool is_gated = false) {
  TensorShapes tensors = {{"shared.weight", {7, width}}};
  for (const std::string block : {"encoder.block.0.layer.", "encoder.block.1.layer."}) {
    const std::string attention = block + "0.SelfAttention.";
    tensors.push_back({attention + "q.weight", {6, width}});
    tensors.push_back({attention + "k.weight", {6, width}});
    tensors.push_back({attention + "v.weight", {6, width}});
    tensors.push_back({attention + "o.weight", {width, 6}});
    if (block.find(".0.layer") != std::string::npos) {
      tensors.push_back({attention + "relative_attention_bias.weight", {4, 2}});
    }
    tensors.push_back({block + "0.layer_norm.weight", {width}});
    const std::string dense = block + "1.DenseReluDense.";
    if (is_gated) {
      tensors.push_back({dense + "wi_0.weight", {5, width}});
      tensors.push_back({dense + "wi_1.weight", {5, width}});
    } else {
      tensors.push_back({dense + "wi.weight", {5, width}});
    }
    tensors.push_back({dense + "wo.weight", {width, 5}});
    tensors.push_back({block + "1.layer_norm.weight", {width}});
  }
  tensors.push_back({"encoder.final_layer_norm.weight", {width}});
  return tensors;
}

// A safetensors file of float32 tensors, all of whose elements are other ones.
inline std::string safetensors_of(const TensorShapes& tensors) {
  std::string header = "{";
  std::string data;
  for (const auto& [name, shape] : tensors) {
    std::int64_t count = 1;
    std::string sizes;
    for (const std::int64_t size : shape) {
      count *= size;
      sizes += (sizes.empty() ? "" : ",") + std::to_string(size);
    }
    const std::size_t begin = data.size();
    for (std::int64_t i = 0; i < count; ++i) {
      const std::size_t number = data.size() / 4;
      data += static_cast<char>(number & 0xFFu);
      data += static_cast<char>((number >> 8) & 0xFFu);
      data += "\x80\x3f";  // a little above 1
    }
    header += std::string(header.size() > 1 ? "," : "") + "\"" + name +
              R"(":{"dtype":"F32","shape":[)" + sizes + R"(],"data_offsets":[)" +
              std::to_string(begin) + "," + std::to_string(data.size()) + "]}";
  }
  return safetensors_bytes(header + "}", data);
}

}  // namespace craftbundle::testing
